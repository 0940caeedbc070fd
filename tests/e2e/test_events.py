"""EventLog: typed events as JSON lines, for everything that a connection does."""
import json
import os
import re
import signal
import socket
import subprocess
import time

import pytest
from conftest import IS_ROOT, SLOW, TOP, USER, free_port, needs_root, tool, wait_until

SSH = "ssh"


class Events:
    def __init__(self, path):
        self.path = path

    def all(self):
        if not os.path.exists(self.path):
            return []
        with open(self.path) as f:
            return [json.loads(line) for line in f.read().splitlines() if line]

    def of(self, name):
        return [e for e in self.all() if e["event"] == name]

    def wait(self, name, n=1, **fields):
        def found():
            got = [e for e in self.of(name) if all(e.get(k) == v for k, v in fields.items())]
            return got if len(got) >= n else None
        got = wait_until(found)
        assert got, f"no {name} {fields} in:\n" + "\n".join(map(str, self.all()))
        return got[-1]


@pytest.fixture
def started(lab, tmp_path):
    def start(lines="", **kw):
        events = Events(str(tmp_path / "events"))
        return lab.sshd(f"EventLog {events.path}\n" + lines, **kw), events
    return start


def schema():
    """Fields of each event, by doc/events.md."""
    with open(os.path.join(TOP, "doc", "events.md")) as f:
        rows = re.findall(r"^\| `([a-z_.]+)`(?: \*)? \| ([a-z_, ]+) \| ", f.read(), re.M)
    return {name: fields.split(", ") for name, fields in rows if "." in name}


def check_schema(events):
    known = schema()
    for e in events.all():
        assert list(e)[:3] == ["v", "time", "event"] and e["v"] == 1
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", e["time"])
        order = [f for f in known[e["event"]] if f in e]
        assert [k for k in list(e)[3:] if k != "cut"] == order, e


def fingerprint(lab, kind="ed25519"):
    out = subprocess.run(["ssh-keygen", "-lf", lab.keys.path("user", kind)], capture_output=True, text=True, check=True)
    return out.stdout.split()[1]


def test_a_login_from_start_to_end(lab, started):
    server, events = started()
    assert lab.ssh(server, "echo hello; exit 3", program=SSH).returncode == 3
    over = events.wait("login.ended")
    server.process.send_signal(signal.SIGTERM)
    server.process.wait()
    assert events.wait("server.stopped")["signal"] == "TERM"
    assert os.stat(events.path).st_mode & 0o7777 == 0o600
    check_schema(events)
    names = [e["event"] for e in events.all()]
    expected = ["server.started", "server.listening", "connection.accepted", "login.succeeded", "session.opened",
                "session.closed"]
    assert [n for n in names if n in expected] == expected
    login = events.wait("login.succeeded")
    assert (login["user"], login["method"], login["key_type"], login["key"], login["comment"], login["uid"]) == \
        (USER, "publickey", "ED25519", fingerprint(lab), "user-ed25519", os.getuid())
    assert login["local_port"] == server.port and login["peer"] == "127.0.0.1"
    assert "cert_id" not in login
    opened, closed = events.wait("session.opened"), events.wait("session.closed")
    assert (opened["kind"], opened["command"]) == ("command", "echo hello; exit 3") and "tty" not in opened
    assert (closed["status"], closed["bytes_out"], closed["channel"]) == (3, 6, opened["channel"])
    assert over["reason"] == "disconnected" and over["bytes_out"] >= 6 and over["seconds"] >= 0
    assert {e["connection"] for e in events.all() if "connection" in e} == {login["connection"]}


def test_failures(lab, started):
    server, events = started("DenyUsers nobody\n", authorized="/nonexistent")
    lab.ssh(server, "true", program=SSH)
    failed = events.wait("login.failed", user=USER)
    assert (failed["reason"], failed["method"], failed["key"]) == ("credentials", "publickey", fingerprint(lab))
    lab.ssh(server, "-l", 'no-such user é', "true", program=SSH)
    assert events.wait("login.failed", user='no-such user é')["reason"] == "invalid-user"
    lab.ssh(server, "-l", "nobody", "true", program=SSH)
    failed = events.wait("login.failed", user="nobody")
    assert failed["reason"] == "not-allowed"
    if IS_ROOT:
        assert "DenyUsers" in failed["text"]
    wait_until(lambda: len(events.of("connection.closed")) >= 3)
    assert len(events.of("connection.closed")) == 3
    assert not events.of("login.ended")
    check_schema(events)


