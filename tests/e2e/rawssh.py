"""A raw SSH peer for tests: says exactly what a test wants, right or wrong, as client or server.

Only what tests need: curve25519-sha256, ssh-ed25519, aes128-gcm@openssh.com, strict key exchange.
"""
import hashlib
import os
import socket
import struct

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

(DISCONNECT, IGNORE, UNIMPLEMENTED, DEBUG, SERVICE_REQUEST, SERVICE_ACCEPT, EXT_INFO) = range(1, 8)
KEXINIT, NEWKEYS, ECDH_INIT, ECDH_REPLY = 20, 21, 30, 31
USERAUTH_REQUEST, USERAUTH_FAILURE, USERAUTH_SUCCESS, USERAUTH_BANNER, USERAUTH_PK_OK = 50, 51, 52, 53, 60
GLOBAL_REQUEST, REQUEST_SUCCESS, REQUEST_FAILURE = 80, 81, 82
(CHANNEL_OPEN, CHANNEL_OPEN_CONFIRMATION, CHANNEL_OPEN_FAILURE, CHANNEL_WINDOW_ADJUST, CHANNEL_DATA,
 CHANNEL_EXTENDED_DATA, CHANNEL_EOF, CHANNEL_CLOSE, CHANNEL_REQUEST, CHANNEL_SUCCESS, CHANNEL_FAILURE) = range(90, 101)
PING, PONG = 192, 193


def u32(n):
    return struct.pack(">I", n)


def string(b):
    b = b.encode() if isinstance(b, str) else b
    return u32(len(b)) + b


def mpint(b):
    b = b.lstrip(b"\0")
    return string(b"\0" + b if b and b[0] & 0x80 else b)


def boolean(v):
    return b"\1" if v else b"\0"


