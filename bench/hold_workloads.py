"""What runs in bench/hold.py while its path fails: five workloads, each of which accounts for every byte."""
import contextlib
import hashlib
import os
import pty
import random
import select
import socket
import subprocess
import termios
import threading
import time

from lab import free_port

PATIENCE = 150  # seconds without a byte: the run has failed
LOGIN_BYTES = 12000  # more than a login takes, both ways together


class Failure(Exception):
    """A workload that did not do what it should; its processes are still as they were."""

    witness = None  # looks at them

    def __init__(self, text):
        super().__init__(text)
        if self.witness is not None and threading.current_thread() is threading.main_thread():
            type(self).witness()


class Result:
    """What happened; runs that ended, bytes lost and doubled, seconds."""

    def __init__(self):
        self.failed = self.lost = self.doubled = self.cuts = self.links = self.under_way = self.signed = 0
        self.seconds, self.back, self.notes = 0.0, [], []

    def add(self, part):
        for name, value in part.items():
            setattr(self, name, getattr(self, name) + value)


def communicate(process):
    try:
        return process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        raise Failure("it did not come back") from None


def compare(result, sent, got):
    """Two sequences that should be the same."""
    if sent == got:
        return
    i = next((i for i, (a, b) in enumerate(zip(sent, got)) if a != b), min(len(sent), len(got)))
    result.lost += max(0, len(sent) - len(got))
    result.doubled += max(0, len(got) - len(sent))
    raise Failure(f"differs from {i} of {len(sent)} on: {sent[i:i + 40]!r} became {got[i:i + 40]!r}")


# ---- a terminal ----

