"""PerSourcePenalties, PerSourceMaxStartups and their kin, with sources from 127.0.0.0/8."""
import os
import signal
import socket
import subprocess
import time

import pytest
from conftest import SLOW, USER, listens, needs_root, require, wait_until
from processes import of_session

SSH = "ssh"


def login(lab, server, source="127.0.0.1", user=USER, key=None):
    options = ["-b", source, "-l", user, "-o", "ConnectTimeout=10"]
    return lab.ssh(server, *options, *(["-i", key] if key else []), "true", program=SSH)


def banner(server, source, seconds=5):
    """The first line that a link from that source gets."""
    with socket.create_connection(("127.0.0.1", server.port), seconds, (source, 0)) as s:
        s.settimeout(seconds)
        try:
            return s.recv(64)
        except ConnectionResetError:
            return b""


def refused(server, source):
    return b"Not allowed" in banner(server, source)


def hit(server, source):
    """A link without an attempt to log in."""
    assert banner(server, source).startswith(b"SSH-2.0-")


def test_noauth(lab):
    server = lab.sshd("PerSourcePenalties noauth:2s min:3s\n")
    hit(server, "127.0.0.5")
    hit(server, "127.0.0.5")
    assert wait_until(lambda: refused(server, "127.0.0.5"))
    server.wait_log("penalty: connections without attempting authentication")
    server.wait_log("drop connection #")
    # Others come in, and so does this one when it is over.
    assert login(lab, server, "127.0.0.6").returncode == 0
    assert wait_until(lambda: not refused(server, "127.0.0.5"), 8)


def test_authfail_and_invalid_user(lab, tmp_path):
    server = lab.sshd("PerSourcePenalties authfail:20s invaliduser:20s min:10s\n", authorized="/nonexistent")
    assert login(lab, server, "127.0.0.7").returncode == 255
    server.wait_log("penalty: failed authentication")
    assert wait_until(lambda: refused(server, "127.0.0.7"))
    assert login(lab, server, "127.0.0.8", user="no-such-user-here").returncode == 255
    server.wait_log("penalty: invalid user")
    assert wait_until(lambda: refused(server, "127.0.0.8"))
    assert not refused(server, "127.0.0.9")


def test_a_good_login_costs_nothing(lab):
    server = lab.sshd("PerSourcePenalties noauth:20s authfail:20s min:1s\n")
    server_probe = "127.0.0.1"  # the fixture's own look whether it listens
    wait_until(lambda: refused(server, server_probe), 3)
    for _ in range(5):
        assert login(lab, server, "127.0.0.10").returncode == 0
    assert not refused(server, "127.0.0.11")


def test_grace(lab):
    server = lab.sshd("LoginGraceTime 1\nPerSourcePenalties grace-exceeded:20s min:10s\n")
    with socket.create_connection(("127.0.0.1", server.port), 5, ("127.0.0.12", 0)) as s:
        s.settimeout(10 * SLOW)
        while s.recv(4096):
            pass
    assert wait_until(lambda: refused(server, "127.0.0.12"))
    server.wait_log("penalty: exceeded LoginGraceTime")


def test_crash_outlives_the_listener(lab):
    """The gate's death makes a new listener, which knows the penalty."""
    server = lab.sshd("PerSourcePenalties crash:30s\n")
    with socket.create_connection(("127.0.0.1", server.port), 5, ("127.0.0.13", 0)) as s:
        assert s.recv(64)
        gates = wait_until(lambda: gates_of(server))
        os.kill(gates[0], signal.SIGSEGV)
        server.wait_log("new address layout")
    server.wait_log("penalty: caused crash")
    time.sleep(0.5)  # the new listener accepts
    assert wait_until(lambda: refused(server, "127.0.0.13"))
    assert login(lab, server, "127.0.0.14").returncode == 0


def gates_of(server):
    return [p.pid for p in of_session(server.process.pid) if "gate" in p.title]


def test_networks_and_exemptions(lab):
    server = lab.sshd("PerSourcePenalties noauth:20s min:10s\nPerSourceNetBlockSize 24:64\n"
                      "PerSourcePenaltyExemptList 127.0.3.0/24\n")
    hit(server, "127.0.2.1")
    assert wait_until(lambda: refused(server, "127.0.2.200"))
    for _ in range(5):
        hit(server, "127.0.3.1")
    time.sleep(0.3)
    assert not refused(server, "127.0.3.1")


def test_overflow_deny_all(lab):
    server = lab.sshd("PerSourcePenalties noauth:20s min:10s max-sources4:2 overflow:deny-all\n")
    for source in ("127.0.4.1", "127.0.4.2"):
        hit(server, source)
    assert wait_until(lambda: refused(server, "127.0.4.77"))


