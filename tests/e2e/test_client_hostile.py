"""What hostile and broken servers do to our ssh."""
import os
import resource
import socket
import subprocess
import threading
import time
import zlib

import pytest
import rawssh
from conftest import SLOW, tool
from rawssh import Closed, Fields, boolean, string, u32


class Fake:
    """A server that plays `script(peer)` on its first connection; the client's run is in .done."""

    def __init__(self, keys, script, tmp_path, *args, host_role="host", known=True, options=(), input=b"", timeout=30, batch="yes"):
        self.keys, self.failure = keys, None
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen(4)
        self.port = listener.getsockname()[1]
        self.host_key = rawssh.load_key(keys.path(host_role))
        known_hosts = tmp_path / "known"
        if known:
            known_hosts.write_text(f"[127.0.0.1]:{self.port} " + keys.public("host"))

        def serve():
            try:
                sock, _ = listener.accept()
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.peer = rawssh.Peer(sock, server=True, ident=b"SSH-2.0-fake")
                script(self)
            except (Closed, OSError) as e:
                self.ended = e
            except AssertionError as e:
                self.failure = e
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        run = [tool("ssh"), "-F", "none", "-p", str(self.port), "-i", keys.path("user"), "-o", "IdentitiesOnly=yes",
               "-o", f"UserKnownHostsFile={known_hosts}", "-o", "GlobalKnownHostsFile=none", "-o", f"BatchMode={batch}",
               *options, "127.0.0.1", *args]
        start = time.monotonic()
        self.done = subprocess.run(run, input=input, capture_output=True, timeout=timeout * SLOW)
        self.took = time.monotonic() - start
        listener.close()
        thread.join(5)
        if hasattr(self, "peer"):
            self.peer.close()
        if self.failure:
            raise self.failure

    @property
    def stderr(self):
        return self.done.stderr.decode(errors="replace")

    # ---- steps of scripts ----
    LISTS = [b"curve25519-sha256,kex-strict-s-v00@openssh.com", b"ssh-ed25519", b"aes128-gcm@openssh.com",
             b"aes128-gcm@openssh.com", b"hmac-sha2-256", b"hmac-sha2-256", b"none", b"none", b"", b""]

    def keyed(self):
        self.peer.start(self.LISTS)
        self.peer.read_ident()
        theirs = self.peer.expect(rawssh.KEXINIT)
        f = Fields(theirs[17:])
        kex, host = f.string().split(b",")[0], f.string().split(b",")[0]
        for _ in range(8):
            f.string()
        if f.u8() and (kex, host) != (b"curve25519-sha256", b"ssh-ed25519"):
            self.peer.packet()  # a wrong guess
        self.peer.exchange(peer_kexinit=theirs, host_key=self.host_key)
        return self.peer

    def asked(self):
        """Key exchange; what comes next are requests to be let in."""
        peer = self.keyed()
        self.serve_authentication()
        return peer

    def serve_authentication(self):
        self.peer.expect(rawssh.SERVICE_REQUEST)
        self.peer.send(bytes([rawssh.SERVICE_ACCEPT]) + string("ssh-userauth"))

    def accept(self):
        """Key exchange, and authentication by the first signed request."""
        peer = self.asked()
        while True:
            request = self.request()
            if request[2] == b"publickey" and request[3].u8():
                peer.send(bytes([rawssh.USERAUTH_SUCCESS]))
                return peer
            if request[2] == b"publickey":
                f = request[3]
                peer.send(bytes([rawssh.USERAUTH_PK_OK]) + f.rest())
            else:
                peer.send(bytes([rawssh.USERAUTH_FAILURE]) + string("publickey") + b"\0")

    def request(self):
        f = Fields(self.peer.expect(rawssh.USERAUTH_REQUEST)[1:])
        return f.string(), f.string(), f.string(), f

    def session(self):
        """Up to the exec request of the one session; the client's channel number."""
        peer = self.accept()
        f = Fields(peer.expect(rawssh.CHANNEL_OPEN, skip=(rawssh.GLOBAL_REQUEST, rawssh.EXT_INFO))[1:])
        f.string()
        channel = f.u32()
        self.window, self.packet = f.u32(), f.u32()
        peer.send(bytes([rawssh.CHANNEL_OPEN_CONFIRMATION]) + u32(channel) + u32(0) + u32(1 << 21) + u32(1 << 15))
        while True:
            f = Fields(peer.expect(rawssh.CHANNEL_REQUEST, skip=(rawssh.GLOBAL_REQUEST,))[1:])
            f.u32()
            name, want = f.string(), f.u8()
            if want:
                peer.send(bytes([rawssh.CHANNEL_SUCCESS]) + u32(channel))
            if name in (b"exec", b"shell"):
                return peer, channel


