"""Processes of the previous IPC version with today's, on real sockets: a frozen peer (old_rows.py, old_holder.py, old_keeper.py) is the other.

An old keeper hands over to today's sshd, or was killed and has left an anchor; its holders go on and are resumed through today's gates.
And back: today's holders go on under an old keeper, and under today's again.
"""
import contextlib
import json
import os
import signal
import socket

import pytest
import rawssh
from conftest import SLOW, USER, free_port, needs_root, tool, wait_until
from cryptography.hazmat.primitives.serialization import load_ssh_public_key
from old_keeper import OldAnchor, OldGate, OldKeeper, identity, start_holder
from old_rows import GATE_CLOSED, STATE_OPEN, VERSION, pair, write_record
from rawssh import Fields, boolean, string, u32
from resuming import ATTACHED, ENDED, Client, Refused, read_counts, u64
from test_resume_server import bowline, events, sessions, suspended
from test_upgrade import Session, kill_keeper, restart

pytestmark = needs_root
SERIAL = 41
# What is typed is not echoed; says what it gets, and how large its terminal is.
COMMAND = """stty -echo; echo ready; while read l; do case $l in size) stty size;; end) exit 7;; *) echo "got $l";; esac; done"""


class OldClient(Client):
    """The client of an old holder's connection, which both know the secret of; it opened its session, number 0, long ago."""

    def __init__(self, port, key, facts, gate):
        self.port, self.user, self.key = port, USER, key
        self.sent, self.confirmed, self.taken, self.kept = {}, {}, {}, []
        self.unacked, self.confirms, self.epoch = 0, True, 0
        self.secret, self.handle = bytes.fromhex(facts["secret"]), bytes.fromhex(facts["handle"])
        self.peer = gate

    def line(self, text):
        self.data(0, text.encode() + b"\n")

    def reads(self, text):
        want = text.encode() + b"\r\n"
        assert self.read(len(want)) == want

    def resize(self, columns, rows):
        self.send(bytes([rawssh.CHANNEL_REQUEST]) + u32(0) + string("window-change") + boolean(False) + u32(columns) + u32(rows) + u32(0) +
                  u32(0))

    def goodbye(self):
        self.send(bytes([rawssh.CHANNEL_CLOSE]) + u32(0))
        self.peer.send(bytes([rawssh.DISCONNECT]) + u32(11) + string("") + string(""))
        self.peer.close()
        self.peer = None


def host_key(lab):
    return rawssh.public_blob(rawssh.load_key(lab.keys.path("host")))


def old_record(lab, port):
    blob = host_key(lab)
    return {"serial": SERIAL, "listener": 3, "id": 9, "state": STATE_OPEN, "peer": "192.0.2.3", "local": "127.0.0.1", "peer_port": 4000,
            "local_port": port, "user": USER, "valid_user": True, "authenticated": True, "uid": os.getuid(), "since": 1700000000,
            "key": "ED25519 SHA256:old", "comment": "an old one", "host_key": 0, "host_algorithm": "ssh-ed25519",
            "session_id": os.urandom(32), "gate_version": VERSION, "holder_version": VERSION, "judge_version": VERSION,
            "host_keys": string(blob) + string(blob) + string("ssh-ed25519"), "gate_pid": 4242,
            "identity": identity(rawssh.public_blob(rawssh.load_key(lab.keys.path("user"))))}


