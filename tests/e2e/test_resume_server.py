"""resume-v1@bowline at the server: a connection outlives its link, and nobody else gets it."""
import hashlib
import json
import os
import random
import signal
import subprocess
import time

import pytest
import rawssh
import resuming
from conftest import SLOW, USER, listens, needs_root, tool, wait_until
from resuming import Client, Refused

pytestmark = needs_root


@pytest.fixture
def server(lab, tmp_path):
    return lab.sshd(f"EventLog {tmp_path}/events\n")


@pytest.fixture
def client(lab, server):
    made = []

    def make(**kw):
        made.append(Client(server.port, USER, lab.keys.path("user"), **kw))
        return made[-1]

    yield make
    for one in made:
        end(server, one)


def end(server, client):
    """Nothing stays behind: a link that lives says DISCONNECT, what is suspended is told to end."""
    if client.peer is not None:
        client.peer.send(bytes([rawssh.DISCONNECT]) + rawssh.u32(11) + rawssh.string("") + rawssh.string(""))
        client.peer.close()
        client.peer = None
    for row in sessions(server):
        bowline("sessions", "end", row["id"], "--port", str(server.port))
    assert wait_until(lambda: sessions(server) == [])


def bowline(*args):
    done = subprocess.run([tool("bowline"), *args], capture_output=True, text=True, timeout=20 * SLOW)
    return done.stdout


def sessions(server):
    out = bowline("sessions", "--json", "--port", str(server.port))
    return json.loads(out) if out else []


def events(server, name):
    with open(os.path.join(server.folder, "events")) as f:
        return [e for e in map(json.loads, f) if e["event"] == name]


def suspended(server):
    return wait_until(lambda: [r for r in sessions(server) if r["state"] == "suspended"])


def test_opens_and_confirms(server, client):
    c = client()
    assert len(c.handle) == 16 and c.grace == 86400
    assert c.peer.extensions[resuming.NAME] == b""
    channel = c.session("cat")
    c.data(channel, b"hello")
    assert c.read(5) == b"hello"
    assert wait_until(lambda: c.waits(0.5) and c.peer.packet()[0] == resuming.ACK)


def test_grace_wished_for(client):
    assert client(wish=7).grace == 7


def test_nothing_lost_over_cuts(server, client):
    c = client()
    channel = c.session("cat")
    sent = got = b""
    for turn in range(4):
        for i in range(20):
            piece = f"{turn} {i} ".encode() * 20
            sent += piece
            c.data(channel, piece)
            if i % 3 == 0:
                got += c.read(1)
        c.cut()
        piece = b"said without a link "
        sent += piece
        c.data(channel, piece)
        c.come_back()
    got += c.read(len(sent) - len(got))
    assert got == sent
    assert len(events(server, "connection.resumed")) == 4
    server.wait_log(f"Connection of user {USER} resumed from 127.0.0.1")


def test_bulk_download_over_cuts(client):
    rnd = random.Random(5)
    size = 12_000_000
    c = client()
    channel = c.session(f"head -c {size} /dev/zero | tr '\\0' 'x' | nl -w 9 | head -c {size}", window=1 << 20)
    digest, n, cut_at, adjusted = hashlib.sha256(), 0, 500_000, 0
    while n < size:
        m = c.expect(rawssh.CHANNEL_DATA)
        block = resuming.Fields(m[5:]).string()
        digest.update(block)
        n += len(block)
        adjusted += len(block)
        if adjusted > 1 << 18:
            c.adjust(channel, adjusted)
            adjusted = 0
        if n > cut_at:
            cut_at += rnd.randrange(1_500_000, 4_000_000)
            c.cut()
            c.come_back()
    want = subprocess.run(f"head -c {size} /dev/zero | tr '\\0' 'x' | nl -w 9 | head -c {size}", shell=True,
                          capture_output=True, check=True).stdout
    assert digest.hexdigest() == hashlib.sha256(want).hexdigest()
    assert c.status() == 0


