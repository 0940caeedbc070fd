"""-w, Tunnel, PermitTunnel: tunnel devices, each end in a network namespace of its own, with Debian's ssh and sshd as the
other end.

The namespaces are those of the programs (unshare), so nothing of them is left when these have ended."""
import hashlib
import os
import shutil
import subprocess

import pytest
from conftest import SLOW, Account, end_process, free_port, needs_root, require, tool, wait_until

pytestmark = [needs_root,
              pytest.mark.skipif(not os.path.exists("/dev/net/tun"), reason="no /dev/net/tun here")]
SERVER, CLIENT = ("10.213.78.1", "fd78:213::1"), ("10.213.78.2", "fd78:213::2")
ALONE = "ip link set lo up; "  # in a fresh network namespace
PAIRS = [("ours", "ours"), ("ours", "openssh"), ("openssh", "ours")]

# One that gives back what it gets, on every address; and one that asks each of them for 200 kB.
TALK = """
import hashlib, socket, sys
if sys.argv[1] == "serve":
    s = socket.create_server(("", 7777), family=socket.AF_INET6, dualstack_ipv6=True)
    print("up", flush=True)
    for i in range(2):
        c, _ = s.accept()
        c.settimeout(60)
        while part := c.recv(65536):
            c.sendall(part)
else:
    for address in sys.argv[2:]:
        s = socket.create_connection((address, 7777), 60)
        data, got = bytes(range(256)) * 800, b""
        for i in range(0, len(data), 20480):
            s.sendall(data[i:i + 20480])
            while len(got) < i + 20480 and (part := s.recv(65536)):
                got += part
        s.close()
        print(hashlib.sha256(got).hexdigest())
"""
SENT = hashlib.sha256(bytes(range(256)) * 800).hexdigest()


def can_isolate():
    words = ["unshare", "-mn", "sh", "-ec", f"{ALONE} ip tuntap add dev tun3 mode tun"]
    return shutil.which("ip") and subprocess.run(words, capture_output=True, timeout=20).returncode == 0


@pytest.fixture(scope="module", autouse=True)
def isolated():
    if not can_isolate():
        pytest.skip("no network namespace with a tunnel device can be made here")
    require("socat")


class Ends:
    """A server and clients in namespaces of their own; a client reaches the server's loopback by its ProxyCommand."""

    def __init__(self, lab):
        self.lab, self.running = lab, []

    def server(self, kind="ours", lines="", first="", authorized=None):
        port = free_port()  # of another loopback, but names in /run know it
        if kind == "ours":
            # A device goes with its link, also where a busy machine has a proxy end before the goodbye is through.
            lines = "PerSourcePenalties no\nResumeGrace 0\n" + lines
        config = self.lab.config(port, lines, authorized=authorized)
        program = tool("sshd") if kind == "ours" else "/usr/sbin/sshd"
        run = f"{ALONE}{first} exec {program} -D -e -f {config}"
        server = self.lab._start("sshd", ["unshare", "-mn", "sh", "-ec", run], port, wait=False)
        server.wait_log("Server listening on", 30)
        return server

    def arguments(self, server, kind="ours", *options):
        near = f"nsenter -t {server.process.pid} -n socat - TCP:127.0.0.1:{server.port}"
        program = tool("ssh") if kind == "ours" else "/usr/bin/ssh"
        return ["unshare", "-n", program, *self.lab.common(server.port), "-o", f"ProxyCommand={near}",
                *options]

    def ssh(self, *words):
        process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.running.append(process)
        return process

    def end(self):
        for process in self.running:
            end_process(process)
            for stream in (process.stdin, process.stdout, process.stderr):
                stream.close()


@pytest.fixture
def ends(lab):
    made = Ends(lab)
    yield made
    made.end()


def run(pid, *words, status=0):
    done = subprocess.run(["nsenter", "-t", str(pid), "-n", *words], capture_output=True, text=True, timeout=60 * SLOW)
    assert status is None or done.returncode == status, done.stdout + done.stderr
    return done.stdout


