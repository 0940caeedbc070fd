"""When the machine has nothing left: disks that are full, no terminals, processes, descriptors or memory. Each time a line of the log
says what was wanted, sessions that are there go on untouched, and all is well again as soon as there is room."""
import contextlib
import os
import resource
import shutil
import socket
import subprocess

import pytest
import rawssh
from conftest import ASAN, SLOW, USER, free_port, needs_root, tool, wait_until
from processes import of_session
from rawssh import boolean, string, u32

pytestmark = needs_root
UNASKED = (rawssh.GLOBAL_REQUEST, rawssh.CHANNEL_WINDOW_ADJUST, rawssh.CHANNEL_EXTENDED_DATA, rawssh.IGNORE, rawssh.DEBUG, rawssh.EXT_INFO,
           rawssh.CHANNEL_SUCCESS, rawssh.CHANNEL_FAILURE, rawssh.CHANNEL_REQUEST, rawssh.CHANNEL_EOF, rawssh.CHANNEL_CLOSE)
PTY = string("xterm") + u32(80) + u32(24) + u32(0) + u32(0) + string("")


@pytest.fixture
def everybody(keys, scratch):
    """Our key in a file that every account can read."""
    os.chmod(scratch, 0o755)
    path = shutil.copy(keys.authorized_keys, f"{scratch}/authorized_keys")
    os.chmod(path, 0o644)
    return {"authorized": path}


class Session:
    """A session that was there before, with a `cat` to talk to."""

    def __init__(self, server, keys, user=USER, path=None):
        self.peer = rawssh.logged_in(server.port, user, path or keys.path("user"))
        self.peer.sock.settimeout(20 * SLOW)
        self.channel = self.peer.open_session()
        assert self.run(self.channel, "cat")

    def asked(self, channel, name, fields=b""):
        """True: the request was granted."""
        self.peer.request(channel, name, fields)
        skip = tuple(n for n in UNASKED if n not in (rawssh.CHANNEL_SUCCESS, rawssh.CHANNEL_FAILURE)) + (rawssh.CHANNEL_DATA,)
        return self.peer.expect(rawssh.CHANNEL_SUCCESS, rawssh.CHANNEL_FAILURE, skip=skip)[0] == rawssh.CHANNEL_SUCCESS

    def run(self, channel, command):
        return self.asked(channel, "exec", string(command))

    def another(self, number):
        """A further channel of this connection."""
        self.peer.send(bytes([rawssh.CHANNEL_OPEN]) + string("session") + u32(number) + u32(1 << 21) + u32(1 << 15))
        answer = self.peer.expect(rawssh.CHANNEL_OPEN_CONFIRMATION, skip=(*UNASKED, rawssh.CHANNEL_DATA))
        return int.from_bytes(answer[5:9], "big")

    def untouched(self):
        self.peer.send(bytes([rawssh.CHANNEL_DATA]) + u32(self.channel) + string("here"))
        while (answer := self.peer.expect(rawssh.CHANNEL_DATA, skip=UNASKED))[1:5] != u32(0):
            pass  # another channel's
        return answer.endswith(b"here")

    def close(self):
        self.peer.close()


@contextlib.contextmanager
def session(server, keys, **kw):
    made = Session(server, keys, **kw)
    yield made
    made.close()


def gets_in(server, keys, user=USER, seconds=10):
    """None: no login. The first line of output of a command."""
    try:
        peer = rawssh.connect(server.port)
        peer.sock.settimeout(seconds * SLOW)
        peer.start()
        peer.exchange()
        if not peer.login(user, rawssh.load_key(keys.path("user"))):
            return False
        channel = peer.open_session()
        peer.request(channel, "exec", string("echo in"))
        return peer.expect(rawssh.CHANNEL_DATA, skip=UNASKED).endswith(b"in\n")
    except (rawssh.Closed, OSError, AssertionError):
        return False
    finally:
        with contextlib.suppress(UnboundLocalError):
            peer.close()