class Terminal:
    """Numbered lines typed at a terminal, and what `cat` says of them."""

    def __init__(self, bench, result):
        self.result, self.sent, self.got, self.lines, self.rest = result, bytearray(), 0, 0, b""
        self.master, slave = pty.openpty()
        mode = termios.tcgetattr(slave)
        mode[3] &= ~(termios.ECHO | termios.ICANON)
        termios.tcsetattr(slave, termios.TCSANOW, mode)
        os.set_blocking(self.master, False)
        self.ssh = subprocess.Popen(bench.ssh("stty raw -echo; echo ready; exec cat", options=(
            "-tt", "-e", "none", "-o", "LogLevel=QUIET")),
            stdin=slave, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        os.close(slave)

    def ready(self):
        text = b""
        while not text.rstrip().endswith(b"ready"):
            if not select.select([self.ssh.stdout], [], [], 20)[0]:
                raise Failure("no session")
            data = os.read(self.ssh.stdout.fileno(), 65536)
            if not data:
                raise Failure(f"no session: ssh {self.ssh.wait(5)}")
            text += data

    def type(self):
        line = b"line %d of the terminal\n" % self.lines
        self.lines += 1
        self.rest += line
        self.sent += line
        self.push()

    def push(self):
        with contextlib.suppress(BlockingIOError):
            while self.rest:
                self.rest = self.rest[os.write(self.master, self.rest):]

    def take(self, seconds):
        self.push()
        if not select.select([self.ssh.stdout], [], [], seconds)[0]:
            return
        data = os.read(self.ssh.stdout.fileno(), 65536)
        if not data:
            raise Failure(f"ended with {self.ssh.wait(5)}")
        if data != self.sent[self.got:self.got + len(data)]:
            if data in self.sent[:self.got]:
                self.result.doubled += len(data)
            compare(self.result, bytes(self.sent[self.got:self.got + len(data)]), data)
        self.got += len(data)

    def until(self, end):
        limit = time.monotonic() + PATIENCE
        while self.got < end:
            self.take(0.05)
            if time.monotonic() > limit:
                self.result.lost += len(self.sent) - self.got
                raise Failure(f"{len(self.sent) - self.got} bytes did not come back")

    def close(self):
        self.ssh.kill()
        self.ssh.wait()
        os.close(self.master)


def workload_terminal(bench, result):
    with contextlib.closing(Terminal(bench, result)) as t:
        t.ready()
        while bench.cuts < bench.wanted:
            bench.arm(bench.power(2, 4))
            while not bench.back.is_set():
                if not bench.quiet.is_set() and len(t.sent) - t.got < 400000:
                    t.type()
                t.take(0.1 if bench.happening else 0.01)
            t.type()
            t.until(len(t.sent))
            if not bench.twice:
                result.back.append(time.monotonic() - bench.back_at)
        t.until(len(t.sent))


# ---- files ----

def digest(path):
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").digest()


def sftp_options(words):
    """ssh's options as sftp takes them."""
    return ["-P" if w == "-p" else w for w in words]


def make_file(path, rng, mib):
    """Its hash."""
    made = hashlib.sha256()
    with open(path, "wb") as f:
        for _ in range(mib):
            data = rng.randbytes(1 << 20)
            made.update(data)
            f.write(data)
    return made.digest()


def wait_moving(bench, process):
    """Until it ends, as long as bytes pass."""
    seen, limit = 0, time.monotonic() + PATIENCE
    while process.poll() is None:
        moved, seen = bench.path.stat()[2] != seen, bench.path.stat()[2]
        if moved or bench.happening:
            limit = time.monotonic() + PATIENCE
        if time.monotonic() > limit:
            raise Failure("it does not move any more")
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(0.5)


def transfer(bench, command):
    sftp = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        wait_moving(bench, sftp)
        said = sftp.stderr.read()
        if sftp.returncode != 0:
            raise Failure(f"sftp {sftp.returncode}: {said[-200:]!r}")
    finally:
        sftp.terminate()  # and by that its ssh
        sftp.wait()
        sftp.stderr.close()


def workload_sftp(bench, result):
    """A file to and fro by Debian's sftp over our ssh, and Debian's sftp-server below our sshd; failures are spread over all of it."""
    local, back, batch = (os.path.join(bench.folder, n) for n in ("local", "back", "batch"))
    made = make_file(local, bench.rng, bench.args.size)
    with open(batch, "w") as f:
        f.write(f"put {local} there\nget there {back}\nrm there\n")
    words = bench.suite.command(bench.suite.ssh, options=bench.OPTIONS)
    command = bench.path.client("sftp", "-q", "-S", bench.suite.ssh, "-b", batch, *sftp_options(words[1:-1]), words[-1])
    apart = (bench.args.size << 20) * 2 / bench.wanted
    while bench.cuts < bench.wanted:
        bench.arm_always(lambda: int(bench.rng.uniform(0.001, 1.8) * apart), first=LOGIN_BYTES)
        transfer(bench, command)
        bench.disarm()
        if digest(back) != made:
            result.lost += 1
            raise Failure("the file came back changed")
        os.unlink(back)


# ---- streams ----

class Service:
    """Threads that serve(socket) whoever connects, to a port of its own or to a path."""

    def __init__(self, path=None):
        if path is None:
            self.listening = socket.create_server(("127.0.0.1", 0), backlog=64)
            self.port = self.listening.getsockname()[1]
        else:
            self.listening = socket.socket(socket.AF_UNIX)
            self.listening.bind(path)
            self.listening.listen(64)
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while True:
            try:
                s, _ = self.listening.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(s,), daemon=True).start()

    def close(self):
        self.listening.close()


class Echo(Service):
    """Says what it hears."""

    @staticmethod
    def serve(s):
        with s, contextlib.suppress(OSError):
            while data := s.recv(65536):
                s.sendall(data)


def connect(where):
    if isinstance(where, int):
        return socket.create_connection(("127.0.0.1", where), 10)
    s = socket.socket(socket.AF_UNIX)
    s.connect(where)
    return s


