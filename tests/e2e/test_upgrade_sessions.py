"""What an administrator does to an installed server, under everything that can be on: reload, upgrade, crash, restart.

The words are those of doc/operate.md and of the unit; systemd itself does not run. All seven are on at once, and each goes on.
BOWLINE_OLD_BIN names the folder with another version's sshd, which is installed at first.
"""
import hashlib
import os
import shutil
import signal
import socket
import subprocess

import pytest
from conftest import SLOW, USER, Server, free_port, listens, needs_root, require, tool, wait_until
from cutter import Cutter
from test_attach import Terminal
from test_client_forward import Echo
from test_install import install
from test_resume_server import sessions
from test_scp import scp_words

pytestmark = needs_root
OLD = os.environ.get("BOWLINE_OLD_BIN")
WAIT = 30
SIZE = 12 << 20
RATE = "60000"  # Kbit/s of the transfer: it is under way when things happen


class Installed:
    """A server below a PREFIX of its own, started as its unit does."""

    def __init__(self, lab, prefix):
        self.lab, self.port, self.program = lab, free_port(), os.path.join(prefix, "sbin", "sshd")
        self.config = lab.config(self.port, "PerSourcePenalties no\nSessionsHold yes\n"
                                 f"Subsystem sftp {prefix}/libexec/sftp-server\n")
        self.server = None
        self.put(os.path.join(OLD, "sshd") if OLD else os.path.realpath(tool("sshd")))
        self.start()

    def put(self, program, more=b""):
        """In its place, as `make install` does."""
        shutil.copy(program, self.program + ".new")
        with open(self.program + ".new", "ab") as out:
            out.write(more)
        os.rename(self.program + ".new", self.program)

    def start(self):
        """ExecStartPre and ExecStart."""
        subprocess.run([self.program, "-t", "-f", self.config], check=True, timeout=WAIT * SLOW)
        self.server = Server(self.lab.folder, f"sshd{len(self.lab.servers)}", [self.program, "-D", "-e", "-f", self.config], self.port)
        self.lab.servers.append(self.server)
        self.server.wait_log("listener is ready")

    def reload(self):
        """ExecReload."""
        before = self.server.log().count("listener is ready")
        subprocess.run([self.program, "-t", "-f", self.config], check=True, timeout=WAIT * SLOW)
        self.server.process.send_signal(signal.SIGHUP)
        assert wait_until(lambda: self.server.log().count("listener is ready") > before, WAIT), self.server.log()

    def upgrade(self):
        """`make install` over it, and the reload that follows."""
        self.put(os.path.realpath(tool("sshd")), b"a later build")
        self.reload()
        assert os.stat(f"/proc/{self.server.process.pid}/exe").st_ino == os.stat(self.program).st_ino

    def crash(self):
        """Restart=on-failure."""
        self.server.process.kill()
        self.server.process.wait()
        assert wait_until(lambda: not listens(self.port), WAIT)
        self.put(os.path.realpath(tool("sshd")))
        self.start()

    def restart(self):
        """KillMode=process: the keeper alone gets SIGTERM."""
        self.server.process.terminate()
        assert self.server.process.wait(WAIT * SLOW) == 0
        assert wait_until(lambda: not listens(self.port), WAIT)
        self.put(os.path.realpath(tool("sshd")))
        self.start()


