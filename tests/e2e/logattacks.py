"""Attacks that log parsers know, each from an address of its own, and servers whose syslog is read."""
import os
import shutil
import socket
import subprocess
import tempfile
import threading

import paramiko
from conftest import SLOW, wait_until

# The server sees a /dev of its own, in which /dev/log is our socket.
INSIDE = """set -e
mount --make-rprivate /
mkdir -p "$D/dev"
mount -t tmpfs tmpfs "$D/dev"
for n in null zero full random urandom tty ptmx; do touch "$D/dev/$n"; mount --bind /dev/$n "$D/dev/$n"; done
for n in pts shm; do [ -d /dev/$n ] || continue; mkdir "$D/dev/$n"; mount --rbind /dev/$n "$D/dev/$n"; done
touch "$D/dev/log"
mount --bind "$D/log" "$D/dev/log"
mount --move "$D/dev" /dev
exec "$@"
"""


class Syslog:
    """Takes what servers send to /dev/log and writes it as rsyslog does into auth.log."""

    def __init__(self, path):
        self.path = path
        self.folder = tempfile.mkdtemp(prefix="bowline-log-")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(os.path.join(self.folder, "log"))
        os.chmod(os.path.join(self.folder, "log"), 0o666)
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while True:
            data = self.socket.recv(16384)
            if data == b"stop":
                return
            text = data.split(b">", 1)[1].rstrip(b"\n\0").decode("utf-8", "replace")
            with open(self.path, "a") as f:
                f.write(f"{text[:15]} testhost {text[16:]}\n")

    def text(self):
        if not os.path.exists(self.path):
            return ""
        with open(self.path) as f:
            return f.read()

    def stop(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.sendto(b"stop", os.path.join(self.folder, "log"))
        self.thread.join()
        self.socket.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def wrap(self, args):
        return ["env", f"D={self.folder}", "unshare", "-m", "sh", "-c", INSIDE, "sh", *args]


def connect(server, source):
    return socket.create_connection(("127.0.0.1", server.port), 20 * SLOW, (source, 0))


def drain(s):
    s.settimeout(20 * SLOW)
    try:
        while s.recv(4096):
            pass
    except OSError:
        pass


def passwords(server, source, user, *tries):
    """paramiko types passwords on one connection until it is let in or cut off."""
    transport = paramiko.Transport(connect(server, source))
    try:
        transport.start_client(timeout=20 * SLOW)
        for password in tries:
            try:
                transport.auth_password(user, password)
                break
            except paramiko.AuthenticationException:
                pass
    except (paramiko.SSHException, EOFError, OSError):
        pass
    transport.close()


def ssh(lab, server, source, *options, user="root"):
    subprocess.run(["ssh", *lab.common(server.port), "-b", source, "-l", user, *options, "127.0.0.1", "true"],
                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60 * SLOW)


def scan(server, source):
    with connect(server, source) as s:
        s.recv(64)


def web(server, source):
    with connect(server, source) as s:
        s.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        drain(s)


def leave(server, source):
    """Greets, and is gone before the keys are there."""
    with connect(server, source) as s:
        s.sendall(b"SSH-2.0-leaving\r\n")
        s.recv(4096)


def all_of_them(lab, server, account, password, other_key):
    """Runs every attack; {name: source}. The account's password and key are good."""
    names = {}

    def source(name):
        names[name] = f"127.0.7.{len(names) + 1}"
        return names[name]

    passwords(server, source("bad-user"), "oracle", "one", "two")
    passwords(server, source("bad-password"), account.name, "one", "two")
    passwords(server, source("too-many"), account.name, *"12345678")
    passwords(server, source("too-many-bad-user"), "admin", *"12345678")
    ssh(lab, server, source("bad-key"), "-i", other_key, user=account.name)
    ssh(lab, server, source("bad-key-bad-user"), "-i", other_key, user="nagios")
    ssh(lab, server, source("denied"), user="games")
    ssh(lab, server, source("bad-kex"), "-o", "KexAlgorithms=diffie-hellman-group14-sha1")
    ssh(lab, server, source("bad-host-key"), "-o", "HostKeyAlgorithms=ssh-rsa")
    scan(server, source("port-scan"))
    web(server, source("web"))
    leave(server, source("leaves-early"))
    passwords(server, source("good-password"), account.name, password)
    ssh(lab, server, source("good-key"), user=account.name)
    return names


def settled(syslog):
    """The log when nothing more comes."""
    seen = [None]

    def still():
        before, seen[0] = seen[0], syslog.text()
        return before == seen[0]
    wait_until(still, step=0.4)
    return syslog.text()
