"""What our ssh forwards, against Debian's sshd: ports, paths, SOCKS, the agent."""
import os
import re
import signal
import socket
import struct
import subprocess
import threading
import time

import pytest

from conftest import SLOW, free_port, require, tool, wait_until


class Echo:
    """Answers everything with itself, on a port or a path, until the peer's end; then says goodbye."""

    def __init__(self, path=None):
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX if path else socket.AF_INET)
        self.socket.bind(path or ("127.0.0.1", 0))
        self.socket.listen(64)
        self.port = None if path else self.socket.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                peer, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(peer,), daemon=True).start()

    @staticmethod
    def serve(peer):
        with peer:
            try:
                while data := peer.recv(65536):
                    peer.sendall(data)
                peer.sendall(b"bye")
            except OSError:
                pass

    def close(self):
        self.socket.close()


@pytest.fixture
def echo():
    e = Echo()
    yield e
    e.close()


class Forwarding:
    """Our ssh -N in the background."""

    def __init__(self, lab, server, *options, command=None):
        args = [tool("ssh"), *lab.common(server.port), *options]
        args += ["127.0.0.1", command] if command else ["-N", "127.0.0.1"]
        self.log = os.path.join(lab.folder, f"forwarding.{free_port()}.log")
        self.process = subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=open(self.log, "wb"))

    def text(self):
        with open(self.log, errors="replace") as f:
            return f.read()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(10 * SLOW)


def connect(where):
    def attempt():
        s = socket.socket(socket.AF_UNIX if isinstance(where, str) else socket.AF_INET)
        try:
            s.settimeout(15 * SLOW)
            s.connect(where if isinstance(where, str) else ("127.0.0.1", where))
            return s
        except OSError:
            s.close()
            return None
    s = wait_until(attempt)
    assert s, f"nobody listens at {where}"
    return s


def read_all(s, n=None):
    data = b""
    while n is None or len(data) < n:
        piece = s.recv(65536)
        if not piece:
            break
        data += piece
    return data


def talk(s, size=100):
    """Sends, reads it back, ends our half and reads to the end."""
    sent = os.urandom(size)
    threading.Thread(target=lambda: (s.sendall(sent), s.shutdown(socket.SHUT_WR)), daemon=True).start()
    got = read_all(s)
    s.close()
    assert got == sent + b"bye"


@pytest.fixture(params=["openssh", "ours"])
def peer(request, lab, echo):
    """Debian's sshd, and ours where it forwards."""
    if request.param == "openssh":
        return lab.openssh()
    server = lab.sshd()
    probe = lab.ssh(server, options=["-W", f"127.0.0.1:{echo.port}"], input=b"x")
    if probe.stdout != b"xbye":
        pytest.skip("our sshd does not forward yet")
    return server


def test_stdio_to_port(lab, peer, echo):
    data = os.urandom(300000)
    r = lab.ssh(peer, options=["-W", f"127.0.0.1:{echo.port}"], input=data)
    assert r.returncode == 0, r.stderr
    assert r.stdout == data + b"bye"


def test_stdio_to_path(lab, tmp_path):
    server, e = lab.openssh(), Echo(str(tmp_path / "echo"))
    r = lab.ssh(server, options=["-W", e.path], input=b"hello")
    e.close()
    assert (r.returncode, r.stdout) == (0, b"hellobye"), r.stderr


def test_stdio_to_nobody(lab):
    server = lab.openssh()
    r = lab.ssh(server, options=["-W", f"127.0.0.1:{free_port()}"])
    assert r.returncode == 255
    assert b"open failed: connect failed" in r.stderr and b"stdio forwarding failed" in r.stderr


def test_local_port(lab, peer, echo):
    port = free_port()
    with Forwarding(lab, peer, "-L", f"{port}:127.0.0.1:{echo.port}"):
        talk(connect(port))
        # Many at once, and much.
        threads = [threading.Thread(target=talk, args=(connect(port), 200000)) for _ in range(12)]
        for t in threads:
            t.start()
        for t in threads:
            t.join(30 * SLOW)
        talk(connect(port), 8 << 20)


