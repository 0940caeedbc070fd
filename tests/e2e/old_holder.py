"""A holder of IPC version 4 (old_rows.py): one connection that can be resumed, with one program on a terminal. A process of its own.

    old_holder.py KEEPER SEAM FACTS     descriptors (SEAM -1: it has no link), JSON: secret, handle, user, command

It takes from keepers what a holder of that version took, and no more: at a misfit it ends with status 3 and says what it was.
"""
import fcntl
import json
import os
import pty
import select
import signal
import socket
import struct
import sys
import termios

from old_rows import (EVENT_SESSION_CLOSED, EVENT_SESSION_OPENED, NO_STATUS, SEAM_END, SEAM_HELLO, SEAM_MESSAGE, SEAM_SECRET, TELL_END, TELL_STATUS,
                      TERMINAL_LEFT, TERMINAL_SHOWN, Misfit, Seam, Wire)
from rawssh import (CHANNEL_CLOSE, CHANNEL_DATA, CHANNEL_EOF, CHANNEL_OPEN, CHANNEL_REQUEST, CHANNEL_SUCCESS,
                    Fields, boolean, string, u32)
from resuming import (ACK, ATTACH, ATTACHED, BUSY, EPOCH, PROOF, REFUSED, Client, lane_of, read_counts, u64, write_counts)

GRACE = 3600
NONE = 0  # of refusals
NAME = "old"
TIOCGPTN = 0x80045430  # which Python has no name for


class Over(Exception):
    """It ends by itself."""


