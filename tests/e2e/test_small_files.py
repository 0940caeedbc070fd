"""Folders of many small files by scp and sftp: asked for before their turn, told of in their turn."""
import os
import re
import shutil
import stat
import textwrap

import pytest

from conftest import IS_ROOT, tool
from test_scp import SFTP_FAKE, SFTP_SERVERS, fake_ssh, run

SIZES = [0, 1, 10, 1000, 4096, 32767, 32768, 32769, 100_000]


@pytest.fixture(params=sorted(SFTP_SERVERS))
def which(request):
    return request.param


def copy(program, which, way, source, target, *flags):
    """A folder, recursively, from or to an SFTP server below the program."""
    server = SFTP_SERVERS[which]
    if program == "scp":
        words = [f"h:{source}", str(target)] if way == "get" else [str(source), f"h:{target}"]
        return run([tool("scp"), "-D", server, "-r", *flags, *words])
    line = f"{way} -r {' '.join(flags)} {source} {target}\n"
    return run([tool("sftp"), "-b", "-", "-D", server], stdin=None, input=line)


def tree(folder, n=300):
    (folder / "sub/deeper").mkdir(parents=True)
    (folder / "empty").mkdir()
    for i in range(n):
        at = folder / ("sub" if i % 3 == 1 else "sub/deeper" if i % 7 == 1 else ".") / f"f{i:04}"
        at.write_bytes(os.urandom(SIZES[i % len(SIZES)]))
        os.chmod(at, (0o644, 0o600, 0o755)[i % 3])
        os.utime(at, (1_000_000_000 + i, 1_100_000_000 + i))


@pytest.mark.parametrize("way", ["get", "put"])
@pytest.mark.parametrize("program", ["scp", "sftp"])
def test_trees(tmp_path, which, program, way):
    tree(tmp_path / "src")
    done = copy(program, which, way, tmp_path / "src", tmp_path / "copy", "-p")
    assert done.returncode == 0, done.stderr
    assert run(["diff", "-r", tmp_path / "src", tmp_path / "copy"]).returncode == 0
    for at in (tmp_path / "src").rglob("f*"):
        a, b = at.stat(), (tmp_path / "copy" / at.relative_to(tmp_path / "src")).stat()
        assert (int(a.st_mtime), stat.S_IMODE(a.st_mode)) == (int(b.st_mtime), stat.S_IMODE(b.st_mode)), at


@pytest.mark.parametrize("way", ["get", "put"])
@pytest.mark.parametrize("program", ["scp", "sftp"])
def test_old_files_are_replaced(tmp_path, which, program, way):
    """Longer ones too, and two names of one file: the last one's content stands there, whole."""
    for folder in ("src", "copy"):
        (tmp_path / folder).mkdir()
    for i in range(40):
        (tmp_path / f"src/f{i:02}").write_bytes(b"n" * (50 - i))
        (tmp_path / f"copy/f{i:02}").write_bytes(b"o" * (30 + i))
    if way == "put":
        os.unlink(tmp_path / "copy/f21")
        os.link(tmp_path / "copy/f20", tmp_path / "copy/f21")
    source = tmp_path / "src"
    # Into the folder that is there: its name is the source's.
    os.rename(tmp_path / "copy", tmp_path / "to")
    (tmp_path / "copy").mkdir()
    os.rename(tmp_path / "to", tmp_path / "copy/src")
    done = copy(program, which, way, source, tmp_path / "copy")
    assert done.returncode == 0, done.stderr
    for i in range(40):
        n = 50 - (21 if way == "put" and i == 20 else i)
        assert (tmp_path / f"copy/src/f{i:02}").read_bytes() == b"n" * n, i


@pytest.mark.skipif(not IS_ROOT, reason="needs root to become somebody else")
@pytest.mark.parametrize("way", ["get", "put"])
def test_failures_are_told_in_their_turn(tmp_path, which, way):
    """Each once, between the files around it, and the others are copied."""
    for folder in ("src", "out"):
        (tmp_path / folder).mkdir()
    for parent in [tmp_path, *tmp_path.parents][:-2]:
        os.chmod(parent, os.stat(parent).st_mode | 0o011)
    names = [f"f{i:03}" for i in range(60)]
    for name in names:
        (tmp_path / "src" / name).write_text(name)
    os.chmod(tmp_path / "src/f020", 0)
    (tmp_path / "out/src/f040").mkdir(parents=True)
    for path in ("out", "out/src"):
        os.chmod(tmp_path / path, 0o777)
    # Where whoever that is may look: a build can lie in a folder of root's own.
    sftp, server = (shutil.copy(program, tmp_path) for program in (tool("sftp"), SFTP_SERVERS[which]))
    # No batch: that would not say what it does.
    done = run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", sftp, "-D", server], stdin=None, cwd=tmp_path,
               input=f"{way} -r {tmp_path}/src {tmp_path}/out\n")
    lines = re.findall(r"f0(?:20|40)\b", done.stderr)
    complaints = [line for line in done.stderr.splitlines() if not line.startswith("Attached")]
    assert sorted(set(lines)) == ["f020", "f040"] and len(complaints) == 2, done.stderr
    assert "Permission denied" in done.stderr
    told = re.findall(r"(?:Fetching|Uploading) \S*/(f\d+) ", done.stdout)
    assert len(told) == len(set(told)) and {*names} - {*told} <= {"f020", "f040"}
    if way == "put":
        assert told == sorted(told)
    for name in names:
        if name not in ("f020", "f040"):
            assert (tmp_path / "out/src" / name).read_text() == name


