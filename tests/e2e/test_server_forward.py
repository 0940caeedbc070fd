"""Forwarding on our sshd with Debian's ssh as the client: ports and paths, both directions, and who may."""
import hashlib
import os
import signal
import socket
import socketserver
import stat
import subprocess
import threading
import time

import pytest
import rawssh
from conftest import ASAN, SLOW, USER, free_port, needs_root, wait_until
from processes import children
from rawssh import (CHANNEL_DATA, CHANNEL_OPEN, CHANNEL_OPEN_CONFIRMATION, CHANNEL_OPEN_FAILURE, CHANNEL_SUCCESS,
                    CHANNEL_WINDOW_ADJUST, GLOBAL_REQUEST, REQUEST_FAILURE, REQUEST_SUCCESS, Fields, boolean, string, u32)

ASIDE = (GLOBAL_REQUEST, CHANNEL_WINDOW_ADJUST, rawssh.IGNORE, rawssh.DEBUG, rawssh.EXT_INFO)


class Echo(socketserver.BaseRequestHandler):
    """Answers what it gets until the end, then says so and closes."""

    def handle(self):
        while data := self.request.recv(65536):
            self.request.sendall(data)
        self.request.sendall(b"END")


class Targets:
    """An echo server on a port and on a path."""

    def __init__(self, folder):
        socketserver.ThreadingTCPServer.daemon_threads = socketserver.ThreadingUnixStreamServer.daemon_threads = True
        socketserver.ThreadingTCPServer.request_queue_size = 128  # no connection is lost by the target
        self.tcp = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo)
        self.port = self.tcp.server_address[1]
        self.path = os.path.join(folder, "echo.sock")
        self.local = socketserver.ThreadingUnixStreamServer(self.path, Echo)
        for server in (self.tcp, self.local):
            threading.Thread(target=server.serve_forever, daemon=True).start()

    def stop(self):
        for server in (self.tcp, self.local):
            server.shutdown()
            server.server_close()


@pytest.fixture(scope="module")
def targets(tmp_path_factory):
    made = Targets(str(tmp_path_factory.mktemp("targets")))
    yield made
    made.stop()


@pytest.fixture(scope="module")
def server(module_lab):
    return module_lab.sshd("PrintMotd no\n")


class Client:
    """Debian's ssh with forwards, in the background."""

    def __init__(self, lab, server, *options, user=USER, command=("-N",)):
        self.err = os.path.join(lab.folder, f"client.{time.monotonic_ns()}")
        self.process = subprocess.Popen(["ssh", *lab.common(server.port), "-v", "-l", user, *options, *command[:-1],
                                         *([command[-1]] if command == ("-N",) else []), "127.0.0.1",
                                         *([command[-1]] if command != ("-N",) else [])],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=open(self.err, "wb"))

    def text(self):
        with open(self.err, errors="replace") as f:
            return f.read()

    def wait(self, text, seconds=10):
        assert wait_until(lambda: text in self.text(), seconds), f"no {text!r} in:\n{self.text()}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(10 * SLOW)
        self.process.stdout.close()


def dial(where, seconds=10):
    """Connects to a port or path as soon as somebody listens there."""
    family, address = (socket.AF_UNIX, where) if isinstance(where, str) else (socket.AF_INET, ("127.0.0.1", where))

    def attempt():
        s = socket.socket(family)
        try:
            s.connect(address)
            return s
        except OSError:
            s.close()
            return None
    found = wait_until(attempt, seconds)
    assert found, f"nobody listens on {where}"
    found.settimeout(20 * SLOW)
    return found


def echo_through(where, size=1 << 20):
    """Sends, half-closes, reads everything back: order, contents, EOF in both directions."""
    data = os.urandom(size)
    with dial(where) as s:
        sender = threading.Thread(target=lambda: (s.sendall(data), s.shutdown(socket.SHUT_WR)))
        sender.start()
        got = b""
        while piece := s.recv(1 << 16):
            got += piece
        sender.join()
    assert len(got) == size + 3
    assert hashlib.sha256(got).digest() == hashlib.sha256(data + b"END").digest()


