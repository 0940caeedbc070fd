"""early-session@bowline: the session's requests travel with the login's, and count only with its success."""
import os
import subprocess

import pytest
import rawssh
from conftest import SLOW, USER, tool
from rawssh import (CHANNEL_DATA, CHANNEL_OPEN, CHANNEL_REQUEST, EXT_INFO, GLOBAL_REQUEST, SERVICE_ACCEPT,
                    USERAUTH_FAILURE, USERAUTH_SUCCESS, Fields, boolean, string, u32)


@pytest.fixture(scope="module")
def server(module_lab):
    return module_lab.sshd()


def opening(command):
    return [bytes([CHANNEL_OPEN]) + string("session") + u32(0) + u32(1 << 21) + u32(1 << 15),
            bytes([CHANNEL_REQUEST]) + u32(0) + string("exec") + boolean(True) + string(command)]


def service():
    return bytes([5]) + string("ssh-userauth")


def output(peer):
    skip = tuple(n for n in range(80, 101) if n != CHANNEL_DATA) + (EXT_INFO,)
    f = Fields(peer.expect(CHANNEL_DATA, skip=skip)[1:])
    assert f.u32() == 0
    return f.string()


def test_announced(server):
    peer = rawssh.keyed(server.port)
    f = Fields(peer.expect(EXT_INFO, skip=())[1:])
    names = {}
    for _ in range(f.u32()):
        name = f.string()
        names[name] = f.string()
    assert names[b"early-session@bowline"] == b"0"
    peer.close()


def test_one_flight(server, keys):
    peer = rawssh.keyed(server.port)
    key = rawssh.load_key(keys.path("user"))
    peer.send(service(), peer.publickey_request(USER, key), *opening("echo early"))
    peer.expect(SERVICE_ACCEPT)
    peer.expect(USERAUTH_SUCCESS)
    assert output(peer) == b"early\n"
    peer.close()


def test_nothing_of_a_failed_login_happens(server, keys, tmp_path):
    marker = tmp_path / "marker"
    tmp_path.chmod(0o777)
    peer = rawssh.keyed(server.port)
    wrong = rawssh.load_key(keys.path("host"))
    right = rawssh.load_key(keys.path("user"))
    peer.send(service(), peer.publickey_request(USER, wrong), *opening(f"touch {marker}"))
    peer.expect(SERVICE_ACCEPT)
    peer.expect(USERAUTH_FAILURE)
    peer.send(peer.publickey_request(USER, right), *opening("echo later"))
    peer.expect(USERAUTH_SUCCESS)
    assert output(peer) == b"later\n"
    assert not os.path.exists(marker)
    peer.close()


@pytest.mark.parametrize("when", ["before a request", "too much after a failure"])
def test_bounds(server, keys, when):
    peer = rawssh.keyed(server.port)
    if when == "before a request":
        peer.send(service(), *opening("true"))
    else:
        wrong = rawssh.load_key(keys.path("host"))
        peer.send(service(), peer.publickey_request(USER, wrong))
        peer.expect(SERVICE_ACCEPT)
        peer.expect(USERAUTH_FAILURE)
        for _ in range(5):
            peer.send(bytes([GLOBAL_REQUEST]) + string(b"x" * 8000) + boolean(False))
    assert peer.closed() is not None
    server.wait_log("not allowed during authentication")


# ---- our client ----

def steps(text):
    return [line.split()[1] for line in text.splitlines() if line.startswith("bowline: ")]


def test_client_steps_stay_in_order(module_lab, server):
    done = module_lab.ssh(server, "-v", "-l", USER, "echo out; exit 3")
    assert (done.returncode, done.stdout) == (3, b"out\n")
    assert steps(done.stderr.decode()) == ["link", "secured", "host", "you", "session"]


@pytest.mark.parametrize("options", [["-C"], ["-tt"], ["-n"], ["-o", "SetEnv=A=1"]])
def test_client_with(module_lab, server, options):
    done = module_lab.ssh(server, *options, "-l", USER, "echo out")
    assert done.returncode == 0 and done.stdout.strip() == b"out"


def test_client_after_a_refused_key(module_lab, server, keys, tmp_path):
    wrong = tmp_path / "wrong"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(wrong)], check=True)
    args = [tool("ssh"), "-F", "none", "-v", "-p", str(server.port), "-l", USER, "-i", str(wrong), "-i", keys.path("user"),
            "-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=no", "-o", f"UserKnownHostsFile={tmp_path}/k", "127.0.0.1",
            f"echo x >> {tmp_path}/ran; echo out"]
    done = subprocess.run(args, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30 * SLOW)
    assert (done.returncode, done.stdout) == (0, "out\n"), done.stderr
    assert (tmp_path / "ran").read_text() == "x\n"
    assert steps(done.stderr) == ["link", "secured", "host", "you", "session"]


def test_client_with_two_factors(module_lab, keys, tmp_path):
    server = module_lab.sshd("AuthenticationMethods publickey,publickey\n")
    done = module_lab.ssh(server, "-i", keys.path("user", "ecdsa"), "-l", USER, "echo out")
    assert (done.returncode, done.stdout) == (0, b"out\n"), done.stderr


def test_client_that_nobody_lets_in(module_lab, tmp_path):
    server = module_lab.sshd(authorized="/nonexistent")
    done = module_lab.ssh(server, "-l", USER, f"touch {tmp_path}/ran")
    assert done.returncode == 255 and b"Permission denied" in done.stderr
    assert not (tmp_path / "ran").exists()


# ---- a stock server: its channels' numbers are known as well ----

def test_stock_server_that_gives_no_session(module_lab):
    server = module_lab.openssh("MaxSessions 0\n")
    done = module_lab.ssh(server, "-l", USER, "true")
    assert done.returncode == 255 and b"open failed" in done.stderr, done.stderr


def test_stock_server_with_a_remote_listener(module_lab):
    server = module_lab.openssh()
    done = module_lab.ssh(server, "-l", USER, "-R", "0:127.0.0.1:1", "echo out")
    assert (done.returncode, done.stdout) == (0, b"out\n"), done.stderr
