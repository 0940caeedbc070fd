"""What `bowline sessions` prints of what a keeper says: recorded messages of a keeper of the test's own."""
import json
import os
import socket
import struct
import subprocess
import threading
import time

import pytest
from conftest import SLOW, tool


def u32(v):
    return struct.pack(">I", v)


def text(v):
    return u32(len(v.encode())) + v.encode()


def session(**fields):
    """SESSION as the table of control.c has it; `forwards` None: of a keeper that does not count them."""
    f = {"id": "22-7", "user": "joe", "key": "ED25519 SHA256:abc", "comment": "joe@laptop", "peer": "192.0.2.7",
         "peer_port": 50000, "local": "192.0.2.1", "local_port": 22, "uid": 1000, "since": 1700000000, "idle": 3725,
         "bytes_in": 2048, "bytes_out": 5 * 1024 * 1024, "sessions": 1, "channels": 2, "tty": "/dev/pts/3",
         "command": "vi notes", "forwards": 4, "suspended": 0, "grace_left": 0, "terminals": b"", "more": b"", **fields}
    out = b"\x03" + text(f["id"]) + text(f["user"]) + text(f["key"]) + text(f["comment"]) + text(f["peer"])
    out += u32(f["peer_port"]) + text(f["local"]) + u32(f["local_port"]) + u32(f["uid"])
    out += struct.pack(">QQQQ", f["since"], f["idle"], f["bytes_in"], f["bytes_out"])
    out += u32(f["sessions"]) + u32(f["channels"]) + text(f["tty"]) + text(f["command"])
    if f["forwards"] is None:
        return out
    return out + u32(f["forwards"]) + struct.pack(">QQ", f["suspended"], f["grace_left"]) + u32(len(f["terminals"])) + f["terminals"] + f["more"]


class Keeper:
    def __init__(self, path, rows, hello=b"\x01" + u32(1) + u32(4711), why="", count=None):
        self.path, self.rows, self.hello, self.asked = path, rows, hello, []
        self.done = b"\x05" + u32(len(rows) if count is None else count) + text(why)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.bind(path)
        self.socket.listen()
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        s, _ = self.socket.accept()
        self.asked.append(s.recv(4096))
        s.send(self.hello)
        self.asked.append(s.recv(4096))
        try:
            for row in self.rows:
                s.send(row)
            s.send(self.done)
            s.recv(1)
        except OSError:
            pass  # it does not listen to the end
        s.close()


@pytest.fixture
def ask(tmp_path):
    def run(*args, rows=(), **kw):
        if os.path.exists(tmp_path / "socket"):
            os.unlink(tmp_path / "socket")
        keeper = Keeper(str(tmp_path / "socket"), rows, **kw)
        done = subprocess.run([tool("bowline"), "sessions", *args, "--socket", keeper.path], capture_output=True,
                              text=True, timeout=20 * SLOW, env={**os.environ, "TZ": "UTC"})
        keeper.socket.close()
        return keeper, done
    return run


def test_json(ask):
    keeper, done = ask("--json", rows=[session(), session(id="22-6", tty="", command="", comment="")])
    assert done.returncode == 0 and keeper.asked[0][0] == 1 and keeper.asked[1] == b"\x02" + u32(0)
    first, second = json.loads(done.stdout)
    assert first == {"id": "22-7", "user": "joe", "uid": 1000, "key": "ED25519 SHA256:abc", "comment": "joe@laptop",
                     "address": "192.0.2.7", "port": 50000, "server_address": "192.0.2.1", "server_port": 22,
                     "since": 1700000000, "idle": 3725, "bytes_in": 2048, "bytes_out": 5242880, "sessions": 1,
                     "channels": 2, "forwards": 4, "tty": "/dev/pts/3", "command": "vi notes", "state": "connected", "terminals": []}
    assert second["id"] == "22-6" and second["tty"] == ""


