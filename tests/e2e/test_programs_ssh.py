"""What starts `ssh` by name: ansible, autossh, parallel-ssh, ssh-copy-id, editors, git over a jump, rsync over a shared one.

Each finds our ssh first in PATH, with a configuration as a home has it: hosts by name, keys, a control path. The server is
ours as well; BOWLINE_BIN with Debian's programs shows that the tests themselves hold.
"""
import json
import os
import signal
import socket
import stat
import subprocess
import tempfile
import threading
import time

import pytest
from accounts import PASSWORD, make
from conftest import SLOW, free_port, needs_root, require, tool, wait_until
from processes import children
from test_client_forward import Echo

# An hour of an editor's use, as `BOWLINE_EDITOR_SECONDS=3600`; a few seconds of it for every day.
EDITOR_SECONDS = float(os.environ.get("BOWLINE_EDITOR_SECONDS", "5"))


class World:
    """PATH and environment of somebody whose ssh is ours, with hosts `alpha` and `beta`, and `inner` behind `alpha`."""

    def __init__(self, lab, folder, server, inner):
        self.folder, self.bin = folder, os.path.join(folder, "bin")
        os.mkdir(self.bin)
        os.mkdir(os.path.join(folder, ".ssh"), 0o700)
        self.config = os.path.join(folder, "config")
        known = lab.keys.known_hosts(server.port)
        with open(self.config, "w") as out:
            for name, port, more in (("alpha", server.port, ""), ("beta", server.port, ""),
                                     ("inner", inner.port, "ProxyJump alpha")):
                out.write(f"Host {name}\n Hostname 127.0.0.1\n Port {port}\n {more}\n"
                          f" UserKnownHostsFile {lab.keys.known_hosts(port)}\n")
            out.write(f"Host *\n IdentityFile {lab.keys.path('user')}\n IdentitiesOnly yes\n GlobalKnownHostsFile none\n"
                      f" UserKnownHostsFile {known}\n StrictHostKeyChecking yes\n")
        self.wrap("ssh", f'exec {tool("ssh")} -F {self.config} "$@"')
        for name in ("scp", "sftp"):
            ours = tool(name) if os.path.exists(tool(name)) else require(name)
            self.wrap(name, f'exec {ours} -S {self.bin}/ssh "$@"')
        for name in ("ssh-add", "ssh-keygen"):
            os.symlink(tool(name), os.path.join(self.bin, name))
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(("SSH_", "DISPLAY"))}
        self.env |= {"PATH": f"{self.bin}:{os.environ['PATH']}:/usr/sbin", "HOME": folder, "LC_ALL": "C.UTF-8",
                     "ANSIBLE_HOME": f"{folder}/ansible", "ANSIBLE_LOCAL_TEMP": f"{folder}/ansible/tmp",
                     "ANSIBLE_REMOTE_TEMP": f"{folder}/remote", "ANSIBLE_NOCOLOR": "1",
                     "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@t",
                     "GIT_COMMITTER_NAME": "t", "GIT_COMMITTER_EMAIL": "t@t"}

    def wrap(self, name, line):
        path = os.path.join(self.bin, name)
        with open(path, "w") as out:
            out.write(f"#!/bin/sh\n{line}\n")
        os.chmod(path, 0o755)

    def run(self, *args, status=0, timeout=60, **kw):
        kw.setdefault("stdin", subprocess.DEVNULL)
        env = self.env | kw.pop("env", {})
        done = subprocess.run(args, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              timeout=timeout * SLOW, **kw)
        assert status is None or done.returncode == status, (done.stdout + done.stderr)[-4000:]
        return done


@pytest.fixture(scope="module")
def server(module_lab):
    return module_lab.sshd("Subsystem sftp internal-sftp\nMaxStartups 100\nMaxSessions 20\n")


@pytest.fixture(scope="module")
def inner(module_lab):
    return module_lab.sshd()


