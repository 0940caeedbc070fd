"""Keywords that an administrator sets once and forgets, on our sshd and on Debian's: both do the same."""
import os
import re
import socket
import subprocess

import pytest
from conftest import SERVERS, SLOW, USER, free_port, needs_root, require, tool, wait_until

SSH = "ssh"


@pytest.fixture(params=SERVERS)
def start(request, lab):
    """start(lines): one of both servers."""
    return lab.sshd if request.param == "ours" else lab.openssh


def run(lab, server, command, *options, user=USER, **kw):
    return lab.ssh(server, "-l", user, *options, command, program=SSH, **kw)


HOME = ".ssh/authorized_keys"

# ---- what a login gets ----

PROBE = ("env | grep -v SSH_ | sort; pwd; umask; ulimit -a; cat /proc/self/oom_score_adj; nice; ps -o pgid=,sid= -p $$ | "
         "awk '{print ($1 == $2)}'; grep -E '^(Sig(Blk|Ign|Cgt)|Cap|NoNewPrivs|Seccomp|Groups)' /proc/self/status; ls /proc/self/fd | "
         "wc -l; tr '\\0' ' ' </proc/$$/cmdline; echo $0; stty -a 2>/dev/null; stat -c %U $(tty) 2>/dev/null")


@needs_root
@pytest.mark.parametrize("who", ["account", "root"])
@pytest.mark.parametrize("pam", ["yes", "no"])
@pytest.mark.parametrize("tty", ["-T", "-tt"])
def test_a_login_finds_the_same(lab, account, who, pam, tty):
    """Environment, folder, limits, signals, descriptors, terminal."""
    found = []
    for start in (lab.sshd, lab.openssh):
        server = start(f"UsePAM {pam}\nLogLevel ERROR\n", authorized=f"{lab.keys.authorized_keys} {HOME}")
        done = run(lab, server, PROBE, tty, user=account.name if who == "account" else "root", env={**os.environ, "TERM": "vt220"})
        found.append(re.sub(r"pts/\d+", "pts/N", done.stdout.decode()).splitlines())
    assert found[0] == found[1]


@needs_root
def test_variables_of_the_connection(lab, start, account):
    server = start("ExposeAuthInfo yes\n", authorized=HOME)
    out = run(lab, server, "echo $SSH_CLIENT,$SSH_CONNECTION,$SSH_TTY,$SSH_ORIGINAL_COMMAND; test -f $SSH_USER_AUTH && echo file",
              "-tt", user=account.name).stdout.decode()
    assert re.fullmatch(rf"127.0.0.1 (\d+) {server.port},127.0.0.1 \1 127.0.0.1 {server.port},/dev/pts/\d+,\r\nfile\r\n", out), out


# ---- the link ----

def established(server, *options):
    """What ss says of the server's ends of links to it."""
    done = subprocess.run([require("ss"), "-tnH", *options, "state", "established", f"sport = :{server.port}"], capture_output=True,
                          text=True, timeout=30)
    return done.stdout