def receive(s, n, stop):
    """So many bytes. While the path fails a stream may starve behind others; when it does not any more, all has to come."""
    got, limit = bytearray(), None
    s.settimeout(1)
    while len(got) < n:
        if limit is None and stop.is_set():
            limit = time.monotonic() + PATIENCE
        if limit is not None and time.monotonic() > limit:
            break
        with contextlib.suppress(TimeoutError):
            more = s.recv(65536)
            if not more:
                raise Failure("the stream ended")
            got += more
    return got


def one_stream(where, seed, stop, problems):
    rng = random.Random(seed)
    try:
        with connect(where) as s:
            while not stop.wait(rng.random() / 4):
                data = rng.randbytes(rng.randrange(1, 12000))
                s.settimeout(None)
                s.sendall(data)  # as much as the system's buffers hold
                got = receive(s, len(data), stop)
                if len(got) < len(data):
                    raise Failure(f"{where}: {len(got)} of {len(data)} bytes")
                if hashlib.sha256(got).digest() != hashlib.sha256(data).digest():
                    raise Failure("the stream was changed")
    except (OSError, Failure) as e:
        problems.append(str(e))


def wait_until(what, condition, ssh, seconds=20):
    end = time.monotonic() + seconds
    while time.monotonic() < end and ssh.poll() is None:
        with contextlib.suppress(OSError):
            if condition():
                return
        time.sleep(0.05)
    raise Failure(what)


def reaches(where):
    connect(where).close()
    return True


