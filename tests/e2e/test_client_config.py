"""ssh -G beside Debian's for dozens of configurations; what it prints is read back to the same; flags and errors."""
import os
import subprocess

import pytest
from agents import Agent
from conftest import SLOW, require, tool

# What 10.5 and our own algorithms have otherwise than Debian's 9.2 with its patches.
OTHERWISE = {"ciphers", "kexalgorithms", "macs", "hostkeyalgorithms", "hostbasedacceptedalgorithms", "pubkeyacceptedalgorithms",
             "casignaturealgorithms", "warnweakcrypto", "obscurekeystroketiming", "gssapikeyexchange", "gssapitrustdns",
             "gssapirenewalforcesrekey", "gssapikexalgorithms", "channeltimeout", "refuseconnection", "versionaddendum", "tag", "resume"}
GONE = {"~/.ssh/id_xmss", "~/.ssh/id_dsa"}  # of IdentityFile
DEFAULTS = {"ipqos": ("lowdelay throughput", "ef none"), "forwardx11trusted": ("yes", "no")}


def dump(program, *args, config=None, home=None):
    env = dict(os.environ, **({"HOME": home} if home else {}))
    done = subprocess.run([program, "-F", str(config or "none"), *args, "-G"], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                          timeout=30 * SLOW, env=env)
    return done


def lines_of(done, ours):
    out = []
    for line in done.stdout.splitlines():
        key, _, value = line.partition(" ")
        key = key.lower()
        if key in OTHERWISE or (key == "identityfile" and value in GONE):
            continue
        if key in DEFAULTS and value == DEFAULTS[key][ours]:
            value = "the default"
        # Ours are quoted where they would not be read back otherwise.
        out.append((key, value.strip('"')))
    return sorted(out)


