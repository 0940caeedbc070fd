#!/usr/bin/python3
"""Do sessions hold? Five workloads over a path that fails; every byte is accounted for.

    bench/hold.py [--bin BUILD] [--cuts 20] [--size 64] [--faults reset,fin,...] [--workloads terminal,sftp,...]

Each workload runs through a proxy until its path has failed so many times (--cuts), each time at another random
byte. The table tells, for each fault and workload: how often it failed, runs that ended by it, bytes lost and bytes
doubled, and the time from the link's return to the first byte of the session.  Exit status 1: something was lost.
"""
import argparse
import hashlib
import os
import pty
import random
import select
import signal
import socket
import subprocess
import sys
import termios
import threading
import time

from cut_proxy import CutProxy
from lab import Suite, free_port, laboratory

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PATIENCE = 60  # seconds without a byte: the run has failed
LOGIN_BYTES = 12000  # more than a login takes, both ways together


class Failure(Exception):
    pass


class Result:
    def __init__(self):
        self.cuts = self.runs = self.failed = self.lost = self.doubled = 0
        self.back, self.notes = [], []


# ---- faults: what happens to the path ----

def fault_reset(bench):
    bench.proxy.cut("reset")


def fault_fin(bench):
    bench.proxy.cut("fin")


def fault_stall(bench):
    """Silence of 6 s in which everything is lost; then the old link is gone."""
    bench.proxy.stall(6)
    threading.Timer(6, bench.proxy.cut).start()


def fault_hole(bench):
    """Silence that ends by itself: nothing was lost, and nothing may be doubled."""
    bench.proxy.stall(2)


def fault_away(bench):
    """No network for 3 s."""
    bench.proxy.barred = True
    bench.proxy.cut("reset")

    def back():
        bench.proxy.barred = False

    threading.Timer(3, back).start()


def fault_address(bench):
    """Another network: the next link comes from another address."""
    bench.proxy.source = f"127.0.0.{random.randrange(2, 250)}"
    bench.proxy.cut("reset")


def fault_gate(bench):
    """The process that holds the link on the server dies."""
    for pid in bench.gates():
        os.kill(pid, signal.SIGKILL)
    bench.proxy.cuts += 1


def fault_reload(bench):
    """The server reads its configuration anew, and the link breaks."""
    bench.suite.process.send_signal(signal.SIGHUP)
    time.sleep(0.3)
    bench.proxy.cut("reset")


FAULTS = {name[6:]: f for name, f in list(globals().items()) if name.startswith("fault_")}


class Bench:
    def __init__(self, args, suite, folder):
        self.args, self.suite, self.folder = args, suite, folder
        self.proxy = None
        self.rng = random.Random(args.seed)

    def gates(self):
        found = []
        for entry in os.listdir("/proc"):
            if entry.isdigit():
                try:
                    with open(f"/proc/{entry}/cmdline", "rb") as f:
                        title = f.read().split(b"\0")[0].decode(errors="replace")
                    with open(f"/proc/{entry}/stat") as f:
                        ppid = int(f.read().rsplit(")", 1)[1].split()[1])
                    with open(f"/proc/{ppid}/cmdline", "rb") as f:
                        parent = f.read().decode(errors="replace")
                except (OSError, ValueError):
                    continue
                if title.startswith("sshd: gate") and "listener" in parent:
                    found.append(int(entry))
        return found

    def ssh(self, *words, options=()):
        return self.suite.command(self.suite.ssh, *words, port=self.proxy.port,
                                  options=("-o", "ServerAliveInterval=0", *options))

    def arm(self, fault, most, fresh=False):
        """The next failure, after a random number of bytes."""
        # Not within the first login: before it there is no connection to hold.
        n = (LOGIN_BYTES if fresh else 0) + int(10 ** self.rng.uniform(3, most))

        def act():
            threading.Thread(target=self.fail, args=(fault, most), daemon=True).start()

        self.proxy.at_byte(n, act)

    def fail(self, fault, most):
        FAULTS[fault](self)
        time.sleep(0.3)
        if self.proxy.open and self.proxy.cuts < self.wanted:
            self.arm(fault, most)


# ---- workloads: each tells what was lost and doubled ----

def compare(result, sent, got):
    """Two sequences that should be the same."""
    if sent == got:
        return
    i = next((i for i, (a, b) in enumerate(zip(sent, got)) if a != b), min(len(sent), len(got)))
    result.lost += max(0, len(sent) - len(got))
    result.doubled += max(0, len(got) - len(sent))
    result.notes.append(f"differs from {i} on: {sent[i:i + 40]!r} became {got[i:i + 40]!r}")
    raise Failure("bytes differ")


