"""Fixtures for end-to-end tests: private servers and clients of every suite, on loopback.

A server is started on a free port with throw-away keys in a temporary folder and is stopped by
its process id; nothing outlives the test.
"""
import contextlib
import getpass
import glob
import json
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import pytest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.environ.get("BOWLINE_BIN", os.path.join(TOP, "build", "bin"))
IS_ROOT = os.geteuid() == 0
USER = getpass.getuser()
ASAN = bool(os.environ.get("BOWLINE_ASAN"))
# Limits of waiting are for a machine that does other things as well; waits end as soon as what they wait for is there.
SLOW = 10 if ASAN else 3
HEAVY = 6 if ASAN else 1  # memory

# A login must not depend on what the invoking user's ~/.bashrc does: bash reads it for `bash -c` when
# it was started by an SSH server or with a socket as input, but only at the first level of shells.
SHELL_LEVEL = "SHLVL=1"
os.environ.update([SHELL_LEVEL.split("=")])

# Where scripts/leftovers.py finds what ports its run has used.
PORTS = os.environ.get("BOWLINE_PORTS")

# For tests that hold for every sshd: BOWLINE_REFERENCE=1 asks Debian's too, which is how such a test is validated.
SERVERS = ["ours", "openssh"] if os.environ.get("BOWLINE_REFERENCE") else ["ours"]

if IS_ROOT:
    os.makedirs("/run/sshd", mode=0o755, exist_ok=True)  # Debian's sshd wants it, and its unit makes it

needs_root = pytest.mark.skipif(not IS_ROOT, reason="needs root")


def tool(name):
    """Path of one of our programs."""
    return os.path.join(BIN, name)


def free_port():
    """None that the system gives to outgoing connections: one of another test's would take it before it is listened on."""
    while True:
        port = random.SystemRandom().randrange(10000, 32000)
        with socket.socket() as s, contextlib.suppress(OSError):
            s.bind(("127.0.0.1", port))
            break
    if PORTS:
        with open(PORTS, "a") as out:
            out.write(f"{port}\n")
    return port


def wait_until(condition, seconds=10.0, step=0.02):
    end = time.monotonic() + seconds * SLOW
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(step)
    return condition()


def listens(port):
    """By the kernel's table: a connection would be one that never logs in, which servers punish."""
    with open("/proc/net/tcp") as table:
        return any(fields[1].endswith(f":{port:04X}") and fields[3] == "0A"
                   for fields in map(str.split, table))


def require(program):
    path = shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")
    if path is None:
        pytest.skip(f"{program} is not installed")
    return path


class Keys:
    """Throw-away keys made with Debian's ssh-keygen, one of each type, and what trusts them."""

    def __init__(self, folder):
        self.folder = folder
        for kind, bits in (("ed25519", None), ("ecdsa", "256"), ("rsa", "2048")):
            for role in ("host", "user"):
                args = ["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", f"{role}-{kind}", "-f", self.path(role, kind)]
                subprocess.run(args + (["-b", bits] if bits else []), check=True, stdin=subprocess.DEVNULL)
        self.authorized_keys = os.path.join(folder, "authorized_keys")
        with open(self.authorized_keys, "w") as out:
            for kind in ("ed25519", "ecdsa", "rsa"):
                out.write(self.public("user", kind))

    def path(self, role, kind="ed25519"):
        return os.path.join(self.folder, f"{role}_{kind}")

    def public(self, role, kind="ed25519"):
        with open(self.path(role, kind) + ".pub") as f:
            return f.read()

    def known_hosts(self, port):
        """A known_hosts file for a server on that port."""
        path = os.path.join(self.folder, f"known_hosts.{port}")
        with open(path, "w") as out:
            for kind in ("ed25519", "ecdsa", "rsa"):
                out.write(f"[127.0.0.1]:{port} " + self.public("host", kind))
        return path


@pytest.fixture(scope="session")
def keys(tmp_path_factory):
    return Keys(str(tmp_path_factory.mktemp("keys")))


def remove(folder):
    """Also what a process that is about to end puts there meanwhile."""
    def gone():
        shutil.rmtree(folder, ignore_errors=True)
        return not os.path.lexists(folder)
    wait_until(gone, step=0.2)


def end_process(process):
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10 * SLOW)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


