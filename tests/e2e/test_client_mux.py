"""Shared connections: our master and Debian's ssh, Debian's master and ours, ours and ours."""
import fcntl
import os
import pty
import re
import select
import signal
import socket
import struct
import subprocess
import tempfile
import termios
import threading
import time

import pytest

from conftest import ASAN, SLOW, free_port, require, tool, wait_until
from test_client_forward import Echo, connect, read_all, talk

PAIRS = {"ours": ("ours", "ours"), "debian rides": ("ours", "debian"), "debian drives": ("debian", "ours")}


def program(who):
    return tool("ssh") if who == "ours" else require("ssh")


class Shared:
    """A master, and how to ride with it."""

    def __init__(self, lab, master, passenger, *options, server=None, command=None):
        self.lab, self.server = lab, server or lab.openssh_with_terminals("LogLevel INFO")
        self.path = os.path.join(lab.folder, f"c{self.server.port}")
        self.passenger = program(passenger)
        self.log = os.path.join(lab.folder, "master.log")
        args = [program(master), *lab.common(self.server.port), "-M", "-S", self.path, *options]
        args += ["127.0.0.1", command] if command else ["-N", "127.0.0.1"]
        self.master = subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                       stderr=open(self.log, "wb"))
        assert wait_until(lambda: os.path.exists(self.path)), open(self.log).read()

    def args(self, *options, command=()):
        """The rest would not lead anywhere: only the master is connected."""
        return [self.passenger, "-F", "none", "-S", self.path, "-p", "1", *options, "127.0.0.1", *command]

    def run(self, *options, command=(), **kw):
        kw.setdefault("stdin", subprocess.DEVNULL if "input" not in kw else None)
        if kw["stdin"] is None:
            kw.pop("stdin")
        command = [command] if isinstance(command, str) else command
        return subprocess.run(self.args(*options, command=command), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              timeout=10 * SLOW, **kw)

    def control(self, what, *options):
        return self.run("-O", what, *options)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.master.send_signal(signal.SIGTERM)
        try:
            self.master.wait(10 * SLOW)
        except subprocess.TimeoutExpired:
            # Debian's takes a signal that comes just before its poll(2) for none.
            assert self.master.args[0] != tool("ssh")
            self.master.kill()
            self.master.wait()
        self.master.stdout.close()


@pytest.fixture(params=PAIRS)
def pair(request):
    return PAIRS[request.param]


@pytest.fixture
def echo():
    e = Echo()
    yield e
    e.close()


def test_sessions(lab, pair):
    """Status, both outputs, input, environment, a subsystem, large data, and many at once."""
    server = lab.openssh("LogLevel INFO\nAcceptEnv MUX_*\nSubsystem shout echo loud")
    with Shared(lab, *pair, "-o", "SendEnv=MUX_*", server=server) as s:
        done = s.run(command="cat; echo err >&2; exit 7", input=b"in and out\n")
        assert (done.returncode, done.stdout) == (7, b"in and out\n") and b"err\n" in done.stderr
        done = s.run("-o", "SendEnv=MUX_*", command="echo $MUX_A", env={**os.environ, "MUX_A": "sent"})
        assert done.stdout == b"sent\n"
        assert s.run("-s", command="shout").stdout == b"loud\n"
        data = os.urandom(3 << 20)
        assert s.run(command="cat", input=data).stdout == data
        many = [subprocess.Popen(s.args(command=[f"sleep 0.2; exit {i}"]), stdin=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL) for i in range(9)]
        assert [p.wait(30 * SLOW) for p in many] == list(range(9))


def test_control_commands(lab, pair):
    with Shared(lab, *pair) as s:
        check = s.control("check")
        assert check.returncode == 0 and f"pid={s.master.pid}" in check.stderr.decode()
        assert os.stat(s.path).st_mode & 0o777 == 0o600
        assert s.control("stop").returncode == 0
        # With -N it was there for others alone.
        s.master.wait(10 * SLOW)
        assert not os.path.exists(s.path)
    with Shared(lab, *pair, server=s.server) as s:
        done = s.control("exit")
        assert done.returncode == 0 and b"Exit request sent." in done.stderr
        s.master.wait(10 * SLOW)
        assert not os.path.exists(s.path)
    assert s.control("check").returncode == 255


