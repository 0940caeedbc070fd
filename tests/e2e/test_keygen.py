"""ssh-keygen: keys and known_hosts files that Debian's ssh-keygen reads, and the reverse."""
import os
import shutil
import stat
import subprocess

import pexpect
import pytest

from conftest import require, tool

OURS = tool("ssh-keygen")
CIPHERS = ["aes128-ctr", "aes192-ctr", "aes256-ctr", "aes128-gcm@openssh.com", "aes256-gcm@openssh.com",
           "chacha20-poly1305@openssh.com", "aes128-cbc", "aes256-cbc", "3des-cbc"]
TYPES = [("ed25519", None), ("ecdsa", "256"), ("ecdsa", "384"), ("ecdsa", "521"), ("rsa", "2048")]
IDS = ["ed25519", "p256", "p384", "p521", "rsa"]


@pytest.fixture(scope="module")
def theirs():
    return require("ssh-keygen")


@pytest.fixture(autouse=True)
def no_askpass(monkeypatch):
    monkeypatch.setenv("SSH_ASKPASS_REQUIRE", "never")


def run(program, *args, ok=True, cwd=None, text=""):
    # A session of its own: no terminal to ask at.
    p = subprocess.run([program, *args], input=text, capture_output=True, text=True, cwd=cwd, timeout=120,
                       start_new_session=True)
    if ok:
        assert p.returncode == 0, p.stderr
    return p


def make(program, path, kind="ed25519", bits=None, passphrase="", *more):
    run(program, "-q", "-t", kind, *(["-b", bits] if bits else []), "-N", passphrase, "-C", "the comment",
        "-f", str(path), *more)


def mode(path):
    return stat.S_IMODE(os.stat(path).st_mode)


@pytest.mark.parametrize("kind,bits", TYPES, ids=IDS)
def test_each_reads_the_others_keys(tmp_path, theirs, kind, bits):
    for maker, reader in ((OURS, theirs), (theirs, OURS)):
        path = tmp_path / ("ours" if maker == OURS else "theirs")
        make(maker, path, kind, bits)
        assert mode(path) == 0o600 and mode(str(path) + ".pub") == 0o644
        with open(str(path) + ".pub") as f:
            public = f.read()
        assert run(reader, "-y", "-f", str(path)).stdout == public
        for args in (["-l"], ["-l", "-E", "md5"], ["-lv"], ["-B"]):
            assert run(reader, *args, "-f", str(path)).stdout == run(maker, *args, "-f", str(path)).stdout
            assert (run(reader, *args, "-f", f"{path}.pub").stdout
                    == run(maker, *args, "-f", f"{path}.pub").stdout)


@pytest.mark.parametrize("cipher", CIPHERS)
def test_sealed_keys_both_ways(tmp_path, theirs, cipher):
    for maker, reader in ((OURS, theirs), (theirs, OURS)):
        path = tmp_path / ("ours" if maker == OURS else "theirs")
        make(maker, path, "ed25519", None, "correct horse", "-Z", cipher, "-a", "2")
        with open(f"{path}.pub") as f:
            assert run(reader, "-y", "-P", "correct horse", "-f", str(path)).stdout == f.read()
        wrong = run(reader, "-y", "-P", "wrong", "-f", str(path), ok=False)
        assert wrong.returncode == 255 and "incorrect passphrase" in wrong.stderr


@pytest.mark.parametrize("form", ["PEM", "PKCS8"])
@pytest.mark.parametrize("kind", ["rsa", "ecdsa"])
@pytest.mark.parametrize("passphrase", ["", "correct horse"], ids=["open", "sealed"])
def test_pem_forms_both_ways(tmp_path, theirs, form, kind, passphrase):
    for maker, reader in ((OURS, theirs), (theirs, OURS)):
        path = tmp_path / ("ours" if maker == OURS else "theirs")
        make(maker, path, kind, None, passphrase, "-m", form)
        with open(path) as f:
            assert "OPENSSH" not in f.read()
        got = run(reader, "-y", "-P", passphrase, "-f", str(path)).stdout.split()
        with open(f"{path}.pub") as f:
            assert got[:2] == f.read().split()[:2]