def raw(server, data, source="127.0.0.1", wait=True):
    with socket.create_connection(("127.0.0.1", server.port), 10, (source, 0)) as s:
        s.settimeout(10 * SLOW)
        s.sendall(data)
        if not wait:
            return b""
        got = b""
        try:
            while piece := s.recv(4096):
                got += piece
        except ConnectionResetError:
            pass
        return got


def test_links_that_never_log_in(lab, started):
    server, events = started("LoginGraceTime 2\nPerSourcePenalties noauth:30s min:29s\n"
                             "PerSourcePenaltyExemptList 127.0.0.1\nMaxStartups 3\n")
    raw(server, b"", wait=False)
    events.wait("connection.closed", reason="no-ident")
    raw(server, b"GET / HTTP/1.0\r\n\r\n")
    assert "GET" in events.wait("connection.closed", reason="bad-ident")["text"]
    held = [socket.create_connection(("127.0.0.1", server.port), 10) for _ in range(3)]
    for s in held:
        assert s.recv(64)
    assert b"Not allowed" in raw(server, b"")
    assert events.wait("connection.refused", reason="max-startups")["peer"] == "127.0.0.1"
    events.wait("connection.closed", 3, reason="grace-time")
    for s in held:
        s.close()
    raw(server, b"", "127.0.0.40", wait=False)
    raw(server, b"", "127.0.0.40", wait=False)
    assert events.wait("penalty.started")["reason"] == "noauth"
    assert wait_until(lambda: b"Not allowed" in raw(server, b"", "127.0.0.40"))
    refused = events.wait("connection.refused", reason="penalty")
    assert refused["text"] == "connections without attempting authentication"
    check_schema(events)


