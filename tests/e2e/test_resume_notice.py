"""The line that tells of a silent link (client/notice.h): where it is shown, and that the screen is afterwards what it was. It comes after
four seconds, so several sessions lose their links at once."""
import os
import shutil
import subprocess

import pytest
from conftest import SLOW, tool, wait_until
from test_attach_screens import Screen
from test_resume import world  # noqa: F401 (a fixture)

WAIT = 30
ROWS, COLUMNS = 24, 80
SILENT, BACK = "[bowline: link to 127.0.0.1 silent for", "[bowline: link to 127.0.0.1 silent ... resumed after"


class Screens:
    """Sessions in terminals, all over one way."""

    def __init__(self, w):
        self.w, self.all = w, []
        # Made once: they come with a file that is written anew, while others may be reading it.
        self.words = w.args("-tt", "command")[:-2]

    def open(self, args):
        self.all.append(Screen(args, (ROWS, COLUMNS)))
        return self.all[-1]

    def session(self, *args):
        return self.open([*self.words, *args[:-1], "127.0.0.1", args[-1]])

    def silent(self, *those):
        """They say so, on their last line."""
        self.w.settled()
        self.w.lose_link()
        for t in those:
            assert wait_until(lambda: SILENT in t.rows()[-1], WAIT), t.rows()

    def back(self, *those):
        """They say that too; then it is the program's line again."""
        self.w.way.refuses = False
        for t in those:
            assert wait_until(lambda: b"resumed after" in (t.pump(), t.shown)[1], WAIT), t.rows()
        for t in those:
            assert wait_until(lambda: not any("bowline" in row for row in t.rows()), WAIT), t.rows()

    def end(self):
        for t in self.all:
            t.__exit__(None, None, None)


@pytest.fixture
def screens(world):  # noqa: F811
    made = Screens(world())
    yield made
    made.end()


# ---- what stood there ----

CURSES = """
import curses
def run(screen):
    while True:
        screen.erase()
        rows, columns = screen.getmaxyx()
        for y in range(rows):
            screen.insstr(y, 0, f"line {y} of {rows}")
        screen.refresh()
        screen.getch()
curses.wrapper(run)
"""
# {program: what runs it on a file of lines, what it shows then, keys to type before that}
PROGRAMS = {"vim.tiny": ("vim.tiny -u NONE -N {0}/lines", "99 of a file", b":99\r\x0c"), "less": ("LESS= less -M {0}/lines", "lines 1-23", b""),
            "top": ("TERM=xterm top -d 3600", "%CPU", b""), "python3": ("/usr/bin/python3 {0}/screen.py", "line 23 of 24", b""),
            "tmux": ("tmux -f {0}/tmux.conf -S {0}/sock new-session -s full -n one 'seq 20; exec cat'", "20", b"")}


def place(t):
    return t.rows(), (t.screen.cursor.x, t.screen.cursor.y)


def stands(t):
    """Nothing comes any more."""
    before = None
    while before != place(t):
        before = place(t)
        wait_until(lambda: False, 0.5 / SLOW)
    return before


def differences(t, before):
    return [(y, now, then) for y, (now, then) in enumerate(zip(t.rows(), before[0])) if now != then], place(t)[1], before[1]


def test_full_screens_are_intact(screens, tmp_path):
    """Whatever stood on the last line, and wherever the cursor was."""
    (tmp_path / "lines").write_text("".join(f"{i} of a file\n" for i in range(1, 200)))
    (tmp_path / "screen.py").write_text(CURSES)
    (tmp_path / "tmux.conf").write_text("set -g status-right x\nset -g automatic-rename off\n")
    there = {name: screens.session("-o", "SetEnv=TERM=xterm", PROGRAMS[name][0].format(tmp_path)) for name in PROGRAMS if shutil.which(name)}
    try:
        for name, t in there.items():
            _, sign, keys = PROGRAMS[name]
            t.sees("0 of a file" if keys else sign)
            t.type(keys)
            t.sees(sign)
        before = {name: stands(t) for name, t in there.items()}
        screens.silent(*there.values())
        screens.back(*there.values())
        for name, t in there.items():
            if name == "top":  # whose lines change
                assert wait_until(lambda: t.rows()[6] == before[name][0][6] and all(t.rows()[6:]), WAIT), differences(t, before[name])
            else:
                assert wait_until(lambda: place(t) == before[name], WAIT), (name, differences(t, before[name]))
    finally:
        if "tmux" in there:
            subprocess.run(["tmux", "-S", f"{tmp_path}/sock", "kill-server"], capture_output=True, timeout=20 * SLOW)