def roles(server):
    """{role: [pid]} of a server's processes, by their titles."""
    found = {}
    for p in of_session(server.process.pid):
        if p.state != "Z":
            found.setdefault(p.title.removeprefix("sshd: ").split(" ")[0], []).append(p.pid)
    return found


# ---- disks ----

PAGE = 4096  # of tmpfs


@contextlib.contextmanager
def small_disk(folder):
    """A file system of 64 kB."""
    os.makedirs(folder, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=755", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def fill(folder):
    with contextlib.suppress(OSError):
        with open(f"{folder}/filler", "wb", buffering=0) as f:
            while True:
                f.write(bytes(PAGE))


def test_log_and_events_on_a_full_disk(lab, keys):
    """Lines are lost while there is no room, nobody waits for it, and later ones are written."""
    with small_disk(f"{lab.folder}/disk") as disk:
        server = lab.sshd(f"EventLog {disk}/events\n", args=("-E", f"{disk}/log"))
        with session(server, keys) as before:
            fill(disk)
            # The last pages of both files have room for some lines more.
            for _ in range(40):
                assert gets_in(server, keys)
                if all(os.path.getsize(f"{disk}/{name}") % PAGE == 0 for name in ("events", "log")):
                    break
            assert gets_in(server, keys)
            assert before.untouched()
            # A last line may have found some room.
            size = os.path.getsize(f"{disk}/log")
            os.unlink(f"{disk}/filler")
            assert gets_in(server, keys) and before.untouched()
            assert wait_until(lambda: os.path.getsize(f"{disk}/log") > size)
            with open(f"{disk}/events") as events, open(f"{disk}/log") as log:
                assert wait_until(lambda: "lost" in open(f"{disk}/log").read()), log.read()
                # What was begun when the disk was full stays alone on its line.
                assert sum(not (line.startswith("{") and line.endswith("}\n")) for line in events) <= 1
        server.stop()


def namespace_server(lab, furnish, **kw):
    """A server in a mount namespace of its own that the shell words `furnish` prepare."""
    port = free_port()
    config = lab.config(port, "PerSourcePenalties no\n", **kw)
    words = f"{furnish}\nexec {tool('sshd')} -D -e -f {config}"
    return lab._start("sshd", ["unshare", "--mount", "sh", "-ec", words], port)


def test_records_on_a_full_disk(lab, keys, account, everybody):
    """utmp, wtmp, lastlog and btmp can not be written: people get their terminals."""
    disk = f"{lab.folder}/disk"
    os.mkdir(disk)
    # A run in this place of its own, for /run/utmp need not be there.
    server = namespace_server(lab, f"mount -t tmpfs -o size=16k tmpfs {disk}; touch {disk}/utmp {disk}/wtmp {disk}/lastlog {disk}/btmp; "
                              f"mount --bind {disk} /var/log; [ ! -e /run/utmp ] || mount --bind {disk}/utmp /run/utmp; "
                              f"dd if=/dev/zero of={disk}/filler bs=1k status=none || true", **everybody)
    with session(server, keys) as before:
        peer = rawssh.logged_in(server.port, account.name, keys.path("user"))
        channel = peer.open_session()
        peer.request(channel, "pty-req", PTY)
        peer.request(channel, "exec", string("tty"))
        assert b"/dev/pts/" in peer.expect(rawssh.CHANNEL_DATA, skip=UNASKED)
        peer.close()
        assert before.untouched()
    server.stop()


def test_home_on_a_full_disk(lab, keys, account, everybody):
    """xauth can not write ~/.Xauthority (and does not say so by its status): the session works."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size=16k,uid={account.uid},mode=755", "tmpfs", account.home], check=True)
    try:
        if shutil.which("xauth") is None:
            pytest.skip("xauth is not installed")
        fill(account.home)
        server = lab.sshd("X11Forwarding yes\n", **everybody)
        with session(server, keys) as before:
            with session(server, keys, user=account.name) as theirs:
                channel = theirs.another(1)
                assert theirs.asked(channel, "x11-req", boolean(False) + string("MIT-MAGIC-COOKIE-1") + string("00" * 16) + u32(0))
                assert theirs.run(channel, "echo on")
                assert theirs.untouched() and before.untouched()
    finally:
        subprocess.run(["umount", "-l", account.home], check=True)


# ---- terminals ----

def test_no_terminals(lab, keys):
    server = namespace_server(lab, "mount -t devpts -o newinstance,ptmxmode=666,mode=600,max=1 devpts /dev/pts; "
                              "mount --bind /dev/pts/ptmx /dev/ptmx")
    with session(server, keys) as before:
        first, second = before.another(1), before.another(2)
        assert before.asked(first, "pty-req", PTY)
        assert not before.asked(second, "pty-req", PTY)
        server.wait_log("no terminal for ")
        # Without one the command runs all the same, as OpenSSH has it.
        assert before.run(second, "true") and before.untouched()
        with session(server, keys) as other:
            assert other.untouched()
    server.stop()


# ---- processes ----

PIDS = "/sys/fs/cgroup/pids" if os.path.isdir("/sys/fs/cgroup/pids") else "/sys/fs/cgroup"


@contextlib.contextmanager
def process_limit(pid):
    """A control group for a server's processes; yields a function that sets how many more there may be than keeper, nursery, anchor,
    listener and one session with its program (None: any number)."""
    path = f"{PIDS}/bowline-test-{os.getpid()}"
    try:
        os.mkdir(path)
    except OSError as e:
        pytest.skip(f"no control groups: {e}")
    if not os.path.exists(f"{path}/pids.max"):
        os.rmdir(path)
        pytest.skip("no control group counts processes here")

    def limit(more):
        assert more is None or wait_until(lambda: int(open(f"{path}/pids.current").read()) == 7)
        with open(f"{path}/pids.max", "w") as f:
            f.write("max" if more is None else str(7 + more))
    try:
        with open(f"{path}/cgroup.procs", "w") as f:
            f.write(str(pid))
        yield limit
    finally:
        # What is left of it goes back to where we are.
        for left in open(f"{path}/cgroup.procs").read().split():
            with contextlib.suppress(OSError):
                with open(f"{PIDS}/cgroup.procs", "w") as f:
                    f.write(left)
        assert wait_until(lambda: not os.system(f"rmdir {path} 2>/dev/null"))


@pytest.mark.parametrize("more,line", [(0, "no gate for"), (1, "no process for the judge")])
def test_no_processes(lab, keys, more, line):
    """The listener can make no gate, the nursery no judge, the holder no program."""
    port = free_port()
    # The group first, so that all of the server's processes are in it.
    go, config = f"{lab.folder}/go", lab.config(port, "PerSourcePenalties no\n")
    os.mkfifo(go)
    server = lab._start("sshd", ["sh", "-c", f"read x < {go}; exec {tool('sshd')} -D -e -f {config}"], port, wait=False)
    with process_limit(server.process.pid) as limit:
        with open(go, "w") as f:
            f.write("go\n")
        assert wait_until(lambda: gets_in(server, keys), 10)
        with session(server, keys) as before:
            limit(more)
            assert not gets_in(server, keys, seconds=2)
            server.wait_log(line)
            if more == 0:
                before.run(before.another(1), "true")
                server.wait_log("Resource temporarily unavailable for ")
            assert before.untouched()
            limit(None)
            assert wait_until(lambda: gets_in(server, keys))
            assert before.untouched()
        server.stop()


def limit_process(pid, **limits):
    """Sets limits of a process as its own user: root may lack what it takes."""
    ids = dict(line.split(":\t") for line in open(f"/proc/{pid}/status") if line[:4] in ("Uid:", "Gid:"))
    subprocess.run(["setpriv", f"--reuid={ids['Uid'].split()[0]}", f"--regid={ids['Gid'].split()[0]}", "--clear-groups", "prlimit",
                    f"--pid={pid}", *(f"--{name}={value}" for name, value in limits.items())], check=True)


def holder_of(server, user):
    return wait_until(lambda: roles(server).get(user))[0]


def test_no_processes_for_a_user(lab, keys, account, everybody):
    """RLIMIT_NPROC of the account: its programs are refused with a line, others go on."""
    server = lab.sshd(**everybody)
    with session(server, keys) as before, session(server, keys, user=account.name) as theirs:
        limit_process(holder_of(server, account.name), nproc="4:4")
        for n in range(1, 6):
            theirs.run(theirs.another(n), "exec sleep 30")
        server.wait_log(f"Resource temporarily unavailable for {account.name}")
        assert theirs.untouched() and before.untouched()


# ---- descriptors ----

def test_no_descriptors(lab, keys):
    """More links than the keeper has descriptors for: those are not served, and later ones are."""
    port = free_port()
    server = lab._start("sshd", ["prlimit", "--nofile=40:40", tool("sshd"), "-D", "-e", "-f",
                                 lab.config(port, "PerSourcePenalties no\nMaxStartups 500\n")], port)
    with session(server, keys) as before:
        held = []
        for _ in range(60):
            held.append(socket.create_connection(("127.0.0.1", port), 5))
        server.wait_log("no descriptors are left")
        assert before.untouched()
        for s in held:
            s.close()
        assert wait_until(lambda: gets_in(server, keys), 20)
        assert before.untouched()


# ---- memory ----

def address_space(pid):
    with open(f"/proc/{pid}/statm") as f:
        return int(f.read().split()[0]) * resource.getpagesize()


@pytest.mark.skipif(ASAN, reason="a sanitizer needs address space")
@pytest.mark.parametrize("role", ["listener", "nursery", "keeper"])
def test_no_memory_for_logins(lab, keys, role):
    """The process and all that it makes get no more memory: logins fail or get in, with a line; sessions go on, and then all is well."""
    server = lab.sshd()
    pid = server.process.pid if role == "keeper" else wait_until(lambda: roles(server).get(role))[0]
    with session(server, keys) as before:
        limit_process(pid, **{"as": f"{address_space(pid)}:unlimited"})
        outcomes = [gets_in(server, keys, seconds=3) for _ in range(3)]
        assert before.untouched()
        # Where not even a stack can grow the kernel ends the process, which is told as well.
        assert all(outcomes) or wait_until(lambda: "memory" in server.log() or "died" in server.log()), server.log()[-2000:]
        if server.process.poll() is None:
            # The process may have been replaced.
            with contextlib.suppress(OSError, subprocess.CalledProcessError):
                limit_process(pid, **{"as": "unlimited:unlimited"})
        assert wait_until(lambda: gets_in(server, keys), 20)
        assert before.untouched()


@pytest.mark.skipif(ASAN, reason="a sanitizer needs address space")
@pytest.mark.parametrize("role", ["gate", USER])
def test_no_memory_for_a_session(lab, keys, role):
    """A session whose process gets no more memory ends or goes on, told in the log; the others do not notice."""
    server = lab.sshd()
    with session(server, keys) as before:
        known = set(sum(roles(server).values(), []))
        with session(server, keys) as victim:
            pids = [p for p in roles(server).get(role, []) if p not in known]
            assert len(pids) == 1, roles(server)
            limit_process(pids[0], **{"as": f"{address_space(pids[0])}:unlimited"})
            with contextlib.suppress(rawssh.Closed, OSError, AssertionError):
                victim.peer.sock.settimeout(5 * SLOW)
                for n in range(1, 10):
                    victim.run(victim.another(n), "head -c 3000000 /dev/zero")
                victim.peer.packet()
            assert before.untouched()
        assert gets_in(server, keys) and before.untouched()
