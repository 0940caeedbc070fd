"""Who is on: `bowline sessions` and ending sessions, asked of the keeper's control socket."""
import json
import os
import socket
import struct
import subprocess

import pytest
from conftest import SLOW, USER, free_port, needs_root, tool, wait_until

SSH = "ssh"
pytestmark = needs_root  # an ordinary user's socket is elsewhere


def bowline(*args, check=True, user=None):
    words = [tool("bowline"), *args]
    extra = {"user": user, "group": user, "extra_groups": []} if user is not None else {}
    done = subprocess.run(words, capture_output=True, text=True, timeout=20 * SLOW, **extra)
    if check:
        assert done.returncode == 0, done.stderr
    return done


def listed(server, **kw):
    return json.loads(bowline("sessions", "--json", "--port", str(server.port), **kw).stdout)


def start(lab, server, command, *options, user=USER):
    words = [SSH, *lab.common(server.port), "-l", user, *options, "127.0.0.1", command]
    return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def ready(server):
    """The port is open before the control socket is; with the listener, all is there."""
    server.wait_log("listener is ready")
    return server


@pytest.fixture
def server(lab):
    return ready(lab.sshd())


def test_lists_facts(lab, server):
    client = start(lab, server, "cat")
    client.stdin.write(b"x" * 50000)
    client.stdin.flush()
    assert client.stdout.read(50000)
    rows = wait_until(lambda: [r for r in listed(server) if r["bytes_in"] >= 50000])
    [row] = rows
    assert row["user"] == USER and row["uid"] == os.getuid()
    assert row["address"] == "127.0.0.1" and row["server_port"] == server.port
    assert row["key"].startswith("ED25519 SHA256:") and row["comment"] == "user-ed25519"
    assert row["command"] == "cat" and row["tty"] == ""
    assert row["channels"] == 1 and row["bytes_out"] >= 50000
    assert row["id"].startswith(f"{server.port}-")
    text = bowline("sessions", "--port", str(server.port)).stdout
    assert row["id"] in text and "user-ed25519" in text
    client.stdin.close()
    assert client.wait(10) == 0
    assert wait_until(lambda: listed(server) == [])


def test_forwards_are_counted(lab, server):
    port = free_port()
    client = start(lab, server, "sleep 20", "-R", f"127.0.0.1:{port}:127.0.0.1:{server.port}")
    assert wait_until(lambda: [r for r in listed(server) if r["forwards"] == 1])
    with socket.create_connection(("127.0.0.1", port), 5) as s:
        assert s.recv(4)
        assert wait_until(lambda: [r for r in listed(server) if r["forwards"] == 2])
    client.kill()
    client.wait()


def test_tty_is_shown(lab, server):
    client = start(lab, server, "sleep 20", "-tt")
    assert wait_until(lambda: [r for r in listed(server) if r["tty"].startswith("/dev/pts/")])
    client.kill()
    client.wait()


def test_dead_sockets_hide_nobody(lab, server, scratch):
    """What killed servers have left is passed by, however many they were, and left alone."""
    names = [f"{scratch}/sshd.{10000 + i}.sock" for i in range(100)]
    for name in names:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
            s.bind(name)
    os.symlink(path_of(server), f"{scratch}/sshd.60000.sock")
    config = f"{scratch}/sshd_config"
    open(config, "w").close()
    client = start(lab, server, "sleep 30")
    assert wait_until(lambda: listed(server))
    [row] = json.loads(bowline("sessions", "--json", "-f", config).stdout)
    assert row["server_port"] == server.port
    assert all(map(os.path.exists, names))
    client.kill()
    client.wait()


@pytest.mark.parametrize("by", ["id", "user", "fingerprint", "comment"])
def test_end(lab, server, by):
    client = start(lab, server, "sleep 25")
    [row] = wait_until(lambda: listed(server))
    what = {"id": row["id"], "user": row["user"], "fingerprint": row["key"].split(" ")[1],
            "comment": row["comment"]}[by]
    done = bowline("sessions", "end", what, "--message", "power cut at noon", "--port", str(server.port))
    assert "1 session ended" in done.stdout
    _, error = client.communicate(timeout=10 * SLOW)
    assert b"power cut at noon" in error and client.returncode == 255
    server.wait_log(f"Session {row['id']} of user {USER} from 127.0.0.1")
    server.wait_log("ended by uid 0")


def test_end_of_nobody(server):
    done = bowline("sessions", "end", "nobody-here", "--port", str(server.port), check=False)
    assert done.returncode == 1 and "no such session" in done.stderr


