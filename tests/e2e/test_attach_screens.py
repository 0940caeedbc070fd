"""What is taken up looks as it did: whole programs' screens and thousands of scrolled lines, compared in a terminal of the test's own
(pyte); and the bounds of what may be left (doc/attach.md)."""
import os
import shutil
import signal
import subprocess

import pytest
import rawssh
from conftest import SLOW, USER, needs_root, require, tool, wait_until
from rawssh import boolean, string, u32
from resuming import Client
from test_attach import WAIT, Terminal, leave, ready, world  # noqa: F401 (a fixture)
from test_client_mux import in_terminal
from test_events import Events

pyte = pytest.importorskip("pyte")
ROWS, COLUMNS = 24, 80


class Model(pyte.HistoryScreen):
    def select_graphic_rendition(self, *attributes, private=False):
        """Those with '>' (xterm's modifyOtherKeys, which vim sets) have other meanings, and pyte 0.8 stumbles over them."""
        if not private:
            super().select_graphic_rendition(*attributes)


class Screen(Terminal):
    """A terminal that knows what stands on it."""

    def __init__(self, args, size=(ROWS, COLUMNS)):
        self.pid, self.fd = in_terminal(args, size=size)
        self.shown = b""
        self.screen = Model(size[1], size[0], history=20000)
        self.stream = pyte.ByteStream(self.screen)

    def take(self, piece):
        super().take(piece)
        self.stream.feed(piece)

    def rows(self):
        self.pump()
        return [row.rstrip() for row in self.screen.display]

    def sees(self, text):
        assert wait_until(lambda: any(text in row for row in self.rows()), WAIT), (self.rows(), self.shown[-1500:])

    def history(self):
        """What was scrolled away, and what stands there."""
        self.pump()
        width = self.screen.columns
        top = ["".join(line[x].data for x in range(width)).rstrip() for line in self.screen.history.top]
        return top + self.rows()


def open_screen(w, *args, size=(ROWS, COLUMNS), **kw):
    t = Screen([kw.pop("program", None) or tool("ssh"), *w.lab.common(w.server.port), "-o", "SetEnv=SHLVL=1", *args], size)
    w.terminals.append(t)
    return t


def session(w, name, command=None, **kw):
    args = ["-tt", "-o", f"Session={name}", "127.0.0.1", *([command] if command else [])]
    return open_screen(w, *args, **kw)


def left(t, start=b"\r"):
    t.type(start + b"~d")
    t.wait(b"is left")
    assert t.ended() == 0


# ---- lines that were scrolled away ----

@pytest.mark.parametrize("lines", [3000, 14000])
def test_scrolled_lines(world, lines):  # noqa: F811
    """All of them, or the last ten thousand, each once and in order."""
    w = world()
    first = session(w, "work", f"seq -f line-%g {lines}; echo all''-done; exec cat")
    first.sees("all-done")
    left(first)
    second = session(w, "work")
    second.sees("all-done")
    numbers = [int(row[5:]) for row in second.history() if row.startswith("line-")]
    assert numbers == list(range(numbers[0], lines + 1))
    least, most = (lines, lines) if lines < 10000 else (10000, 10000 + ROWS)
    assert least <= len(numbers) <= most, f"{len(numbers)} from {numbers[0]}"


# ---- programs ----

def differences(want, got):
    return "\n".join(f"{i}: {a!r}, not {b!r}" for i, (a, b) in enumerate(zip(want, got)) if a != b)


def settled(t):
    """Its rows, when nothing has come for two seconds."""
    seen = [None] * 4

    def same():
        seen.append(t.rows())
        return all(rows == seen[-1] for rows in seen[-4:])
    assert wait_until(same, WAIT, step=0.7), seen[-2:]
    return seen[-1]


def vim(folder):
    return f"cd {folder}; LC_ALL=C.UTF-8 TERM=xterm exec vi -u NONE -i NONE -n text", "line 10 of"


def less(folder):
    return f"LC_ALL=C.UTF-8 TERM=xterm exec less -S +20 {folder}/text", "line 30 of"