class World:
    """A session of version 4 whose keeper has just become, or been replaced by, today's."""

    def __init__(self, lab, way):
        self.lab, self.port, self.process, self.anchor = lab, free_port(), None, None
        self.config = lab.config(self.port, f"PerSourcePenalties no\nEventLog {lab.folder}/events\n")
        self.words = [tool("sshd"), "-D", "-e", "-f", self.config]
        self.facts = {"secret": os.urandom(32).hex(), "handle": os.urandom(16).hex(), "user": USER, "command": COMMAND}
        self.record = old_record(lab, self.port)
        self.record["handle"] = bytes.fromhex(self.facts["handle"])
        self.way, self.client = way, None

    def begin(self):
        gate, seam = self.handed_over() if self.way == "handover" else self.found()
        self.gate = OldGate(gate, seam, self.record["session_id"])
        self.client = OldClient(self.port, self.lab.keys.path("user"), self.facts, self.gate)

    def handed_over(self):
        path = os.path.join(self.lab.folder, "meet")
        meet = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        meet.bind(path)
        meet.listen(1)
        meet.settimeout(30 * SLOW)
        world = {"sshd": self.words, "port": self.port, "record": write_record(self.record).hex(), "meet": path, "holder": self.facts}
        program = os.path.join(os.path.dirname(os.path.abspath(__file__)), "old_keeper.py")
        self.server = self.lab._start("sshd", ["/usr/bin/python3", program, json.dumps(world)], self.port)
        with meet.accept()[0] as sock:
            _, fds, _, _ = socket.recv_fds(sock, 16, 2)
        meet.close()
        os.remove(path)
        return [socket.socket(fileno=fd) for fd in fds]

    def found(self):
        holder, holders = pair()
        gates, gate = pair()
        to_holder, to_gate = pair()
        self.process = start_holder(self.facts, holders, to_gate)
        self.record["holder_pid"] = self.process.pid
        fds = {"gate": gates.detach(), "holder": holder.detach(), "holder_pid": os.pidfd_open(self.process.pid)}
        self.anchor = OldAnchor(self.port, {SERIAL: (self.record, fds)})
        self.server = self.lab._start("sshd", self.words, self.port)
        self.anchor.stop()
        assert self.anchor.error is None
        self.server.wait_log("Found 1 sessions of the server before")
        return gate, to_holder

    @property
    def id(self):
        return f"{self.port}-{SERIAL}"

    def ended(self):
        """The last event of the login: its class."""
        assert wait_until(lambda: [e for e in events(self.server, "login.ended") if e["connection"] == self.id], 30), self.server.log()
        assert wait_until(lambda: sessions(self.server) == [], 30)
        if self.process is not None:
            assert self.process.wait(30 * SLOW) == 0
        assert "old holder" not in self.server.log()
        return [e for e in events(self.server, "login.ended") if e["connection"] == self.id][-1]["class"]

    def stop(self):
        if self.client is not None and self.client.peer is not None:
            self.client.peer.close()
        if self.anchor is not None:
            self.anchor.stop()
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@pytest.fixture(params=["handover", "anchor"])
def world(lab, request):
    made = World(lab, request.param)
    try:
        made.begin()
        yield made
    finally:
        made.stop()


def lose_link(world):
    """As its old gate does it."""
    world.gate.keeper.send("GATE_END", cause=GATE_CLOSED)
    world.client.cut()
    world.gate.keeper.sock.close()
    assert suspended(world.server)


# ---- an old keeper before today's ----

def test_an_old_session_goes_on(world):
    """By its old link, and then by one of today's: seen, typed into, resized, ended by itself."""
    w, c = world, world.client
    [row] = wait_until(lambda: [r for r in sessions(w.server) if r["command"] == "old one"], 30)
    assert (row["id"], row["user"], row["key"], row["comment"], row["since"]) == (w.id, USER, "ED25519 SHA256:old", "an old one", 1700000000)
    c.reads("ready")
    c.line("one")
    c.reads("got one")
    lose_link(w)
    c.line("said without a link")
    c.come_back()
    c.reads("got said without a link")
    c.resize(132, 50)
    c.line("size")
    c.reads("50 132")
    [row] = sessions(w.server)
    assert row["id"] == w.id and row["state"] != "suspended" and row["address"] == "127.0.0.1"
    assert [e["connection"] for e in events(w.server, "connection.resumed")] == [w.id]
    c.line("end")
    assert c.status() == 7
    c.goodbye()
    assert w.ended() in ("exit", "user")
    assert [e["status"] for e in events(w.server, "session.closed")] == [7]


def test_an_old_gate_gets_its_signatures(world, lab):
    """For a rekey: the host key that its link began with signs on."""
    w = world
    exchange_hash = os.urandom(32)
    w.gate.keeper.send("SIGN", ticket=5, key=0, algorithm="ssh-ed25519", hash=exchange_hash)
    name, values, _ = w.gate.keeper.receive()
    assert (name, values["ticket"]) == ("SIGNED", 5)
    f = Fields(values["signature"])
    assert f.string() == b"ssh-ed25519"
    load_ssh_public_key(lab.keys.public("host").encode()).verify(f.string(), exchange_hash)
    assert len(sessions(w.server)) == 1


def test_an_old_session_is_ended(world):
    """By the administrator, without a link; its client is told so, in today's words."""
    w = world
    w.client.reads("ready")
    lose_link(w)
    assert "1" in bowline("sessions", "end", w.id, "--port", str(w.port), "--message", "until noon")
    assert w.ended() == "administrator"
    with pytest.raises(Refused) as refused:
        w.client.come_back()
    assert refused.value.reason == ENDED
    [event] = events(w.server, "connection.resume_refused")
    assert (event["reason"], event["class"]) == ("ended", "administrator")


