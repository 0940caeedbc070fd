"""Sessions with a terminal are left and taken up again (doc/attach.md): by our client and by stock ones, elsewhere,
after a crash, by a second viewer. Screens cell by cell are
tests/unit/terminal's business."""
import glob
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import time

import pytest
import rawssh
from conftest import IS_ROOT, SLOW, USER, needs_root, require, tool, wait_until
from rawssh import boolean, string, u32
from test_client_mux import Terminal as MuxTerminal
from test_server_forward_agent import ASIDE, announced
from test_server_sessions import gate_of

WAIT = 30


class Terminal(MuxTerminal):
    def wait(self, text, seconds=WAIT):
        super().wait(text, seconds)

    def ended(self):
        return self.status()

    def wait_word(self):
        """What comes next, up to a blank."""
        def there():
            self.pump()
            return b" " in self.shown
        assert wait_until(there, WAIT), self.shown
        return self.shown.split(b" ")[0].decode()

    def alive(self):
        return self.pid is not None and os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        self.pid = None


class World:
    def __init__(self, lab, lines=""):
        self.lab = lab
        self.server = lab.sshd(lines)
        self.terminals = []

    def open(self, args, **kw):
        t = Terminal(args, **kw)
        t.__enter__()
        self.terminals.append(t)
        return t

    def ssh(self, *options, program=None, command=(), **kw):
        """A session with a terminal, where a shell says READY."""
        args = [program or tool("ssh"), *self.lab.common(self.server.port), *options, "127.0.0.1", *command]
        return self.open(args, **kw)

    def attach(self, *args, **kw):
        return self.open([tool("bowline"), "attach", "--port", str(self.server.port), *args], **kw)

    def sessions(self):
        out = subprocess.run([tool("bowline"), "sessions", "--json", "--port", str(self.server.port)],
                             capture_output=True, text=True, timeout=30 * SLOW).stdout
        return [t for row in json.loads(out or "[]") for t in row["terminals"]]

    def has(self, name, state):
        def there():
            return any(t["name"] == name and t["state"] == state for t in self.sessions())
        assert wait_until(there, WAIT), self.sessions()

    def stop(self):
        subprocess.run([tool("bowline"), "sessions", "end", USER, "--port", str(self.server.port)],
                       capture_output=True, timeout=30 * SLOW)
        for t in self.terminals:
            if t.pid is not None:
                t.__exit__(None, None, None)
        wait_until(lambda: not self.sessions(), WAIT)


@pytest.fixture
def world(lab, scratch, monkeypatch):
    if not IS_ROOT:  # where a user's own server and `bowline` find each other; it has a short path
        monkeypatch.setenv("XDG_RUNTIME_DIR", scratch)
    made = []

    def make(lines=""):
        made.append(World(lab, lines))
        return made[-1]
    yield make
    for w in made:
        w.stop()


def ready(t, number=0):
    """The shell answers, with a word that is not in what is typed."""
    t.type(b"echo here$((100+%d))\n" % number)
    t.wait(b"here%d" % (100 + number))


def leave(t):
    t.type(b"\r~d")
    t.wait(b"is left")
    assert t.ended() == 0


def test_left_and_taken_up(world):
    """~d, and by its name the same shell, screen and scrolled lines."""
    w = world()
    first = w.ssh("-o", "Session=work")
    ready(first)
    first.type(b"X=kept; for i in 1 2 3; do echo line''-$i; done\n")
    first.wait(b"line-3")
    leave(first)
    w.has("work", "left")
    second = w.ssh("-o", "Session=work")
    second.wait(b"line-1")
    second.wait(b"line-3")
    second.type(b"echo it is $X\n")
    second.wait(b"it is kept")
    w.has("work", "attached")
    second.type(b"exit 7\n")
    assert second.ended() == 7
    assert wait_until(lambda: w.sessions() == [], WAIT)


def test_waiting_is_told(world):
    """An ordinary session is told what waits, and has a name of its own to be left by."""
    w = world()
    first = w.ssh()
    ready(first)
    first.type(b"\r~d")
    first.wait(b"session ")
    name = first.wait_word()
    assert first.ended() == 0
    w.has(name, "left")
    second = w.ssh()
    second.wait(b"waiting here: " + name.encode())
    ready(second, 2)
    third = w.ssh("-o", "Session=other")
    ready(third, 3)
    leave(third)
    assert {t["name"]: t["state"] for t in w.sessions()}[name] == "left"