@pytest.fixture(scope="module")
def world(module_lab, server, inner):
    # Names of control sockets hold 107 bytes; ansible's and ssh-copy-id's are long by themselves.
    with tempfile.TemporaryDirectory(prefix="bw-") as folder:
        yield World(module_lab, folder, server, inner)


def logins(server):
    return server.log().count("Accepted publickey")


# ---- ansible

def ansible(world, module, args="", **env):
    done = world.run("ansible", "-i", "alpha,beta,", "all", "-o", "-m", module, "-a", args, env=env,
                     timeout=90)
    lines = [line for line in done.stdout.splitlines() if " => " in line]
    assert sorted(line.split(" | ")[0] for line in lines) == ["alpha", "beta"], done.stdout
    return [json.loads(line.split(" => ", 1)[1]) for line in lines]


def end_masters(world, folder):
    for name in os.listdir(folder):
        world.run("ssh", "-S", os.path.join(folder, name), "-O", "exit", "x")
    assert wait_until(lambda: not os.listdir(folder))


@pytest.mark.parametrize("way", ["pipelined", "sftp"])
def test_ansible(world, server, way):
    """ping and copy, each of them over one connection that ControlPersist keeps."""
    require("ansible")
    control = tempfile.mkdtemp(prefix="cp", dir=world.folder)
    env = {"ANSIBLE_SSH_CONTROL_PATH_DIR": control, "ANSIBLE_PIPELINING": str(way == "pipelined"),
           "ANSIBLE_SSH_TRANSFER_METHOD": "smart" if way == "pipelined" else way, "ANSIBLE_SSH_RETRIES": "0"}
    before = logins(server)
    if way == "pipelined":
        assert all(answer["ping"] == "pong" for answer in ansible(world, "ping", **env))
    source, target = os.path.join(world.folder, "source"), os.path.join(world.folder, f"to-{way}")
    with open(source, "wb") as out:
        out.write(os.urandom(300000))
    assert any(answer["changed"] for answer in ansible(world, "copy", f"src={source} dest={target} mode=0640", **env))
    with open(source, "rb") as a, open(target, "rb") as b:
        assert a.read() == b.read()
    assert stat.S_IMODE(os.stat(target).st_mode) == 0o640
    assert logins(server) - before == 2  # alpha and beta
    assert len(os.listdir(control)) == 2
    end_masters(world, control)


# ---- autossh

def numbers(auto):
    return [p.pid for p in children(auto.pid)]


@pytest.mark.parametrize("monitor", [False, True])
def test_autossh(world, server, monitor):
    """A forward that comes back by itself after its ssh was killed, and ends with autossh."""
    require("autossh")
    port, echo = free_port(), Echo()
    # With one port it would listen on it at both ends, which are one machine here.
    watched = f"{free_port()}:{echo.port}" if monitor else "0"
    env = world.env | {"AUTOSSH_GATETIME": "0", "AUTOSSH_POLL": "2", "AUTOSSH_FIRST_POLL": "2",
                       "AUTOSSH_PATH": f"{world.bin}/ssh"}
    log = open(os.path.join(world.folder, f"autossh.{monitor}"), "wb+")
    auto = subprocess.Popen(["autossh", "-M", watched, "-N", "-o", "ExitOnForwardFailure=yes", "-o", "BatchMode=yes",
                             "-L", f"{port}:127.0.0.1:{echo.port}", "alpha"], env=env, stdin=subprocess.DEVNULL,
                            stdout=log, stderr=log, start_new_session=True)
    try:
        assert wait_until(lambda: works(port)), reread(log)
        first = numbers(auto)[0]
        os.kill(first, signal.SIGKILL)
        assert wait_until(lambda: numbers(auto) not in ([], [first]) and works(port), 20), reread(log)
        if monitor:
            # Two rounds of its own question through its own forward.
            second = numbers(auto)
            time.sleep(4.5)
            assert numbers(auto) == second and works(port), reread(log)
        auto.terminate()
        auto.wait(10 * SLOW)
        assert wait_until(lambda: not works(port))
    finally:
        if auto.poll() is None:
            os.killpg(auto.pid, signal.SIGKILL)
            auto.wait()
        echo.close()
        log.close()


