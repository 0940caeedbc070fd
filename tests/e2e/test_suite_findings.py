"""What OpenSSH's regression suite (make check-openssh) found: one small test for each."""
import os
import shutil
import subprocess

import pytest
from conftest import BIN, SLOW, free_port, needs_root, require, tool, wait_until, listens

CLIENTS = [None, "ssh"]


def keygen(*words):
    subprocess.run([tool("ssh-keygen"), "-q", *words], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


@pytest.mark.parametrize("client", CLIENTS)
def test_certificates_alone_may_be_accepted(lab, client, tmp_path):
    """server-sig-algs names what certificates sign with, also when plain keys are not accepted."""
    for name in ("ca", "user"):
        keygen("-t", "rsa", "-N", "", "-f", str(tmp_path / name))
    user = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
    keygen("-s", str(tmp_path / "ca"), "-I", "x", "-n", user, str(tmp_path / "user.pub"))
    (tmp_path / "keys").write_text((tmp_path / "user.pub").read_text())
    server = lab.sshd(f"PubkeyAcceptedAlgorithms *-cert-v01@openssh.com\nTrustedUserCAKeys {tmp_path}/ca.pub",
                      authorized=str(tmp_path / "keys"))
    options = ["-o", f"IdentityFile={tmp_path}/user", "-o", "IdentitiesOnly=yes"]
    run = [client and require(client) or tool("ssh"), "-F", "none", "-p", str(server.port), *options, "-o", "BatchMode=yes",
           "-o", f"UserKnownHostsFile={lab.keys.known_hosts(server.port)}", "127.0.0.1", "true"]
    assert subprocess.run(run, stdin=subprocess.DEVNULL, timeout=30 * SLOW).returncode == 0
    os.remove(tmp_path / "user-cert.pub")
    assert subprocess.run(run, stdin=subprocess.DEVNULL, timeout=30 * SLOW, capture_output=True).returncode == 255


@pytest.mark.parametrize("server", ["sshd", "openssh"])
def test_public_file_that_is_a_certificate(lab, server, tmp_path):
    """KEY.pub may hold KEY's certificate."""
    for name in ("ca", "user"):
        keygen("-t", "ed25519", "-N", "", "-f", str(tmp_path / name))
    user = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
    keygen("-s", str(tmp_path / "ca"), "-I", "x", "-n", user, str(tmp_path / "user.pub"))
    os.rename(tmp_path / "user-cert.pub", tmp_path / "user.pub")
    there = getattr(lab, server)(f"TrustedUserCAKeys {tmp_path}/ca.pub", authorized="none")
    run = [tool("ssh"), "-F", "none", "-p", str(there.port), "-i", str(tmp_path / "user"), "-o", "IdentitiesOnly=yes",
           "-o", "BatchMode=yes", "-o", f"UserKnownHostsFile={lab.keys.known_hosts(there.port)}", "127.0.0.1", "true"]
    assert subprocess.run(run, stdin=subprocess.DEVNULL, timeout=30 * SLOW).returncode == 0


@pytest.mark.parametrize("type_,status", [("session:command", 255), ("session:*", 255), ("session:shell", 23),
                                          ("session:command:sleep", 23)])
def test_channel_timeout_of_commands(lab, type_, status):
    server = lab.sshd(f"ChannelTimeout {type_}=1")
    assert lab.ssh(server, "sleep 2.5; exit 23", program=require("ssh")).returncode == status


@pytest.mark.parametrize("ours", ["client", "server"])
def test_rsa_with_sha1_when_asked_for(lab, ours):
    lines = "HostKeyAlgorithms ssh-rsa\nPubkeyAcceptedAlgorithms ssh-rsa"
    server = lab.sshd(lines) if ours == "server" else lab.openssh(lines)
    options = ["-o", "HostKeyAlgorithms=ssh-rsa", "-o", "PubkeyAcceptedAlgorithms=ssh-rsa"]
    program = require("ssh") if ours == "server" else tool("ssh")
    assert lab.ssh(server, "exit 5", program=program, kind="rsa", options=options).returncode == 5
    # Nobody gets it by default.
    assert lab.ssh(server, "true", program=program, kind="rsa").returncode == 255


@needs_root
def test_pam_of_an_ordinary_users_server(keys, account, scratch):
    """Such a server has no PAM session to open, and lets its user in all the same."""
    port = free_port()
    os.chmod(scratch, 0o755)
    shutil.copy(os.path.join(BIN, "sshd"), scratch)
    for name in ("host_ed25519", "authorized_keys"):
        shutil.copy(os.path.join(keys.folder, name), scratch)
        os.chown(os.path.join(scratch, name), account.uid, account.gid)
    with open(os.path.join(scratch, "config"), "w") as f:
        f.write(f"Port {port}\nListenAddress 127.0.0.1\nHostKey {scratch}/host_ed25519\nPidFile none\nUsePAM yes\n"
                f"AuthorizedKeysFile {scratch}/authorized_keys\nStrictModes no\nPerSourcePenalties no\n")
    process = subprocess.Popen(["setpriv", f"--reuid={account.uid}", f"--regid={account.gid}", "--init-groups",
                                f"{scratch}/sshd", "-D", "-e", "-f", f"{scratch}/config"],
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        assert wait_until(lambda: listens(port))
        done = subprocess.run([tool("ssh"), "-F", "none", "-p", str(port), "-i", keys.path("user"), "-o", "IdentitiesOnly=yes",
                               "-o", "BatchMode=yes", "-o", f"UserKnownHostsFile={keys.known_hosts(port)}",
                               f"{account.name}@127.0.0.1", "id -un"], stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=30 * SLOW)
        assert done.stdout.decode().strip() == account.name, done.stderr
    finally:
        process.terminate()
        process.wait(10 * SLOW)


@pytest.mark.parametrize("client", CLIENTS)
def test_match_may_accept_more_algorithms(lab, client):
    """What a Match block adds for a user is announced to clients before they say who they are."""
    user = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
    server = lab.sshd(f"PubkeyAcceptedAlgorithms ssh-ed25519\nMatch User {user}\nPubkeyAcceptedAlgorithms +rsa-sha2-*")
    assert lab.ssh(server, "exit 4", program=client and require(client), kind="rsa").returncode == 4
    other = lab.sshd("PubkeyAcceptedAlgorithms ssh-ed25519\nMatch User nobody-else\nPubkeyAcceptedAlgorithms +rsa-sha2-*")
    assert lab.ssh(other, "true", program=client and require(client), kind="rsa").returncode == 255


def test_public_file_of_a_key_in_the_agent_may_be_read_by_all(lab, tmp_path):
    server = lab.sshd()
    keys, socket = lab.keys, str(tmp_path / "agent")
    public = tmp_path / "user.pub"
    public.write_text(keys.public("user"))
    public.chmod(0o644)
    agent = subprocess.Popen([require("ssh-agent"), "-D", "-a", socket], stdout=subprocess.DEVNULL)
    try:
        assert wait_until(lambda: os.path.exists(socket))
        env = dict(os.environ, SSH_AUTH_SOCK=socket)
        subprocess.run([require("ssh-add"), "-q", keys.path("user")], env=env, check=True)
        run = [tool("ssh"), "-F", "none", "-p", str(server.port), "-i", str(public), "-o", "IdentitiesOnly=yes",
               "-o", "BatchMode=yes", "-o", f"UserKnownHostsFile={keys.known_hosts(server.port)}", "127.0.0.1", "exit 6"]
        assert subprocess.run(run, env=env, stdin=subprocess.DEVNULL, timeout=30 * SLOW).returncode == 6
    finally:
        agent.terminate()
        agent.wait()


@pytest.mark.parametrize("minus,gone,left", [("ssh-ed25519-cert*", "ssh-ed25519-cert-v01@openssh.com", "ssh-ed25519"),
                                             ("ssh-ed25519", "ssh-ed25519", "ssh-ed25519-cert-v01@openssh.com")])
def test_certificates_can_be_taken_off_a_list(minus, gone, left):
    for program in (tool("ssh"), require("ssh")):
        for keyword in ("PubkeyAcceptedAlgorithms", "HostKeyAlgorithms"):
            out = subprocess.run([program, "-F", "none", "-G", "-o", f"{keyword}=-{minus}", "host"], capture_output=True,
                                 text=True, check=True).stdout
            names = next(line for line in out.splitlines() if line.startswith(keyword.lower() + " ")).split()[1].split(",")
            assert gone not in names and left in names


def test_scp_starts_sftp_server_itself(tmp_path):
    """scp -D PROGRAM gives it "-- host sftp"."""
    server = os.path.join(os.path.dirname(BIN), "libexec", "sftp-server")
    if not os.path.exists(server):
        pytest.skip("no sftp-server of ours")
    (tmp_path / "from").write_text("text")
    subprocess.run([require("scp"), "-q", "-s", "-D", server, f"host:{tmp_path}/from", str(tmp_path / "to")], check=True,
                   stdin=subprocess.DEVNULL, timeout=30 * SLOW)
    assert (tmp_path / "to").read_text() == "text"
