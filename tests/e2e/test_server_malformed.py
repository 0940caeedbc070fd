"""Every message in every phase against a running server: the phases and what is allowed in them are read from the reviewed
matrix of the transport's dispatch table (tests/unit/transport/dispatch.golden), not written down a second time."""
import itertools
import os
import socket

import pytest
import rawssh
from conftest import SLOW, TOP, USER, wait_until
from cryptography.exceptions import InvalidTag
from rawssh import Closed, boolean, string, u32

PROTOCOL_ERROR, KEX_FAILED, NO_SERVICE = 2, 3, 7
FIRST = "KEXINIT: not the first packet of a strict key exchange"
SHAPES = {"bare": b"", "huge string": b"\xff\xff\xff\xff", "cut short": b"\0\0\0\5ab", "noise": bytes(range(200)), "zeros": b"\0" * 30000,
          "many strings": b"\0\0\0\1x" * 2000}
SAID_UNASKED = (rawssh.GLOBAL_REQUEST, rawssh.EXT_INFO, rawssh.CHANNEL_WINDOW_ADJUST, rawssh.CHANNEL_EXTENDED_DATA, rawssh.CHANNEL_DATA)


def matrix():
    """{phase: {number: cell}} with strict key exchange; of a row that stands for many numbers the first and the last."""
    cells, phases = {}, []
    with open(os.path.join(TOP, "tests/unit/transport/dispatch.golden")) as f:
        for line in itertools.takewhile(str.strip, f):
            words = line.split()
            if words[0] == "strict":
                phases = words[1:]
                cells = {phase: {} for phase in phases}
                continue
            first, _, last = words[0].partition("-")
            for number in {int(first), int(last or first)}:
                for phase, cell in zip(phases, words[-len(phases):]):
                    cells[phase][number] = cell
    return cells


MATRIX = matrix()


def numbers(phase, *kinds):
    """Those whose cell is of one of these kinds to a server; what only servers send is not allowed."""
    def kind(cell):
        return "-" if cell.startswith("S:") else cell.removeprefix("C:")
    return sorted(n for n, cell in MATRIX[phase].items() if kind(cell) in kinds)


@pytest.fixture(scope="module")
def server(module_lab, keys):
    server = module_lab.sshd("MaxAuthTries 100\nMaxStartups 500\nPasswordAuthentication yes\nUsePAM no\n")
    yield server
    # After all of it: nothing died, and people get in.
    log = server.log()
    assert "died" not in log and "Sanitizer" not in log, log[-4000:]
    peer = session(server, keys)
    peer.close()


def session(server, keys):
    peer = rawssh.logged_in(server.port, USER, keys.path("user"))
    peer.sock.settimeout(10 * SLOW)
    return peer


def greeted(server):
    peer = rawssh.connect(server.port)
    peer.raw(peer.ident + b"\r\n")
    peer.read_ident()
    peer.expect(rawssh.KEXINIT)
    return peer


def first_exchange(server):
    peer = greeted(server)
    peer.send(rawssh.kexinit())
    return peer


def wanting_new_keys(server):
    """Our half of the exchange is out, and with it everything but NEWKEYS."""
    peer = first_exchange(server)
    peer.send(bytes([rawssh.ECDH_INIT]) + string(os.urandom(31) + b"\x11"))
    peer.expect(rawssh.ECDH_REPLY)
    return peer


def rekeying(server, keys, then=None):
    peer = session(server, keys)
    peer.send(rawssh.kexinit())
    peer.expect(rawssh.KEXINIT, skip=SAID_UNASKED)
    if then is not None:
        peer.send(then)
        peer.expect(rawssh.ECDH_REPLY)
    return peer


PHASES = {
    "kexinit": lambda server, keys: greeted(server),
    "kex": lambda server, keys: first_exchange(server),
    "newkeys": lambda server, keys: wanting_new_keys(server),
    "auth": lambda server, keys: rawssh.keyed(server.port),
    "re-kex": rekeying,
    "re-newkeys": lambda server, keys: rekeying(server, keys, bytes([rawssh.ECDH_INIT]) + string(os.urandom(31) + b"\x11")),
}


def ends(peer, what):
    """The server says why and goes, and its log says why."""
    try:
        reason = peer.closed()
    except (ConnectionError, InvalidTag, ValueError, IndexError):
        reason = None  # its DISCONNECT was overtaken by a reset, or is sealed by keys that this peer has not made
    except socket.timeout:
        pytest.fail(f"nobody minds {what}")
    assert reason in (PROTOCOL_ERROR, KEX_FAILED, None), (what, reason)
    peer.close()


def said(server):
    with open(server.log_path, "rb") as f:
        f.seek(0, os.SEEK_END)
        at = f.tell()

    def after():
        with open(server.log_path, "rb") as f:
            f.seek(at)
            return f.read().decode()
    return after


@pytest.mark.parametrize("phase", PHASES)
def test_not_allowed(server, keys, phase):
    """Each message that has no place in a phase ends its link, in whatever shape it comes, with a line that names it."""
    after, dead = said(server), numbers(phase, "-")
    assert len(dead) > 10
    for number, shape in zip(dead, itertools.cycle(SHAPES)):
        peer = PHASES[phase](server, keys)
        try:
            # The first packet's strictness is known from a KEXINIT behind it.
            peer.send(bytes([number]) + SHAPES[shape], *([rawssh.kexinit()] if phase == "kexinit" else []))
        except OSError:
            continue  # ended while the rest of it was on its way
        ends(peer, f"{number}, {shape}, in {phase}")
    # Three that a KEXINIT without strictness would have excused.
    excused = (rawssh.IGNORE, rawssh.UNIMPLEMENTED, rawssh.DEBUG) if phase == "kexinit" else ()
    lines = {FIRST if number in excused else f"({number}): not allowed" for number in dead}
    assert wait_until(lambda: all(line in after() for line in lines)), [line for line in lines if line not in after()]