def works(port):
    """Is there an echo behind this port?"""
    try:
        with socket.create_connection(("127.0.0.1", port), 5 * SLOW) as s:
            s.sendall(b"anybody?")
            return s.recv(100) == b"anybody?"
    except OSError:
        return False


def reread(log):
    log.seek(0)
    return log.read().decode(errors="replace")


# ---- parallel-ssh

def test_parallel_ssh(world):
    require("parallel-ssh")
    hosts = ["-H", "alpha", "-H", "beta", "-t", "30"]
    done = world.run("parallel-ssh", *hosts, "-P", "-i", "echo from-$SSH_CONNECTION")
    assert done.stdout.count("[SUCCESS]") == 2 and done.stdout.count("\nfrom-127.0.0.1") >= 2
    done = world.run("parallel-ssh", *hosts, "-i", "echo aside >&2; exit 3", status=5)
    assert done.stdout.count("[FAILURE]") == 2 and "code 3" in done.stdout and "aside" in done.stdout
    done = world.run("parallel-ssh", *hosts, "-I", "-i", "cat", input="fed to all\n", stdin=None)
    assert done.stdout.count("fed to all") == 2


@pytest.mark.skipif(not os.path.exists("/usr/bin/parallel-rsync"), reason="parallel-rsync is not installed")
def test_parallel_copies(world):
    """parallel-rsync, parallel-scp and parallel-slurp; each host gets its own target."""
    require("rsync")
    source = os.path.join(world.folder, "psource")
    with open(source, "wb") as out:
        out.write(os.urandom(100000))
    for way in ("rsync", "scp"):
        target = os.path.join(world.folder, f"p{way}")
        world.run(f"parallel-{way}", "-H", "alpha", source, target)
        with open(source, "rb") as a, open(target, "rb") as b:
            assert a.read() == b.read()
    world.run("parallel-slurp", "-H", "alpha", "-H", "beta", "-L", world.folder, source, "slurped")
    # The folder is HOST:PORT, and a port that was not given is None to it.
    slurped = [n for n in os.listdir(world.folder) if n.startswith(("alpha:", "beta:"))]
    assert [os.path.getsize(os.path.join(world.folder, n, "slurped")) for n in slurped] == [100000] * 2


@needs_root
def test_parallel_ssh_with_a_password(world, keys):
    """-A gives the password by an askpass program of its own."""
    require("parallel-ssh")
    account = make(keys)
    try:
        # It asks on a terminal, or reads what stands on its standard input.
        script = ("import sys, getpass, runpy; getpass.getpass = lambda *a: %r; sys.argv = sys.argv[1:]; "
                  "runpy.run_path(sys.argv[0], run_name='__main__')" % PASSWORD)
        done = world.run("/usr/bin/python3", "-c", script, require("parallel-ssh"), "-A", "-H", f"{account.name}@alpha",
                         "-O", "PubkeyAuthentication=no", "-O", "PreferredAuthentications=password",
                         "-i", "echo in-as-$(id -un)", status=None)
        assert f"in-as-{account.name}" in done.stdout, done.stdout + done.stderr
    finally:
        account.remove()


# ---- ssh-copy-id

@needs_root
@pytest.mark.parametrize("way", [[], ["-s"]], ids=["shell", "sftp"])
def test_ssh_copy_id(module_lab, world, keys, tmp_path, way):
    """A new key is found missing, copied with a password, and found there the second time; the old lines stay."""
    require("ssh-copy-id")
    account = make(keys)
    try:
        copy_id(module_lab, world, account, tmp_path, way)
    finally:
        account.remove()


