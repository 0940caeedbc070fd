"""SFTP at the server: internal-sftp in the holder, in a fork of it, and the program sftp-server, with the clients
people have."""
import errno
import io
import os
import shutil
import stat
import struct
import subprocess
import threading
import time

import paramiko
import pytest
from conftest import BIN, SLOW, USER, needs_root, require, tool, wait_until
from processes import below

SERVER = os.path.join(os.path.dirname(BIN), "libexec", "sftp-server")
# -e wants the session's own standard error, so that a process of its own serves it.
WAYS = {"here": "internal-sftp -l VERBOSE", "fork": "internal-sftp -e -l VERBOSE", "program": f"{SERVER} -e -l VERBOSE"}
NO_SYSLOG = not os.path.exists("/dev/log")


@pytest.fixture(scope="module")
def servers(module_lab):
    return {way: module_lab.sshd(f"Subsystem sftp {command}\n") for way, command in WAYS.items()}


@pytest.fixture(params=list(WAYS))
def server(request, servers):
    return servers[request.param]


def connect(lab, server, user=USER):
    transport = paramiko.Transport(("127.0.0.1", server.port))
    transport.banner_timeout = transport.auth_timeout = 30 * SLOW
    transport.connect(username=user, pkey=paramiko.Ed25519Key(filename=lab.keys.path("user")))
    return transport


@pytest.fixture
def transport(module_lab, server):
    made = connect(module_lab, server)
    yield made
    made.close()


def client(transport):
    made = paramiko.SFTPClient.from_transport(transport)
    made.get_channel().settimeout(30 * SLOW)
    return made


@pytest.fixture
def sftp(transport):
    return client(transport)


def sftp_batch(lab, server, text, user=USER, program="sftp", options=(), **kw):
    options = [*options, *[a for a in lab.common(server.port) if a not in ("-p", str(server.port))]]
    return subprocess.run([require(program), "-q", "-b", "-", "-P", str(server.port), *options, f"{user}@127.0.0.1"],
                          input=text, capture_output=True, text=True, timeout=60 * SLOW, **kw)


def string(data):
    data = data.encode() if isinstance(data, str) else data
    return struct.pack(">I", len(data)) + data


