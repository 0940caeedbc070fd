"""`./try`: what a new user runs first. Nothing may be left behind, however it ends."""
import glob
import os
import pwd
import re
import signal
import subprocess
import tempfile
import time

import pexpect
import pytest
from conftest import IS_ROOT, SLOW, free_port, tool, wait_until

STEPS = ["link", "secured", "host", "you", "session"]


@pytest.fixture(autouse=True)
def temporary(monkeypatch):
    """A folder of the test's own: others may be trying at the same time."""
    with tempfile.TemporaryDirectory(prefix="bwl-") as folder:
        os.chmod(folder, 0o1777)
        monkeypatch.setenv("TMPDIR", folder)
        yield folder


def folders():
    """What a run makes and is to remove."""
    return set(glob.glob(os.environ["TMPDIR"] + "/bowline-try-*"))


@pytest.mark.skipif(not IS_ROOT, reason="a user's sockets stand in the folder that is removed")
@pytest.mark.parametrize("command", ["true", "kill -9 $PPID", "sleep 25 >/dev/null 2>&1 & exit 3"])
def test_leaves_no_sockets(command):
    """Of root's, in /run/bowline: not even when the session outlives the server's end."""
    port = free_port()
    subprocess.run([tool("bowline"), "try", "--port", str(port), command], stdin=subprocess.DEVNULL, capture_output=True,
                   timeout=30 * SLOW)
    assert glob.glob(f"/run/bowline/*.{port}@*") == []


def children_of(marker):
    """Processes whose command line or environment names the try folder."""
    found = []
    for path in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            with open(path, "rb") as f:
                if marker.encode() in f.read():
                    found.append(path)
        except OSError:
            pass
    return found


def steps(text):
    return re.findall(r"^bowline: (\w+) ", text, re.M)


def test_runs_a_command_and_shows_five_steps():
    before = folders()
    done = subprocess.run([tool("bowline"), "try"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30 * SLOW)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("hello from ")
    assert steps(done.stderr) == STEPS
    assert folders() == before


def test_passes_status_and_arguments():
    done = subprocess.run([tool("bowline"), "try", "echo out; echo err >&2; exit 9"], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=30 * SLOW)
    assert done.returncode == 9 and done.stdout == "out\n" and done.stderr.endswith("err\n")


@pytest.mark.parametrize("args", [["--port", "70000"], ["--port", "x"], ["--nonsense"], ["--port"]])
def test_bad_arguments(args):
    done = subprocess.run([tool("bowline"), "try", *args], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
    assert done.returncode == 2 and "usage:" in done.stderr


def test_port_in_use():
    import socket
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen(1)
        before = folders()
        done = subprocess.run([tool("bowline"), "try", "--port", str(s.getsockname()[1])], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=30 * SLOW)
        assert done.returncode == 1 and "in use" in done.stderr
        assert folders() == before


def test_shell_at_a_terminal():
    before = folders()
    child = pexpect.spawn(tool("bowline"), ["try"], timeout=20 * SLOW, encoding="latin-1", env=dict(os.environ, TERM="dumb", PS1="$ "))
    child.expect("bowline: session ")
    time.sleep(0.5)
    child.send("echo in-$((6*7))-here; tty\r")
    child.expect("in-42-here")
    child.expect("/dev/pts/")
    child.send("exit 3\r")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 3
    assert folders() == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted(number):
    """Ctrl-C in the middle: server, session, what the session started and the folder are gone."""
    before = folders()
    long = str(100000 + os.getpid() * 10 + number % 10)  # ours, among other tests' sleeps
    process = subprocess.Popen([tool("bowline"), "try", f"echo started; sleep {long} & sleep {long}"], stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True)
    assert process.stdout.readline() == "started\n"
    made = folders() - before
    os.killpg(process.pid, number)
    assert process.wait(15 * SLOW) != 0
    process.stdout.close()
    assert not any(os.path.exists(f) for f in made)
    for folder in made:
        assert not children_of(folder)
    assert wait_until(lambda: not children_of(f"sleep\0{long}\0"), 5)


def test_keep_serves_others_until_interrupted():
    before = folders()
    process = subprocess.Popen([tool("bowline"), "try", "--keep", "true"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, text=True)
    text = ""
    while "the session has ended" not in text:
        line = process.stderr.readline()
        assert line, text
        text += line
    command = re.search(r"to connect:\n  (.*)\n", text).group(1).split()
    done = subprocess.run([*command, "echo second"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20 * SLOW)
    assert done.stdout == "second\n", done.stderr
    process.send_signal(signal.SIGINT)
    assert process.wait(15 * SLOW) == 130
    process.stderr.close()
    assert folders() == before


@pytest.mark.skipif(not IS_ROOT, reason="needs root to become an ordinary user")
def test_as_an_ordinary_user(account, tmp_path):
    """The same processes under one uid, a terminal included."""
    def demote():
        os.initgroups(account.name, account.gid)
        os.setgid(account.gid)
        os.setuid(account.uid)
    env = {"PATH": "/usr/bin:/bin", "HOME": account.home, "USER": account.name, "TERM": "dumb"}
    try:
        reached = subprocess.run([tool("bowline"), "version"], capture_output=True, preexec_fn=demote).returncode == 0
    except PermissionError:
        reached = False
    if not reached:
        pytest.skip("the build is in a folder that ordinary users cannot enter")
    done = subprocess.run([tool("bowline"), "try", "id -un"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          preexec_fn=demote, env=env, cwd="/", timeout=30 * SLOW)
    assert done.returncode == 0 and done.stdout == account.name + "\n", done.stderr
    child = pexpect.spawn(tool("bowline"), ["try"], timeout=20 * SLOW, encoding="latin-1", env=env, preexec_fn=demote, cwd="/")
    child.expect("bowline: session ")
    time.sleep(0.5)
    child.send("tty; id -un; exit\r")
    child.expect("/dev/pts/")
    child.expect(account.name)
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    assert pwd.getpwnam(account.name).pw_uid == account.uid