def workload_terminal(bench, result, fault):
    """Numbered lines typed at a terminal, and what `cat` says of them."""
    master, slave = pty.openpty()
    mode = termios.tcgetattr(slave)
    mode[3] &= ~(termios.ECHO | termios.ICANON)
    termios.tcsetattr(slave, termios.TCSANOW, mode)
    ssh = subprocess.Popen(bench.ssh("stty raw -echo; echo ready; exec cat", options=("-tt", "-e", "none", "-o", "LogLevel=QUIET",
                                                                                      "-o", "ObscureKeystrokeTiming=no")),
                           stdin=slave, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    os.close(slave)
    try:
        got, sent = b"", b""

        def read(until):
            nonlocal got
            end = time.monotonic() + PATIENCE
            while not until(got):
                if time.monotonic() > end or not select.select([ssh.stdout], [], [], 1)[0] and ssh.poll() is not None:
                    raise Failure(f"no answer; ssh {ssh.poll()}")
                if select.select([ssh.stdout], [], [], 0)[0]:
                    data = os.read(ssh.stdout.fileno(), 65536)
                    if not data:
                        raise Failure(f"ended with {ssh.wait(5)}")
                    got += data

        read(lambda g: b"ready" in g and g.rstrip().endswith(b"ready"))
        got = b""
        bench.arm(fault, 4.5)
        i = 0
        while bench.proxy.cuts < bench.wanted or i < 200:
            for _ in range(20):
                line = b"line %d of the terminal\n" % i
                os.write(master, line)
                sent += line
                i += 1
            read(lambda g: len(g) >= len(sent))
        compare(result, sent, got)
    finally:
        ssh.kill()
        ssh.wait()
        os.close(master)


def digest(path):
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else hashlib.sha256(f.read()).hexdigest()


def workload_sftp(bench, result, fault):
    """Files to and fro by Debian's sftp over our ssh."""
    local, back = os.path.join(bench.folder, "local"), os.path.join(bench.folder, "back")
    with open(local, "wb") as f:
        for _ in range(bench.args.size):
            f.write(bench.rng.randbytes(1 << 20))
    while bench.proxy.cuts < bench.wanted:
        batch = os.path.join(bench.folder, "batch")
        with open(batch, "w") as f:
            f.write(f"put {local} there\nget there {back}\nrm there\n")
        args = bench.ssh(options=())[1:-1]
        bench.arm(fault, 6 + bench.args.size.bit_length() / 4, fresh=True)
        done = subprocess.run(["sftp", "-q", "-S", bench.suite.ssh, "-b", batch, *sftp_options(args), bench.ssh()[-1]],
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=600)
        result.runs += 1
        if done.returncode != 0:
            raise Failure(f"sftp {done.returncode}: {done.stderr[-200:]!r}")
        if digest(local) != digest(back):
            result.lost += 1
            raise Failure("the file came back changed")
        os.unlink(back)


def sftp_options(args):
    """ssh's options as sftp takes them."""
    out = []
    for a in args:
        out.append("-P" if a == "-p" else a)
    return out


class Echo:
    """A service that says what it hears."""

    def __init__(self):
        self.listening = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listening.getsockname()[1]
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                s, _ = self.listening.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(s,), daemon=True).start()

    @staticmethod
    def serve(s):
        with s:
            while data := s.recv(65536):
                s.sendall(data)


def workload_streams(bench, result, fault):
    """20 forwarded connections at once, each echoed and compared."""
    echo, port = Echo(), free_port()
    ssh = subprocess.Popen(bench.ssh(options=("-N", "-L", f"127.0.0.1:{port}:127.0.0.1:{echo.port}")), stdin=subprocess.DEVNULL,
                           stderr=subprocess.PIPE)
    problems, stop = [], threading.Event()

    def one(seed):
        rng = random.Random(seed)
        try:
            with socket.create_connection(("127.0.0.1", port), 10) as s:
                s.settimeout(PATIENCE)
                while not stop.is_set():
                    data = rng.randbytes(rng.randrange(1, 60000))
                    writer = threading.Thread(target=s.sendall, args=(data,))
                    writer.start()
                    got = b""
                    while len(got) < len(data):
                        more = s.recv(65536)
                        if not more:
                            raise Failure("the stream ended")
                        got += more
                    writer.join()
                    if got != data:
                        raise Failure("the stream was changed")
        except (OSError, Failure) as e:
            problems.append(str(e))

    try:
        wait_for_port(port, ssh)
        threads = [threading.Thread(target=one, args=(bench.rng.random(),)) for _ in range(20)]
        for t in threads:
            t.start()
        bench.arm(fault, 6.5)
        while bench.proxy.cuts < bench.wanted and not problems and ssh.poll() is None:
            time.sleep(0.05)
        time.sleep(1)
        stop.set()
        for t in threads:
            t.join()
        if problems:
            result.lost += len(problems)
            raise Failure(f"{len(problems)} of 20: {problems[0]}")
        if ssh.poll() is not None:
            raise Failure(f"ssh ended: {ssh.stderr.read()[-200:]!r}")
    finally:
        stop.set()
        ssh.kill()
        ssh.wait()
        echo.listening.close()


