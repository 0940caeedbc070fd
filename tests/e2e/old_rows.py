"""What sshd's processes of IPC version 4 said to each other, byte for byte: frozen, for peers that stand for that version.

Nothing here follows the sources: it was written down when version 4 was the present one (commit 33c9d83, and `bowline` of that day), and
a change of the server that these tables do not fit to breaks sessions that outlive an upgrade. Rows between keeper and gates or holders;
the record of a link; the pieces of a handover over exec; the messages of an anchor (its version 2).
"""
import contextlib
import os
import socket
import struct

VERSION = 4
WAIT = 90  # seconds, for what is to come
ANCHOR_VERSION = 2

ROWS = """
7 SIGN gate>keeper - u32:ticket u32:key text:algorithm string:hash
8 SIGNED keeper>gate - u32:ticket string:signature
15 HOLDER_READY keeper>gate once,fd u32:version
16 GATE_END gate>keeper once u32:cause u32:reason string:text
17 LOG gate,holder>keeper - u32:level string:text
18 TELL keeper>gate,holder - u32:action text:text
19 STATUS holder>keeper - u32:sessions u32:channels u64:bytes_in u64:bytes_out u32:idle text:tty text:command u32:forwards string:terminals
20 PROVE holder>keeper - string:blobs
21 PROVED keeper>holder - string:signatures
36 EVENT holder>keeper - u32:event u32:channel text:kind string:text text:tty string:host u32:port u32:status text:signal text:reason \
u64:bytes_in u64:bytes_out u32:lost text:forced_by text:forced
44 NOT_RESUMED keeper>gate once u32:reason
45 RESUMABLE holder>keeper once string:handle u32:grace
46 SUSPENDED holder>keeper - u32:grace bool:terminal bool:silent
47 ATTACH keeper>holder fd u64:link string:session_id text:peer u32:peer_port
48 ATTACHED holder>keeper - u64:link u32:reason u32:seconds
50 VOUCH keeper>holder - u64:link string:session_id u64:epoch string:proof
51 VOUCHED holder>keeper - u64:link u32:reason
54 CLAIM holder>keeper - u32:channel text:name u32:flags
55 CLAIMED keeper>holder - u32:channel u32:result text:id text:text bool:may_keep
56 VIEW keeper>holder fd text:name u32:flags text:who
57 VIEWED keeper>holder fd u32:channel
58 HELD holder>keeper - u32:grace
60 LEAVINGS holder>keeper - text:agent text:auth_info
"""

RECORD = """u64:serial u64:listener u64:id u32:state text:peer text:local u32:peer_port u32:local_port text:user bool:valid_user
bool:authenticated bool:said_end bool:pending bool:grace_over bool:judge_stays u32:uid u64:since text:key text:comment u32:host_key
text:host_algorithm u32:proofs string:session_id u32:question u32:ticket u32:questions u32:failures u64:grace_at u32:holder_pid
u32:judge_pid u32:gate_version u32:holder_version u32:judge_version u64:gate_seen u64:holder_seen u64:judge_seen string:host_keys
u64:gate_pid text:ca string:certificate_id u64:certificate_serial string:terminals string:identity string:handle u64:suspended_at
u64:suspended_since u32:suspended_grace bool:suspended_terminal u64:attaching u32:factors text:domain text:host text:agent
text:auth_info"""
STATE_OPEN, STATE_CLOSING = 16, 32
LINK_FDS = ("gate", "holder", "holder_pid", "judge", "judge_pid", "seam")

PIECES = {1: """u64:link_serial u64:listener_serial u64:limit_soft u64:limit_hard bool:sockets_given u32:control u32:anchor
u32:anchor_pid u32:nursery_pid text:control_path text:pid_file text:folder string:penalties string:retired""",
          2: "u32:fd text:name",
          3: "u64:serial u32:fd u32:pid u32:pidfd u32:forks u32:pending u32:version string:waiting",
          4: "u32:gate u32:holder u32:holder_pid u32:judge u32:judge_pid u32:seam string:record"}
NO_FD = 0xffffffff

ANCHOR = {1: "u32:version u64:serial", 2: "u64:serial u32:fds string:record", 3: "u32:count", 4: "u32:unused", 5: "u64:until"}
HELLO, KEEP, DONE, END, PENALTIES = range(1, 6)

TELL_END, TELL_STATUS = 0, 1
TERMINAL_SHOWN, TERMINAL_LEFT = 0, 1
GATE_CLOSED = 0
EVENT_SESSION_OPENED, EVENT_SESSION_CLOSED = 13, 15
NO_STATUS = 0xffffffff

# The seam between gate and holder: kind, three zero bytes, position, body.
SEAM_VERSION = 1
SEAM_HELLO, SEAM_MESSAGE, SEAM_RING, SEAM_WISH, SEAM_WAKE, SEAM_END, SEAM_SECRET = range(1, 8)
SEAM_RING_MOST = 16 << 20


class Misfit(Exception):
    """A message that a process of version 4 would not take."""


def fields_of(text):
    return [tuple(field.split(":")) for field in text.split()]


def encode(fields, values):
    out = b""
    assert {name for _, name in fields} >= set(values), values
    for kind, name in fields:
        v = values.get(name, b"" if kind in ("string", "text") else 0)
        if kind in ("string", "text"):
            v = v.encode() if isinstance(v, str) else v
            out += struct.pack(">I", len(v)) + v
        else:
            out += struct.pack({"bool": ">?", "u32": ">I", "u64": ">Q"}[kind], v)
    return out


