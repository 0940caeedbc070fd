"""scp: our client with every kind of server, our -t and -f below other clients, hostile ends."""
import os
import signal
import stat
import subprocess
import sys
import textwrap

import pytest

from conftest import IS_ROOT, SLOW, require, tool, wait_until

SFTP_SERVERS = {"debian": "/usr/lib/openssh/sftp-server", "ours": os.path.join(os.path.dirname(tool("x")), "..", "libexec", "sftp-server")}


def scp_words(lab, server, program=None, ssh=None):
    words = [program or tool("scp")]
    for w in ("-F none", f"-P {server.port}", f"-i {lab.keys.path('user')}", "-o IdentitiesOnly=yes", "-o BatchMode=yes",
              f"-o UserKnownHostsFile={lab.keys.known_hosts(server.port)}", "-o GlobalKnownHostsFile=none"):
        words += w.split(" ", 1)
    return words + (["-S", ssh] if ssh else [])


def run(words, **kw):
    kw.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60 * SLOW, text=True, **kw)


def direct(which="debian"):
    """Copies with an SFTP server below scp itself, without a connection."""
    return [tool("scp"), "-D", SFTP_SERVERS[which]]


def data(path, size=700_001):
    path.write_bytes(os.urandom(size))
    return path.read_bytes()


@pytest.fixture(params=["openssh", "sshd"])
def server(request, lab):
    if request.param == "openssh":
        return lab.openssh("Subsystem sftp /usr/lib/openssh/sftp-server")
    return lab.sshd("Subsystem sftp internal-sftp")


@pytest.mark.parametrize("protocol", ["-s", "-O"])
def test_round_trip(lab, server, tmp_path, protocol):
    (tmp_path / "d").mkdir()
    whole = data(tmp_path / "file")
    scp, there = scp_words(lab, server) + [protocol], f"127.0.0.1:{tmp_path}"
    env = dict(os.environ, PATH=os.path.dirname(tool("scp")) + ":" + os.environ["PATH"])
    done = run(scp + ["-p", str(tmp_path / "file"), f"{there}/d/up"], env=env)
    assert done.returncode == 0, done.stderr
    done = run(scp + [f"{there}/d/up", str(tmp_path / "down")], env=env)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "down").read_bytes() == whole
    assert int((tmp_path / "d/up").stat().st_mtime) == int((tmp_path / "file").stat().st_mtime)
    done = run(scp + ["-r", f"{there}/d", str(tmp_path / "e")], env=env)
    assert done.returncode == 0 and (tmp_path / "e/up").read_bytes() == whole, done.stderr
    missing = run(scp + [f"{there}/nothing", str(tmp_path / "x")], env=env)
    assert missing.returncode == 1 and "No such file" in missing.stderr


def test_no_server_is_255_or_an_error(lab, tmp_path):
    server = lab.openssh("Subsystem sftp /bin/false")
    (tmp_path / "file").write_text("x")
    done = run(scp_words(lab, server) + [str(tmp_path / "file"), f"127.0.0.1:{tmp_path}/x"])
    assert done.returncode == 255 and "Connection closed" in done.stderr


def test_addresses(lab, tmp_path):
    server = lab.openssh("Subsystem sftp /usr/lib/openssh/sftp-server")
    whole = data(tmp_path / "a b%", 1000)
    words = scp_words(lab, server)
    del words[words.index("-P"):words.index("-P") + 2]
    user = subprocess.run(["id", "-un"], capture_output=True, text=True).stdout.strip()
    address = f"scp://{user}@127.0.0.1:{server.port}/{tmp_path}/a%20b%25"
    done = run(words + [address, str(tmp_path / "out")])
    assert done.returncode == 0 and (tmp_path / "out").read_bytes() == whole, done.stderr
    for bad in ("scp://host:0/x", "scp://host:99999/x", "scp://h%00/x", "scp:///x", "@host:x"):
        done = run(words + [bad, str(tmp_path / "no")])
        assert done.returncode == 1 and bad in done.stderr, bad