def test_passphrase_and_comment_change(tmp_path, theirs):
    path = tmp_path / "k"
    make(OURS, path)
    run(OURS, "-p", "-P", "", "-N", "first one", "-a", "2", "-f", str(path))
    run(theirs, "-p", "-P", "first one", "-N", "second", "-a", "2", "-f", str(path))
    wrong = run(OURS, "-p", "-P", "first one", "-N", "x", "-f", str(path), ok=False)
    assert wrong.returncode == 255
    done = run(OURS, "-c", "-P", "second", "-C", "another comment", "-a", "2", "-f", str(path))
    assert "Old comment: the comment" in done.stdout and "Comment 'another comment' applied" in done.stdout
    with open(f"{path}.pub") as f:
        public = f.read()
    assert public.endswith(" another comment\n")
    assert run(theirs, "-y", "-P", "second", "-f", str(path)).stdout == public
    run(OURS, "-p", "-P", "second", "-N", "", "-f", str(path))
    assert run(theirs, "-y", "-f", str(path)).stdout == public
    assert mode(path) == 0o600
    assert sorted(os.listdir(tmp_path)) == ["k", "k.pub"]


def ask(*args, steps):
    child = pexpect.spawn(OURS, list(args), encoding="utf-8", timeout=30)
    seen = ""
    for expected, answer in steps:
        child.expect_exact(expected)
        seen += child.before + expected
        child.sendline(answer)
    child.expect(pexpect.EOF)
    seen += child.before
    child.close()
    return child.exitstatus, seen


def test_questions_at_a_terminal(tmp_path, theirs):
    path = str(tmp_path / "k")
    status, seen = ask("-t", "ed25519", "-a", "2", steps=[
        ("Enter file in which to save the key (", path),
        ("Enter passphrase (empty for no passphrase): ", "one"),
        ("Enter same passphrase again: ", "two"),
        ("Enter passphrase (empty for no passphrase): ", "hunter2"),
        ("Enter same passphrase again: ", "hunter2")])
    assert status == 0, seen
    assert "do not match" in seen and "The key's randomart image is:" in seen
    # Not a letter of a passphrase was shown.
    assert "hunter2" not in seen
    assert run(theirs, "-y", "-P", "hunter2", "-f", path).returncode == 0
    status, seen = ask("-t", "rsa", "-f", path, steps=[("Overwrite (y/n)? ", "n")])
    assert status == 1
    status, seen = ask("-p", "-f", path, steps=[("Enter old passphrase: ", "hunter2"),
                                               ("Enter new passphrase (empty for no passphrase): ", ""),
                                               ("Enter same passphrase again: ", "")])
    assert status == 0 and "saved with the new passphrase" in seen
    assert run(theirs, "-y", "-f", path).returncode == 0


def test_overwrites_only_when_told(tmp_path):
    path = tmp_path / "k"
    make(OURS, path)
    before = path.read_bytes()
    p = run(OURS, "-t", "ed25519", "-N", "", "-f", str(path), ok=False, text="n\n")
    assert p.returncode == 1 and "already exists" in p.stdout
    assert run(OURS, "-t", "ed25519", "-N", "", "-f", str(path), ok=False).returncode == 1
    assert path.read_bytes() == before
    run(OURS, "-t", "ed25519", "-N", "", "-f", str(path), text="y\n")
    assert path.read_bytes() != before


HOSTS = "alpha,10.0.0.1", "[beta]:2222", "gamma"


