"""What hostile and broken peers do to sshd: each property of lessons about state, limits and resources."""
import contextlib
import os
import signal
import socket
import struct
import time

import pytest
import rawssh
from conftest import ASAN, HEAVY, IS_ROOT, SLOW, USER, wait_until
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from processes import below, descriptors, resident_kb, tree
from rawssh import Closed, boolean, string, u32

KEX_FAILED, PROTOCOL_ERROR, MAC_ERROR = 3, 2, 5


@pytest.fixture(scope="module")
def server(module_lab):
    return module_lab.sshd("MaxAuthTries 6\nLoginGraceTime 60\nMaxStartups 200\n")


@pytest.fixture
def user_key(keys):
    return rawssh.load_key(keys.path("user"))


def works(port, keys):
    """A real login still gets in."""
    peer = rawssh.logged_in(port, USER, keys.path("user"))
    channel = peer.open_session()
    peer.request(channel, "exec", string("echo fine"))
    peer.expect(rawssh.CHANNEL_SUCCESS, skip=(rawssh.GLOBAL_REQUEST, rawssh.CHANNEL_WINDOW_ADJUST))
    data = peer.expect(rawssh.CHANNEL_DATA, skip=(rawssh.CHANNEL_WINDOW_ADJUST, rawssh.CHANNEL_EXTENDED_DATA))
    assert data.endswith(b"fine\n")
    peer.close()


def test_control(server, keys):
    works(server.port, keys)


@pytest.mark.parametrize("number", [n for n in range(256) if n not in (1, 2, 3, 4, 20)])
def test_first_packet_is_kexinit(server, number):
    """Terrapin, and everything else: with strict key exchange the first packet is KEXINIT."""
    peer = rawssh.connect(server.port)
    peer.raw(b"SSH-2.0-raw\r\n")
    peer.send(bytes([number]) + string(b"x"))
    peer.read_ident()
    peer.expect(rawssh.KEXINIT)
    assert peer.closed() in (PROTOCOL_ERROR, KEX_FAILED, None)


@pytest.mark.parametrize("payload", [bytes([2]) + string(b"ignored"), bytes([4]) + b"\1" + string("x") + string(""),
                                     bytes([3]) + u32(0)], ids=["ignore", "debug", "unimplemented"])
def test_terrapin(server, payload):
    """CVE-2023-48795: nothing may slip into the first strict exchange."""
    peer = rawssh.connect(server.port)
    peer.start()
    with pytest.raises((Closed, OSError)):
        peer.exchange(before_newkeys=[payload])
        peer.service()


@pytest.mark.parametrize("number", [51, 52, 53, 60, 80, 81, 90, 91, 94, 98, 100, 192])
def test_nothing_before_authentication(server, number):
    """Erlang CVE-2025-32433, libssh CVE-2018-10933: not one message of later phases or of servers."""
    peer = rawssh.keyed(server.port)
    peer.service()
    peer.send(bytes([number]) + string("session") + u32(0) * 3)
    try:
        answer = peer.packet()
        assert answer[0] == rawssh.UNIMPLEMENTED and number == 192
    except Closed as closed:
        assert closed.reason == PROTOCOL_ERROR


def test_authentication_needs_the_service(server, user_key):
    peer = rawssh.keyed(server.port)
    peer.send(peer.publickey_request(USER, user_key))
    assert peer.closed() == PROTOCOL_ERROR


def test_wrong_services(server):
    peer = rawssh.keyed(server.port)
    peer.send(bytes([rawssh.SERVICE_REQUEST]) + string("ssh-connection"))
    assert peer.closed() in (7, PROTOCOL_ERROR)


@pytest.mark.parametrize("said", [b"\n", b"GET / HTTP/1.0\r\n\r\n", b"SSH-1.5-old\r\n", b"x" * 400, b"SSH-2.0-\0\r\n", b"\x16\x03\x01\0\xa5"])
def test_strangers_are_told(server, said):
    """Who is no SSH client reads in plain text that this is not its port."""
    with socket.create_connection(("127.0.0.1", server.port), 10) as s:
        s.sendall(said)
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while block := s.recv(65536):
                answer += block
    assert answer.endswith(b"Invalid SSH identification string.\r\n")


@pytest.mark.parametrize("length", [0, 1, 3, 7, 13, 262145, 1 << 20, 0x7fffffff, 0xffffffff])
def test_packet_lengths_in_clear(server, length):
    """libssh2 CVE-2026-55200: length is checked before anything is read or allocated for it."""
    peer = rawssh.connect(server.port)
    peer.raw(b"SSH-2.0-raw\r\n" + u32(length) + b"\4" + b"\0" * 60)
    peer.read_ident()
    peer.expect(rawssh.KEXINIT)
    assert peer.closed() in (PROTOCOL_ERROR, MAC_ERROR)