def test_addresses_with_colons_and_brackets(tmp_path):
    data(tmp_path / "file", 10)
    for name in ("[::1]:", "user@[fe80::1%eth0]:", "somehost:"):
        done = run(direct() + [f"{name}{tmp_path}/file", str(tmp_path / "out")])
        assert done.returncode == 0, done.stderr
    # A colon behind a slash is part of a file's name.
    (tmp_path / "a:b").write_text("x")
    assert run([tool("scp"), f"{tmp_path}/a:b", str(tmp_path / "c")]).returncode == 0
    assert (tmp_path / "c").read_text() == "x"


@pytest.mark.parametrize("which", sorted(SFTP_SERVERS))
def test_patterns_and_folders(tmp_path, which):
    (tmp_path / "src/sub").mkdir(parents=True)
    (tmp_path / "out").mkdir()
    for name in ("a1", "a2", "b[1]", ".a3", "sub/c", "with space"):
        (tmp_path / "src" / name).write_text(name)
    os.symlink("a1", tmp_path / "src/link")
    scp = direct(which)
    assert run(scp + [f"h:{tmp_path}/src/a*", str(tmp_path / "out")]).returncode == 0
    assert sorted(os.listdir(tmp_path / "out")) == ["a1", "a2"]
    assert run(scp + [f"h:{tmp_path}/src/b[1]", str(tmp_path / "out")]).returncode == 0  # falls back to the very name
    assert run(scp + [f"h:{tmp_path}/s*/su?/c", str(tmp_path / "out")]).returncode == 0
    assert sorted(os.listdir(tmp_path / "out")) == ["a1", "a2", "b[1]", "c"]
    refused = run(scp + [f"h:{tmp_path}/src", str(tmp_path / "out")])
    assert refused.returncode == 1 and "not a regular file" in refused.stderr
    several = run(scp + [f"h:{tmp_path}/src/a*", str(tmp_path / "single")])
    assert several.returncode == 1 and not (tmp_path / "single").exists()
    assert run(scp + ["-r", f"h:{tmp_path}/src", str(tmp_path / "copy")]).returncode == 0
    assert run(["diff", "-r", tmp_path / "src", tmp_path / "copy"]).returncode == 0
    assert not os.path.islink(tmp_path / "copy/link")
    assert run(scp + ["-3", "-rp", f"h:{tmp_path}/src", f"i:{tmp_path}/third"]).returncode == 0
    assert run(["diff", "-r", tmp_path / "src", tmp_path / "third"]).returncode == 0
    assert run(scp + ["-r", str(tmp_path / "src"), f"h:{tmp_path}/fourth"]).returncode == 0
    assert run(["diff", "-r", tmp_path / "src", tmp_path / "fourth"]).returncode == 0


def test_folders_without_a_name_stay_in_the_target(tmp_path):
    (tmp_path / "src/sub").mkdir(parents=True)
    (tmp_path / "src/file").write_text("x")
    (tmp_path / "a/b").mkdir(parents=True)
    for path in (f"{tmp_path}/src/sub/..", f"{tmp_path}/src/."):
        done = run(direct() + ["-r", f"h:{path}", str(tmp_path / "a/b")])
        assert done.returncode == 0, done.stderr
        assert sorted(os.listdir(tmp_path / "a")) == ["b"] and sorted(os.listdir(tmp_path / "a/b")) == ["file", "sub"]


def test_old_files_are_overwritten_in_place(tmp_path):
    """Also when both ends are the same file; a longer old one loses its rest; its inode stays."""
    whole = data(tmp_path / "file", 300_000)
    for words in ([f"h:{tmp_path}/file", str(tmp_path / "file")], [str(tmp_path / "file"), f"h:{tmp_path}/file"]):
        assert run(direct() + words).returncode == 0
        assert (tmp_path / "file").read_bytes() == whole
    for words in ([f"h:{tmp_path}/file", str(tmp_path / "long")], [str(tmp_path / "file"), f"h:{tmp_path}/long"]):
        data(tmp_path / "long", 900_000)
        inode = (tmp_path / "long").stat().st_ino
        assert run(direct() + words).returncode == 0
        assert (tmp_path / "long").read_bytes() == whole and (tmp_path / "long").stat().st_ino == inode


