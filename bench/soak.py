#!/usr/bin/python3
"""One server under a long load: does anything grow?

    bench/soak.py [--bin BUILD] [--logins 100000] [--transfers 10000] [--connects 10000] [--half-open 2000] [--minutes M]

Nine of ten logins and transfers are our ssh's, which costs a fifteenth, the others the system's. Two of three go through
a proxy that cuts every third of those after a random number of bytes. Along the way
descriptors, processes and memory (PSS) of the keeper's and listener's processes are sampled; the middle of the first
samples is compared with that of the last. A reload in the midst is part of it. Then: connects that never log in, and a
login past thousands of half-open links. With --minutes the load ends by then, a quarter of it left to the transfers, and
says how far it came. Exit status 1: something grew, or a login that was not cut failed.
"""
import argparse
import os
import random
import resource
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

from lab import free_port, median, wait_listening

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PARALLEL = 8
SAMPLES = 50


class Cutter:
    """A proxy on a port of its own; each connection tells how many bytes of the client's or server's it may have."""

    def __init__(self, port):
        self.port, self.listening = port, socket.create_server(("127.0.0.1", 0), backlog=256)
        self.at = self.listening.getsockname()[1]
        self.limits, self.lock, self.cuts = [], threading.Lock(), 0
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            client, _ = self.listening.accept()
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        # A third of them, anywhere from the first byte on; log-uniform, so that every phase is hit.
        limit = int(10 ** random.uniform(0, 6)) if random.random() < 1 / 3 else None
        try:
            server = socket.create_connection(("127.0.0.1", self.port))
        except OSError:
            client.close()
            return
        other, seen = {client: server, server: client}, 0
        with selectors.DefaultSelector() as ready:
            for s in other:
                ready.register(s, selectors.EVENT_READ)
            try:
                while len(ready.get_map()) > 0:
                    for key, _ in ready.select():
                        data = key.fileobj.recv(65536)
                        if limit is not None and seen + len(data) >= limit:
                            with self.lock:
                                self.cuts += 1
                            return
                        seen += len(data)
                        if data:
                            other[key.fileobj].sendall(data)
                        else:
                            ready.unregister(key.fileobj)
                            other[key.fileobj].shutdown(socket.SHUT_WR)
            except OSError:
                pass
            finally:
                if random.random() < 0.5:  # by a reset, or in order
                    linger = (1).to_bytes(4, sys.byteorder) + bytes(4)
                    server.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                client.close()
                server.close()


