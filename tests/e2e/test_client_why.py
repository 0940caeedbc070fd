"""The journal of the ends of sessions, and `bowline why`."""
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import time

import pytest
import rawssh
from conftest import SLOW, free_port, tool, wait_until
from rawssh import string, u32
from cutter import Cutter
from test_client_hostile import Fake


def journal():
    path = os.path.join(os.environ["XDG_STATE_HOME"], "bowline", "ends.jsonl")
    with open(path) as f:
        return [json.loads(line) for line in f]


def last():
    return journal()[-1]


def why(*args):
    done = subprocess.run([tool("bowline"), "why", *args], capture_output=True, text=True, timeout=20 * SLOW)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_exit_is_kept_but_not_shown(lab):
    server = lab.sshd()
    assert lab.ssh(server, "exit 7").returncode == 7
    end = last()
    assert (end["class"], end["phase"], end["status"], end["host"], end["port"]) == ("exit", "session", 7, "127.0.0.1", server.port)
    assert end["lasted_ms"] >= 0 and end["rtt_us"] > 0 and abs(end["time"] - time.time()) < 100 * SLOW
    assert "no end" in why()
    assert "status 7" in why("--all")
    mode = os.stat(os.path.join(os.environ["XDG_STATE_HOME"], "bowline", "ends.jsonl")).st_mode & 0o777
    assert mode == 0o600


def test_failures_before_a_session(lab, tmp_path):
    server = lab.sshd()
    run = [tool("ssh"), "-F", "none", "-o", "BatchMode=yes", "-o", "GlobalKnownHostsFile=none", "-o", "UserKnownHostsFile=none", "-o",
           "IdentityFile=none", "-o", "IdentityAgent=none"]

    def ssh(port, *options):
        args = [*run, *options, "-p", str(port), "127.0.0.1", "true"]
        return subprocess.run(args, capture_output=True, stdin=subprocess.DEVNULL, timeout=30 * SLOW).returncode

    assert ssh(free_port()) == 255 and (last()["class"], last()["phase"]) == ("unreachable", "link")
    assert ssh(server.port) == 255 and last()["class"] == "host key"
    assert ssh(server.port, "-o", "StrictHostKeyChecking=no") == 255
    assert (last()["class"], last()["phase"]) == ("refused", "login") and "Permission denied" in last()["text"]
    text = why()
    assert text.index("unreachable: ") < text.index("host key\n") < text.index("    refused: ")
    assert "refused" in why("-n", "1") and "unreachable" not in why("-n", "1")
    assert "refused" in why("127.0.0.1") and "no end" in why("elsewhere")
    assert [json.loads(line)["class"] for line in why("--json").splitlines()] == ["unreachable", "host key", "refused"]


def open_session(fake):
    """Up to a shell's confirmation."""
    peer = fake.accept()
    while True:
        message = peer.packet()
        if message[0] == rawssh.CHANNEL_OPEN:
            f = rawssh.Fields(message[1:])
            f.string()
            channel = f.u32()
            peer.send(bytes([rawssh.CHANNEL_OPEN_CONFIRMATION]) + u32(channel) + u32(0) + u32(1 << 20) + u32(1 << 15))
            return peer, channel


ENDS = {
    "closed": ("closed", "closed by"), "reset": ("reset", "reset by"),
    "disconnect": ("disconnect", "Received disconnect"), "protocol": ("error", ""), "silence": ("silence", "not responding."),
}


@pytest.mark.parametrize("how", ENDS)
def test_ends_of_sessions(keys, tmp_path, how):
    def script(fake):
        peer, channel = open_session(fake)
        peer.send(bytes([rawssh.CHANNEL_DATA]) + u32(channel) + string("hello\n"))
        if how == "reset":
            time.sleep(0.2)
            peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif how == "disconnect":
            peer.send(bytes([rawssh.DISCONNECT]) + u32(11) + string("going \x1b[31mdown\nnow") + string(""))
            peer.closed()
        elif how == "protocol":
            peer.send(bytes([rawssh.CHANNEL_DATA]) + u32(77) + string("x"))
            peer.closed()
        elif how == "closed":
            peer.sock.shutdown(socket.SHUT_WR)  # what is not read would make it a reset
        if how in ("silence", "closed"):
            while peer.sock.recv(65536):
                pass
        peer.sock.close()

    fake = Fake(keys, script, tmp_path, "true", options=["-o", "ServerAliveInterval=1", "-o", "ServerAliveCountMax=2"])
    assert fake.done.returncode == 255 and fake.done.stdout == b"hello\n"
    kind, words = ENDS[how]
    end = last()
    assert (end["class"], end["phase"]) == (kind, "session") and words.lower() in end["text"].lower()
    assert "the session with 127.0.0.1 lasted" in fake.stderr
    shown = why()
    assert kind in shown and "\x1b" not in shown
    if how == "silence":
        assert end["probes"] == 2 and end["silent_ms"] >= 2900 and "2 signs of life" in shown