@pytest.mark.parametrize("padding", [0, 1, 3, 255])
def test_padding(server, padding):
    peer = rawssh.connect(server.port)
    payload = rawssh.kexinit()
    body = bytes([padding]) + payload
    body += b"\0" * (-(len(body) + 4) % 8 + 8) if padding != 255 else b"\0" * (-(len(body) + 4) % 8)
    peer.raw(b"SSH-2.0-raw\r\n")
    if padding == 255:
        # Padding longer than the packet.
        short = b"\xff" + b"\0" * 11
        peer.raw(u32(len(short)) + short)
    else:
        peer.raw(u32(len(body)) + body)
    peer.read_ident()
    peer.expect(rawssh.KEXINIT)
    assert peer.closed() == PROTOCOL_ERROR


def test_bit_flips(server, keys):
    """One wrong bit ends the connection, wherever it is."""
    for bit in (3, 40, 77, 200):
        peer = rawssh.logged_in(server.port, USER, keys.path("user"))
        packet = bytearray(peer.seal(bytes([rawssh.GLOBAL_REQUEST]) + string("none@test") + boolean(True)))
        packet[bit // 8] ^= 1 << bit % 8
        peer.raw(bytes(packet) + os.urandom(300000 if bit < 32 else 0))
        try:
            assert peer.closed() in (MAC_ERROR, PROTOCOL_ERROR, None)
        except TimeoutError:
            pytest.fail(f"bit {bit} went unnoticed")


def test_key_exchange_by_rejected_lists(server):
    lists = list(rawssh.LISTS)
    lists[0] = b"diffie-hellman-group1-sha1"
    peer = rawssh.connect(server.port)
    peer.start(lists)
    peer.read_ident()
    peer.expect(rawssh.KEXINIT)
    assert peer.closed() == KEX_FAILED
    server.wait_log("diffie-hellman-group1-sha1")


@pytest.mark.parametrize("blob", [b"", b"\0" * 31, b"\0" * 33, b"\0" * 32, b"\1" + b"\0" * 31, b"x" * 5000],
                         ids=["empty", "short", "long", "zero-point", "one-point", "huge"])
def test_bad_points(server, blob):
    peer = rawssh.connect(server.port)
    peer.start()
    peer.read_ident()
    peer.expect(rawssh.KEXINIT)
    peer.send(bytes([rawssh.ECDH_INIT]) + string(blob))
    assert peer.closed() in (KEX_FAILED, PROTOCOL_ERROR)


def test_kexinit_flood(server, keys):
    """CVE-2016-8858: repeated KEXINIT costs no memory; after ours the second one ends the link."""
    peer = rawssh.connect(server.port)
    peer.start()
    peer.read_ident()
    peer.expect(rawssh.KEXINIT)
    try:
        for _ in range(50):
            peer.send(rawssh.kexinit())
    except OSError:
        pass
    assert peer.closed() in (PROTOCOL_ERROR, KEX_FAILED, None)


def test_attempts_are_counted(server, keys):
    """CVE-2015-5600: one count over all methods, queries included, pipelined or not."""
    stranger = Ed25519PrivateKey.generate()
    for pipelined in (False, True):
        peer = rawssh.keyed(server.port)
        peer.service()
        requests = []
        for i in range(10):
            if i % 3 == 2:
                requests.append(bytes([50]) + string(USER) + string("ssh-connection") + string("password") + b"\0" + string("no"))
            else:
                requests.append(peer.publickey_request(USER, stranger, sign=i % 3 == 1))
        failures, closed = 0, None
        try:
            if pipelined:
                peer.send(*requests)
            for request in requests:
                if not pipelined:
                    peer.send(request)
                peer.expect(rawssh.USERAUTH_FAILURE)
                failures += 1
        except Closed as e:
            closed = e
        except OSError:
            closed = Closed()
        assert closed is not None and failures == 5, (pipelined, failures)


def test_signature_is_required(server, user_key):
    """Rights come from a verified signature alone, of this session, over this very request."""
    peer = rawssh.keyed(server.port)
    peer.service()
    peer.send(peer.publickey_request(USER, user_key, sign=False))
    assert peer.expect(rawssh.USERAUTH_PK_OK, rawssh.USERAUTH_FAILURE)[0] == rawssh.USERAUTH_PK_OK
    peer.send(peer.publickey_request(USER, user_key, tamper=lambda s: bytes([s[0] ^ 1]) + s[1:]))
    peer.expect(rawssh.USERAUTH_FAILURE)
    other = rawssh.keyed(server.port)
    request = other.publickey_request(USER, user_key)  # signed for another session
    peer.send(request)
    peer.expect(rawssh.USERAUTH_FAILURE)
    order = 2**252 + 27742317777372353535851937790883648493

    def malleable(s):
        return s[:32] + (int.from_bytes(s[32:], "little") + order).to_bytes(32, "little")
    peer.send(peer.publickey_request(USER, user_key, tamper=malleable))
    peer.expect(rawssh.USERAUTH_FAILURE)
    peer.send(peer.publickey_request(USER, user_key))
    peer.expect(rawssh.USERAUTH_SUCCESS)


def test_user_cannot_change(server, user_key):
    """AsyncSSH CVE-2023-46446: user and service stay what they were."""
    peer = rawssh.keyed(server.port)
    peer.service()
    peer.send(bytes([50]) + string(USER) + string("ssh-connection") + string("none"))
    peer.expect(rawssh.USERAUTH_FAILURE)
    peer.send(bytes([50]) + string(USER + "x") + string("ssh-connection") + string("none"))
    assert peer.closed() in (PROTOCOL_ERROR, 14)


def test_existing_and_missing_users_look_alike(server):
    stranger = Ed25519PrivateKey.generate()
    answers = []
    for user in (USER, "no-such-user-here"):
        peer = rawssh.keyed(server.port)
        peer.service()
        got = []
        for request in (bytes([50]) + string(user) + string("ssh-connection") + string("none"),
                        peer.publickey_request(user, stranger, sign=False), peer.publickey_request(user, stranger),
                        bytes([50]) + string(user) + string("ssh-connection") + string("publickey") + b"\1" +
                        string("ssh-ed25519") + string(b"junk") + string(b"junk")):
            peer.send(request)
            got.append(peer.expect(rawssh.USERAUTH_FAILURE))
        answers.append(got)
        peer.close()
    assert answers[0] == answers[1]


def test_malformed_requests(server):
    """Truncated at every byte: a clean end or a failure, never more."""
    key = Ed25519PrivateKey.generate()
    peer = rawssh.keyed(server.port)
    whole = peer.publickey_request(USER, key)
    peer.close()
    for cut in range(1, len(whole), 7):
        peer = rawssh.keyed(server.port)
        peer.service()
        peer.send(whole[:cut])
        try:
            answer = peer.packet()
            assert answer[0] == rawssh.USERAUTH_FAILURE
        except Closed as e:
            assert e.reason == PROTOCOL_ERROR
        peer.close()


def open_channel(server, keys):
    peer = rawssh.logged_in(server.port, USER, keys.path("user"))
    return peer, peer.open_session()


@pytest.mark.parametrize("name,payload", [
    ("unknown channel", bytes([rawssh.CHANNEL_DATA]) + u32(4242) + string("x")),
    ("trailing bytes", bytes([rawssh.CHANNEL_EOF]) + u32(0) + b"more"),
    ("short", bytes([rawssh.CHANNEL_REQUEST]) + u32(0) + b"\0\0\0\xff"),
    ("window overflow", None),
    ("beyond the window", None),
    ("for clients", bytes([rawssh.CHANNEL_OPEN_CONFIRMATION]) + u32(0) * 4),
])
def test_connection_errors(server, keys, name, payload):
    """Malformed or misplaced messages end the link with the right reason and one log line."""
    peer, channel = open_channel(server, keys)
    try:
        if name == "window overflow":
            for _ in range(3):
                peer.send(bytes([rawssh.CHANNEL_WINDOW_ADJUST]) + u32(channel) + u32(0x7fffffff))
        elif name == "beyond the window":
            peer.request(channel, "exec", string("sleep 25"))
            for _ in range(3000):
                peer.send(bytes([rawssh.CHANNEL_DATA]) + u32(channel) + string(b"x" * 32000))
        else:
            peer.send(payload)
    except OSError:
        pass
    try:
        assert peer.closed() in (PROTOCOL_ERROR, None)
    except (ConnectionError, TimeoutError) as e:
        assert not isinstance(e, TimeoutError), name
    works(server.port, keys)


def test_server_messages_after_login(server, keys):
    peer, _ = open_channel(server, keys)
    peer.send(bytes([rawssh.USERAUTH_SUCCESS]))
    assert peer.closed() == PROTOCOL_ERROR


def test_authentication_after_login_is_ignored(server, keys, user_key):
    """RFC 4252 s.5.1."""
    peer, channel = open_channel(server, keys)
    peer.send(peer.publickey_request("root", user_key))
    peer.send(bytes([rawssh.GLOBAL_REQUEST]) + string("x@y") + boolean(True))
    peer.expect(rawssh.REQUEST_FAILURE)


def test_ping(server, keys):
    peer, _ = open_channel(server, keys)
    peer.send(*[bytes([rawssh.PING]) + string(b"%d" % i) for i in range(20)])
    for i in range(20):
        assert peer.expect(rawssh.PONG) == bytes([rawssh.PONG]) + string(b"%d" % i)


def test_rekey_by_client(server, keys):
    peer, channel = open_channel(server, keys)
    for i in range(3):
        peer.rekey()
    peer.request(channel, "exec", string("echo after"))
    peer.expect(rawssh.CHANNEL_SUCCESS, skip=(rawssh.CHANNEL_WINDOW_ADJUST, rawssh.EXT_INFO))
    assert peer.expect(rawssh.CHANNEL_DATA, skip=(rawssh.CHANNEL_WINDOW_ADJUST, rawssh.CHANNEL_EXTENDED_DATA)).endswith(b"after\n")


def test_stray_message_in_rekey(server, keys):
    peer, channel = open_channel(server, keys)
    peer.my_kexinit = rawssh.kexinit()
    peer.send(peer.my_kexinit)
    peer.request(channel, "exec", string("echo stray"))
    assert peer.closed() == PROTOCOL_ERROR


def test_unread_answers_are_bounded(server, keys):
    """CVE-2025-26466: a peer that asks and never reads costs bounded memory, and gets no more attention."""
    peer, _ = open_channel(server, keys)
    peer.sock.settimeout(5)
    sent = 0
    try:
        block = b"".join(peer.seal(bytes([rawssh.PING]) + string(b"p" * 30000)) for _ in range(8))
        for _ in range(4000):
            peer.sock.sendall(block)
            sent += len(block)
            block = b"".join(peer.seal(bytes([rawssh.PING]) + string(b"p" * 30000)) for _ in range(8))
    except (TimeoutError, OSError):
        pass
    assert sent < 64 << 20
    total = 0
    for pid in tree(server.process.pid):
        total += resident_kb(pid)
    assert total < 120000 * HEAVY
    peer.close()


def test_thousand_cut_connections(module_lab, keys, user_key):
    """Descriptors, processes and memory return to the base line after 1,000 connects cut at random places."""
    import random
    rng = random.Random(7)
    server = module_lab.sshd("MaxStartups 500\n")
    works(server.port, keys)

    def keeper_first():
        # The listener is replaced after 1,000 links: by what they are, not by their numbers.
        return [server.process.pid, *(p.pid for p in sorted(below(server.process.pid), key=lambda p: p.title))]
    assert wait_until(lambda: len(tree(server.process.pid)) <= 4, 10)
    base = [(descriptors(p), resident_kb(p)) for p in keeper_first()]
    count = 200 if ASAN else 1000
    for i in range(count):
        sock = socket.create_connection(("127.0.0.1", server.port), 10)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer = rawssh.Peer(sock)
        try:
            kind = rng.randrange(6)
            if kind >= 1:
                peer.raw(b"SSH-2.0-raw\r\n"[:rng.randrange(14)])
            if kind >= 2:
                peer.sock.close()
                peer = rawssh.connect(server.port)
                peer.raw((b"SSH-2.0-raw\r\n" + peer.seal(rawssh.kexinit()))[:rng.randrange(400)])
            if kind >= 4:
                peer.sock.close()
                peer = rawssh.keyed(server.port)
                peer.raw(peer.seal(bytes([5]) + string("ssh-userauth"))[:rng.randrange(40)])
            if kind == 5:
                peer.sock.close()
                peer = rawssh.logged_in(server.port, USER, keys.path("user"))
                channel = peer.open_session()
                peer.request(channel, "exec", string("sleep 15 & sleep 15 & cat"))
                peer.raw(os.urandom(rng.randrange(1, 80)))
            if rng.random() < 0.5:
                peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        except (OSError, Closed):
            pass
        peer.sock.close()

    def settled():
        return len(tree(server.process.pid)) <= 4
    assert wait_until(settled, 30), below(server.process.pid)
    now = [(descriptors(p), resident_kb(p)) for p in keeper_first()]
    for (fds, kb), (fds_now, kb_now) in zip(base, now):
        assert fds_now <= fds, (base, now)
        assert kb_now <= kb + 2048 * SLOW, (base, now)
    works(server.port, keys)


def test_goodbye_right_behind_the_first_request(lab):
    """What a judge says then is nobody's any more, and no fault."""
    server = lab.sshd("MaxStartups 500\n")
    for _ in range(60 if ASAN else 300):
        peer = rawssh.connect(server.port)
        peer.start()
        peer.exchange()
        peer.service()
        peer.send(bytes([rawssh.USERAUTH_REQUEST]) + rawssh.string(USER) + rawssh.string("ssh-connection") + rawssh.string("none"))
        peer.send(bytes([rawssh.DISCONNECT]) + rawssh.u32(11) + rawssh.string("bye") + rawssh.string(""))
        peer.close()
    assert wait_until(lambda: len(tree(server.process.pid)) <= 4)
    assert "not allowed in this state" not in server.log()


@pytest.mark.parametrize("phase", ["silent", "ident", "kexinit", "keyed"])
def test_grace_time(module_lab, keys, phase):
    """Closed after LoginGraceTime in every phase; chatter does not extend it."""
    server = module_lab.sshd("LoginGraceTime 2\n")
    start = time.monotonic()
    peer = rawssh.connect(server.port)
    if phase == "ident":
        peer.raw(b"SSH-2.0-raw\r\n")
    if phase == "kexinit":
        peer.start()
    if phase == "keyed":
        peer.start()
        peer.exchange()
        peer.service()
    peer.sock.settimeout(0.1)
    while time.monotonic() - start < 30:
        try:
            if phase == "keyed":
                peer.send(bytes([rawssh.IGNORE]) + string("x"))
            if not peer.sock.recv(4096):
                break
        except TimeoutError:
            continue
        except OSError:
            break
    took = time.monotonic() - start
    # A random delay of up to 4 s is OpenSSH's; ours may be exact.
    assert 1.5 < took < 7 * SLOW


def test_half_open_links_do_not_lock_out(module_lab, keys):
    """CVE-2010-5107: 60 half-open links at MaxStartups 10:30:60; a real login gets in, every slot comes back."""
    server = module_lab.sshd("MaxStartups 10:30:60\nLoginGraceTime 3\n")
    idle = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(60)]

    def gets_in():
        try:
            works(server.port, keys)
            return True
        except (OSError, Closed, AssertionError):
            return False
    assert wait_until(gets_in, 15, 0.1)
    for s in idle:
        s.close()
    assert wait_until(gets_in, 5, 0.1)


