"""What people run over ssh, over a way that is cut again and again: nothing of it notices (doc/resume.md). sftp and plain commands are
test_resume.py's, X11 is test_client_x11.py's, tunnels are test_tunnel.py's."""
import json
import os
import random
import shutil
import subprocess

import pytest
from conftest import SLOW, require, tool, wait_until
from test_programs import tree
from test_resume import MIB, counts_behind_a_jump_host, digest, world  # noqa: F401 (a fixture)
from cutter import Cutter

WAIT = 60


@pytest.fixture
def files(tmp_path):
    folder = tmp_path / "files"
    for i in range(60):
        (folder / f"dir{i % 7}").mkdir(exist_ok=True, parents=True)
        (folder / f"dir{i % 7}" / f"file{i}").write_bytes(random.randbytes(1 + i * 97))
    (folder / "big").write_bytes(random.randbytes(6 * MIB))
    tmp_path.chmod(0o755)
    return folder


def shell(w):
    """As a program's words for ssh, which are separated by blanks."""
    return " ".join([tool("ssh"), *w.lab.common(w.way.port)])


def cuts(w, n=6, most=MIB):
    w.way.cut_after(200_000, *(w.way.random.randrange(20_000, most) for _ in range(n - 1)))


def run(w, args, **kw):
    before = w.way.cuts
    done = subprocess.run(args, stdin=kw.pop("stdin", subprocess.DEVNULL), stdout=kw.pop("stdout", subprocess.PIPE), stderr=subprocess.PIPE,
                          timeout=WAIT * SLOW, **kw)
    assert done.returncode == 0, done.stderr.decode()
    assert w.way.cuts > before and w.resumed() > 0
    return done.stdout


def test_scp(world, files, tmp_path):  # noqa: F811
    w = world("Subsystem sftp internal-sftp")
    options = [x for x in w.lab.common(w.way.port) if x not in ("-p", str(w.way.port))]
    scp = [tool("scp"), "-q", "-r", *options, "-P", str(w.way.port)]
    for source, target in ((str(files), f"127.0.0.1:{tmp_path}/there"), (f"127.0.0.1:{tmp_path}/there", str(tmp_path / "back"))):
        cuts(w)
        run(w, [*scp, source, target])
    assert tree(tmp_path / "back") == tree(files)


def test_rsync(world, files, tmp_path):  # noqa: F811
    require("rsync")
    w = world()
    for source, target in ((f"{files}/", f"127.0.0.1:{tmp_path}/there/"), (f"127.0.0.1:{tmp_path}/there/", f"{tmp_path}/back/")):
        cuts(w)
        run(w, ["rsync", "-a", "-e", shell(w), source, target])
    assert tree(tmp_path / "back") == tree(files)


def test_git(world, files, tmp_path):  # noqa: F811
    require("git")
    w = world()
    env = dict(os.environ, GIT_SSH_COMMAND=shell(w), GIT_AUTHOR_NAME="t", GIT_AUTHOR_EMAIL="t@t", GIT_COMMITTER_NAME="t",
               GIT_COMMITTER_EMAIL="t@t", GIT_CONFIG_GLOBAL="/dev/null", HOME=str(tmp_path))

    def git(*args):
        subprocess.run(["git", *args], check=True, env=env, capture_output=True, timeout=WAIT * SLOW)
    remote = f"ssh://127.0.0.1:{w.way.port}{tmp_path}/remote.git"
    work = shutil.copytree(files, tmp_path / "work")
    git("init", "-q", "--bare", str(tmp_path / "remote.git"))
    git("init", "-q", "-b", "main", str(work))
    git("-C", str(work), "add", ".")
    git("-C", str(work), "commit", "-q", "-m", "all")
    cuts(w)
    run(w, ["git", "-C", str(work), "push", "-q", remote, "main"], env=env)
    cuts(w)
    run(w, ["git", "clone", "-q", "-b", "main", remote, str(tmp_path / "again")], env=env)
    assert tree(tmp_path / "again") == tree(files)


