"""Bulk beside a terminal: the server keeps what is under way short, and loses nothing."""
import hashlib
import os
import subprocess
import time

import pytest
import rawssh
from conftest import SLOW, USER, require, wait_until
from rawssh import boolean, string, u32

CHANNEL_DATA, CHANNEL_REQUEST, CHANNEL_FAILURE = 94, 98, 100
LEAST = 192 * 1024


@pytest.fixture
def typed(lab, keys):
    """A raw peer with a terminal on one channel; the server has set it up."""
    server = lab.sshd()
    peer = rawssh.logged_in(server.port, USER, keys.path("user"))
    terminal = peer.open_session(0)
    peer.request(terminal, "pty-req", string("xterm") + u32(80) + u32(24) + u32(0) * 2 + string(""))
    peer.expect(99, skip=(rawssh.GLOBAL_REQUEST, 93))
    peer.request(terminal, "exec", string("cat"))
    peer.expect(99, skip=(rawssh.GLOBAL_REQUEST, 93))
    yield peer
    peer.close()


def run_bulk(peer, size):
    bulk = peer.open_session(1, window=1 << 26)
    peer.request(bulk, "exec", string(f"head -c {size} /dev/zero"), want_reply=False)
    return bulk


def take(peer, answer, channel, seconds, enough):
    """Bulk bytes that came and the probes among them, until there are enough or time is over."""
    got, probes = 0, 0
    end = time.monotonic() + seconds * SLOW
    peer.sock.settimeout(0.3)
    while time.monotonic() < end and got < enough:
        try:
            message = peer.packet()
        except TimeoutError:
            continue
        if message[0] == CHANNEL_DATA and message[1:5] == u32(1):
            got += len(message) - 9
        elif message[0] == CHANNEL_REQUEST and b"keepalive@openssh.com" in message:
            assert message.endswith(boolean(True))
            probes += 1
            if answer:
                peer.send(bytes([CHANNEL_FAILURE]) + u32(channel))
    peer.sock.settimeout(10)
    return got, probes


def test_what_is_under_way_is_bounded(typed):
    channel = run_bulk(typed, 8 << 20)
    got, probes = take(typed, False, channel, 1.5 / SLOW, 8 << 20)  # within the patience
    # Some bytes go before the burst is known as one.
    assert got <= LEAST + 65536 and probes > 0
    # Answered, it all comes.
    for _ in range(probes):
        typed.send(bytes([CHANNEL_FAILURE]) + u32(channel))
    more, _ = take(typed, True, channel, 20, (8 << 20) - got)
    assert got + more == 8 << 20


def test_peer_without_answers_is_let_go(typed):
    channel = run_bulk(typed, 4 << 20)
    got, _ = take(typed, False, channel, 20, 4 << 20)
    assert got == 4 << 20


def test_no_pace_without_a_terminal(lab, keys):
    server = lab.sshd()
    peer = rawssh.logged_in(server.port, USER, keys.path("user"))
    peer.open_session(0)
    channel = run_bulk(peer, 4 << 20)
    got, probes = take(peer, False, channel, 20, 4 << 20)
    assert (got, probes) == (4 << 20, 0)
    peer.close()


def test_stock_client_gets_it_whole(lab, keys, tmp_path):
    server = lab.sshd()
    size = 64 << 20
    source = tmp_path / "source"
    source.write_bytes(os.urandom(1 << 20) * (size >> 20))
    control = str(tmp_path / "c")
    stock = require("ssh")
    args = lab.ssh_args(server, "-l", USER, "-S", control, "true", program=stock)[:-2]
    master = subprocess.Popen(args + ["-M", "-tt", "127.0.0.1", "cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL)
    try:
        assert wait_until(lambda: os.path.exists(control))
        done = subprocess.run(args + ["127.0.0.1", f"cat {source}"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              timeout=60 * SLOW)
        assert hashlib.sha256(done.stdout).digest() == hashlib.sha256(source.read_bytes()).digest()
    finally:
        master.kill()
        master.wait()
