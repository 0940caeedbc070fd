"""A client of resume-v1@bowline (doc/resume.md), written from that page alone: counts, keeps, confirms, comes back."""
import hashlib
import hmac
import os
import select
import socket
import struct

import rawssh
from rawssh import Fields, boolean, string, u32

OPEN, OPENED, REFUSED, ATTACH, ATTACHED, ACK = range(208, 214)
NAME = "resume-v1@bowline"
DISABLED, UNKNOWN, ENDED, IDENTITY, PROOF, EPOCH, GAP, BUSY = range(1, 9)


def u64(n):
    return struct.pack(">Q", n)


def lane_of(message):
    if message[0] in (80, 81, 82, 90, 93):
        return 0
    return struct.unpack(">I", message[1:5])[0] + 1 if 91 <= message[0] <= 100 else None


def write_counts(counts):
    return b"".join(u32(lane) + u64(n) for lane, n in sorted(counts.items()) if n)


def read_counts(data):
    return {struct.unpack(">I", data[i:i + 4])[0]: struct.unpack(">Q", data[i + 4:i + 12])[0]
            for i in range(0, len(data), 12)}


class Denied(Exception):
    """The login."""


class Refused(Exception):
    def __init__(self, reason):
        super().__init__(f"refused: {reason}")
        self.reason = reason


class Link(rawssh.Peer):
    exporter = None
    extensions = None

    def take_keys(self, k, h, incoming):
        if self.exporter is None:
            self.exporter = hashlib.sha256(k + h + NAME.encode() + self.session_id).digest()
        super().take_keys(k, h, incoming)

    def packet(self):
        payload = super().packet()
        if payload[0] == rawssh.EXT_INFO:
            f = Fields(payload[1:])
            self.extensions = {f.string().decode(): f.string() for _ in range(f.u32())}
        return payload


def link(port, user, key, handle=None, source=None, ident=b"SSH-2.0-Bowline_test"):
    plain = rawssh.connect(port, ident=ident, source=source)
    peer = Link(plain.sock, ident=ident)
    peer.start()
    peer.exchange()
    if handle is not None:
        peer.send(bytes([rawssh.EXT_INFO]) + u32(1) + string(NAME) + string(handle))
    if callable(key):
        key(peer, user)
    else:
        assert peer.login(user, rawssh.load_key(key))
    return peer


def enter(*requests):
    """A login: each request, made by request(peer, user), is a right one; the last of them lets in."""
    def login(peer, user):
        peer.service()
        for i, request in enumerate(requests):
            peer.send(request(peer, user))
            reply = peer.expect(rawssh.USERAUTH_SUCCESS, rawssh.USERAUTH_FAILURE,
                                skip=(rawssh.IGNORE, rawssh.DEBUG, rawssh.EXT_INFO, rawssh.USERAUTH_BANNER))
            partial = reply[0] == rawssh.USERAUTH_FAILURE and reply[-1] == 1
            if not (partial if i < len(requests) - 1 else reply[0] == rawssh.USERAUTH_SUCCESS):
                peer.close()
                raise Denied(reply)
    return login


def by_key(path):
    return lambda peer, user: peer.publickey_request(user, rawssh.load_key(path))


def by_password(word):
    return lambda peer, user: (bytes([rawssh.USERAUTH_REQUEST]) + string(user) + string("ssh-connection") + string("password") +
                               boolean(False) + string(word))