def tmux(folder):
    with open(f"{folder}/inside", "w") as out:
        out.write(f"stty -echo; cat {folder}/text; echo the end; exec cat >/dev/null\n")
    with open(f"{folder}/conf", "w") as out:
        out.write("set -g status off\n")  # it has a clock
    return f"LC_ALL=C.UTF-8 TERM=xterm exec tmux -u -S {folder}/tmux -f {folder}/conf new-session 'sh {folder}/inside'", "the end"


def top(folder):
    return f"TERM=xterm TOPRC= HOME={folder} exec top -d 600", "PID"


def steady(program, rows):
    """What of a screen stays as it is when the program paints anew: of top's, the line above its list."""
    return rows if program is not top else [(at, row) for at, row in enumerate(rows) if " PID " in row]


@pytest.fixture
def no_tmux_stays(tmp_path):
    yield
    if os.path.exists(tmp_path / "tmux"):
        subprocess.run(["tmux", "-S", str(tmp_path / "tmux"), "kill-server"], capture_output=True, timeout=30 * SLOW)


@pytest.mark.parametrize("program", [vim, less, tmux, top], ids=lambda p: p.__name__)
def test_screens_of_programs(world, tmp_path, program, no_tmux_stays):  # noqa: F811
    """Row by row what it was before; keys go on; another size is the program's to paint."""
    require("vi" if program is vim else program.__name__)
    with open(tmp_path / "text", "w") as out:
        out.writelines(f"line {i} of the text {'words ' * (i % 7)}\n" for i in range(1, 100))
    command, word = program(tmp_path)
    w = world()
    first = session(w, "work", command)
    first.sees(word)
    same = steady(program, settled(first))
    left(first, b"")  # the session's start is a line's: nothing was typed that the program would see
    second = session(w, "work")
    second.sees(word)
    assert wait_until(lambda: steady(program, second.rows()) == same, WAIT), differences(same, steady(program, second.rows()))
    left(second, b"")
    third = session(w, "work", size=(30, 100))
    third.sees(word)
    third.type({vim: b":q!\n", less: b"q", tmux: b"\x04", top: b"q"}[program])
    assert third.ended() == 0


def test_size_of_who_attaches(world):  # noqa: F811
    """The program is told of it at once."""
    w = world()
    first = session(w, "work", "trap 'echo size is $(stty size)' WINCH; echo rea''dy; while :; do sleep 0.1; done", size=(24, 80))
    first.sees("ready")
    left(first)
    second = session(w, "work", size=(33, 111))
    second.sees("size is 33 111")


# ---- viewers ----

def test_two_watchers(world):  # noqa: F811
    """Both see all of it; one goes, the other stays."""
    w = world()
    first = session(w, "work", "echo rea''dy; exec cat")
    first.sees("ready")
    watchers = [Screen([tool("bowline"), "attach", "--port", str(w.server.port), "--watch", "work"]) for _ in range(2)]
    w.terminals += watchers
    for watcher in watchers:
        watcher.sees("ready")
    assert wait_until(lambda: [t["watchers"] for t in w.sessions()] == [2], WAIT), w.sessions()
    first.type(b"for both\r")
    for watcher in watchers:
        watcher.sees("for both")
    watchers[0].type(b"q")
    assert watchers[0].ended() == 0
    assert wait_until(lambda: [t["watchers"] for t in w.sessions()] == [1], WAIT), w.sessions()
    first.type(b"for one\r")
    watchers[1].sees("for one")
    first.type(b"\x04\x04")
    assert watchers[1].ended() == 0


def test_from_another_machines_client(world, tmp_path):  # noqa: F811
    """Ours crashes; a stock client of another home, key type and address takes its session up."""
    stock, w = require("ssh"), world()
    first = session(w, "work", "X=kept; echo rea''dy; while read x; do echo $X $x; done")
    first.sees("ready")
    first.kill()
    w.has("work", "left")
    second = open_screen(w, "-tt", "-b", "127.0.0.9", "127.0.0.1", f"{tool('bowline')} attach --port {w.server.port} work", program=stock)
    second.sees("ready")
    second.type(b"here\r")
    second.sees("kept here")
    second.type(b"\r~~d")  # of a stock client, whose own escape is the same
    second.wait(b"left session work")
    w.has("work", "left")