def finish(peer, channel, status=0):
    peer.send(bytes([rawssh.CHANNEL_REQUEST]) + u32(channel) + string("exit-status") + b"\0" + u32(status),
              bytes([rawssh.CHANNEL_EOF]) + u32(channel), bytes([rawssh.CHANNEL_CLOSE]) + u32(channel))
    peer.closed()


def test_control(keys, tmp_path):
    def script(fake):
        peer, channel = fake.session()
        peer.send(bytes([rawssh.CHANNEL_DATA]) + u32(channel) + string("out"))
        finish(peer, channel, 5)
    fake = Fake(keys, script, tmp_path, "x")
    assert fake.done.returncode == 5 and fake.done.stdout == b"out", fake.stderr


def test_changed_host_key(keys, tmp_path):
    """The alarm, no byte of authentication (wolfSSH CVE-2025-11625), exit 255."""
    seen = []

    def script(fake):
        fake.keyed()
        seen.append(fake.peer.packet())
    fake = Fake(keys, script, tmp_path, "x", host_role="user")
    assert fake.done.returncode == 255
    assert "CHANGED" in fake.stderr.upper()
    assert str(tmp_path / "known") + ":1" in fake.stderr or "line 1" in fake.stderr
    assert not seen or seen[0][0] not in (rawssh.SERVICE_REQUEST, rawssh.USERAUTH_REQUEST)


@pytest.mark.parametrize("policy,code", [("yes", 255), ("accept-new", 5), ("no", 5)])
def test_unknown_host_key(keys, tmp_path, policy, code):
    def script(fake):
        peer, channel = fake.session()
        finish(peer, channel, 5)
    fake = Fake(keys, script, tmp_path, "x", known=False, options=["-o", f"StrictHostKeyChecking={policy}"])
    assert fake.done.returncode == code, fake.stderr
    known = tmp_path / "known"
    assert known.exists() == (code == 5)
    if code == 5:
        assert keys.public("host").split()[1] in known.read_text()


def test_wrong_host_signature(keys, tmp_path):
    def script(fake):
        real = fake.host_key

        class Liar:
            public_key = real.public_key

            @staticmethod
            def sign(data):
                return real.sign(data + b"!")
        fake.host_key = Liar
        fake.keyed()
        pytest.fail("the client went on")
    fake = Fake(keys, script, tmp_path, "x")
    assert fake.done.returncode == 255
    assert "signature" in fake.stderr.lower()


def test_success_not_asked_for(keys, tmp_path):
    """libssh CVE-2023-2283, dropbear CVE-2021-36369: a success out of the blue is none."""
    def script(fake):
        peer = fake.keyed()
        peer.send(bytes([rawssh.USERAUTH_SUCCESS]))
        for _ in range(20):
            assert peer.packet()[0] not in (rawssh.CHANNEL_OPEN, rawssh.GLOBAL_REQUEST), "the client believed it"
    fake = Fake(keys, script, tmp_path, "x")
    assert fake.done.returncode == 255


def test_partial_success_loop(keys, tmp_path):
    """Signatures are not given away without limit to a server that says 'partial success' for ever."""
    signatures = []

    def script(fake):
        peer = fake.asked()
        while True:
            _, _, method, f = fake.request()
            if method == b"publickey" and f.u8():
                signatures.append(1)
                peer.send(bytes([rawssh.USERAUTH_FAILURE]) + string("publickey") + b"\1")
            elif method == b"publickey":
                peer.send(bytes([rawssh.USERAUTH_PK_OK]) + f.rest())
            else:
                peer.send(bytes([rawssh.USERAUTH_FAILURE]) + string("publickey") + b"\0")
    fake = Fake(keys, script, tmp_path, "x")
    assert fake.done.returncode == 255
    assert len(signatures) <= 3


