"""What a run of the tests has left behind: processes, accounts, sockets in /run/bowline, files in /tmp.

`supervised(work)` runs work() in a child with a temporary folder of its own (TMPDIR), takes in what loses its parent,
and lists what is still there at the end. Others may test on the same machine at the same time: nothing of theirs
counts, and what cannot be told from theirs then counts for nobody.
"""
import ctypes
import glob
import json
import os
import pwd
import re
import shutil
import signal
import socket
import sys
import tempfile
import time
import traceback

SET_CHILD_SUBREAPER = 36
GRACE_S = 40  # for what is just ending: programs of sessions without a terminal outlive them
PORTS = "ports"  # in the run's folder: what its tests have listened on
TAG = "BOWLINE_RUN"  # tests write its value into the comment of accounts that they make

# Where the programs and unit tests put things, whatever TMPDIR says.
PLACES = ("/run/bowline/*", "/tmp/ssh-??????????", "/tmp/sshauth.*", "/tmp/bowline-x11-*", "/tmp/bowline.??????",
          "/tmp/bowline-sftp-*", "/tmp/bowline-events-*", "/tmp/bowline-conf-*", "/tmp/bowline-remember-*",
          "/tmp/bowline-test.*")


def in_places():
    return {path for place in PLACES for path in glob.glob(place)}


def somebody_listens(path):
    """At that socket, or at one in that folder: it belongs to another run."""
    paths = [os.path.join(path, name) for name in os.listdir(path)] if os.path.isdir(path) else [path]
    for one in paths:
        for kind in (socket.SOCK_SEQPACKET, socket.SOCK_STREAM):
            with socket.socket(socket.AF_UNIX, kind) as s:
                s.settimeout(2)
                try:
                    s.connect(one)
                    return True
                except OSError:
                    continue
    return False


def others_test():
    """Is another run going on? What it leaves in shared places looks like ours."""
    mine = children()
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        pid = int(path.split("/")[2])
        try:
            with open(path) as f:
                words = f.read().split("\0")[:4]
        except OSError:
            continue
        if pid != os.getpid() and pid not in mine and any(w.endswith(("pytest", "run-tests")) for w in words):
            return True
    return False


def ours(path, ports, alone):
    """Sockets of servers are told by their ports."""
    port = re.search(r"/run/bowline/.*?\.(\d+)[@.]", path)
    if port:
        return port.group(1) in ports
    return alone and os.lstat(path).st_uid == os.getuid()


def left_in_places(before, folder, alone):
    with open(os.path.join(folder, PORTS)) as f:
        ports = set(f.read().split())
    left = []
    for path in sorted(in_places() - before):
        try:
            if ours(path, ports, alone) and not somebody_listens(path):
                left.append(f"file {path}")
        except OSError:
            continue  # it has gone meanwhile
    return left


def left_in_folder(folder):
    """pytest's own folder goes with ours."""
    found = []
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if name not in ("pytest", PORTS):
            inside = [os.path.join(at, n) for at, folders, files in os.walk(path) for n in folders + files]
            found.append(f"file {path}" + (f" with {', '.join(inside[:8])}" if inside else ""))
    return found


def left_accounts():
    tag = f"bowline-test-{os.environ[TAG]}"
    return [f"account {entry.pw_name}" for entry in pwd.getpwall() if entry.pw_gecos.split(",")[0] == tag]


def children():
    """All processes below this one, {pid: command}; zombies are reaped, not counted."""
    parents, names = {}, {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                with open(f"/proc/{entry}/stat") as f:
                    state, parent = f.read().rsplit(")", 1)[1].split()[:2]
                with open(f"/proc/{entry}/cmdline") as f:
                    names[int(entry)] = f.read().replace("\0", " ").strip()[:200]
            except OSError:
                continue
            if state != "Z":
                parents.setdefault(int(parent), []).append(int(entry))
    found, todo = {}, list(parents.get(os.getpid(), []))
    while todo:
        pid = todo.pop()
        found[pid] = names[pid]
        todo += parents.get(pid, [])
    return found


def reap():
    try:
        while os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass
    except ChildProcessError:
        pass


def left(folder, before, alone):
    reap()
    processes = [f"process {pid}: {command}" for pid, command in sorted(children().items())]
    return processes + left_accounts() + left_in_places(before, folder, alone) + left_in_folder(folder)


def wait_for_child(pid):
    """Its exit status. Orphans of the run come to us and are reaped."""
    while True:
        got, status = os.wait()
        if got == pid:
            return os.waitstatus_to_exitcode(status)


def start(work, folder, out):
    pid = os.fork()
    if pid == 0:
        try:
            json.dump(work(folder), out)
            out.flush()
        except SystemExit as e:
            os._exit(e.code)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return pid


def supervised(work):
    """(what work(folder) returned, or None: it stopped, its status, what was left behind)"""
    if ctypes.CDLL(None).prctl(SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        sys.exit("leftovers: prctl: this kernel has no PR_SET_CHILD_SUBREAPER (Linux 3.4 has)")
    before, alone = in_places(), not others_test()
    folder = tempfile.mkdtemp(prefix="bwr-")  # short: paths of sockets are limited
    os.chmod(folder, 0o1777)
    open(os.path.join(folder, PORTS), "w").close()
    os.environ.update({"TMPDIR": folder, TAG: str(os.getpid()), "BOWLINE_PORTS": os.path.join(folder, PORTS)})
    try:
        with tempfile.TemporaryFile("w+") as out:
            status = wait_for_child(start(work, folder, out))
            end = time.monotonic() + GRACE_S
            alone = alone and not others_test()
            while (behind := left(folder, before, alone)) and time.monotonic() < end:
                time.sleep(0.5)
            out.seek(0)
            text = out.read()
    finally:
        for pid in children():
            os.kill(pid, signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)
    return json.loads(text) if text else None, status, behind