def wait_for_port(port, process):
    end = time.monotonic() + 20
    while time.monotonic() < end and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise Failure("the forwarding did not come up")


def workload_exec(bench, result, fault):
    """A command that ends while its client is away; output and status are waited for."""
    while bench.proxy.cuts < bench.wanted:
        before = bench.proxy.cuts
        while bench.proxy.barred or bench.proxy.stalled_until > time.monotonic() - 1:
            time.sleep(0.1)  # of the fault before
        ssh = subprocess.Popen(bench.ssh("head -c 300000 /dev/zero | tr '\\0' x; sleep 1; printf end; exit 7"),
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        first = os.read(ssh.stdout.fileno(), 1)
        if not first:
            raise Failure(f"no session: {ssh.communicate()[1][-200:]!r}")
        time.sleep(bench.rng.uniform(0, 1.1))
        FAULTS[fault](bench)
        try:
            out, err = ssh.communicate(timeout=PATIENCE)
            out = first + out
        except subprocess.TimeoutExpired:
            ssh.kill()
            ssh.communicate()
            raise Failure("it did not come back") from None
        result.runs += 1
        if bench.proxy.cuts == before:
            bench.proxy.cuts += 1
        compare(result, b"x" * 300000 + b"end", out)
        if ssh.returncode != 7:
            raise Failure(f"status {ssh.returncode}: {err[-200:]!r}")


def workload_agent(bench, result, fault):
    """Signatures asked of an agent on this side, all the time."""
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", os.path.join(bench.folder, "agent")], stdout=subprocess.DEVNULL)
    env = dict(os.environ, SSH_AUTH_SOCK=os.path.join(bench.folder, "agent"))
    try:
        for _ in range(100):
            if subprocess.run(["ssh-add", "-q", os.path.join(bench.folder, "user")], env=env, stderr=subprocess.DEVNULL).returncode == 0:
                break
            time.sleep(0.05)
        while bench.proxy.cuts < bench.wanted:
            bench.arm(fault, 5, fresh=True)
            script = "i=0; while [ $i -lt 40 ]; do ssh-add -l >/dev/null && ssh-add -L | ssh-add -T /dev/stdin || exit 9; i=$((i+1)); done; echo fine"
            done = subprocess.run(bench.ssh(script, options=("-A",)), env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, timeout=300)
            result.runs += 1
            if done.returncode != 0 or done.stdout != b"fine\n":
                raise Failure(f"status {done.returncode}: {done.stderr[-200:]!r}")
            if bench.proxy.limit is not None and result.runs > bench.wanted * 3:
                raise Failure("too few bytes for a cut")
    finally:
        agent.terminate()
        agent.wait()


WORKLOADS = {name[9:]: f for name, f in list(globals().items()) if name.startswith("workload_")}


def run(bench, fault, name):
    result = Result()
    bench.proxy = CutProxy(bench.suite.port)
    bench.wanted = bench.args.cuts
    try:
        WORKLOADS[name](bench, result, fault)
    except Failure as e:
        result.failed += 1
        result.notes.append(str(e))
    except subprocess.TimeoutExpired:
        result.failed += 1
        result.notes.append("it did not come back")
    finally:
        result.cuts = bench.proxy.cuts
        result.back = list(bench.proxy.accepted)
        bench.proxy.close()
    return result


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default=os.path.join(TOP, "build"))
    parser.add_argument("--cuts", type=int, default=20)
    parser.add_argument("--size", type=int, default=64, help="of sftp's file, MiB")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--faults", default=",".join(FAULTS))
    parser.add_argument("--workloads", default=",".join(WORKLOADS))
    args = parser.parse_args()
    print(f"seed {args.seed}")
    bad = 0
    with laboratory() as (folder, account):
        ours = os.path.join(args.bin, "bin")
        suite = Suite("bowline", os.path.join(ours, "ssh"), os.path.join(ours, "sshd"), folder, folder, account)
        os.chmod(os.path.join(folder, "user"), 0o600)
        try:
            bench = Bench(args, suite, folder)
            print(f"{'fault':<9} {'workload':<9} {'failures':>8} {'links':>6} {'ended':>6} {'lost':>6} {'doubled':>8}")
            for fault in args.faults.split(","):
                for name in args.workloads.split(","):
                    r = run(bench, fault, name)
                    bad += r.failed
                    print(f"{fault:<9} {name:<9} {r.cuts:>8} {len(r.back):>6} {r.failed:>6} {r.lost:>6} {r.doubled:>8}"
                          + (f"   {r.notes[-1]}" if r.notes else ""), flush=True)
        finally:
            suite.stop()
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
