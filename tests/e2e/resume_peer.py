"""A server's side of resume-v1@bowline (doc/resume.md) written from its page alone, on rawssh: for tests of our client, right or wrong.

One connection, any number of links. `exec` runs nothing: "cat" sends back what it gets, "say N" sends N numbered lines.
"""
import hashlib
import hmac
import os
import socket
import struct
import threading

import rawssh
from rawssh import (CHANNEL_CLOSE, CHANNEL_DATA, CHANNEL_EOF, CHANNEL_OPEN, CHANNEL_OPEN_CONFIRMATION, CHANNEL_REQUEST, CHANNEL_SUCCESS,
                    CHANNEL_WINDOW_ADJUST, EXT_INFO, NEWKEYS, SERVICE_ACCEPT, SERVICE_REQUEST, USERAUTH_FAILURE, USERAUTH_REQUEST,
                    USERAUTH_SUCCESS, Closed, Fields, boolean, string, u32)

NAME = b"resume-v1@bowline"
OPEN, OPENED, REFUSED, ATTACH, ATTACHED, ACK = range(208, 214)
LISTS = [x.replace(b"ext-info-c,kex-strict-c-", b"ext-info-s,kex-strict-s-") for x in rawssh.LISTS]


def u64(n):
    return struct.pack(">Q", n)


def mac(key, *parts):
    return hmac.new(key, b"".join(parts), hashlib.sha256).digest()


def lane_of(message):
    if message[0] in (80, 81, 82, CHANNEL_OPEN, CHANNEL_WINDOW_ADJUST):
        return 0
    return struct.unpack(">I", message[1:5])[0] + 1 if 91 <= message[0] <= 100 else None


def write_counts(counts):
    return b"".join(u32(lane) + u64(n) for lane, n in sorted(counts.items()) if n)


def read_counts(data):
    return dict(struct.unpack(">IQ", data[i:i + 12]) for i in range(0, len(data), 12))


class Link(rawssh.Peer):
    """One link; remembers what secrets are made of. EXT_INFO goes out along with NEWKEYS, so that who logs in has seen it."""

    exporter = info = None

    def send(self, *payloads):
        if payloads == (bytes([NEWKEYS]),):
            self.newkeys = self.seal(payloads[0])
        else:
            super().send(*payloads)

    def take_keys(self, k, h, incoming):
        self.exporter = self.exporter or hashlib.sha256(k + h + NAME + self.session_id).digest()
        super().take_keys(k, h, incoming)
        if not incoming:
            self.raw(self.newkeys + (self.seal(self.info) if self.info else b""))
            self.info = None


