"""resume-v1@bowline in our client against a server written from the protocol's page (resume_peer.py): nothing lost, nothing doubled,
and nothing taken that is not right."""
import os
import subprocess
import threading

import pytest
import rawssh
import resume_peer
from conftest import SLOW, tool, wait_until
from cutter import Cutter
from rawssh import CHANNEL_DATA, GLOBAL_REQUEST, USERAUTH_REQUEST, boolean, string, u32
from resume_peer import ACK, ATTACH, ATTACHED, NAME, OPENED, REFUSED, u64


class Scene:
    """A server of the test's, a way to it, and our client."""

    def __init__(self, lab, keys, **kw):
        self.lab, self.keys = lab, keys
        self.server = resume_peer.ResumeServer(rawssh.load_key(keys.path("host")), **kw)
        self.way = Cutter(self.server.port)
        self.process = None

    def ssh(self, *args, **kw):
        run = [tool("ssh"), *self.lab.common(self.way.port), "-oWarnWeakCrypto=no", *args[:-1], "127.0.0.1", args[-1]]
        kw.setdefault("stdin", subprocess.DEVNULL)
        self.process = subprocess.Popen(run, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **kw)
        return self.process

    def end(self, timeout=30):
        out, err = self.process.communicate(timeout=timeout * SLOW)
        return self.process.returncode, out, err.decode()

    def opened(self):
        assert wait_until(lambda: self.server.acks > 0)  # our client knows of it

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.communicate()
        self.way.stop()
        self.server.stop()
        assert self.server.errors == []


@pytest.fixture
def scene(lab, keys):
    made = []

    def make(**kw):
        made.append(Scene(lab, keys, **kw))
        return made[0]
    yield make
    for s in made:
        s.stop()


def lines(n):
    return b"".join(b"line %d\n" % i for i in range(n))


# ---- nothing lost, nothing doubled ----

@pytest.mark.parametrize("reset", [False, True], ids=["FIN", "RST"])
def test_output_over_many_links(scene, reset):
    s = scene()
    s.ssh("say 400")
    for n in range(1, 7):
        assert wait_until(lambda: s.server.epoch == n - 1 and s.server.count_sent(1) > 50 * n)
        s.way.cut(reset)
    assert s.end() == (7, lines(400), "")
    assert s.server.attaches >= 6 and s.server.acks >= 6


def test_input_and_output_cut_at_any_byte(scene):
    s = scene()
    s.ssh("cat", stdin=subprocess.PIPE)
    s.opened()
    s.way.cut_at_random(25, 60000)
    data = os.urandom(1 << 21)
    writer = threading.Thread(target=lambda: (s.process.stdin.write(data), s.process.stdin.close()))
    writer.start()
    out = s.process.stdout.read()
    writer.join()
    s.process.stdin = None
    code, _, err = s.end()
    assert out == data and s.server.received == data and (code, err) == (0, "")
    assert s.way.cuts == 25 and s.server.epoch > 3


def test_input_while_there_is_no_link(scene):
    s = scene()
    s.ssh("cat", stdin=subprocess.PIPE)
    s.opened()
    s.way.refuses = True
    s.way.cut()
    s.process.stdin.write(lines(5000))
    s.process.stdin.close()
    s.process.stdin = None
    assert wait_until(lambda: s.server.link is None)
    s.way.refuses = False
    assert s.end()[:2] == (0, lines(5000))


def test_confirms_what_it_takes(scene):
    s = scene()
    s.ssh("say 300")
    code, out, _ = s.end()
    assert (code, out) == (7, lines(300))
    assert s.server.confirmed.get(1, 0) >= 200  # every 64 messages, or 200 ms


def test_a_silent_link_is_replaced(scene):
    s = scene()
    s.ssh("cat", stdin=subprocess.PIPE)
    s.opened()
    s.way.silent = True
    s.process.stdin.write(b"typed into silence\n")
    s.process.stdin.flush()
    threading.Event().wait(7)  # silence is told of after 5 s
    assert wait_until(lambda: s.way.links >= 2)  # beside the first one, which is silent as well
    s.way.silent = False
    assert s.process.stdout.readline() == b"typed into silence\n"
    s.process.stdin.close()
    s.process.stdin = None
    code, _, err = s.end()
    assert code == 0
    assert "[bowline: link to 127.0.0.1 silent for" in err and "[bowline: resumed after" in err


def test_quiet(scene):
    s = scene()
    s.ssh("-q", "cat", stdin=subprocess.PIPE)
    s.opened()
    s.way.refuses = True
    s.way.cut()
    threading.Event().wait(4.5)
    s.way.refuses = False
    s.process.stdin.close()
    s.process.stdin = None
    assert s.end() == (0, b"", "")