def test_nobody_is_on(ask):
    _, done = ask("--json")
    assert json.loads(done.stdout) == []
    assert done.returncode == 0


def test_plain(ask):
    _, done = ask(rows=[session(), session(id="22-6", user="ann", tty="", idle=59, bytes_in=0, comment="")])
    head, first, second = done.stdout.splitlines()
    assert head.split() == ["ID", "USER", "FROM", "SINCE", "IDLE", "TTY", "CHAN", "FWD", "IN", "OUT", "KEY", "COMMAND"]
    since = time.strftime("%m-%d %H:%M", time.gmtime(1700000000))
    assert first.split() == ["22-7", "joe", "192.0.2.7", *since.split(), "1h", "pts/3", "2", "4", "2.0K", "5.0M",
                             "ED25519", "SHA256:abc", "joe@laptop", "vi", "notes"]
    assert second.split()[:11] == ["22-6", "ann", "192.0.2.7", *since.split(), "59s", "-", "2", "4", "0B", "5.0M"]


def test_names_of_strangers_are_cleaned(ask):
    _, done = ask(rows=[session(command="a\x1b[31m\nb", comment="\x07bell")])
    assert "\x1b" not in done.stdout and "\x07" not in done.stdout and len(done.stdout.splitlines()) == 2
    _, done = ask("--json", rows=[session(command='a"\x1b\nb')])
    assert json.loads(done.stdout)[0]["command"] == 'a"\x1b\nb' and "\x1b" not in done.stdout


def test_keepers_of_other_versions(ask):
    """An older one does not count forwards, a later one may tell more."""
    _, done = ask("--json", rows=[session(forwards=None), session(more=b"something new")])
    older, later = json.loads(done.stdout)
    assert older["forwards"] == 0 and later["forwards"] == 4


def test_without_a_link(ask):
    _, done = ask("--json", rows=[session(suspended=1700000100, grace_left=3600)])
    one, = json.loads(done.stdout)
    assert (one["state"], one["suspended_since"], one["grace_left"]) == ("suspended", 1700000100, 3600)
    _, done = ask(rows=[session(suspended=1700000100, grace_left=3600)])
    assert "[suspended for " in done.stdout and "kept for 1h" in done.stdout.replace("60m", "1h")


def test_terminals(ask):
    """Sessions that can be taken up: attached, left, ended."""
    some = text("build") + u32(1) + u32(0) + u32(0) + text("mail") + u32(0) + u32(0) + u32(2) + text("x\x1b") + u32(2) + u32(7) + u32(0)
    _, done = ask("--json", rows=[session(terminals=some)])
    assert json.loads(done.stdout)[0]["terminals"] == [
        {"name": "build", "state": "left", "watchers": 0}, {"name": "mail", "state": "attached", "watchers": 2},
        {"name": "x\x1b", "state": "ended", "status": 7, "watchers": 0}]
    _, done = ask(rows=[session(terminals=some)])
    assert "[build: left]" in done.stdout and "[mail: attached, watched by 2]" in done.stdout
    assert "ended with status 7]" in done.stdout and "\x1b" not in done.stdout
    for cut in range(1, 40):  # what is cut short shows what is whole
        _, done = ask("--json", rows=[session(terminals=some[:cut])])
        assert done.returncode == 0 and len(json.loads(done.stdout)[0]["terminals"]) <= 1


def test_what_is_no_answer(ask):
    for rows in ([session()[:40]], [b"\x09"], [b""]):
        _, done = ask("--json", rows=rows)
        assert done.returncode == 1 and "no answer" in done.stderr
    _, done = ask("end", "22-7", why="no such session of yours", count=0)
    assert done.returncode == 1 and "no such session of yours" in done.stderr


def test_end(ask):
    keeper, done = ask("end", "joe", "--message", "at noon", count=2)
    assert done.returncode == 0 and done.stdout == "2 sessions ended\n"
    assert keeper.asked[1] == b"\x04" + text("joe") + text("at noon")