@pytest.mark.parametrize("phase", ["auth", "open"])
def test_unassigned(server, keys, phase):
    """Numbers that nobody has given a meaning are answered, and the link goes on."""
    peer = session(server, keys) if phase == "open" else rawssh.keyed(server.port)
    free = numbers(phase, "unassigned")
    for number, shape in zip(free, itertools.cycle(SHAPES)):
        sequence = peer.seq_out
        peer.send(bytes([number]) + SHAPES[shape])
        assert peer.expect(rawssh.UNIMPLEMENTED, skip=SAID_UNASKED) == bytes([rawssh.UNIMPLEMENTED]) + u32(sequence)
    if phase == "auth":
        peer.service()
    else:
        peer.open_session()
    peer.close()


def goes_on(peer):
    """True: the link still answers a number that nobody has given a meaning; False: it was ended in an orderly way."""
    try:
        sequence = peer.seq_out
        peer.send(bytes([8]))
        while True:
            message = peer.packet()
            assert message[0] != rawssh.USERAUTH_SUCCESS
            if message == bytes([rawssh.UNIMPLEMENTED]) + u32(sequence):
                return True
    except Closed as closed:
        assert closed.reason in (PROTOCOL_ERROR, NO_SERVICE, None), closed
    except OSError as e:
        assert not isinstance(e, socket.timeout), "the link hangs"
    return False


def channel(server, keys):
    """A session whose channel 0 runs a program."""
    peer = session(server, keys)
    peer.request(peer.open_session(), "exec", string("cat"))
    return peer


def asking(server):
    """A link on which the next message may log in."""
    peer = rawssh.keyed(server.port)
    peer.service()
    return peer


def throw(begin, payloads):
    """Sends each, over a new link whenever the server has ended the last."""
    peer = None
    for payload in payloads:
        peer = peer or begin()
        try:
            peer.send(payload)
        except OSError:
            pass
        if not goes_on(peer):
            peer.close()
            peer = None
    if peer is not None:
        peer.close()


@pytest.mark.parametrize("shape", SHAPES)
def test_session(server, keys, shape):
    """Every message of an open connection, with a channel's number in front and without."""
    throw(lambda: channel(server, keys), [bytes([number]) + front + SHAPES[shape]
                         for number in numbers("open", "deliver", "ping", "pong", "ignore", "debug", "unimplemented", "disconnect",
                                               "early", "kexinit") for front in (b"", u32(0))])


REQUESTS = ["pty-req", "x11-req", "env", "shell", "exec", "subsystem", "window-change", "signal", "break", "xon-xoff",
            "auth-agent-req@openssh.com", "eow@openssh.com", "keepalive@openssh.com", "exit-status", "exit-signal", "", "\x1b[31m"]
CHANNELS = ["session", "direct-tcpip", "direct-streamlocal@openssh.com", "forwarded-tcpip", "x11", "auth-agent@openssh.com",
            "tun@openssh.com", "", "\x1b[31m"]
GLOBALS = ["tcpip-forward", "cancel-tcpip-forward", "streamlocal-forward@openssh.com", "cancel-streamlocal-forward@openssh.com",
           "no-more-sessions@openssh.com", "hostkeys-00@openssh.com", "hostkeys-prove-00@openssh.com", "keepalive@openssh.com", ""]


@pytest.mark.parametrize("shape", SHAPES)
def test_named_messages(server, keys, shape):
    """Requests and channels by their names: what follows the name is of every shape."""
    rest = SHAPES[shape]
    throw(lambda: channel(server, keys), [bytes([rawssh.CHANNEL_REQUEST]) + u32(0) + string(name) + boolean(True) + rest for name in REQUESTS] +
          [bytes([rawssh.CHANNEL_OPEN]) + string(kind) + u32(7) + u32(1 << 20) + u32(1 << 15) + rest for kind in CHANNELS] +
          [bytes([rawssh.CHANNEL_OPEN]) + string(kind) + u32(7) + rest for kind in CHANNELS] +
          [bytes([rawssh.GLOBAL_REQUEST]) + string(name) + boolean(True) + rest for name in GLOBALS])


METHODS = ["none", "publickey", "publickey-hostbound-v00@openssh.com", "password", "keyboard-interactive", "hostbased", "gssapi-with-mic",
           "", "\x1b[31m"]


@pytest.mark.parametrize("shape", SHAPES)
def test_login(server, shape):
    """Requests of every method, in every shape, with and without the flag that some have: never a login."""
    requests = [bytes([rawssh.USERAUTH_REQUEST]) + string(USER) + string("ssh-connection") + string(method) + flag + SHAPES[shape]
                for method in METHODS for flag in (b"", b"\0", b"\1") if (method, shape) != ("none", "bare")]
    requests += [bytes([number]) + SHAPES[shape] for number in numbers("auth", "deliver", "early", "ext_info", "ignore", "debug",
                                                                       "unimplemented", "disconnect")]
    throw(lambda: asking(server), requests)