class Sshd:
    def __init__(self, args):
        self.folder = tempfile.mkdtemp(prefix="bowline-soak-")
        self.port, self.bin = free_port(), os.path.join(args.bin, "bin")
        for name in ("host", "user"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", os.path.join(self.folder, name)],
                           check=True, stdin=subprocess.DEVNULL)
        self.config, self.log = os.path.join(self.folder, "config"), os.path.join(self.folder, "log")
        with open(self.config, "w") as out:
            out.write(f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {self.folder}/host\nPidFile none\n"
                      f"AuthorizedKeysFile {self.folder}/user.pub\nStrictModes no\nUsePAM no\nLogLevel ERROR\n"
                      f"PerSourcePenalties no\nMaxStartups {args.half_open + 1000}\nLoginGraceTime 60\n"
                      # A sample waits for what has been cut and does not come back; and root's bash is not to read
                      # its start-up files.
                      "ResumeGrace 5s 5s\nSetEnv SHLVL=1\n")
        self.process = subprocess.Popen([os.path.join(self.bin, "sshd"), "-D", "-E", self.log, "-f", self.config],
                                        stdin=subprocess.DEVNULL, start_new_session=True)
        wait_listening(self.port)

    def stop(self):
        self.process.terminate()
        self.process.wait(20)
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        shutil.rmtree(self.folder, ignore_errors=True)

    def processes(self):
        """{role: [pid]}; a role is the process title's second word."""
        found = {"keeper": [self.process.pid]}
        for entry in os.listdir("/proc"):
            if not entry.isdigit() or int(entry) == self.process.pid:
                continue
            try:
                with open(f"/proc/{entry}/stat") as f:
                    fields = f.read().rsplit(")", 1)[1].split()
                with open(f"/proc/{entry}/cmdline", "rb") as f:
                    title = f.read().split(b"\0")[0].decode()
            except OSError:
                continue
            if int(fields[3]) == self.process.pid:
                role = "zombie" if fields[0] == "Z" else title.split(": ")[-1].split(" ")[0]
                found.setdefault(role, []).append(int(entry))
        return found

    @staticmethod
    def memory(pid, kind="Pss:"):
        try:
            with open(f"/proc/{pid}/smaps_rollup") as f:
                return next(int(line.split()[1]) for line in f if line.startswith(kind))
        except (OSError, StopIteration):
            return 0

    @staticmethod
    def descriptors(pid):
        try:
            return len(os.listdir(f"/proc/{pid}/fd"))
        except OSError:
            return 0

    def sample(self):
        found = self.processes()
        one = {"processes": sum(map(len, found.values())), "zombies": len(found.get("zombie", []))}
        for role in ("keeper", "listener", "nursery", "anchor", "recorder"):
            pids = found.get(role, [])
            one[f"{role} PSS kB"] = sum(map(self.memory, pids))
            one[f"{role} own kB"] = sum(self.memory(p, "Private_Dirty:") for p in pids)
            one[f"{role} descriptors"] = sum(map(self.descriptors, pids))
        return one

    def settled(self, seconds=60):
        """Waits until only the server's own processes are left, one of each; a child has its parent's name at first."""
        end, quiet = time.monotonic() + seconds, 0
        while time.monotonic() < end and quiet < 2:
            found = self.processes()
            alone = set(found) <= {"keeper", "listener", "nursery", "anchor", "recorder"}
            quiet = quiet + 1 if alone and all(len(pids) == 1 for pids in found.values()) else 0
            time.sleep(0.2)
        return quiet == 2

    def client(self, port, i, *words, **kw):
        """Login number `i`."""
        program = "ssh" if i % 10 == 0 else os.path.join(self.bin, "ssh")
        args = [program, "-F", "none", "-p", str(port), "-i", os.path.join(self.folder, "user"), "-o", "BatchMode=yes",
                "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR",
                "-o", "IdentitiesOnly=yes", "127.0.0.1", *words]
        return subprocess.run(args, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=300,
                              env={**os.environ, "XDG_STATE_HOME": os.path.join(self.folder, "state")}, **kw)


def workers(n, job):
    """job(i) for i in range(n), a few at a time."""
    numbers, lock = iter(range(n)), threading.Lock()

    def work():
        while True:
            with lock:
                i = next(numbers, None)
            if i is None:
                return
            job(i)

    threads = [threading.Thread(target=work) for _ in range(PARALLEL)]
    for t in threads:
        t.start()
    return threads


