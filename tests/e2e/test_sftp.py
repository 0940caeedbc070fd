"""sftp: commands by batch and by terminal, with Debian's sftp-server and ours, over ssh and directly."""
import os
import stat
import sys

import pytest

from conftest import SLOW, require, tool
from test_scp import SFTP_FAKE, SFTP_SERVERS, data, run, scp_words
import textwrap


@pytest.fixture(params=sorted(SFTP_SERVERS))
def which(request):
    return request.param


def batch(lines, which="debian", options=(), cwd=None, program=None):
    """Runs the lines as a batch below an SFTP server of its own."""
    return run([program or tool("sftp"), "-b", "-", *options, "-D", SFTP_SERVERS[which]], stdin=None, input="\n".join(lines) + "\n", cwd=cwd)


def good(done):
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_get_and_put(tmp_path, which):
    (tmp_path / "r/sub").mkdir(parents=True)
    (tmp_path / "l").mkdir()
    whole = data(tmp_path / "r/file")
    for name in ("a b", "it's", 'dou"ble', "st*r", "back\\slash", "sub/deep"):
        (tmp_path / "r" / name).write_text(name)
    os.utime(tmp_path / "r/file", (1000000000, 1100000000))
    os.chmod(tmp_path / "r/file", 0o640)
    good(batch([f"cd {tmp_path}/r", f"lcd {tmp_path}/l", "get file", "get -p file kept", 'get "a b"', r"get it\'s", "get 'dou\"ble'",
                r"get st\*r", "get 'back\\\\slash'", "get -r sub", "put file ../up", "mput dou*", "put -p kept ../keptup"], which))
    assert (tmp_path / "l/file").read_bytes() == whole == (tmp_path / "up").read_bytes()
    kept = (tmp_path / "keptup").stat()
    assert int(kept.st_mtime) == 1100000000 and stat.S_IMODE(kept.st_mode) == 0o640
    assert sorted(os.listdir(tmp_path / "l")) == sorted(["file", "kept", "a b", "it's", 'dou"ble', "st*r", "back\\slash", "sub"])
    assert (tmp_path / "l/sub/deep").read_text() == "sub/deep"


def test_resuming(tmp_path, which):
    whole = data(tmp_path / "whole", 500_000)
    for name in ("got", "put"):
        (tmp_path / name).write_bytes(whole[:123_456])
    (tmp_path / "long").write_bytes(b"x" * 600_000)
    good(batch([f"lcd {tmp_path}", f"cd {tmp_path}", "reget whole got", "reput whole put", "get -a whole fresh", "-reget whole long"], which))
    for name in ("got", "put", "fresh"):
        assert (tmp_path / name).read_bytes() == whole
    assert (tmp_path / "long").stat().st_size == 600_000
    refused = batch([f"reget {tmp_path}/whole {tmp_path}/long"], which)
    assert refused.returncode == 1 and "larger" in refused.stderr


def test_files_on_the_server(tmp_path, which):
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b")
    out = good(batch([f"cd {tmp_path}", "mkdir d", "rename a b", "ln b hard", "ln -s b soft", "symlink nowhere dangling", "chmod 600 b",
                      "cp b copied", "copy b d/copied", "rm cop*", "pwd", "cd d", "pwd", "cd ..", "chmod 700 d", "version", "df", "df -hi",
                      f"chown {os.getuid()} b", f"chgrp {os.getgid()} b", "lumask 077", "!echo from the shell", "lls -d /tmp", "-rmdir d", "rm d/copied", "rmdir d"], which))
    assert not (tmp_path / "a").exists() and (tmp_path / "b").read_text() == "a"
    assert (tmp_path / "hard").stat().st_ino == (tmp_path / "b").stat().st_ino
    assert os.readlink(tmp_path / "soft") == "b" and os.readlink(tmp_path / "dangling") == "nowhere"
    assert stat.S_IMODE((tmp_path / "b").stat().st_mode) == 0o600
    assert sorted(os.listdir(tmp_path)) == ["b", "dangling", "hard", "soft"]
    assert f"Remote working directory: {tmp_path}/d" in out and "SFTP protocol version 3" in out
    assert "from the shell" in out and "Local umask: 077" in out and "\n/tmp\n" in out
    # Without posix-rename an existing target stays.
    kept = batch([f"rename -l {tmp_path}/hard {tmp_path}/b"], which)
    assert kept.returncode == 1


