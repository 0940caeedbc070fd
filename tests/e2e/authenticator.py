"""A FIDO2 authenticator in software, spoken to by CTAPHID over a pseudo terminal: for libfido2 a device like any other.

It knows getInfo, makeCredential (packed self attestation) and getAssertion, for Ed25519 and P-256, and touches itself.
"""
import hashlib
import os
import pty
import select
import struct
import threading
import tty

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

CHANNEL = b"\x01\x02\x03\x04"
INIT, CBOR = 0x86, 0x90
NO_CREDENTIALS, INVALID_COMMAND = 0x2E, 0x01


def head(major, n):
    if n < 24:
        return bytes([major << 5 | n])
    size = 1 if n < 256 else 2 if n < 65536 else 4
    return bytes([major << 5 | {1: 24, 2: 25, 4: 26}[size]]) + n.to_bytes(size, "big")


def encode(v):
    if isinstance(v, bool):
        return b"\xf5" if v else b"\xf4"
    if isinstance(v, int):
        return head(0, v) if v >= 0 else head(1, -1 - v)
    if isinstance(v, bytes):
        return head(2, len(v)) + v
    if isinstance(v, str):
        return head(3, len(v.encode())) + v.encode()
    if isinstance(v, list):
        return head(4, len(v)) + b"".join(map(encode, v))
    return head(5, len(v)) + b"".join(encode(k) + encode(x) for k, x in v.items())


def decode(b, at=0):
    major, n = b[at] >> 5, b[at] & 31
    at += 1
    if n >= 24 and major != 7:
        size = {24: 1, 25: 2, 26: 4}[n]
        n, at = int.from_bytes(b[at:at + size], "big"), at + size
    if major in (0, 1):
        return (n if major == 0 else -1 - n), at
    if major in (2, 3):
        raw = b[at:at + n]
        return (raw if major == 2 else raw.decode()), at + n
    if major == 7:
        return n == 21, at
    out = []
    for _ in range(n * (2 if major == 5 else 1)):
        value, at = decode(b, at)
        out.append(value)
    return (dict(zip(out[::2], out[1::2])) if major == 5 else out), at


class Authenticator:
    def __init__(self):
        self.master, self.slave = pty.openpty()
        tty.setraw(self.master)
        tty.setraw(self.slave)
        self.path = os.ttyname(self.slave)
        self.keys, self.stopped, self.counter = {}, False, 0
        self.thread = threading.Thread(target=self.serve)
        self.thread.start()

    def stop(self):
        self.stopped = True
        self.thread.join()
        os.close(self.master)
        os.close(self.slave)

    def read(self, n):
        out = b""
        while len(out) < n and not self.stopped:
            if select.select([self.master], [], [], 0.05)[0]:
                out += os.read(self.master, n - len(out))
        return out

    def serve(self):
        while not self.stopped:
            frame = self.read(65)[1:]
            if len(frame) < 64:
                return
            channel, command, size = frame[:4], frame[4], struct.unpack(">H", frame[5:7])[0]
            data = frame[7:7 + size]
            while len(data) < size:
                data += self.read(65)[6:][:size - len(data)]
            if command == INIT:
                self.answer(channel, INIT, data + CHANNEL + bytes([2, 1, 0, 0, 4]))
            elif command == CBOR:
                self.answer(channel, CBOR, self.command(data[0], decode(data, 1)[0] if size > 1 else {}))

    def answer(self, channel, command, data):
        os.write(self.master, (channel + bytes([command]) + struct.pack(">H", len(data)) + data[:57]).ljust(64, b"\0"))
        rest, sequence = data[57:], 0
        while rest:
            os.write(self.master, (channel + bytes([sequence]) + rest[:59]).ljust(64, b"\0"))
            rest, sequence = rest[59:], sequence + 1

    def command(self, number, m):
        if number == 4:
            return b"\0" + encode({1: ["FIDO_2_0"], 2: ["credProtect"], 3: bytes(16),
                                   4: {"rk": True, "up": True, "plat": False}, 5: 1200})
        if number == 1:
            return self.make(m)
        if number == 2:
            return self.sign(m)
        return bytes([INVALID_COMMAND])

    def data(self, rp, touched, more=b""):
        self.counter += 1
        flags = (1 if touched else 0) | (0x40 if more else 0)
        return hashlib.sha256(rp.encode()).digest() + bytes([flags]) + struct.pack(">I", self.counter) + more

    def make(self, m):
        alg = m[4][0]["alg"]
        handle = os.urandom(48)
        key = ed25519.Ed25519PrivateKey.generate() if alg == -8 else ec.generate_private_key(ec.SECP256R1())
        self.keys[handle] = (m[2]["id"], key)
        if alg == -8:
            cose = {1: 1, 3: -8, -1: 6, -2: key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)}
        else:
            point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
            cose = {1: 2, 3: -7, -1: 1, -2: point[1:33], -3: point[33:]}
        data = self.data(m[2]["id"], True, bytes(16) + struct.pack(">H", len(handle)) + handle + encode(cose))
        return b"\0" + encode({1: "packed", 2: data, 3: {"alg": alg, "sig": self.seal(key, data + m[1])}})

    def sign(self, m):
        for wanted in m.get(3, []):
            rp, key = self.keys.get(wanted["id"], ("", None))
            if rp == m[1]:
                data = self.data(rp, m.get(5, {}).get("up", True))
                return b"\0" + encode({1: {"id": wanted["id"], "type": "public-key"}, 2: data,
                                       3: self.seal(key, data + m[2])})
        return bytes([NO_CREDENTIALS])

    @staticmethod
    def seal(key, data):
        if isinstance(key, ed25519.Ed25519PrivateKey):
            return key.sign(data)
        return key.sign(data, ec.ECDSA(hashes.SHA256()))