def test_upload_over_cuts(client):
    c = client()
    channel = c.session("sha256sum")
    data = os.urandom(1_600_000)
    for i in range(0, len(data), 20000):
        c.data(channel, data[i:i + 20000])
        if i % 500_000 == 0:
            c.cut()
            c.come_back()
    c.send(bytes([rawssh.CHANNEL_EOF]) + rawssh.u32(channel))
    c.cut()
    c.come_back()
    assert c.read(64)[:64].decode() == hashlib.sha256(data).hexdigest()


def test_program_ends_while_away(server, client, tmp_path):
    c = client()
    c.session(f"while [ ! -e {tmp_path}/go ]; do sleep 0.05; done; echo last words; exit 7")
    c.cut()
    assert suspended(server)
    (tmp_path / "go").touch()
    assert wait_until(lambda: sessions(server)[0]["sessions"] == 0)
    c.come_back()
    assert c.read(11) == b"last words\n"
    assert c.status() == 7


def test_answer_that_was_lost(client):
    c = client()
    channel = c.session("cat")
    c.cut()
    c.come_back(cut_before_answer=True)
    c.data(channel, b"x" * 9)
    c.come_back()
    assert c.read(9) == b"x" * 9


def test_takes_over_a_living_link(server, client):
    c = client()
    channel = c.session("cat")
    old, c.peer = c.peer, None
    c.come_back()
    assert old.closed() is None  # without a word
    old.close()
    c.data(channel, b"here")
    assert c.read(4) == b"here"
    assert [r["state"] for r in sessions(server)] == ["connected"]


def test_client_that_may_not_know_the_handle(server, client):
    """OPENED may have been lost with its link: nobody comes back, and nothing is kept for long."""
    c = client()
    channel = c.session("cat", terminal=False)
    c.cut()
    [row] = suspended(server)
    assert 0 < row["grace_left"] <= 60
    c.come_back()
    c.data(channel, b"here")
    assert c.read(4) == b"here"
    c.cut()
    [row] = suspended(server)
    assert row["grace_left"] > 3000


def test_shown_and_ended(server, client):
    c = client()
    c.ack()
    c.session("sleep 25", terminal=True)
    [row] = sessions(server)
    assert row["state"] == "connected" and "grace_left" not in row
    c.cut()
    [row] = suspended(server)
    assert 86000 < row["grace_left"] <= 86400 and row["suspended_since"] <= time.time()
    assert "[suspended for" in bowline("sessions", "--port", str(server.port))
    server.wait_log("lost, kept for 1 day")
    assert bowline("sessions", "end", row["id"], "--port", str(server.port))
    assert wait_until(lambda: sessions(server) == [])
    [ended] = events(server, "login.ended")
    assert ended["reason"] == "administrator"
    with pytest.raises(Refused) as refused:
        c.come_back()
    assert refused.value.reason == resuming.ENDED


def test_address_of_the_new_link_is_shown(server, client):
    c = client()
    c.session("cat")
    c.cut()
    c.come_back(source=("127.0.0.3", 0))
    [row] = sessions(server)
    assert row["address"] == "127.0.0.3" and row["state"] == "connected"
    [resumed] = events(server, "connection.resumed")
    assert resumed["peer"] == "127.0.0.3" and resumed["connection"] == row["id"]


def test_grace_ends(lab, tmp_path):
    server = lab.sshd(f"EventLog {tmp_path}/events\nResumeGrace 1d 1\n")
    c = Client(server.port, USER, lab.keys.path("user"))
    assert c.grace == 86400
    c.session(f"trap 'touch {tmp_path}/hung-up' HUP; sleep 10 & wait")
    c.cut()
    assert wait_until(lambda: sessions(server) == [])
    [ended] = events(server, "login.ended")
    assert ended["reason"] == "not-resumed"
    server.wait_log("did not come back in time")


@pytest.mark.parametrize("confirms", (False, True))
def test_who_may_not_know_of_it_is_waited_for_a_minute(server, client, confirms):
    """A client that has confirmed nothing may never have got OPENED; an ACK of nothing tells that it has."""
    c = client()
    c.session("cat")
    if confirms:
        c.ack()
    c.send(bytes([rawssh.CHANNEL_DATA]) + rawssh.u32(0) + rawssh.string(b"here"))
    c.expect(rawssh.CHANNEL_DATA)
    c.cut()
    assert wait_until(lambda: events(server, "connection.suspended"))
    assert [e["seconds"] for e in events(server, "connection.suspended")] == [3600 if confirms else 60]


