"""The ring of the seam is the store of a connection that can be resumed: what is not confirmed yet stays in it."""
import os
import subprocess

import pytest
from conftest import ASAN, needs_root
from test_resume_server import client, server  # noqa: F401

pytestmark = needs_root
MB = 1000 * 1000
RING = 16 << 20


def numbers(size):
    return f"seq -w 1 99999999 | head -c {size}"


def output(size):
    return subprocess.run(numbers(size), shell=True, capture_output=True, check=True).stdout


def holder_memory(server):
    """Of the holder that has the large ring: bytes of its own."""
    for pid in os.listdir("/proc"):
        try:
            with open(f"/proc/{pid}/stat") as f, open(f"/proc/{pid}/cmdline") as title, open(f"/proc/{pid}/maps") as maps:
                if int(f.read().rsplit(")", 1)[1].split()[1]) != server.process.pid or "gate" in title.read():
                    continue
                if any("memfd:ring" in line and size_of(line) > RING for line in maps):
                    with open(f"/proc/{pid}/smaps_rollup") as rollup:
                        return 1024 * sum(int(line.split()[1]) for line in rollup if line.startswith("Anonymous:"))
        except (OSError, ValueError):
            continue
    return None


def size_of(line):
    start, end = (int(n, 16) for n in line.split()[0].split("-"))
    return end - start


@pytest.mark.parametrize("size, copied", [(6 * MB, False), (20 * MB, True)], ids=["in the ring", "more than the ring"])
def test_link_lost_with_everything_unconfirmed(server, client, size, copied):  # noqa: F811
    c = client()
    c.confirms = False
    channel = c.session(numbers(size), window=size + 1)
    before = dict(c.taken)
    first = c.read(size)
    assert first == output(size)
    own = holder_memory(server)
    assert own is not None
    assert ASAN or (own > size - RING if copied else own < size / 2)  # a sanitizer keeps what was freed
    c.cut()
    c.taken, c.confirms = before, True  # it has forgotten all of it
    c.come_back()
    assert c.read(size) == first
    assert c.status() == 0
    assert c.taken[channel + 1] > size // 65536


def test_part_is_confirmed_and_links_change(server, client):  # noqa: F811
    size = 12 * MB
    c = client()
    c.confirms = False
    c.session(numbers(size), window=size + 1)
    got = b""
    for turn in range(4):
        while len(got) < (turn + 1) * size // 5:
            got += c.read(1)
        c.ack()
        before = len(got), dict(c.taken)
        got += c.read(2 * MB)
        c.cut()
        got, c.taken = got[:before[0]], before[1]
        c.come_back()
    while len(got) < size:
        got += c.read(1)
    assert got == output(size)
    assert c.status() == 0


def test_confirmed_what_was_never_sent(server, client):  # noqa: F811
    c = client()
    c.confirms = False
    channel = c.session(numbers(3 * MB) + "; sleep 20", window=3 * MB)
    c.read(3 * MB)
    c.taken[channel + 1] += 1
    c.ack()
    assert c.peer.closed() is not None
    server.wait_log("RESUME_ACK: field counts: confirms what cannot be")
