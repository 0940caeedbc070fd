"""Reaching a host through programs and other hosts."""
import os
import subprocess
import time

import pytest

from conftest import SLOW, USER, free_port, tool

RELAY = """
import os, socket, sys, threading
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
def back():
    while data := s.recv(65536):
        os.write(1, data)
    os._exit(0)
threading.Thread(target=back, daemon=True).start()
while data := os.read(0, 65536):
    s.sendall(data)
"""

PASS = """
import array, socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
out = socket.socket(fileno=1)
out.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [s.fileno()]))])
"""


def script(lab, name, text):
    path = os.path.join(lab.folder, name)
    with open(path, "w") as out:
        out.write(text)
    return f"/usr/bin/python3 {path}"


def hosts(lab, **ports):
    """An ssh_config that knows servers by name."""
    path = os.path.join(lab.folder, "ssh_config")
    with open(path, "w") as out:
        for name, (port, lines) in ports.items():
            out.write(f"Host {name}\n Hostname 127.0.0.1\n Port {port}\n {lines}\n"
                      f" UserKnownHostsFile {lab.keys.known_hosts(port)}\n")
        out.write(f"Host *\n IdentityFile {lab.keys.path('user')}\n IdentitiesOnly yes\n"
                  f" GlobalKnownHostsFile none\n BatchMode yes\n User {USER}\n")
    return path