class Fields:
    """Reads the fields of a message."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        if self.at + n > len(self.data):
            raise ValueError("message too short")
        self.at += n
        return self.data[self.at - n:self.at]

    def u8(self):
        return self.take(1)[0]

    def u32(self):
        return struct.unpack(">I", self.take(4))[0]

    def string(self):
        return self.take(self.u32())

    def rest(self):
        return self.take(len(self.data) - self.at)


class Closed(Exception):
    """The peer ended the link: with a DISCONNECT (reason, text), or without."""

    def __init__(self, reason=None, text=""):
        super().__init__(f"closed: {reason} {text}")
        self.reason, self.text = reason, text


LISTS = [b"curve25519-sha256,ext-info-c,kex-strict-c-v00@openssh.com", b"ssh-ed25519", b"aes128-gcm@openssh.com",
         b"aes128-gcm@openssh.com", b"hmac-sha2-256", b"hmac-sha2-256", b"none", b"none", b"", b""]


def kexinit(lists=LISTS, follows=False, cookie=None, reserved=0):
    return bytes([KEXINIT]) + (cookie or os.urandom(16)) + b"".join(string(x) for x in lists) + boolean(follows) + u32(reserved)


def load_key(path):
    with open(path, "rb") as f:
        return serialization.load_ssh_private_key(f.read(), None)


def public_blob(key):
    raw = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return string("ssh-ed25519") + string(raw)


class Peer:
    def __init__(self, sock, server=False, ident=b"SSH-2.0-raw"):
        self.sock, self.server, self.ident = sock, server, ident
        self.buffer = b""
        self.seq_in = self.seq_out = 0
        self.key_in = self.key_out = None
        self.session_id = None
        self.strict = True
        self.peer_ident = None
        sock.settimeout(20)

    # ---- bytes ----
    def raw(self, data):
        self.sock.sendall(data)

    def need(self, n):
        while len(self.buffer) < n:
            try:
                block = self.sock.recv(65536)
            except ConnectionResetError:
                raise Closed() from None
            if not block:
                raise Closed()
            self.buffer += block
        out, self.buffer = self.buffer[:n], self.buffer[n:]
        return out

    def read_ident(self):
        line = b""
        while not line.endswith(b"\n"):
            line += self.need(1)
        self.peer_ident = line.rstrip(b"\r\n")
        return self.peer_ident

    # ---- packets ----
    def seal(self, payload, padding=None, length=None):
        block = 16 if self.key_out else 8
        extra = 0 if self.key_out else 4
        pad = padding if padding is not None else block - (len(payload) + 1 + extra) % block
        if padding is None and pad < 4:
            pad += block
        body = bytes([pad & 255]) + payload + os.urandom(pad)
        head = u32(len(body) if length is None else length)
        self.seq_out = (self.seq_out + 1) & 0xffffffff
        if not self.key_out:
            return head + body
        key, nonce = self.key_out
        sealed = AESGCM(key).encrypt(nonce, body, head)
        self.key_out = (key, nonce[:4] + struct.pack(">Q", (struct.unpack(">Q", nonce[4:])[0] + 1) & (2**64 - 1)))
        return head + sealed

    def send(self, *payloads):
        self.raw(b"".join(self.seal(p) for p in payloads))

    def packet(self):
        """The next message's payload; DISCONNECT raises Closed."""
        head = self.need(4)
        length = struct.unpack(">I", head)[0]
        if self.key_in:
            key, nonce = self.key_in
            body = AESGCM(key).decrypt(nonce, self.need(length + 16), head)
            self.key_in = (key, nonce[:4] + struct.pack(">Q", (struct.unpack(">Q", nonce[4:])[0] + 1) & (2**64 - 1)))
        else:
            body = self.need(length)
        self.seq_in = (self.seq_in + 1) & 0xffffffff
        payload = body[1:length - body[0]]
        if payload[0] == DISCONNECT:
            f = Fields(payload[1:])
            raise Closed(f.u32(), f.string().decode(errors="replace"))
        return payload

    def expect(self, *numbers, skip=(IGNORE, DEBUG, EXT_INFO)):
        while True:
            payload = self.packet()
            if payload[0] in numbers:
                return payload
            assert payload[0] in skip, f"message {payload[0]} where {numbers} was expected"

    # ---- key exchange ----
    def start(self, lists=LISTS):
        self.raw(self.ident + b"\r\n")
        self.my_kexinit = kexinit(lists)
        self.send(self.my_kexinit)

    def derive(self, k, h, letter, n):
        return hashlib.sha256(k + h + letter + self.session_id).digest()[:n]

    def exchange_hash(self, peer_kexinit, host_blob, q_c, q_s, k):
        v_c, v_s = (self.peer_ident, self.ident) if self.server else (self.ident, self.peer_ident)
        i_c, i_s = (peer_kexinit, self.my_kexinit) if self.server else (self.my_kexinit, peer_kexinit)
        return hashlib.sha256(b"".join(map(string, (v_c, v_s, i_c, i_s, host_blob, q_c, q_s))) + k).digest()

    def take_keys(self, k, h, incoming):
        # c2s uses A and C, s2c B and D.
        c2s = incoming == self.server
        iv, key = (b"A", b"C") if c2s else (b"B", b"D")
        pair = (self.derive(k, h, key, 16), self.derive(k, h, iv, 12))
        if incoming:
            self.key_in = pair
            self.seq_in = 0 if self.strict else self.seq_in
        else:
            self.key_out = pair
            self.seq_out = 0 if self.strict else self.seq_out

    def exchange(self, peer_kexinit=None, host_key=None, before_newkeys=()):
        """A whole key exchange after start(); our KEXINIT is out. For a rekey send self.my_kexinit first."""
        if self.peer_ident is None:
            self.read_ident()
        # Before its KEXINIT of a rekey the peer may still send what it likes.
        upper = range(50, 200) if self.session_id else ()
        peer_kexinit = peer_kexinit or self.expect(KEXINIT, skip=(IGNORE, DEBUG, EXT_INFO, *upper))
        mine = X25519PrivateKey.generate()
        q = mine.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        if self.server:
            q_c = Fields(self.expect(ECDH_INIT)[1:]).string()
            k = mpint(mine.exchange(X25519PublicKey.from_public_bytes(q_c)))
            self.host_blob = public_blob(host_key)
            h = self.exchange_hash(peer_kexinit, self.host_blob, q_c, q, k)
            signature = string("ssh-ed25519") + string(host_key.sign(h))
            self.send(bytes([ECDH_REPLY]) + string(self.host_blob) + string(q) + string(signature))
        else:
            self.send(bytes([ECDH_INIT]) + string(q))
            f = Fields(self.expect(ECDH_REPLY)[1:])
            self.host_blob, q_s = f.string(), f.string()
            k = mpint(mine.exchange(X25519PublicKey.from_public_bytes(q_s)))
            h = self.exchange_hash(peer_kexinit, self.host_blob, q, q_s, k)
        self.session_id = self.session_id or h
        for payload in before_newkeys:
            self.send(payload)
        self.send(bytes([NEWKEYS]))
        self.take_keys(k, h, incoming=False)
        self.expect(NEWKEYS, skip=())
        self.take_keys(k, h, incoming=True)

    def rekey(self, host_key=None):
        self.my_kexinit = kexinit()
        self.send(self.my_kexinit)
        self.exchange(host_key=host_key)

    # ---- authentication ----
    def service(self, name="ssh-userauth"):
        self.send(bytes([SERVICE_REQUEST]) + string(name))
        return self.expect(SERVICE_ACCEPT)

    def publickey_request(self, user, key, sign=True, service="ssh-connection", algorithm="ssh-ed25519", tamper=None):
        blob = public_blob(key)
        body = bytes([USERAUTH_REQUEST]) + string(user) + string(service) + string("publickey") + boolean(sign) + \
            string(algorithm) + string(blob)
        if not sign:
            return body
        raw = key.sign(string(self.session_id) + body)
        raw = tamper(raw) if tamper else raw
        return body + string(string("ssh-ed25519") + string(raw))

    def login(self, user, key):
        self.service()
        self.send(self.publickey_request(user, key))
        return self.expect(USERAUTH_SUCCESS, USERAUTH_FAILURE, skip=(IGNORE, DEBUG, EXT_INFO, USERAUTH_BANNER))[0] == USERAUTH_SUCCESS

    # ---- channels ----
    def open_session(self, number=0, window=1 << 21, packet=1 << 15):
        self.send(bytes([CHANNEL_OPEN]) + string("session") + u32(number) + u32(window) + u32(packet))
        f = Fields(self.expect(CHANNEL_OPEN_CONFIRMATION, skip=(GLOBAL_REQUEST, IGNORE, DEBUG, EXT_INFO))[1:])
        assert f.u32() == number
        return f.u32()

    def request(self, channel, name, fields=b"", want_reply=True):
        self.send(bytes([CHANNEL_REQUEST]) + u32(channel) + string(name) + boolean(want_reply) + fields)

    def closed(self):
        """Reads until the link ends; the reason of the peer's DISCONNECT, or None."""
        try:
            while True:
                self.packet()
        except Closed as e:
            return e.reason

    def close(self):
        self.sock.close()


def connect(port, ident=b"SSH-2.0-raw", source=None):
    sock = socket.create_connection(("127.0.0.1", port), 10, source_address=source)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return Peer(sock, ident=ident)


def keyed(port, **kw):
    peer = connect(port, **kw)
    peer.start()
    peer.exchange()
    return peer


def logged_in(port, user, key_path):
    peer = keyed(port)
    assert peer.login(user, load_key(key_path))
    return peer
