"""Attacks that log parsers know, each from an address of its own, and servers whose syslog is read."""
import os
import re
import shutil
import socket
import subprocess
import tempfile
import threading

import paramiko
import pytest
from accounts import PASSWORD, set_password
from conftest import SLOW, Account, free_port, require, tool, wait_until

LINES = "DenyUsers games\nMaxAuthTries 4\n"

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


def answers(server, source, user, *tries):
    """The same by keyboard-interactive."""
    transport = paramiko.Transport(connect(server, source))
    try:
        transport.start_client(timeout=20 * SLOW)
        for password in tries:
            try:
                transport.auth_interactive(user, lambda title, text, prompts: [password for _ in prompts])
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


def all_of_them(lab, server, account, password, other_key, slow):
    """Runs every attack; {name: source}. The account's password and key are good. `slow`: each
    wrong password takes seconds, so few of them are typed."""
    names = {}

    def source(name):
        names[name] = f"127.0.7.{len(names) + 1}"
        return names[name]

    if not slow:
        passwords(server, source("too-many"), account.name, *"12345678")
        passwords(server, source("too-many-bad-user"), "admin", *"12345678")
        passwords(server, source("bad-user"), "oracle", "one", "two")
    passwords(server, source("bad-password"), account.name, "one")
    answers(server, source("bad-answer"), account.name, "one")
    answers(server, source("bad-answer-bad-user"), "surely-nobody", "one")
    answers(server, source("good-answer"), account.name, password)
    passwords(server, source("good-password"), account.name, password)
    ssh(lab, server, source("good-key"), user=account.name)
    ssh(lab, server, source("bad-key"), "-i", other_key, user=account.name)
    ssh(lab, server, source("bad-key-bad-user"), "-i", other_key, user="nagios")
    ssh(lab, server, source("denied"), user="games")
    ssh(lab, server, source("bad-kex"), "-o", "KexAlgorithms=diffie-hellman-group14-sha1")
    ssh(lab, server, source("bad-host-key"), "-o", "HostKeyAlgorithms=ssh-rsa")
    scan(server, source("port-scan"))
    web(server, source("web"))
    leave(server, source("leaves-early"))
    return names


def settled(syslog):
    """The log when nothing more comes."""
    seen = [None]

    def still():
        before, seen[0] = seen[0], syslog.text()
        return before == seen[0]
    wait_until(still, step=0.4)
    return syslog.text()


class Attacked:
    def __init__(self, path, names):
        self.path, self.names = path, names
        with open(path) as f:
            self.text = f.read()

    def banned(self, mode):
        """Attacks that fail2ban sees in that mode."""
        out = subprocess.run(["fail2ban-regex", "-o", "ip", self.path, f"sshd[mode={mode}]"], capture_output=True,
                             text=True, timeout=120)
        found = {line for line in out.stdout.split() if re.fullmatch(r"[0-9.]+", line)}
        return {name for name, source in self.names.items() if source in found}


def attack_both(folder, keys, lab, pam):
    """The logs of both servers under the same attacks, by "ours" and "openssh"."""
    require("fail2ban-regex")
    if subprocess.run(["unshare", "-m", "true"], stderr=subprocess.DEVNULL).returncode != 0:
        pytest.skip("needs a mount name space of its own")
    other = str(folder / "other")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", other], check=True)
    account = Account(f"bwp{os.getpid()}", keys)
    set_password(account.name, PASSWORD)
    logs = {}
    try:
        for name, program in (("ours", tool("sshd")), ("openssh", require("sshd"))):
            syslog, port = Syslog(str(folder / f"{name}.log")), free_port()
            lines = LINES + f"UsePAM {'yes' if pam else 'no'}\n" + ("PerSourcePenalties no\n" if name == "ours" else "")
            config = lab.config(port, lines, authorized=".ssh/authorized_keys")
            with open(config) as f:
                text = f.read().replace("LogLevel DEBUG1", "LogLevel INFO")
            with open(config, "w") as f:
                f.write(text)
            server = lab._start(name, syslog.wrap([program, "-D", "-f", config]), port)
            try:
                names = all_of_them(lab, server, account, PASSWORD, other, pam)
                settled(syslog)
            finally:
                server.stop()
                syslog.stop()
            logs[name] = Attacked(str(folder / f"{name}.log"), names)
    finally:
        account.remove()
    return logs


def words(text):
    """Lines without what differs from run to run."""
    out = set()
    for line in text.splitlines():
        line = re.sub(r"^.*? sshd\[\d+\]: ", "", line)
        line = re.sub(r"port \d+", "port N", line)
        out.add(re.sub(r"bwp\d+", "USER", line))
    return out


def differing(logs):
    """Lines that only one of them has: (ours, theirs), but for marks that 10.5 has and 9.2 has not."""
    ours, theirs = words(logs["ours"].text), words(logs["openssh"].text)
    # 9.2 tells these outside of its unprivileged process, so without the mark.
    newer = {re.sub(r" \[preauth\]$", "", line) if "identification" in line or "banner" in line or
             "Connection closed by 127" in line else line for line in ours}
    older = {re.sub(r" \[preauth\]$", "", line) if "Connection closed by 127" in line else line for line in theirs}
    passed = re.compile(r"pam_(limits|systemd|env)|error: Could not get shadow information")
    return {line for line in newer - older if not passed.match(line)}, \
        {line for line in older - newer if not passed.match(line)}
