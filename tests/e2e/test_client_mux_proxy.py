"""Proxy mode of shared connections: a client that speaks the connection protocol itself at the control socket
(MUX_C_PROXY). Debian's ssh, and a small peer of our own that is held against Debian's master as well as ours."""
import hashlib
import os
import signal
import socket
import struct
import subprocess

import pytest

from conftest import SLOW, free_port, wait_until
from test_client_forward import Echo, connect, talk
from test_client_mux import Shared
from test_resume import world  # noqa: F401 (a fixture)

MASTERS = ["ours", "debian"]
WINDOW, PACKET = 1 << 20, 32768
BULK = hashlib.sha256(b"bulk").digest() * (8 * 1024 * 1024 // 32)


def string(text):
    text = text.encode() if isinstance(text, str) else text
    return struct.pack(">I", len(text)) + text


def u32(*numbers):
    return struct.pack(f">{len(numbers)}I", *numbers)


class Channel:
    def __init__(self, peer, number):
        self.peer, self.number = peer, number
        self.theirs = self.window = 0
        self.opened = None  # True, or the reason of the refusal
        self.data, self.errors, self.replies = bytearray(), bytearray(), []
        self.status, self.eof, self.closed, self.close_sent = None, False, False, False

    def request(self, name, fields=b"", reply=True):
        self.peer.send(98, u32(self.theirs) + string(name) + bytes([reply]) + fields)

    def exec(self, command):
        self.request("exec", string(command))

    def write(self, data):
        data = memoryview(data)
        while data:
            self.peer.until(lambda: self.window > 0)
            piece = data[:min(self.window, PACKET)]
            self.peer.send(94, u32(self.theirs) + string(bytes(piece)))
            self.window -= len(piece)
            data = data[len(piece):]

    def end(self):
        self.peer.send(96, u32(self.theirs))

    def close(self):
        if not self.close_sent:
            self.close_sent = True
            self.peer.send(97, u32(self.theirs))

    def finish(self):
        self.peer.until(lambda: self.closed)
        self.close()
        return bytes(self.data)


class Peer:
    """The connection protocol behind MUX_C_PROXY: uint32 length, a byte 0, the message."""

    def __init__(self, path):
        self.s = socket.socket(socket.AF_UNIX)
        self.s.settimeout(30 * SLOW)
        self.s.connect(path)
        self.pending = b""
        self.channels, self.globals, self.offered = {}, [], []
        self.gone = False
        self.s.sendall(string(u32(1, 4)) + string(u32(0x1000000f, 7)))
        assert self.take_string()[:8] == u32(1, 4)
        self.answer = self.take_string()

    def __enter__(self):
        assert self.answer == u32(0x8000000f, 7)
        return self

    def __exit__(self, *_):
        self.s.close()

    def take(self, n):
        while len(self.pending) < n:
            more = self.s.recv(65536)
            if not more:
                raise EOFError
            self.pending += more
        taken, self.pending = self.pending[:n], self.pending[n:]
        return taken

    def take_string(self):
        return self.take(struct.unpack(">I", self.take(4))[0])

    def send(self, number, fields=b""):
        self.s.sendall(string(bytes([0, number]) + fields))

    def until(self, done):
        while not done():
            self.step()

    def step(self):
        message = self.take_string()
        number, fields = message[1], message[2:]
        if number in (81, 82):
            self.globals.append((number == 81, fields))
        elif number == 90:
            n = struct.unpack(">I", fields[:4])[0]
            self.offered.append((fields[4:4 + n], *struct.unpack(">III", fields[4 + n:16 + n]), fields[16 + n:]))
        elif number >= 91:
            self.on_channel(number, self.channels[struct.unpack(">I", fields[:4])[0]], fields[4:])

    def on_channel(self, number, c, fields):
        if number == 91:
            c.theirs, c.window = struct.unpack(">II", fields[:8])
            c.opened = True
        elif number == 92:
            c.opened = struct.unpack(">I", fields[:4])[0]
        elif number == 93:
            c.window += struct.unpack(">I", fields)[0]
        elif number in (94, 95):
            data = fields[4:] if number == 94 else fields[8:]
            (c.data if number == 94 else c.errors).extend(data)
            self.send(93, u32(c.theirs, len(data)))
        elif number == 96:
            c.eof = True
        elif number == 97:
            c.closed = True
        elif number == 98 and fields.startswith(string("exit-status")):
            c.status = struct.unpack(">I", fields[-4:])[0]
        elif number in (99, 100):
            c.replies.append(number == 99)

    def open(self, kind="session", fields=b"", number=None):
        c = Channel(self, len(self.channels) + 40 if number is None else number)
        self.channels[c.number] = c
        self.send(90, string(kind) + u32(c.number, WINDOW, PACKET) + fields)
        self.until(lambda: c.opened is not None)
        return c

    def accept(self):
        """What the server opens."""
        self.until(lambda: self.offered)
        kind, theirs, window, _, fields = self.offered.pop()
        c = Channel(self, len(self.channels) + 40)
        c.theirs, c.window, c.opened = theirs, window, True
        self.channels[c.number] = c
        self.send(91, u32(theirs, c.number, WINDOW, PACKET))
        return kind, fields, c

    def ask(self, name, fields=b""):
        self.send(80, string(name) + b"\1" + fields)
        self.until(lambda: self.globals)
        return self.globals.pop(0)

    def run(self, command):
        c = self.open()
        c.exec(command)
        return c

    def ended(self):
        """The master has closed this control socket."""
        try:
            while True:
                self.take(1)
        except (EOFError, ConnectionResetError):
            return True


@pytest.fixture(params=MASTERS)
def shared(lab, request):
    with Shared(lab, request.param, "debian") as s:
        yield s
        # Debian's may miss a signal, and would be waited for.
        s.control("exit")


@pytest.fixture
def ours(lab):
    with Shared(lab, "ours", "ours") as s:
        yield s


@pytest.fixture
def echo():
    e = Echo()
    yield e
    e.close()


def direct(port):
    return string("127.0.0.1") + u32(port) + string("127.0.0.1") + u32(1)


# ---- Debian's ssh -O proxy ----

@pytest.mark.parametrize("client", ["debian", "ours"])
def test_ssh_proxy_runs_a_command(lab, client):
    with Shared(lab, "ours", client) as s:
        assert s.run("-O", "proxy", command="echo out; echo err >&2; exit 7").returncode == 7
        r = s.run("-O", "proxy", command="cat", input=BULK)
        assert (r.returncode, hashlib.sha256(r.stdout).digest()) == (0, hashlib.sha256(BULK).digest())
        r = s.run("-O", "proxy", command="echo out; echo err >&2")
        assert (r.stdout, r.stderr) == (b"out\n", b"err\n")
        assert s.run(command="echo still").stdout == b"still\n"


def test_ssh_proxy_forwards(lab, echo):
    with Shared(lab, "ours", "debian") as s:
        port, there = free_port(), free_port()
        p = subprocess.Popen(s.args("-O", "proxy", "-N", "-L", f"{port}:127.0.0.1:{echo.port}",
                                    "-R", f"{there}:127.0.0.1:{echo.port}"))
        try:
            for n in (port, there):
                talk(connect(n))
        finally:
            p.terminate()
            p.wait()
        assert wait_until(lambda: refuses(there))


def test_ssh_proxy_to_our_server(lab):
    """Which sends large packets, and whose connection is counted for resumption."""
    with Shared(lab, "ours", "debian", server=lab.sshd()) as s:
        r = s.run("-O", "proxy", command="cat; exit 5", input=BULK)
        assert (r.returncode, hashlib.sha256(r.stdout).digest()) == (5, hashlib.sha256(BULK).digest())
        assert s.run(command="echo still").stdout == b"still\n"


# ---- the peer ----

def test_session(shared):
    with Peer(shared.path) as p:
        c = p.run("read x; echo got $x; echo err >&2; exit 9")
        c.write(b"word\n")
        assert c.finish() == b"got word\n"
        assert (bytes(c.errors), c.status, c.replies) == (b"err\n", 9, [True])
    assert shared.run(command="echo still").stdout == b"still\n"


def test_data_both_ways(shared):
    with Peer(shared.path) as p:
        c = p.run("cat")
        c.write(BULK)
        c.end()
        got = c.finish()
        assert (len(got), hashlib.sha256(got).digest()) == (len(BULK), hashlib.sha256(BULK).digest())
        assert c.status == 0


def test_direct_tcpip(shared, echo):
    with Peer(shared.path) as p:
        c = p.open("direct-tcpip", direct(echo.port))
        c.write(b"there and back")
        p.until(lambda: len(c.data) == 14)
        c.end()
        assert c.finish() == b"there and backbye"  # what Echo says at the end
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            assert p.open("direct-tcpip", direct(closed.getsockname()[1])).opened == 2


def test_channels_are_listed(ours, echo):
    with Peer(ours.path) as p:
        p.run("cat")
        p.open("direct-tcpip", direct(echo.port))
        shown = ours.control("channels")
        assert shown.returncode == 0, shown.stderr
        assert b"mux-proxy (session)" in shown.stdout and b"mux-proxy (direct-tcpip)" in shown.stdout, shown.stdout
        # Also in the numbering of the other channels.
        numbers = [line.split()[0] for line in shown.stdout.splitlines() if line.startswith(b"  #")]
        assert len(numbers) == len(set(numbers)) >= 2


@pytest.mark.parametrize("timeout", ["direct-tcpip=1", "global=1"])
def test_quiet_channels_are_closed(lab, echo, timeout):
    """ChannelTimeout: by the channel's type, at both ends; the others stay."""
    with Shared(lab, "ours", "ours", "-o", f"ChannelTimeout={timeout}") as s, Peer(s.path) as p:
        quiet = p.open("direct-tcpip", direct(echo.port))
        p.until(lambda: quiet.closed)
        quiet.close()
        if timeout != "global=1":
            other = p.run("cat")
            third = p.open("direct-tcpip", direct(echo.port))
            p.until(lambda: third.closed)
            third.close()
            other.write(b"still here")
            p.until(lambda: other.data == b"still here")
        wait_until(lambda: b"direct-tcpip" not in s.control("channels").stdout)
        assert p.run("echo more").finish() == b"more\n"


def test_remote_forward(ours):
    """Ours alone: Debian's master leaves the request unanswered."""
    with Peer(ours.path) as p:
        ok, fields = p.ask("tcpip-forward", string("127.0.0.1") + u32(0))
        port = struct.unpack(">I", fields)[0]
        assert ok and port > 0
        with socket.create_connection(("127.0.0.1", port)) as s:
            kind, fields, c = p.accept()
            assert kind == b"forwarded-tcpip" and fields.startswith(string("127.0.0.1") + u32(port))
            c.write(b"to the socket")
            s.settimeout(30 * SLOW)
            assert s.recv(100) == b"to the socket"
            s.sendall(b"from the socket")
            p.until(lambda: bytes(c.data) == b"from the socket")


def test_two_proxies_at_once(shared):
    with Peer(shared.path) as a, Peer(shared.path) as b:
        # The same number for both: each counts for itself.
        ca, cb = a.open(number=0), b.open(number=0)
        ca.exec("cat; exit 1")
        cb.exec("cat; exit 2")
        for n in range(50):
            ca.write(b"a%d\n" % n)
            cb.write(b"b%d\n" % n)
        ca.end()
        cb.end()
        assert ca.finish() == b"".join(b"a%d\n" % n for n in range(50))
        assert cb.finish() == b"".join(b"b%d\n" % n for n in range(50))
        assert (ca.status, cb.status) == (1, 2)


# ---- ours alone ----

def test_no_more_sessions_is_for_one_client(ours):
    with Peer(ours.path) as p:
        assert p.ask("no-more-sessions@openssh.com")[0]
    assert ours.run(command="echo more").stdout == b"more\n"


def test_what_is_the_masters_is_refused(ours):
    with Peer(ours.path) as p:
        assert p.open("tun@openssh.com", u32(1, 0)).opened == 3
        assert p.open("no-such-channel").opened == 3
        assert not p.ask("hostkeys-prove-00@openssh.com", string("x"))[0]
        assert not p.ask("no-such-request")[0]
        c = p.open()
        # Answers stay in order, whoever gives them.
        c.request("env", string("LC_X") + string("1"))
        c.request("auth-agent-req@openssh.com")
        c.exec("exit 3")
        c.finish()
        assert len(c.replies) == 3 and c.replies[1:] == [False, True] and c.status == 3


def test_forward_is_cancelled(ours):
    with Peer(ours.path) as p:
        port = struct.unpack(">I", p.ask("tcpip-forward", string("127.0.0.1") + u32(0))[1])[0]
        assert not p.ask("cancel-tcpip-forward", string("127.0.0.1") + u32(port + 1 if port < 65535 else 1))[0]
        assert p.ask("cancel-tcpip-forward", string("127.0.0.1") + u32(port))[0]
        assert wait_until(lambda: refuses(port))
        assert p.ask("tcpip-forward", string("127.0.0.1") + u32(port))[0]
    # The client is gone, and its listener with it.
    assert wait_until(lambda: refuses(port))


def refuses(port):
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return True
    return False


GARBAGE = {
    "random bytes": b"\xff" * 4096,
    "too short": u32(1) + b"\0",
    "padding": string(bytes([4, 94]) + u32(0) + string("x")),
    "key exchange": string(bytes([0, 20]) + b"x" * 64),
    "unknown number": string(bytes([0, 200])),
    "no such channel": string(bytes([0, 94]) + u32(99) + string("x")),
    "short open": string(bytes([0, 90]) + string("session")),
    "disconnect": string(bytes([0, 1]) + u32(11) + string("bye") + string("")),
}


@pytest.mark.parametrize("what", GARBAGE)
def test_garbage_ends_one_client(ours, what):
    with Peer(ours.path) as good, Peer(ours.path) as bad:
        c = good.run("cat")
        victim = bad.run("cat")
        bad.s.sendall(GARBAGE[what])
        assert bad.ended()
        c.write(b"untouched")
        c.end()
        assert c.finish() == b"untouched" and victim.status is None
    assert ours.run(command="echo still").stdout == b"still\n"


def test_over_the_window_ends_one_client(ours):
    with Peer(ours.path) as p:
        c = p.run("sleep 1000 & echo $!; wait")
        p.until(lambda: c.data.endswith(b"\n"))
        try:
            for _ in range(1000):
                p.send(94, u32(c.theirs) + string(b"x" * PACKET))
        except (BrokenPipeError, ConnectionResetError):
            pass
        assert p.ended()
        os.kill(int(c.data), signal.SIGTERM)
    assert ours.run(command="echo still").stdout == b"still\n"


def test_client_gone_in_the_middle(ours):
    with Peer(ours.path) as p:
        c = p.run("echo $$; exec cat /dev/zero")
        p.until(lambda: len(c.data) > 100000)
        pid = int(bytes(c.data[:20]).split(b"\n")[0])
    assert wait_until(lambda: not os.path.exists(f"/proc/{pid}"))
    assert ours.run(command="echo still").stdout == b"still\n"


def test_ssh_killed_in_the_middle(lab):
    with Shared(lab, "ours", "debian") as s:
        p = subprocess.Popen(s.args("-O", "proxy", command=["echo $$; exec cat"]), stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE)
        try:
            pid = int(p.stdout.readline())
        finally:
            p.kill()
            p.communicate()
        assert wait_until(lambda: not os.path.exists(f"/proc/{pid}"))
        assert s.run(command="echo still").stdout == b"still\n"


def test_client_that_does_not_read(ours):
    with Peer(ours.path) as lazy, Peer(ours.path) as p:
        c = lazy.open()
        c.exec("head -c 8388608 /dev/zero")
        lazy.send(93, u32(c.theirs, 64 << 20))
        assert p.run("echo others go on").finish() == b"others go on\n"
        assert len(c.finish()) == 8388608


def test_lost_links_are_not_noticed(world, tmp_path):  # noqa: F811
    w = world()
    path = str(tmp_path / "c")
    w.ssh("-M", "-S", path, "cat", stdin=subprocess.PIPE)
    assert wait_until(lambda: os.path.exists(path))
    w.settled()
    with Peer(path) as p:
        c = p.run("cat; exit 4")
        for n in range(4):
            before = w.way.links
            w.way.cut()
            c.write(BULK[:1 << 20])
            p.until(lambda: len(c.data) >= n << 20)
            assert wait_until(lambda: w.way.links > before)
        c.end()
        assert c.finish() == BULK[:1 << 20] * 4 and c.status == 4
    assert wait_until(lambda: w.resumed() >= 1)