def run(lab, config, *args, **kw):
    return subprocess.run([tool("ssh"), "-F", config, *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=30 * SLOW, **kw)


def test_command(lab):
    server = lab.openssh()
    relay = script(lab, "relay.py", RELAY)
    r = lab.ssh(server, "-o", f"ProxyCommand={relay} %p", "head -c 3000000 /dev/zero | wc -c; cat")
    assert (r.returncode, r.stdout) == (0, b"3000000\n"), r.stderr


def test_command_tokens(lab):
    server, out = lab.openssh(), os.path.join(lab.folder, "tokens")
    relay = script(lab, "relay.py", RELAY)
    r = lab.ssh(server, "-o", f"ProxyCommand=echo %h %n %p %r %% > {out}; {relay} %p", "true")
    # exec takes the first command only, as OpenSSH's does.
    assert r.returncode == 255
    assert open(out).read() == f"127.0.0.1 127.0.0.1 {server.port} {USER} %\n"


def test_command_gets_no_dangerous_name(lab):
    witness = os.path.join(lab.folder, "witness")
    for args in (["-l", "a;touch " + witness, "127.0.0.1"], ["127.0.0.1;touch " + witness],
                 ["-o", f"Hostname=\"x;touch {witness}\"", "127.0.0.1"]):
        r = run(lab, "none", "-o", "ProxyCommand=echo %h %r", *args)
        assert r.returncode == 255 and b"characters" in r.stderr
    assert not os.path.exists(witness)


def test_command_that_fails(lab):
    r = run(lab, "none", "-o", "ProxyCommand=false", "host")
    assert r.returncode == 255 and b"closed" in r.stderr


def test_none_is_no_proxy(lab):
    server = lab.openssh()
    r = lab.ssh(server, "-o", "ProxyCommand=none", "-o", "ProxyJump=gate", "echo on")
    assert r.stdout == b"on\n", r.stderr


def test_timeout_covers_the_proxy(lab):
    start = time.monotonic()
    r = run(lab, "none", "-o", "ConnectTimeout=1", "-o", "ProxyCommand=sleep 20", "host")
    assert r.returncode == 255 and b"timed out" in r.stderr
    assert time.monotonic() - start < 10


def test_descriptor(lab):
    server = lab.openssh()
    r = lab.ssh(server, "-o", f"ProxyCommand={script(lab, 'pass.py', PASS)} %p", "-o", "ProxyUseFdpass=yes", "echo on")
    assert (r.returncode, r.stdout) == (0, b"on\n"), r.stderr
    r = lab.ssh(server, "-o", "ProxyCommand=true", "-o", "ProxyUseFdpass=yes", "echo on")
    assert r.returncode == 255 and b"without passing" in r.stderr
    r = lab.ssh(server, "-o", "ProxyCommand=sleep 9", "-o", "ProxyUseFdpass=yes", "-o", "ConnectTimeout=1", "true")
    assert r.returncode == 255 and b"passes no descriptor" in r.stderr


def test_jump(lab):
    gate, inner = lab.openssh(), lab.openssh()
    config = hosts(lab, gate=(gate.port, ""), inner=(inner.port, "ProxyJump gate"))
    r = run(lab, config, "inner", "echo $SSH_CONNECTION")
    assert r.returncode == 0, r.stderr
    assert r.stdout.split()[3].decode() == str(inner.port)
    assert "Accepted publickey" in gate.log()


def test_chain(lab):
    one, two, inner = lab.openssh(), lab.openssh(), lab.openssh()
    config = hosts(lab, one=(one.port, ""), two=(two.port, ""), inner=(inner.port, ""))
    r = run(lab, config, "-J", f"one,{USER}@two", "inner", "head -c 1000000 /dev/zero")
    assert r.returncode == 0, r.stderr
    assert len(r.stdout) == 1000000
    for server in one, two, inner:
        assert server.log().count("Accepted publickey") == 1


def test_jump_for_all_spares_the_jump_host(lab):
    gate, inner = lab.openssh(), lab.openssh()
    config = hosts(lab, gate=(gate.port, ""), inner=(inner.port, ""))
    with open(config, "a") as out:
        out.write("Host *\n ProxyJump gate\n")
    r = run(lab, config, "inner", "echo on")
    assert (r.returncode, r.stdout) == (0, b"on\n"), r.stderr


@pytest.mark.parametrize("target, through", [("inner", (1, 1, 1)), ("two", (1, 1, 0)), ("one", (1, 0, 0))])
def test_chain_for_all(lab, target, through):
    """Host * with a chain: each hop is reached through those before it, and through no other (OpenSSH 9.2 never ends)."""
    one, two, inner = lab.openssh(), lab.openssh(), lab.openssh()
    config = hosts(lab, one=(one.port, ""), two=(two.port, ""), inner=(inner.port, ""))
    with open(config, "a") as out:
        out.write("Host *\n ProxyJump one,two\n")
    r = run(lab, config, target, "echo on")
    assert (r.returncode, r.stdout) == (0, b"on\n"), r.stderr
    assert tuple(server.log().count("Accepted publickey") for server in (one, two, inner)) == through


def test_jumps_through_each_other_end(lab):
    one, two = lab.openssh(), lab.openssh()
    config = hosts(lab, one=(one.port, "ProxyJump two"), two=(two.port, "ProxyJump one"))
    r = run(lab, config, "one", "echo on")
    assert (r.returncode, r.stdout) == (0, b"on\n"), r.stderr
    assert sum(server.log().count("Accepted publickey") for server in (one, two)) <= 4


def test_hops_of_hops(lab):
    """A jump host's own ProxyJump is kept."""
    outer, gate, inner = lab.openssh(), lab.openssh(), lab.openssh()
    config = hosts(lab, outer=(outer.port, ""), gate=(gate.port, "ProxyJump outer"), inner=(inner.port, "ProxyJump gate"))
    r = run(lab, config, "inner", "echo on")
    assert (r.returncode, r.stdout) == (0, b"on\n"), r.stderr
    assert all(server.log().count("Accepted publickey") == 1 for server in (outer, gate, inner))
    r = run(lab, config, "-J", "none", "inner", "echo on")
    assert (r.returncode, r.stdout) == (0, b"on\n"), r.stderr
    assert gate.log().count("Accepted publickey") == 1


@pytest.mark.parametrize("jump", ["-x", "a;b", "gate,", "[::1", "gate:0", "a$(b)"])
def test_bad_jumps(lab, jump):
    r = run(lab, "none", "-o", f"ProxyJump={jump}", "host")
    assert r.returncode == 255 and r.stderr


def test_nobody_at_the_jump_host(lab):
    inner = lab.openssh()
    config = hosts(lab, gate=(free_port(), ""), inner=(inner.port, ""))
    r = run(lab, config, "-J", "gate", "inner", "true")
    assert r.returncode == 255 and b"refused" in r.stderr
