"""The ways in which a session is left and found again, and what a person's terminal and a script see of it (doc/attach.md)."""
import os
import re
import signal
import subprocess

import pytest
from conftest import SLOW, tool, wait_until
from test_attach import WAIT, leave, ready, world  # noqa: F401 (a fixture)
from test_client_mux import Shared

SET = b"\x1b[?1049h\x1b[?25l\x1b[?1002h\x1b[?2004h\x1b[5;9r\x1b="
UNSET = [b"\x1b[?25h", b"\x1b[?1002l", b"\x1b[?2004l", b"\x1b>", b"\x1b[r", b"\x1b[?1049l"]
MODES = "printf '\\033[?1049h\\033[?25l\\033[?1002h\\033[?2004h\\033[5;9r\\033='; "


def program(w, name, command, **kw):
    t = w.ssh("-tt", *(["-o", f"Session={name}"] if name else []), command=[command], **kw)
    t.wait(b"ready")
    return t


def shown_until(t, text):
    """What came up to there."""
    def there():
        t.pump()
        return text in t.shown
    assert wait_until(there, WAIT), t.shown
    return t.shown.split(text)[0]


# ---- what a terminal gets back ----

@pytest.mark.parametrize("how", ["ssh", "attach", "watch", "taken", "dies"])
def test_the_terminal_is_given_back(world, how):  # noqa: F811
    """Whoever comes second has the program's modes, and is rid of them behind it: a shell goes on there."""
    w = world()
    first = program(w, "work", f"echo $$ rea''dy; {MODES} exec cat")
    assert wait_until(lambda: first.pump() or b"\x1b=" in first.shown, WAIT)
    if how != "watch":
        leave(first)
    second = w.ssh("-o", "Session=work") if how == "ssh" else w.attach(*(["--watch"] if how == "watch" else []), "work")
    pid = int(re.search(rb"(\d+) ready", shown_until(second, b"\x1b=")).group(1))
    for sequence in SET.split(b"\x1b")[1:]:
        assert b"\x1b" + sequence in second.shown, (sequence, second.shown)
    second.wait(b"\x1b=")
    if how == "taken":
        w.attach("work")
    elif how == "dies":
        os.kill(pid, signal.SIGKILL)
    else:
        second.type(b"q" if how == "watch" else b"~d")
    end = {"ssh": b"is left", "attach": b"left session", "watch": b"no longer watching", "taken": b"was taken up elsewhere",
           "dies": b"ended with status 137"}[how]
    before = shown_until(second, end)
    for sequence in UNSET:
        assert sequence in before, (sequence, before)


def test_the_last_screen_stays(world):  # noqa: F811
    """Of a program that died on the alternate screen while nobody was there, too; and what it had set is not set."""
    w = world()
    first = program(w, "work", f"echo $$ rea''dy; {MODES} echo last''-words; exec cat")
    first.wait(b"last-words")
    first.type(b"~d")
    first.wait(b"is left")
    looks = w.attach("--watch", "work")
    number = int(re.search(rb"(\d+) ready", shown_until(looks, b"last-words")).group(1))
    looks.type(b"q")
    looks.wait(b"no longer watching")
    os.kill(number, signal.SIGKILL)
    w.has("work", "ended")
    second = w.attach("work")
    everything = shown_until(second, b"ended with status 137")
    assert b"last-words" in everything and b"\x1b[?1049h" not in everything and b"\x1b[?1002h" not in everything
    assert second.ended() == 137


def test_an_end_is_told_once(world):  # noqa: F811
    w = world()
    first = program(w, "work", "echo rea''dy; read x; exit 0")
    first.type(b"~d")  # nothing that the program reads
    first.wait(b"is left")
    assert first.ended() == 0
    second = w.attach("work")
    second.wait(b"ready")
    second.type(b"\r")
    second.wait(b"ended with status 0")
    assert wait_until(lambda: not second.alive(), WAIT)
    second.pump()
    assert b"left session" not in second.shown


# ---- names ----

def test_by_its_id(world):  # noqa: F811
    """What has no name is taken up by what ~d and the list call it; no other can be called so."""
    w = world()
    first = program(w, None, "echo rea''dy; exec cat")
    first.type(b"~d")
    first.wait(b"come back by ssh -o Session=")
    name = first.wait_word()
    assert re.fullmatch(r"\d+-\d+", name)
    w.has(name, "left")
    second = w.ssh("-o", f"Session={name}")
    second.wait(b"ready")
    second.type(b"by id\r")
    second.wait(b"by id")
    w.has(name, "attached")
    other = w.ssh("-o", f"Session={name}9")
    other.wait(b"does not give a session by name")
    assert other.ended() == 255


@pytest.mark.parametrize("name", ["1a", "-a", "1-", "1-2.", "1-2-3", "a b", "x" * 33, "1-" + "2" * 40])
def test_no_names(name):
    done = subprocess.run([tool("ssh"), "-F", "none", "-G", "-o", f"Session={name}", "host"], capture_output=True, timeout=30 * SLOW)
    assert done.returncode == 255 and b"Session" in done.stderr


