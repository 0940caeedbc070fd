"""Ends have reasons, in the same words at both ends (doc/ends.md): the client's journal, the server's last event and line."""
import os
import re
import signal
import shutil
import subprocess

import pytest
from conftest import IS_ROOT, SLOW, TOP, USER, require, tool, wait_until
from cutter import Cutter
from test_client_mux import Terminal
from test_client_why import last, why
from test_events import Events
from test_upgrade import children, kill_keeper, reloads, restart

WAIT = 30


class World:
    def __init__(self, lab, folder, lines):
        self.lab = lab
        self.allowed = os.path.join(folder, "allowed")
        shutil.copy(lab.keys.authorized_keys, self.allowed)
        self.events = Events(os.path.join(folder, "events"))
        self.server = lab.sshd(f"EventLog {self.events.path}\nLogLevel VERBOSE\n{lines}", authorized=self.allowed)
        self.way = Cutter(self.server.port)
        lab.keys.known_hosts(self.way.port)
        self.clients = []

    def args(self, *options, command="echo here; cat", program=None):
        return [program or tool("ssh"), *self.lab.common(self.way.port), *options, "127.0.0.1", *([command] if command else [])]

    def ssh(self, *options, **kw):
        """A session that has begun."""
        p = subprocess.Popen(self.args(*options, **kw), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.clients.append(p)
        assert p.stdout.readline() == b"here\n"
        return p

    def bowline(self, *args):
        return subprocess.run([tool("bowline"), *args, "--port", str(self.server.port)], capture_output=True, text=True,
                              timeout=20 * SLOW)

    def suspended(self):
        self.way.refuses = True
        self.way.cut()
        assert wait_until(lambda: self.events.of("connection.suspended"), WAIT)

    def at_server(self, name, words=""):
        """The last event of the login, and its line."""
        def ended():
            return [e for e in self.events.of("login.ended") if e["reason"] != "resumed" and e["class"] == name]
        assert wait_until(ended, WAIT), self.events.all()
        assert words in ended()[-1].get("text", ""), ended()
        assert wait_until(lambda: re.search(rf"Login of user {USER} from 127\.0\.0\.1 port \d+ ended: {name}", self.server.log()), WAIT)

    def at_client(self, p, name, words="", code=255):
        assert p.wait(WAIT * SLOW) == code
        p.stdin.close()  # not before: its command would end by that
        end = last()
        assert end["class"] == name and words in end.get("text", ""), end
        if name not in ("exit", "user"):
            assert f"    {name}" in why()

    def stop(self):
        for p in self.clients:
            p.kill()
            p.wait()
            for f in (p.stdin, p.stdout, p.stderr):
                f.close()
        self.way.stop()
        self.bowline("sessions", "end", USER)
        wait_until(lambda: self.bowline("sessions").stdout.count("\n") <= 1, WAIT)


@pytest.fixture
def world(lab, tmp_path, scratch, monkeypatch):
    if not IS_ROOT:
        monkeypatch.setenv("XDG_RUNTIME_DIR", scratch)
    made = []

    def make(lines=""):
        made.append(World(lab, str(tmp_path), lines))
        return made[-1]
    yield make
    for w in made:
        w.stop()


def test_the_command_ended(world):
    w = world()
    p = w.ssh(command="echo here; read x; exit 3")
    p.stdin.write(b"\n")
    p.stdin.flush()
    w.at_client(p, "exit", code=3)
    w.at_server("exit")


def test_you_left(world):
    """A signal, and the escape."""
    w = world()
    p = w.ssh()
    p.send_signal(signal.SIGTERM)
    w.at_client(p, "user")
    w.at_server("user")
    with Terminal(w.args(command=None)) as t:
        t.type(b"echo he''re\n")
        t.wait(b"here")
        t.type(b"\r~.")
        assert t.status() == 255
    assert last()["class"] == "user"
    assert wait_until(lambda: [e["class"] for e in w.events.of("login.ended")] == ["user"] * 2, WAIT), w.events.of("login.ended")


def test_a_stock_client_left(world):
    w = world()
    p = w.ssh(program=require("ssh"))
    p.send_signal(signal.SIGTERM)
    assert p.wait(WAIT * SLOW) == 255
    w.at_server("user")


def test_unused(world):
    w = world("UnusedConnectionTimeout 1\n")
    p = subprocess.Popen(w.args("-N", command=None), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    w.clients.append(p)
    w.at_client(p, "idle", "no channel is open")
    w.at_server("idle", "no channel is open")


def test_a_quiet_channel(world):
    w = world("ChannelTimeout session=1\n")
    p = w.ssh()
    p.stdout.read()
    p.wait(WAIT * SLOW)
    w.at_server("idle", "quiet for too long")


@pytest.mark.parametrize("program", ["ours", "stock"])
def test_the_administrator(world, program):
    w = world()
    p = w.ssh(program=require("ssh") if program == "stock" else None)
    assert w.bowline("sessions", "end", USER, "--message", "until noon").returncode == 0
    if program == "ours":
        w.at_client(p, "administrator", "administrator: until noon")
    else:
        assert p.wait(WAIT * SLOW) == 255
        assert b":11: until noon" in p.stderr.read()
    w.at_server("administrator", "until noon")


def test_the_administrator_while_the_link_is_lost(world):
    w = world()
    p = w.ssh()
    w.suspended()
    assert w.bowline("sessions", "end", USER, "--message", "until noon").returncode == 0
    w.at_server("administrator")
    w.way.refuses = False
    w.at_client(p, "administrator", "until noon")
    [refused] = w.events.of("connection.resume_refused")
    assert (refused["reason"], refused["class"]) == ("ended", "administrator")


def test_silence(world):
    """m probes in vain: the server's."""
    w = world("ClientAliveInterval 1\nClientAliveCountMax 2\n")
    p = w.ssh("-o", "Resume=no")
    p.send_signal(signal.SIGSTOP)
    w.at_server("silence", "2 probes were not answered")
    p.send_signal(signal.SIGCONT)
    w.at_client(p, "silence", "not responding")


@pytest.mark.parametrize("how", ["reset", "closed"])
def test_the_link_ends(world, how):
    w = world()
    p = w.ssh("-o", "Resume=no")
    w.way.cut(reset=how == "reset")
    w.at_client(p, how)
    w.at_server(how)


def test_the_grace_is_over(world):
    w = world("ResumeGrace 1 1\n")
    p = w.ssh()
    w.suspended()
    w.at_server("grace over")
    w.way.refuses = False
    w.at_client(p, "grace over", "it ended at 20")


@pytest.mark.parametrize("how", ["reload", "killed"])
def test_an_end_outlives_the_keeper(world, how):
    """The next one knows of it, though no session is left that its anchor would stay for."""
    w = world("ResumeGrace 1 1\n")
    p = w.ssh()
    w.suspended()
    w.at_server("grace over")
    if how == "reload":
        reloads(w.server)
    else:
        kill_keeper(w.server)
        w.server = restart(w.lab, w.server)
    w.way.refuses = False
    w.at_client(p, "grace over", "it ended at 20")
    [refused] = w.events.of("connection.resume_refused")
    assert (refused["reason"], refused["class"]) == ("ended", "grace over")


def test_access_was_removed_before_a_reload(world):
    """That a login was turned away is known to the next keeper, which sees the end."""
    w = world("ResumeGrace 6 6\n")
    p = w.ssh()
    with open(w.allowed, "w"):
        pass
    w.way.cut()
    assert wait_until(lambda: w.events.of("login.failed"), WAIT)
    w.at_client(p, "access removed", "the host refuses the login")
    assert wait_until(lambda: w.events.of("connection.closed"), WAIT)
    reloads(w.server)
    w.at_server("access removed")


def test_access_was_removed(world):
    w = world("ResumeGrace 4 4\n")
    p = w.ssh()
    with open(w.allowed, "w"):
        pass
    w.way.cut()
    w.at_client(p, "access removed", "the host refuses the login")
    w.at_server("access removed")


def end_all_of_it(w):
    """Keeper, anchor, holders, all: as a machine does that goes down."""
    pids = [pid for title, of_it in children(w.server).items() for pid in of_it]
    kill_keeper(w.server)
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    assert wait_until(lambda: not children(w.server), WAIT)


def test_the_host_was_restarted(world):
    """T is told; it stays what it is over a reload."""
    w = world()
    p = w.ssh()
    w.way.refuses = True
    w.way.cut()
    end_all_of_it(w)
    w.server = restart(w.lab, w.server)
    w.server.process.send_signal(signal.SIGHUP)
    assert wait_until(lambda: w.server.log().count("listener is ready") == 2, WAIT)
    w.way.refuses = False
    w.at_client(p, "restarted", "was restarted at 20")
    assert re.search(r"the (host|server) was restarted at 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC", last()["text"])
    [refused] = w.events.of("connection.resume_refused")
    assert (refused["reason"], refused["class"]) == ("unknown", "restarted")
    assert "not resumed from 127.0.0.1" in w.server.log()


def test_a_killed_keeper_is_no_restart(world):
    """What its anchor has is not lost: the client goes on, and its command says how it ended."""
    w = world()
    p = w.ssh(command="echo here; read x; exit 4")
    w.way.refuses = True
    w.way.cut()
    kill_keeper(w.server)
    w.server = restart(w.lab, w.server)
    w.way.refuses = False
    p.stdin.write(b"\n")
    p.stdin.flush()
    w.at_client(p, "exit", code=4)
    w.at_server("exit")


def test_a_crash(world):
    """Of the holder, or killed for want of memory."""
    w = world()
    p = w.ssh("-o", "Resume=no")
    [holder] = children(w.server)[f"sshd: {USER}"]
    os.kill(holder, signal.SIGKILL)
    assert p.wait(WAIT * SLOW) == 255
    w.at_server("error", "died of signal 9")


def test_words_are_documented():
    """Each class has its row, with what the client makes of it."""
    with open(os.path.join(TOP, "src", "base", "ends_class.c")) as f:
        names = re.findall(r'\[ENDS_\w+\] = "([a-z ]+)"', f.read())
    with open(os.path.join(TOP, "doc", "ends.md")) as f:
        rows = re.findall(r"^\| `([a-z ]+)` \|", f.read(), re.M)
    assert sorted(names) == sorted(rows) and len(names) > 15