def test_disconnect_ends(server, client):
    c = client()
    c.session("cat")
    c.peer.send(bytes([rawssh.DISCONNECT]) + rawssh.u32(11) + rawssh.string("bye") + rawssh.string(""))
    c.peer.close()
    c.peer = None
    assert wait_until(lambda: sessions(server) == [])
    assert events(server, "connection.suspended") == []


def test_off(lab):
    server = lab.sshd("ResumeGrace 0\n")
    peer = resuming.link(server.port, USER, lab.keys.path("user"))
    assert resuming.NAME not in peer.extensions
    peer.send(bytes([resuming.OPEN]) + rawssh.string(os.urandom(32)) + rawssh.u32(0))
    reply = peer.expect(resuming.REFUSED, skip=(rawssh.GLOBAL_REQUEST,))
    assert rawssh.Fields(reply[1:]).u32() == resuming.DISABLED
    peer.close()


def test_open_is_the_first_message(lab, server):
    peer = resuming.link(server.port, USER, lab.keys.path("user"))
    peer.open_session()
    peer.send(bytes([resuming.OPEN]) + rawssh.string(os.urandom(32)) + rawssh.u32(0))
    reply = peer.expect(resuming.REFUSED)
    assert rawssh.Fields(reply[1:]).u32() == resuming.DISABLED
    peer.close()


def test_silent_client_is_suspended(lab):
    server = lab.sshd("ClientAliveInterval 1\nClientAliveCountMax 1\n")
    c = Client(server.port, USER, lab.keys.path("user"))
    c.ack()
    channel = c.session("cat")
    old, c.peer = c.peer, None
    assert suspended(server)
    server.wait_log("does not answer, kept for 1 hour")
    assert old.closed() is None
    old.close()
    c.come_back()
    c.data(channel, b"back")
    assert c.read(4) == b"back"
    end(server, c)


# ---- who gets it ----

def refused(c, **kw):
    with pytest.raises(Refused) as e:
        c.come_back(**kw)
    return e.value.reason


def test_wrong_proofs(server, client):
    c = client()
    channel = c.session("cat")
    other = os.urandom(32)
    assert refused(c, secret=other) == resuming.PROOF
    assert refused(c, session_id=other) == resuming.PROOF
    assert refused(c, epoch=1) == resuming.EPOCH
    assert refused(c, counts={1: 1000}) == resuming.GAP
    assert refused(c, handle=bytes(16)) == resuming.UNKNOWN
    # The living link has not noticed.
    c.data(channel, b"here")
    assert c.read(4) == b"here"
    reasons = [e["reason"] for e in events(server, "connection.resume_refused")]
    assert reasons == ["proof", "proof", "epoch", "gap", "unknown"]


def test_stale_epoch_and_replay(server, client):
    c = client()
    channel = c.session("cat")
    old_secret = c.secret
    peer = resuming.link(server.port, USER, c.key, handle=c.handle)
    message = c.attach_message(peer)
    peer.close()
    c.cut()
    c.come_back()
    c.data(channel, b"x")
    assert c.read(1) == b"x"
    c.ack()
    assert refused(c, epoch=0, secret=old_secret) == resuming.EPOCH
    # An ATTACH of another link, byte for byte: its proof is bound to that one's session id.
    again = resuming.link(server.port, USER, c.key, handle=c.handle)
    again.send(message)
    assert rawssh.Fields(again.expect(resuming.REFUSED)[1:]).u32() == resuming.EPOCH
    again.close()
    c.data(channel, b"y")
    assert c.read(1) == b"y"