@pytest.fixture
def known_hosts(tmp_path):
    make(OURS, tmp_path / "host")
    key = " ".join((tmp_path / "host.pub").read_text().split()[:2])
    path = tmp_path / "known_hosts"
    path.write_text("# top\n" + "".join(f"{h} {key}\n" for h in HOSTS) + f"@cert-authority *.example.org {key}\n")
    path.chmod(0o640)
    return path


def test_known_hosts_like_theirs(known_hosts, theirs):
    for args in (["-F", "alpha"], ["-F", "[beta]:2222"], ["-F", "beta"], ["-lF", "alpha"], ["-lvF", "gamma"],
                 ["-F", "x.example.org"], ["-F", "GAMMA"]):
        ours = run(OURS, *args, "-f", str(known_hosts), ok=False)
        other = run(theirs, *args, "-f", str(known_hosts), ok=False)
        assert (ours.returncode, ours.stdout) == (other.returncode, other.stdout), args


def test_known_hosts_hashed_both_ways(known_hosts, theirs):
    copy = str(known_hosts) + ".theirs"
    shutil.copy(known_hosts, copy)
    before = known_hosts.read_text()
    done = run(OURS, "-H", "-f", str(known_hosts))
    run(theirs, "-H", "-f", copy)
    assert "updated." in done.stdout and "unhashed entries" in done.stderr
    assert open(str(known_hosts) + ".old").read() == before
    assert mode(known_hosts) == 0o640
    text = known_hosts.read_text()
    assert "alpha" not in text and "beta" not in text and "@cert-authority *.example.org" in text
    assert text.count("|1|") == 4
    for name, status in (("alpha", 0), ("10.0.0.1", 0), ("[beta]:2222", 0), ("[beta]:2223", 1), ("delta", 1)):
        for reader, path in ((theirs, str(known_hosts)), (OURS, copy)):
            assert run(reader, "-F", name, "-f", path, ok=False).returncode == status, (reader, name)
    run(OURS, "-R", "[beta]:2222", "-f", str(known_hosts))
    assert run(theirs, "-F", "[beta]:2222", "-f", str(known_hosts), ok=False).returncode == 1


def test_known_hosts_removal(known_hosts):
    before = known_hosts.read_text()
    done = run(OURS, "-R", "alpha", "-f", str(known_hosts))
    assert "# Host alpha found: line 2\n" in done.stdout
    assert known_hosts.read_text() == "".join(x for x in before.splitlines(True) if not x.startswith("alpha"))
    assert open(str(known_hosts) + ".old").read() == before
    after = known_hosts.read_text()
    none = run(OURS, "-R", "nowhere", "-f", str(known_hosts))
    assert "Host nowhere not found in" in none.stderr
    assert known_hosts.read_text() == after


@pytest.mark.parametrize("program", [OURS, "ssh-keygen"])
@pytest.mark.parametrize("command", [["-R", "alpha"], ["-H"]])
def test_damaged_known_hosts_files_stay(known_hosts, program, command):
    with open(known_hosts, "a") as f:
        f.write("half line\n")
    before = known_hosts.read_text()
    done = run(program, *command, "-f", str(known_hosts), ok=False)
    assert done.returncode in (1, 255) and "not a valid known_hosts file" in done.stderr
    assert known_hosts.read_text() == before
    # To look something up does no harm.
    assert "known_hosts:6: invalid line" in run(OURS, "-F", "alpha", "-f", str(known_hosts)).stderr


@pytest.mark.parametrize("program", [OURS, "ssh-keygen"])
def test_all_names_of_a_found_line_are_hashed(known_hosts, tmp_path, program):
    key = " ".join((tmp_path / "host.pub").read_text().split()[:2])
    names = tmp_path / "names"
    names.write_text(f"a.example,b.example,c.example {key}\nd* {key}\n")
    found = run(program, "-q", "-H", "-F", "b.example", "-f", str(names)).stdout.splitlines()
    assert len(found) == 3 and all(line.startswith("|1|") and line.endswith(key) for line in found)
    assert run(program, "-q", "-H", "-F", "dx", "-f", str(names)).stdout == f"d* {key}\n"


