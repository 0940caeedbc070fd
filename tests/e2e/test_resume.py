"""Sessions hold: our client and our server over a way that is cut at any byte, reset, or silent (cutter.py)."""
import contextlib
import hashlib
import json
import os
import random
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time

import pytest
import rawssh
from agents import Agent
from conftest import ASAN, SLOW, USER, free_port, needs_root, require, tool, wait_until
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cutter import Cutter
from test_client_forward import Echo, connect, talk
from test_client_forward_proxy import hosts
from test_client_mux import Terminal

MIB = 1 << 20


class World:
    def __init__(self, lab, lines=""):
        self.lab = lab
        self.server = lab.sshd(lines)
        self.way = Cutter(self.server.port, random.randrange(1 << 30))
        self.started = []

    def args(self, *args, port=None):
        return [tool("ssh"), *self.lab.common(port or self.way.port), *args[:-1], "127.0.0.1", args[-1]]

    def ssh(self, *args, **kw):
        kw.setdefault("stdin", subprocess.DEVNULL)
        kw.setdefault("stdout", subprocess.PIPE)
        kw.setdefault("stderr", subprocess.PIPE)
        p = subprocess.Popen(self.args(*args), **kw)
        self.started.append(p)
        return p

    def end(self, p, timeout=40, data=None):
        out, err = p.communicate(data, timeout=timeout * SLOW)
        return p.returncode, out, (err or b"").decode()

    def resumed(self):
        return self.server.log().count("resumed from")

    def settled(self, n=1):
        """The client knows that it may be cut: its link was lost and found once already, or it is old enough."""
        assert wait_until(lambda: self.way.links >= n)
        time.sleep(0.3)

    def lose_link(self):
        """And there is no other, until way.refuses is False again."""
        self.way.refuses = True
        self.way.cut()
        time.sleep(0.3)

    def stop(self):
        for p in self.started:
            if p.poll() is None:
                p.kill()
            p.communicate()
        self.way.stop()


@pytest.fixture
def world(lab):
    made = []

    def make(lines=""):
        made.append(World(lab, lines))
        return made[-1]
    yield make
    for w in made:
        w.stop()


def digest(data):
    return hashlib.sha256(data).hexdigest()


# ---- bulk ----

def test_bulk_down(world, tmp_path):
    w = world()
    data = random.randbytes(16 * MIB)
    path = tmp_path / "data"
    path.write_bytes(data)
    tmp_path.chmod(0o755)
    p = w.ssh(f"sleep 0.5; cat {path}")
    w.settled()
    w.way.cut_at_random(20, 2 * MIB)
    code, out, err = w.end(p)
    assert digest(out) == digest(data) and (code, err) == (0, "")
    assert w.way.cuts > 8 and w.resumed() >= w.way.cuts // 2


def test_cut_while_keys_are_renewed(world):
    """RekeyLimit 256K: most cuts come in the middle of an exchange."""
    w = world("RekeyLimit 256K")
    data = random.randbytes(6 * MIB)
    p = w.ssh("-o", "RekeyLimit=256K", "cat", stdin=subprocess.PIPE)
    w.settled()
    w.way.cut_at_random(10, MIB)
    code, out, err = w.end(p, data=data)
    assert digest(out) == digest(data) and (code, err) == (0, "") and w.way.cuts > 3


def test_bulk_up(world):
    w = world()
    data = random.randbytes(16 * MIB)
    p = w.ssh("sha256sum", stdin=subprocess.PIPE)
    w.settled()
    w.way.cut_at_random(20, 2 * MIB)
    code, out, err = w.end(p, data=data)
    assert out.split()[0].decode() == digest(data) and (code, err) == (0, "")
    assert w.way.cuts > 8


def test_both_ways_through_files(world, tmp_path):
    """Standard input and output are files; echoed by cat."""
    w = world()
    data = random.randbytes(16 * MIB)
    (tmp_path / "in").write_bytes(data)
    with open(tmp_path / "in", "rb") as there, open(tmp_path / "out", "wb") as back:
        p = w.ssh("sleep 0.5; cat; echo done >&2; exit 3", stdin=there, stdout=back)
        w.settled()
        w.way.cut_at_random(12, 3 * MIB)
        code, _, err = w.end(p)
    assert (code, err) == (3, "done\n") and digest((tmp_path / "out").read_bytes()) == digest(data)
    assert w.way.cuts >= 4