def test_client_crashes(world):
    """SIGKILL: another client takes the session up, by its name, before and behind the server's own word."""
    w = world()
    first = w.ssh("-o", "Session=work")
    ready(first)
    first.type(b"X=kept\n")
    ready(first, 1)
    first.kill()
    w.has("work", "left")
    second = w.ssh("-o", "Session=work")
    second.wait(b"here101")
    second.type(b"echo it is $X\n")
    second.wait(b"it is kept")


def test_taken_while_attached(world):
    """The newest has it; the one before is told, and ends. The size is the newest one's."""
    w = world()
    first = w.ssh("-o", "Session=work")
    ready(first)
    second = w.ssh("-o", "Session=work", size=(20, 70))
    first.wait(b"was taken up by")
    assert first.ended() == 255
    second.wait(b"here100")
    second.type(b"stty size\n")
    second.wait(b"20 70")
    third = w.attach("work", size=(21, 71))
    second.wait(b"was taken up elsewhere")
    assert second.ended() == 255
    third.type(b"stty size\n")
    third.wait(b"21 71")
    third.resize(22, 72)
    third.type(b"until [ \"$(stty size)\" = '22 72' ]; do sleep 0.1; done; echo siz''ed\n")
    third.wait(b"sized")
    third.type(b"\r~d")
    third.wait(b"left session work")
    assert third.ended() == 0
    w.has("work", "left")


def test_alternate_screen(world):
    """An editor comes back as it was, and its terminal is given back to the shell that left."""
    require("vi")
    w = world()
    first = w.ssh("-o", "Session=work", size=(24, 80))
    ready(first)
    first.type(b"cd /tmp; TERM=xterm vi -u NONE -i NONE -n\n")
    first.wait(b"\x1b[?1049h")
    first.type(b"ihello editor\x1b")
    first.wait(b"hello editor")
    first.type(b"\r~d")
    first.wait(b"\x1b[?1049l")
    first.wait(b"is left")
    assert first.ended() == 0
    second = w.ssh("-o", "Session=work", size=(24, 80))
    second.wait(b"here100")  # of the screen below
    second.wait(b"\x1b[?1049h")
    second.wait(b"hello editor")
    second.type(b":q!\n")
    second.wait(b"\x1b[?1049l")
    ready(second, 5)


def test_stock_client_held(world):
    """SessionsHold: OpenSSH's client is killed, and comes back by `ssh -t host bowline attach`."""
    stock = require("ssh")
    w = world("SessionsHold yes")
    first = w.ssh("-tt", program=stock)
    ready(first)
    first.type(b"X=kept\n")
    ready(first, 1)
    first.kill()
    assert wait_until(lambda: any(t["state"] == "left" for t in w.sessions()), WAIT), w.sessions()
    second = w.ssh("-tt", program=stock, command=[f"{tool('bowline')} attach --port {w.server.port}"])
    second.wait(b"here101")
    second.type(b"echo it is $X\n")
    second.wait(b"it is kept")
    second.type(b"exit 3\n")
    second.wait(b"ended with status 3")
    assert second.ended() == 3


def test_held_though_the_link_breaks_while_something_is_said(world, keys, tmp_path):
    """A holder that waits for the keeper does not read, and so learns by its own words that the gate is gone: what the
    gate had said comes first, and then the session is kept."""
    w = world("SessionsHold yes")
    keeper = w.server.process.pid
    peer = rawssh.logged_in(w.server.port, USER, keys.path("user"))
    blobs = announced(peer)
    number = peer.open_session(3)
    peer.request(number, "pty-req", string("xterm") + u32(80) + u32(24) + u32(0) + u32(0) + string(b"\0"))
    peer.request(number, "exec", string("echo ready; sleep 20"))
    peer.expect(rawssh.CHANNEL_DATA, skip=(*ASIDE, rawssh.CHANNEL_SUCCESS))
    other = peer.open_session(4)
    peer.request(other, "exec", string(f"echo $$; while [ ! -e {tmp_path}/end ]; do sleep 0.1; done"))
    peer.expect(rawssh.CHANNEL_DATA, skip=(*ASIDE, rawssh.CHANNEL_SUCCESS))
    assert wait_until(w.sessions, WAIT)
    [gate] = gate_of(w.server)
    os.kill(keeper, signal.SIGSTOP)
    try:
        peer.send(bytes([rawssh.GLOBAL_REQUEST]) + string("hostkeys-prove-00@openssh.com") + boolean(True) + string(blobs[0]))
        # Behind it: what is not answered within a second was not read.
        peer.send(bytes([rawssh.GLOBAL_REQUEST]) + string("keepalive@openssh.com") + boolean(True))
        assert not select.select([peer.sock], [], [], 1)[0]
        os.kill(gate, signal.SIGKILL)
        (tmp_path / "end").touch()
        time.sleep(1)  # its status goes into the void
    finally:
        os.kill(keeper, signal.SIGCONT)
    peer.sock.close()
    assert wait_until(lambda: [t["state"] for t in w.sessions()] == ["left"], WAIT), w.server.log()[-2000:]