CONFIGS = {
    "nothing": "",
    "first value": "Port 1\nPort 2\nUser a\nUser b\nHost *\nPort 3\n",
    "host patterns": "Host *.example !bad.example\nPort 2\nHost web.example\nUser web\nHost w?b.*\nCompression yes\n",
    "negated": "Host * !web.example\nPort 9\nHost !db.example *\nUser x\n",
    "only negated": "Host !db.example\nPort 9\n",
    "hostname": "Host web*\nHostname %h.internal\nHost *.internal\nPort 7\nMatch host *.internal\nPort 8\n",
    "match host": "Match host web.example\nPort 5\nMatch originalhost web.*\nUser o\n",
    "match user": "Match user alice\nPort 5\nUser alice\nMatch user alice\nPort 6\n",
    "match local user": "Match localuser root\nPort 5\nMatch localuser *\nUser l\n",
    "match exec": "Match exec \"test %h = web.example\"\nPort 5\nMatch exec false\nPort 6\nMatch !exec false\nUser e\n",
    "match exec order": "Match host nobody exec \"touch /nonexistent/never\"\nPort 4\nMatch host web.* exec true\nPort 5\n",
    "match all": "Match all\nPort 5\nMatch final all\nUser f\n",
    "match final": "Hostname real.example\nMatch final host real.example\nPort 5\nMatch host real.example\nUser r\n",
    "match canonical": "Match canonical all\nPort 5\nMatch !canonical all\nUser r\n",
    "host in final": "Hostname real.example\nMatch final all\nCompression yes\nHost real.example\nPort 6\n",
    "quotes": 'User "a b"\nIdentityFile "/x y" # remark\nProxyCommand nc "%h" %p # no remark\nHostkeyAlias=z\nPort = 7\n',
    "single quotes": "User 'a b'\nIdentityFile '/x y'\n",
    "identity files": "IdentityFile ~/.ssh/a\nIdentityFile /b\nIdentityFile %d/c-%r@%h\nIdentityFile /b\nCertificateFile ~/.ssh/c.pub\n",
    "forwards": "LocalForward 80 a:81\nLocalForward 127.0.0.1:82 [::1]:83\nLocalForward *:84 b:85\nRemoteForward 86 c:87\n"
                "RemoteForward [::1]:88 d:89\nDynamicForward 1080\nDynamicForward 127.0.0.1:1081\n",
    "cleared": "ClearAllForwardings yes\nLocalForward 80 a:81\nDynamicForward 1080\n",
    "environment": "SendEnv LANG LC_*\nSendEnv -LC_*\nSendEnv X\nSetEnv A=1\n",
    "times": "ConnectTimeout 1m\nServerAliveInterval 1h\nForwardX11Timeout 2d\nControlPersist 90s\nAddKeysToAgent 1h30m\n",
    "rekey": "RekeyLimit 1G 1h\n",
    "words": "Compression yes\nTCPKeepAlive false\nPubkeyAuthentication Unbound\nStrictHostKeyChecking off\n"
             "VerifyHostKeyDNS ask\nAddressFamily INET\nRequestTTY force\nSessionType subsystem\nTunnel ethernet\n",
    "levels": "LogLevel silent\nSyslogFacility local3\nFingerprintHash md5\n",
    "canonical words": "CanonicalDomains a.example b.example\nCanonicalizeMaxDots 3\nCanonicalizeFallbackLocal no\n",
    "known hosts": "UserKnownHostsFile ~/a %d/b /c\nGlobalKnownHostsFile /d /e\nRevokedHostKeys ~/f\nHashKnownHosts yes\n",
    "update default": "UserKnownHostsFile ~/.ssh/known_hosts\n",
    "update with files": "UserKnownHostsFile /a\n",
    "update with dns": "VerifyHostKeyDNS yes\n",
    "control": "ControlPath ~/.ssh/%r@%h:%p\nControlMaster autoask\nControlPersist yes\n",
    "agent": "IdentityAgent ~/agent\nAddKeysToAgent ask\n",
    "proxy command": "ProxyCommand nc %h %p\nProxyJump a\n",
    "proxy jump": "ProxyJump u@a:1,[::1]:2\nProxyCommand nc\n",
    "proxy none": "ProxyJump none\nHost *\nProxyJump a\n",
    "proxy command none": "ProxyCommand none\nHost *\nProxyCommand nc\n",
    "commands": "RemoteCommand a \"b c\" %h\nLocalCommand x %T\nPermitLocalCommand yes\nKnownHostsCommand /x %H\n",
    "escape": "EscapeChar none\nEnableEscapeCommandline yes\n",
    "qos": "IPQoS af21 cs1\n",
    "old words": "Protocol 2\nChallengeResponseAuthentication no\nPubkeyAcceptedKeyTypes ssh-ed25519\nIdentityFile2 /x\n",
    "ignored": "IgnoreUnknown Foo*,useKeychain\nFooBar 1\nUseKeychain yes\nPort 5\n",
    "limits": "PermitRemoteOpen a:1 *:2 [::1]:3\nStreamLocalBindMask 0077\nNumberOfPasswordPrompts 5\nRequiredRSASize 2048\n",
    "tunnel": "TunnelDevice 3:any\n",
    "crlf": "Port 5\r\nUser x\r\n",
    "tabs": "\tPort\t5\n  Host=web.example\n\tUser\tx  \n",
    "include": "Include included\nPort 9\n",
    "include in host": "Host nobody\nInclude included\nHost *\nPort 9\n",
    "include glob": "Include inc*d missing* ~/none\nUser z\n",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("config")
    (folder / "included").write_text("User included\nHost web.example\nCompression yes\n")
    for name, text in CONFIGS.items():
        (folder / name).write_text(text.replace("Include included", f"Include {folder}/included").replace("Include inc", f"Include {folder}/inc"))
    return folder


@pytest.mark.parametrize("name", CONFIGS)
def test_dump_is_openssh_s(folder, name):
    debian = dump(require("ssh"), "web.example", config=folder / name)
    ours = dump(tool("ssh"), "web.example", config=folder / name)
    assert debian.returncode == ours.returncode == 0, debian.stderr + ours.stderr
    assert lines_of(ours, True) == lines_of(debian, False)


@pytest.mark.parametrize("name", CONFIGS)
def test_dump_reads_back(folder, tmp_path, name):
    first = dump(tool("ssh"), "web.example", config=folder / name)
    again = tmp_path / "again"
    # "host" is what was typed, not a keyword's value.
    again.write_text("".join(line + "\n" for line in first.stdout.splitlines() if not line.startswith("host ")))
    second = dump(tool("ssh"), "web.example", config=again)
    assert second.returncode == 0, second.stderr
    assert second.stdout == first.stdout


FLAGS = [["-p", "2222"], ["-l", "me"], ["-C"], ["-4"], ["-6"], ["-A"], ["-a"], ["-N"], ["-n"], ["-T"], ["-t"], ["-tt"], ["-g"], ["-q"], ["-v"],
         ["-vvv"], ["-b", "1.2.3.4"], ["-e", "none"], ["-e", "^b"], ["-i", "/k"], ["-i", "/etc/passwd"], ["-o", "User=a", "-l", "b"], ["-l", "b", "-o", "User=a"], ["-o", "User=a", "b@web.example", "-v"],
         ["b@web.example", "-o", "User=a"], ["-J", "a,b"], ["-L", "80:a:81"], ["-L", "[::1]:80:[::2]:81"],
         ["-R", "80:a:81"], ["-D", "1080"], ["-D", "127.0.0.1:1080"], ["-o", "Port=3"], ["-oPort 3"], ["-W", "h:1"], ["-fN"],
         ["-p", "1", "-o", "Port=2"], ["-o", "Port=2", "-p", "1"],
         # Of a letter and its opposite the later one holds (`alias ssh="ssh -A"`, and then -a), also over -o.
         ["-A", "-a"], ["-a", "-A"], ["-oForwardAgent=yes", "-a"], ["-a", "-oForwardAgent=yes"], ["-X", "-x"], ["-x", "-X"], ["-4", "-6"],
         ["-t", "-T"], ["-T", "-t"], ["-tt", "-T"], ["-t", "-t"], ["-t", "-N"], ["-oRequestTTY=no", "-t"], ["-v", "-q"], ["-q", "-v", "-v"],
         ["-oLogLevel=ERROR", "-v"], ["-M"], ["-MM"], ["-oControlMaster=auto", "-M"], ["-S", "/a", "-S", "none"],
         ["-oControlPath=/c", "-S", "/a"], ["-b", "1.1.1.1", "-b", "2.2.2.2"], ["-oCompression=no", "-C"], ["-oGatewayPorts=no", "-g"],
         ["-oStdinNull=no", "-n"], ["-I", "/p", "-I", "/q"], ["-K"], ["-K", "-k"], ["-oTunnelDevice=3:4", "-w", "1:2"],
         ["-oBindInterface=eth0", "-B", "lo"]]


@pytest.mark.parametrize("flags", FLAGS, ids=" ".join)
def test_flags(flags):
    host = [] if any("@" in flag for flag in flags) else ["web.example"]
    debian, ours = dump(require("ssh"), *flags, *host), dump(tool("ssh"), *flags, *host)
    assert debian.returncode == ours.returncode == 0, ours.stderr
    if flags[0] == "-e" and flags[1] != "none":
        return  # 9.2 prints control characters in a way that it does not read
    assert lines_of(ours, True) == lines_of(debian, False)


@pytest.mark.parametrize("what", ["cipher", "cipher-auth", "mac", "kex", "key", "key-cert", "key-plain", "key-sig", "sig",
                                  "HostKeyAlgorithms", "PubkeyAcceptedKeyTypes", "Ciphers", "MACs", "KexAlgorithms"])
def test_lists_of_algorithms(what):
    """-Q: what Debian's lists, without DSA, and what came later."""
    def listed(program):
        done = subprocess.run([program, "-Q", what], capture_output=True, text=True, timeout=20 * SLOW, check=True)
        return set(done.stdout.split())
    ours, debian = listed(tool("ssh")), {name for name in listed(require("ssh")) if not name.startswith("ssh-dss")}
    assert debian <= ours
    assert all(name.startswith(("mlkem768", "webauthn-")) for name in ours - debian)


@pytest.mark.parametrize("host", ["web.example", "me@web.example", "ssh://me@web.example:2222", "ssh://web.example", "me@there@web.example",
                                  "::1", "0:0::1", "WEB.Example"])
def test_destinations(host):
    debian, ours = dump(require("ssh"), host), dump(tool("ssh"), host)
    assert debian.returncode == ours.returncode == 0, ours.stderr
    mine, theirs = lines_of(ours, True), lines_of(debian, False)
    # 9.2 has no "host" line.
    assert [x for x in mine if x[0] != "host"] == [x for x in theirs if x[0] != "host"]


BAD = [["-p", "0", "h"], ["-p", "70000", "h"], ["-p", "x", "h"], ["-o", "Nothing=1", "h"], ["-o", "Port", "h"], ["-L", "x", "h"], ["-D", "x:y:z:1", "h"],
       ["-e", "ab", "h"], ["-W", "x", "h"], ["-Q", "nothing"], ["-9", "h"], ["-p"], ["-s", "h"], ["-f", "h"], ["-J", "-x", "h"], ["-l", "a;b", "h"],
       ["-oProxyJump=a;b", "h"], ["-F", "/nonexistent", "h"], []]


@pytest.mark.parametrize("args", BAD, ids=" ".join)
def test_errors(args):
    run = [tool("ssh"), *([] if "-F" in args else ["-F", "none"]), "-o", "ConnectTimeout=1", *args]
    done = subprocess.run(run if args else [tool("ssh")], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=30 * SLOW)
    assert done.returncode == 255 and done.stderr


BROKEN = {"keyword": "Prot 22\n", "value": "Port x\n", "quote": 'User "a\n', "criterion": "Match hots a\n", "no criterion": "Match\n",
          "cname": "CanonicalizePermittedCNAMEs a\n", "domain": "CanonicalDomains a/b\n", "server": "ClientAliveInterval 3\n",
          "token": "Hostname %q\n", "empty": "Port\n", "include": "Include %q\n"}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files_name_the_line(tmp_path, name):
    path = tmp_path / "config"
    path.write_text("# one\n" + BROKEN[name])
    done = dump(tool("ssh"), "h", config=path)
    assert done.returncode == 255 and f"{path}:2: " in done.stderr
    if name != "include":  # 9.2 has no tokens there
        assert subprocess.run([require("ssh"), "-F", str(path), "-G", "h"], capture_output=True, stdin=subprocess.DEVNULL).returncode == 255


def test_keys_in_their_order(keys, tmp_path):
    """-Z: what would be offered, without a connection: the agent's that are configured, its others, then files."""
    agent = Agent(str(tmp_path))
    try:
        agent.add(keys.path("user", "rsa"))
        agent.add(keys.path("user", "ecdsa"))
        options = ["-F", "none", "-i", keys.path("user"), "-i", keys.path("user", "ecdsa"), "-Z", "nowhere.invalid"]
        done = subprocess.run([tool("ssh"), *options], env={**os.environ, "SSH_AUTH_SOCK": agent.path},
                              capture_output=True, text=True, timeout=20 * SLOW)
        assert done.returncode == 0 and done.stderr == "", done.stderr
        assert [line.split()[1] for line in done.stdout.splitlines()] == ["ECDSA", "RSA", "ED25519"]
        assert [line.endswith(" agent") for line in done.stdout.splitlines()] == [True, True, False]
        only = subprocess.run([tool("ssh"), "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", *options],
                              capture_output=True, text=True, timeout=20 * SLOW)
        assert [line.split()[1] for line in only.stdout.splitlines()] == ["ED25519", "ECDSA"]
    finally:
        agent.stop()