def test_local_paths(lab, tmp_path):
    server, e = lab.openssh(), Echo(str(tmp_path / "echo"))
    here, port = str(tmp_path / "here"), free_port()
    with Forwarding(lab, server, "-L", f"{here}:{e.path}", "-L", f"127.0.0.1:{port}:{e.path}"):
        talk(connect(here))
        talk(connect(port))
        assert os.stat(here).st_mode & 0o777 == 0o600
    assert not os.path.exists(here)
    e.close()


def test_local_refused_by_the_far_side(lab):
    server, port = lab.openssh(), free_port()
    with Forwarding(lab, server, "-L", f"{port}:127.0.0.1:{free_port()}") as f:
        assert connect(port).recv(1) == b""
        assert wait_until(lambda: "open failed: connect failed" in f.text())
        assert f.process.poll() is None


def test_local_port_is_taken(lab, echo):
    server = lab.openssh()
    r = lab.ssh(server, "-L", f"127.0.0.1:{echo.port}:127.0.0.1:1", "echo on")
    assert r.returncode == 0 and r.stdout == b"on\n"
    assert b"Could not request local forwarding." in r.stderr
    r = lab.ssh(server, "-o", "ExitOnForwardFailure=yes", "-L", f"127.0.0.1:{echo.port}:127.0.0.1:1", "echo on")
    assert r.returncode == 255 and r.stdout == b""


def test_session_waits_for_what_is_forwarded(lab, echo):
    server, port = lab.openssh(), free_port()
    f = Forwarding(lab, server, "-L", f"{port}:127.0.0.1:{echo.port}", command="sleep 1")
    s = connect(port)
    time.sleep(1.5)
    assert f.process.poll() is None
    talk(s)
    assert f.process.wait(10 * SLOW) == 0


def test_remote_port(lab, peer, echo):
    port = free_port()
    with Forwarding(lab, peer, "-R", f"{port}:127.0.0.1:{echo.port}"):
        talk(connect(port))
        talk(connect(port), 4 << 20)


def test_remote_port_allocated(lab, peer, echo):
    with Forwarding(lab, peer, "-R", f"0:127.0.0.1:{echo.port}") as f:
        found = wait_until(lambda: re.search(r"Allocated port (\d+) for remote forward to 127.0.0.1:", f.text()))
        assert found, f.text()
        talk(connect(int(found.group(1))))


def test_remote_paths(lab, tmp_path):
    server, e = lab.openssh(), Echo(str(tmp_path / "echo"))
    there = str(tmp_path / "there")
    with Forwarding(lab, server, "-R", f"{there}:{e.path}"):
        talk(connect(there))
    e.close()


def test_remote_refused(lab, echo):
    server = lab.openssh()
    option = f"127.0.0.1:{echo.port}:127.0.0.1:1"
    r = lab.ssh(server, "-R", option, "echo on")
    assert r.stdout == b"on\n"
    assert f"Warning: remote port forwarding failed for listen port {echo.port}".encode() in r.stderr
    r = lab.ssh(server, "-o", "ExitOnForwardFailure=yes", "-R", option, "sleep 5")
    assert r.returncode == 255
    assert f"Error: remote port forwarding failed for listen port {echo.port}".encode() in r.stderr


def test_fork_waits_for_remote_forwardings(lab, echo):
    server = lab.openssh()
    r = lab.ssh(server, options=["-f", "-N", "-o", "ExitOnForwardFailure=yes", "-R",
                                 f"127.0.0.1:{echo.port}:127.0.0.1:1"])
    assert r.returncode == 255 and b"Error: remote port forwarding failed" in r.stderr


def test_clear_all_forwardings(lab, echo):
    server, port = lab.openssh(), free_port()
    r = lab.ssh(server, "-o", "ClearAllForwardings=yes", "-o", "ExitOnForwardFailure=yes", "-L",
                f"127.0.0.1:{echo.port}:127.0.0.1:1", "echo on")
    assert (r.returncode, r.stdout) == (0, b"on\n"), port


# ---- SOCKS ----

def socks4(s, port, name=None):
    address = b"\0\0\0\x01" if name else socket.inet_aton("127.0.0.1")
    s.sendall(struct.pack(">BBH", 4, 1, port) + address + b"me\0" + (name + b"\0" if name else b""))
    return read_all(s, 8)[1] == 90


def socks5(s, port, name=None):
    s.sendall(b"\x05\x02\x02\x00")
    assert read_all(s, 2) == b"\x05\x00"
    address = b"\x03" + bytes([len(name)]) + name if name else b"\x01" + socket.inet_aton("127.0.0.1")
    s.sendall(b"\x05\x01\x00" + address + struct.pack(">H", port))
    return read_all(s, 10)[1] == 0


