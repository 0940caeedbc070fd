"""ServerAliveInterval and CountMax, ClientAliveInterval and CountMax: as OpenSSH has them, for those who set them. Each case is asked of our
program and of Debian's; and what Resume makes of it, which only ours have."""
import os
import re
import signal
import subprocess
import threading

import pytest
from conftest import SLOW, USER, require, tool, wait_until
from cutter import Cutter
from test_client_why import journal, last

WAIT = 30
BOTH = pytest.mark.parametrize("whose", ["ours", "stock"])


def program(name, whose):
    return tool(name) if whose == "ours" else require(name)


class World:
    def __init__(self, lab, whose, lines):
        self.lab = lab
        self.server = lab.sshd(lines) if whose == "ours" else lab.openssh(lines)
        self.way = Cutter(self.server.port)
        lab.keys.known_hosts(self.way.port)
        self.clients = []

    def ssh(self, *options, whose="ours", config=None, command="echo here; cat"):
        """A session that has begun."""
        args = [program("ssh", whose), *self.lab.common(self.way.port), *options, "127.0.0.1", command]
        if config is not None:
            args[2] = config
        p = subprocess.Popen(args, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)
        self.clients.append(p)
        assert p.stdout.readline() == b"here\n", p.communicate(timeout=WAIT)
        return p

    def stop(self):
        for p in self.clients:
            if p.poll() is None:
                p.send_signal(signal.SIGCONT)
                p.kill()
            p.wait()
            for f in (p.stdin, p.stdout, p.stderr):
                f.close()
        self.way.stop()
        subprocess.run([tool("bowline"), "sessions", "end", USER, "--port", str(self.server.port)], capture_output=True, timeout=20 * SLOW)


@pytest.fixture
def world(lab, scratch, monkeypatch):
    if os.getuid() != 0:
        monkeypatch.setenv("XDG_RUNTIME_DIR", scratch)
    made = []

    def make(whose="ours", lines="ResumeGrace 0\n"):
        made.append(World(lab, whose, lines if whose == "ours" else lines.replace("ResumeGrace 0\n", "")))
        return made[-1]
    yield make
    for w in made:
        w.stop()


def alive(*values):
    return [x for name, value in zip(("Interval", "CountMax"), values) for x in ("-o", f"ServerAlive{name}={value}")]


def stays(*processes, seconds=3):
    """Times are not measured, but "for ever" is at least so long."""
    return not wait_until(lambda: any(p.poll() is not None for p in processes), seconds / SLOW)


def echoes(p):
    p.stdin.write(b"still here\n")
    return p.stdout.readline() == b"still here\n"


def ended(p):
    assert p.wait(WAIT * SLOW) == 255
    return p.stderr.read().decode()


# ---- the client's ----

MATCH = "Match host 127.0.0.1\n  ServerAliveInterval 2\n  ServerAliveCountMax 1\nHost *\n  ServerAliveInterval 0\n"
PARTS = f"Host *\n  ServerAliveCountMax 1\nMatch originalhost 127.0.0.* user {USER}\n  ServerAliveInterval 2s\n"
# {name: (options, configuration)}
END = {"two": (alive(2, 2), None), "one": (alive(2, 1), None), "none": (alive(6, 0), None), "match": (["-l", USER], MATCH),
       "parts": (["-l", USER], PARTS), "quiet": (["-q", *alive(2, 1)], None)}
STAY = {"zero": (alive(0, 1), None), "the command line wins": (alive(0), MATCH), "unset": ([], None)}


