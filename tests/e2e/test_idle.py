"""Idle limits that our ssh learns (client/idle_limit.h): its probes, what it remembers, and damage to that. A proxy stands for
the box that forgets connections by which nothing went for a while."""
import hashlib
import os
import select
import socket
import subprocess
import threading
import time

import pytest
from conftest import SLOW, tool, wait_until

LEAST = 15  # IDLE_LIMIT_LEAST_S


class Forgetful:
    """Passes bytes on until nothing went by for `limit` seconds; from then on that pair's bytes are dropped, or reset."""

    def __init__(self, target, limit, reset=False):
        self.target, self.limit, self.reset = target, limit, reset
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.stopped, self.links, self.forgotten = False, 0, 0
        self.threads = [threading.Thread(target=self.accept, daemon=True)]
        self.threads[0].start()

    def accept(self):
        while not self.stopped:
            if select.select([self.listener], [], [], 0.1)[0]:
                near = self.listener.accept()[0]
                far = socket.create_connection(("127.0.0.1", self.target), 10)
                self.links += 1
                self.threads.append(threading.Thread(target=self.pump, args=(near, far), daemon=True))
                self.threads[-1].start()

    def pump(self, near, far):
        last, known = time.monotonic(), True
        with near, far:
            while not self.stopped:
                ready = select.select([near, far], [], [], 0.1)[0]
                if known and ready and time.monotonic() - last >= self.limit:
                    known = False
                    self.forgotten += 1
                    if self.reset:
                        near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                        return
                for s in ready:
                    try:
                        data = s.recv(65536)
                        if not data:
                            return
                        if known:
                            (far if s is near else near).sendall(data)
                    except OSError:
                        return
                if ready:
                    last = time.monotonic()

    def stop(self):
        self.stopped = True
        for t in self.threads:
            t.join(10)
        self.listener.close()


@pytest.fixture
def forgetful():
    made = []

    def make(*args, **kw):
        made.append(Forgetful(*args, **kw))
        return made[-1]

    yield make
    for each in made:
        each.stop()


def key_of(port, host="127.0.0.1", network="direct 127.0.0.1"):
    return hashlib.sha256(f"bowline-idle 1\n{network}\n[{host}]:{port}".encode()).hexdigest()[:32]


def path():
    return os.path.join(os.environ["XDG_STATE_HOME"], "bowline", "idle")


def book():
    """{key: [interval, answered, bears, fails, failed_at]}"""
    try:
        with open(path()) as f:
            head, *lines = f.read().splitlines()
    except OSError:
        return {}
    assert head == "bowline-idle 1"
    return {line.split()[0]: [int(word) for word in line.split()[1:]] for line in lines}


def seed(*ports, text=None):
    os.makedirs(os.path.dirname(path()), exist_ok=True)
    with open(path(), "w") as f:
        f.write(text or "bowline-idle 1\n" + "".join(f"{key_of(p)} {LEAST} 0 {LEAST} 0 0\n" for p in ports))


@pytest.fixture
def session(lab, forgetful):
    """session(port, options…): `cat` over our ssh; ends with the test."""
    started = []

    def start(port, *options):
        args = [tool("ssh"), *lab.common(port), *options, "127.0.0.1", "cat"]
        p = subprocess.Popen(args, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)
        started.append(p)
        echo(p, b"here\n")
        return p

    yield start
    for p in started:
        p.stdin.close()
        try:
            p.wait(20 * SLOW)
        except subprocess.TimeoutExpired:
            p.kill()
            p.wait()
        p.stdout.close()
        p.stderr.close()


def echo(p, line):
    p.stdin.write(line)
    got = b""
    while not got.endswith(b"\n"):
        assert select.select([p.stdout], [], [], 30 * SLOW)[0], f"no echo, but {got!r}"
        data = p.stdout.read(len(line))
        assert data, p.stderr.read()
        got += data
    assert got == line


def test_silence_is_learned(lab, session, forgetful):
    """All at once, since each takes as long as the shortest interval: what is answered, what is forgotten in silence and is resumed,
    what is reset, a stock server, and ServerAliveInterval 0."""
    ours, stock = lab.sshd(), lab.openssh()
    silent, resets = forgetful(ours.port, LEAST - 5), forgetful(stock.port, LEAST - 5, reset=True)
    quiet = lab.sshd()
    seed(ours.port, stock.port, silent.port, resets.port, quiet.port)
    sessions = {p: session(p) for p in (ours.port, stock.port, silent.port, resets.port)}
    sessions[quiet.port] = session(quiet.port, "-o", "ServerAliveInterval=0")
    # Once more answered: what is the first of two at this interval is written down.
    assert wait_until(lambda: book()[key_of(ours.port)][1] == 1 and book()[key_of(stock.port)][1] == 1, 60)
    assert wait_until(lambda: book()[key_of(silent.port)][3] >= LEAST - 5 and book()[key_of(resets.port)][3] >= LEAST - 5, 60)
    assert silent.forgotten >= 1  # once more, if the machine is slow: 15 s is the least interval
    assert wait_until(lambda: silent.links == silent.forgotten + 1)
    for port in (ours.port, stock.port, silent.port, quiet.port):
        echo(sessions[port], b"still here\n")
    assert sessions[resets.port].wait(20 * SLOW) == 255
    assert book()[key_of(quiet.port)] == [LEAST, 0, LEAST, 0, 0]


@pytest.mark.parametrize("text", ["no such thing\n", "bowline-idle 1\nzz 60 0 0 0 0\n", "bowline-idle 1\n" + "0" * 20000], ids=("head", "key", "length"))
def test_a_damaged_file_is_told_and_passed_over(lab, text):
    server = lab.sshd()
    seed(text=text)
    for told in (1, 0):
        done = lab.ssh(server, "sleep 2; echo fine")
        assert done.returncode == 0 and done.stdout == b"fine\n"
        assert done.stderr.count(b"begun anew") == told, done.stderr
    assert book() == {}


def test_short_sessions_leave_no_file(lab):
    server = lab.sshd()
    assert lab.ssh(server, "true").returncode == 0
    assert not os.path.exists(path())