def test_pk_ok_for_another_key(keys, tmp_path):
    def script(fake):
        peer = fake.asked()
        _, _, method, _ = fake.request()
        peer.send(bytes([rawssh.USERAUTH_PK_OK]) + string("ssh-ed25519") + string(rawssh.public_blob(fake.host_key)))
        while True:
            _, _, method, f = fake.request()
            peer.send(bytes([rawssh.USERAUTH_FAILURE]) + string("publickey") + b"\0")
    fake = Fake(keys, script, tmp_path, "x")
    assert fake.done.returncode == 255


def test_endless_banner(keys, tmp_path):
    def script(fake):
        while True:
            fake.peer.raw(b"hello, I am a very talkative server\r\n" * 100)
    fake = Fake(keys, script, tmp_path, "x")
    assert fake.done.returncode == 255 and fake.took < 20 * SLOW


def test_connect_timeout_is_a_deadline(keys, tmp_path):
    """A server that trickles its banner cannot switch ConnectTimeout off."""
    def script(fake):
        for _ in range(300):
            fake.peer.raw(b"x")
            time.sleep(0.1)
    fake = Fake(keys, script, tmp_path, "x", options=["-o", "ConnectTimeout=2"])
    assert fake.done.returncode == 255
    assert 1.5 < fake.took < 6 * SLOW, fake.took


EVIL = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202eevil\x08\x08"


@pytest.mark.parametrize("where", ["banner", "disconnect", "text before", "debug"])
def test_text_is_cleaned(keys, tmp_path, where):
    """CVE-2019-6109: no control character of a server's texts reaches the terminal, BEL included."""
    def script(fake):
        if where == "text before":
            fake.peer.raw(EVIL.encode() + b"\r\n")
        peer = fake.keyed()
        if where == "debug":
            peer.send(bytes([rawssh.DEBUG]) + b"\1" + string(EVIL) + string(""))
        if where == "disconnect":
            peer.send(bytes([rawssh.DISCONNECT]) + u32(2) + string(EVIL + "said it") + string(""))
            return
        fake.serve_authentication()
        peer.send(bytes([rawssh.USERAUTH_BANNER]) + string(EVIL + "said it\n") + string(""))
        fake.request()
        peer.send(bytes([rawssh.USERAUTH_FAILURE]) + string("none-of-yours") + b"\0")
        peer.closed()
    fake = Fake(keys, script, tmp_path, "x", options=["-v"])
    assert fake.done.returncode == 255
    text = fake.stderr
    for bad in ("\x1b", "\x07", "\x08", "\x9b", "\u202e"):
        assert bad not in text, repr(text)
    if where in ("banner", "disconnect"):
        assert "said it" in text


def test_strangers_channels_are_refused(keys, tmp_path):
    """A server opens no channel that was not asked for."""
    answers = []

    def script(fake):
        peer, channel = fake.session()
        for kind, extra in (("session", b""), ("auth-agent@openssh.com", b""), ("x11", string("127.0.0.1") + u32(1)),
                            ("forwarded-tcpip", string("127.0.0.1") + u32(22) + string("127.0.0.1") + u32(1)),
                            ("forwarded-streamlocal@openssh.com", string("/tmp/x") + string(""))):
            peer.send(bytes([rawssh.CHANNEL_OPEN]) + string(kind) + u32(77) + u32(1000) + u32(1000) + extra)
            answers.append(peer.expect(rawssh.CHANNEL_OPEN_FAILURE, rawssh.CHANNEL_OPEN_CONFIRMATION,
                                       skip=(rawssh.GLOBAL_REQUEST, rawssh.CHANNEL_EOF, rawssh.CHANNEL_WINDOW_ADJUST))[0])
        peer.send(bytes([rawssh.GLOBAL_REQUEST]) + string("tcpip-forward") + boolean(True) + string("") + u32(0))
        answers.append(peer.expect(rawssh.REQUEST_SUCCESS, rawssh.REQUEST_FAILURE, skip=(rawssh.CHANNEL_EOF,))[0])
        finish(peer, channel, 5)
    fake = Fake(keys, script, tmp_path, "x")
    assert fake.done.returncode == 5, fake.stderr
    assert answers == [rawssh.CHANNEL_OPEN_FAILURE] * 5 + [rawssh.REQUEST_FAILURE]