def test_other_key(server, client, lab, tmp_path):
    key = str(tmp_path / "other")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    with open(lab.keys.authorized_keys) as f:
        before = f.read()
    with open(key + ".pub") as pub, open(lab.keys.authorized_keys, "a") as out:
        out.write(pub.read())
    try:
        c = client()
        c.session("cat")
        c.cut()
        assert suspended(server)
        assert refused(c, key=key) == resuming.IDENTITY
        c.come_back()
    finally:
        with open(lab.keys.authorized_keys, "w") as out:
            out.write(before)


def test_other_user(account, lab):
    server = lab.sshd(authorized=f"{lab.keys.authorized_keys} .ssh/authorized_keys")
    c = Client(server.port, USER, lab.keys.path("user"))
    channel = c.session("cat")
    assert refused(c, user=account.name) == resuming.UNKNOWN
    c.data(channel, b"mine")
    assert c.read(4) == b"mine"
    end(server, c)


def test_key_removed_or_changed_meanwhile(lab, tmp_path):
    authorized = tmp_path / "keys"
    authorized.write_text(lab.keys.public("user"))
    server = lab.sshd("", authorized=str(authorized))
    c = Client(server.port, USER, lab.keys.path("user"))
    c.session("cat")
    c.cut()
    assert suspended(server)
    authorized.write_text("")
    with pytest.raises(AssertionError):
        c.come_back()
    authorized.write_text('restrict,command="true" ' + lab.keys.public("user"))
    assert refused(c) == resuming.IDENTITY
    authorized.write_text(lab.keys.public("user"))
    c.come_back()
    end(server, c)


def test_what_was_confirmed_is_a_gap(server, client):
    """Counts below what this client has confirmed, in a lane that is named or in one that is missing: those messages are not kept any more."""
    c = client()
    channel = c.session("cat")
    c.data(channel, b"here")
    assert c.read(4) == b"here"
    c.ack()
    c.data(channel, b"more")
    assert c.read(4) == b"more"  # behind the ACK
    [(lane, taken)] = c.taken.items()
    assert taken > 2
    assert refused(c, counts={}) == resuming.GAP
    assert refused(c, counts={lane: 1}) == resuming.GAP
    c.data(channel, b"last")
    assert c.read(4) == b"last"
    assert [e["reason"] for e in events(server, "connection.resume_refused")] == ["gap"] * 2
    assert wait_until(lambda: server.log().count("ended: refused: messages are missing") == 2)


def test_each_its_own(server, client):
    """Of several connections of one user, by one key, each client gets its own."""
    several = [client() for _ in range(3)]
    channels = [c.session("cat") for c in several]
    for c in several:
        c.cut()
    assert wait_until(lambda: len(suspended(server)) == 3)
    for n, c in enumerate(several):
        c.data(channels[n], b"number %d" % n)
        c.come_back()
    assert [c.read(8) for c in several] == [b"number %d" % n for n in range(3)]


def test_attempts_that_say_nothing(server, client):
    """Two are listened to, for ten seconds; a third is told to come later; and the connection does not notice."""
    c = client()
    channel = c.session("cat")
    links = [resuming.link(server.port, USER, c.key, handle=c.handle) for _ in range(2)]

    def later():
        try:
            return refused(c)
        except rawssh.Closed:  # the refusal was there before the message
            return resuming.BUSY
    # The keeper hands the two on in their order, before the third has logged in.
    assert later() == resuming.BUSY
    unknown = resuming.link(server.port, USER, c.key, handle=os.urandom(16))
    for peer in (*links, unknown):
        peer.sock.settimeout(60)
        assert peer.closed() is None or peer is unknown  # a gate with nobody behind it says why
        peer.close()
    c.data(channel, b"here")
    assert c.read(4) == b"here"
    c.come_back()


def test_two_at_once(client, server):
    c = client()
    channel = c.session("cat")
    c.cut()
    first = resuming.link(server.port, USER, c.key, handle=c.handle)
    second = resuming.link(server.port, USER, c.key, handle=c.handle)
    third = resuming.link(server.port, USER, c.key, handle=c.handle)
    for peer in (first, second, third):
        peer.send(c.attach_message(peer))
    replies = []
    for peer in (first, second, third):
        try:
            reply = peer.expect(resuming.ATTACHED, resuming.REFUSED)
            replies.append((reply[0], rawssh.Fields(reply[1:]).u32()))
        except rawssh.Closed:
            replies.append((0, 0))
        peer.close()
    # Whoever is behind another one came with the epoch before, which holds until an ACK was seen; in no case two.
    assert replies.count((resuming.ATTACHED, 0)) >= 1
    c.come_back()
    c.data(channel, b"one")
    assert c.read(3) == b"one"