def set_up(pid, device, here, there):
    for words in (("addr", "add", f"{here[0]}/30", "dev", device), ("addr", "add", f"{here[1]}/126", "dev", device, "nodad"),
                  ("link", "set", device, "up")):
        run(pid, "ip", *words)


def ours_of(pid, letters):
    """The devices of a namespace whose names begin so."""
    return [line.split()[1].rstrip(":") for line in run(pid, "ip", "-o", "link").splitlines()
            if line.split()[1].startswith(letters)]


@pytest.mark.parametrize("mode,letters", [("point-to-point", "tun"), ("ethernet", "tap")])
@pytest.mark.parametrize("client,server", PAIRS)
def test_packets(ends, client, server, mode, letters):
    """TCP by IPv4 and by IPv6 through the tunnel, both ways, and the tunnel's end with its client."""
    far = ends.server(server, f"PermitTunnel {mode}\n")
    options = ["-o", f"Tunnel={mode}", "-w", "4:any"]
    near = ends.ssh(*ends.arguments(far, client, *options), "127.0.0.1", 'echo "device $SSH_TUNNEL"; exec cat')
    line = near.stdout.readline()
    assert line.startswith(f"device {letters}"), line + near.stderr.read()
    device = line.split()[1]
    assert ours_of(near.pid, letters) == [f"{letters}4"] and ours_of(far.process.pid, letters) == [device]
    set_up(far.process.pid, device, SERVER, CLIENT)
    set_up(near.pid, f"{letters}4", CLIENT, SERVER)
    listener = subprocess.Popen(["nsenter", "-t", str(far.process.pid), "-n", "/usr/bin/python3", "-c", TALK, "serve"],
                                stdout=subprocess.PIPE, text=True)
    try:
        assert listener.stdout.readline() == "up\n"
        assert run(near.pid, "/usr/bin/python3", "-c", TALK, "ask", *SERVER).split() == [SENT, SENT]
    finally:
        end_process(listener)
        listener.stdout.close()
    end_process(near)
    assert wait_until(lambda: ours_of(far.process.pid, letters) == [], 30), far.log()