@BOTH
def test_a_silent_server(world, tmp_path, whose):
    """The sentence is a line of its own, for those who look for it; CountMax 0 asks nothing and ends at the first silence; interval 0 asks and
    ends nothing; -q says nothing. And what answers lives, also by saying that it does not know the question."""
    w, lives = world(), world("stock", "")

    def start(name, options, text):
        config = tmp_path / name.replace(" ", "-")
        config.write_text(text or "")
        return w.ssh(*options, whose=whose, config=str(config))
    end = {name: start(name, *case) for name, case in END.items()}
    stay = {name: start(name, *case) for name, case in STAY.items()}
    answered = lives.ssh(*alive(2, 2), whose=whose)
    w.way.refuses = True
    w.way.hush()
    for name, p in end.items():
        said = ended(p)
        if name == "quiet":
            assert said == ""
        else:
            assert re.search(r"^Timeout, server 127\.0\.0\.1 not responding\.\r?$", said, re.M), (name, said)
    assert stays(*stay.values(), answered) and echoes(answered)
    if whose == "ours":
        ends = journal()
        assert {e["class"] for e in ends} == {"silence"} and {e["text"] for e in ends} == {"Timeout, server 127.0.0.1 not responding."}
        assert sorted(e.get("probes", 0) for e in ends) == [0, 1, 1, 1, 1, 2]


# ---- the server's ----

CLIENT_ENDS = ["ClientAliveInterval 2\nClientAliveCountMax 2\n", "ClientAliveInterval 2\nClientAliveCountMax 1\n",
               f"Match User {USER}\nClientAliveInterval 2\nClientAliveCountMax 1\n"]
CLIENT_STAYS = ["ClientAliveInterval 1\nClientAliveCountMax 0\n", "ClientAliveInterval 0\nClientAliveCountMax 1\n",
                "Match User nobody-of-that-name\nClientAliveInterval 1\nClientAliveCountMax 1\n"]


@BOTH
def test_a_silent_client(world, whose):
    """CountMax 0 ends nothing, as interval 0."""
    end, stay = ([world(whose, "ResumeGrace 0\n" + lines) for lines in those] for those in (CLIENT_ENDS, CLIENT_STAYS))
    clients = {w: w.ssh("-o", "Resume=no") for w in (*end, *stay)}
    for p in clients.values():
        p.send_signal(signal.SIGSTOP)
    for w in end:
        w.server.wait_log(f"Timeout, client not responding from user {USER} 127.0.0.1 port ", WAIT)
    assert stays(*(clients[w] for w in stay))
    for p in clients.values():
        p.send_signal(signal.SIGCONT)
    for w in end:
        ended(clients[w])
    for w in stay:
        assert echoes(clients[w]) and "not responding" not in w.server.log()


# ---- with Resume ----

def test_one_other_link_is_tried(world):
    """Who sets ServerAliveInterval has another link where there is one, and OpenSSH's end where there is none (doc/decisions.md 32)."""
    w = world(lines="")
    p = w.ssh(*alive(2, 2))
    w.way.hush()
    p.stdin.write(b"typed into silence\n")
    assert p.stdout.readline() == b"typed into silence\n"
    assert wait_until(lambda: w.server.log().count("resumed from") >= 1, WAIT)
    w.way.refuses = True
    w.way.hush()
    assert "Timeout, server 127.0.0.1 not responding." in ended(p)
    assert last()["class"] == "silence" and last()["resumed"] >= 1


def test_the_own_ones_end_nothing(world):
    """Not set: silence leads to another link, however long that takes."""
    w = world(lines="")
    p = w.ssh()
    w.way.refuses = True
    w.way.hush()
    p.stdin.write(b"typed into silence\n")
    told = threading.Event()
    threading.Thread(target=lambda: b"silent for" in p.stderr.readline() and told.set(), daemon=True).start()
    assert told.wait(WAIT * SLOW)
    assert p.poll() is None
    w.way.refuses = False
    assert p.stdout.readline() == b"typed into silence\n"


def test_a_silent_client_keeps_its_connection(world):
    w = world(lines="ClientAliveInterval 2\nClientAliveCountMax 1\n")
    p = w.ssh()
    p.send_signal(signal.SIGSTOP)
    w.server.wait_log("Timeout, client not responding from user", WAIT)
    w.server.wait_log("does not answer, kept for", WAIT)
    p.send_signal(signal.SIGCONT)
    p.stdin.write(b"still here\n")
    assert p.stdout.readline() == b"still here\n"