@pytest.mark.parametrize("options", ["-X buffer=7", "-X nrequests=1", "-X buffer=100K -X nrequests=3", "-l 400000"])
def test_sizes_of_requests(tmp_path, options):
    size = 5000 if "=7" in options else 700_001
    whole = data(tmp_path / "file", size)
    assert run(direct() + options.split() + [f"h:{tmp_path}/file", str(tmp_path / "a")]).returncode == 0
    assert run(direct() + options.split() + [str(tmp_path / "file"), f"h:{tmp_path}/b"]).returncode == 0
    assert (tmp_path / "a").read_bytes() == whole == (tmp_path / "b").read_bytes()
    assert run(direct() + ["-X", "nonsense", "h:a", "b"]).returncode == 1


def test_special_files(tmp_path):
    (tmp_path / "file").write_text("some text")
    assert run(direct() + ["h:/proc/version", str(tmp_path / "v")]).returncode == 0  # has a size of 0
    assert (tmp_path / "v").read_text() == open("/proc/version").read()
    assert run(direct() + ["h:/sys/class/net/lo/mtu", str(tmp_path / "m")]).returncode == 0  # one of 4096
    assert (tmp_path / "m").read_text() == open("/sys/class/net/lo/mtu").read()
    assert run(direct() + [str(tmp_path / "file"), "h:/dev/null"]).returncode == 0
    assert run(direct() + [f"h:{tmp_path}/file", "/dev/null"]).returncode == 0
    done = run(["sh", "-c", f"{' '.join(direct())} h:{tmp_path}/file /dev/stdout | cat"])
    assert done.stdout == "some text"
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    os.mkfifo(tmp_path / "fifo")
    refused = run(direct() + [f"h:{tmp_path}/fifo", str(tmp_path / "no")])
    assert refused.returncode == 1 and "not a regular file" in refused.stderr


def test_without_us(lab, tmp_path):
    """-R: the source host's scp connects to the target; what it is told passes its shell quoted."""
    log = tmp_path / "log"
    ssh = tmp_path / "ssh"
    ssh.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >{log}\n')
    ssh.chmod(0o755)
    done = run([tool("scp"), "-S", str(ssh), "-R", "-rp", "a:x y", "u@b:it's;id"])
    assert done.returncode == 0
    assert log.read_text().splitlines()[-3:] == ["--", "a", "scp '-r' '-p' -- x y 'u@b:it'\\''s;id'"]


# ---- other clients with our -t and -f ----

@pytest.mark.parametrize("client", ["scp", "pscp"])
def test_other_clients_of_the_old_protocol(lab, tmp_path, client):
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    os.symlink(os.path.realpath(tool("scp")), bin_folder / "scp")
    server = lab.openssh(f"SetEnv PATH={bin_folder}:/usr/bin:/bin")
    (tmp_path / "d/e").mkdir(parents=True)
    whole = data(tmp_path / "d/e/file")
    if client == "scp":
        words = scp_words(lab, server, require("scp"), require("ssh")) + ["-O"]
    else:
        require("puttygen")
        key = tmp_path / "key.ppk"
        run(["puttygen", lab.keys.path("user"), "-o", str(key), "-O", "private"])
        fingerprint = run(["ssh-keygen", "-lf", lab.keys.path("host") + ".pub"]).stdout.split()[1]
        words = [require("pscp"), "-scp", "-batch", "-P", str(server.port), "-i", str(key), "-hostkey", fingerprint]
    there = f"127.0.0.1:{tmp_path}"
    done = run(words + ["-r", "-p", str(tmp_path / "d"), f"{there}/up"], env=dict(os.environ, HOME=str(tmp_path)))
    assert done.returncode == 0, done.stderr
    done = run(words + ["-r", "-p", f"{there}/d", str(tmp_path / "down")], env=dict(os.environ, HOME=str(tmp_path)))
    assert done.returncode == 0, done.stderr
    for copy in ("up", "down"):
        found = [os.path.join(p, f) for p, _, fs in os.walk(tmp_path / copy) for f in fs]
        assert len(found) == 1 and open(found[0], "rb").read() == whole
    failed = run(words + [f"{there}/nothing", str(tmp_path / "x")], env=dict(os.environ, HOME=str(tmp_path)))
    assert failed.returncode != 0