def test_penalties_survive_a_reload(lab):
    server = lab.sshd("PerSourcePenalties noauth:30s min:10s\n")
    hit(server, "127.0.5.1")
    assert wait_until(lambda: refused(server, "127.0.5.1"))
    server.process.send_signal(signal.SIGHUP)
    server.wait_log("Received SIGHUP")
    time.sleep(0.5)
    assert refused(server, "127.0.5.1")


def ended(server, how):
    """The server by that signal, and nobody listens on its port any more."""
    server.process.send_signal(how)
    server.process.wait(30)
    assert wait_until(lambda: not listens(server.port), 30)


def test_penalties_survive_the_keeper(lab):
    """Killed and started anew, without a session in between: who was refused still is. A stop forgets them."""
    lines, source = "PerSourcePenalties noauth:300s min:10s\n", "127.0.5.2"
    server = lab.sshd(lines)
    hit(server, source)
    assert wait_until(lambda: refused(server, source), 30)
    ended(server, signal.SIGKILL)
    after = lab.sshd(lines, port=server.port)
    assert wait_until(lambda: refused(after, source), 30)
    assert login(lab, after, "127.0.5.3").returncode == 0
    # Again, while a session is on, by which the penalties of the first server come.
    words = [SSH, *lab.common(server.port), "-b", "127.0.5.3", "-l", USER, "127.0.0.1", "cat"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as client:
        client.stdin.write(b"one\n")
        client.stdin.flush()
        assert client.stdout.readline() == b"one\n"
        ended(after, signal.SIGKILL)
        third = lab.sshd(lines, port=server.port)
        third.wait_log("Found 1 sessions")
        assert wait_until(lambda: refused(third, source), 30)
        ended(third, signal.SIGTERM)
        fourth = lab.sshd(lines, port=server.port)
        fourth.wait_log("Found 1 sessions")
        assert banner(fourth, source).startswith(b"SSH-2.0-")
        client.stdin.close()
        assert client.wait(30) == 0


def test_max_startups_of_a_source(lab):
    server = lab.sshd("PerSourceMaxStartups 3\n")
    held = [socket.create_connection(("127.0.0.1", server.port), 5, ("127.0.6.1", 0)) for _ in range(3)]
    for s in held:
        assert s.recv(64)
    assert refused(server, "127.0.6.1")
    assert login(lab, server, "127.0.6.2").returncode == 0
    server.wait_log("PerSourceMaxStartups")
    for s in held:
        s.close()
    assert wait_until(lambda: not refused(server, "127.0.6.1"))


@needs_root
def test_between_network_namespaces(lab):
    """Sources of a network of the test's own, by IPv4 and IPv6."""
    ip = require("ip")
    space, a, b = f"bwl{os.getpid()}", f"bwa{os.getpid() % 10000}", f"bwb{os.getpid() % 10000}"

    def run(*words, check=True):
        return subprocess.run(words, check=check, capture_output=True, text=True, timeout=20)

    if run(ip, "netns", "add", space, check=False).returncode != 0:
        pytest.skip("no network namespaces here")
    try:
        run(ip, "link", "add", a, "type", "veth", "peer", "name", b)
        run(ip, "link", "set", b, "netns", space)
        for where, link, n in (([], a, 1), (["netns", "exec", space, ip], b, 2)):
            words = [ip, *where]
            run(*words, "addr", "add", f"10.213.77.{n}/24", "dev", link)
            run(*words, "addr", "add", f"fd77:213::{n}/64", "dev", link, "nodad")
            run(*words, "link", "set", link, "up")
        server = lab.sshd("ListenAddress 10.213.77.1\nListenAddress fd77:213::1\nAddressFamily any\n"
                          "PerSourcePenalties noauth:30s min:10s\nPerSourceNetBlockSize 32:64\n")
        probe = ("import socket,sys; s=socket.create_connection((sys.argv[1],int(sys.argv[2])),5);"
                 "s.settimeout(5); print(s.recv(64))")
        for address in ("10.213.77.1", "fd77:213::1"):
            def look():
                return run(ip, "netns", "exec", space, "/usr/bin/python3", "-c", probe, address, str(server.port)).stdout
            assert "SSH-2.0-" in look()
            assert wait_until(lambda: "Not allowed" in look())
            server.wait_log("fd77:213::/64" if ":" in address else "10.213.77.2/32")
    finally:
        run(ip, "link", "del", a, check=False)
        run(ip, "netns", "del", space, check=False)