def test_lines_and_sizes(screens):
    """A prompt on the last line is moved up and stays to be seen, with what was typed. The window's size is what it was, and was another
    for a moment. A program that knows nothing of windows is not troubled."""
    shell = screens.session("exec env PS1='prompt>' bash --norc --noprofile -i")
    sizes = screens.session("trap 'stty size' WINCH; echo ready; while :; do sleep 0.05; done")
    reads = screens.session("echo ready; read x; echo bye; read x")
    shell.sees("prompt>")
    shell.type(b"seq 50\r")
    shell.sees("50")
    shell.type(b"echo half''-typed")
    assert wait_until(lambda: shell.rows()[-1] == "prompt>echo half''-typed", WAIT), shell.rows()
    sizes.sees("ready")
    reads.sees("ready")
    screens.silent(shell, sizes, reads)
    assert shell.rows()[-2] == "prompt>echo half''-typed"
    screens.back(shell, sizes, reads)
    shell.type(b" 3\r")
    shell.sees("half-typed 3")
    assert wait_until(lambda: [row for row in shell.rows() if row][-3:] == ["prompt>echo half''-typed 3", "half-typed 3", "prompt>"], WAIT), shell.rows()
    sizes.sees("23 80")
    sizes.sees("24 80")
    reads.type(b"\r")
    reads.sees("bye")
    assert [row for row in reads.rows() if row] == ["ready", "bye"]


# ---- where ----

def test_where_it_is_shown(screens, tmp_path):
    """Not in a file that standard error goes to, where there is a terminal; else there, and never in standard output; not where it is quiet."""
    w = screens.w
    errors = tmp_path / "err"
    plain = w.ssh("echo ready; read x; echo bye", stdin=subprocess.PIPE)
    assert wait_until(lambda: w.way.links == 1 and "Accepted" in w.server.log(), WAIT)
    words = " ".join(f"'{a}'" for a in [*screens.words, "127.0.0.1", "echo ready; read x; echo bye"])
    apart = screens.open(["/bin/sh", "-c", f"exec {words} 2>{errors}"])
    quiet = [screens.session(*options, "echo ready; read x; echo bye") for options in (("-q",), ("-o", "LogLevel=ERROR"))]
    leaves = screens.session("echo ready; cat")
    for t in (apart, leaves, *quiet):
        t.sees("ready")
    before = [len(t.shown) for t in quiet]
    screens.silent(apart, leaves)
    line = plain.stderr.readline().decode()
    assert line.startswith(SILENT) and line.rstrip().endswith("...]"), line
    leaves.type(b"\r~.")
    assert leaves.status() == 255 and not any(SILENT in row for row in leaves.rows())
    screens.back(apart)
    assert plain.stderr.readline().decode().startswith("[bowline: resumed after ")
    assert w.end(plain, data=b"\n") == (0, b"ready\nbye\n", "")
    for t, n in zip(quiet, before):
        t.type(b"\r")
        t.sees("bye")
        assert b"bowline" not in t.shown[n:]
    apart.type(b"\r")
    apart.sees("bye")
    assert apart.status() == 0 and "bowline" not in errors.read_text()


def test_whoever_leaves_meanwhile_was_not_resumed(screens):
    """A link that is only silent has not come back when its person goes."""
    leaves = screens.session("echo ready; cat")
    leaves.sees("ready")
    screens.w.settled()
    screens.w.way.refuses = True
    screens.w.way.hush()
    leaves.type(b"into silence\r")
    assert wait_until(lambda: SILENT in leaves.rows()[-1], WAIT), leaves.rows()
    leaves.type(b"\r~.")
    assert leaves.status() == 255
    assert not any(SILENT in row for row in leaves.rows()) and b"resumed" not in leaves.shown


def test_passengers(screens, tmp_path):
    """Each on its own terminal, also where the master has none; Debian's ssh rides too."""
    w, path = screens.w, str(tmp_path / "c")
    master = w.ssh("-M", "-S", path, "cat", stdin=subprocess.PIPE)
    assert wait_until(lambda: os.path.exists(path), WAIT)
    programs = [tool("ssh"), *(p for p in [shutil.which("ssh")] if p)]
    riders = [screens.open([program, "-F", "none", "-S", path, "-p", "1", "-tt", "127.0.0.1", "echo ready; read x; echo bye"]) for program in programs]
    for t in riders:
        t.sees("ready")
    screens.silent(*riders)
    assert master.stderr.readline().decode().startswith(SILENT)
    screens.back(*riders)
    for t in riders:
        t.type(b"\r")
        t.sees("bye")
    assert w.end(master)[0] == 0