def test_scripts_are_told_nothing(world):  # noqa: F811
    """What waits is for whoever sits before a shell."""
    w = world()
    leave(program(w, "work", "echo rea''dy; exec cat"))
    person = w.ssh()
    person.wait(b"waiting here: work; take up by ssh -o Session=NAME 127.0.0.1]")
    ready(person)
    for options in ([], ["-tt"]):
        args = [tool("ssh"), *w.lab.common(w.server.port), *options, "127.0.0.1"]
        done = subprocess.run(args, input=b"echo done\nexit\n", capture_output=True, timeout=60 * SLOW)
        assert b"done" in done.stdout and b"waiting" not in done.stderr, done
        done = subprocess.run([*args, "echo done"], input=b"", capture_output=True, timeout=60 * SLOW)
        assert done.stdout.split() == [b"done"] and b"waiting" not in done.stderr, done
    command = w.ssh("-t", command=["echo do''ne"])
    assert b"waiting" not in shown_until(command, b"done")


# ---- over a shared connection ----

def test_shared_connections(world):  # noqa: F811
    """Its sessions are left like others, each by its own name; one by name gets a connection of its own."""
    w = world()
    with Shared(w.lab, "ours", "ours", server=w.server) as s:
        named = w.ssh("-S", s.path, "-o", "Session=work")
        ready(named)
        w.has("work", "attached")
        names = []
        for word in ("one", "two"):
            t = w.open(s.args("-tt", command=[f"echo {word}-rea''dy; exec cat"]))
            t.wait(word.encode() + b"-ready")
            t.type(b"~d")
            t.wait(b"[bowline: session ")
            names.append(t.wait_word())
            t.wait(b"come back by ssh -o Session=")
            assert t.ended() == 0
            w.has(names[-1], "left")
        assert names[1] == names[0] + ".2"
        assert s.master.poll() is None
    for name, word in zip(names, (b"one", b"two")):
        t = w.attach(name)
        t.wait(word + b"-ready")


# ---- without a word ----

@pytest.mark.parametrize("name", ["work", None])
def test_the_window_is_closed(world, name):  # noqa: F811
    """A session that was asked for by name is left; one that was not ends, as ever."""
    w = world()
    first = program(w, name, "echo rea''dy; exec cat")
    assert wait_until(w.sessions, WAIT)
    os.kill(first.pid, signal.SIGHUP)
    first.wait(b"Killed by signal 1")
    if name:
        w.has(name, "left")
    else:
        assert wait_until(lambda: w.sessions() == [], WAIT), w.sessions()


def test_by_name_without_resume(world):  # noqa: F811
    """Nobody would come back for its connection; the session waits all the same."""
    w = world()
    first = program(w, "work", "echo rea''dy; exec cat", )
    leave(first)
    second = w.ssh("-o", "Resume=no", "-o", "Session=other", "-tt", command=["echo rea''dy; exec cat"])
    second.wait(b"ready")
    second.kill()
    w.has("other", "left")


def test_attach_at_a_host(world):  # noqa: F811
    """bowline attach HOST NAME, with options of ssh in front."""
    w = world()
    leave(program(w, "work", "echo rea''dy; exec cat"))
    t = w.open([tool("bowline"), "attach", *w.lab.common(w.server.port), "127.0.0.1", "work"])
    t.wait(b"ready")
    t.type(b"from afar\r")
    t.wait(b"from afar")
    w.has("work", "attached")


@pytest.mark.parametrize("words", [["-x"], ["-p", "22"], ["a", "b", "c"], ["--watch", "a", "b"], ["--port", "22", "a", "b"],
                                   ["-oProxyCommand=x", "name"], ["a", "-p", "22", "b"]], ids=" ".join)
def test_wrong_use(words):
    done = subprocess.run([tool("bowline"), "attach", *words], stdin=subprocess.DEVNULL, capture_output=True, timeout=30 * SLOW)
    assert done.returncode == 2 and b"usage: bowline attach" in done.stderr


# ---- lines ----

@pytest.mark.parametrize("width, lines", [(60, 30000), (250, 16000)])
def test_ten_thousand_lines(world, width, lines):  # noqa: F811
    """Also of long ones, and as much came before them."""
    w = world()
    first = program(w, "work", f"echo rea''dy; read x; seq -f \"line-%g-$(printf %0{width}d 0)\" {lines}; echo all''-done; exec cat",
                    size=(24, 300))
    first.type(b"\r")
    leave(first)
    second = w.ssh("-o", "Session=work", size=(24, 300))
    everything = shown_until(second, b"all-done")
    numbers = [int(n) for n in re.findall(rb"line-(\d+)-0", everything)]
    assert numbers == list(range(numbers[0], lines + 1)) and numbers[0] <= lines - 9999, (numbers[0], numbers[-1])