def test_acknowledged_is_not_sent_again(scene):
    s = scene()
    s.ssh("-v", "cat", stdin=subprocess.PIPE)
    s.opened()
    s.process.stdin.write(lines(3000))
    s.process.stdin.flush()
    assert wait_until(lambda: s.server.received == lines(3000))
    s.server.acknowledge()
    threading.Event().wait(0.3)
    acks = s.server.acks
    s.way.cut()
    assert wait_until(lambda: s.server.epoch == 1 and s.server.acks > acks)  # its end of input is not sent again then
    s.process.stdin.close()
    s.process.stdin = None
    code, out, err = s.end()
    assert (code, out) == (0, lines(3000)) and ", 0 bytes are sent again" in err


# ---- without it ----

def test_refused_at_the_beginning_is_plain_ssh(scene):
    s = scene(answer_open=[bytes([REFUSED]) + u32(1) + string("not here")])
    s.ssh("-v", "say 20")
    code, out, err = s.end()
    assert (code, out) == (7, lines(20)) and "the server does not resume this connection" in err


@pytest.mark.parametrize("how", ["not announced", "Resume no"])
def test_not_asked_for(scene, how):
    s = scene(announce=how != "not announced")
    s.ssh("-oResume=no" if how == "Resume no" else "-oResume=yes", "say 20")
    assert s.end() == (7, lines(20), "")
    assert s.server.secret is None


def test_without_it_a_lost_link_ends_the_session(scene):
    s = scene()
    s.ssh("-oResume=no", "say 4000")
    assert wait_until(lambda: s.server.count_sent(1) > 10)
    s.server.link = None
    s.way.cut()
    code, _, err = s.end()
    assert code == 255 and "closed by" in err


# ---- a server that is wrong ----

def spoiled(f):
    return lambda server, answer: [f(answer)]


def counts(server, lane):
    return string(resume_peer.write_counts({**server.taken, lane: server.taken.get(lane, 0) + 1000}))


def impossible(server, answer):
    body = bytes([ATTACHED]) + u64(server.epoch + 1)
    mine = counts(server, 0)
    proof = resume_peer.mac(server.secret, NAME + b" server", string(server.handle), u64(server.epoch + 1),
                            string(server.last_session_id), mine)
    return [body + mine + string(proof)]


BAD_ANSWERS = {
    "wrong proof": (spoiled(lambda a: a[:-1] + bytes([a[-1] ^ 1])), "does not know the connection's secret"),
    "short proof": (spoiled(lambda a: a[:-36] + string(b"x")), "does not know the connection's secret"),
    "another epoch": (spoiled(lambda a: a[:8] + bytes([a[8] ^ 1]) + a[9:]), "does not know the connection's secret"),
    "cut short": (spoiled(lambda a: a[:20]), "RESUME_ATTACHED"),
    "too long": (spoiled(lambda a: a + b"\0"), "RESUME_ATTACHED"),
    "impossible counts": (impossible, "confirms what cannot be"),
    "data before it": (lambda server, a: [bytes([CHANNEL_DATA]) + u32(0) + string("stolen")], "message 94 came before"),
    "an ACK before it": (lambda server, a: [bytes([ACK]) + u64(0) + string(b"")], "not a RESUME_ATTACHED"),
}


@pytest.mark.parametrize("name", BAD_ANSWERS)
def test_bad_answer_to_attach(scene, name):
    spoil, words = BAD_ANSWERS[name]
    s = scene(spoil=spoil)
    s.ssh("cat", stdin=subprocess.PIPE)
    s.opened()
    s.way.cut()
    code, out, err = s.end()
    assert (code, out) == (255, b"")
    assert "could not resume the connection" in err and words in err, err
    assert "stolen" not in err


REASONS = {2: "unknown connection", 3: "the connection has ended", 4: "the login was by another key", 5: "wrong proof",
           6: "resumed by another link meanwhile", 7: "messages are missing"}
CLASSES = {2: "gone", 3: "gone", 4: "access removed"}


@pytest.mark.parametrize("reason", REASONS)
def test_refusals_are_told(scene, reason):
    s = scene(spoil=lambda server, answer: [bytes([REFUSED]) + u32(reason) + string("\x1b[31mfrom the server")])
    s.ssh("cat", stdin=subprocess.PIPE)
    s.opened()
    s.way.cut()
    code, _, err = s.end()
    assert code == 255 and REASONS[reason] in err and "\x1b" not in err
    assert s.server.attaches == 1
    why = subprocess.run([tool("bowline"), "why"], capture_output=True, text=True, timeout=10 * SLOW).stdout
    assert REASONS[reason] in why and f"    {CLASSES.get(reason, 'lost')}: " in why, why


def test_busy_is_tried_again(scene):
    answers = [[bytes([REFUSED]) + u32(8) + string("later")]] * 2
    s = scene(spoil=lambda server, answer: answers.pop() if answers else None)
    s.ssh("say 300")
    assert wait_until(lambda: s.server.count_sent(1) > 20)
    s.way.cut()
    assert s.end()[:2] == (7, lines(300))
    assert s.server.attaches == 3