def test_tar_there_and_back(world, files, tmp_path):  # noqa: F811
    """Pipes on both sides."""
    w = world()
    ssh, there, back = shell(w), tmp_path / "there", tmp_path / "back"
    there.mkdir()
    back.mkdir()
    cuts(w)
    run(w, ["/bin/sh", "-c", f"tar -C {files} -cf - . | {ssh} 127.0.0.1 tar -C {there} -xf -"])
    cuts(w)
    run(w, ["/bin/sh", "-c", f"{ssh} 127.0.0.1 tar -C {there} -cf - . | tar -C {back} -xf -"])
    assert tree(back) == tree(files)


def test_ansible(world, files, tmp_path):  # noqa: F811
    """Its copies ride with a master that ControlPersist keeps, which loses its link under each."""
    require("ansible")
    w = world("Subsystem sftp internal-sftp")
    control = tmp_path / "cp"
    control.mkdir()
    env = {**os.environ, "ANSIBLE_SSH_CONTROL_PATH_DIR": str(control), "ANSIBLE_SSH_RETRIES": "0", "ANSIBLE_SSH_EXECUTABLE": tool("ssh"),
           "ANSIBLE_SFTP_EXECUTABLE": tool("sftp"), "ANSIBLE_SCP_EXECUTABLE": tool("scp"), "ANSIBLE_HOST_KEY_CHECKING": "False",
           "ANSIBLE_PIPELINING": "False", "ANSIBLE_LOCAL_TEMP": str(tmp_path / "local"), "ANSIBLE_REMOTE_TEMP": str(tmp_path / "remote"),
           "ANSIBLE_PYTHON_INTERPRETER": "/usr/bin/python3", "HOME": str(tmp_path), "ANSIBLE_CONTROL_PATH": str(control / "c"),
           "ANSIBLE_SSH_ARGS": "-o ControlMaster=auto -o ControlPersist=30 " + " ".join(w.lab.common(w.way.port))}
    try:
        cuts(w)
        out = run(w, ["ansible", "-i", f"127.0.0.1:{w.way.port},", "all", "-o", "-m", "copy", "-a", f"src={files}/big dest={tmp_path}/target"], env=env)
        answer = json.loads(out.decode().split(" => ", 1)[1])
        assert answer["changed"] and digest((tmp_path / "target").read_bytes()) == digest((files / "big").read_bytes())
    finally:
        for name in os.listdir(control):
            subprocess.run([tool("ssh"), "-F", "none", "-S", str(control / name), "-O", "exit", "x"], capture_output=True, timeout=20 * SLOW)
    assert wait_until(lambda: not os.listdir(control), 30)


def test_a_master_that_persists(world, tmp_path):  # noqa: F811
    """In the background, without a session of its own, and without a link for a while: who comes then waits."""
    w = world()
    path = str(tmp_path / "c")
    first = w.ssh("-o", "ControlMaster=auto", "-o", f"ControlPath={path}", "-o", "ControlPersist=60", "echo first")
    assert w.end(first)[:2] == (0, b"first\n")
    args = [tool("ssh"), "-F", "none", "-S", path, "-p", "1", "127.0.0.1"]
    try:
        w.lose_link()
        rider = subprocess.Popen([*args, "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        w.started.append(rider)
        w.way.refuses = False
        assert w.end(rider, data=b"second\n")[:2] == (0, b"second\n")
        assert wait_until(lambda: w.resumed() == 1, WAIT)
    finally:
        subprocess.run([*args[:-1], "-O", "exit", "x"], capture_output=True, timeout=20 * SLOW)
    assert wait_until(lambda: not os.path.exists(path), 30)


def test_the_way_behind_a_jump_host(world):  # noqa: F811
    """From there to the target: the chain is made anew, and the target's connection goes on."""
    w = world()
    inner = w.lab.sshd()
    way = Cutter(inner.port)
    try:
        p = counts_behind_a_jump_host(w, inner, w.server.port, way.port)
        for n in range(1, 3):
            assert wait_until(lambda: way.links >= n, WAIT)
            wait_until(lambda: False, 0.3 / SLOW)
            way.cut()
            assert wait_until(lambda: inner.log().count("resumed from") >= n, WAIT), inner.log()
        assert w.end(p)[:2] == (0, b"".join(b"%d\n" % i for i in range(1, 81)))
    finally:
        way.stop()
