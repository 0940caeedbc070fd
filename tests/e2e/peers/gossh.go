// Runs one command through Go's x/crypto/ssh: gossh PORT USER KEYFILE HOSTKEYFILE COMMAND [CIPHER [MAC]]
// Standard input goes to the command, its output to ours; the exit status is the command's.
package main

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/crypto/ssh"
)

func main() {
	key, err := os.ReadFile(os.Args[3])
	check(err)
	signer, err := ssh.ParsePrivateKey(key)
	check(err)
	hostText, err := os.ReadFile(os.Args[4])
	check(err)
	host, _, _, _, err := ssh.ParseAuthorizedKey(hostText)
	check(err)
	config := &ssh.ClientConfig{User: os.Args[2], Auth: []ssh.AuthMethod{ssh.PublicKeys(signer)},
		HostKeyCallback: ssh.FixedHostKey(host), HostKeyAlgorithms: []string{host.Type()}}
	if host.Type() == "ssh-rsa" {
		config.HostKeyAlgorithms = []string{"rsa-sha2-256", "rsa-sha2-512"}
	}
	if len(os.Args) > 6 {
		config.Ciphers = strings.Split(os.Args[6], ",")
	}
	if len(os.Args) > 7 {
		config.MACs = strings.Split(os.Args[7], ",")
	}
	config.RekeyThreshold = 1 << 20
	client, err := ssh.Dial("tcp", "127.0.0.1:"+os.Args[1], config)
	check(err)
	session, err := client.NewSession()
	check(err)
	session.Stdin, session.Stdout, session.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := session.Run(os.Args[5]); err != nil {
		if exit, ok := err.(*ssh.ExitError); ok {
			os.Exit(exit.ExitStatus())
		}
		check(err)
	}
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "gossh:", err)
		os.Exit(255)
	}
}