def test_fingerprints_of_lists(known_hosts, theirs, tmp_path):
    public = (tmp_path / "host.pub").read_text()
    keys = tmp_path / "authorized_keys"
    keys.write_text(f'# x\nno-pty,command="a b" {public}{public}')
    for path in (known_hosts, keys):
        ours = sorted(set(run(OURS, "-l", "-f", str(path)).stdout.splitlines()))
        other = sorted(set(run(theirs, "-l", "-f", str(path)).stdout.splitlines()))
        # Theirs passes over lines with a marker.
        assert set(other) <= set(ours)


@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_public_forms(tmp_path, theirs, kind):
    path = tmp_path / "k"
    make(OURS, path, kind)
    assert run(OURS, "-e", "-f", str(path)).stdout == run(theirs, "-e", "-f", str(path)).stdout
    rfc = tmp_path / "rfc"
    rfc.write_text(run(theirs, "-e", "-f", str(path)).stdout)
    assert run(OURS, "-i", "-f", str(rfc)).stdout == run(theirs, "-i", "-f", str(rfc)).stdout
    if kind == "rsa":
        for form in ("PKCS8", "PEM"):
            assert (run(OURS, "-e", "-m", form, "-f", str(path)).stdout
                    == run(theirs, "-e", "-m", form, "-f", str(path)).stdout)


def test_host_keys(tmp_path, theirs):
    (tmp_path / "etc/ssh").mkdir(parents=True)
    run(OURS, "-A", "-f", str(tmp_path))
    names = sorted(os.listdir(tmp_path / "etc/ssh"))
    assert names == sorted(f"ssh_host_{k}_key{s}" for k in ("rsa", "ecdsa", "ed25519") for s in ("", ".pub"))
    before = {n: (tmp_path / "etc/ssh" / n).read_bytes() for n in names}
    assert run(OURS, "-A", "-f", str(tmp_path)).stdout == ""
    assert before == {n: (tmp_path / "etc/ssh" / n).read_bytes() for n in names}
    for n in names:
        run(theirs, "-l", "-f", str(tmp_path / "etc/ssh" / n))


@pytest.mark.parametrize("args,status,says", [
    (["-x"], 1, "unknown option -x"),
    (["-t"], 1, "option -t needs an argument"),
    (["-t", "foo", "-f", "k", "-N", ""], 255, "unknown key type foo"),
    (["-t", "mldsa44-ed25519", "-f", "k", "-N", ""], 255, "has no ML-DSA"),
    (["-t", "rsa", "-b", "512", "-f", "k", "-N", ""], 255, "minimum is 1024 bits"),
    (["-t", "rsa", "-b", "many"], 255, "bad number of bits"),
    (["-t", "ecdsa", "-b", "255", "-f", "k", "-N", ""], 255, "valid lengths are 256, 384 or 521"),
    (["-a", "0"], 255, "bad number of rounds"),
    (["-Z", "rot13", "-f", "k", "-N", "x"], 255, 'Invalid private key cipher "rot13"'),
    (["-E", "crc", "-l"], 255, 'Invalid hash algorithm "crc"'),
    (["-D", "/nowhere.so"], 255, "/nowhere.so: cannot read public keys from pkcs11"),
    (["-s", "ca", "k"], 255, "Must specify key id (-I) when certifying"),
    (["-s", "ca", "-I", "x", "-U", "k"], 255, "Couldn't load public key ca"),
    (["-s", "ca", "-I", "x", "-V", "tomorrow", "k"], 255, "Invalid certificate life"),
    (["-s", "ca", "-I", "x", "-z", "-1", "k"], 255, "Invalid serial number"),
    (["-s", "ca", "-I", "x", "-O", "paint", "k"], 255, "Unsupported certificate option"),
    (["-s", "ca", "-I", "x", "-O", "source-address=here", "k"], 255, "Invalid source-address list"),
    (["-s", "ca", "-I", "x", "-n", "a,,b", "k"], 255, "empty principal name"),
    (["-k", "x"], 255, "requires an output file"),
    (["-Q", "-f", "/etc/hostname"], 255, "Invalid KRL file"),
    (["-Y", "paint"], 255, "Unsupported operation"),
    (["-Y", "sign", "-f", "k"], 255, "namespace"),
    (["-Y", "verify", "-n", "x", "-I", "y", "-f", "z"], 255, "needs a signature file"),
    (["-p", "-c"], 1, "-p and -c do not go together"),
    (["-y", "extra"], 1, "Too many arguments."),
    (["-l", "-f", "/nonexistent"], 255, "/nonexistent: No such file or directory"),
    (["-l", "-f", "/etc/hostname"], 255, "is not a public key file"),
    (["-y", "-f", "/nonexistent"], 255, "/nonexistent: No such file or directory"),
    (["-N", "", "-f", "no/such/folder/k"], 1, 'Saving key "no/such/folder/k" failed'),
    (["-F", "x", "-f", "/nonexistent"], 255, "Cannot stat /nonexistent"),
])
def test_what_is_wrong_is_said(tmp_path, args, status, says):
    p = run(OURS, *args, ok=False, cwd=tmp_path)
    assert p.returncode == status, p.stderr
    assert says in p.stderr
    assert os.listdir(tmp_path) == []