@pytest.mark.parametrize("what", ["unknown channel", "beyond the window", "short message", "client message"])
def test_broken_connection_messages(keys, tmp_path, what):
    def script(fake):
        peer, channel = fake.session()
        if what == "unknown channel":
            peer.send(bytes([rawssh.CHANNEL_DATA]) + u32(99) + string("x"))
        elif what == "beyond the window":
            for _ in range(4000):
                peer.send(bytes([rawssh.CHANNEL_DATA]) + u32(channel) + string(b"x" * 40000))
        elif what == "short message":
            peer.send(bytes([rawssh.CHANNEL_REQUEST]) + u32(channel) + u32(500))
        else:
            peer.send(bytes([rawssh.USERAUTH_REQUEST]) + string("u") + string("s") + string("none"))
        peer.closed()
    # Data goes nowhere fast: a window of a stopped reader.
    fake = Fake(keys, script, tmp_path, "x")
    assert fake.done.returncode in (255,) or what == "beyond the window"
    if what != "beyond the window":
        assert fake.stderr.strip()


def test_exit_by_signal(keys, tmp_path):
    def script(fake):
        peer, channel = fake.session()
        peer.send(bytes([rawssh.CHANNEL_REQUEST]) + u32(channel) + string("exit-signal") + b"\0" + string("TERM") + b"\0" +
                  string(EVIL) + string(""), bytes([rawssh.CHANNEL_CLOSE]) + u32(channel))
        peer.closed()
    fake = Fake(keys, script, tmp_path, "x")
    assert fake.done.returncode == 255
    assert "\x1b" not in fake.stderr


def test_rekey_by_server(keys, tmp_path):
    def script(fake):
        peer, channel = fake.session()
        for _ in range(3):
            peer.rekey(host_key=fake.host_key)
            peer.send(bytes([rawssh.CHANNEL_DATA]) + u32(channel) + string("more "))
        finish(peer, channel, 5)
    fake = Fake(keys, script, tmp_path, "x")
    assert fake.done.returncode == 5 and fake.done.stdout == b"more " * 3, fake.stderr


def test_host_key_changed_in_rekey(keys, tmp_path):
    def script(fake):
        peer, channel = fake.session()
        peer.rekey(host_key=rawssh.load_key(keys.path("user")))
        peer.send(bytes([rawssh.CHANNEL_DATA]) + u32(channel) + string("taken over"))
        peer.closed()
    fake = Fake(keys, script, tmp_path, "x")
    assert fake.done.returncode == 255 and b"taken over" not in fake.done.stdout


def test_silent_server_is_noticed(keys, tmp_path):
    """ServerAliveInterval 1, CountMax 2: gone after about 3 s, and it says why."""
    def script(fake):
        fake.session()
        time.sleep(15)
    fake = Fake(keys, script, tmp_path, "x", options=["-o", "ServerAliveInterval=1", "-o", "ServerAliveCountMax=2"])
    assert fake.done.returncode == 255
    assert 2 < fake.took < 6 * SLOW
    assert "respond" in fake.stderr.lower() or "timeout" in fake.stderr.lower(), fake.stderr


def test_garbage_instead_of_ssh(keys, tmp_path):
    for text in (b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-1.5-old\r\n", b"\0" * 1000, os.urandom(4000)):
        def script(fake):
            fake.peer.raw(text)
            fake.peer.sock.shutdown(socket.SHUT_WR)
            time.sleep(0.3)
        fake = Fake(keys, script, tmp_path, "x")
        assert fake.done.returncode == 255 and fake.stderr.strip()


def test_compression_bomb(keys, tmp_path):
    """What a server sends to `ssh -C` inflates to one packet at most, or the link ends at once: 32 KB stand for 32 MB."""
    def script(fake):
        fake.LISTS = Fake.LISTS[:7] + [b"zlib@openssh.com"] + Fake.LISTS[8:]
        peer = fake.accept()
        deflate = zlib.compressobj(9)
        bomb = deflate.compress(bytes([rawssh.IGNORE]) + string(bytes(32 << 20))) + deflate.flush(zlib.Z_SYNC_FLUSH)
        assert len(bomb) < 40000
        peer.send(bomb)
        sent.append(len(bomb))
        peer.closed()
    sent = []
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    fake = Fake(keys, script, tmp_path, "x", options=["-C"])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert sent and fake.done.returncode == 255 and fake.done.stdout == b"", fake.stderr
    assert after.ru_utime - before.ru_utime < 3 * SLOW
