"""ssh-keyscan beside Debian's, and with servers that do not behave."""
import re
import socket
import subprocess
import threading

import pytest

from agents import debian
from conftest import SLOW, free_port, tool

CASES = ["-t rsa,ecdsa,ed25519 127.0.0.1", "-H -t ed25519 127.0.0.1", "-c -t ed25519 127.0.0.1", "-D -t ed25519,rsa 127.0.0.1",
         "-t ed25519 127.0.0.1,localhost", "-f - -t ed25519", "-t ed25519 nohost.invalid", "-t foo x", "-T x y", "-p x y", "-t ssh-rsa,ssh-ed25519 127.0.0.1",
         "-4 -t rsa 127.0.0.1", "-t ed25519 127.0.0.0/30 127.0.0.2"]
NAMES = "# nothing\n\n127.0.0.1 A,b.example\n127.0.0.1,127.0.0.2\tc\n"


def scan(program, port, *args, **kw):
    done = subprocess.run([program, "-p", str(port), *args], capture_output=True, text=True, timeout=60 * SLOW, **kw)
    out = sorted(re.sub(r"^\|1\|\S+", "HASHED", line) for line in done.stdout.splitlines())
    err = sorted(line for line in done.stderr.splitlines() if not line.startswith(("usage", " ", "\t")))
    return done.returncode, out, err


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("server", ["ours", "debian"])
def test_output_is_that_of_openssh(module_server, case, server):
    port = module_server[server].port
    wanted = scan(debian("ssh-keyscan"), port, *case.split(), input=NAMES)
    assert scan(tool("ssh-keyscan"), port, *case.split(), input=NAMES) == wanted


@pytest.fixture(scope="module")
def module_server(module_lab):
    return {"ours": module_lab.sshd(), "debian": module_lab.openssh()}


def test_known_hosts_is_usable(module_server, module_lab, tmp_path):
    server = module_server["debian"]
    hosts = tmp_path / "hosts"
    for flags in ([], ["-H"]):
        done = subprocess.run([tool("ssh-keyscan"), "-q", *flags, "-p", str(server.port), "127.0.0.1"], capture_output=True, text=True)
        assert done.stderr == "" and done.stdout.count("\n") == 3
        hosts.write_text(done.stdout)
        args = [debian("ssh"), *module_lab.common(server.port)]
        done = subprocess.run([*args, "-o", f"UserKnownHostsFile={hosts}", "-o", "StrictHostKeyChecking=yes", "127.0.0.1", "true"],
                              capture_output=True, text=True, timeout=30 * SLOW)
        assert done.returncode == 0, done.stderr


def test_certificates(lab, keys, tmp_path):
    subprocess.run([debian("ssh-keygen"), "-q", "-s", keys.path("user"), "-h", "-I", "host", "-n", "127.0.0.1", "-f",
                    keys.path("host"), keys.path("host") + ".pub"], check=True, stdin=subprocess.DEVNULL)
    server = lab.openssh(f"HostCertificate {keys.path('host')}-cert.pub")
    wanted = scan(debian("ssh-keyscan"), server.port, "-c", "-t", "ed25519", "127.0.0.1")
    assert wanted[1] and scan(tool("ssh-keyscan"), server.port, "-c", "-t", "ed25519", "127.0.0.1") == wanted


class Rogue:
    """Listens and does one odd thing with each connection."""

    def __init__(self, act, address="127.0.0.1", port=0):
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind((address, port))
        self.socket.listen(64)
        self.port, self.act, self.open, self.stop = self.socket.getsockname()[1], act, [], threading.Event()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                conn, _ = self.socket.accept()
            except OSError:
                return
            self.open.append(conn)
            threading.Thread(target=self.run, args=(conn,), daemon=True).start()

    def run(self, conn):
        try:
            self.act(conn, self.stop)
        except OSError:
            pass

    def close(self):
        self.stop.set()
        self.socket.close()
        for conn in self.open:
            conn.close()


def hang(conn, stop):
    stop.wait()


def close(conn, stop):
    conn.close()


def garbage(conn, stop):
    conn.sendall(bytes(range(256)) * 64)
    stop.wait()


def after_ident(conn, stop):
    conn.sendall(b"SSH-2.0-rogue\r\n" + b"\xff" * 4096)
    stop.wait()


def trickle(conn, stop):
    while not stop.wait(0.2):
        conn.sendall(b"x")


def lines(conn, stop):
    while not stop.is_set():
        conn.sendall(b"welcome\r\n" * 1000)


def escapes(conn, stop):
    conn.sendall(b"SSH-2.0-\x1b[31mred\x07\r\n")
    stop.wait()


@pytest.mark.parametrize("act", [hang, close, garbage, after_ident, trickle, lines, escapes])
def test_odd_servers_end(act, lab):
    rogue, good = Rogue(act), lab.openssh()
    try:
        done = subprocess.run([tool("ssh-keyscan"), "-v", "-T", "1", "-p", str(rogue.port), "127.0.0.1"], capture_output=True,
                              timeout=60 * SLOW)
        assert done.returncode == 1 and done.stdout == b""
        assert b"\x1b" not in done.stderr and b"\x07" not in done.stderr
    finally:
        rogue.close()
    assert scan(tool("ssh-keyscan"), good.port, "127.0.0.1")[0] == 0


def test_dead_hosts_hold_up_nobody(keys, lab):
    """Many hang, one answers: all of them at the same port, so at many addresses."""
    good = lab.openssh()
    rogues = [Rogue(hang, f"127.0.1.{i}", good.port) for i in range(1, 9)]
    try:
        done = subprocess.run([tool("ssh-keyscan"), "-T", "3", "-t", "ed25519", "-p", str(good.port), "127.0.1.0/28", "127.0.0.1"],
                              capture_output=True, text=True, timeout=60 * SLOW)
        assert done.returncode == 0 and done.stdout.startswith(f"[127.0.0.1]:{good.port} ssh-ed25519 ")
    finally:
        for rogue in rogues:
            rogue.close()


def test_next_address_of_a_list(keys, lab):
    """As in "addrlist namelist": the first address that works."""
    good = lab.openssh()
    done = subprocess.run([tool("ssh-keyscan"), "-t", "ed25519", "-p", str(good.port), "-f", "-"], capture_output=True, text=True,
                          input="127.0.1.1,127.0.1.2,127.0.0.1 name\n", timeout=60 * SLOW)
    assert done.stdout.startswith(f"[name]:{good.port} ssh-ed25519 ")
    assert subprocess.run([tool("ssh-keyscan"), "-p", str(free_port()), "127.0.0.1"], capture_output=True).returncode == 1
