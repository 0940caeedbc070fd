"""What the benchmarks share: private servers, CPU accounting, delayed paths, medians."""
import contextlib
import glob
import os
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
import time

ACCOUNTING = "/sys/fs/cgroup/cpuacct"
V2 = "/sys/fs/cgroup/cgroup.controllers"


def median(values):
    values = sorted(values)
    n = len(values)
    return values[n // 2] if n % 2 else (values[n // 2 - 1] + values[n // 2]) / 2


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_listening(port, seconds=30, address="127.0.0.1"):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            socket.create_connection((address, port), 0.5).close()
            return
        except OSError:
            time.sleep(0.02)
    raise RuntimeError(f"nothing listens on {port}")


class Group:
    """CPU seconds of a process tree: a control group where there is one, /proc otherwise."""

    def __init__(self, name):
        self.v2 = os.path.exists(V2)
        root = "/sys/fs/cgroup" if self.v2 else ACCOUNTING
        self.path = os.path.join(root, f"bowline-bench-{os.getpid()}-{os.urandom(3).hex()}-{name}")
        os.mkdir(self.path)

    def enter(self):
        with open(os.path.join(self.path, "cgroup.procs"), "w") as f:
            f.write(str(os.getpid()))

    def cpu(self):
        if self.v2:
            with open(os.path.join(self.path, "cpu.stat")) as f:
                return int(f.readline().split()[1]) / 1e6
        with open(os.path.join(self.path, "cpuacct.usage")) as f:
            return int(f.read()) / 1e9

    def pids(self):
        with open(os.path.join(self.path, "cgroup.procs")) as f:
            return [int(p) for p in f.read().split()]

    def pss_kb(self):
        total = 0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                with open(f"/proc/{pid}/smaps_rollup") as f:
                    for line in f:
                        if line.startswith("Pss:"):
                            total += int(line.split()[1])
        return total

    def end(self):
        for _ in range(50):
            for pid in self.pids():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            with contextlib.suppress(OSError):
                os.rmdir(self.path)
                return
            time.sleep(0.05)


def child_cpu():
    r = resource.getrusage(resource.RUSAGE_CHILDREN)
    return r.ru_utime + r.ru_stime


class Suite:
    """A suite under test: where its programs are, and one running server."""

    def __init__(self, name, ssh, sshd, folder, keys, account, pam=False, address="127.0.0.1",
                 sftp=None, more=""):
        self.name, self.ssh, self.folder, self.keys = name, ssh, folder, keys
        self.account, self.address = account, address
        self.port = free_port()
        self.group = Group(name)
        config = os.path.join(folder, f"sshd_config.{name}")
        with open(config, "w") as f:
            f.write(f"Port {self.port}\nListenAddress {address}\nHostKey {keys}/host\nAuthorizedKeysFile {keys}/authorized_keys\n"
                    f"StrictModes no\nPidFile none\nUsePAM {'yes' if pam else 'no'}\n"
                    "MaxStartups 1000:30:2000\nMaxSessions 100\nLogLevel INFO\n")
            f.write("Subsystem sftp " + (sftp or ("internal-sftp" if "bowline" in name else "/usr/lib/openssh/sftp-server")) + "\n")
            f.write(more)
            if "bowline" in name:
                # Handshakes that never log in are what is measured here.
                f.write("PerSourcePenalties no\n")
        if "bowline" not in name:
            os.makedirs("/run/sshd", exist_ok=True)
        self.log = open(os.path.join(folder, f"{name}.log"), "wb")
        self.process = subprocess.Popen([sshd, "-D", "-e", "-f", config], preexec_fn=self.group.enter,
                                        stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        wait_listening(self.port, address=address)
        time.sleep(0.3)

    def command(self, client, *args, port=None, options=()):
        port = port or self.port
        return [client, "-F", "none", "-p", str(port), "-i", f"{self.keys}/user", "-o", "IdentitiesOnly=yes",
                "-o", f"UserKnownHostsFile={self.keys}/known_hosts", "-o", "GlobalKnownHostsFile=none",
                "-o", "HostKeyAlias=bench", "-o", "BatchMode=yes", *options, f"{self.account}@{self.address}", *args]

    def stop(self):
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(5)
        self.group.end()
        for left in glob.glob(f"/run/bowline/*.{self.port}@*.sock"):  # of what was killed just now
            os.remove(left)


class Path:
    """A path with a one-way delay in front of a port."""

    def __init__(self, build, target, delay_ms):
        self.process = subprocess.Popen([f"{build}/bench/delay_proxy", "0", str(target), str(delay_ms)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.port = int(self.process.stdout.readline())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(5)


@contextlib.contextmanager
def laboratory(uid=None):
    """A folder with throw-away keys and an account to log in to; its number is the next free one, if none is given."""
    folder = tempfile.mkdtemp(prefix="bowline-bench-")
    os.chmod(folder, 0o755)
    name = f"bwlbench{os.urandom(3).hex()}"  # not by number of process: of those there may be several spaces
    for role in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{folder}/{role}"], check=True)
    shutil.copy(f"{folder}/user.pub", f"{folder}/authorized_keys")
    with open(f"{folder}/host.pub") as key, open(f"{folder}/known_hosts", "w") as out:
        out.write("bench " + key.read())
    number = [] if uid is None else ["-u", str(uid), "-K", f"UID_MAX={uid}"]
    subprocess.run(["useradd", "-m", "-d", f"{folder}/home", "-s", "/bin/sh", "-p", "*", *number, name], check=True)
    try:
        yield folder, name
    finally:
        subprocess.run(["userdel", "-r", "-f", name], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        shutil.rmtree(folder, ignore_errors=True)