def test_listings(tmp_path, which):
    for name, size, when in (("one", 10, 100), ("two", 30, 300), (".hidden", 20, 200), ("three\x1b[31m", 20, 200)):
        (tmp_path / name).write_bytes(b"x" * size)
        os.utime(tmp_path / name, (when, when))
    (tmp_path / "d").mkdir()
    (tmp_path / "d/inner").write_text("")
    os.utime(tmp_path / "d", (1, 1))

    def ls(words):
        out = good(batch([f"@cd {tmp_path}", f"@ls {words}"], which))
        assert "\x1b" not in out
        return [line.rstrip() for line in out.splitlines()]

    assert ls("-1") == ["d", "one", "three\\033[31m", "two"]
    assert ls("-1a")[:4] == [".", "..", ".hidden", "d"]
    assert ls("-1t") == ["two", "three\\033[31m", "one", "d"]
    assert ls("-1tr") == ["d", "one", "three\\033[31m", "two"]
    assert [w for w in ls("-1S") if w != "d"] == ["two", "three\\033[31m", "one"]
    assert ls("-1 t*") == ["three\\033[31m", "two"]
    assert ls("-1 d") == ["d/inner"] and ls("-1 d*") == ["d/inner"]
    assert ls(f"-1 {tmp_path}/o*") == [f"{tmp_path}/one"]
    assert " 30 " in [w for w in ls("-l") if w.endswith("two")][0]
    assert " 0        0 " in [w for w in ls("-ln") if w.endswith("two")][0] or os.geteuid() != 0
    assert sorted("  ".join(ls("")).split()) == ["d", "one", "three\\033[31m", "two"]
    missing = batch([f"ls {tmp_path}/nothing"], which)
    assert missing.returncode == 1 and "not found" in missing.stderr


def test_batches(tmp_path):
    (tmp_path / "file").write_text("x")
    stops = batch([f"get {tmp_path}/nothing {tmp_path}/a", f"get {tmp_path}/file {tmp_path}/b"])
    assert stops.returncode == 1 and not (tmp_path / "b").exists()
    goes_on = batch([f"-get {tmp_path}/nothing {tmp_path}/a", f"@-get {tmp_path}/nothing {tmp_path}/a", "", "# get nothing",
                     f"  get {tmp_path}/file {tmp_path}/b  # and no more"])
    assert goes_on.returncode == 0 and (tmp_path / "b").exists()
    assert goes_on.stdout.count("nothing") == 2  # one repeated, one comment
    for line in ("nonsense", "get", "get a b c", "get -z a", 'get "open', "chmod 9 x", "mkdir", "bye now"):
        done = batch([line])
        assert done.returncode == 1 and done.stderr, line
    # Without -b failures do not end anything, nor do they count.
    done = run([tool("sftp"), "-D", SFTP_SERVERS["debian"]], stdin=None, input=f"get /nothing\nget {tmp_path}/file {tmp_path}/c\n")
    assert done.returncode == 0 and (tmp_path / "c").exists()
    assert run([tool("sftp"), "-b", str(tmp_path / "nobatch"), "-D", SFTP_SERVERS["debian"]]).returncode == 1
    (tmp_path / "script").write_text("quit\nnonsense\n")
    assert run([tool("sftp"), "-b", str(tmp_path / "script"), "-D", SFTP_SERVERS["debian"]]).returncode == 0


def test_whole_trees(tmp_path, which):
    for i in range(5):
        (tmp_path / f"src/{i}/x").mkdir(parents=True)
        for k in range(20):
            (tmp_path / f"src/{i}/x/f{k}").write_bytes(os.urandom(k * 1000))
    os.chmod(tmp_path / "src/3", 0o555)
    os.symlink("f1", tmp_path / "src/0/x/link")
    good(batch([f"lcd {tmp_path}", f"get -rp {tmp_path}/src got", f"put -R src {tmp_path}/put"], which))
    os.chmod(tmp_path / "src/3", 0o755)
    for copy in ("got", "put"):
        assert run(["diff", "-r", "--exclude=link", tmp_path / "src", tmp_path / copy]).returncode == 0
        assert not os.path.lexists(tmp_path / copy / "0/x/link")  # links are not followed
        assert stat.S_IMODE((tmp_path / copy / "3").stat().st_mode) == 0o555
        os.chmod(tmp_path / copy / "3", 0o755)


@pytest.mark.parametrize("suite", ["openssh", "sshd"])
def test_over_ssh(lab, tmp_path, suite):
    server = lab.openssh("Subsystem sftp /usr/lib/openssh/sftp-server") if suite == "openssh" else lab.sshd("Subsystem sftp internal-sftp")
    whole = data(tmp_path / "file")
    sftp = scp_words(lab, server, tool("sftp"))
    done = run(sftp + [f"127.0.0.1:{tmp_path}/file", str(tmp_path / "out")])
    assert done.returncode == 0 and (tmp_path / "out").read_bytes() == whole, done.stderr
    done = run(sftp + ["-b", "-", f"127.0.0.1:{tmp_path}"], stdin=None, input=f"put {tmp_path}/out again\nls -l\n")
    assert done.returncode == 0 and (tmp_path / "again").read_bytes() == whole, done.stderr
    port = sftp.index("-P")
    done = run(sftp[:port] + sftp[port + 2:] + ["-b", "-", f"sftp://127.0.0.1:{server.port}/{tmp_path}"], stdin=None, input="pwd\n")
    assert done.returncode == 0 and str(tmp_path) in done.stdout, done.stderr
    done = run(sftp + ["-s", "/usr/lib/openssh/sftp-server", "-b", "-", "127.0.0.1"], stdin=None, input="pwd\n")
    assert done.returncode == 0, done.stderr
    done = run(sftp + ["-b", "-", "-s", "nothing", "127.0.0.1"], stdin=None, input="pwd\n")
    assert done.returncode == 255 and done.stderr