def test_dropbear(lab, tmp_path):
    server = lab.dropbear()
    home = os.path.expanduser("~/.ssh/authorized_keys")
    before = open(home).read() if os.path.exists(home) else None
    os.makedirs(os.path.dirname(home), exist_ok=True)
    try:
        with open(home, "a") as f:
            f.write(lab.keys.public("user"))
        whole = data(tmp_path / "file")
        scp = scp_words(lab, server) + ["-O"]
        done = run(scp + [f"127.0.0.1:{tmp_path}/file", str(tmp_path / "down")])
        assert done.returncode == 0, done.stderr
        done = run(scp + [str(tmp_path / "file"), f"127.0.0.1:{tmp_path}/up"])
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "down").read_bytes() == whole == (tmp_path / "up").read_bytes()
    finally:
        if before is None:
            os.unlink(home)
        else:
            open(home, "w").write(before)


# ---- signals ----

@pytest.mark.parametrize("program", ["scp", "sftp"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_end_ends_ssh_too(tmp_path, program, number):
    """Also one that stands at a prompt, or whose host says nothing."""
    ssh = tmp_path / "ssh"
    ssh.write_text(f"#!/bin/sh\necho $$ >{tmp_path}/pid\nexec sleep 600\n")
    ssh.chmod(0o755)
    words = ["h:file", str(tmp_path / "x")] if program == "scp" else ["h"]
    child = subprocess.Popen([tool(program), "-S", str(ssh), *words], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    pid = int(wait_until(lambda: os.path.exists(tmp_path / "pid") and (tmp_path / "pid").read_text().strip()))
    # One that comes while ssh is being started is ssh's business alone: a person presses the key again.
    assert wait_until(lambda: child.send_signal(number) or child.poll() is not None, step=1)
    assert child.returncode in (1, 255)
    child.stderr.close()
    assert wait_until(lambda: not os.path.exists(f"/proc/{pid}") or "Z" in open(f"/proc/{pid}/stat").read().split()[2])


# ---- hostile ends ----

def fake_ssh(tmp_path, body):
    """A program in place of ssh that plays the other end; `body` is Python over stdin and stdout."""
    path = tmp_path / "fake_ssh"
    path.write_text(f"#!{sys.executable}\n" + textwrap.dedent("""\
        import os, struct, sys
        def say(b): os.write(1, b)
        def hear(n=1): return os.read(0, n)
        """) + textwrap.dedent(body))
    path.chmod(0o755)
    return [tool("scp"), "-S", str(path)]


@pytest.mark.parametrize("record", ["C0644 2 other", "C0644 2 ../up", "C0644 2 /abs", "C0644 2 ..", "C0644 2 .", "C0644 2 ",
                                    "D0755 0 file", "D0755 0 .", "C64 2 file", "C0644 -1 file", "C0644 99999999999999999999 file",
                                    "X", "C0644 file", "T1 0", "C9999 1 file", "\\x1b]0;title"])
def test_old_protocol_names_are_those_asked_for(tmp_path, record):
    (tmp_path / "target").mkdir()
    scp = fake_ssh(tmp_path, f"""
        hear(); say(b"{record}\\n"); hear(); say(b"x\\n\\0"); hear()
        """)
    done = run(scp + ["-O", "h:file", str(tmp_path / "target")])
    assert done.returncode == 1
    assert os.listdir(tmp_path / "target") == []
    assert "\x1b" not in done.stderr + done.stdout


def test_old_protocol_folders_are_those_asked_for(tmp_path):
    (tmp_path / "target").mkdir()
    scp = fake_ssh(tmp_path, """
        hear(); say(b"D0755 0 .ssh\\n"); hear(); say(b"C0644 2 keys\\n"); hear(); say(b"x\\n\\0"); hear(); say(b"E\\n"); hear()
        """)
    done = run(scp + ["-O", "-r", "h:folder", str(tmp_path / "target")])
    assert done.returncode == 1 and "does not match what was asked for" in done.stderr
    assert os.listdir(tmp_path / "target") == []
    done = run(scp + ["-O", "-r", "h:{folder,.ssh}", str(tmp_path / "target")])
    assert os.listdir(tmp_path / "target") == [".ssh"]


def test_old_protocol_brings_no_setuid(tmp_path):
    scp = fake_ssh(tmp_path, r'''
        hear(); say(b"C6777 2 file\n"); hear(); say(b"x\n\0"); hear()
        ''')
    assert run(scp + ["-O", "-p", "h:file", str(tmp_path / "file")]).returncode == 0
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o777


def test_old_protocol_texts_are_cleaned(tmp_path):
    scp = fake_ssh(tmp_path, r'''
        hear(); say(b"\1scp: \x1b[31mred\x07\n")
        ''')
    done = run(scp + ["-O", "h:file", str(tmp_path / "file")])
    assert done.returncode == 1 and "red" in done.stderr
    assert "\x1b" not in done.stderr and "\x07" not in done.stderr


SFTP_FAKE = r'''
    def packet(b): say(struct.pack(">I", len(b)) + b)
    def text(b): return struct.pack(">I", len(b)) + b
    def whole(n):
        b = b""
        while len(b) < n:
            more = hear(n - len(b))
            if not more: sys.exit(0)
            b += more
        return b
    def request(): return whole(struct.unpack(">I", whole(4))[0])
    FILE = struct.pack(">IQI", 5, 10, 0o100644); FOLDER = struct.pack(">II", 4, 0o40755)
    request(); packet(b"\2\0\0\0\3")
    listed = False
    while True:
        b = request(); kind, rid = b[0], b[1:5]
        status = lambda n: packet(b"\x65" + rid + struct.pack(">I", n) + text(b"x") + text(b""))
'''


def sftp_fake(tmp_path, body):
    return fake_ssh(tmp_path, textwrap.dedent(SFTP_FAKE) + textwrap.indent(textwrap.dedent(body), "    "))


def test_names_of_a_listing_stay_in_their_folder(tmp_path):
    """CVE-2018-20685, CVE-2019-6111: what a server lists is never a path."""
    (tmp_path / "target").mkdir()
    scp = sftp_fake(tmp_path, r'''
        if kind in (7, 17): packet(b"\x69" + rid + FOLDER)
        elif kind in (3, 11): packet(b"\x66" + rid + text(b"h"))
        elif kind == 12 and not listed:
            listed = True
            names = [b"../evil", b"/tmp/bowline-evil", b"..", b".", b"", b"a/b", b"nul\0x", b"esc\x1b/[31m", b"good"]
            packet(b"\x68" + rid + struct.pack(">I", len(names)) + b"".join(text(n) + text(n) + FILE for n in names))
        elif kind == 5 and struct.unpack(">Q", b[10:18])[0] == 0: packet(b"\x67" + rid + text(b"0123456789"))
        else: status(1 if kind in (12, 5) else 0)
        ''')
    done = run(scp + ["-r", "h:folder", str(tmp_path / "target")])
    assert done.returncode == 1 and "no file name" in done.stderr, done.stderr
    assert "\x1b" not in done.stderr
    assert [f for _, _, fs in os.walk(tmp_path / "target") for f in fs] == ["good"]
    assert not (tmp_path / "evil").exists() and not os.path.exists("/tmp/bowline-evil")


@pytest.mark.parametrize("answer, what", [
    (r'packet(b"\x67" + rid + text(b""))', "READ"),                         # no data, for ever
    (r'packet(b"\x67" + rid + text(b"x" * 200000))', "READ"),               # more than was asked for
    (r'packet(b"\x67\x7f\0\0\0" + text(b"x"))', "nobody asked"),            # for no request
    (r'packet(b"\x68" + rid + struct.pack(">I", 0))', "read"),              # of a kind that answers nothing
    (r'say(struct.pack(">I", 0x7fffffff))', "packet"),                      # too long
    (r'say(b"\0\0\0\x20\x67" + rid + text(b"12")); sys.exit(0)', ""),       # cut
    (r'packet(b"\x65" + rid + struct.pack(">I", 0) + text(b"") + text(b""))', "Failure"),  # success without data
])
def test_answers_to_read(tmp_path, answer, what):
    scp = sftp_fake(tmp_path, f'''
        if kind in (7, 17): packet(b"\\x69" + rid + FILE)
        elif kind == 3: packet(b"\\x66" + rid + text(b"h"))
        elif kind == 5: {answer}
        else: status(0)
        ''')
    done = run(scp + ["h:file", str(tmp_path / "file")])
    assert done.returncode != 0 and what in done.stderr, done.stderr


def test_a_file_cut_short_is_told(tmp_path):
    scp = sftp_fake(tmp_path, r'''
        if kind == 7: packet(b"\x69" + rid + struct.pack(">IQI", 5, 1000, 0o100644))
        elif kind == 17: packet(b"\x69" + rid + FILE)
        elif kind == 3: packet(b"\x66" + rid + text(b"h"))
        elif kind == 5 and struct.unpack(">Q", b[10:18])[0] == 0: packet(b"\x67" + rid + text(b"0123456789"))
        else: status(1 if kind == 5 else 0)
        ''')
    done = run(scp + ["h:file", str(tmp_path / "file")])
    assert done.returncode == 1 and "cut short" in done.stderr, done.stderr
    assert (tmp_path / "file").read_bytes() == b"0123456789"


@pytest.mark.skipif(not IS_ROOT, reason="needs root to mount a small disk")
def test_a_full_disk_leaves_what_was_written(tmp_path):
    """And nothing behind it that looks like more."""
    whole = data(tmp_path / "file", 1_000_000)
    (tmp_path / "disk").mkdir()
    script = f"""mount -t tmpfs -o size=200k none {tmp_path}/disk && "$@" h:{tmp_path}/file {tmp_path}/disk/file
        status=$?; cp {tmp_path}/disk/file {tmp_path}/kept; exit $status"""
    done = run(["unshare", "-m", "sh", "-c", script, "sh", *direct()])
    assert done.returncode == 1 and "No space left" in done.stderr, done.stderr
    kept = (tmp_path / "kept").read_bytes()
    assert 0 < len(kept) <= 204_800 and kept == whole[:len(kept)]


def test_names_in_the_meter_are_cleaned(tmp_path):
    pexpect = pytest.importorskip("pexpect")
    name = "a\x1b]0;title\x07b"
    (tmp_path / name).write_bytes(b"x" * 100)
    child = pexpect.spawn(direct()[0], direct()[1:] + [f"h:{tmp_path}/a*b", str(tmp_path / "out")], timeout=20 * SLOW)
    shown = child.read()
    child.close()
    assert child.exitstatus == 0 and b"100%" in shown
    assert b"\x1b" not in shown and b"\x07" not in shown


@pytest.mark.skipif(not IS_ROOT, reason="needs root to become somebody else")
def test_unreadable_folders_do_not_keep_the_rest_back(tmp_path):
    (tmp_path / "src/a").mkdir(parents=True)
    (tmp_path / "src/b").write_text("b")
    os.chmod(tmp_path, 0o711)
    os.chmod(tmp_path / "src/a", 0)
    for parent in [tmp_path, *tmp_path.parents][:-2]:
        os.chmod(parent, os.stat(parent).st_mode | 0o011)
    (tmp_path / "out").mkdir(mode=0o777)
    os.chmod(tmp_path / "out", 0o777)
    done = run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"] + direct() +
               ["-r", f"h:{tmp_path}/src", str(tmp_path / "out/copy")])
    assert done.returncode == 1 and "Permission denied" in done.stderr
    assert (tmp_path / "out/copy/b").read_text() == "b"
