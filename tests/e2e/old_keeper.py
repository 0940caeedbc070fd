"""Keepers and anchors of IPC version 4 (old_rows.py), for tests of what outlives an upgrade, and a step back.

OldKeeper takes over from today's anchor and stays: today's holders and gates are under it. OldAnchor has what a killed keeper left, for
today's keeper. As a program it is a keeper that hands over, as on SIGHUP: it executes today's sshd in its own place.

    old_keeper.py WORLD     JSON: sshd (words), port, record (hex, without what is this process's to know), meet (a socket's path), holder (facts)
"""
import contextlib
import hashlib
import json
import os
import socket
import struct
import subprocess
import sys
import threading

from old_rows import (ANCHOR_VERSION, DONE, END, HELLO, KEEP, LINK_FDS, NO_FD, PENALTIES, PIECES, SEAM_END, SEAM_HELLO, SEAM_MESSAGE,
                      SEAM_RING_MOST, SEAM_SECRET, VERSION, WAIT, Anchor, Seam, Wire, encode, fields_of, pair, read_record, write_record)
from rawssh import Closed, string, u32

HERE = os.path.dirname(os.path.abspath(__file__))


def anchor_path(port):
    return f"/run/bowline/anchor.{port}@127.0.0.1.sock"


def identity(key_blob):
    """Who may take up a connection that began with that key, and nothing else said of it: of version 4, and so for ever."""
    absent = b"\0" + string("")
    permits = 31  # terminal, forwards of ports, agent and X11, rc
    said = string("key") + string(key_blob) + string("")
    return hashlib.sha256(string(said) + u32(permits) + 3 * absent + 3 * string("")).digest()


def start_holder(facts, keeper, seam):
    """Its process; the sockets are its own from now on."""
    words = [sys.executable, os.path.join(HERE, "old_holder.py"), str(keeper.fileno()), str(seam.fileno()), json.dumps(facts)]
    process = subprocess.Popen(words, pass_fds=[keeper.fileno(), seam.fileno()], stdin=subprocess.DEVNULL)
    keeper.close()
    seam.close()
    return process


class OldGate:
    """A gate of version 4, and the client behind it: what the client says goes into the seam. In place of a link for resuming.Client."""

    buffer = b""

    def __init__(self, keeper, seam, session_id, holder_version=VERSION):
        self.keeper = Wire(keeper, "gate", "keeper")
        self.sock, self.session_id = seam, session_id
        self.seam = Seam(seam, b"SSH-2.0-Bowline_test")
        if holder_version >= 3:
            self.seam.put(SEAM_SECRET, bytes(32), after=SEAM_RING_MOST)

    def send(self, *messages):
        for message in messages:
            self.seam.put(SEAM_MESSAGE, message)

    def packet(self):
        while True:
            try:
                kind, body = self.seam.get()
            except EOFError:
                raise Closed() from None
            if kind == SEAM_END:
                raise Closed(struct.unpack(">I", body[:4])[0], body[4:].decode())
            if kind == SEAM_MESSAGE:
                return body
            assert kind == SEAM_HELLO

    def expect(self, *numbers):
        while True:
            message = self.packet()
            if message[0] in numbers:
                return message

    def goodbye(self):
        """The client's DISCONNECT."""
        self.seam.end(11)
        self.close()

    def close(self):
        self.sock.close()
        self.keeper.sock.close()


class OldAnchor:
    """What a killed keeper of version 4 has left behind, for the next: {serial: (record, {which: descriptor})}, at its place."""

    def __init__(self, port, kept):
        self.kept, self.error, self.ended = kept, None, threading.Event()
        self.path = anchor_path(port)
        os.makedirs(os.path.dirname(self.path), 0o755, exist_ok=True)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)  # that of an anchor before, which cannot remove it
        self.listener.bind(self.path)
        os.chmod(self.path, 0o600)
        self.listener.listen(1)
        self.listener.settimeout(WAIT)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        try:
            self.serve()
        except Exception as e:  # told by the test
            self.error = repr(e)
        finally:
            self.listener.close()
            self.ended.set()

    def serve(self):
        sock, _ = self.listener.accept()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 18)
        keeper = Anchor(sock)
        number, values, _ = keeper.receive()
        assert number == HELLO and values["version"] >= 1
        keeper.send(HELLO, version=ANCHOR_VERSION, serial=max(self.kept))
        for serial, (record, fds) in self.kept.items():
            there = [(1 << i, fds[name]) for i, name in enumerate(LINK_FDS) if name in fds]
            keeper.send(KEEP, [fd for _, fd in there], serial=serial, fds=sum(bit for bit, _ in there), record=write_record(record))
        keeper.send(DONE, count=len(self.kept))
        assert keeper.receive()[0] == END
        sock.close()

    def stop(self):
        """Once its keeper has come; its descriptors go, as with its process."""
        self.thread.join(WAIT)
        for _, fds in self.kept.values():
            while fds:
                os.close(fds.popitem()[1])