class Client:
    def __init__(self, port, user, key, wish=0, **kw):
        self.port, self.user, self.key = port, user, key
        self.sent, self.confirmed, self.taken = {}, {}, {}
        self.kept = []  # (lane, number, message) in order
        self.unacked = 0
        self.confirms = True  # False: it takes and says nothing, as if it were very far away
        self.peer = link(port, user, key, **kw)
        mine = os.urandom(32)
        self.peer.send(bytes([OPEN]) + string(mine) + u32(wish))
        reply = self.peer.expect(OPENED, REFUSED, skip=(rawssh.GLOBAL_REQUEST,))
        f = Fields(reply[1:])
        if reply[0] == REFUSED:
            raise Refused(f.u32())
        self.handle, theirs, self.grace = f.string(), f.string(), f.u32()
        self.epoch = 0
        self.secret = self.keyed(self.peer.exporter, b" open", string(self.handle) + string(mine) + string(theirs))

    @staticmethod
    def keyed(secret, word, text):
        return hmac.new(secret, NAME.encode() + word + text, hashlib.sha256).digest()

    # ---- going on ----
    def send(self, *messages):
        """Kept always, sent where there is a link."""
        for m in messages:
            lane = lane_of(m)
            self.kept.append((lane, self.sent.get(lane, 0), m))
            self.sent[lane] = self.sent.get(lane, 0) + 1
        if self.peer is not None:
            self.peer.send(*messages)

    def confirm(self, counts):
        for lane, n in counts.items():
            assert self.confirmed.get(lane, 0) <= n <= self.sent.get(lane, 0)
            self.confirmed[lane] = n
        self.kept = [k for k in self.kept if k[1] >= self.confirmed.get(k[0], 0)]

    def ack(self):
        self.unacked = 0
        self.peer.send(bytes([ACK]) + u64(self.epoch) + string(write_counts(self.taken)))

    def next(self):
        """The next counted message."""
        while True:
            m = self.peer.packet()
            if m[0] == ACK:
                f = Fields(m[1:])
                assert struct.unpack(">Q", f.take(8))[0] == self.epoch
                self.confirm(read_counts(f.string()))
                continue
            lane = lane_of(m)
            if lane is None:
                continue
            self.taken[lane] = self.taken.get(lane, 0) + 1
            self.unacked += len(m)
            if self.unacked > 65536 and self.confirms:
                self.ack()
            return m

    def waits(self, seconds):
        """Is there anything to be read within that time?"""
        return bool(self.peer.buffer) or bool(select.select([self.peer.sock], [], [], seconds)[0])

    def expect(self, *numbers):
        while True:
            m = self.next()
            if m[0] in numbers:
                return m

    # ---- links ----
    def cut(self):
        """The link is gone, whatever is on its way."""
        if self.peer is not None:
            self.peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.peer.close()
        self.peer = None

    def attach_message(self, peer, handle=None, epoch=None, counts=None, secret=None, session_id=None):
        handle = self.handle if handle is None else handle
        epoch = self.epoch if epoch is None else epoch
        counts = write_counts(self.taken if counts is None else counts)
        proof = self.keyed(secret or self.secret, b" client", string(handle) + u64(epoch) +
                           string(session_id or peer.session_id) + string(counts))
        return bytes([ATTACH]) + string(handle) + u64(epoch) + string(counts) + string(proof)

    def by_proof(self, epoch=None, secret=None, session_id=None, user=None, proof=None):
        """The request of a login that shows the connection's secret in place of a person."""
        def request(peer, name):
            e = self.epoch if epoch is None else epoch
            right = self.keyed(secret or self.secret, b" login", string(self.handle) + u64(e) +
                               string(session_id or peer.session_id) + string(user or name))
            return (bytes([rawssh.USERAUTH_REQUEST]) + string(name) + string("ssh-connection") + string(NAME) + u64(e) +
                    string(proof or right))
        return request

    def come_back(self, key=None, user=None, source=None, cut_before_answer=False, **kw):
        """A new link for the connection; REFUSED raises."""
        peer = link(self.port, user or self.user, key or self.key, handle=self.handle, source=source)
        peer.send(self.attach_message(peer, **kw))
        if cut_before_answer:
            peer.expect(ATTACHED)
            peer.close()
            return None
        reply = peer.expect(ATTACHED, REFUSED)
        f = Fields(reply[1:])
        if reply[0] == REFUSED:
            reason = f.u32()
            assert peer.closed() is not None  # DISCONNECT follows
            peer.close()
            raise Refused(reason)
        epoch, counts, proof = struct.unpack(">Q", f.take(8))[0], f.string(), f.string()
        assert epoch == self.epoch + 1
        assert proof == self.keyed(self.secret, b" server", string(self.handle) + u64(epoch) +
                                   string(peer.session_id) + string(counts))
        self.secret = self.keyed(self.secret, b" next", u64(self.epoch) + string(peer.session_id))
        self.epoch = epoch
        self.cut()
        self.peer = peer
        self.confirm({**{lane: 0 for lane in self.confirmed if self.confirmed[lane] == 0}, **read_counts(counts)})
        self.ack()
        for _, _, m in self.kept:
            peer.send(m)
        return peer

    # ---- channels ----
    def session(self, command, window=1 << 21, terminal=False):
        """A session that runs a command; the channel's number at the server."""
        self.send(bytes([rawssh.CHANNEL_OPEN]) + string("session") + u32(0) + u32(window) + u32(1 << 15))
        f = Fields(self.expect(rawssh.CHANNEL_OPEN_CONFIRMATION)[1:])
        f.u32()
        channel = f.u32()
        if terminal:
            self.send(bytes([rawssh.CHANNEL_REQUEST]) + u32(channel) + string("pty-req") + boolean(True) +
                      string("xterm") + u32(80) + u32(24) + u32(0) + u32(0) + string(b"\0"))
            self.expect(rawssh.CHANNEL_SUCCESS)
        self.send(bytes([rawssh.CHANNEL_REQUEST]) + u32(channel) + string("exec") + boolean(True) + string(command))
        self.expect(rawssh.CHANNEL_SUCCESS)
        return channel

    def data(self, channel, payload):
        self.send(bytes([rawssh.CHANNEL_DATA]) + u32(channel) + string(payload))

    def adjust(self, channel, n):
        self.send(bytes([rawssh.CHANNEL_WINDOW_ADJUST]) + u32(channel) + u32(n))

    def read(self, n):
        """So many bytes of data of the one channel."""
        out = bytearray()
        while len(out) < n:
            m = self.expect(rawssh.CHANNEL_DATA)
            out += Fields(m[5:]).string()
        return bytes(out)

    def status(self):
        """The program's exit status."""
        while True:
            f = Fields(self.expect(rawssh.CHANNEL_REQUEST)[5:])
            if f.string() == b"exit-status":
                f.u8()
                return f.u32()