class Server:
    """One running server; `log()` is what it wrote."""

    def __init__(self, folder, name, args, port, env=None, wait=True):
        self.port, self.folder = port, folder
        self.log_path = os.path.join(folder, f"{name}.{port}.log")
        self.process = subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=open(self.log_path, "ab"), env=env, start_new_session=True)
        if wait and not wait_until(lambda: listens(port) or self.process.poll() is not None):
            self.stop()
            pytest.fail(f"{name} does not listen on {port}: {self.log()}")
        if wait and self.process.poll() is not None:
            pytest.fail(f"{name} ended with {self.process.returncode}: {self.log()}")

    def log(self):
        with open(self.log_path, errors="replace") as f:
            return f.read()

    def wait_log(self, text, seconds=10):
        assert wait_until(lambda: text in self.log(), seconds), f"no {text!r} in:\n{self.log()}"

    def reload(self, lines):
        """The same configuration with these lines in front."""
        path = os.path.join(self.folder, f"sshd_config.{self.port}")
        with open(path) as f:
            text = f.read()
        with open(path, "w") as f:
            f.write(lines + text)
        self.process.send_signal(signal.SIGHUP)

    def has_group(self):
        """Whether something of its process group runs: what only waits to be reaped does not."""
        try:
            os.killpg(self.process.pid, 0)
        except OSError:
            return False
        for path in glob.glob("/proc/[0-9]*/stat"):
            with contextlib.suppress(OSError), open(path) as f:
                state, _, group = f.read().rsplit(")", 1)[1].split()[:3]
                if int(group) == self.process.pid and state not in "ZX":
                    return True
        return False

    def stop(self):
        end_process(self.process)
        # What it started is in its session; by process group, never by name. First so that it can remove what it
        # has made (sockets of forwarded agents).
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, number)
                wait_until(lambda: not self.has_group(), 8)
        # What killed processes could not remove.
        for path in glob.glob(f"/run/bowline/*.{self.port}[.@]*"):
            with contextlib.suppress(OSError):
                os.unlink(path)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A test that failed shows what its servers wrote last."""
    report = (yield).get_result()
    if report.when != "call" or not report.failed or not hasattr(report.longrepr, "addsection"):
        return
    servers = [s for value in item.funcargs.values() for s in getattr(value, "servers", [value]) if isinstance(s, Server)]
    for server in {s.log_path: s for s in servers[-3:]}.values():
        report.longrepr.addsection(server.log_path, "\n".join(server.log().splitlines()[-25:]))


class Lab:
    """Starts servers and runs clients for one test."""

    def __init__(self, folder, keys):
        self.folder, self.keys, self.servers = folder, keys, []

    def config(self, port, lines="", host_kinds=("ed25519", "ecdsa", "rsa"), authorized=None):
        path = os.path.join(self.folder, f"sshd_config.{port}")
        with open(path, "w") as out:
            # -o and Match-free lines first: first value wins.
            out.write(f"Port {port}\nListenAddress 127.0.0.1\n")
            if "SetEnv" not in lines:
                out.write(f"SetEnv {SHELL_LEVEL}\n")
            if "\nMatch " in "\n" + lines:
                head, tail = ("\n" + lines).split("\nMatch ", 1)
                tail = "Match " + tail
            else:
                head, tail = lines, ""
            out.write(head + "\n")
            for kind in host_kinds:
                out.write(f"HostKey {self.keys.path('host', kind)}\n")
            out.write(f"AuthorizedKeysFile {authorized or self.keys.authorized_keys}\n"
                      f"StrictModes no\nPidFile none\nLogLevel DEBUG1\n{tail}\n")
        return path

    def _start(self, name, args, port, **kw):
        server = Server(self.folder, name, args, port, **kw)
        self.servers.append(server)
        return server

    def sshd(self, lines="", args=(), port=None, wait=True, program=None, **kw):
        """Our sshd."""
        port = port or free_port()
        if "PerSourcePenalties" not in lines:
            # Tests that fail on purpose, one after another, must not lock out the next one.
            lines = "PerSourcePenalties no\n" + lines
        return self._start("sshd", [program or tool("sshd"), "-D", "-e", "-f", self.config(port, lines, **kw), *args],
                           port, wait=wait)

    def openssh(self, lines="", args=(), port=None, **kw):
        """Debian's sshd."""
        path, port = require("sshd"), port or free_port()
        return self._start("openssh", [path, "-D", "-e", "-f", self.config(port, lines, **kw), *args], port)

    def openssh_with_terminals(self, lines="", **kw):
        """Debian's sshd; run by an ordinary user it gives no terminals: then ours."""
        return self.openssh(lines, **kw) if IS_ROOT else self.sshd(lines, **kw)

    def dropbear(self, args=()):
        path, port = require("dropbear"), free_port()
        home = os.path.expanduser("~")
        key = os.path.join(self.folder, "dropbear_ed25519")
        require("dropbearconvert")
        if not os.path.exists(key):
            subprocess.run(["dropbearconvert", "openssh", "dropbear", self.keys.path("host"), key], check=True,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        del home
        return self._start("dropbear", [path, "-F", "-E", "-p", f"127.0.0.1:{port}", "-r", key, *args], port)

    def common(self, port, kind="ed25519"):
        return ["-F", "none", "-p", str(port), "-i", self.keys.path("user", kind), "-o", "IdentitiesOnly=yes",
                "-o", f"UserKnownHostsFile={self.keys.known_hosts(port)}", "-o", "GlobalKnownHostsFile=none",
                "-o", "BatchMode=yes"]

    def ssh_args(self, server, *args, program=None, kind="ed25519", host="127.0.0.1"):
        """Arguments of our ssh (or Debian's, with program="ssh") to a server."""
        return [program or tool("ssh"), *self.common(server.port, kind), *args[:-1], host, args[-1]] if args else \
            [program or tool("ssh"), *self.common(server.port, kind), host]

    def ssh(self, server, *args, program=None, kind="ed25519", options=(), timeout=30, **kw):
        """Runs our ssh (or another OpenSSH-like program) and returns the completed process.

        The last of args is the command; those before are options."""
        opts, command = (list(args[:-1]), [args[-1]]) if args else ([], [])
        run = [program or tool("ssh"), *self.common(server.port, kind), *options, *opts, "127.0.0.1", *command]
        kw.setdefault("stdin", subprocess.DEVNULL if "input" not in kw else None)
        if kw["stdin"] is None:
            kw.pop("stdin")
        kw.setdefault("stdout", subprocess.PIPE)
        kw.setdefault("stderr", subprocess.PIPE)
        return subprocess.run(run, timeout=timeout * SLOW, **kw)

    def stop(self):
        for server in self.servers:
            server.stop()


@pytest.fixture(scope="session")
def npm_package(tmp_path_factory):
    """npm_package(script, "name@version", …): a folder with them installed and a copy of that script of peers/."""

    def install(script, *packages):
        require("npm"), require("node")
        folder = tmp_path_factory.mktemp("npm")
        done = subprocess.run(["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(folder),
                               *packages], capture_output=True, text=True, timeout=300)
        if done.returncode != 0:
            why = [line for line in done.stderr.splitlines() if "code" in line or "errno" in line]
            pytest.skip(f"npm could not install {' '.join(packages)}: {'; '.join(why[:2]) or 'no reason given'}")
        shutil.copy(os.path.join(TOP, "tests", "e2e", "peers", script), folder)
        return folder

    return install


def can_unshare():
    return IS_ROOT and subprocess.run(["unshare", "-mn", "true"], capture_output=True).returncode == 0


def results_of(script, folder, keys):
    """What a script beside the tests prints as JSON, run in namespaces of its own for mounts and networks."""
    here = os.path.dirname(os.path.abspath(__file__))
    run = subprocess.run(["unshare", "-mn", sys.executable, os.path.join(here, script), folder, keys.folder, BIN, TOP],
                         capture_output=True, text=True, timeout=120 * SLOW, stdin=subprocess.DEVNULL)
    assert run.returncode == 0, run.stdout + run.stderr
    return json.loads(run.stdout)


@pytest.fixture
def lab(tmp_path, keys):
    lab = Lab(str(tmp_path), keys)
    yield lab
    lab.stop()


@pytest.fixture(scope="module")
def module_lab(tmp_path_factory, keys):
    lab = Lab(str(tmp_path_factory.mktemp("lab")), keys)
    yield lab
    lab.stop()


class Account:
    """A throw-away account with our user keys in its authorized_keys."""

    def __init__(self, name, keys, shell="/bin/sh"):
        self.name = name
        # The comment: scripts/leftovers.py looks for those of its run.
        subprocess.run(["useradd", "-m", "-s", shell, "-p", "*", "-c", f"bowline-test-{os.environ.get('BOWLINE_RUN', '')}",
                        name], check=True)
        entry = pwd.getpwnam(name)
        self.uid, self.gid, self.home = entry.pw_uid, entry.pw_gid, entry.pw_dir
        os.chmod(self.home, 0o755)
        ssh = os.path.join(self.home, ".ssh")
        os.mkdir(ssh, 0o700)
        shutil.copy(keys.authorized_keys, os.path.join(ssh, "authorized_keys"))
        for path in (ssh, os.path.join(ssh, "authorized_keys")):
            os.chown(path, self.uid, self.gid)

    def remove(self):
        # Ends what still runs under this uid, which only this test uses.
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                try:
                    if os.stat(f"/proc/{entry}").st_uid == self.uid:
                        os.kill(int(entry), signal.SIGKILL)
                except OSError:
                    pass
        subprocess.run(["userdel", "-r", "-f", self.name], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


@pytest.fixture
def account(keys):
    """A throw-away ordinary account (root only)."""
    if not IS_ROOT:
        pytest.skip("needs root to make an account")
    made = Account(f"bwl{os.getpid()}{int(time.monotonic() * 1000) % 100000}", keys)
    yield made
    made.remove()


@pytest.fixture(autouse=True)
def no_memory(tmp_path, monkeypatch):
    """What our ssh remembers of hosts goes with the test: ports are used again."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def scratch():
    folder = tempfile.mkdtemp(prefix="bowline-test-")
    yield folder
    remove(folder)