def test_an_old_session_over_more_keepers(world):
    """Reloaded twice, and killed: what was old when it was taken over is so for each of them."""
    w, c = world, world.client
    c.reads("ready")
    for turn in range(2):
        before = len(events(w.server, "server.reloaded"))
        w.server.process.send_signal(signal.SIGHUP)
        assert wait_until(lambda: len(events(w.server, "server.reloaded")) > before, 30)
    lose_link(w)
    kill_keeper(w.server)
    w.server = restart(w.lab, w.server)
    w.server.wait_log("Found 1 sessions of the server before")
    c.come_back()
    c.line("two")
    c.reads("got two")
    [row] = sessions(w.server)
    assert row["id"] == w.id
    c.line("end")
    assert c.status() == 7
    c.goodbye()
    w.ended()


def test_a_proof_for_an_old_holder(world):
    """It vouches, as version 4 did, for who comes without a person."""
    w = world
    w.client.reads("ready")
    lose_link(w)
    with pytest.raises(Refused):
        w.client.come_back(secret=os.urandom(32))
    w.client.come_back()
    w.client.line("three")
    w.client.reads("got three")


# ---- today's under an old keeper ----

@pytest.fixture
def today(lab):
    """A server of today's with a session that resumes, and a stock one, whose keeper has been killed: an old one comes."""
    server = lab.sshd(f"EventLog {lab.folder}/events\n")
    made = [server]
    with contextlib.ExitStack() as stack:
        client = Client(server.port, USER, lab.keys.path("user"))
        stock = Session(lab, server.port)
        stack.callback(stock.stop)
        yield server, client, stock, made
        if client.peer is not None:
            client.peer.close()


def test_todays_sessions_under_an_old_keeper(lab, today):
    """They go on, say nothing that it would not take, lose their link, get one by its gates, and end."""
    server, client, stock, _ = today
    channel = client.session("cat")
    client.data(channel, b"before")
    assert client.read(6) == b"before"
    client.ack()
    stock.echo()
    assert wait_until(lambda: len(sessions(server)) == 2)
    kill_keeper(server)
    keeper = OldKeeper(server.port)
    assert len(keeper.links) == 2
    [mine] = [l for l in keeper.links if l.record["handle"] == client.handle]
    [other] = [l for l in keeper.links if l is not mine]
    assert mine.record["identity"] == identity(rawssh.public_blob(rawssh.load_key(lab.keys.path("user"))))
    assert mine.status()["sessions"] == 1 and other.status()["channels"] == 1
    stock.echo()
    client.data(channel, b"under an old one")
    assert client.read(16) == b"under an old one"
    client.cut()
    assert mine.wait("SUSPENDED")["grace"] > 0
    client.data(channel, b"without a link")
    gate, link = mine.gate_for()
    gate.send(client.attach_message(gate))
    f = Fields(gate.expect(ATTACHED)[1:])
    client.epoch, counts = int.from_bytes(f.take(8), "big"), f.string()
    client.secret = client.keyed(client.secret, b" next", u64(client.epoch - 1) + string(gate.session_id))
    assert mine.wait("ATTACHED", link=link)["reason"] == 0
    client.peer = gate
    client.confirm(read_counts(counts))
    client.ack()
    gate.send(*(m for _, _, m in client.kept))
    assert client.read(14) == b"without a link"
    gate.goodbye()
    client.peer = None
    assert set(mine.ended()) <= {61}  # its last word, which is not for keepers of version 4
    stock.echo()
    other.holder.send("TELL", action=0, text="until noon")
    assert stock.process.wait(30 * SLOW) == 255
    assert set(other.ended()) <= {61}


def test_todays_sessions_over_an_old_keeper_and_back(lab, today):
    """The step back is taken back: under today's keeper they are as before."""
    server, client, stock, _ = today
    channel = client.session("cat")
    stock.echo()
    ids = {r["id"] for r in wait_until(lambda: len(sessions(server)) == 2 and sessions(server))}
    client.cut()
    assert suspended(server)
    kill_keeper(server)
    keeper = OldKeeper(server.port)
    for link in keeper.links:
        link.status()
    anchor = keeper.killed(server.port)
    again = restart(lab, server)
    anchor.stop()
    assert anchor.error is None
    again.wait_log("Found 2 sessions of the server before")
    assert {r["id"] for r in sessions(again)} == ids
    client.come_back()
    client.data(channel, b"back")
    assert client.read(4) == b"back"
    stock.echo()
    stock.end()
    client.peer.send(bytes([rawssh.DISCONNECT]) + u32(11) + string("") + string(""))
    client.peer.close()
    client.peer = None
    assert wait_until(lambda: sessions(again) == [], 30)
