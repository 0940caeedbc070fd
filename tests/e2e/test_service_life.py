"""Life as a service: readiness, sockets that are given, reload, the first process of a container."""
import os
import signal
import socket
import subprocess
import time

import pytest
from conftest import SLOW, USER, free_port, needs_root, require, tool, wait_until

SSH = "ssh"


class Notify:
    def __init__(self, folder):
        self.path = os.path.join(folder, "notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.settimeout(10 * SLOW)

    def next(self):
        return dict(line.split("=", 1) for line in self.socket.recv(4096).decode().splitlines())


@pytest.fixture
def notify(tmp_path):
    n = Notify(str(tmp_path))
    yield n
    n.socket.close()


def test_notify(lab, notify):
    port = free_port()
    process = subprocess.Popen([tool("sshd"), "-D", "-e", "-f", lab.config(port)], stderr=subprocess.DEVNULL,
                               env={**os.environ, "NOTIFY_SOCKET": notify.path})
    try:
        ready = notify.next()
        assert ready["READY"] == "1" and int(ready["MAINPID"]) == process.pid
        # Ready means that one can log in.
        socket.create_connection(("127.0.0.1", port), 5).close()
        process.send_signal(signal.SIGHUP)
        reloading = notify.next()
        assert reloading["RELOADING"] == "1" and int(reloading["MONOTONIC_USEC"]) > 0
        assert notify.next()["READY"] == "1"
        process.terminate()
        assert notify.next()["STOPPING"] == "1"
        assert process.wait(10) == 0
    finally:
        process.kill()
        process.wait()

def test_sockets_that_are_given(lab):
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen()
    port = listening.getsockname()[1]

    def place():
        os.dup2(listening.fileno(), 3)
        os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
        os.execv(tool("sshd"), [tool("sshd"), "-D", "-e", "-f", lab.config(free_port())])

    pid = os.fork()
    if pid == 0:
        place()
    try:
        class Given:
            pass
        server = Given()
        server.port = port
        for _ in range(2):
            assert lab.ssh(server, "-l", USER, "true", program=SSH).returncode == 0
            os.kill(pid, signal.SIGHUP)  # which keeps them
            time.sleep(0.5)
    finally:
        os.kill(pid, signal.SIGTERM)
        os.waitpid(pid, 0)
        listening.close()


def test_systemd_s_own_activation(lab):
    """systemd-socket-activate listens, and starts the server with the first connect."""
    activate, port = require("systemd-socket-activate"), free_port()
    words = [activate, f"--listen=127.0.0.1:{port}", "--setenv=HOME", tool("sshd"), "-D", "-e", "-f", lab.config(free_port())]
    server = lab._start("sshd", words, port)
    for _ in range(2):
        assert lab.ssh(server, "-l", USER, "true", program=SSH).returncode == 0
    assert "Accepted publickey" in server.log()
    server.stop()


@pytest.mark.parametrize("family,v4,v6", [("any", True, True), ("inet", True, False), ("inet6", False, True)])
def test_address_family(lab, family, v4, v6):
    """Without ListenAddress: all addresses of that family, and none of the other's."""
    port = free_port()
    path = lab.config(port, f"AddressFamily {family}\nPerSourcePenalties no\n")
    with open(path, "r+") as f:
        lines = [line for line in f if not line.startswith("ListenAddress")]
        f.seek(0)
        f.truncate()
        f.writelines(lines)
    server = lab._start("sshd", [tool("sshd"), "-D", "-e", "-f", path], port, wait=False)
    server.wait_log("listener is ready")
    for host, expected in (("127.0.0.1", v4), ("::1", v6)):
        try:
            with socket.create_connection((host, port), 5) as s:
                assert expected and s.recv(64).startswith(b"SSH-2.0-")
        except ConnectionRefusedError:
            assert not expected, host
    server.stop()


def test_sessions_outlive_a_reload(lab):
    server = lab.sshd()
    words = [SSH, *lab.common(server.port), "-l", USER, "127.0.0.1", "cat"]
    client = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    client.stdin.write(b"one\n")
    client.stdin.flush()
    assert client.stdout.readline() == b"one\n"
    server.process.send_signal(signal.SIGHUP)
    server.wait_log("Received SIGHUP")
    client.stdin.write(b"two\n")
    client.stdin.flush()
    assert client.stdout.readline() == b"two\n"
    assert wait_until(lambda: lab.ssh(server, "-l", USER, "true", program=SSH).returncode == 0)
    client.stdin.close()
    assert client.wait(10) == 0


def test_sessions_outlive_the_keeper(lab):
    server = lab.sshd()
    words = [SSH, *lab.common(server.port), "-l", USER, "127.0.0.1", "cat"]
    client = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    client.stdin.write(b"one\n")
    client.stdin.flush()
    assert client.stdout.readline() == b"one\n"
    server.process.kill()
    server.process.wait()
    client.stdin.write(b"two\n")
    client.stdin.flush()
    assert client.stdout.readline() == b"two\n"
    client.stdin.close()
    assert client.wait(10) == 0


def test_several_ports_and_families(lab):
    first, second = free_port(), free_port()
    server = lab.sshd(f"Port {second}\nListenAddress ::1\n", port=first)
    for host, port in (("127.0.0.1", first), ("127.0.0.1", second), ("::1", first), ("::1", second)):
        with socket.create_connection((host, port), 5) as s:
            assert s.recv(64).startswith(b"SSH-2.0-")
    server.stop()


@needs_root
def test_first_process_reaps(lab):
    unshare = require("unshare")
    port = free_port()
    words = [unshare, "--pid", "--fork", "--mount-proc", "--kill-child", tool("sshd"), "-D", "-e", "-f",
             lab.config(port)]
    server = lab._start("sshd", words, port)
    # The orphan's parent becomes process 1, which must not leave it a zombie.
    done = lab.ssh(server, "-l", USER, "(sleep 0.3 &) ; sleep 1.5; grep -l '^State:.Z' /proc/[0-9]*/status; true",
                   program=SSH)
    assert done.returncode == 0 and done.stdout == b""