class Raw:
    """Packets by hand."""

    def __init__(self, transport, window=None, packet=None):
        self.channel = transport.open_session(window_size=window, max_packet_size=packet)
        self.channel.settimeout(20 * SLOW)
        self.channel.invoke_subsystem("sftp")
        self.send(1, struct.pack(">I", 3))
        assert self.receive()[0] == 2

    def send(self, kind, body):
        self.channel.sendall(struct.pack(">IB", len(body) + 1, kind) + body)

    def exactly(self, n):
        data = b""
        while len(data) < n:
            more = self.channel.recv(n - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def receive(self):
        packet = self.exactly(struct.unpack(">I", self.exactly(4))[0])
        return packet[0], packet[1:]

    def status(self, kind, body):
        self.send(kind, struct.pack(">I", 9) + body)
        got, answer = self.receive()
        assert got == 101 and answer[:4] == struct.pack(">I", 9), (got, answer)
        return struct.unpack(">I", answer[4:8])[0]

    def open(self, path, flags):
        self.send(3, struct.pack(">I", 9) + string(str(path)) + struct.pack(">II", flags, 0))
        got, answer = self.receive()
        assert got == 102, answer
        return answer[4:]  # as a string


# ---- what files go through ----

def test_debian_sftp(module_lab, server, tmp_path):
    data = os.urandom(5_000_001)
    (tmp_path / "big").write_bytes(data)
    done = sftp_batch(module_lab, server, f"cd {tmp_path}\nmkdir d\nput -p big d/x\nget d/x back\nchmod 640 d/x\nln d/x d/h\n"
                      "symlink x d/l\nrename d/x d/y\n-rename d/none d/z\nls -l d\ndf\ncp d/y d/c\nrm d/l\nrm d/h\n-rm d/none\n-rmdir d\n"
                      "reget d/y back\npwd\n", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "No such file" in done.stderr
    assert (tmp_path / "back").read_bytes() == (tmp_path / "d/y").read_bytes() == (tmp_path / "d/c").read_bytes() == data
    assert stat.S_IMODE(os.stat(tmp_path / "d/y").st_mode) == 0o640
    assert sorted(os.listdir(tmp_path / "d")) == ["c", "y"]
    assert f"Remote working directory: {tmp_path}" in done.stdout


def test_our_client(module_lab, server, tmp_path):
    """Packets of 255 KiB, windows that grow."""
    data = os.urandom(30_000_001)
    (tmp_path / "big").write_bytes(data)
    done = sftp_batch(module_lab, server, f"put {tmp_path}/big {tmp_path}/up\nget {tmp_path}/up {tmp_path}/down\n", options=["-S", tool("ssh")])
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "down").read_bytes() == data


def test_scp_both_ways(module_lab, server, tmp_path):
    require("scp")
    tree = tmp_path / "tree"
    for i in range(40):
        (tree / f"d{i % 3}").mkdir(parents=True, exist_ok=True)
        (tree / f"d{i % 3}" / f"f{i}").write_bytes(os.urandom(i * 1111))
    options = [a for a in module_lab.common(server.port) if a not in ("-p", str(server.port))]
    for source, target in ((tree, f"127.0.0.1:{tmp_path}/up"), (f"127.0.0.1:{tmp_path}/up", tmp_path / "down")):
        done = subprocess.run(["scp", "-q", "-s", "-r", "-p", "-P", str(server.port), *options, str(source), str(target)],
                              capture_output=True, text=True, timeout=60 * SLOW)
        assert done.returncode == 0, done.stderr
    compared = subprocess.run(["diff", "-r", tree, tmp_path / "down"], capture_output=True, text=True)
    assert compared.returncode == 0, compared.stdout


def test_attributes_and_names(sftp, tmp_path):
    path, other = str(tmp_path / "a"), str(tmp_path / "b")
    with sftp.open(path, "w") as f:
        f.write(b"one")
    with sftp.open(path, "a") as f:
        f.write(b"two")
    with pytest.raises(IOError):
        sftp.open(path, "x")
    assert open(path).read() == "onetwo"
    sftp.chmod(path, 0o4711)
    sftp.truncate(path, 4)
    sftp.utime(path, (1000, 2000))
    seen = sftp.stat(path)
    assert (seen.st_size, seen.st_mtime, seen.st_atime, stat.S_IMODE(seen.st_mode)) == (4, 2000, 1000, 0o4711 & seen.st_mode)
    sftp.symlink("a", other)
    assert os.readlink(other) == "a" == sftp.readlink(other)
    assert stat.S_ISLNK(sftp.lstat(other).st_mode) and stat.S_ISREG(sftp.stat(other).st_mode)
    with pytest.raises(IOError):
        sftp.rename(path, other)  # there is one
    sftp.posix_rename(path, other)
    assert open(other).read() == "onet" and not os.path.exists(path)
    sftp.rename(other, path)
    sftp.mkdir(other, 0o700)
    with pytest.raises(IOError):
        sftp.rename(path, other)
    with pytest.raises(IOError):
        sftp.remove(other)  # a folder
    sftp.rmdir(other)
    with pytest.raises(IOError) as caught:
        sftp.stat(other)
    assert caught.value.errno == errno.ENOENT
    assert sftp.normalize(f"{tmp_path}/./../{tmp_path.name}//a") == path
    assert sftp.normalize(str(tmp_path / "none")) == str(tmp_path / "none")
    with pytest.raises(IOError):
        sftp.normalize(str(tmp_path / "none/none"))
    listed = sftp.listdir_attr(str(tmp_path))
    assert [e.filename for e in listed if not e.filename.startswith(".")] == ["a"]
    assert os.path.isabs(sftp.normalize("."))


def test_far_offsets(sftp, tmp_path):
    path, far = str(tmp_path / "sparse"), 5 << 30
    with sftp.open(path, "w+") as f:
        f.seek(far)
        f.write(b"the end")
        f.seek(far + 4)
        assert f.read(100) == b"end"
        f.seek(far - 3)
        assert f.read(5) == b"\0\0\0th"
        assert f.stat().st_size == far + 7
        f.truncate((4 << 30) + 1)
    assert os.stat(path).st_size == (4 << 30) + 1


def test_pipelined_reads_and_writes(sftp, tmp_path):
    data = os.urandom(6_000_000)
    sftp.putfo(io.BytesIO(data), str(tmp_path / "f"))
    got = io.BytesIO()
    sftp.getfo(str(tmp_path / "f"), got)
    assert got.getvalue() == data


def test_many_handles(sftp, tmp_path):
    files = [sftp.open(str(tmp_path / f"f{i}"), "w+") for i in range(120)]
    for i, f in enumerate(files):
        f.write(f"file {i}")
    for i, f in enumerate(files):
        f.seek(0)
        assert f.read() == f"file {i}".encode()
        f.close()


def test_a_long_listing(sftp, tmp_path):
    for i in range(345):
        (tmp_path / f"entry {i}").touch()
    assert len(sftp.listdir(str(tmp_path))) == 345


def test_small_windows_and_packets(transport, tmp_path):
    """An answer to one READ that is larger than the peer's whole window."""
    data = os.urandom(300_000)
    (tmp_path / "f").write_bytes(data)
    raw = Raw(transport, window=32768, packet=4096)
    handle = raw.open(tmp_path / "f", 1)
    for offset, wanted in ((0, 261120), (261120, 38880)):
        raw.send(5, struct.pack(">I", 9) + handle + struct.pack(">QI", offset, 300_000))
        kind, answer = raw.receive()
        assert kind == 103 and answer[8:] == data[offset:offset + wanted]


def test_psftp(module_lab, server, tmp_path):
    require("psftp")
    require("puttygen")
    key = tmp_path / "key.ppk"
    subprocess.run(["puttygen", module_lab.keys.path("user"), "-O", "private", "-o", key], check=True, stdin=subprocess.DEVNULL)
    data = os.urandom(3_000_000)
    (tmp_path / "f").write_bytes(data)
    (tmp_path / "batch").write_text(f"put {tmp_path}/f {tmp_path}/up\nget {tmp_path}/up {tmp_path}/down\nls {tmp_path}\nren {tmp_path}/up {tmp_path}/u2\n")
    fingerprint = subprocess.run(["ssh-keygen", "-l", "-f", module_lab.keys.path("host")], capture_output=True, text=True).stdout.split()[1]
    done = subprocess.run(["psftp", "-batch", "-P", str(server.port), "-i", key, "-hostkey", fingerprint, "-b", tmp_path / "batch",
                           f"{USER}@127.0.0.1"], capture_output=True, text=True, timeout=60 * SLOW, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "down").read_bytes() == (tmp_path / "u2").read_bytes() == data


def test_lftp(module_lab, servers, tmp_path):
    require("lftp")
    server = servers["here"]
    tree = tmp_path / "tree"
    for i in range(20):
        (tree / f"d{i % 3}").mkdir(parents=True, exist_ok=True)
        (tree / f"d{i % 3}" / f"f{i}").write_bytes(os.urandom(i * 3333))
    ssh = " ".join(["ssh", "-a", "-x", *[a for a in module_lab.common(server.port) if a not in ("-p", str(server.port))]])
    script = (f"set sftp:connect-program \"{ssh}\"; open -u {USER},none sftp://127.0.0.1:{server.port}; "
              f"mirror -R --parallel=3 {tree} {tmp_path}/up; mirror {tmp_path}/up {tmp_path}/down; bye")
    done = subprocess.run(["lftp", "-c", script], capture_output=True, text=True, timeout=60 * SLOW, stdin=subprocess.DEVNULL,
                          env=dict(os.environ, HOME=str(tmp_path)))
    assert done.returncode == 0, done.stderr
    assert subprocess.run(["diff", "-r", tree, tmp_path / "down"]).returncode == 0


@needs_root
def test_sshfs(module_lab, servers, tmp_path):
    require("sshfs")
    server, there, here = servers["here"], tmp_path / "there", tmp_path / "here"
    there.mkdir(), here.mkdir()
    ssh = " ".join(["ssh", *[a for a in module_lab.common(server.port) if a not in ("-p", str(server.port))]])
    done = subprocess.run(["sshfs", f"127.0.0.1:{there}", here, "-p", str(server.port), "-o", f"ssh_command={ssh}"],
                          capture_output=True, text=True, timeout=30 * SLOW, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        pytest.skip(f"sshfs cannot mount here: {done.stderr.strip()}")
    try:
        data = os.urandom(1_000_000)
        (here / "f").write_bytes(data)
        os.rename(here / "f", here / "g")
        os.symlink("g", here / "l")
        assert (here / "l").read_bytes() == (there / "g").read_bytes() == data
        with open(here / "g", "r+b") as f:
            f.truncate(10)
            os.fsync(f.fileno())
        assert os.stat(there / "g").st_size == 10
    finally:
        subprocess.run(["fusermount3", "-u", here], check=False)


# ---- what must not happen ----

def test_files_that_are_none(transport, sftp, tmp_path):
    """A FIFO without anybody at its other end, and a device, hold nobody up."""
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(IOError):
        sftp.open(str(tmp_path / "fifo"), "w")
    with sftp.open(str(tmp_path / "fifo"), "r") as f:
        with pytest.raises(IOError):
            f.read(10)
    with sftp.open("/dev/zero", "r") as f:
        assert f.read(1000) == bytes(1000)
    other = transport.open_session()
    other.exec_command("echo alive")
    assert other.makefile().read() == b"alive\n"


def test_bad_packets_end_their_session_only(transport):
    for packet in (struct.pack(">IB", 300_000, 5), struct.pack(">I", 0), struct.pack(">IBII", 9, 1, 3, 0)):
        raw = Raw(transport)
        raw.channel.sendall(packet)
        with pytest.raises(EOFError):
            raw.receive()
        assert raw.channel.recv_exit_status() not in (0, -1)
    raw = Raw(transport)
    assert raw.status(99, b"") == 8
    assert raw.status(17, b"\0\0\0\7/etc\0/x") == 5  # NUL
    assert raw.status(17, struct.pack(">I", 1 << 31)) == 5
    assert raw.status(4, string(b"\0" * 8)) == 4
    assert raw.status(5, string(b"\xff" * 8) + struct.pack(">QI", 0, 1)) == 4


def test_copy_data_never_onto_itself(transport, tmp_path):
    """OpenSSH 10.4: also under two names."""
    (tmp_path / "f").write_bytes(b"x" * 100_000)
    os.link(tmp_path / "f", tmp_path / "same")
    raw = Raw(transport)
    source, same, other = raw.open(tmp_path / "f", 1), raw.open(tmp_path / "same", 2), raw.open(tmp_path / "copy", 10)

    def copy(to, offset=0, length=0):
        return raw.status(200, string("copy-data") + source + struct.pack(">QQ", offset, length) + to + struct.pack(">Q", 5))
    assert copy(same, 0, 0) == 4
    assert copy(source) == 4
    assert copy(other, 1, 0) == 0
    assert (tmp_path / "copy").read_bytes() == b"\0" * 5 + b"x" * 99_999
    assert copy(other, 99_990, 1000) == 1
    assert raw.status(200, string("fsync@openssh.com") + other) == 0
    assert os.stat(tmp_path / "f").st_size == 100_000


def test_a_cut_connection_leaves_nothing(module_lab, server, tmp_path):
    before = len(below(server.process.pid))
    transport = connect(module_lab, server)
    raw = Raw(transport)
    handle = raw.open(tmp_path / "f", 10)
    raw.channel.sendall(struct.pack(">IBI", 100_029, 6, 1) + handle + struct.pack(">QI", 0, 100_000) + b"x" * 50_000)
    assert wait_until(lambda: os.path.getsize(tmp_path / "f") > 0)  # what there is, is written
    transport.sock.close()
    transport.close()
    assert wait_until(lambda: len(below(server.process.pid)) <= before)


def settled(server):
    """How many processes there are when those of the logins before, and this one's judge, have ended."""
    seen = [None]

    def same():
        time.sleep(0.3)
        seen.append(sorted(below(server.process.pid)))
        return seen[-1] == seen[-2]
    assert wait_until(same)
    return len(seen[-1])


def test_a_session_beside_others_has_its_own_process(module_lab, servers):
    server = servers["here"]
    transport = connect(module_lab, server)
    before = settled(server)
    first = client(transport)
    assert first.normalize("/") == "/"
    assert len(below(server.process.pid)) == before
    second = client(transport)  # what it hangs at is not the first one's trouble
    assert second.normalize("/") == "/"
    assert len(below(server.process.pid)) == before + 1
    first.close()
    second.close()
    assert wait_until(lambda: len(below(server.process.pid)) == before)
    third = client(transport)
    assert third.normalize("/") == "/"
    transport.close()


def test_open_files_are_nobody_elses(transport, sftp, tmp_path):
    with sftp.open(str(tmp_path / "mine"), "w"):
        sftp.listdir("/")
        other = transport.open_session()
        other.settimeout(20 * SLOW)
        other.exec_command("ls -l /proc/self/fd")
        seen = other.makefile().read().decode()
    assert "pipe:" in seen and str(tmp_path) not in seen


def test_other_channels_while_files_go(module_lab, servers, tmp_path):
    transport = connect(module_lab, servers["here"])
    sftp, stop, done = client(transport), threading.Event(), []
    (tmp_path / "f").write_bytes(os.urandom(2_000_000))

    def transfer():
        while not stop.is_set():
            sftp.getfo(str(tmp_path / "f"), io.BytesIO())
            done.append(1)
    thread = threading.Thread(target=transfer)
    thread.start()
    try:
        for i in range(5):
            channel = transport.open_session()
            channel.settimeout(20 * SLOW)
            channel.exec_command(f"echo {i}")
            assert channel.makefile().read() == f"{i}\n".encode()
    finally:
        stop.set()
        thread.join()
    assert done
    transport.close()


# ---- configuration ----

def test_beside_a_terminal(module_lab, servers, tmp_path):
    """Bulk goes at the terminal's pace; all of it comes."""
    transport = connect(module_lab, servers["here"])
    sftp = client(transport)
    sftp.normalize("/")
    shell = transport.open_session()
    shell.get_pty()
    shell.invoke_shell()
    shell.settimeout(20 * SLOW)
    data, got = os.urandom(4_000_000), io.BytesIO()
    (tmp_path / "f").write_bytes(data)
    sftp.getfo(str(tmp_path / "f"), got)
    assert got.getvalue() == data
    shell.send(b"echo $((6 * 7))x\n")
    seen = b""
    while b"42x" not in seen:
        seen += shell.recv(1000)
    transport.close()


def test_internal_sftp_is_for_subsystems(module_lab, servers):
    done = module_lab.ssh(servers["here"], "internal-sftp", program="ssh")
    assert done.returncode == 127


@pytest.mark.parametrize("flag", ["", "-e"])
def test_force_command(lab, tmp_path, flag):
    server = lab.sshd(f"Subsystem sftp /bin/false\nForceCommand internal-sftp {flag} -R -d {tmp_path}\n")
    (tmp_path / "f").write_text("text")
    done = sftp_batch(lab, server, "pwd\nget f f2\n-put f g\n-rm f\n", cwd=tmp_path)
    assert done.returncode == 0 and f"directory: {tmp_path}\n" in done.stdout, done.stderr
    assert done.stderr.count("ermission denied") == 2 and (tmp_path / "f2").read_text() == "text"
    for args in ((), ("-tt",)):
        done = lab.ssh(server, *args, "echo no", program="ssh")
        assert done.returncode == 1 and done.stdout.strip() == b"This service allows sftp connections only."


@pytest.mark.parametrize("way", ["internal-sftp", "internal-sftp -e", SERVER + " -e"])
def test_flags(lab, tmp_path, way):
    folder = tmp_path / USER
    folder.mkdir()
    server = lab.sshd(f"Subsystem sftp {way} -u 0077 -d {tmp_path}/%u -P remove,symlink\n")
    transport = connect(lab, server)
    sftp = client(transport)
    assert sftp.normalize(".") == str(folder)
    sftp.open("f", "w").close()
    sftp.mkdir("d", 0o777)
    assert stat.S_IMODE(os.stat(folder / "f").st_mode) == 0o600
    assert stat.S_IMODE(os.stat(folder / "d").st_mode) == 0o700
    for call, args in ((sftp.remove, ("f",)), (sftp.symlink, ("f", "l"))):
        with pytest.raises(IOError) as caught:
            call(*args)
        assert caught.value.errno == errno.EACCES
    transport.close()


@pytest.mark.parametrize("way", ["internal-sftp -Z", "internal-sftp -P nothing"])
def test_bad_flags_are_told(lab, way):
    server = lab.sshd(f"Subsystem sftp {way}\n")
    done = lab.ssh(server, "-s", "sftp", program="ssh")
    assert done.returncode == 1 and b"internal-sftp: unknown" in done.stderr


@pytest.mark.skipif(not NO_SYSLOG, reason="a syslog is there: lines go to it")
def test_log(lab, tmp_path):
    server = lab.sshd("Subsystem sftp internal-sftp -l INFO\n")
    (tmp_path / "f").write_bytes(b"x" * 1000)
    assert sftp_batch(lab, server, f"get {tmp_path}/f {tmp_path}/g\nput {tmp_path}/f {tmp_path}/h\n-rm {tmp_path}/none\n").returncode == 0
    for line in (f"session opened for local user {USER} from [127.0.0.1]", f'open "{tmp_path}/f" flags READ mode 0666',
                 f'close "{tmp_path}/f" bytes read 1000 written 0', f'open "{tmp_path}/h" flags WRITE,CREATE,TRUNCATE mode 0644',
                 f'close "{tmp_path}/h" bytes read 0 written 1000', f'remove name "{tmp_path}/none"', "sent status No such file",
                 f"session closed for local user {USER} from [127.0.0.1]"):
        server.wait_log("internal-sftp: " + line)


@needs_root
@pytest.mark.parametrize("flag", ["", "-e"])
def test_chroot(lab, account, scratch, flag):
    """An empty root folder but for one that is the user's: no way out, nothing else there."""
    jail = os.path.join("/srv", os.path.basename(scratch))
    os.makedirs(os.path.join(jail, "up"))
    os.chown(os.path.join(jail, "up"), account.uid, account.gid)
    os.symlink("/etc", os.path.join(jail, "up", "etc"))
    os.symlink("../../../..", os.path.join(jail, "up", "out"))
    try:
        server = lab.sshd(f"Subsystem sftp internal-sftp {flag} -l VERBOSE\nChrootDirectory {jail}\nForceCommand internal-sftp {flag} -d /up\n",
                          authorized=".ssh/authorized_keys")
        transport = connect(lab, server, account.name)
        sftp = client(transport)
        assert sftp.normalize(".") == "/up" and sftp.normalize("../../..") == "/"
        assert sftp.normalize("out") == "/"
        assert sftp.listdir("out") == sftp.listdir("/") == ["up"]
        for path in ("/etc", "etc", "etc/passwd", "/../../../etc/passwd", "out/etc/passwd", "/proc/self/root/etc"):
            with pytest.raises(IOError) as caught:
                sftp.stat(path)
            assert caught.value.errno == errno.ENOENT  # there, here or not: the same
        with sftp.open("new", "w") as f:
            f.write(b"mine")
        with pytest.raises(IOError):
            sftp.open("/new", "w")
        assert os.stat(os.path.join(jail, "up/new")).st_uid == account.uid
        assert [e.longname.split()[2] for e in sftp.listdir_attr(".") if e.filename == "new"] == [str(account.uid)]
        transport.close()
        done = lab.ssh(server, "-l", account.name, "true", program="ssh")
        assert done.returncode == 1 and b"sftp connections only" in done.stdout
    finally:
        shutil.rmtree(jail)


# ---- the program alone ----

def program(*args, **kw):
    return subprocess.run([SERVER, *args], capture_output=True, text=True, timeout=20 * SLOW, stdin=subprocess.DEVNULL, **kw)


def test_program_flags():
    theirs = subprocess.run(["/usr/lib/openssh/sftp-server", "-Q", "requests"], capture_output=True, text=True)
    if theirs.returncode == 0:
        assert program("-Q", "requests").stdout == theirs.stdout
    assert program("-h").returncode == 1 and "usage: sftp-server" in program("-h").stderr
    for args, text in ((("-l", "LOUD"), 'invalid log level "LOUD"'), (("-f", "HERE"), 'invalid log facility "HERE"'),
                       (("-u", "9"), 'invalid umask "9"'), (("-P", "stat,copy"), 'unknown request "copy"'), (("-d",), "-d wants an argument"),
                       (("-d", "%x"), "unknown token %x"), (("-Q", "all"), "invalid query"), (("there",), "unexpected argument")):
        done = program(*args)
        assert done.returncode == 1 and text in done.stderr, (args, done.stderr)
    assert program("-e", "-l", "INFO").stderr.count("session ") == 2


@pytest.mark.parametrize("level", ["INFO", "VERBOSE"])
def test_log_lines_are_those_of_openssh(tmp_path, level):
    """Log parsers read them."""
    require("sftp")
    theirs = "/usr/lib/openssh/sftp-server"
    if not os.path.exists(theirs):
        pytest.skip("Debian's sftp-server is not installed")
    (tmp_path / "source").write_bytes(b"y" * 100_000)
    (tmp_path / "batch").write_text("mkdir d\nput source d/x\nls -l d\nchmod 600 d/x\nget d/x back\nrename d/x d/z\n-rename d/no d/z2\nsymlink z d/l\n"
                                    f"ln d/z d/h\ndf\nchown {os.getuid()} d/z\nrm d/l\nrm d/h\nrm d/z\n-rm d/z\nrmdir d\n")
    outputs = []
    for which in (theirs, SERVER):
        # Owners' names are asked for by number of those not seen yet, of which Debian's client keeps count.
        done = subprocess.run(["sftp", "-b", "batch", "-D", f"{which} -e -l {level}"], cwd=tmp_path, capture_output=True, text=True,
                              timeout=30 * SLOW, stdin=subprocess.DEVNULL)
        assert done.returncode == 0
        outputs.append([line.strip() for line in done.stderr.splitlines() if "users-groups-by-id" not in line] +
                       [line for line in done.stdout.splitlines() if line.startswith("-rw")])
    assert outputs[0] == outputs[1]


def test_program_reads_less_than_it_is_sent(tmp_path):
    """A client that sends long before it reads: nothing is lost, nothing waits for ever."""
    process = subprocess.Popen([SERVER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=tmp_path)
    count = 8_000
    requests = struct.pack(">IBI", 5, 1, 3) + b"".join(
        struct.pack(">IBI", 5 + 5, 17, i) + string("/") for i in range(count))
    answers = []
    reader = threading.Thread(target=lambda: (time.sleep(0.5), answers.append(process.stdout.read())))
    reader.start()
    process.stdin.write(requests)
    process.stdin.close()
    reader.join(60 * SLOW)
    assert process.wait(20 * SLOW) == 0
    data, n = answers[0], 0
    while data:
        size = struct.unpack(">I", data[:4])[0]
        data, n = data[4 + size:], n + 1
        if n > count:
            break
    assert n == count + 1 and data == b""