@needs_root
def test_another_user_is_refused(world, account):  # noqa: F811
    """By the tool, by name and without: it is not even told that there is one."""
    program = os.path.join(account.home, "bowline")
    shutil.copy(os.path.realpath(tool("bowline")), program)
    os.chmod(program, 0o755)
    w = world()
    first = session(w, "work", "echo rea''dy; exec cat")
    first.sees("ready")
    for name in ("work", ""):
        for watch in ((), ("--watch",)):
            args = ["setpriv", f"--reuid={account.uid}", f"--regid={account.gid}", "--clear-groups", program, "attach", *watch,
                    "--port", str(w.server.port), *([name] if name else [])]
            other = Screen([shutil.which(args[0]), *args[1:]])
            w.terminals.append(other)
            other.sees("no session of yours")
            assert other.ended() == 1
    assert not any("watches" in r or "taken" in r for r in first.rows())
    first.type(b"still mine\r")
    first.sees("still mine")


# ---- bounds ----

def test_no_more_than_sixteen(world, tmp_path):  # noqa: F811
    """Of the connections of a user without a link the oldest goes."""
    events = Events(str(tmp_path / "events"))
    w = world(f"EventLog {events.path}")
    for i in range(17):
        t = session(w, f"s{i}", "echo rea''dy; exec cat")
        t.sees("ready")
        left(t)
        t.__exit__(None, None, None)
        t.pid = None
        w.terminals.remove(t)
        w.has(f"s{i}", "left")
    assert wait_until(lambda: sorted(t["name"] for t in w.sessions()) == sorted(f"s{i}" for i in range(1, 17)), WAIT), w.sessions()
    assert events.wait("login.ended", reason="too-many-suspended")["class"] == "limit"


def test_a_keeper_that_does_not_answer(world, lab):  # noqa: F811
    """A name is asked for in vain: refused after five seconds, and the login is as good as ever."""
    w = world()
    client = Client(w.server.port, USER, lab.keys.path("user"))
    peer = client.peer
    peer.send(bytes([rawssh.CHANNEL_OPEN]) + string("session") + u32(0) + u32(1 << 20) + u32(1 << 15))
    peer.expect(rawssh.CHANNEL_OPEN_CONFIRMATION, skip=(rawssh.GLOBAL_REQUEST, 213))
    w.server.process.send_signal(signal.SIGSTOP)
    try:
        peer.send(bytes([rawssh.CHANNEL_REQUEST]) + u32(0) + string("pty-req") + boolean(True) + string("xterm") + u32(80) + u32(24) +
                  u32(0) + u32(0) + string(""))
        peer.expect(rawssh.CHANNEL_SUCCESS, skip=(rawssh.GLOBAL_REQUEST, 213))
        peer.send(bytes([rawssh.CHANNEL_REQUEST]) + u32(0) + string("session@bowline") + boolean(True) + string("work") + u32(0))
        peer.expect(rawssh.CHANNEL_FAILURE, skip=(rawssh.GLOBAL_REQUEST, 213))
        peer.send(bytes([rawssh.CHANNEL_REQUEST]) + u32(0) + string("exec") + boolean(True) + string("echo as ever"))
        peer.expect(rawssh.CHANNEL_SUCCESS, skip=(rawssh.GLOBAL_REQUEST, 213))
        data = peer.expect(rawssh.CHANNEL_DATA, skip=(rawssh.GLOBAL_REQUEST, 213, rawssh.CHANNEL_WINDOW_ADJUST))
        assert b"as ever" in data
    finally:
        w.server.process.send_signal(signal.SIGCONT)
        peer.send(bytes([rawssh.DISCONNECT]) + u32(11) + string("") + string(""))
        peer.close()