def decode(fields, data, least=None):
    """least: of another version, which may say more, or less behind so many fields; None: it has to be whole."""
    out, at = {}, 0

    def take(n):
        nonlocal at
        if at + n > len(data):
            raise Misfit(f"cut off: {data!r}")
        at += n
        return data[at - n:at]

    for i, (kind, name) in enumerate(fields):
        if least is not None and i >= least and at == len(data):
            out[name] = b"" if kind in ("string", "text") else 0
        elif kind in ("string", "text"):
            out[name] = take(struct.unpack(">I", take(4))[0])
            if kind == "text":
                out[name] = out[name].decode()
        else:
            size = {"bool": 1, "u32": 4, "u64": 8}[kind]
            out[name] = int.from_bytes(take(size), "big")
    if least is None and at != len(data):
        raise Misfit(f"{len(data) - at} bytes too many: {data!r}")
    return out


class Row:
    def __init__(self, line):
        number, self.name, way, flags, fields = line.split(" ", 4)
        self.number = int(number)
        self.sender, self.receiver = (side.split(",") for side in way.split(">"))
        self.flags = flags.split(",")
        self.fields = fields_of(fields)


BY_NUMBER = {row.number: row for row in map(Row, ROWS.strip().splitlines())}
BY_NAME = {row.name: row for row in BY_NUMBER.values()}


def receive(sock, descriptors):
    """A message and its descriptors. An end that was closed with our words unread says so once, before its own last words."""
    try:
        return socket.recv_fds(sock, 1 << 19, descriptors)[:2]
    except ConnectionResetError:
        return socket.recv_fds(sock, 1 << 19, descriptors)[:2]


class Wire:
    """One end of a socket between a keeper and a gate or holder. `peer_version`: what its process said that it is."""

    def __init__(self, sock, me, peer, peer_version=VERSION):
        self.sock, self.me, self.peer, self.peer_version = sock, me, peer, peer_version
        sock.settimeout(WAIT)
        self.unknown = []  # numbers that a version before has no word for
        self.once = set()

    def send(self, name, fd=None, **values):
        row = BY_NAME[name]
        assert self.me in row.sender and ("fd" in row.flags) == (fd is not None)
        socket.send_fds(self.sock, [bytes([row.number]) + encode(row.fields, values)], [fd] if fd is not None else [])

    def receive(self):
        """(name, values, fd), None where it was nothing that this version knows; EOFError at the end."""
        data, fds = receive(self.sock, 1)
        if not data:
            raise EOFError
        try:
            return self.judge(data, fds)
        except (Misfit, UnicodeDecodeError):
            for fd in fds:
                os.close(fd)
            raise

    def judge(self, data, fds):
        row = BY_NUMBER.get(data[0])
        later = self.peer_version > VERSION
        if row is None and later:
            self.unknown.append(data[0])
            return None
        if row is None or self.peer not in row.sender or self.me not in row.receiver:
            raise Misfit(f"message {data[0]} of the {self.peer}")
        if len(fds) != ("fd" in row.flags):
            raise Misfit(f"{row.name}: descriptors")
        if "once" in row.flags and row.number in self.once:
            raise Misfit(f"{row.name}: a second time")
        self.once.add(row.number)
        return row.name, decode(row.fields, data[1:], len(row.fields) if later else None), (fds or [None])[0]


def pair():
    """As keepers make them: a message of any row fits."""
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    for end in ends:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 18)
    return ends


class Seam:
    """One end; bulk goes by the socket here, which every version takes."""

    def __init__(self, sock, ident=b""):
        self.sock = sock
        sock.settimeout(WAIT)
        self.put(SEAM_HELLO, struct.pack(">I", SEAM_VERSION) + ident)

    def put(self, kind, body=b"", after=0):
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # which is read then
            self.sock.send(bytes([kind, 0, 0, 0]) + struct.pack(">Q", after) + body)

    def get(self):
        """(kind, body); EOFError at the end."""
        while True:
            data, fds = receive(self.sock, 1)
            if not data:
                raise EOFError
            if fds or data[0] == SEAM_RING:
                raise Misfit("a ring for so little")
            kind, body = data[0], data[12:]
            if kind == SEAM_HELLO and struct.unpack(">I", body[:4])[0] != SEAM_VERSION:
                raise Misfit("a seam of another version")
            if kind not in (SEAM_WISH, SEAM_WAKE):
                return kind, body

    def end(self, reason, text=""):
        self.put(SEAM_END, struct.pack(">I", reason) + text.encode())


class Anchor:
    """Messages between keepers and anchors, by either end."""

    def __init__(self, sock):
        self.sock = sock
        sock.settimeout(WAIT)

    def send(self, number, descriptors=(), **values):
        socket.send_fds(self.sock, [bytes([number]) + encode(fields_of(ANCHOR[number]), values)], list(descriptors))

    def receive(self):
        """(number, values, descriptors); version 2 knows no more numbers, and takes none."""
        data, fds = receive(self.sock, len(LINK_FDS))
        if not data:
            raise EOFError
        if data[0] not in ANCHOR:
            raise Misfit(f"anchor message {data[0]}")
        fields = fields_of(ANCHOR[data[0]])
        return data[0], decode(fields, data[1:], len(fields)), fds


def read_record(data):
    return decode(fields_of(RECORD), data, 41)


def write_record(record):
    return encode(fields_of(RECORD), record)