def test_ended_here(lab):
    server = lab.sshd()
    child = subprocess.Popen(lab.ssh_args(server, "sleep 30"), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert wait_until(lambda: "Accepted" in server.log())
    time.sleep(0.3)
    child.send_signal(signal.SIGTERM)
    child.communicate(timeout=20 * SLOW)
    assert last()["class"] == "user"


def test_journal_is_bounded(lab):
    server = lab.sshd()
    folder = os.path.join(os.environ["XDG_STATE_HOME"], "bowline")
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, "ends.jsonl")
    line = json.dumps({"time": 1, "class": "reset", "host": "old", "pad": "x" * 900}) + "\n"
    with open(path, "w") as f:
        f.write(line * (256 * 1024 // len(line) + 1))
    assert lab.ssh(server, "true").returncode == 0
    assert os.stat(path).st_size < 140 * 1024
    ends = journal()
    assert ends[0]["host"] == "old" and ends[-1]["host"] == "127.0.0.1"


def test_journal_that_is_no_journal(lab):
    """Garbage is passed over; a link, a FIFO or a folder in its place harms nobody."""
    server = lab.sshd()
    folder = os.path.join(os.environ["XDG_STATE_HOME"], "bowline")
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, "ends.jsonl")
    with open(path, "wb") as f:
        f.write(os.urandom(3000) + b'\n{"class": "reset", "host": "a\\u001b[31mb"}\n{"class":\n{"class": "reset" "host": 3}\n\n')
    shown = why()
    assert "reset" in shown and "\x1b" not in shown
    for make in (lambda: os.symlink("/nonexistent/x", path), lambda: os.mkfifo(path), lambda: os.mkdir(path)):
        os.path.isdir(path) and os.rmdir(path) or os.path.lexists(path) and os.unlink(path)
        make()
        assert lab.ssh(server, "true").returncode == 0


def test_wrong_use():
    for args in (["-n"], ["-n", "0"], ["-n", "x"], ["--what"], ["a", "b"]):
        assert subprocess.run([tool("bowline"), "why", *args], capture_output=True).returncode == 2


@pytest.mark.parametrize("which", ["sshd", "openssh"])
def test_a_quiet_session(lab, which):
    server = getattr(lab, which)()
    done = lab.ssh(server, "-o", "ChannelTimeout=session=1", "sleep 20")
    assert done.returncode == 255 and (last()["class"], last()["phase"]) == ("idle", "session")
    shown = why()
    assert "    idle\n" in shown and "    ChannelTimeout" in shown


@pytest.fixture
def lost(lab, tmp_path):
    """lost(lines): a session by a proxy that cuts; (server, proxy, client, its authorized_keys)"""
    ways, clients = [], []

    def start(lines=""):
        allowed = tmp_path / "allowed"
        shutil.copy(lab.keys.authorized_keys, allowed)
        server = lab.sshd(lines, authorized=str(allowed))
        ways.append(Cutter(server.port))
        port = ways[-1].port
        lab.keys.known_hosts(port)
        args = [tool("ssh"), *lab.common(port), "127.0.0.1", "echo here; cat"]
        clients.append(subprocess.Popen(args, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE))
        assert clients[-1].stdout.readline() == b"here\n"
        return server, ways[-1], clients[-1], allowed

    yield start
    for client in clients:
        client.kill()
        client.communicate()
    for way in ways:
        way.stop()


def ended_as(client, name, words):
    client.stdout.read()
    assert client.wait(60 * SLOW) == 255
    assert last()["class"] == name and words in last()["text"], last()
    assert f"    {name}: " in why()


def test_access_that_was_removed(lost):
    _, way, client, allowed = lost()
    allowed.write_text("")
    way.cut()
    ended_as(client, "access removed", "the host refuses the login")


def test_a_grace_that_is_over(lost):
    server, way, client, _ = lost("ResumeGrace 1\n")
    way.refuses = True
    way.cut()
    server.wait_log("Close session", 30)
    way.refuses = False
    ended_as(client, "grace over", "it ended at 20")


def test_a_host_that_was_restarted(lab, lost):
    server, way, client, allowed = lost()
    way.refuses = True
    way.cut()
    server.stop()
    lab.sshd(port=server.port, authorized=str(allowed))
    way.refuses = False
    ended_as(client, "restarted", "was restarted at 20")