def test_stock_client_not_held(world):
    stock = require("ssh")
    w = world()
    first = w.ssh("-tt", program=stock)
    ready(first)
    assert wait_until(w.sessions, WAIT)
    first.kill()
    assert wait_until(lambda: w.sessions() == [], WAIT)


@needs_root
def test_another_users_server_is_not_spoken_to(account, scratch):
    """Whatever the environment says: it would get what is typed."""
    path, program = os.path.join(scratch, "sshd.22.sock"), os.path.join(account.home, "bowline")
    shutil.copy(os.path.realpath(tool("bowline")), program)
    os.chmod(program, 0o755)
    os.chmod(scratch, 0o777)
    code = ("import socket,sys,os; s=socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); s.bind(sys.argv[1]);"
            "os.chmod(sys.argv[1], 0o666); s.listen(); print('ready', flush=True); sys.stdin.read()")
    with subprocess.Popen(["/usr/bin/python3", "-c", code, path], user=65534, group=65534, extra_groups=[],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"ready\n"
        # By port: servers of other tests are there, and would answer.
        for args, env in ((["--socket", path], {}), (["--port", "22"], {"BOWLINE_CONTROL": scratch})):
            done = subprocess.run([program, "sessions", *args], env=env, user=account.name, group=account.gid,
                                  extra_groups=[], capture_output=True, timeout=30 * SLOW)
            assert done.returncode == 1
            assert (b"neither root's nor yours" in done.stderr) == ("--socket" in args), done.stderr
        other.stdin.close()


def test_watched(world):
    """A second viewer sees what there is and what comes, types nothing, and the first one is told."""
    w = world()
    first = w.ssh("-o", "Session=work")
    ready(first)
    watcher = w.attach("--watch", "work")
    watcher.wait(b"here100")
    first.wait(b"watches this session")
    watcher.type(b"echo nobody\\-reads this\n")
    first.type(b"echo seen''-by-both\n")
    watcher.wait(b"seen-by-both")
    first.wait(b"seen-by-both")
    assert wait_until(lambda: any(t["watchers"] == 1 for t in w.sessions()), WAIT)
    watcher.type(b"q")
    watcher.wait(b"no longer watching")
    assert watcher.ended() == 0
    ready(first, 4)
    assert b"nobody-reads" not in first.shown


@needs_root
def test_a_watcher_that_types_all_the_same(world):
    """Its program is not asked whether it may: the holder takes nothing from it, neither bytes nor a size."""
    w = world()
    first = w.ssh("-o", "Session=work", size=(20, 70))
    ready(first)
    [path] = glob.glob(f"/run/bowline/sshd.{w.server.port}[.@]*")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as control:
        control.settimeout(WAIT)
        control.connect(path)
        control.send(b"\x01" + u32(1) + u32(0))  # HELLO
        assert control.recv(4096)[:1] == b"\x01"
        control.send(b"\x06" + string("work") + u32(1))  # ATTACH, to watch
        said, fds, _, _ = socket.recv_fds(control, 4096, 1)
    assert said[:1] == b"\x07" and len(fds) == 1
    with socket.socket(fileno=fds[0]) as view:
        view.settimeout(WAIT)
        view.send(b"\x01" + u32(99) + u32(33) + u32(0) + u32(0))  # SIZE
        assert view.recv(32768)[:1] == b"\x03"  # START
        view.send(b"\x02echo not''-typed\n")  # IN
        view.send(b"\xff")  # no message at all: behind it, this end is closed
        while view.recv(32768):
            pass
    first.type(b"stty size\n")
    first.wait(b"20 70")  # nor does its size count
    assert b"not-typed" not in first.shown
    assert b"nobody-reads" not in first.shown


def test_ended_while_left(world):
    """The exit status waits for whoever comes."""
    w = world()
    first = w.ssh("-o", "Session=work")
    ready(first)
    first.type(b"echo last''-words; read x; exit 9\n")
    first.wait(b"last-words")
    first.type(b"\r~d")
    first.wait(b"is left")
    assert first.ended() == 0
    w.has("work", "ended")
    assert [t["status"] for t in w.sessions()] == [9]
    second = w.attach("work")
    second.wait(b"last-words")
    second.wait(b"ended with status 9")
    assert second.ended() == 9
    assert wait_until(lambda: w.sessions() == [], WAIT)


def test_names(world):
    w = world()
    bad = w.ssh("-o", "Session=-bad")
    bad.wait(b"is no name")
    assert bad.ended() == 255
    none = w.attach()
    none.wait(b"no session of yours is there")
    assert none.ended() == 1
    none = w.attach("nothing")
    none.wait(b"no session of yours has that name")
    assert none.ended() == 1
    first, second = w.ssh("-o", "Session=a"), w.ssh("-o", "Session=b")
    ready(first)
    ready(second)
    leave(first)
    leave(second)
    both = w.attach()
    both.wait(b"several sessions")
    assert both.ended() == 1


def test_two_at_once(world):
    """Both ask for one name: one session, and the later of the two has it."""
    w = world()
    two = [w.ssh("-o", "Session=work") for _ in range(2)]
    assert wait_until(lambda: [t["name"] for t in w.sessions()] == ["work"], WAIT), w.sessions()
    assert wait_until(lambda: sum(t.alive() for t in two) == 1, WAIT)
    ready(next(t for t in two if t.alive()), 8)


def test_forced_command_has_no_choice(world, lab):
    """Who may run one command alone does not get at other sessions of the account."""
    w = world("ForceCommand echo only this")
    t = w.ssh("-o", "Session=work")
    t.wait(b"does not give a session by name")
    assert t.ended() == 255


def test_reload_while_left(world):
    """A new keeper knows what is left."""
    w = world()
    first = w.ssh("-o", "Session=work")
    ready(first)
    leave(first)
    os.kill(w.server.process.pid, signal.SIGHUP)
    assert wait_until(lambda: w.server.log().count("listener is ready") > 1, WAIT)
    w.has("work", "left")
    second = w.ssh("-o", "Session=work")
    second.wait(b"here100")
    ready(second, 1)


def test_watched_to_the_end(world):
    """A watcher is told that the session has ended, and does not keep it."""
    w = world()
    first = w.ssh("-o", "Session=work")
    ready(first)
    watcher = w.attach("--watch", "work")
    watcher.wait(b"here100")
    first.type(b"exit 5\n")
    assert first.ended() == 5
    watcher.wait(b"ended with status 5")
    assert watcher.ended() == 5
    assert wait_until(lambda: w.sessions() == [], WAIT)


def test_attached_over_a_dead_link(world):
    """The client that has it is stopped: what it does not take holds nobody up."""
    w = world()
    first = w.ssh("-o", "Session=work")
    ready(first)
    os.kill(first.pid, signal.SIGSTOP)
    second = w.ssh("-o", "Session=work")
    second.wait(b"here100")
    second.type(b"i=0; while [ $i -lt 3000 ]; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; i=$((i+1)); done\n")
    ready(second, 7)
    os.kill(first.pid, signal.SIGCONT)
    first.wait(b"was taken up by")
    assert first.ended() == 255


def test_much_output_while_left(world):
    """Nobody takes it: the program goes on, the record is made smaller, and the newest lines are there."""
    w = world()
    first = w.ssh("-o", "Session=work")
    ready(first)
    first.type(b"read x; seq -f line-%g-of-some-length-that-makes-bytes 60000; echo all''-done\n")
    first.wait(b"all''-done")
    leave(first)  # whose return is what the program waits for
    second = w.ssh("-o", "Session=work")
    second.wait(b"line-55000-of")
    second.wait(b"all-done")
    ready(second, 3)