def test_forwards_come_and_go(lab, pair, echo):
    with Shared(lab, *pair) as s:
        local, dynamic = free_port(), free_port()
        there = ["-L", f"{local}:127.0.0.1:{echo.port}", "-D", str(dynamic)]
        assert s.control("forward", *there).returncode == 0
        talk(connect(local))
        socks = connect(dynamic)
        socks.sendall(b"\x05\x01\x00\x05\x01\x00\x01" + socket.inet_aton("127.0.0.1") + struct.pack(">H", echo.port))
        assert read_all(socks, 2 + 10)[:2] == b"\x05\x00"
        talk(socks)
        assert s.control("cancel", *there).returncode == 0
        with pytest.raises(OSError):
            socket.create_connection(("127.0.0.1", local))
        # A remote one on any port: which it became is printed.
        done = s.control("forward", "-R", f"0:127.0.0.1:{echo.port}")
        assert done.returncode == 0
        remote = int(done.stdout)
        talk(connect(remote))
        path = os.path.join(lab.folder, "fwd.sock")
        assert s.control("forward", "-L", f"{path}:127.0.0.1:{echo.port}").returncode == 0
        talk(connect(path))
        assert s.control("cancel", "-L", f"{path}:127.0.0.1:{echo.port}").returncode == 0
        assert pair[0] == "debian" or not os.path.exists(path)
        # What is not there cannot be cancelled, and a taken port not be forwarded.
        assert s.control("forward", "-L", f"127.0.0.1:{echo.port}:127.0.0.1:1").returncode == 255
        assert s.master.poll() is None


def test_remote_forward_is_cancelled(lab, pair, echo):
    port = free_port()
    with Shared(lab, *pair) as s:
        spec = ["-R", f"{port}:127.0.0.1:{echo.port}"]
        assert s.control("forward", *spec).returncode == 0
        talk(connect(port))
        assert s.control("cancel", *spec).returncode == 0

        def is_gone():
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", port)) != 0
        assert wait_until(is_gone)


def test_passenger_forwards_stdio(lab, pair, echo):
    with Shared(lab, *pair) as s:
        done = s.run("-W", f"127.0.0.1:{echo.port}", input=b"through")
        assert done.stdout == b"throughbye"
        dead = free_port()
        assert s.run("-W", f"127.0.0.1:{dead}", input=b"x").stdout == b""


def in_terminal(args, typed=(), size=(30, 90)):
    """Runs in a terminal of its own; yields what was shown."""
    pid, fd = pty.fork()
    if pid == 0:
        os.execv(args[0], args)
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))
    return pid, fd