def refused(ends, far, *options):
    """What the client says of a tunnel that it does not get."""
    words = ends.arguments(far, "ours", "-o", "ExitOnForwardFailure=yes", *options)
    done = subprocess.run([*words, "127.0.0.1", "true"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=60 * SLOW)
    assert done.returncode == 255, done.stderr
    return done.stderr


@pytest.mark.parametrize("lines,options", [
    ("", ["-w", "any"]), ("PermitTunnel ethernet", ["-w", "any"]),
    ("PermitTunnel point-to-point", ["-o", "Tunnel=ethernet"]),
    ("PermitTunnel yes\nDisableForwarding yes", ["-w", "any"])])
def test_what_the_server_does_not_permit(ends, lines, options):
    far = ends.server(lines=lines + "\n")
    assert "the server refuses it (PermitTunnel)" in refused(ends, far, *options)
    far.wait_log("does not allow this one")
    plain = subprocess.run([*ends.arguments(far, "ours", *options), "127.0.0.1", "echo in"], stdin=subprocess.DEVNULL,
                           capture_output=True, text=True, timeout=60 * SLOW)
    assert plain.stdout == "in\n" and "Could not request tunnel forwarding" in plain.stderr


def key_lines(lab, options):
    path = os.path.join(lab.folder, "with_options")
    with open(path, "w") as out:
        out.write(f"{options} {lab.keys.public('user')}")
    return path


def test_a_key_for_one_device(ends):
    """tunnel="5": that device and no other; restrict: none."""
    far = ends.server(lines="PermitTunnel yes\n", authorized=key_lines(ends.lab, 'tunnel="5"'))
    assert "the server refuses it" in refused(ends, far, "-w", "any:3")
    for wish in ("any", "any:5"):
        near = ends.ssh(*ends.arguments(far, "ours", "-w", wish), "127.0.0.1", 'echo "$SSH_TUNNEL"; exec cat')
        assert near.stdout.readline() == "tun5\n"
        end_process(near)
        assert wait_until(lambda: ours_of(far.process.pid, "tun") == [], 30)


@pytest.mark.parametrize("options", ["restrict", "no-port-forwarding"])
def test_a_key_for_no_device(ends, options):
    far = ends.server(lines="PermitTunnel yes\n", authorized=key_lines(ends.lab, options))
    assert "the server refuses it" in refused(ends, far, "-w", "any")


def test_what_cannot_be_opened(ends):
    """A device that is busy, here or there: which one, and why."""
    far = ends.server(lines="PermitTunnel yes\n")
    near = ends.ssh(*ends.arguments(far, "ours", "-w", "any:6"), "127.0.0.1", 'echo "$SSH_TUNNEL"; exec cat')
    assert near.stdout.readline() == "tun6\n"
    assert "the server refuses it" in refused(ends, far, "-w", "any:6")
    far.wait_log("tunnel device tun6: Device or resource busy (another process has it)")
    words = ends.arguments(far, "ours", "-o", "ExitOnForwardFailure=yes", "-w", "0")
    closed = ["unshare", "-mn", "sh", "-ec", 'mount -t tmpfs none /dev/net; exec "$@"', "sh", *words[2:], "127.0.0.1", "true"]
    done = subprocess.run(closed, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60 * SLOW)
    assert done.returncode == 255 and "/dev/net/tun: No such file or directory" in done.stderr


def test_bad_devices():
    for wish in ("x", "1:y", "1:2:3", "99999999999"):
        done = subprocess.run([tool("ssh"), "-F", "none", "-w", wish, "127.0.0.1"], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=20 * SLOW)
        assert done.returncode == 255 and "0:1 or any:any" in done.stderr


def test_flags_and_files(tmp_path):
    """-w is Tunnel and TunnelDevice; an earlier Tunnel keeps its word, ClearAllForwardings has the last."""
    def dump(*options):
        text = subprocess.run([tool("ssh"), "-F", "none", "-G", *options, "host"], capture_output=True, text=True,
                              check=True, timeout=20 * SLOW).stdout.splitlines()
        return [next(line.split()[1] for line in text if line.startswith(name + " ")) for name in ("tunnel", "tunneldevice")]
    assert dump() == ["false", "any:any"]
    assert dump("-w", "3") == ["point-to-point", "3:any"]
    assert dump("-o", "Tunnel=ethernet", "-w", "1:2") == ["ethernet", "1:2"]
    assert dump("-w", "1:2", "-o", "ClearAllForwardings=yes")[0] == "false"


def test_a_user_has_the_devices_made_for_him(ends, keys):
    """Who is not root opens what an administrator made for him, and nothing else."""
    first = ("mount -t tmpfs none /dev/net; mknod -m 666 /dev/net/tun c 10 200 || exit 77;"
             "ip tuntap add dev tun7 mode tun user {user}; ip tuntap add dev tun8 mode tun user 1;")
    account = Account(f"bwt{os.getpid()}", keys, "/bin/sh")
    try:
        far = ends.server(lines="PermitTunnel yes\n", first=first.format(user=account.name),
                          authorized=".ssh/authorized_keys")
        who = ("-l", account.name)
        near = ends.ssh(*ends.arguments(far, "ours", *who, "-w", "any:7"), "127.0.0.1", 'echo "$SSH_TUNNEL"; exec cat')
        assert near.stdout.readline() == "tun7\n"
        for device in ("8", "9", "any"):
            assert "the server refuses it" in refused(ends, far, *who, "-w", f"any:{device}")
        far.wait_log("Operation not permitted (an administrator can make one for a user: ip tuntap add)")
        end_process(near)
    finally:
        account.remove()