def workload_streams(bench, result):
    """20 forwarded connections at once, half of them with -L and half with -R, each echoed and compared."""
    near, far = (os.path.join(bench.folder, f"{n}{bench.serial}") for n in ("near", "far"))
    port = free_port()
    with contextlib.closing(Echo()) as there, contextlib.closing(Echo(far)):
        ssh = subprocess.Popen(bench.ssh(options=("-N", "-L", f"{near}:127.0.0.1:{there.port}", "-R", f"127.0.0.1:{port}:{far}")),
                               stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        problems, stop = [], threading.Event()
        threads = [threading.Thread(target=one_stream, args=(where, bench.rng.random(), stop, problems))
                   for where in [near, port] * 10]
        try:
            wait_until("the forwardings did not come up", lambda: reaches(near) and reaches(port), ssh)
            for t in threads:
                t.start()
            bench.arm_always(lambda: bench.power(3, 5.7))
            while bench.cuts < bench.wanted and not problems and ssh.poll() is None:
                time.sleep(0.05)
            bench.disarm()
            time.sleep(1)
            stop.set()
            for t in threads:
                t.join()
            if ssh.poll() is not None:
                raise Failure(f"ssh ended: {ssh.stderr.read()[-200:]!r}")
            if problems:
                result.lost += len(problems)
                raise Failure(f"{len(problems)} of 20: {problems[0]}")
        finally:
            stop.set()
            ssh.kill()
            ssh.wait()


# ---- a command that ends while nobody is there ----

def let_end(pipe, ssh):
    """The command goes on to its end, as soon as it waits for it."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and ssh.poll() is None:
        with contextlib.suppress(OSError):
            fd = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
            os.write(fd, b"x\n")
            os.close(fd)
            return
        time.sleep(0.005)


def workload_exec(bench, result):
    """The command is let end when the fault has begun; output and status are waited for."""
    pipe = os.path.join(bench.folder, f"pipe{bench.serial}")
    os.mkfifo(pipe)
    os.chmod(pipe, 0o666)
    command = f"head -c 300000 /dev/zero | tr '\\0' x; read l <{pipe}; printf end; exit 7"
    while bench.cuts < bench.wanted:
        ssh = subprocess.Popen(bench.ssh(command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            first = os.read(ssh.stdout.fileno(), 1)
            if not first:
                raise Failure(f"no session: {ssh.communicate()[1][-200:]!r}")
            time.sleep(bench.rng.uniform(0, 0.4))
            bench.strike()
            let_end(pipe, ssh)
            out, err = communicate(ssh)
        finally:
            ssh.kill()
            ssh.wait()
        compare(result, b"x" * 300000 + b"end", first + out)
        if ssh.returncode != 7:
            raise Failure(f"status {ssh.returncode}: {err[-200:]!r}")
        bench.back.wait(PATIENCE)


# ---- an agent ----

class SlowAgent(Service):
    """Before a real agent: each answer takes a while, so that there is nearly always a request that waits."""

    def __init__(self, path, agent):
        self.agent, self.waiting = agent, set()
        super().__init__(path)

    def serve(self, s):
        with contextlib.suppress(OSError), s, connect(self.agent) as a:
            threading.Thread(target=self.answer, args=(a, s), daemon=True).start()
            while request := s.recv(65536):
                self.waiting.add(s)
                a.sendall(request)
            self.waiting.discard(s)

    def answer(self, a, s):
        with contextlib.suppress(OSError):
            while answer := a.recv(65536):
                time.sleep(random.random() / 4)
                self.waiting.discard(s)
                s.sendall(answer)


def dots(ssh, n):
    """The far side has gone on by so many steps; 0: what it has said is forgotten."""
    limit = time.monotonic() + PATIENCE
    while n > 0 or select.select([ssh.stdout], [], [], 0)[0]:
        if not select.select([ssh.stdout], [], [], 1)[0]:
            if time.monotonic() > limit:
                raise Failure("nothing is signed any more")
            continue
        data = os.read(ssh.stdout.fileno(), 4096)
        if not data:
            raise Failure(f"ended: {ssh.communicate()[1][-300:]!r}")
        n -= len(data)


def workload_agent(bench, result):
    """Signatures asked of an agent on this side, all the time."""
    real, slow, enough = (os.path.join(bench.folder, f"{n}{bench.serial}") for n in ("agent", "slow", "enough"))
    agent, ssh = subprocess.Popen(["ssh-agent", "-D", "-a", real], stdout=subprocess.DEVNULL), None
    # In the account's home, which goes with it.
    script = (f"echo ready; i=0; while [ ! -e {enough} ]; do ssh-add -L >key && printf . && ssh-add -T key && printf . || exit 9; "
              "i=$((i+1)); done; echo fine $i")
    try:
        wait_until("no agent", lambda: reaches(real), agent)
        subprocess.run(["ssh-add", "-q", os.path.join(bench.folder, "user")], env=dict(os.environ, SSH_AUTH_SOCK=real), check=True,
                       stderr=subprocess.DEVNULL)
        with contextlib.closing(SlowAgent(slow, real)) as s:
            bench.noting = lambda: len(s.waiting) > 0
            ssh = subprocess.Popen(bench.ssh(script, options=("-A",)), bufsize=0, env=dict(os.environ, SSH_AUTH_SOCK=slow),
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            if ssh.stdout.readline() != b"ready\n":
                raise Failure(f"no session: {ssh.communicate()[1][-200:]!r}")
            time.sleep(1)  # until the server knows that the client knows what to come back to
            while bench.cuts < bench.wanted:
                dots(ssh, 0)
                if bench.rng.random() < 0.3:
                    bench.arm(bench.power(2, 3.5))
                else:
                    wait_until("nobody asks the agent", lambda: s.waiting, ssh, PATIENCE)
                    bench.strike()
                bench.back.wait(PATIENCE)
                dots(ssh, 2)
            with open(enough, "w"):
                pass
            out, err = communicate(ssh)
            if ssh.returncode != 0 or b"fine" not in out:
                raise Failure(f"status {ssh.returncode}: {out!r} {err[-200:]!r}")
            result.signed += int(out.split()[-1])
    finally:
        bench.noting = None
        for process in (ssh, agent):
            if process is not None:
                process.terminate()
                process.wait()


WORKLOADS = {name[9:]: f for name, f in list(globals().items()) if name.startswith("workload_")}