class ResumeServer:
    """Serves until stop(); `spoil` may change the answer to ATTACH before it is sent: spoil(server, message) -> messages."""

    def __init__(self, host_key, announce=True, spoil=None, answer_open=None, before_open=(), grace=3600):
        self.host_key, self.announce, self.spoil, self.answer_open, self.before_open = host_key, announce, spoil, answer_open, before_open
        self.grace = grace
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.lock = threading.RLock()
        self.sent, self.confirmed, self.taken = {}, {}, {}
        self.secret = self.handle = self.link = None
        self.epoch, self.attaches, self.logins, self.errors, self.infos = 0, 0, 0, [], []
        self.goodbyes = []  # (link, reason)
        self.received = b""  # of channel 0
        self.acks = 0
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def stop(self):
        # A thread in accept() keeps a closed socket; shutting it down wakes it.
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(10)
        self.cut()

    def cut(self, reset=False):
        """Ends the present link without a word."""
        link, self.link = self.link, None
        if link is None:
            return
        if reset:
            link.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        try:
            link.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        link.sock.close()

    # ---- a link ----
    def serve(self, sock):
        link = Link(sock, server=True, ident=b"SSH-2.0-Bowline_test")
        try:
            link.start(LISTS)
            names = [(b"server-sig-algs", b"ssh-ed25519"), (b"early-session@bowline", b"0"), (b"ping@openssh.com", b"0")]
            names += [(NAME, b"")] if self.announce else []
            link.info = bytes([EXT_INFO]) + u32(len(names)) + b"".join(string(n) + string(v) for n, v in names)
            link.exchange(host_key=self.host_key)
            while True:
                self.on_message(link, link.packet())
        except Closed as e:
            self.goodbyes += [] if e.reason is None else [(link, e.reason)]
        except (OSError, ValueError):
            pass
        except Exception as e:  # told by the test
            self.errors.append(repr(e))
        finally:
            if self.link is link:
                self.link = None
            sock.close()

    def on_message(self, link, m):
        number = m[0]
        if number == SERVICE_REQUEST:
            link.send(bytes([SERVICE_ACCEPT]) + string("ssh-userauth"))
        elif number == EXT_INFO:
            f = Fields(m[1:])
            self.infos.append({f.string(): f.string() for _ in range(f.u32())})
        elif number == USERAUTH_REQUEST:
            f = Fields(m[1:])
            f.string(), f.string()
            if f.string() == b"publickey" and f.u8():
                self.logins += 1
                link.send(bytes([USERAUTH_SUCCESS]))
            else:
                link.send(bytes([USERAUTH_FAILURE]) + string("publickey") + boolean(False))
        elif number == 192:
            link.send(bytes([193]) + m[1:])
        elif number == OPEN:
            self.on_open(link, m)
        elif number == ATTACH:
            self.on_attach(link, m)
        elif number == ACK:
            with self.lock:
                f = Fields(m[1:])
                epoch = struct.unpack(">Q", f.take(8))[0]
                assert epoch == self.epoch, "ACK of another epoch"
                self.confirm(read_counts(f.string()))
                self.acks += 1
        elif number >= 80:
            with self.lock:
                if self.link is not link and self.secret is not None:
                    return
                self.link = link
                lane = lane_of(m)
                if lane is not None:
                    self.taken[lane] = self.taken.get(lane, 0) + 1
                self.connection(m)

    def confirm(self, counts):
        for lane, n in counts.items():
            assert self.confirmed.get(lane, 0) <= n <= self.count_sent(lane), "counts that cannot be"
            self.confirmed[lane] = n

    def count_sent(self, lane):
        return len(self.sent.get(lane, []))

    def send(self, *messages):
        with self.lock:
            for m in messages:
                self.sent.setdefault(lane_of(m), []).append(m)
            if self.link is not None:
                try:
                    self.link.send(*messages)
                except OSError:
                    pass

    def acknowledge(self):
        with self.lock:
            if self.link is not None:
                self.link.send(bytes([ACK]) + u64(self.epoch) + string(write_counts(self.taken)))

    # ---- resume-v1 ----
    def on_open(self, link, m):
        with self.lock:
            for message in self.before_open:
                link.send(message)
            if self.answer_open is not None:
                link.send(*self.answer_open)
                return
            f = Fields(m[1:])
            theirs, mine = f.string(), os.urandom(32)
            self.handle, self.link = os.urandom(16), link
            self.secret = mac(link.exporter, NAME + b" open", string(self.handle), string(theirs), string(mine))
            link.send(bytes([OPENED]) + string(self.handle) + string(mine) + u32(self.grace))

    def on_attach(self, link, m):
        with self.lock:
            self.attaches += 1
            f = Fields(m[1:])
            handle, epoch, counts, proof = f.string(), struct.unpack(">Q", f.take(8))[0], f.string(), f.string()
            assert handle == self.handle and epoch == self.epoch
            self.last_session_id = link.session_id
            assert proof == mac(self.secret, NAME + b" client", string(handle), u64(epoch), string(link.session_id), string(counts))
            assert self.infos[-1] == {NAME: self.handle}
            self.cut()
            mine = write_counts(self.taken)
            answer = bytes([ATTACHED]) + u64(epoch + 1) + string(mine) + string(
                mac(self.secret, NAME + b" server", string(handle), u64(epoch + 1), string(link.session_id), string(mine)))
            if self.spoil is not None:
                answers = self.spoil(self, answer)
                if answers is not None:
                    link.send(*answers)
                    return
            self.confirmed = read_counts(counts)
            self.secret = mac(self.secret, NAME + b" next", u64(epoch), string(link.session_id))
            self.epoch += 1
            self.link = link
            link.send(answer, *(x for lane in self.sent for x in self.sent[lane][self.confirmed.get(lane, 0):]))

    # ---- the connection ----
    def connection(self, m):
        f = Fields(m[1:])
        if m[0] == CHANNEL_OPEN:
            f.string()
            self.send(bytes([CHANNEL_OPEN_CONFIRMATION]) + u32(f.u32()) + u32(0) + u32(1 << 24) + u32(1 << 15))
        elif m[0] == CHANNEL_REQUEST:
            f.u32()
            name, wants = f.string(), f.u8()
            if wants:
                self.send(bytes([CHANNEL_SUCCESS]) + u32(0))
            if name == b"exec":
                self.command = f.string().split()
                if self.command[0] == b"say":
                    threading.Thread(target=self.say, args=(int(self.command[1]),), daemon=True).start()
        elif m[0] == CHANNEL_DATA:
            f.u32()
            data = f.string()
            self.received += data
            if self.command == [b"cat"]:
                self.send(bytes([CHANNEL_DATA]) + u32(0) + string(data))
        elif m[0] == CHANNEL_EOF and self.command == [b"cat"]:
            self.end(0)

    def say(self, n):
        for i in range(n):
            self.send(bytes([CHANNEL_DATA]) + u32(0) + string(b"line %d\n" % i))
            threading.Event().wait(0.002)
        self.end(7)

    def end(self, status):
        self.send(bytes([CHANNEL_REQUEST]) + u32(0) + string("exit-status") + boolean(False) + u32(status), bytes([CHANNEL_EOF]) + u32(0),
                  bytes([CHANNEL_CLOSE]) + u32(0))