def test_no_message_but_attach(server, client):
    c = client()
    channel = c.session("cat")
    peer = resuming.link(server.port, USER, c.key, handle=c.handle)
    peer.send(bytes([rawssh.CHANNEL_OPEN]) + rawssh.string("session") + rawssh.u32(0) + rawssh.u32(1) + rawssh.u32(1))
    assert peer.expect(resuming.REFUSED)
    peer.close()
    peer = resuming.link(server.port, USER, c.key, handle=os.urandom(16))
    peer.send(bytes([rawssh.CHANNEL_OPEN]) + rawssh.string("session") + rawssh.u32(0) + rawssh.u32(1) + rawssh.u32(1))
    assert peer.closed() is not None
    peer.close()
    c.data(channel, b"here")
    assert c.read(4) == b"here"


def test_too_many(lab):
    """Of 17 the oldest without a terminal ends."""
    server = lab.sshd("MaxStartups 100\n")
    clients = []
    for i in range(17):
        clients.append(Client(server.port, USER, lab.keys.path("user")))
        clients[-1].session("cat", terminal=i == 0)
        clients[-1].cut()
        assert wait_until(lambda: len(suspended(server)) == min(i + 1, 16))
    server.wait_log("more than 16 of that user have no link")
    assert wait_until(lambda: len(suspended(server)) == 16)
    with pytest.raises(Refused):
        clients[1].come_back()
    clients[0].come_back()
    end(server, clients[0])


def test_one_session_of_pam(lab, account, tmp_path):
    """Whoever comes back is asked for everything by PAM's account stage, but has his session."""
    service, log = f"bowline-test-resume-{os.getpid()}", tmp_path / "log"
    with open(f"/etc/pam.d/{service}", "w") as out:
        out.write(f"auth required pam_permit.so\naccount required pam_exec.so log={log} /bin/echo account\n"
                  f"session required pam_exec.so log={log} /bin/echo session\n")
    try:
        server = lab.sshd(f"UsePAM yes\nPAMServiceName {service}\n", authorized=".ssh/authorized_keys")
        c = Client(server.port, account.name, lab.keys.path("user"))
        channel = c.session("cat")
        c.cut()
        assert suspended(server)
        c.come_back()
        c.data(channel, b"here")
        assert c.read(4) == b"here"
        words = log.read_text().split()
        assert words.count("account") == 2 and words.count("session") == 1
        end(server, c)
        assert wait_until(lambda: log.read_text().split().count("session") == 2)  # closed
    finally:
        os.remove(f"/etc/pam.d/{service}")


# ---- the server changes, the connection stays ----

def test_reload_while_suspended(server, client):
    c = client()
    channel = c.session("cat")
    c.cut()
    [row] = suspended(server)
    server.process.send_signal(signal.SIGHUP)
    assert wait_until(lambda: server.log().count("listener is ready") == 2)
    [again] = suspended(server)
    assert again["id"] == row["id"] and again["suspended_since"] == row["suspended_since"]
    c.come_back()
    c.data(channel, b"reloaded")
    assert c.read(8) == b"reloaded"


def test_keeper_killed_while_suspended(lab, server, tmp_path):
    c = Client(server.port, USER, lab.keys.path("user"))
    channel = c.session("cat")
    c.cut()
    [row] = suspended(server)
    server.process.kill()
    server.process.wait()
    assert wait_until(lambda: not listens(server.port))
    after = lab.sshd(f"EventLog {tmp_path}/events\n", port=server.port)
    [again] = suspended(after)
    assert again["id"] == row["id"]
    c.come_back()
    c.data(channel, b"restarted")
    assert c.read(9) == b"restarted"
    end(after, c)