def copy_id(module_lab, world, account, tmp_path, way):
    server = module_lab.sshd("Subsystem sftp internal-sftp\n", authorized="%h/.ssh/authorized_keys")
    new = str(tmp_path / "new")
    subprocess.run([tool("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-C", "copied", "-f", new], check=True)
    plain = os.path.join(world.folder, "plain")
    with open(plain, "w") as out:
        out.write(f"Host *\n Port {server.port}\n UserKnownHostsFile {module_lab.keys.known_hosts(server.port)}\n")
    askpass = os.path.join(world.bin, "askpass")
    world.wrap("askpass", f"echo '{PASSWORD}'")
    copy = ["ssh-copy-id", "-i", new + ".pub", *way, "-F", plain, f"{account.name}@127.0.0.1"]
    env = {"SSH_ASKPASS": askpass, "SSH_ASKPASS_REQUIRE": "force"}
    first = world.run(*copy, env=env)
    assert "Number of key(s) added: 1" in first.stdout
    path = os.path.join(account.home, ".ssh/authorized_keys")
    with open(path) as f, open(new + ".pub") as public, open(module_lab.keys.authorized_keys) as old:
        text = f.read()
        assert text.startswith(old.read()) and text.count(public.read().split()[1]) == 1
    assert os.stat(path).st_uid == account.uid and stat.S_IMODE(os.stat(path).st_mode) & 0o022 == 0
    inside = world.run("ssh", "-F", plain, "-i", new, "-o", "BatchMode=yes", f"{account.name}@127.0.0.1", "id -un")
    assert inside.stdout == f"{account.name}\n"
    second = world.run(*copy, env=env)
    assert "already exist" in second.stderr
    assert wait_until(lambda: not [n for n in os.listdir(world.folder) if n.startswith("ssh-copy-id")])


def test_what_copy_id_looks_for(module_lab, world):
    """It tells dropbear and others by what -v prints, of a login that tries nothing."""
    server = module_lab.openssh()
    done = subprocess.run([tool("ssh"), "-v", *module_lab.common(server.port), "-o", "PreferredAuthentications=,",
                           "127.0.0.1"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20 * SLOW)
    assert done.returncode == 255 and "Permission denied" in done.stderr
    assert "Remote protocol version 2.0, remote software version OpenSSH_" in done.stderr


# ---- editors

def test_editor(world, server):
    """A master with ten channels that open and close all the time, forwards that come and go, and a shell that stays."""
    path = os.path.join(world.folder, "editor")
    before = logins(server)
    socks, port, echo = free_port(), free_port(), Echo()
    master = subprocess.Popen([os.path.join(world.bin, "ssh"), "-M", "-S", path, "-N", "-T", "-D", str(socks), "alpha"],
                              env=world.env, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    shell = None
    try:
        assert wait_until(lambda: os.path.exists(path))
        shell = subprocess.Popen([os.path.join(world.bin, "ssh"), "-S", path, "-T", "alpha", "sh"], env=world.env,
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        said(shell, "up")
        fds = described(master.pid)
        end, rounds, failures = time.monotonic() + EDITOR_SECONDS, [0] * 10, []
        threads = [threading.Thread(target=use, args=(world, path, i, end, rounds, failures)) for i in range(10)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            said(shell, f"now {time.monotonic()}")
            for what in ("forward", "cancel"):
                world.run("ssh", "-S", path, "-O", what, "-L", f"{port}:127.0.0.1:{echo.port}", "alpha")
                assert works(port) == (what == "forward")
        for thread in threads:
            thread.join()
        assert not failures, failures[:3]
        assert min(rounds) > 0
        said(shell, "still up")
        # A socket and a timer that tell of changes of the network may have come meanwhile, once.
        assert wait_until(lambda: descriptors(master.pid) <= len(fds) + 2), f"{described(master.pid)}\nbefore: {fds}"
        shell.stdin.close()
        assert shell.wait(10 * SLOW) == 0
        world.run("ssh", "-S", path, "-O", "exit", "alpha")
        assert master.wait(10 * SLOW) in (0, 255)
        assert logins(server) - before == 1
    finally:
        for process in filter(None, (shell, master)):
            if process.poll() is None:
                process.kill()
            process.wait()
            for stream in filter(None, (process.stdin, process.stdout, process.stderr)):
                stream.close()
        echo.close()


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def described(pid):
    return sorted(os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd"))


def said(shell, words):
    shell.stdin.write(f"echo {words}\n")
    shell.stdin.flush()
    assert shell.stdout.readline() == f"{words}\n"


def use(world, path, number, end, rounds, failures):
    """One channel after another: a command with a status, data both ways, one that is killed."""
    data = "x" * (1000 * (number + 1))
    while time.monotonic() < end and not failures:
        kind = (rounds[number] + number) % 3
        ssh = [os.path.join(world.bin, "ssh"), "-S", path, "-T", "alpha"]
        if kind == 2:
            child = subprocess.Popen([*ssh, "echo on; cat"], env=world.env, stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, text=True)
            ok = child.stdout.readline() == "on\n"
            child.kill()
            child.wait()
            child.stdin.close()
            child.stdout.close()
        else:
            done = subprocess.run([*ssh, f"cat; exit {number}"], input=data, env=world.env, text=True,
                                  capture_output=True, timeout=60 * SLOW)
            ok = (done.returncode, done.stdout) == (number, data)
        if not ok:
            failures.append((number, kind, None if kind == 2 else (done.returncode, done.stderr)))
        rounds[number] += 1


# ---- git and rsync

def test_git_over_a_jump(world, server, inner, tmp_path):
    require("git")
    before = logins(inner)

    def git(*args, cwd=tmp_path):
        return world.run("git", *args, cwd=cwd).stdout
    git("init", "-q", "--bare", "remote.git")
    git("init", "-q", "-b", "main", "work")
    for i in range(50):
        (tmp_path / "work" / f"f{i}").write_bytes(os.urandom(20000))
    git("add", ".", cwd=tmp_path / "work")
    git("commit", "-q", "-m", "all", cwd=tmp_path / "work")
    git("push", "-q", f"inner:{tmp_path}/remote.git", "main", cwd=tmp_path / "work")
    git("clone", "-q", "-b", "main", f"ssh://inner{tmp_path}/remote.git", "again")
    git("fetch", "-q", cwd=tmp_path / "again")
    for i in range(50):
        assert (tmp_path / "again" / f"f{i}").read_bytes() == (tmp_path / "work" / f"f{i}").read_bytes()
    assert logins(inner) - before == 3


def test_rsync_over_a_master(world, server, tmp_path):
    """Twice in each direction over the connection that the first one left behind."""
    require("rsync")
    source = tmp_path / "source"
    source.mkdir()
    for i in range(100):
        (source / f"f{i}").write_bytes(os.urandom(1 + i * 997))
    (source / "big").write_bytes(os.urandom(4 << 20))
    control = tempfile.mkdtemp(prefix="rs", dir=world.folder)
    shell = f"ssh -o ControlMaster=auto -o ControlPath={control}/%C -o ControlPersist=60"
    before = logins(server)
    world.run("rsync", "-a", "-e", shell, f"{source}/", f"alpha:{tmp_path}/there/")
    (source / "f7").write_bytes(b"changed")
    (source / "f8").unlink()
    world.run("rsync", "-a", "--delete", "-e", shell, f"{source}/", f"alpha:{tmp_path}/there/")
    world.run("rsync", "-az", "-e", shell, f"alpha:{tmp_path}/there/", f"{tmp_path}/back/")
    assert sorted(os.listdir(tmp_path / "back")) == sorted(os.listdir(source))
    for name in os.listdir(source):
        assert (source / name).read_bytes() == (tmp_path / "back" / name).read_bytes()
    assert logins(server) - before == 1
    end_masters(world, control)