def test_sftp_subsystem(world, tmp_path):
    w = world("Subsystem sftp internal-sftp")
    data = random.randbytes(16 * MIB)
    (tmp_path / "in").write_bytes(data)
    tmp_path.chmod(0o755)
    wrapper = tmp_path / "ssh"
    wrapper.write_text(f'#!/bin/sh\nexec {tool("ssh")} "$@"\n')
    wrapper.chmod(0o755)
    batch = tmp_path / "batch"
    batch.write_text(f"get {tmp_path}/in {tmp_path}/got\nput {tmp_path}/got {tmp_path}/put\n")
    w.way.cut_after(700000, *(w.way.random.randrange(1, 5 * MIB) for _ in range(12)))
    p = subprocess.Popen([require("sftp"), "-S", str(wrapper), "-b", str(batch), "-P", str(w.way.port),
                          *[x for x in w.lab.common(w.way.port) if x not in ("-p", str(w.way.port))], "127.0.0.1"],
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    w.started.append(p)
    out, _ = p.communicate(timeout=40 * SLOW)
    assert p.returncode == 0, out.decode()
    assert digest((tmp_path / "put").read_bytes()) == digest(data) and w.way.cuts > 3


def test_a_silent_link_is_replaced(world):
    """The server still holds the old link, which is not closed, when the new one comes."""
    w = world()
    p = w.ssh("cat", stdin=subprocess.PIPE)
    w.settled()
    w.way.hush()
    p.stdin.write(b"typed into silence\n")
    p.stdin.flush()
    assert p.stdout.readline() == b"typed into silence\n"
    assert wait_until(lambda: w.resumed() == 1, 30)  # which is written beside it
    code, out, _ = w.end(p, data=b"and then\n")
    assert (code, out) == (0, b"and then\n")


# ---- terminals ----

def all_until(t, text):
    """All that a terminal shows until that text."""
    shown, end = t.shown, time.monotonic() + 30 * SLOW
    while text not in shown and time.monotonic() < end:
        if not select.select([t.fd], [], [], 1)[0]:
            continue
        try:
            shown += os.read(t.fd, 65536)
        except OSError:
            break
    assert text in shown, shown
    return shown


def test_numbered_lines_in_a_terminal(world):
    """Lines typed and answered, each once and in order, over links that are cut all the time."""
    w = world()
    command = "stty -echo; echo ready; while read -r line; do echo \"got $line.\"; done"
    with Terminal(w.args("-tt", command)) as t:
        t.wait(b"ready")
        w.settled()
        w.way.cut_at_random(9, 9000)
        typed = 0
        while typed < 200 or (w.way.cuts <= 5 and typed < 5000):
            t.type(b"n%d\r" % typed)
            typed += 1
            time.sleep(0.01)
        shown = all_until(t, b"got n%d." % (typed - 1))
    shown = re.sub(rb"\x1bD\x1bM|\x1b7.*?\x1b8|\r", b"", shown)  # without our own notice
    got = [line for line in shown.split(b"\n") if line.startswith(b"got ")]
    assert got == [b"got n%d." % i for i in range(typed)]
    assert w.way.cuts > 5


def test_window_size_that_changed_meanwhile(world):
    w = world()
    with Terminal(w.args("-tt", "stty size; read x; stty size; read x")) as t:
        t.wait(b"\n")
        w.settled()
        w.lose_link()
        t.resize(41, 137)
        time.sleep(0.2)
        w.way.refuses = False
        assert wait_until(lambda: w.resumed() >= 1)
        t.type(b"\r")
        t.wait(b"41 137")


def test_escapes_while_the_link_is_lost(world):
    w = world()
    with Terminal(w.args("-tt", "echo ready; cat")) as t:
        t.wait(b"ready")
        w.settled()
        w.lose_link()
        t.type(b"\r~?")
        t.wait(b"end the connection")
        t.wait(b"bowline: link to 127.0.0.1 silent for")
        t.type(b"\r~.")
        assert t.status() == 255


def test_notice_is_cleared(world):
    w = world()
    with Terminal(w.args("-tt", "echo ready; read x; echo bye")) as t:
        t.wait(b"ready")
        w.settled()
        w.way.refuses = True
        w.way.cut()
        t.wait(b"\x1b[2K\x1b[7m[bowline: link to 127.0.0.1 silent for")
        w.way.refuses = False
        t.wait(b"\x1b[2K\x1b8")
        t.type(b"\r")
        t.wait(b"bye")


# ---- forwards ----

def stream_through(port, way, cuts=6, size=4 * MIB):
    way.cut_at_random(cuts, size)
    socks = [connect(port) for _ in range(3)]
    threads = [threading.Thread(target=talk, args=(s, size)) for s in socks]
    failures = []
    threading.excepthook, before = lambda a: failures.append(a.exc_value), threading.excepthook
    try:
        for t in threads:
            t.start()
        for t in threads:
            t.join(30 * SLOW)
    finally:
        threading.excepthook = before
    assert not failures and not any(t.is_alive() for t in threads)


@pytest.fixture
def echo():
    e = Echo()
    yield e
    e.close()


@pytest.mark.parametrize("how", ["-L", "-R"])
def test_forwarded_streams(world, echo, how):
    w = world()
    port = free_port()
    w.ssh("-o", "ExitOnForwardFailure=yes", how, f"{port}:127.0.0.1:{echo.port}", "cat", stdin=subprocess.PIPE)
    talk(connect(port))
    w.settled()
    stream_through(port, w.way)
    assert w.way.cuts >= 3


def test_dynamic_forward(world, echo):
    w = world()
    port = free_port()
    w.ssh("-D", str(port), "cat", stdin=subprocess.PIPE)
    s = connect(port)
    w.settled()
    w.way.cut()
    s.sendall(b"\x05\x01\x00\x05\x01\x00\x01" + socket.inet_aton("127.0.0.1") + struct.pack(">H", echo.port))
    got = b""
    while len(got) < 12:
        got += s.recv(12 - len(got))
    assert got[:4] == b"\x05\x00\x05\x00"
    w.way.cut()
    talk(s, MIB)


def test_listener_while_the_link_is_lost(world, echo):
    """Accepted at once, connected when there is a link."""
    w = world()
    port = free_port()
    w.ssh("-L", f"{port}:127.0.0.1:{echo.port}", "cat", stdin=subprocess.PIPE)
    talk(connect(port))
    w.settled()
    w.lose_link()
    s = connect(port)
    s.sendall(b"early")
    w.way.refuses = False
    got = b""
    while len(got) < 5:
        got += s.recv(5)
    assert got == b"early"
    s.close()


def test_agent_request_in_flight(world, tmp_path):
    """The agent is asked over a channel that is cut while it thinks."""
    w = world("AllowAgentForwarding yes")
    path = str(tmp_path / "agent")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen(8)
    asked = threading.Event()

    def serve(peer):
        with peer:
            buffer = b""
            while data := peer.recv(4096):
                buffer += data
                while len(buffer) >= 4 and len(buffer) >= 4 + struct.unpack(">I", buffer[:4])[0]:
                    n = struct.unpack(">I", buffer[:4])[0]
                    kind, buffer = buffer[4], buffer[4 + n:]
                    if kind == 11:
                        asked.set()
                        w.way.cut()
                        time.sleep(0.2)
                        peer.sendall(struct.pack(">IBI", 5, 12, 0))
                    else:
                        peer.sendall(struct.pack(">IB", 1, 5))

    def accept():
        try:
            while True:
                threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
        except OSError:
            pass
    threading.Thread(target=accept, daemon=True).start()
    p = w.ssh("-o", f"ForwardAgent={path}", f"sleep 0.5; {tool('ssh-add')} -l")
    code, out, err = w.end(p)
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    assert asked.is_set() and code == 1 and b"no identities" in (out + err.encode()).lower(), (code, out, err)
    assert wait_until(lambda: w.resumed() >= 1)


def counts_behind_a_jump_host(w, inner, gate_port, inner_port):
    """Our ssh to a server behind another, by these ports; it counts to 80 there."""
    config = hosts(w.lab, gate=(gate_port, ""), inner=(inner_port, "ProxyJump gate"))
    p = subprocess.Popen([tool("ssh"), "-F", config, "inner", "for i in $(seq 80); do echo $i; sleep 0.02; done"],
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    w.started.append(p)
    inner.wait_log("Accepted publickey")
    return p


def test_through_a_jump_host(world):
    """The way to the jump host is lost: the chain is made anew, and the connection inside goes on."""
    w = world()
    inner = w.lab.sshd()
    p = counts_behind_a_jump_host(w, inner, w.way.port, inner.port)
    for n in range(1, 3):
        time.sleep(0.3)
        w.way.cut()
        assert wait_until(lambda: inner.log().count("resumed from") >= n, 30), inner.log()
    assert w.end(p)[:2] == (0, b"".join(b"%d\n" % i for i in range(1, 81)))


def test_a_client_that_was_stopped(world):
    """As after a sleep: the link died meanwhile, and nothing of what was said is lost."""
    w = world()
    p = w.ssh("cat", stdin=subprocess.PIPE)
    w.settled()
    p.stdin.write(b"before\n")
    p.stdin.flush()
    assert p.stdout.readline() == b"before\n"
    os.kill(p.pid, signal.SIGSTOP)
    p.stdin.write(b"meanwhile\n")
    p.stdin.flush()
    w.way.cut()
    w.server.wait_log("kept for", 30)
    os.kill(p.pid, signal.SIGCONT)
    assert p.stdout.readline() == b"meanwhile\n"
    assert w.end(p, data=b"after\n")[:2] == (0, b"after\n")
    assert wait_until(lambda: w.resumed() == 1, 30)


# ---- the same key again ----

def counted_over_a_cut(w, *options, env=None):
    run = [tool("ssh"), "-F", "none", "-p", str(w.way.port), "-o", "GlobalKnownHostsFile=none",
           "-o", f"UserKnownHostsFile={w.lab.keys.known_hosts(w.way.port)}", *options, "127.0.0.1",
           "for i in $(seq 60); do echo $i; sleep 0.02; done"]
    p = subprocess.Popen(run, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **(env or {})},
                         start_new_session=True)
    w.started.append(p)
    w.server.wait_log("Accepted publickey")
    w.settled()
    for n in range(1, 3):
        w.way.cut()
        assert wait_until(lambda: w.resumed() >= n), w.server.log()
    code, out, err = w.end(p)
    assert (code, out) == (0, b"".join(b"%d\n" % i for i in range(1, 61))), err


def test_by_an_agent(world, tmp_path):
    w = world()
    agent = Agent(str(tmp_path))
    try:
        assert agent.run("-q", w.lab.keys.path("user")).returncode == 0
        counted_over_a_cut(w, "-o", "IdentityFile=none", env=agent.env)
    finally:
        agent.stop()


def test_a_passphrase_is_asked_for_once(world, tmp_path):
    w = world()
    key, asked = tmp_path / "key", tmp_path / "asked"
    shutil.copy(w.lab.keys.path("user"), key)
    subprocess.run([require("ssh-keygen"), "-q", "-p", "-P", "", "-N", "open sesame", "-f", str(key)], check=True, stdout=subprocess.DEVNULL)
    askpass = tmp_path / "askpass"
    askpass.write_text(f"#!/bin/sh\necho x >> {asked}\necho open sesame\n")
    askpass.chmod(0o755)
    counted_over_a_cut(w, "-i", str(key), "-o", "IdentitiesOnly=yes", env={"SSH_ASKPASS": str(askpass), "SSH_ASKPASS_REQUIRE": "force"})
    assert asked.read_text() == "x\n"


def test_by_a_certificate(world, tmp_path):
    keys = tmp_path / "keys"
    keys.mkdir()
    keygen = [require("ssh-keygen"), "-q"]
    for name in ("ca", "user"):
        subprocess.run([*keygen, "-t", "ed25519", "-N", "", "-f", str(keys / name)], check=True)
    subprocess.run([*keygen, "-s", str(keys / "ca"), "-I", "someone", "-n", USER, "-V", "+1h", str(keys / "user.pub")], check=True)
    shutil.copy(keys / "ca.pub", tmp_path / "ca.pub")
    tmp_path.chmod(0o755)
    w = world(f"TrustedUserCAKeys {tmp_path}/ca.pub")
    counted_over_a_cut(w, "-i", str(keys / "user"), "-o", "IdentitiesOnly=yes")


# ---- sharing ----

def test_passengers_do_not_notice(world, tmp_path):
    w = world()
    path = str(tmp_path / "c")
    master = w.ssh("-M", "-S", path, "cat", stdin=subprocess.PIPE)
    assert wait_until(lambda: os.path.exists(path))
    args = [tool("ssh"), "-F", "none", "-S", path, "-p", "1", "127.0.0.1"]
    riders = [subprocess.Popen([*args, f"for i in $(seq 150); do echo {n} $i; sleep 0.01; done; exit {n}"], stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE) for n in range(1, 4)]
    w.started += riders
    for _ in range(4):
        time.sleep(0.35)
        w.way.cut()
    late = subprocess.run([*args, "echo late"], stdin=subprocess.DEVNULL, capture_output=True, timeout=20 * SLOW)
    assert (late.returncode, late.stdout) == (0, b"late\n")
    for n, p in enumerate(riders, 1):
        code, out, _ = w.end(p)
        assert (code, out) == (n, b"".join(b"%d %d\n" % (n, i) for i in range(1, 151)))
    assert master.poll() is None and w.resumed() >= 3


# ---- ends ----

def test_program_that_ends_meanwhile(world):
    w = world()
    p = w.ssh("sleep 1; echo last words; exit 42")
    w.settled()
    w.way.refuses = True
    w.way.cut()
    time.sleep(1.2)
    w.way.refuses = False
    assert w.end(p)[:2] == (42, b"last words\n")


def test_killed_by_a_signal_meanwhile(world):
    w = world()
    p = w.ssh("echo $$; cat", stdin=subprocess.PIPE)
    w.settled()
    w.lose_link()
    p.terminate()
    code, _, err = w.end(p, 5)
    assert code == 255 and "Killed by signal 15" in err


def test_through_a_program(world):
    """ProxyCommand is started anew for each link."""
    w = world()
    proxy = f"{require('socat')} - TCP:127.0.0.1:{w.way.port}"
    p = w.ssh("-o", f"ProxyCommand={proxy}", "cat", stdin=subprocess.PIPE, bufsize=0)

    def children():
        with open(f"/proc/{p.pid}/task/{p.pid}/children") as f:
            return f.read().split()
    for i in range(4):
        p.stdin.write(b"%d\n" % i)
        assert p.stdout.readline() == b"%d\n" % i
        if i < 3:
            w.way.cut()
    assert wait_until(lambda: w.resumed() == 3 and len(children()) == 1)  # of those before nothing is left
    assert w.end(p, data=b"")[:2] == (0, b"")


def test_the_grace_is_over(world):
    w = world("ResumeGrace 1s 1s")
    p = w.ssh("cat", stdin=subprocess.PIPE)
    w.settled()
    w.way.refuses = True
    w.way.cut()
    w.server.wait_log("kept for 1 second")
    time.sleep(1.5)
    w.way.refuses = False
    code, _, err = w.end(p)
    assert code == 255 and "could not resume the connection: the host refuses: " in err, err


def test_notice_waits_for_the_end_of_a_sequence(world):
    """A program's control sequence that was cut in two is not written into."""
    w = world()
    with Terminal(w.args("-tt", "stty -echo -icanon; echo ready; printf '\\033[3'; dd bs=1 count=1 >/dev/null 2>&1; printf '1mred'; "
                               "dd bs=1 count=1 >/dev/null 2>&1")) as t:
        t.wait(b"ready")
        w.settled()
        w.way.refuses = True
        w.way.cut()
        time.sleep(4.8)
        w.way.refuses = False
        t.type(b"xx")
        shown = all_until(t, b"31mred")
    assert b"\x1b[31mred" in shown and b"bowline" not in shown


def test_the_connection_was_ended_there(world):
    """Another, younger server at the same place knows nothing of it: told in words, with an exit code, and `bowline why` knows."""
    w = world()
    p = w.ssh("echo up; cat", stdin=subprocess.PIPE)
    w.settled()
    w.way.refuses = True
    w.way.cut()
    other = w.lab.sshd()
    w.way.target = other.port
    w.way.refuses = False
    code, _, err = w.end(p)
    assert code == 255 and "could not resume the connection: the host refuses: the server was restarted at 20" in err, err
    why = subprocess.run([tool("bowline"), "why"], capture_output=True, text=True, timeout=10 * SLOW).stdout
    assert "restarted: " in why and "the server was restarted" in why


def mappings_with(pid, needle):
    """VmFlags of the mappings that hold it."""
    flags, span, found = {}, None, []
    with open(f"/proc/{pid}/smaps") as smaps:
        for line in smaps:
            fields = line.split()
            if "-" in fields[0] and not fields[0].endswith(":"):
                span = (*(int(x, 16) for x in fields[0].split("-")), fields[1], line)
            elif fields[0] == "VmFlags:":
                flags[span] = fields[1:]
    with open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for (begin, end, modes, line), of_it in flags.items():
            if "r" in modes and "[v" not in line:
                with contextlib.suppress(OSError):  # it has gone meanwhile
                    mem.seek(begin)
                    if needle in mem.read(end - begin):
                        found.append(of_it)
    return found


@needs_root
@pytest.mark.skipif(ASAN, reason="a sanitizer keeps what was freed")
def test_key_is_kept_in_locked_memory(world):
    """For the next login; nowhere else, and not in a core."""
    w = world()
    seed = rawssh.load_key(w.lab.keys.path("user")).private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
    p = w.ssh("cat", stdin=subprocess.PIPE)
    w.settled()
    for _ in range(2):
        assert wait_until(lambda: [{"lo", "dd"} <= set(f) for f in mappings_with(p.pid, seed)] == [True]), mappings_with(p.pid, seed)
        # The same after it was used again.
        w.way.cut()
        assert wait_until(lambda: w.resumed() > 0)


def test_the_server_knows_at_once_who_can_come_back(world, echo, tmp_path):
    """What a client sends first behind OPENED says that it got it: the link may be lost right then, for as long as ResumeGrace."""
    events = tmp_path / "events"
    w, port = world(f"EventLog {events}"), free_port()
    p = w.ssh("-v", "-N", "-L", f"{port}:127.0.0.1:{echo.port}", "unused")
    assert any(b"outlives a lost link" in line for line in p.stderr)
    s = connect(port)
    s.sendall(b"here")
    assert s.recv(4) == b"here"
    w.way.cut()
    talk(connect(port))
    with open(events) as f:
        assert [json.loads(line)["seconds"] for line in f if '"connection.suspended"' in line][:1] == [3600]
    assert wait_until(lambda: w.resumed() > 0)
    s.close()
    p.terminate()
    p.communicate(timeout=20 * SLOW)


def test_off_at_either_side(world, lab):
    w = world("ResumeGrace 0")
    p = w.ssh("cat", stdin=subprocess.PIPE)
    w.settled()
    w.way.cut()
    assert w.end(p)[0] == 255
    w = world()
    p = w.ssh("-o", "Resume=no", "cat", stdin=subprocess.PIPE)
    w.settled()
    w.way.cut()
    assert w.end(p)[0] == 255 and w.resumed() == 0


def test_stock_server(lab):
    server = lab.openssh()
    way = Cutter(server.port)
    try:
        p = subprocess.Popen([tool("ssh"), *lab.common(way.port), "127.0.0.1", "echo plain; cat"], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert p.stdout.readline() == b"plain\n"
        way.cut()
        _, err = p.communicate(timeout=20 * SLOW)
        assert p.returncode == 255 and b"clos" in err
    finally:
        way.stop()