def test_open_key_files_are_refused(tmp_path):
    path = tmp_path / "k"
    make(OURS, path)
    path.chmod(0o644)
    p = run(OURS, "-y", "-f", str(path), ok=False)
    assert p.returncode == 255 and "chmod 600" in p.stderr


def test_comments_can_not_paint_the_terminal(tmp_path):
    path = tmp_path / "k"
    run(OURS, "-q", "-t", "ed25519", "-N", "", "-C", "a\033[2Jb", "-f", str(path))
    p = run(OURS, "-l", "-f", str(path))
    assert "\033" not in p.stdout


def test_output_that_can_not_be_written_is_an_error(tmp_path):
    path = tmp_path / "k"
    make(OURS, path)
    with open("/dev/full", "w") as full:
        p = subprocess.run([OURS, "-l", "-f", str(path)], stdout=full, stderr=subprocess.PIPE, text=True,
                           timeout=60)
    assert p.returncode == 255 and "can not be written" in p.stderr


@pytest.mark.parametrize("form", ["PEM", "PKCS8"])
@pytest.mark.parametrize("kind,bits", TYPES, ids=IDS)
def test_public_pem_forms_both_ways(tmp_path, theirs, form, kind, bits):
    if (form == "PEM" and kind != "rsa") or kind == "ed25519":
        pytest.skip("there is no such form")
    path = tmp_path / "k"
    make(theirs, path, kind, bits)
    with open(f"{path}.pub") as f:
        public = f.read().split()[:2]
    for maker in (OURS, theirs):
        (tmp_path / "pem").write_text(run(maker, "-e", "-m", form, "-f", f"{path}.pub").stdout)
        for reader in (OURS, theirs):
            assert run(reader, "-i", "-m", form, "-f", str(tmp_path / "pem")).stdout.split() == public


def test_ed25519_from_pkcs8(tmp_path):
    path = tmp_path / "k"
    make(OURS, path)
    (tmp_path / "pem").write_text(run(OURS, "-e", "-m", "PKCS8", "-f", f"{path}.pub").stdout)
    with open(f"{path}.pub") as f:
        assert run(OURS, "-i", "-m", "PKCS8", "-f", str(tmp_path / "pem")).stdout.split() == f.read().split()[:2]
    p = run(OURS, "-i", "-m", "PKCS8", "-f", f"{path}.pub", ok=False)
    assert p.returncode == 255 and "no public key in PEM" in p.stderr