# ---- local: direct-tcpip, direct-streamlocal

def specification(kind, folder, targets):
    ours = os.path.join(folder, f"l{time.monotonic_ns() % 10 ** 9}") if kind.startswith("unix") else free_port()
    theirs = targets.path if kind.endswith("unix") else f"127.0.0.1:{targets.port}"
    return ours, f"{ours if isinstance(ours, str) else '127.0.0.1:' + str(ours)}:{theirs}"


KINDS = ["tcp to tcp", "tcp to unix", "unix to tcp", "unix to unix"]


@pytest.mark.parametrize("kind", KINDS)
def test_local(module_lab, server, targets, scratch, kind):
    ours, spec = specification(kind, scratch, targets)
    with Client(module_lab, server, "-L", spec):
        echo_through(ours)


@pytest.mark.parametrize("kind", KINDS)
def test_remote(module_lab, server, targets, scratch, kind):
    ours, spec = specification(kind, scratch, targets)
    with Client(module_lab, server, "-R", spec) as client:
        echo_through(ours)
        if isinstance(ours, str):
            assert stat.S_IMODE(os.stat(ours).st_mode) == 0o600
        del client
    assert wait_until(lambda: not os.path.exists(ours) if isinstance(ours, str) else not is_open(ours))


def is_open(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


def test_bulk_is_whole_and_beside_a_stalled_one(module_lab, server, targets):
    """A target that is not read does not hold up the others."""
    stalled = socket.create_server(("127.0.0.1", 0))
    a, b = free_port(), free_port()
    with Client(module_lab, server, "-L", f"{a}:127.0.0.1:{stalled.getsockname()[1]}", "-L",
                f"{b}:127.0.0.1:{targets.port}"):
        with dial(a) as s:
            s.setblocking(False)
            sent = 0
            end = time.monotonic() + 3 * SLOW
            while time.monotonic() < end and sent < 64 << 20:
                try:
                    sent += s.send(bytes(1 << 16))
                except BlockingIOError:
                    time.sleep(0.05)
            assert sent < 64 << 20
            echo_through(b, (4 if ASAN else 32) << 20)
    stalled.close()


def test_many_at_once(module_lab, server, targets):
    port = free_port()
    with Client(module_lab, server, "-L", f"{port}:localhost:{targets.port}"):
        dial(port).close()
        threads = [threading.Thread(target=echo_through, args=(port, 100000)) for _ in range(40)]
        failures = []
        threading.excepthook = lambda args: failures.append(args)
        for t in threads:
            t.start()
        for t in threads:
            t.join(60 * SLOW)
        threading.excepthook = threading.__excepthook__
        assert not [str(f.exc_value) for f in failures]


def socks(port, name, target):
    s = dial(port)
    s.sendall(b"\5\1\0")
    assert s.recv(2) == b"\5\0"
    s.sendall(b"\5\1\0\3" + bytes([len(name)]) + name.encode() + target.to_bytes(2, "big"))
    return s, s.recv(10)[1]


def test_dynamic_with_names(module_lab, server, targets):
    port = free_port()
    with Client(module_lab, server, "-D", str(port)):
        s, answer = socks(port, "localhost", targets.port)
        assert answer == 0
        s.sendall(b"hello")
        assert s.recv(5) == b"hello"
        s.close()


def test_stdio(module_lab, server, targets):
    done = subprocess.run(["ssh", *module_lab.common(server.port), "-l", USER, "-W", f"127.0.0.1:{targets.port}", "127.0.0.1"],
                          input=b"through", capture_output=True, timeout=30 * SLOW)
    assert done.stdout == b"throughEND"


def open_raw(peer, port, number=7, host="127.0.0.1", kind="direct-tcpip", path=None):
    fields = string(path) + string("") + u32(0) if path else string(host) + u32(port) + string("127.0.0.1") + u32(1)
    peer.send(bytes([CHANNEL_OPEN]) + string(kind) + u32(number) + u32(1 << 20) + u32(1 << 15) + fields)
    answer = peer.expect(CHANNEL_OPEN_CONFIRMATION, CHANNEL_OPEN_FAILURE, skip=ASIDE)
    f = Fields(answer)
    kind, _ = f.u8(), f.u32()
    return 0 if kind == CHANNEL_OPEN_CONFIRMATION else f.u32()


PROHIBITED, CONNECT_FAILED, UNKNOWN = 1, 2, 3


def test_reasons(module_lab, server, keys, targets):
    peer = rawssh.logged_in(server.port, USER, keys.path("user"))
    assert open_raw(peer, targets.port) == 0
    assert open_raw(peer, free_port(), 8) == CONNECT_FAILED
    assert open_raw(peer, 1, 9, "no-such-host.invalid") == CONNECT_FAILED
    assert open_raw(peer, 70000, 10) == CONNECT_FAILED
    assert open_raw(peer, 0, 11, kind="direct-streamlocal@openssh.com", path="/nonexistent/s") == CONNECT_FAILED
    assert open_raw(peer, 0, 12, kind="direct-streamlocal@openssh.com", path="/" * 300) == CONNECT_FAILED
    assert open_raw(peer, 0, 13, kind="nonsense") == UNKNOWN
    assert open_raw(peer, 0, 14, kind="forwarded-tcpip") == UNKNOWN
    peer.close()


# ---- who may

def key_with(lab, keys, options):
    path = os.path.join(lab.folder, f"authorized.{time.monotonic_ns()}")
    with open(path, "w") as f:
        f.write(options + " " + keys.public("user"))
    return path


def kinds_allowed(server, keys, targets, scratch):
    """Which of: direct tcp, direct unix, tcp listen, unix listen, agent, x11 this server grants."""
    peer = rawssh.logged_in(server.port, USER, keys.path("user"))
    allowed = []
    if open_raw(peer, targets.port, 20) != PROHIBITED:
        allowed.append("L")
    if open_raw(peer, 0, 21, kind="direct-streamlocal@openssh.com", path=targets.path) != PROHIBITED:
        allowed.append("l")
    for letter, name, fields in (("R", "tcpip-forward", string("localhost") + u32(0)),
                                 ("r", "streamlocal-forward@openssh.com", string(os.path.join(scratch, f"s{time.monotonic_ns()}")))):
        peer.send(bytes([GLOBAL_REQUEST]) + string(name) + boolean(True) + fields)
        if peer.expect(REQUEST_SUCCESS, REQUEST_FAILURE, skip=ASIDE)[0] == REQUEST_SUCCESS:
            allowed.append(letter)
    number = peer.open_session(22)
    for letter, name, fields in (("A", "auth-agent-req@openssh.com", b""),
                                 ("X", "x11-req", boolean(False) + string("MIT-MAGIC-COOKIE-1") + string("ab" * 16) + u32(0))):
        peer.request(number, name, fields)
        if peer.expect(CHANNEL_SUCCESS, rawssh.CHANNEL_FAILURE, skip=ASIDE)[0] == CHANNEL_SUCCESS:
            allowed.append(letter)
    peer.close()
    return "".join(allowed)


ALL = "X11Forwarding yes\n"


@pytest.mark.parametrize("lines,options,allowed", [
    ("", "", "LlRrA"),
    (ALL, "", "LlRrAX"),
    (ALL + "DisableForwarding yes\n", "", ""),
    (ALL + "AllowTcpForwarding no\n", "", "lrAX"),
    (ALL + "AllowTcpForwarding local\n", "", "LlrAX"),
    (ALL + "AllowTcpForwarding remote\n", "", "lRrAX"),
    (ALL + "AllowStreamLocalForwarding no\n", "", "LRAX"),
    (ALL + "AllowStreamLocalForwarding local\n", "", "LlRAX"),
    (ALL + "AllowStreamLocalForwarding remote\n", "", "LRrAX"),
    (ALL + "AllowAgentForwarding no\n", "", "LlRrX"),
    (ALL, "no-port-forwarding", "AX"),
    (ALL, "no-agent-forwarding", "LlRrX"),
    (ALL, "no-x11-forwarding", "LlRrA"),
    (ALL, "restrict", ""),
    (ALL, "restrict,port-forwarding", "LlRr"),
    (ALL, "restrict,agent-forwarding,x11-forwarding", "AX"),
    (ALL + "DisableForwarding yes\n", "port-forwarding,agent-forwarding,x11-forwarding", ""),
    (ALL + f"Match User {USER}\n DisableForwarding yes\n", "", ""),
])
def test_who_may(lab, keys, targets, scratch, lines, options, allowed):
    server = lab.sshd(lines, authorized=key_with(lab, keys, options))
    assert kinds_allowed(server, keys, targets, scratch) == allowed


@pytest.mark.parametrize("lines,options,good", [
    ("PermitOpen {host}:{port}\n", "", True),
    ("PermitOpen {host}:1\n", "", False),
    ("PermitOpen {host}:*\n", "", True),
    ("PermitOpen *:{port}\n", "", True),
    ("PermitOpen 127.0.0.2:{port} localhost:{port}\n", "", False),
    ("PermitOpen none\n", "", False),
    ("PermitOpen any\n", "", True),
    ("", 'permitopen="{host}:{port}"', True),
    ("", 'permitopen="{host}:1",permitopen="{host}:{port}"', True),
    ("", 'permitopen="localhost:{port}"', False),
    ("PermitOpen {host}:1\n", 'permitopen="{host}:{port}"', False),
    ("PermitOpen {host}:{port}\n", 'permitopen="{host}:1"', False),
])
def test_permit_open(lab, keys, targets, lines, options, good):
    fill = {"host": "127.0.0.1", "port": targets.port}
    server = lab.sshd(lines.format(**fill), authorized=key_with(lab, keys, options.format(**fill)))
    peer = rawssh.logged_in(server.port, USER, keys.path("user"))
    assert open_raw(peer, targets.port) == (0 if good else PROHIBITED)
    peer.close()
    if not good:
        server.wait_log(f"to connect to host 127.0.0.1 port {targets.port}, but the request was denied.")


def listen_raw(peer, host, port, name="tcpip-forward"):
    peer.send(bytes([GLOBAL_REQUEST]) + string(name) + boolean(True) + string(host) + u32(port))
    answer = peer.expect(REQUEST_SUCCESS, REQUEST_FAILURE, skip=ASIDE)
    if answer[0] == REQUEST_FAILURE:
        return None
    return Fields(answer[1:]).u32() if port == 0 and len(answer) > 1 else port


@pytest.mark.parametrize("lines,options,good", [
    ("PermitListen {port}\n", "", True),
    ("PermitListen localhost:{port}\n", "", True),
    ("PermitListen localhost:*\n", "", True),
    ("PermitListen *:1\n", "", False),
    ("PermitListen 127.0.0.1:{port}\n", "", False),
    ("PermitListen none\n", "", False),
    ("", 'permitlisten="{port}"', True),
    ("", 'permitlisten="localhost:{port}"', True),
    ("", 'permitlisten="1"', False),
    ("PermitListen 1\n", 'permitlisten="{port}"', False),
])
def test_permit_listen(lab, keys, lines, options, good):
    port = free_port()
    server = lab.sshd(lines.format(port=port), authorized=key_with(lab, keys, options.format(port=port)))
    peer = rawssh.logged_in(server.port, USER, keys.path("user"))
    assert listen_raw(peer, "localhost", port) == (port if good else None)
    peer.close()


# ---- listening

def listening(port):
    """The addresses that somebody listens on, from the kernel's tables."""
    found = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            with open(table) as f:
                rows = [line.split() for line in f.readlines()[1:]]
        except OSError:
            continue
        found |= {r[1].split(":")[0] for r in rows if r[3] == "0A" and int(r[1].split(":")[1], 16) == port}
    return found


LOOPBACK4, ANY4, OTHER4 = "0100007F", "00000000", "0200007F"


@pytest.mark.parametrize("gateway,host,expected", [
    ("no", "", LOOPBACK4), ("no", "0.0.0.0", LOOPBACK4), ("no", "127.0.0.2", LOOPBACK4),
    ("yes", "localhost", ANY4), ("yes", "", ANY4),
    ("clientspecified", "", ANY4), ("clientspecified", "*", ANY4), ("clientspecified", "localhost", LOOPBACK4),
    ("clientspecified", "127.0.0.2", OTHER4), ("clientspecified", "name.invalid", None),
])
def test_gateway_ports(lab, keys, gateway, host, expected):
    server = lab.sshd(f"GatewayPorts {gateway}\n")
    peer = rawssh.logged_in(server.port, USER, keys.path("user"))
    port = listen_raw(peer, host, 0)
    if expected is None:
        assert port is None
    else:
        assert expected in listening(port)
        assert len(listening(port)) <= 2 and all(len(a) == 32 for a in listening(port) - {expected})
        assert listen_raw(peer, host, port, "cancel-tcpip-forward") == port
        assert wait_until(lambda: not listening(port))
        assert listen_raw(peer, host, port, "cancel-tcpip-forward") is None
    peer.close()


def test_listeners_end_with_the_connection(lab, server, keys, scratch):
    peer = rawssh.logged_in(server.port, USER, keys.path("user"))
    port = listen_raw(peer, "localhost", 0)
    path = os.path.join(scratch, "s")
    peer.send(bytes([GLOBAL_REQUEST]) + string("streamlocal-forward@openssh.com") + boolean(True) + string(path))
    peer.expect(REQUEST_SUCCESS, skip=ASIDE)
    assert listening(port) and os.path.exists(path)
    peer.sock.close()
    assert wait_until(lambda: not listening(port) and not os.path.exists(path))


def test_number_of_listeners_is_limited(server, keys):
    peer = rawssh.logged_in(server.port, USER, keys.path("user"))
    granted = [listen_raw(peer, "localhost", 0) for _ in range(140)]
    assert len([p for p in granted if p]) == 128 and not any(granted[128:])
    peer.close()
    assert wait_until(lambda: not any(listening(p) for p in granted[:3]))


def test_ports_that_are_none(server, keys):
    peer = rawssh.logged_in(server.port, USER, keys.path("user"))
    for port in (65536, 70000, 65536 + server.port, 0xffffffff):
        assert listen_raw(peer, "localhost", port) is None
    assert listen_raw(peer, "localhost", server.port) is None  # taken
    peer.close()


@needs_root
def test_privileged_ports_are_roots(lab, keys, account):
    server = lab.sshd(authorized="%h/.ssh/authorized_keys")
    peer = rawssh.logged_in(server.port, account.name, keys.path("user"))
    assert listen_raw(peer, "localhost", 1022) is None
    peer.close()


def test_originator_and_address_are_told(server, keys):
    peer = rawssh.logged_in(server.port, USER, keys.path("user"))
    port = listen_raw(peer, "localhost", 0)
    with dial(port) as s:
        f = Fields(peer.expect(CHANNEL_OPEN, skip=ASIDE)[1:])
        assert f.string() == b"forwarded-tcpip"
        number = f.u32()
        f.take(8)
        assert (f.string(), f.u32(), f.string(), f.u32()) == (b"localhost", port, b"127.0.0.1", s.getsockname()[1])
        peer.send(bytes([CHANNEL_OPEN_FAILURE]) + u32(number) + u32(1) + string("no") + string(""))
        assert s.recv(1) == b""
    peer.close()


@pytest.mark.parametrize("unlink", ["yes", "no"])
def test_bind_mask_and_unlink(lab, keys, scratch, unlink):
    server = lab.sshd(f"StreamLocalBindUnlink {unlink}\nStreamLocalBindMask 0117\n")
    path, regular = os.path.join(scratch, "s"), os.path.join(scratch, "file")
    with socket.socket(socket.AF_UNIX) as left_over:
        left_over.bind(path)
    open(regular, "w").close()
    peer = rawssh.logged_in(server.port, USER, keys.path("user"))
    for where, good in ((path, unlink == "yes"), (regular, False)):
        peer.send(bytes([GLOBAL_REQUEST]) + string("streamlocal-forward@openssh.com") + boolean(True) + string(where))
        answer = peer.expect(REQUEST_SUCCESS, REQUEST_FAILURE, skip=ASIDE)[0]
        assert answer == (REQUEST_SUCCESS if good else REQUEST_FAILURE)
    if unlink == "yes":
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o660
        peer.send(bytes([GLOBAL_REQUEST]) + string("cancel-streamlocal-forward@openssh.com") + boolean(True) + string(path))
        peer.expect(REQUEST_SUCCESS, skip=ASIDE)
        assert not os.path.exists(path)
    assert os.path.exists(regular)
    peer.close()


@needs_root
def test_paths_are_opened_as_the_user(lab, keys, account, scratch):
    """CVE-2016-10010: neither socket that root alone may reach, nor a listener of root's."""
    os.chmod(scratch, 0o711)
    private = os.path.join(scratch, "private")
    os.mkdir(private, 0o700)
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(os.path.join(private, "s"))
        s.listen()
        server = lab.sshd(authorized="%h/.ssh/authorized_keys")
        peer = rawssh.logged_in(server.port, account.name, keys.path("user"))
        assert open_raw(peer, 0, kind="direct-streamlocal@openssh.com", path=os.path.join(private, "s")) == CONNECT_FAILED
        for path, good in ((os.path.join(private, "t"), False), (os.path.join(account.home, "t"), True)):
            peer.send(bytes([GLOBAL_REQUEST]) + string("streamlocal-forward@openssh.com") + boolean(True) + string(path))
            answer = peer.expect(REQUEST_SUCCESS, REQUEST_FAILURE, skip=ASIDE)[0]
            assert answer == (REQUEST_SUCCESS if good else REQUEST_FAILURE)
        assert os.stat(os.path.join(account.home, "t")).st_uid == account.uid
        peer.close()


def test_paramiko_both_ways(server, keys, targets):
    paramiko = pytest.importorskip("paramiko")
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
    client.connect("127.0.0.1", server.port, USER, key_filename=keys.path("user", "ecdsa"), look_for_keys=False,
                   allow_agent=False, timeout=20 * SLOW)
    transport = client.get_transport()
    channel = transport.open_channel("direct-tcpip", ("127.0.0.1", targets.port), ("127.0.0.1", 1))
    channel.sendall(b"x" * 100000)
    channel.shutdown_write()
    assert b"".join(iter(lambda: channel.recv(65536), b"")) == b"x" * 100000 + b"END"
    port = transport.request_port_forward("127.0.0.1", 0)
    with dial(port) as s:
        accepted = transport.accept(10 * SLOW)
        accepted.sendall(b"from the client")
        assert s.recv(64) == b"from the client"
    client.close()


def test_teardown_in_the_middle(module_lab, server, targets):
    """Clients killed with channels in every state leave nothing behind."""
    for _ in range(5):
        port = free_port()
        client = Client(module_lab, server, "-L", f"{port}:localhost:{targets.port}", "-R", f"0:localhost:{targets.port}")
        sockets = [dial(port) for _ in range(5)]
        for s in sockets:
            s.sendall(b"x" * 100000)
        client.process.send_signal(signal.SIGKILL)
        client.process.wait()
        client.process.stdout.close()
        for s in sockets:
            s.close()
    holders = lambda: [p for p in children(server.process.pid) if p.title.startswith("sshd: " + USER)]  # noqa: E731
    assert wait_until(lambda: len(holders()) == 0, 20), holders()


def test_data_beside_a_look_up(server, keys, targets):
    """While a name is looked up, the rest goes on."""
    peer = rawssh.logged_in(server.port, USER, keys.path("user"))
    assert open_raw(peer, targets.port, 30) == 0
    fields = string("slow-name.invalid") + u32(1) + string("127.0.0.1") + u32(1)
    peer.send(bytes([CHANNEL_OPEN]) + string("direct-tcpip") + u32(31) + u32(1 << 20) + u32(1 << 15) + fields,
              bytes([CHANNEL_DATA]) + u32(0) + string(b"ping"))
    seen = [peer.expect(CHANNEL_DATA, CHANNEL_OPEN_FAILURE, skip=ASIDE)[0] for _ in range(2)]
    assert sorted(seen) == sorted([CHANNEL_OPEN_FAILURE, CHANNEL_DATA])
    peer.close()