@pytest.mark.parametrize("ask,name", [(socks4, None), (socks4, b"localhost"), (socks5, None), (socks5, b"localhost")])
@pytest.mark.parametrize("flag", ["-D", "-R"])
def test_socks(lab, peer, echo, flag, ask, name):
    port = free_port()
    with Forwarding(lab, peer, flag, f"127.0.0.1:{port}"):
        s = connect(port)
        assert ask(s, echo.port, name)
        talk(s, 100000)
        s = connect(port)
        assert not ask(s, free_port(), name)
        assert s.recv(1) == b""


def test_socks_with_eager_client(lab, peer, echo):
    """Data right behind the request, byte by byte before it."""
    for flag in "-D", "-R":
        port = free_port()
        with Forwarding(lab, peer, flag, str(port)):
            s = connect(port)
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for byte in b"\x05\x01\x00":
                s.sendall(bytes([byte]))
            request = b"\x05\x01\x00\x01" + socket.inet_aton("127.0.0.1") + struct.pack(">H", echo.port)
            s.sendall(request + b"early")
            s.shutdown(socket.SHUT_WR)
            assert read_all(s)[12:] == b"earlybye"


def test_socks_nonsense(lab):
    server, port = lab.openssh(), free_port()
    with Forwarding(lab, server, "-D", str(port)) as f:
        for nonsense in b"GET / HTTP/1.0\r\n\r\n", b"\x05\x01\x02", b"\x04\x02", b"\x05\x00", b"\x04" + b"a" * 5000:
            s = connect(port)
            try:
                s.sendall(nonsense)
                s.shutdown(socket.SHUT_WR)
                read_all(s)
            except OSError:
                pass  # it was faster than we
            s.close()
        assert f.process.poll() is None


def test_permit_remote_open(lab, echo):
    server, port = lab.openssh(), free_port()
    with Forwarding(lab, server, "-R", str(port), "-o", f"PermitRemoteOpen=127.0.0.1:{echo.port}"):
        s = connect(port)
        assert socks5(s, echo.port)
        talk(s)
        assert not socks5(connect(port), echo.port, b"localhost")


# ---- addresses, agent, list ----

def test_gateway_ports(lab, echo):
    server, port = lab.openssh(), free_port()
    for options, anywhere in (["-L", f"{port}:127.0.0.1:{echo.port}"], False), \
            (["-g", "-4", "-L", f"{port}:127.0.0.1:{echo.port}"], True), \
            (["-4", "-L", f"*:{port}:127.0.0.1:{echo.port}"], True):
        with Forwarding(lab, server, *options):
            talk(connect(port))
            table = open("/proc/net/tcp").read()
            assert (f" 00000000:{port:04X} 00000000:0000 0A" in table) == anywhere


@pytest.mark.parametrize("suite,name", [("openssh", "auth-agent-req@openssh.com"), ("sshd", "agent-req")])
def test_agent_forwarding(lab, keys, suite, name):
    """By the names of RFC 9987 where the server says that it knows them."""
    require("ssh-agent")
    server = getattr(lab, suite)()
    out = subprocess.run(["ssh-agent", "-s"], stdout=subprocess.PIPE, check=True, text=True).stdout
    env = dict(os.environ, **dict(re.findall(r"(SSH_\w+)=([^;]+);", out)))
    try:
        subprocess.run(["ssh-add", "-q", keys.path("user")], env=env, check=True)
        fingerprint = subprocess.run(["ssh-add", "-l"], env=env, stdout=subprocess.PIPE, check=True).stdout
        r = lab.ssh(server, "-A", "-vvv", "ssh-add -l", env=env)
        assert (r.returncode, r.stdout) == (0, fingerprint), r.stderr
        assert name.encode() in r.stderr, r.stderr
        r = lab.ssh(server, "-a", "ssh-add -l", env=env)
        assert r.returncode != 0
        r = lab.ssh(server, "-o", "ForwardAgent=$SSH_AUTH_SOCK", "ssh-add -l", env=env)
        assert r.stdout == fingerprint
    finally:
        os.kill(int(env["SSH_AGENT_PID"]), signal.SIGTERM)