class OldLink:
    """A link of today's processes, under an old keeper."""

    def __init__(self, keeper, serial, record, fds):
        self.keeper, self.serial, self.record, self.fds = keeper, serial, record, fds
        self.rows = []  # (name, values) of the holder, in order
        self.holder = self.wire("holder", record["holder_version"])
        self.gate = self.wire("gate", record["gate_version"]) if "gate" in fds else None

    def wire(self, who, version):
        return Wire(socket.socket(fileno=os.dup(self.fds[who])), "keeper", who, version)

    def wait(self, name, **values):
        """The next such row of the holder's; others on the way are as good."""
        while True:
            row = self.holder.receive()
            if row is None:
                continue
            self.rows.append(row[:2])
            if row[0] == name and all(row[1][k] == v for k, v in values.items()):
                return row[1]

    def status(self):
        self.holder.send("TELL", action=1)
        return self.wait("STATUS")

    def ended(self):
        """The holder's process; what it said before, and the numbers that version 4 knows no word for."""
        try:
            while True:
                self.wait("no such row")
        except EOFError:
            return self.holder.unknown

    def gate_for(self, peer="192.0.2.7"):
        """A client has come for its connection and logged in: a new gate of version 4 for it, whose link has the returned number."""
        ours, theirs = pair()
        keeper, _ = pair()
        session_id, link = os.urandom(32), self.serial + 1000
        self.holder.send("ATTACH", fd=theirs.fileno(), link=link, session_id=session_id, peer=peer, peer_port=4711)
        theirs.close()
        return OldGate(keeper, ours, session_id, self.record["holder_version"]), link


class OldKeeper:
    """Takes over what the anchor of a killed keeper has, as version 4 did."""

    def __init__(self, port):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sock.connect(anchor_path(port))
        self.anchor, self.links = Anchor(sock), []
        self.anchor.send(HELLO, version=ANCHOR_VERSION, serial=0)
        number, values, _ = self.anchor.receive()
        assert number == HELLO and values["version"] >= ANCHOR_VERSION
        while True:
            number, values, fds = self.anchor.receive()
            if number == DONE:
                break
            if number == PENALTIES:
                assert len(fds) == 1
                os.close(fds[0])
                continue
            assert number == KEEP
            names = [name for i, name in enumerate(LINK_FDS) if values["fds"] >> i & 1]
            assert len(names) == len(fds)
            self.links.append(OldLink(self, values["serial"], read_record(values["record"]), dict(zip(names, fds))))
        assert values["count"] == len(self.links)
        self.anchor.send(END)
        sock.close()

    def killed(self, port):
        """Its anchor has what it had."""
        kept = {l.serial: (l.record, l.fds) for l in self.links}
        for link in self.links:
            link.holder.sock.close()
        return OldAnchor(port, kept)


# ---- as a program ----

def piece(kind, **values):
    return string(bytes([kind]) + encode(fields_of(PIECES[kind]), values))


def hand_over(world):
    listening = socket.create_server(("127.0.0.1", world["port"]))
    holder, holders = pair()
    gates, gate = pair()
    to_holder, to_gate = pair()
    process = start_holder(world["holder"], holders, to_gate)
    pidfd = os.pidfd_open(process.pid)
    record = read_record(bytes.fromhex(world["record"]))
    record["holder_pid"] = process.pid
    meet = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    meet.connect(world["meet"])
    socket.send_fds(meet, [b"gate"], [gate.fileno(), to_holder.fileno()])
    text = piece(1, link_serial=record["serial"], listener_serial=record["listener"], limit_soft=1024, limit_hard=4096, control=NO_FD,
                 anchor=NO_FD, folder="/")
    text += piece(2, fd=listening.fileno(), name=f"127.0.0.1:{world['port']} ")
    text += piece(4, gate=gates.fileno(), holder=holder.fileno(), holder_pid=pidfd, judge=NO_FD, judge_pid=NO_FD, seam=NO_FD,
                  record=write_record(record))
    file = os.memfd_create("handover", 0)
    os.write(file, text)
    for fd in (listening.fileno(), gates.fileno(), holder.fileno(), pidfd, file):
        os.set_inheritable(fd, True)
    os.environ["BOWLINE_HANDOVER"] = str(file)
    os.execv(world["sshd"][0], world["sshd"])


if __name__ == "__main__":
    hand_over(json.loads(sys.argv[1]))