def test_forwards(lab, started):
    server, events = started("PermitOpen 127.0.0.1:*\nPermitListen localhost:*\n")
    port = free_port()
    with socket.create_server(("127.0.0.1", 0)) as target:
        goal = target.getsockname()[1]
        target.settimeout(20 * SLOW)
        run = subprocess.Popen([SSH, *lab.common(server.port), "-W", f"127.0.0.1:{goal}", "127.0.0.1"],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        peer, _ = target.accept()
        run.stdin.write(b"12345")
        run.stdin.close()
        assert peer.recv(100) == b"12345"
        peer.sendall(b"abc")
        peer.close()
        assert run.stdout.read() == b"abc"
        run.wait(10 * SLOW)
    opened = events.wait("forward.opened", kind="direct-tcpip")
    assert (opened["host"], opened["port"]) == ("127.0.0.1", goal)
    closed = events.wait("forward.closed")
    assert (closed["bytes_in"], closed["bytes_out"]) == (5, 3)
    assert lab.ssh(server, "-W", f"192.0.2.1:{port}", "x", program=SSH).returncode != 0
    assert events.wait("forward.refused")["reason"] == "not-permitted"
    assert lab.ssh(server, "-W", f"127.0.0.1:{port}", "x", program=SSH).returncode != 0
    assert events.wait("forward.refused", reason="unreachable")["port"] == port
    lab.ssh(server, "-R", f"{port}:127.0.0.1:1", "true", program=SSH)
    assert events.wait("listen.opened")["port"] == port
    assert events.wait("listen.closed")["kind"] == "forwarded-tcpip"
    lab.ssh(server, "-R", f"0.0.0.0:{port}:127.0.0.1:1", "true", program=SSH)
    assert events.wait("listen.refused")["reason"] == "not-permitted"
    check_schema(events)


def test_refused_sessions_and_an_administrator(lab, started):
    server, events = started("MaxSessions 1\nSubsystem tick /bin/cat\n")
    assert lab.ssh(server, "-s", "nothing-here", program=SSH).returncode != 0
    assert events.wait("session.refused")["reason"] == "not-found"
    run = subprocess.Popen(lab.ssh_args(server, "-s", "tick", program=SSH), stdin=subprocess.PIPE,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    opened = events.wait("session.opened", kind="subsystem")
    assert opened["command"] == "tick"
    # An ordinary user's server is found by its configuration where there is no folder for sockets.
    where = [] if IS_ROOT or os.environ.get("XDG_RUNTIME_DIR") else ["-f", f"{lab.folder}/sshd_config.{server.port}"]
    subprocess.run([tool("bowline"), "sessions", "end", opened["connection"], "--message", "go \"home\"", *where],
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    ended = events.wait("admin.ended")
    assert (ended["by_uid"], ended["text"]) == (os.getuid(), 'go "home"')
    assert events.wait("login.ended", connection=opened["connection"])["reason"] == "administrator"
    run.wait(10 * SLOW)
    check_schema(events)


def test_rotation_and_bad_reload(lab, started):
    server, events = started()
    events.wait("server.listening")
    os.rename(events.path, events.path + ".1")
    server.process.send_signal(signal.SIGHUP)
    assert events.wait("server.reloaded")["config"]
    assert not events.of("server.started")
    config = os.path.join(lab.folder, f"sshd_config.{server.port}")
    with open(config, "a") as f:
        f.write("NoSuchKeyword yes\n")
    os.rename(events.path, events.path + ".2")
    server.process.send_signal(signal.SIGHUP)
    events.wait("server.reload_failed")
    assert lab.ssh(server, "true", program=SSH).returncode == 0
    events.wait("login.succeeded")


def test_a_place_that_is_gone_at_a_reload(lab, tmp_path):
    """No reason to end a server that has sessions."""
    folder = tmp_path / "gone"
    folder.mkdir()
    server = lab.sshd(f"EventLog {folder}/events\n")
    run = subprocess.Popen(lab.ssh_args(server, "echo on; cat", program=SSH), stdin=subprocess.PIPE,
                           stdout=subprocess.PIPE)
    assert run.stdout.readline() == b"on\n"
    (folder / "events").unlink()
    folder.rmdir()
    server.process.send_signal(signal.SIGHUP)
    server.wait_log("No such file or directory; events are not written")
    assert lab.ssh(server, "true", program=SSH).returncode == 0
    assert run.communicate(b"still\n", timeout=20 * SLOW)[0] == b"still\n"


def test_a_disk_that_is_full(lab):
    server = lab.sshd("EventLog /dev/full\n")
    for _ in range(2):
        assert lab.ssh(server, "true", program=SSH).returncode == 0
    server.wait_log("EventLog /dev/full: No space left on device; events are lost")
    assert server.log().count("EventLog") == 1


def test_bad_places(lab, tmp_path):
    for value, words in (("events", "neither an absolute path"), (str(tmp_path / "no" / "x"), "No such file")):
        config = lab.config(free_port(), f"EventLog {value}\n")
        done = subprocess.run([tool("sshd"), "-D", "-e", "-f", config], capture_output=True, text=True, timeout=20)
        assert done.returncode != 0 and words in done.stderr, done.stderr
    config = lab.config(free_port(), "EventLog /var/log/x\n")
    dump = subprocess.run([tool("sshd"), "-T", "-f", config], capture_output=True, text=True, check=True).stdout
    assert "eventlog /var/log/x\n" in dump


def test_a_flood_of_one_connection(lab, started):
    """Many forwarded connections of one login do not fill the disk, and the loss is told."""
    server, events = started("PermitOpen 127.0.0.1:1\n")
    port = free_port()
    run = subprocess.Popen([SSH, *lab.common(server.port), "-N", "-D", str(port), "127.0.0.1"],
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    events.wait("login.succeeded")

    def ask():
        try:
            with socket.create_connection(("127.0.0.1", port), 5) as s:
                s.sendall(b"\x05\x01\x00\x05\x01\x00\x01\xc0\x00\x02\x01\x00\x09")
                s.settimeout(5)
                while s.recv(64):
                    pass
        except OSError:
            return False
        return True
    assert wait_until(ask)
    for _ in range(260):
        ask()
    time.sleep(0.1)
    run.terminate()
    run.wait(10 * SLOW)
    events.wait("login.ended")
    assert 150 < len(events.of("forward.refused")) < 255
    assert lab.ssh(server, "true", program=SSH).returncode == 0


@needs_root
def test_a_certificate(lab, account, started, tmp_path):
    ca, user = str(tmp_path / "ca"), str(tmp_path / "user")
    for path in (ca, user):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    subprocess.run(["ssh-keygen", "-q", "-s", ca, "-I", "ann (serial 9) x", "-z", "77", "-n", account.name,
                    user + ".pub"], check=True)
    server, events = started(f"TrustedUserCAKeys {ca}.pub\n")
    done = subprocess.run([SSH, "-F", "none", "-p", str(server.port), "-i", user, "-o", "IdentitiesOnly=yes",
                           "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-l", account.name,
                           "127.0.0.1", "true"], capture_output=True, timeout=30 * SLOW)
    assert done.returncode == 0, done.stderr
    login = events.wait("login.succeeded")
    assert (login["key_type"], login["cert_id"], login["cert_serial"]) == ("ED25519-CERT", "ann (serial 9) x", "77")
    assert login["ca"].startswith("ED25519 SHA256:") and login["key"].startswith("SHA256:")
    server.wait_log(f"ID ann (serial 9) x (serial 77) CA {login['ca']}")
    check_schema(events)