class Holder:
    def __init__(self, keeper, seam, facts):
        self.keeper = Wire(keeper, "holder", "keeper")
        self.secret, self.handle = bytes.fromhex(facts["secret"]), bytes.fromhex(facts["handle"])
        self.user, self.epoch = facts["user"], 0
        self.sent, self.confirmed, self.taken = {}, {}, {}
        self.seam = Seam(seam) if seam is not None else None
        self.attempts = []  # (seam, link, session_id)
        self.program = self.terminal = None
        self.start(facts["command"])

    def start(self, command):
        """Its one session, which channel 0 is from the beginning; of client's number 0."""
        self.program, self.terminal = pty.fork()
        if self.program == 0:
            os.execv("/bin/sh", ["sh", "-c", command])
        number = fcntl.ioctl(self.terminal, TIOCGPTN, struct.pack("I", 0))
        self.tty = f"pts/{struct.unpack('I', number)[0]}"
        self.event(EVENT_SESSION_OPENED, kind="shell", tty=self.tty)

    def event(self, number, **values):
        self.keeper.send("EVENT", event=number, **{"status": NO_STATUS, **values})

    # ---- to the peer ----
    def say(self, message):
        lane = lane_of(message)
        self.sent.setdefault(lane, []).append(message)
        if self.seam is not None:
            self.seam.put(SEAM_MESSAGE, message)

    def status(self):
        terminals = string(NAME) + u32(TERMINAL_SHOWN if self.seam else TERMINAL_LEFT) + u32(0) + u32(0)
        self.keeper.send("STATUS", sessions=1, channels=1, bytes_in=7, bytes_out=8, tty=self.tty, command="old one", terminals=terminals)

    # ---- the keeper ----
    def on_keeper(self):
        row = self.keeper.receive()
        name, values, fd = row
        if name == "TELL" and values["action"] == TELL_STATUS:
            self.status()
        elif name == "TELL" and values["action"] == TELL_END:
            if self.seam is not None:
                self.seam.end(11, values["text"])
            raise Over
        elif name == "ATTACH":
            sock = socket.socket(fileno=fd)
            self.attempts.append((Seam(sock), values["link"], values["session_id"]))
        elif name == "VOUCH":
            right = Client.keyed(self.secret, b" login", string(self.handle) + u64(values["epoch"]) + string(values["session_id"]) +
                                 string(self.user))
            good = values["epoch"] == self.epoch and values["proof"] == right
            self.keeper.send("VOUCHED", link=values["link"], reason=NONE if good else PROOF)
        elif fd is not None:
            os.close(fd)

    # ---- a client that comes ----
    def on_attempt(self, attempt):
        seam, link, session_id = attempt
        kind, body = seam.get()
        if kind in (SEAM_HELLO, SEAM_SECRET):
            return
        self.attempts.remove(attempt)
        if kind != SEAM_MESSAGE or body[0] != ATTACH:
            seam.end(0)
            return
        f = Fields(body[1:])
        handle, epoch, counts, proof = f.string(), struct.unpack(">Q", f.take(8))[0], f.string(), f.string()
        right = Client.keyed(self.secret, b" client", string(handle) + u64(epoch) + string(session_id) + string(counts))
        why = BUSY if handle != self.handle else EPOCH if epoch != self.epoch else PROOF if proof != right else NONE
        if why != NONE:
            self.keeper.send("ATTACHED", link=link, reason=why)
            seam.put(SEAM_MESSAGE, bytes([REFUSED]) + u32(why) + string("no"))
            seam.end(11, "no")
            return
        self.take_over(seam, link, session_id, read_counts(counts))

    def take_over(self, seam, link, session_id, counts):
        if self.seam is not None:
            self.seam.end(0)
            self.seam.sock.close()
        self.seam = seam
        mine = write_counts(self.taken)
        seam.put(SEAM_MESSAGE, bytes([ATTACHED]) + u64(self.epoch + 1) + string(mine) + string(
            Client.keyed(self.secret, b" server", string(self.handle) + u64(self.epoch + 1) + string(session_id) + string(mine))))
        self.secret = Client.keyed(self.secret, b" next", u64(self.epoch) + string(session_id))
        self.epoch += 1
        self.keeper.send("ATTACHED", link=link, reason=NONE, seconds=2)
        self.status()
        for lane, messages in self.sent.items():
            for message in messages[counts.get(lane, 0):]:
                seam.put(SEAM_MESSAGE, message)

    # ---- the client ----
    def on_seam(self):
        try:
            kind, body = self.seam.get()
        except EOFError:
            self.seam.sock.close()
            self.seam = None
            self.keeper.send("SUSPENDED", grace=GRACE, terminal=True, silent=False)
            self.status()
            return
        if kind == SEAM_END:
            raise Over
        if kind != SEAM_MESSAGE or body[0] == ACK:
            return
        lane = lane_of(body)
        self.taken[lane] = self.taken.get(lane, 0) + 1
        self.on_message(body)
        self.seam.put(SEAM_MESSAGE, bytes([ACK]) + u64(self.epoch) + string(write_counts(self.taken)))

    def on_message(self, message):
        f = Fields(message[1:])
        if message[0] == CHANNEL_DATA:
            f.u32()
            os.write(self.terminal, f.string())
        elif message[0] == CHANNEL_REQUEST:
            f.u32()
            name, wants = f.string(), f.u8()
            if name == b"window-change":
                columns, rows = f.u32(), f.u32()
                fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))
            if wants:
                self.say(bytes([CHANNEL_SUCCESS]) + u32(0))
        elif message[0] == CHANNEL_OPEN:
            raise Misfit("a second session")

    # ---- the program ----
    def on_terminal(self):
        try:
            data = os.read(self.terminal, 4096)
        except OSError:
            data = b""
        if data:
            self.say(bytes([CHANNEL_DATA]) + u32(0) + string(data))
            return
        os.close(self.terminal)
        self.terminal = None
        status = os.waitstatus_to_exitcode(os.waitpid(self.program, 0)[1])
        self.program = None
        self.event(EVENT_SESSION_CLOSED, kind="shell", status=status)
        self.say(bytes([CHANNEL_REQUEST]) + u32(0) + string("exit-status") + boolean(False) + u32(status))
        self.say(bytes([CHANNEL_EOF]) + u32(0))
        self.say(bytes([CHANNEL_CLOSE]) + u32(0))

    def turn(self):
        watched = {self.keeper.sock.fileno(): self.on_keeper} if self.keeper.sock.fileno() >= 0 else {}
        if self.seam is not None:
            watched[self.seam.sock.fileno()] = self.on_seam
        if self.terminal is not None:
            watched[self.terminal] = self.on_terminal
        for attempt in self.attempts:
            watched[attempt[0].sock.fileno()] = lambda a=attempt: self.on_attempt(a)
        ready, _, _ = select.select(list(watched), [], [])
        for fd in ready[:1]:
            watched[fd]()

    def run(self):
        try:
            while True:
                try:
                    self.turn()
                except EOFError:  # the keeper, or an attempt: the session goes on
                    self.attempts = []
                    if not self.keeper_lives():
                        self.keeper.sock.close()
        except Over:
            pass
        finally:
            if self.program is not None:
                os.kill(self.program, signal.SIGKILL)
                os.waitpid(self.program, 0)

    def keeper_lives(self):
        try:
            return self.keeper.sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) != b""
        except BlockingIOError:
            return True
        except OSError:
            return False


def main():
    keeper, seam = (socket.socket(fileno=int(n)) if int(n) >= 0 else None for n in sys.argv[1:3])
    try:
        Holder(keeper, seam, json.loads(sys.argv[3])).run()
    except Misfit as e:
        print(f"old holder: {e}", file=sys.stderr)
        return 3
    return 0


if __name__ == "__main__":
    sys.exit(main())