class Everything:
    def __init__(self, lab, prefix, scratch):
        self.lab, self.scratch, self.number = lab, scratch, 0
        self.at = Installed(lab, prefix)
        self.way, self.echo = Cutter(self.at.port), Echo()
        lab.keys.known_hosts(self.way.port)
        self.processes, self.terminals, self.forwarded = [], [], None

    def words(self, *options, port=None, program=None):
        return [program or tool("ssh"), *self.lab.common(port or self.at.port), *options]

    def run(self, words):
        p = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.processes.append(p)
        return p

    def terminal(self, words):
        t = Terminal(words)
        t.__enter__()
        self.terminals.append(t)
        return t

    def say(self, t):
        """A shell in a terminal answers, with a word that is not in what is typed."""
        self.number += 1
        t.type(b"echo here$((100+%d))\n" % self.number)
        t.wait(b"here%d" % (100 + self.number))

    def talk(self, p):
        """A `cat` sends back."""
        self.number += 1
        line = b"line %d\n" % self.number
        p.stdin.write(line)
        p.stdin.flush()
        assert p.stdout.readline() == line, p.stderr.peek()

    def forward(self, sock):
        self.number += 1
        data = b"by the forward %d" % self.number
        sock.sendall(data)
        got = b""
        while len(got) < len(data):
            piece = sock.recv(100)
            assert piece
            got += piece
        assert got == data

    def connect(self):
        sock = socket.create_connection(("127.0.0.1", self.local), WAIT)
        sock.settimeout(WAIT * SLOW)
        return sock

    # ---- before ----
    def begin(self):
        self.shell = self.terminal(self.words("127.0.0.1"))
        self.say(self.shell)
        self.lost = self.run(self.words("127.0.0.1", "cat", port=self.way.port))
        self.talk(self.lost)
        self.begin_forward()
        self.begin_passenger()
        self.stock = self.terminal(self.words("-tt", "127.0.0.1", program=require("ssh")))
        self.say(self.stock)
        self.begin_viewer()
        self.way.refuses = True
        self.way.cut()
        assert wait_until(lambda: [r for r in sessions(self.at.server) if r["state"] == "suspended"], WAIT)
        self.begin_transfer()

    def begin_forward(self):
        self.local = free_port()
        self.run(self.words("-N", "-L", f"127.0.0.1:{self.local}:127.0.0.1:{self.echo.port}", "127.0.0.1"))
        assert wait_until(lambda: listens(self.local), WAIT)
        self.forwarded = self.connect()
        self.forward(self.forwarded)

    def begin_passenger(self):
        self.control = os.path.join(self.scratch, "mux")
        self.run(self.words("-N", "-M", "-S", self.control, "127.0.0.1"))
        assert wait_until(lambda: os.path.exists(self.control), WAIT)
        self.passenger = self.run([tool("ssh"), "-F", "none", "-S", self.control, "127.0.0.1", "cat"])
        self.talk(self.passenger)

    def begin_viewer(self):
        self.seen = self.terminal(self.words("-o", "Session=seen", "127.0.0.1"))
        self.say(self.seen)
        self.viewer = self.terminal([tool("bowline"), "attach", "--watch", "--port", str(self.at.port), "seen"])
        self.see()

    def see(self):
        """The viewer shows what the session's own terminal does."""
        self.say(self.seen)
        self.viewer.wait(b"here%d" % (100 + self.number))

    def begin_transfer(self):
        self.source, self.target = (os.path.join(self.lab.folder, name) for name in ("source", "target"))
        with open(self.source, "wb") as out:
            out.write(os.urandom(SIZE))
        words = scp_words(self.lab, self.at.server, program=require("sftp"), ssh=tool("ssh"))
        self.transfer = self.run([*words, "-l", RATE, f"{USER}@127.0.0.1:{self.source}", self.target])
        assert wait_until(lambda: os.path.exists(self.target) and os.path.getsize(self.target) > 0, WAIT)
        assert os.path.getsize(self.target) < SIZE

    # ---- after ----
    def all_there(self):
        self.say(self.shell)
        self.forward(self.forwarded)
        with self.connect() as another:
            self.forward(another)
        self.talk(self.passenger)
        another = self.run([tool("ssh"), "-F", "none", "-S", self.control, "127.0.0.1", "echo anew"])
        assert another.stdout.read() == b"anew\n" and another.wait(WAIT * SLOW) == 0
        self.say(self.stock)
        self.see()
        self.way.refuses = False
        self.talk(self.lost)
        assert len(sessions(self.at.server)) in (6, 7)  # the transfer may be done

    def whole_transfer(self):
        assert self.transfer.wait(60 * SLOW) == 0, self.transfer.stderr.read()
        with open(self.source, "rb") as a, open(self.target, "rb") as b:
            assert hashlib.sha256(a.read()).digest() == hashlib.sha256(b.read()).digest()

    def stock_comes_again(self):
        """Its link is lost after all of that; what it was in is taken up."""
        self.stock.type(b"X=kept\n")
        self.say(self.stock)
        self.stock.kill()
        found = wait_until(self.left, WAIT)
        again = self.terminal([tool("bowline"), "attach", "--port", str(self.at.port), found[0]])
        again.type(b"echo it is $X\n")
        again.wait(b"it is kept")

    def left(self):
        return [t["name"] for row in sessions(self.at.server) for t in row["terminals"] if t["state"] == "left" and t["name"] != "seen"]

    def stop(self):
        if self.forwarded is not None:
            self.forwarded.close()
        subprocess.run([tool("bowline"), "sessions", "end", USER, "--port", str(self.at.port)], capture_output=True, timeout=WAIT * SLOW)
        for t in self.terminals:
            if t.pid is not None:
                t.__exit__(None, None, None)
        for p in self.processes:
            p.terminate()
            p.wait()
            for f in (p.stdin, p.stdout, p.stderr):
                f.close()
        self.way.stop()
        self.echo.close()
        wait_until(lambda: sessions(self.at.server) == [], WAIT)


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("prefix"))
    install(path)
    return path


@pytest.mark.parametrize("what", ["reload", "upgrade", "crash", "restart"])
def test_everything_goes_on(lab, prefix, scratch, what):
    e = Everything(lab, prefix, scratch)
    try:
        e.begin()
        getattr(e.at, what)()
        e.all_there()
        e.whole_transfer()
        e.stock_comes_again()
    finally:
        e.stop()
