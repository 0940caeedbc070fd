#!/usr/bin/python3
"""Bowline beside the system's OpenSSH, in one run: interleaved, medians, ratios.

    bench/run.py --bin BUILD [--quick] [--only NAME,...] [--json FILE]

Needs root (accounts, control groups). Noise on a shared machine is large: compare only inside
one run; the ratio column is what counts.
"""
import argparse
import contextlib
import json
import os
import pty
import select
import shlex
import shutil
import subprocess
import sys
import tempfile
import termios
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from lab import Path, Suite, child_cpu, laboratory, median  # noqa: E402

NULL = subprocess.DEVNULL
MB = 1000 * 1000


class Bench:
    def __init__(self, args, ours, theirs):
        self.args, self.ours, self.theirs = args, ours, theirs
        self.rows = []
        self.build = args.bin
        # (label, client program, server)
        self.pairs = [("openssh", theirs.ssh, theirs), ("bowline", ours.ssh, ours)]
        self.mixed = [("openssh client, bowline server", theirs.ssh, ours),
                      ("bowline client, openssh server", ours.ssh, theirs)]

    def row(self, what, unit, theirs, ours, budget=None, mixed=()):
        ratio = ours / theirs if theirs else None
        self.rows.append({"what": what, "unit": unit, "openssh": theirs, "bowline": ours, "ratio": ratio,
                          "budget": budget, "mixed": dict(mixed)})
        verdict = "" if budget is None or ratio is None else "  ok" if ratio <= budget else "  over"
        extra = "".join(f"; {k}: {v:.3g}" for k, v in mixed)
        shown = "     -" if ratio is None else f"{ratio:6.3f}"
        limit = "" if budget is None else f" (budget {budget:.3g})"
        print(f"{what:<46} {theirs:>10.4g} {ours:>10.4g} {unit:<9} {shown}{limit}{verdict}{extra}", flush=True)

    # One measured call: wall, CPU of the client, CPU of the server.
    def call(self, client, server, *args, options=(), port=None, **kw):
        server_before, client_before, start = server.group.cpu(), child_cpu(), time.monotonic()
        done = subprocess.run(server.command(client, *args, options=options, port=port), stderr=subprocess.PIPE,
                              **{"stdin": NULL, "stdout": NULL, **kw})
        wall = time.monotonic() - start
        if done.returncode != 0:
            raise RuntimeError(f"{client} {args}: {done.returncode}: {done.stderr.decode(errors='replace')[-500:]}")
        time.sleep(0.05)  # the server's last steps
        return wall, child_cpu() - client_before, server.group.cpu() - server_before

    def bulk(self):
        size = (256 if self.args.quick else 1024) * 1024 * 1024
        rounds = 1 if self.args.quick else 3
        source = subprocess.run(["mktemp"], capture_output=True, text=True).stdout.strip()
        with open(source, "wb") as f:
            f.truncate(size)
        budgets = {"aes128-gcm@openssh.com": (0.75, 0.85), "chacha20-poly1305@openssh.com": (0.6, 0.5),
                   "aes128-ctr": (None, None)}
        for cipher, (down_budget, up_budget) in budgets.items():
            options = ["-c", cipher] + (["-m", "hmac-sha2-256-etm@openssh.com"] if cipher == "aes128-ctr" else [])
            for direction, budget in (("down", down_budget), ("up", up_budget)):
                took = {}
                for _ in range(rounds):
                    for label, client, server in self.pairs + self.mixed:
                        base = self.call(client, server, "true", options=options)
                        if direction == "down":
                            one = self.call(client, server, f"head -c {size} /dev/zero", options=options)
                        else:
                            with open(source, "rb") as f:
                                one = self.call(client, server, "cat >/dev/null", options=options, stdin=f)
                        gb = size / 1e9
                        took.setdefault(label, []).append(
                            ((one[1] + one[2] - base[1] - base[2]) / gb, size / MB / one[0],
                             (one[1] - base[1]) / gb, (one[2] - base[2]) / gb))
                m = {k: [median([r[i] for r in v]) for i in range(4)] for k, v in took.items()}
                name = cipher.split("@")[0] + (" etm" if "ctr" in cipher else "")
                self.row(f"bulk {name} {direction}: CPU, both sides", "s/GB", m["openssh"][0], m["bowline"][0], budget,
                         [(k, v[0]) for k, v in m.items() if "," in k])
                self.row("  client part", "s/GB", m["openssh"][2], m["bowline"][2])
                self.row("  server part", "s/GB", m["openssh"][3], m["bowline"][3])
                self.row("  speed", "MB/s", m["openssh"][1], m["bowline"][1], None,
                         [(k, v[1]) for k, v in m.items() if "," in k])
        os.remove(source)

    def sftp(self):
        """One file in memory, fetched and put by Debian's sftp: the server's CPU."""
        size = (256 if self.args.quick else 1000) * MB
        folder = tempfile.mkdtemp(prefix="bowline-bench-", dir="/dev/shm")
        os.chmod(folder, 0o777)
        with open(f"{folder}/file", "wb") as f:
            for _ in range(size // MB):
                f.write(os.urandom(MB))
        took = {}
        try:
            for _ in range(1 if self.args.quick else 3):
                for suite in (self.theirs, self.ours):
                    for what, line in (("get", f"get {folder}/file /dev/null"), ("put", f"put {folder}/file {folder}/copy")):
                        base = self.transfer(suite, "pwd")
                        one = self.transfer(suite, line)
                        took.setdefault((what, suite.name), []).append(((one[0] - base[0]) / size * 1e9, size / MB / one[1]))
                    os.remove(f"{folder}/copy")
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        for what in ("get", "put"):
            pair = [took[what, suite.name] for suite in (self.theirs, self.ours)]
            self.row(f"sftp {what}: CPU of the server", "s/GB", *(median([r[0] for r in v]) for v in pair), 0.4)
            self.row("  speed", "MB/s", *(median([r[1] for r in v]) for v in pair))

    @staticmethod
    def transfer(suite, line):
        """CPU of the server, wall."""
        command = suite.command("sftp", options=["-c", "aes128-gcm@openssh.com", "-b", "-"])
        command[command.index("-p")] = "-P"
        before, start = suite.group.cpu(), time.monotonic()
        subprocess.run(command, input=line.encode(), stdout=NULL, stderr=subprocess.PIPE, check=True)
        wall = time.monotonic() - start
        time.sleep(0.05)
        return suite.group.cpu() - before, wall

    # scp and sftp as clients, each with ssh of its suite.
    def copy(self, program, ssh, server, words, port=None, **kw):
        command = server.command(program, options=["-c", "aes128-gcm@openssh.com", "-q", "-S", ssh], port=port)
        command[command.index("-p")] = "-P"
        where = command.pop()
        if "sftp" in program:
            command += ["-b", "-", where]
        command += [w.replace("HOST", where) for w in words]
        server_before, client_before, start = server.group.cpu(), child_cpu(), time.monotonic()
        done = subprocess.run(command, stdout=NULL, stderr=subprocess.PIPE, **kw)
        wall = time.monotonic() - start
        if done.returncode != 0:
            raise RuntimeError(f"{command}: {done.returncode}: {done.stderr.decode(errors='replace')[-500:]}")
        time.sleep(0.05)
        return wall, child_cpu() - client_before, server.group.cpu() - server_before

    @contextlib.contextmanager
    def files(self, size, small=0):
        """A folder in memory with a file of this many bytes, and a folder of small ones."""
        folder = tempfile.mkdtemp(prefix="bowline-bench-", dir="/dev/shm")
        os.chmod(folder, 0o777)
        try:
            with open(f"{folder}/file", "wb") as f:
                for _ in range(size // MB):
                    f.write(os.urandom(MB))
            os.mkdir(f"{folder}/small")
            for i in range(small):
                with open(f"{folder}/small/{i}", "wb") as f:
                    f.write(os.urandom(4096))
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def sides(self):
        """Both suites, then each client with the other's server: label, folder of programs, ssh, server."""
        ours, theirs = os.path.dirname(self.ours.ssh), "/usr/bin"
        return [("openssh", theirs, self.theirs.ssh, self.theirs), ("bowline", ours, self.ours.ssh, self.ours),
                ("openssh client, bowline server", theirs, self.theirs.ssh, self.ours),
                ("bowline client, openssh server", ours, self.ours.ssh, self.theirs)]

    def copies(self):
        """One large file by scp, and many small ones: CPU of clients and servers, and time."""
        size, small = (256 if self.args.quick else 1000) * MB, 200 if self.args.quick else 2000
        took = {}
        with self.files(size, small) as folder:
            ways = {"scp get": ["HOST:" + f"{folder}/file", "/dev/null"], "scp put": [f"{folder}/file", f"HOST:{folder}/copy"],
                    f"scp -r get, {small} files": ["-r", f"HOST:{folder}/small", f"{folder}/back"],
                    f"scp -r put, {small} files": ["-r", f"{folder}/small", f"HOST:{folder}/there"]}
            for _ in range(1 if self.args.quick else 3):
                for label, programs, ssh, server in self.sides():
                    for what, words in ways.items():
                        took.setdefault((what, label), []).append(self.copy(f"{programs}/scp", ssh, server, words))
                    for name in ("copy", "back", "there"):
                        subprocess.run(["rm", "-rf", f"{folder}/{name}"], check=True)
        labels = [side[0] for side in self.sides()]
        for what in ways:
            m = {label: [median([r[i] for r in took[what, label]]) for i in range(3)] for label in labels}
            mixed = labels[2:]
            if "files" in what:
                self.row(f"{what}: time", "s", m["openssh"][0], m["bowline"][0], None, [(k, m[k][0]) for k in mixed])
                continue
            for i, part in ((1, "CPU of the client's side"), (2, "CPU of the server")):
                self.row(f"{what}: {part}", "s/GB", *(m[k][i] / size * 1e9 for k in labels[:2]), None,
                         [(k, m[k][i] / size * 1e9) for k in mixed])
            self.row("  speed", "MB/s", *(size / MB / m[k][0] for k in labels[:2]), None, [(k, size / MB / m[k][0]) for k in mixed])

    def far_copies(self):
        """One file on a path of 100 ms: what windows, requests and round trips leave of it."""
        size = (64 if self.args.quick else 512) * MB
        took = {}
        with self.files(size) as folder:
            ways = {"get": [f"HOST:{folder}/file", "/dev/null"], "put": [f"{folder}/file", f"HOST:{folder}/copy"]}
            for label, programs, ssh, server in self.sides():
                with Path(self.build, server.port, 50) as path:
                    for way, words in ways.items():
                        wall = self.copy(f"{programs}/scp", ssh, server, words, port=path.port)[0]
                        took[way, label] = size / MB / wall
                with contextlib.suppress(OSError):
                    os.remove(f"{folder}/copy")
        self.far_small(20 if self.args.quick else 200)
        labels = [side[0] for side in self.sides()]
        for way in ways:
            self.row(f"scp on a 100 ms path, {way}, login included", "MB/s", took[way, "openssh"], took[way, "bowline"], None,
                     [(k, took[way, k]) for k in labels[2:]])

    def far_small(self, count):
        """A folder of small files on a path of 50 ms."""
        took = {}
        with self.files(0, count) as folder:
            ways = {"get": ["-r", f"HOST:{folder}/small", f"{folder}/back"], "put": ["-r", f"{folder}/small", f"HOST:{folder}/there"]}
            for label, programs, ssh, server in self.sides():
                with Path(self.build, server.port, 25) as path:
                    for way, words in ways.items():
                        took[way, label] = self.copy(f"{programs}/scp", ssh, server, words, port=path.port)[0]
                for name in ("back", "there"):
                    shutil.rmtree(f"{folder}/{name}", ignore_errors=True)
        labels = [side[0] for side in self.sides()]
        for way in ways:
            self.row(f"scp -r {way} on a 50 ms path, {count} files", "s", took[way, "openssh"], took[way, "bowline"], None,
                     [(k, took[way, k]) for k in labels[2:]])

    def login(self):
        count = 10 if self.args.quick else 40
        took = {}
        for label, client, server in self.pairs + self.mixed:
            self.call(client, server, "true")
        for _ in range(count):
            for label, client, server in self.pairs + self.mixed:
                took.setdefault(label, []).append(self.call(client, server, "true"))
        m = {k: [median([r[i] for r in v]) * 1000 for i in range(3)] for k, v in took.items()}
        self.row("login: server CPU", "ms", m["openssh"][2], m["bowline"][2], 1 / 8,
                 [(k, v[2]) for k, v in m.items() if "," in k])
        self.row("login: client CPU (budget 2.5 ms)", "ms", m["openssh"][1], m["bowline"][1],
                 2.5 / m["openssh"][1], [(k, v[1]) for k, v in m.items() if "," in k])
        self.row("login: wall", "ms", m["openssh"][0], m["bowline"][0], 1 / 15,
                 [(k, v[0]) for k, v in m.items() if "," in k])

    # With PAM's stages in between, as Debian configures them.
    def pam(self):
        count = 10 if self.args.quick else 30
        suites = [(label, Suite(f"{label}-pam", server.ssh, sshd, server.folder, server.keys, server.account, pam=True))
                  for label, server, sshd in (("openssh", self.theirs, "/usr/sbin/sshd"),
                                              ("bowline", self.ours, f"{self.build}/bin/sshd"))]
        took = {}
        try:
            for _ in range(count + 1):
                for label, server in suites:
                    took.setdefault(label, []).append(self.call(server.ssh, server, "true"))
        finally:
            for _, server in suites:
                server.stop()
        m = {k: [median([r[i] for r in v[1:]]) * 1000 for i in range(3)] for k, v in took.items()}
        self.row("login with PAM: server CPU", "ms", m["openssh"][2], m["bowline"][2], 1 / 8)
        self.row("login with PAM: wall", "ms", m["openssh"][0], m["bowline"][0], 1 / 15)

    def parallel(self):
        count = 40 if self.args.quick else 160
        for at_once in (1, 8):
            rates = {}
            for label, client, server in self.pairs:
                share = max(count // at_once // (4 if label == "openssh" else 1), 1)
                command = shlex.join(server.command(client, "true"))
                script = f"for i in $(seq {share}); do {command} </dev/null >/dev/null 2>&1 || exit 1; done"
                start = time.monotonic()
                running = [subprocess.Popen(["sh", "-c", script]) for _ in range(at_once)]
                if any([p.wait() for p in running]):
                    raise RuntimeError(f"{client}: a login failed, {at_once} at once")
                rates[label] = share * at_once / (time.monotonic() - start)
            self.row(f"logins, {at_once} at once", "/s", rates["openssh"], rates["bowline"])

    def idle_pss(self, server, n, options, command, settle=6):
        """kB for each of n idle sessions; the client is ours for both servers. A holder gives memory back after 5 s."""
        base, sessions, own = server.group.pss_kb(), [], len(server.group.pids())
        run = server.command(self.ours.ssh, *command, options=["-o", "LogLevel=ERROR", *options])
        try:
            while len(sessions) < n:
                sessions += [subprocess.Popen(run, stdin=NULL, stdout=NULL, stderr=NULL) for _ in range(20)]
                # Two processes each, for both servers. On a busy machine logins take their time.
                with contextlib.suppress(RuntimeError):
                    wait_for(lambda: len(server.group.pids()) >= own + 2 * len(sessions), 30)
            time.sleep(settle + 2)
            alive = sum(p.poll() is None for p in sessions)
            if alive < n:
                print(f"  {server.name}: {n - alive} of {n} idle sessions ended early")
            return (server.group.pss_kb() - base) / max(alive, 1)
        finally:
            for p in sessions:
                p.kill()
            for p in sessions:
                p.wait()
            time.sleep(2)

    # With a terminal, on which a program sleeps: it is in both figures.
    def terminals(self):
        n, how = 40, (["-tt"], ["exec sleep 1000"])
        theirs = self.idle_pss(self.theirs, n, *how)
        self.row(f"PSS for each idle session with a terminal, at {n}", "kB", theirs, self.idle_pss(self.ours, n, *how), 1 / 6)

    # Ours alone: each may cost no more than with few.
    def many(self):
        few = self.idle_pss(self.ours, 60, ["-N"], [])
        self.row("PSS for each idle session, ours: at 60; at 5,000", "kB", few, self.idle_pss(self.ours, 5000, ["-N"], [], 10), 1.02)
        how = (["-tt"], ["exec sleep 10000"])
        few = self.idle_pss(self.ours, 60, *how)
        # Linux has 4,096 terminals.
        self.row("the same with a terminal: at 60; at 2,000", "kB", few, self.idle_pss(self.ours, 2000, *how, 10), 1.02)

    # A session that has moved 1 GB is as small as one that has not.
    def returned(self):
        for label, server in (("openssh", self.theirs), ("bowline", self.ours)):
            control = os.path.join(server.folder, f"mux-returned-{label}")
            time.sleep(3)  # those of before are gone
            base = server.group.pss_kb()
            master = subprocess.Popen(server.command(self.theirs.ssh, options=["-M", "-N", "-S", control]), stdin=NULL, stderr=NULL)
            try:
                wait_for(lambda: os.path.exists(control))
                time.sleep(6)
                before = server.group.pss_kb() - base
                subprocess.run(server.command(self.theirs.ssh, "head -c 1000000000 /dev/zero", options=["-S", control]),
                               stdin=NULL, stdout=NULL, check=True)
                time.sleep(14)  # ours gives back after 5 s of quiet
                self.row(f"PSS of a session before and after 1 GB: {label}", "kB", before, server.group.pss_kb() - base)
            finally:
                master.kill()
                master.wait()
                time.sleep(1)

    def memory(self):
        for n in (50,) if self.args.quick else (50, 1000):
            theirs, ours = (self.idle_pss(server, n, ["-N"], []) for server in (self.theirs, self.ours))
            self.row(f"PSS for each idle session, at {n}", "kB", theirs, ours, 1 / 6)

    def trips(self):
        took = {}
        for label, client, server in self.pairs + [self.mixed[1]]:
            with Path(self.build, server.port, 50) as near, Path(self.build, server.port, 100) as far:
                self.call(client, server, "true", port=near.port)
                walls = {p: median([self.call(client, server, "true", port=p.port)[0] for _ in range(3)]) for p in (near, far)}
                took[label] = (walls[far] - walls[near]) / 0.1
        self.row("round trips after TCP's, to the exit", "", took["openssh"], took["bowline"], 4.2 / took["openssh"],
                 [(k, v) for k, v in took.items() if "," in k])

    def far(self):
        size = (64 if self.args.quick else 512) * 1024 * 1024
        took = {}
        for label, client, server in self.pairs:
            with Path(self.build, server.port, 50) as path:
                base = self.call(client, server, "true", port=path.port)[0]
                wall = self.call(client, server, f"head -c {size} /dev/zero", port=path.port)[0]
                took[label, "down"] = size / MB / max(wall - base, 0.001)
                with open("/dev/zero", "rb") as zero:
                    feed = subprocess.Popen(["head", "-c", str(size)], stdin=zero, stdout=subprocess.PIPE)
                    wall = self.call(client, server, "cat >/dev/null", port=path.port, stdin=feed.stdout)[0]
                    feed.stdout.close()
                    feed.wait()
                took[label, "up"] = size / MB / max(wall - base, 0.001)
        for way in ("down", "up"):
            self.row(f"one channel on a 100 ms path, {way}", "MB/s", took["openssh", way], took["bowline", way])

    def keystrokes(self):
        count = 100 if self.args.quick else 400
        took = {}
        for label, client, server in self.pairs:
            # Keys that are hidden among others wait for a tick of 20 ms on purpose (10.5 does it, 9.2 does not).
            plain = ["-o", "ObscureKeystrokeTiming=no"] if client == self.ours.ssh else []
            took[label] = self.echo(client, server, count, plain)
        self.row("keystroke echo, idle: median", "us", took["openssh"][0], took["bowline"][0], 1.0)
        self.row("keystroke echo, idle: p99", "us", took["openssh"][1], took["bowline"][1])

    # A terminal and bulk data as two channels of one connection: the stock client's, which can
    # share one, for both servers.
    def beside(self):
        count = 200 if self.args.quick else 1000
        client = self.theirs.ssh
        for way, bulk in (("down", "cat /dev/zero"), ("up", "cat >/dev/null")):
            took = {}
            for label, server in (("openssh", self.theirs), ("bowline", self.ours)):
                control = os.path.join(server.folder, f"mux-{way}-{label}")
                shared = ["-S", control]
                with contextlib.ExitStack() as stack:
                    running = [subprocess.Popen(server.command(client, options=["-M", "-N", *shared]), stdin=NULL, stderr=NULL)]
                    stack.callback(lambda: [(p.kill(), p.wait()) for p in reversed(running)])
                    wait_for(lambda: os.path.exists(control))
                    zero = stack.enter_context(open("/dev/zero", "rb"))
                    running.append(subprocess.Popen(server.command(client, bulk, options=shared),
                                                    stdin=zero if way == "up" else NULL, stdout=NULL, stderr=NULL))
                    time.sleep(0.5)
                    took[label] = self.echo(client, server, count, shared)
            for i, what in enumerate(("median", "p99")):
                self.row(f"keystroke echo beside bulk {way}: {what}", "us", took["openssh"][i], took["bowline"][i],
                         2000 / took["openssh"][i] if what == "p99" else None)

    # The server's CPU for a key exchange with somebody who then goes away.
    def handshake(self):
        count = 20 if self.args.quick else 100
        took = {}
        for label, server in (("openssh", self.theirs), ("bowline", self.ours)):
            per = []
            for _ in range(count):
                before = server.group.cpu()
                subprocess.run(["ssh-keyscan", "-t", "ed25519", "-p", str(server.port), "127.0.0.1"], stdout=NULL, stderr=NULL,
                               check=True)
                time.sleep(0.05)
                per.append((server.group.cpu() - before) * 1000)
            took[label] = median(per)
        self.row("key exchange without a login: server CPU", "ms", took["openssh"], took["bowline"])

    @staticmethod
    def echo(client, server, count, options=()):
        pid, fd = pty.fork()
        if pid == 0:
            os.execvp(client, server.command(client, "stty raw -echo; echo ready; exec cat",
                                             options=["-tt", "-e", "none", *options]))
        attributes = termios.tcgetattr(fd)
        attributes[3] &= ~(termios.ECHO | termios.ICANON)
        termios.tcsetattr(fd, termios.TCSANOW, attributes)
        seen = b""
        while b"ready" not in seen:
            if not select.select([fd], [], [], 10)[0]:
                raise RuntimeError(f"{client}: no answer on the terminal: {seen!r}")
            seen += os.read(fd, 4096)
        time.sleep(0.3)
        while select.select([fd], [], [], 0)[0]:
            os.read(fd, 4096)
        times = []
        for i in range(count):
            start = time.perf_counter()
            os.write(fd, b"abcdefgh"[i % 8:i % 8 + 1])
            if not select.select([fd], [], [], 5)[0]:
                raise RuntimeError(f"{client}: a keystroke got no echo")
            os.read(fd, 4096)
            times.append((time.perf_counter() - start) * 1e6)
            time.sleep(0.01)
        os.kill(pid, 15)
        os.close(fd)
        os.waitpid(pid, 0)
        times.sort()
        return median(times), times[len(times) * 99 // 100]

    def programs(self):
        took = {}
        for label, client in (("openssh", self.theirs.ssh), ("bowline", self.ours.ssh)):
            runs = []
            for _ in range(30):
                start = time.monotonic()
                subprocess.run([client, "-V"], stdout=NULL, stderr=NULL)
                runs.append((time.monotonic() - start) * 1000)
            took[label] = median(runs)
        self.row("ssh -V", "ms", took["openssh"], took["bowline"], 1.0)
        theirs = ["/usr/bin/ssh", "/usr/sbin/sshd", "/usr/bin/ssh-keygen"]
        size_theirs = sum(os.path.getsize(p) for p in theirs if os.path.exists(p))
        stripped = 0
        for p in ("ssh", "sshd", "ssh-keygen"):
            subprocess.run(["strip", "-o", "/tmp/bowline-strip", os.path.join(self.build, "bin", p)], check=True)
            stripped += os.path.getsize("/tmp/bowline-strip")
            os.remove("/tmp/bowline-strip")
        self.row("size of ssh, sshd, ssh-keygen (stripped)", "kB", size_theirs / 1000, stripped / 1000, 1.0)


def wait_for(condition, seconds=10):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError("bench: waited in vain")
        time.sleep(0.02)


# `many` is for asking by name: it takes minutes, and gigabytes for the clients.
NAMES = ["programs", "login", "pam", "parallel", "handshake", "trips", "keystrokes", "beside", "far", "memory", "terminals",
         "returned", "bulk", "sftp", "copies", "far_copies"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", required=True)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", default=",".join(NAMES))
    parser.add_argument("--json")
    args = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("bench: needs root (throw-away account, control groups)")
    if shutil.which("sshd", path="/usr/sbin:/usr/bin") is None:
        sys.exit("bench: openssh-server is not installed (scripts/bootstrap bench)")
    with laboratory() as (folder, account):
        # sshd's modes are strict about the folder's owner only in StrictModes; see lab.py.
        suites = []
        try:
            suites.append(Suite("openssh", "/usr/bin/ssh", "/usr/sbin/sshd", folder, folder, account))
            suites.append(Suite("bowline", f"{args.bin}/bin/ssh", f"{args.bin}/bin/sshd", folder, folder, account))
            bench = Bench(args, suites[1], suites[0])
            print(f"{'':<46} {'openssh':>10} {'bowline':>10} {'':<9}  ratio")
            for name in args.only.split(","):
                getattr(bench, name)()
        finally:
            for suite in suites:
                suite.stop()
    if args.json:
        with open(args.json, "w") as f:
            json.dump(bench.rows, f, indent=1)


main()