def test_two_servers_are_told_apart(lab):
    one, two = ready(lab.sshd()), ready(lab.sshd())
    client = start(lab, one, "sleep 30")
    assert wait_until(lambda: len(listed(one)) == 1)
    assert listed(two) == []
    client.kill()
    client.wait()


def test_a_user_sees_and_ends_only_their_own(lab, keys, account):
    server = ready(lab.sshd(authorized=f"{keys.authorized_keys} .ssh/authorized_keys"))
    mine, theirs = start(lab, server, "sleep 25", user=account.name), start(lab, server, "sleep 25")
    everybody = wait_until(lambda: len(listed(server)) == 2 and listed(server))
    [other] = [r for r in everybody if r["user"] == USER]
    # The program's folder may be closed to that user: what a tool says is said here by hand.
    own = raw_list(server, account)
    assert len(own) == 1 and account.name.encode() in own[0]
    assert raw_end(server, account, other["id"]) == 0
    assert raw_end(server, account, account.name) == 1
    mine.communicate(timeout=10 * SLOW)
    assert mine.returncode == 255 and theirs.poll() is None
    theirs.kill()
    theirs.wait()


# ---- by hand ----

def path_of(server):
    return f"/run/bowline/sshd.{server.port}@127.0.0.1.sock"


def string(b):
    return struct.pack(">I", len(b)) + b


HELLO = b"\x01" + struct.pack(">II", 1, 0)
LIST = b"\x02" + struct.pack(">I", 0)


def as_user(account, work):
    """Runs work(result_fd) as the user in a child; returns what it wrote."""
    r, w = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([])
            os.setgid(account.gid)
            os.setuid(account.uid)
            os.write(w, work())
            os._exit(0)
        except BaseException as e:  # noqa: B902 - the child must end here
            os.write(2, repr(e).encode())
            os._exit(1)
    os.close(w)
    data = b""
    while chunk := os.read(r, 65536):
        data += chunk
    os.close(r)
    _, status = os.waitpid(pid, 0)
    assert status == 0
    return data


def connect(server):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.settimeout(10 * SLOW)
    s.connect(path_of(server))
    return s


def raw_list(server, account):
    def work():
        s = connect(server)
        s.send(HELLO)
        assert s.recv(4096)[0] == 1
        s.send(LIST)
        out = b""
        while (m := s.recv(8192))[0] == 3:
            out += string(m)
        return out
    data, messages = as_user(account, work), []
    while data:
        n = struct.unpack(">I", data[:4])[0]
        messages.append(data[4:4 + n])
        data = data[4 + n:]
    return messages


def raw_end(server, account, what):
    def work():
        s = connect(server)
        s.send(HELLO)
        s.recv(4096)
        s.send(b"\x04" + string(what.encode()) + string(b""))
        return s.recv(8192)
    m = as_user(account, work)
    assert m[0] == 5
    return struct.unpack(">I", m[1:5])[0]


BAD = [b"", b"\0", b"\xff" * 100, LIST, HELLO + b"x", b"\x01" + struct.pack(">II", 9, 0), b"\x03" + b"\0" * 60,
       b"\x05\0\0\0\0\0\0\0\0", b"\x04\xff\xff\xff\xff", os.urandom(4000)]


def test_bad_messages_end_only_their_sender(lab, server):
    for bad in BAD:
        for first in ([], [HELLO]):
            s = connect(server)
            for m in first:
                s.send(m)
                s.recv(4096)
            try:
                s.send(bad)
                s.send(bad)
                s.settimeout(0.2)
                while s.recv(4096):
                    pass
            except OSError:
                pass
            s.close()
    assert server.process.poll() is None
    assert listed(server) == []
    assert lab.ssh(server, "-l", USER, "true", program=SSH).returncode == 0


def test_crowds_of_tools_do_not_stop_logins(lab, server, account):
    held = []
    for _ in range(60):
        try:
            held.append(connect(server))
        except OSError:
            break
    assert lab.ssh(server, "-l", USER, "true", program=SSH).returncode == 0
    for s in held:
        s.close()
    assert wait_until(lambda: bowline("sessions", "--port", str(server.port), check=False).returncode == 0)


def test_socket_goes_with_the_server(lab):
    server = ready(lab.sshd())
    assert os.path.exists(path_of(server))
    server.process.terminate()
    server.process.wait(10)
    assert not os.path.exists(path_of(server))