def test_a_lost_connection_is_255(tmp_path):
    """Where OpenSSH's sftp died of SIGPIPE."""
    killer = tmp_path / "server"
    killer.write_text(f"#!/bin/sh\n{SFTP_SERVERS['debian']} & \necho $! >{tmp_path}/pid\nwait\n")
    dead = tmp_path / "dead"
    dead.write_text("#!/bin/sh\nexec head -c 60 </dev/null\n")
    dead.chmod(0o755)
    done = run([tool("sftp"), "-b", "-", "-D", str(dead)], stdin=None, input="pwd\n")
    assert done.returncode == 255 and "Connection closed" in done.stderr
    fake = tmp_path / "fake"
    fake.write_text(f"#!{sys.executable}\nimport os, struct, sys\ndef say(b): os.write(1, b)\ndef hear(n=1): return os.read(0, n)\n" +
                    textwrap.dedent(SFTP_FAKE) + "    if kind == 16: packet(b'\\x68' + rid + struct.pack('>I', 1) + text(b'/') + text(b'/') + "
                    "struct.pack('>I', 0))\n    else: sys.exit(0)\n")
    fake.chmod(0o755)
    done = run([tool("sftp"), "-b", "-", "-D", str(fake)], stdin=None, input="-mkdir x\nmkdir y\n")
    assert done.returncode == 255 and "Connection closed" in done.stderr


def test_bowline_speaks_as_debian_does(tmp_path):
    """The same batch by both programs has the same output, but for what is said about progress."""
    (tmp_path / "d").mkdir()
    for name in ("one", "two", "three"):
        (tmp_path / "d" / name).write_text(name)
    lines = [f"cd {tmp_path}", "pwd", "ls", "ls d", "ls -1 d", "ls -l d/one", "ls -1 d/one", "cd d", "ls -1 t*", "version"]
    ours, theirs = batch(lines), batch(lines, program=require("sftp"))
    assert ours.returncode == theirs.returncode == 0
    squeeze = [[" ".join(line.split()) for line in done.stdout.splitlines()] for done in (ours, theirs)]
    assert squeeze[0] == squeeze[1]


# ---- at a terminal ----

@pytest.fixture
def terminal(tmp_path):
    pexpect = pytest.importorskip("pexpect")
    children = []

    def start(*options):
        child = pexpect.spawn(tool("sftp"), [*options, "-D", SFTP_SERVERS["debian"]], cwd=str(tmp_path), timeout=15 * SLOW,
                              env=dict(os.environ, TERM="xterm", LC_ALL="C.UTF-8"), dimensions=(24, 100))
        child.expect("sftp> ")
        children.append(child)
        return child

    yield start
    for child in children:
        child.close(force=True)


def test_completion(terminal, tmp_path):
    (tmp_path / "remote name").mkdir()
    (tmp_path / "remote name/file.txt").write_text("x")
    (tmp_path / "local1").write_text("y")
    child = terminal()
    child.send("lpw\t")
    child.expect("lpwd ")
    child.send("\r")
    child.expect("Local working directory")
    child.expect("sftp> ")
    child.send("get rem\tf\t got\r")
    child.expect("Fetching")
    child.expect("sftp> ")
    child.send("put loc\t sent\r")
    child.expect("Uploading local1")
    child.expect("sftp> ")
    child.send("re\t\t")
    child.expect("reget")
    child.sendcontrol("u")
    child.send("bye\r")
    child.expect(__import__("pexpect").EOF)
    assert (tmp_path / "got").read_text() == "x" and (tmp_path / "sent").read_text() == "y"


def test_an_interrupt_ends_the_transfer_alone(terminal, tmp_path):
    with open(tmp_path / "big", "wb") as f:
        f.truncate(400 << 20)
    child = terminal("-l", "20000")
    child.send("get big got\r")
    child.expect("big .*%")
    child.sendintr()
    child.expect("Interrupt")
    child.expect("sftp> ")
    child.send("pwd\r")
    child.expect("Remote working directory")
    child.expect("sftp> ")
    child.sendeof()
    child.expect(__import__("pexpect").EOF)
    assert 0 < (tmp_path / "got").stat().st_size < 400 << 20