def fake(tmp_path, body):
    head = "\n    import signal; signal.alarm(30)\n    held = []" + SFTP_FAKE
    return fake_ssh(tmp_path, textwrap.dedent(head) + textwrap.indent(textwrap.dedent(body), "    "))


# Answers no OPEN before the fifth is there.
HOLDS = r'''
        if kind == 3:
            held.append(rid)
            if len(held) == 5:
                for one in held: packet(b"\x66" + one + text(b"h" + one))
            continue
'''


def test_downloads_are_asked_for_together(tmp_path):
    scp = fake(tmp_path, HOLDS + r'''
        if kind == 11: packet(b"\x66" + rid + text(b"d"))
        elif kind in (7, 17): packet(b"\x69" + rid + FOLDER)
        elif kind == 12 and not listed:
            listed = True
            packet(b"\x68" + rid + struct.pack(">I", 5) + b"".join(text(b"f%d" % i) + text(b"") + FILE for i in range(5)))
        elif kind == 5 and struct.unpack(">Q", b[14:22])[0] == 0: packet(b"\x67" + rid + text(b"0123456789"))
        else: status(1 if kind in (12, 5) else 0)
        ''')
    (tmp_path / "to").mkdir()
    done = run(scp + ["-r", "h:folder", str(tmp_path / "to")])
    assert done.returncode == 0, done.stderr
    assert [(tmp_path / f"to/folder/f{i}").read_bytes() for i in range(5)] == [b"0123456789"] * 5


def test_uploads_are_sent_together(tmp_path):
    scp = fake(tmp_path, HOLDS + r'''
        if kind in (7, 17) or kind == 8: packet(b"\x69" + rid + (FILE if kind == 8 else FOLDER))
        else: status(0)
        ''')
    (tmp_path / "src").mkdir()
    for i in range(5):
        (tmp_path / f"src/f{i}").write_bytes(b"x" * i)
    done = run(scp + ["-r", str(tmp_path / "src"), "h:to"])
    assert done.returncode == 0, done.stderr


def test_sources_of_a_command_line_are_sent_together(tmp_path):
    scp = fake(tmp_path, HOLDS + r'''
        if kind in (7, 17) or kind == 8: packet(b"\x69" + rid + (FILE if kind == 8 else FOLDER))
        else: status(0)
        ''')
    sources = [tmp_path / f"f{i}" for i in range(5)]
    for source in sources:
        source.write_bytes(b"x")
    done = run([*scp, *map(str, sources), "h:to"])
    assert done.returncode == 0, done.stderr


def test_sources_and_targets(tmp_path, which):
    """Files and folders in their order, one of them twice, into a folder that is there and one that is made."""
    (tmp_path / "a/in").mkdir(parents=True)
    (tmp_path / "a/in/deep").write_text("deep")
    (tmp_path / "b").mkdir()
    for name in ("a/f", "a/g", "b/f", "b/long"):
        (tmp_path / name).write_text(name * (1000 if "long" in name else 1))
    sources = [str(tmp_path / name) for name in ("a/f", "a/g", "nowhere", "a/in", "b/f", "b/long", "a/g")]
    for target in ("made", "there"):
        if target == "there":
            (tmp_path / target).mkdir()
        done = run([tool("scp"), "-D", SFTP_SERVERS[which], "-r", *sources, f"h:{tmp_path}/{target}"])
        assert done.returncode == 1 and done.stderr.count("nowhere") == 1, done.stderr
        found = {str(p.relative_to(tmp_path / target)): p.read_text() for p in (tmp_path / target).rglob("*") if p.is_file()}
        assert found == {"f": "b/f", "g": "a/g", "in/deep": "deep", "long": "b/long" * 1000}


def test_a_server_that_ends_under_way_is_told_once(tmp_path):
    scp = fake(tmp_path, r'''
        if kind == 3: held.append(rid)
        if kind == 3 and len(held) == 20: sys.exit(0)
        elif kind == 3: packet(b"\x66" + rid + text(b"h"))
        elif kind in (7, 17) or kind == 8: packet(b"\x69" + rid + (FILE if kind == 8 else FOLDER))
        else: status(0)
        ''')
    (tmp_path / "src").mkdir()
    for i in range(50):
        (tmp_path / f"src/f{i}").write_bytes(b"x" * i)
    done = run(scp + ["-r", str(tmp_path / "src"), "h:to"])
    assert done.returncode == 255 and len(done.stderr.strip().split("\n")) == 1, done.stderr


def test_the_number_of_requests_that_a_person_fixed_holds(tmp_path):
    """-X nrequests=1: one at a time, so the held ones would never be answered."""
    scp = fake(tmp_path, r'''
        if kind == 3: held.append(rid); packet(b"\x66" + rid + text(b"h"))
        elif kind == 4: held.pop(); status(0)
        elif kind in (7, 17) or kind == 8: packet(b"\x69" + rid + (FILE if kind == 8 else FOLDER))
        else: status(0)
        if len(held) > 1: sys.exit(1)
        ''')
    (tmp_path / "src").mkdir()
    for i in range(10):
        (tmp_path / f"src/f{i}").write_bytes(b"x" * i)
    done = run(scp + ["-X", "nrequests=1", "-r", str(tmp_path / "src"), "h:to"])
    assert done.returncode == 0, done.stderr