@pytest.fixture
def session(lab):
    """session(server, *options): a client that stays until the end of the test; it is in."""
    clients = []

    def begin(server, *options, then="cat"):
        client = subprocess.Popen([SSH, *lab.common(server.port), *options, "127.0.0.1", f"echo in; {then}"], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        clients.append(client)
        assert client.stdout.readline().rstrip(b"\r\n") == b"in"
        return client

    yield begin
    for client in clients:
        client.terminate()
        client.wait(20 * SLOW)
        for pipe in (client.stdin, client.stdout, client.stderr):
            pipe.close()


@pytest.mark.parametrize("value", ["yes", "no"])
def test_tcp_keepalive(start, session, value):
    server = start(f"TCPKeepAlive {value}\n")
    session(server)
    # A timer for what is under way is shown in its place.
    assert wait_until(lambda: "timer:(on" not in established(server, "-o"))
    assert ("keepalive" in established(server, "-o")) == (value == "yes")


@pytest.mark.parametrize("options,tos", [(["-tt"], "0xb8"), ([], "0x20")])
def test_ip_qos(start, session, options, tos):
    """The class of the link is that of its sessions: with a terminal, or without."""
    server = start("IPQoS ef cs1\nLogLevel ERROR\n")
    session(server, *options)
    assert wait_until(lambda: f"tos:{tos} " in established(server, "--tos")), established(server, "--tos")


def test_ip_qos_follows_the_terminals(lab, session, tmp_path):
    """As OpenSSH since 10.1: a copy beside a terminal, and then alone; and "none" is the system's own."""
    server, path = lab.sshd("IPQoS ef none\n"), str(tmp_path / "master")
    share = ["-o", f"ControlPath={path}"]
    session(server, *share, "-M")

    def is_now(tos):
        assert wait_until(lambda: f"tos:{tos} " in established(server, "--tos")), established(server, "--tos")

    is_now("0")
    terminal = session(server, *share, "-tt", then="read x")
    is_now("0xb8")
    session(server, *share)
    is_now("0xb8")
    terminal.stdin.write(b"\n")
    terminal.stdin.flush()
    terminal.wait(30 * SLOW)
    is_now("0")


def test_version_addendum(start):
    server = start("VersionAddendum of the third floor\n")
    with socket.create_connection(("127.0.0.1", server.port), 20 * SLOW) as s:
        s.settimeout(20 * SLOW)
        assert s.makefile("rb").readline().endswith(b" of the third floor\r\n")


@pytest.mark.parametrize("value,name", [("no", "none"), ("yes", "zlib@openssh.com"), ("delayed", "zlib@openssh.com")])
def test_compression(lab, start, value, name):
    server = start(f"Compression {value}\n")
    done = run(lab, server, "head -c 300000 /dev/zero | wc -c", "-C", "-v")
    assert done.stdout == b"300000\n" and f"compression: {name}".encode() in done.stderr


def test_rekey_by_time(start, session):
    server = start("RekeyLimit default 1\n")
    client = session(server, "-v")
    os.set_blocking(client.stderr.fileno(), False)
    told = [b""]

    def again():
        client.stdin.write(b"x\n")  # a link without traffic has no need of new keys
        client.stdin.flush()
        told[0] += client.stderr.read() or b""
        return told[0].count(b"SSH2_MSG_NEWKEYS received") >= 2

    assert wait_until(again, 30, step=0.2), told[0]


def test_moduli_file(lab, start, tmp_path):
    """Group exchange takes its groups from that file, and goes on without it."""
    with open("/etc/ssh/moduli") as f:
        [line, *_] = [line for line in f if line.split()[4:5] == ["3071"]]
    path = tmp_path / "moduli"
    path.write_text("# one group\n" + line)
    kex = "KexAlgorithms=diffie-hellman-group-exchange-sha256"
    server = start(f"ModuliFile {path}\n{kex.replace('=', ' ')}\n")
    done = run(lab, server, "echo in", "-vv", "-o", kex)
    assert done.stdout == b"in\n" and re.search(rb"bits set: \d+/3072", done.stderr), done.stderr
    server = start(f"ModuliFile {tmp_path}/none\n{kex.replace('=', ' ')}\n")
    assert run(lab, server, "echo in", "-o", kex).stdout == b"in\n"


# ---- the log ----

@pytest.mark.parametrize("value,text", [("md5", " ED25519 MD5:"), ("sha256", " ED25519 SHA256:")])
def test_fingerprint_hash(lab, start, value, text):
    server = start(f"FingerprintHash {value}\n")
    assert run(lab, server, "true").returncode == 0
    server.wait_log(text)


def test_throttling_is_told(lab, start):
    """MaxStartups: those above the limit are let go, and the log says so."""
    server = start("MaxStartups 2:100:2\nLoginGraceTime 60\n")
    links = []
    try:
        for _ in range(5):
            links.append(socket.create_connection(("127.0.0.1", server.port), 20 * SLOW))
        server.wait_log("beginning MaxStartups throttling")
        server.wait_log("drop connection #")
        assert "past MaxStartups" in server.log()
    finally:
        for link in links:
            link.close()


# ---- keywords without effect here, and the process ----

def test_keywords_of_kerberos_hold_nobody_up(lab):
    """Accepted with a note; what a configuration of another distribution says does not stop the server."""
    server = lab.sshd("GSSAPIAuthentication yes\nGSSAPICleanupCredentials yes\nGSSAPIStrictAcceptorCheck no\nKerberosAuthentication no\n"
                      "KerberosOrLocalPasswd yes\nKerberosTicketCleanup yes\nLogVerbose kex.c:*\n"
                      "SshdSessionPath /usr/lib/sshd-session\nSshdAuthPath /usr/lib/sshd-auth\n")
    assert run(lab, server, "echo in").stdout == b"in\n"


def test_debug_serves_one_connection(lab, start):
    program, port, ours = (tool("sshd") if start == lab.sshd else require("sshd")), free_port(), start == lab.sshd
    config = lab.config(port, "PerSourcePenalties no\n" if ours else "")
    server = lab._start("sshd", [program, "-d", "-f", config], port)
    assert run(lab, server, "echo in").stdout == b"in\n"
    assert wait_until(lambda: server.process.poll() is not None)
    assert "Accepted publickey" in server.log()


def test_reload_with_hang_up(lab, start, session):
    """SIGHUP: new logins have what the file says now, and who is in stays."""
    server = start("VersionAddendum before\n")
    client = session(server)
    server.reload("ForceCommand echo after\n")
    assert wait_until(lambda: run(lab, server, "echo no").stdout == b"after\n", 30, step=0.2)
    client.stdin.write(b"still here\n")
    client.stdin.flush()
    assert client.stdout.readline() == b"still here\n"