def test_attached_lost_with_its_link(scene):
    """The answer never arrives; the same epoch is asked for again, and nothing was applied twice."""
    lost = []

    def spoil(server, answer):
        if not lost:
            lost.append(True)
            server.cut_all()
            return []
        return None
    s = scene(spoil=spoil)
    s.server.cut_all = lambda: s.way.cut()
    s.ssh("say 300")
    assert wait_until(lambda: s.server.count_sent(1) > 20)
    s.way.cut()
    assert s.end()[:2] == (7, lines(300))
    assert s.server.attaches == 2


def test_no_goodbye_behind_attach(scene):
    """A link that does not answer may have been taken over all the same: it is left without a DISCONNECT, which would end the connection."""
    s = scene()
    answer, silent, heard = s.server.on_message, [], []

    def on_message(link, m):
        if m[0] == USERAUTH_REQUEST and s.server.acks and not silent:
            silent.append(link)
        if link in silent:
            heard.append(m[0])
        else:
            answer(link, m)
    s.server.on_message = on_message
    s.ssh("say 300")
    assert wait_until(lambda: s.server.acks and s.server.count_sent(1) > 20)
    s.way.cut()
    assert s.end(60)[:2] == (7, lines(300))
    assert heard == [USERAUTH_REQUEST, ATTACH]
    assert [link for link, _ in s.server.goodbyes if link in silent] == []


OPENINGS = {
    "short handle": [bytes([OPENED]) + string(b"h" * 15) + string(b"r" * 32) + u32(60)],
    "long random": [bytes([OPENED]) + string(b"h" * 16) + string(b"r" * 33) + u32(60)],
    "trailing": [bytes([OPENED]) + string(b"h" * 16) + string(b"r" * 32) + u32(60) + b"x"],
    "twice": [bytes([OPENED]) + string(b"h" * 16) + string(b"r" * 32) + u32(60)] * 2,
    "oversize": [bytes([OPENED]) + string(b"h" * 30000) + string(b"r" * 32) + u32(60)],
    "ATTACHED": [bytes([ATTACHED]) + u64(1) + string(b"") + string(b"p" * 32)],
    "ACK of nothing": [bytes([OPENED]) + string(b"h" * 16) + string(b"r" * 32) + u32(60),
                       bytes([ACK]) + u64(0) + string(u32(1) + u64(10 ** 6))],
    "ACK of another epoch": [bytes([OPENED]) + string(b"h" * 16) + string(b"r" * 32) + u32(60), bytes([ACK]) + u64(1) + string(b"")],
    "REFUSED with reason 0 is a refusal": None,
}


@pytest.mark.parametrize("name", [n for n in OPENINGS if OPENINGS[n]])
def test_bad_opening(scene, name):
    s = scene(answer_open=OPENINGS[name])
    s.ssh("cat", stdin=subprocess.PIPE)
    code, out, err = s.end()
    assert (code, out) == (255, b"") and "RESUME_" in err, err


def test_opened_unasked(scene):
    s = scene(before_open=[bytes([OPENED]) + string(b"h" * 16) + string(b"r" * 32) + u32(60)] * 2)
    s.ssh("cat", stdin=subprocess.PIPE)
    code, _, err = s.end()
    assert code == 255 and "RESUME_OPENED" in err


def test_global_requests_before_opened_are_not_counted(scene):
    s = scene(before_open=[bytes([GLOBAL_REQUEST]) + string("nothing@example.org") + boolean(False)] * 3)
    s.ssh("say 300")
    assert wait_until(lambda: s.server.count_sent(1) > 20)
    s.way.cut()
    assert s.end()[:2] == (7, lines(300))


def test_another_host_gets_no_login(scene, keys):
    s = scene()
    s.ssh("say 600")
    assert wait_until(lambda: s.server.count_sent(1) > 20)
    right = s.server.host_key
    s.server.host_key = rawssh.load_key(keys.path("user"))  # some key that is not the host's
    logins = s.server.logins
    s.way.cut()
    assert wait_until(lambda: s.way.links >= 3)
    assert s.server.logins == logins
    s.server.host_key = right
    assert s.end()[:2] == (7, lines(600))


def test_a_host_that_was_new_is_the_same_host(scene, tmp_path):
    """StrictHostKeyChecking no with nowhere to remember: the same key is good enough, and nothing is asked."""
    s = scene()
    s.ssh("-oStrictHostKeyChecking=no", "-oUserKnownHostsFile=/dev/null", "say 300")
    assert wait_until(lambda: s.server.count_sent(1) > 20)
    s.way.cut()
    code, out, _ = s.end()
    assert (code, out) == (7, lines(300))
    assert s.server.attaches == 1


def test_a_signal_ends_the_trying(scene):
    s = scene()
    s.ssh("cat", stdin=subprocess.PIPE)
    s.opened()
    s.way.refuses = True
    s.way.cut()
    assert wait_until(lambda: s.server.link is None)
    s.process.terminate()
    code, _, err = s.end(5)
    assert code == 255 and "Killed by signal 15" in err