class Terminal:
    def __init__(self, args, size=(30, 90)):
        self.pid, self.fd = in_terminal(args, size=size)
        self.shown = b""

    def take(self, piece):
        self.shown += piece

    def pump(self):
        """Takes what was shown meanwhile."""
        while select.select([self.fd], [], [], 0)[0]:
            try:
                piece = os.read(self.fd, 65536)
            except OSError:
                break
            if not piece:
                break
            self.take(piece)

    def wait(self, text, seconds=15):
        def there():
            self.pump()
            return text in self.shown
        assert wait_until(there, seconds), self.shown
        self.shown = self.shown.split(text, 1)[1]

    def type(self, data):
        os.write(self.fd, data)

    def resize(self, rows, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def status(self):
        found = [None]

        def ended():
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                found[0] = os.waitstatus_to_exitcode(status)
            self.pump()
            return pid != 0
        wait_until(ended, 15)
        return found[0]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass
        os.close(self.fd)


def test_passenger_in_a_terminal(lab, pair):
    """A pty with the passenger's size, which follows; escapes work; the terminal is given back."""
    with Shared(lab, *pair) as s, Terminal(s.args("-t", command=["stty size; while read x; do stty size; done"])) as t:
        t.wait(b"30 90")
        t.resize(31, 91)
        t.type(b"\r")
        time.sleep(0.2)
        t.type(b"\r")
        t.wait(b"31 91")
        t.type(b"\r~#")
        t.wait(b"following connections are open")
        t.type(b"\r~.")
        t.wait(b"Shared connection to 127.0.0.1 closed.")
        assert t.status() == 255
        assert s.master.poll() is None


def test_master_gone_is_255(lab, pair):
    with Shared(lab, *pair) as s:
        p = subprocess.Popen(s.args(command=["echo up; sleep 25"]), stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert p.stdout.readline() == b"up\n"
        s.master.kill()
        _, err = p.communicate(timeout=20 * SLOW)
        assert p.returncode == 255
        if s.passenger == tool("ssh"):
            assert b"ended without a status" in err


def test_lost_link_says_why(lab):
    """Ours told by ours: the server's end of the connection is cut."""
    with Shared(lab, "ours", "ours", "-o", "ServerAliveInterval=1", "-o", "ServerAliveCountMax=1",
                server=lab.openssh("LogLevel INFO")) as s:
        p = subprocess.Popen(s.args(command=["echo up; echo $PPID; sleep 25"]), stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert p.stdout.readline() == b"up\n"
        sshd = int(p.stdout.readline())
        os.kill(sshd, signal.SIGSTOP)
        try:
            _, err = p.communicate(timeout=20 * SLOW)
        finally:
            os.kill(sshd, signal.SIGCONT)
        assert p.returncode == 255 and b"not responding" in err


def test_passenger_killed_ends_its_session(lab, pair):
    with Shared(lab, *pair) as s:
        mark = os.path.join(lab.folder, "alive")
        p = subprocess.Popen(s.args("-tt", command=[f"touch {mark}; trap 'rm {mark}; exit' HUP; echo up; "
                                                    "while :; do sleep 0.1; done"]),
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert b"up" in p.stdout.readline()
        p.kill()
        p.wait()
        assert wait_until(lambda: not os.path.exists(mark))
        assert s.run(command="echo still").stdout == b"still\n"


def test_many_channels_leave_nothing(lab):
    """Ten at a time, over and over, as an editor does it: no descriptor and no memory stays."""
    with Shared(lab, "ours", "ours") as s:
        def descriptors():
            return len(os.listdir(f"/proc/{s.master.pid}/fd"))

        def memory():
            with open(f"/proc/{s.master.pid}/smaps_rollup") as f:
                return int(re.search(r"Private_Dirty: *(\d+)", f.read()).group(1))

        def burst():
            some = [subprocess.Popen(s.args(command=["echo x"]), stdin=subprocess.DEVNULL,
                                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in range(10)]
            assert all(p.wait(30 * SLOW) == 0 for p in some)
        burst()
        burst()
        assert wait_until(lambda: descriptors() <= 8)
        before, fds = memory(), descriptors()
        for _ in range(3):
            burst()
        assert wait_until(lambda: descriptors() == fds)
        assert ASAN or memory() <= before + 256  # a sanitizer keeps what is freed


@pytest.fixture
def short_folder():
    """For names of 44 bytes in a path of at most 107."""
    with tempfile.TemporaryDirectory(prefix="bw-") as folder:
        yield folder


def test_auto_and_persist(lab, short_folder):
    """The first one connects and leaves a master, the second rides, and the master goes by itself."""
    server = lab.openssh("LogLevel INFO")
    path = os.path.join(short_folder, "ctl-%C")
    options = ["-o", "ControlMaster=auto", "-o", f"ControlPath={path}", "-o", "ControlPersist=2"]
    first = lab.ssh(server, *options, "echo $SSH_CONNECTION; exit 3")
    assert first.returncode == 3, first.stderr
    second = lab.ssh(server, *options, "echo $SSH_CONNECTION; exit 4")
    assert second.returncode == 4 and second.stdout == first.stdout
    names = [n for n in os.listdir(short_folder) if n.startswith("ctl-")]
    assert len(names) == 1 and re.fullmatch(r"ctl-[0-9a-f]{40}", names[0])
    assert lab.ssh(server, *options, "-O", "check", "x").returncode == 0
    # Debian's finds it under the same name.
    third = lab.ssh(server, *options, "echo $SSH_CONNECTION", program=require("ssh"))
    assert third.stdout == first.stdout
    assert wait_until(lambda: not [n for n in os.listdir(short_folder) if n.startswith("ctl-")], 15)


def test_persist_in_a_terminal(lab):
    """The terminal comes back to its shell, with the master behind."""
    server = lab.openssh_with_terminals("LogLevel INFO")
    path = os.path.join(lab.folder, "pt")
    args = lab.ssh_args(server, "-t", "-o", "ControlMaster=yes", "-S", path, "-o", "ControlPersist=yes", "stty size")
    with Terminal(args) as t:
        t.wait(b"30 90")
        t.wait(b"Shared connection to 127.0.0.1 closed.")
        assert t.status() == 0
    assert lab.ssh(server, "-S", path, "-O", "exit", "x").returncode == 0


def test_persist_hands_over_forwards_and_background(lab, echo):
    server = lab.openssh("LogLevel INFO")
    path, port = os.path.join(lab.folder, "pf"), free_port()
    options = ["-o", "ControlMaster=yes", "-S", path, "-o", "ControlPersist=yes", "-L",
               f"{port}:127.0.0.1:{echo.port}"]
    done = lab.ssh(server, *options, "-f", "echo background")
    assert done.returncode == 0 and done.stdout == b"background\n"
    talk(connect(port))
    assert lab.ssh(server, "-S", path, "-O", "exit", "x").returncode == 0
    assert wait_until(lambda: socket.socket().connect_ex(("127.0.0.1", port)) != 0)


def test_stale_and_taken_sockets(lab):
    server = lab.openssh("LogLevel INFO")
    path = os.path.join(lab.folder, "stale")
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(path)
    auto = ["-o", "ControlMaster=auto", "-S", path]
    done = lab.ssh(server, *auto, "echo in")
    assert done.stdout == b"in\n" and not os.path.exists(path)
    # Somebody's file is left alone, and the session goes on without.
    with open(path, "w"):
        pass
    done = lab.ssh(server, "-M", "-S", path, "echo in")
    assert done.stdout == b"in\n" and b"already exists, disabling multiplexing" in done.stderr
    assert os.path.exists(path)
    # A path that is too long.
    done = lab.ssh(server, "-M", "-S", os.path.join(lab.folder, "x" * 100), "echo in")
    assert done.stdout == b"in\n" and b"too long" in done.stderr


def test_ask(lab, tmp_path):
    """ControlMaster ask: a program decides, each time."""
    for answer, status in (("true", 0), ("false", 255)):
        askpass = tmp_path / answer
        askpass.write_text(f"#!/bin/sh\necho \"$1\" >> {tmp_path}/asked\n{answer}\n")
        askpass.chmod(0o755)
        os.environ["SSH_ASKPASS"], os.environ["DISPLAY"] = str(askpass), ":none"
        try:
            with Shared(lab, "ours", "ours", "-M") as s:
                done = s.run(command="exit 0")
                assert done.returncode == status, done.stderr
        finally:
            del os.environ["SSH_ASKPASS"], os.environ["DISPLAY"]
    assert (tmp_path / "asked").read_text().count("Allow shared connection to 127.0.0.1?") == 2


def test_refused_session_is_tried_alone(lab):
    """MaxSessions 1: the passenger connects by itself."""
    server = lab.openssh("MaxSessions 1")
    with Shared(lab, "ours", "ours", server=server, command="echo up; sleep 25") as s:
        assert s.master.stdout.readline() == b"up\n"
        done = lab.ssh(server, "-S", s.path, "echo alone")
        assert done.stdout == b"alone\n" and b"refuses" in done.stderr


def test_agent_is_the_masters(lab, pair):
    with Shared(lab, *pair, "-A") as s:
        require("ssh-agent")
        done = s.run("-A", command="test -S \"$SSH_AUTH_SOCK\" && echo yes",
                     env={**os.environ, "SSH_AUTH_SOCK": "/nowhere"})
        if os.environ.get("SSH_AUTH_SOCK"):
            assert done.stdout == b"yes\n"


def test_info(lab, echo):
    port = free_port()
    with Shared(lab, "ours", "ours", "-L", f"{port}:127.0.0.1:{echo.port}") as s:
        about = s.control("conninfo")
        assert about.returncode == 0 and str(s.server.port).encode() in about.stdout
        p = subprocess.Popen(s.args(command=["cat"]), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        p.stdin.write(b"x")
        p.stdin.flush()
        assert p.stdout.read(1) == b"x"
        channels = s.control("channels")
        p.communicate(timeout=20 * SLOW)
        assert b"client-session (exec, of a passenger)" in channels.stdout
        assert f"local forwarding of localhost:{port}".encode() in channels.stdout or \
            str(port).encode() in channels.stdout


def test_strangers_at_the_socket(lab):
    """Whatever is said there, the master goes on."""
    with Shared(lab, "ours", "ours") as s:
        hello = struct.pack(">III", 8, 1, 4)
        for talk_ in (b"", b"\0" * 64, os.urandom(300), struct.pack(">I", 0xffffffff), struct.pack(">II", 4, 0x10000004),
                      hello + struct.pack(">III", 8, 0x12345678, 9), hello + struct.pack(">II", 4, 0x10000002),
                      hello + hello, struct.pack(">III", 8, 1, 3)):
            c = connect(s.path)
            c.sendall(talk_)
            c.shutdown(socket.SHUT_WR)
            read_all(c)
            c.close()
        # Descriptors without end.
        c = connect(s.path)
        try:
            for _ in range(20):
                socket.send_fds(c, [b"x"], [0, 1, 2])
        except OSError:
            pass
        c.close()
        assert s.run(command="echo still").stdout == b"still\n"


def test_alone_with_a_mux_config(lab):
    """No socket there: connects as usual, and says nothing of it."""
    server = lab.openssh("LogLevel INFO")
    done = lab.ssh(server, "-S", os.path.join(lab.folder, "none"), "echo in")
    assert (done.returncode, done.stdout) == (0, b"in\n") and b"ontrol" not in done.stderr
    done = lab.ssh(server, "-O", "check", "x")
    assert done.returncode == 255 and b"ControlPath" in done.stderr
    assert threading.active_count() >= 1
