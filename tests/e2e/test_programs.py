"""What people put on top: git, rsync, tmux, vim and scp through our ssh to our sshd."""
import os
import shutil
import subprocess
import time

import pexpect
import pytest
from conftest import SLOW, require, tool


@pytest.fixture(scope="module")
def server(module_lab):
    return module_lab.sshd("Subsystem sftp /usr/lib/openssh/sftp-server\n")


def rsh(lab, server):
    return " ".join([tool("ssh"), *lab.common(server.port)])


def tree(path):
    found = {}
    for folder, _, files in os.walk(path):
        if ".git" in folder:
            continue
        for name in files:
            with open(os.path.join(folder, name), "rb") as f:
                found[os.path.relpath(os.path.join(folder, name), path)] = f.read()
    return found


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    for i in range(200):
        (folder / f"dir{i % 7}").mkdir(exist_ok=True)
        (folder / f"dir{i % 7}" / f"file{i}").write_bytes(os.urandom(1 + i * 97))
    (folder / "big").write_bytes(os.urandom(8 << 20))
    return folder


def test_rsync(module_lab, server, files, tmp_path):
    require("rsync")
    there, back = tmp_path / "there", tmp_path / "back"
    for source, target in ((f"{files}/", f"127.0.0.1:{there}/"), (f"127.0.0.1:{there}/", f"{back}/")):
        done = subprocess.run(["rsync", "-a", "-e", rsh(module_lab, server), source, target], capture_output=True,
                              text=True, timeout=60 * SLOW, stdin=subprocess.DEVNULL)
        assert done.returncode == 0, done.stderr
    assert tree(back) == tree(files)


def test_git(module_lab, server, files, tmp_path):
    require("git")
    env = dict(os.environ, GIT_SSH_COMMAND=rsh(module_lab, server), GIT_AUTHOR_NAME="t", GIT_AUTHOR_EMAIL="t@t",
               GIT_COMMITTER_NAME="t", GIT_COMMITTER_EMAIL="t@t", GIT_CONFIG_GLOBAL="/dev/null", HOME=str(tmp_path))

    def git(*args, cwd=tmp_path):
        done = subprocess.run(["git", *args], cwd=cwd, env=env, capture_output=True, text=True, timeout=60 * SLOW,
                              stdin=subprocess.DEVNULL)
        assert done.returncode == 0, done.stderr
        return done.stdout
    git("init", "-q", "--bare", "remote.git")
    shutil.copytree(files, tmp_path / "work")
    git("init", "-q", "-b", "main", cwd=tmp_path / "work")
    git("add", ".", cwd=tmp_path / "work")
    git("commit", "-q", "-m", "all", cwd=tmp_path / "work")
    git("push", "-q", f"ssh://127.0.0.1:{server.port}{tmp_path}/remote.git", "main", cwd=tmp_path / "work")
    git("clone", "-q", "-b", "main", f"ssh://127.0.0.1:{server.port}{tmp_path}/remote.git", "again")
    assert tree(tmp_path / "again") == tree(files)


def test_sftp_subsystem(module_lab, server, files, tmp_path):
    """Debian's sftp over our ssh, with Debian's sftp-server under our sshd."""
    require("sftp")
    args = ["sftp", "-q", "-S", tool("ssh"), "-b", "-", "-P", str(server.port)]
    common = module_lab.common(server.port)
    options = [a for a in common if a not in ("-p", str(server.port))]
    done = subprocess.run([*args, *options, "127.0.0.1"], input=f"put {files}/big {tmp_path}/up\nget {tmp_path}/up {tmp_path}/down\n",
                          capture_output=True, text=True, timeout=60 * SLOW)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "down").read_bytes() == (files / "big").read_bytes()


def spawn(lab, server, command, rows=24, columns=80):
    args = [*lab.common(server.port), "-tt", "127.0.0.1"] + ([command] if command else [])
    return pexpect.spawn(tool("ssh"), args, timeout=15 * SLOW, dimensions=(rows, columns), encoding="latin-1",
                         env=dict(os.environ, TERM="xterm"))


def test_vim(module_lab, server, tmp_path):
    require("vim.tiny")
    path = tmp_path / "written"
    child = spawn(module_lab, server, f"vim.tiny -u NONE -N {path}", rows=30, columns=100)
    child.expect("written")
    child.send("ihello from far\x1b")
    child.send(":wq\r")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0
    assert path.read_text() == "hello from far\n"


def test_tmux(module_lab, server, tmp_path):
    require("tmux")
    socket = str(tmp_path / "tmux.sock")
    child = spawn(module_lab, server, f"tmux -f /dev/null -S {socket} new-session -s t 'sh -i'")
    try:
        time.sleep(1)
        child.send("echo in-$((40+2))-tmux\r")
        child.expect("in-42-tmux")
        child.setwinsize(40, 120)
        assert_size = "stty size; echo done-$?\r"
        time.sleep(0.5)
        child.send(assert_size)
        child.expect("39 120")
        child.send("exit\r")
        child.expect(pexpect.EOF)
    finally:
        child.close(force=True)
        subprocess.run(["tmux", "-S", socket, "kill-server"], capture_output=True)
    assert child.exitstatus == 0