@pytest.mark.skipif(not IS_ROOT, reason="needs root to kill a process of another uid")
def test_crashed_gate_takes_nobody_with_it(module_lab, keys):
    """A gate that dies leaves other sessions alone, and the next ones get a freshly laid-out listener."""
    server = module_lab.sshd("")
    held = rawssh.logged_in(server.port, USER, keys.path("user"))
    channel = held.open_session()
    held.request(channel, "exec", string("cat"))
    held.expect(rawssh.CHANNEL_SUCCESS, skip=(rawssh.CHANNEL_WINDOW_ADJUST, rawssh.GLOBAL_REQUEST, rawssh.CHANNEL_EXTENDED_DATA))
    before = set(tree(server.process.pid))
    victim = rawssh.keyed(server.port)
    gates = [p for p in set(tree(server.process.pid)) - before]
    assert gates
    for pid in gates:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSEGV)
    assert victim.closed() is None
    held.send(bytes([rawssh.CHANNEL_DATA]) + u32(channel) + string("still here"))
    assert held.expect(rawssh.CHANNEL_DATA, skip=(rawssh.CHANNEL_WINDOW_ADJUST, rawssh.CHANNEL_EXTENDED_DATA)).endswith(b"still here")
    assert wait_until(lambda: works(server.port, keys) is None, 5)
    held.close()


def test_log_lines_cannot_be_forged(module_lab):
    """A newline, an escape or a format in peer text never makes a log line of its own."""
    server = module_lab.sshd("")
    peer = rawssh.connect(server.port, ident=b"SSH-2.0-evil\x1b[31m%s%n")
    peer.start()
    peer.exchange()
    peer.service()
    evil = "evil\nsshd[1]: Accepted publickey for root from 10.0.0.1 port 1 ssh2\x1b]0;x\x07%s%n"
    peer.send(bytes([50]) + string(evil) + string("ssh-connection") + string("none"))
    peer.expect(rawssh.USERAUTH_FAILURE)
    peer.send(bytes([rawssh.DISCONNECT]) + u32(11) + string("bye\nFORGED") + string(""))
    peer.close()
    time.sleep(0.5)
    log = server.log()
    assert not any(line.startswith(("sshd[1]: Accepted", "FORGED")) for line in log.splitlines())
    assert "\x1b" not in log and "\x07" not in log