def load(server, cutter, name, n, job, end):
    """Runs it, at most until `end`; samples in between, each when the server has nothing to do."""
    samples, done, reloaded, begun = [], 0, False, time.monotonic()
    part = max(1, n // SAMPLES)
    while done < n and time.monotonic() < end:
        for t in workers(min(part, n - done), job):
            t.join()
        done += min(part, n - done)
        if not server.settled():
            print(f"  {name}: processes do not end: {server.processes()}")
        samples.append(server.sample())
        if not reloaded and (done >= n / 2 or time.monotonic() > (begun + end) / 2):
            reloaded = True
            server.process.send_signal(signal.SIGHUP)
            time.sleep(1)
        print(f"\r  {name}: {done} of {n}, {cutter.cuts} cut ", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    print(f"{name}: {done} of {n} in {(time.monotonic() - begun) / 60:.0f} minutes")
    return samples


def growth(name, samples):
    """Of what is sampled: the middle of the first quarter (after a start) against that of the last. True: it grew."""
    grew, quarter = False, max(1, len(samples) // 4)
    print(f"{name}: {len(samples)} samples")
    for key in samples[0]:
        values = [s[key] for s in samples]
        first, last = median(values[1:1 + quarter] or values), median(values[-quarter:])
        # PSS wanders with who else shares the libraries, so it is told and not judged; of memory of its own a
        # twentieth and 64 kB are noise.
        allowed = float("inf") if "PSS" in key else first * 0.05 + 64 if key.endswith("kB") else 0
        verdict = "grew" if last > first + allowed else ""
        grew = grew or verdict != ""
        print(f"  {key:22} first {first:8} last {last:8} lowest {min(values):8} highest {max(values):8} {verdict}")
    return grew


def soak(server, args):
    cutter, failed = Cutter(server.port), []
    data = os.path.join(server.folder, "data")
    with open(data, "wb") as out:
        out.write(os.urandom(2_000_000))

    def login(i):
        done = server.client(server.port if i % 3 == 0 else cutter.at, i, "echo", "here")
        if i % 3 == 0 and done.stdout != b"here\n":
            failed.append(f"login {i}: {done.returncode} {done.stdout[:100]}")

    def transfer(i):
        up = i % 2 == 0
        words = [f"cat > {server.folder}/up.{i % 8}"] if up else [f"cat {data}"]
        done = server.client(server.port if i % 3 == 0 else cutter.at, i, *words,
                             stdin=open(data, "rb") if up else subprocess.DEVNULL)
        if i % 3 == 0 and (done.returncode != 0 or (not up and len(done.stdout) != 2_000_000)):
            failed.append(f"transfer {i}: {done.returncode}, {len(done.stdout)} bytes")

    bad, begun = False, time.monotonic()
    for name, n, job, share in (("logins", args.logins, login, 0.75), ("transfers", args.transfers, transfer, 1)):
        if n > 0:
            bad |= growth(name, load(server, cutter, name, n, job, begun + share * args.minutes * 60))
    for line in failed[:20]:
        print(f"  failed without a cut: {line}")
    print(f"cut: {cutter.cuts}; failed without a cut: {len(failed)}")
    return bad or len(failed) > 0


def cpu(pid):
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12]) + int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")


def connects(server, n):
    """They say nothing and go."""
    server.settled()
    samples, seconds, parts = [], 0, 8
    roles = server.processes()
    pids = roles["keeper"] + roles["listener"]
    spent = sum(map(cpu, pids))
    for _ in range(parts):
        start = time.monotonic()
        for _ in range(n // parts):
            with socket.create_connection(("127.0.0.1", server.port)):
                pass
        seconds += time.monotonic() - start
        server.settled()
        samples.append(server.sample())
    now = server.processes()
    if now["listener"] == roles["listener"]:
        print(f"{n} connects without a login: {(sum(map(cpu, pids)) - spent) / n * 1e6:.0f} us of keeper, listener "
              f"and gates each, {n / seconds:.0f} a second")
    else:
        print(f"{n} connects without a login: {n / seconds:.0f} a second (the listener was replaced meanwhile, so its "
              "CPU is not summed)")
    return growth("connects", samples)


def half_open(server, n):
    """Links that stay before the login, and one that does log in."""
    held = []
    for _ in range(n):
        s = socket.create_connection(("127.0.0.1", server.port))
        held.append(s)
    time.sleep(2)
    times = []
    for _ in range(5):
        start = time.monotonic()
        good = server.client(server.port, 0, "true").returncode == 0
        times.append(time.monotonic() - start)
        if not good:
            print("a login past half-open links failed")
            return True
    roles = server.processes()
    memory = sum(server.memory(p) for p in roles.get("gate", []))
    print(f"{n} half-open links: {len(roles.get('gate', []))} gates, {memory / max(1, len(roles.get('gate', []))):.0f} "
          f"kB of PSS each; a login takes {median(times) * 1000:.0f} ms, at most {max(times) * 1000:.0f} ms")
    for s in held:
        s.close()
    left = not server.settled()
    if left:
        print(f"processes are left: {server.processes()}")
    return left


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--bin", default=os.path.join(TOP, "build"))
    p.add_argument("--logins", type=int, default=100_000)
    p.add_argument("--transfers", type=int, default=10_000)
    p.add_argument("--connects", type=int, default=10_000)
    p.add_argument("--half-open", type=int, default=2_000)
    p.add_argument("--minutes", type=float, default=float("inf"))
    args = p.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the server ends with us
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    server = Sshd(args)
    try:
        bad = soak(server, args)
        if args.connects > 0:
            bad |= connects(server, args.connects)
        if args.half_open > 0:
            bad |= half_open(server, args.half_open)
        with open(server.log, errors="replace") as f:
            # Cut and silent links are told as OpenSSH tells them.
            lines = [line for line in f.read().splitlines() if "[preauth]" not in line]
        print(f"other errors in the server's log: {len(lines)}")
        for line in lines[:10]:
            print(f"  {line}")
    finally:
        server.stop()
    print("GREW or failed" if bad else "nothing grew")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
