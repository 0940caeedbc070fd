"""ssh-keygen: certificates, revocation lists, signatures of files and SSHFP records, both ways with Debian's."""
import os
import re
import shutil
import subprocess

import pytest

from conftest import require, tool

OURS = tool("ssh-keygen")
MIDDLEWARE = "/usr/lib/openssh/regress/misc/sk-dummy/sk-dummy.so"
TYPES = [("ed25519", None), ("ecdsa", "256"), ("ecdsa", "384"), ("ecdsa", "521"), ("rsa", "2048")]
IDS = ["ed25519", "p256", "p384", "p521", "rsa"]


@pytest.fixture(scope="module")
def theirs():
    return require("ssh-keygen")


@pytest.fixture(autouse=True)
def no_askpass(monkeypatch):
    monkeypatch.setenv("SSH_ASKPASS_REQUIRE", "never")


def run(program, *args, ok=True, cwd=None, text="", env=None):
    p = subprocess.run([program, *map(str, args)], input=text, capture_output=True, text=True, cwd=cwd, timeout=120,
                       start_new_session=True, env=None if env is None else {**os.environ, **env})
    if ok:
        assert p.returncode == 0, p.stderr
    return p


def make(path, kind="ed25519", bits=None, *more, env=None):
    run("ssh-keygen", "-q", "-t", kind, *(["-b", bits] if bits else []), "-N", "", "-C", "comment of " + path.name,
        "-f", path, *more, env=env)
    return path


def shown(program, path):
    """What -L says, without the carriage returns of Debian's."""
    return run(program, "-L", "-f", path).stdout.replace("\r", "")


@pytest.mark.parametrize("kind,bits", TYPES, ids=IDS)
def test_certificates_of_every_type(tmp_path, theirs, kind, bits):
    make(tmp_path / "ca", kind, bits)
    make(tmp_path / "k", kind, bits)
    cert = tmp_path / "k-cert.pub"
    texts = []
    for maker in (OURS, theirs):
        said = run(maker, "-s", "ca", "-I", "an id", "-n", "alice,bob", "-z", "18446744073709551615", "-V",
                   "20200101Z:20300101Z", "-O", "force-command=id", "-O", "source-address=10.0.0.0/8", "-O", "no-pty",
                   "-O", "extension:x@y=z", "-O", "critical:c@y=", "k.pub", cwd=tmp_path).stderr
        assert 'Signed user key k-cert.pub: id "an id" serial 18446744073709551615 for alice,bob valid from' in said
        ours, others = shown(OURS, cert), shown(theirs, cert)
        assert ours == others
        assert "force-command id" in ours and "permit-pty" not in ours
        assert run(OURS, "-l", "-f", cert).stdout == run(theirs, "-l", "-f", cert).stdout
        texts.append(ours)
    assert texts[0] == texts[1]


def test_certificates_say_the_same_from_both(tmp_path, theirs):
    make(tmp_path / "ca", "rsa", "2048")
    make(tmp_path / "k")
    for args in (["-h", "-n", "host.example.org"], ["-O", "clear"], ["-O", "clear", "-O", "permit-pty"],
                 ["-V", "always:20300101"], ["-V", "20200101:forever"], ["-V", "0x10:0x7fffffff"],
                 ["-O", "no-touch-required", "-O", "verify-required"], ["-t", "rsa-sha2-256"], ["-z", "+5"],
                 ["-O", "no-x11-forwarding", "-O", "no-agent-forwarding", "-O", "no-port-forwarding", "-O",
                  "no-user-rc"]):
        said = []
        for maker in (theirs, OURS):
            stderr = run(maker, "-s", "ca", "-I", "i", *args, "k.pub", cwd=tmp_path).stderr
            said.append((stderr.replace("\r", ""), shown(theirs, tmp_path / "k-cert.pub")))
        assert said[0] == said[1], args


def test_relative_validity(tmp_path, theirs):
    make(tmp_path / "ca")
    make(tmp_path / "k")
    for spec in ("+52w", "-1d:+1h30m", "-5m:forever"):
        valid = []
        for maker in (theirs, OURS):
            run(maker, "-q", "-s", "ca", "-I", "i", "-V", spec, "k.pub", cwd=tmp_path)
            valid.append(re.search("Valid: (.*)", shown(theirs, tmp_path / "k-cert.pub"))[1])
        # A second may pass between the two.
        assert [re.sub(r"\d\d:\d\d(?= |$)", "", v) for v in valid][0][:20] == \
            [re.sub(r"\d\d:\d\d(?= |$)", "", v) for v in valid][1][:20]


def test_a_sealed_authority_and_several_files(tmp_path, theirs):
    make(tmp_path / "ca")
    run(theirs, "-q", "-p", "-P", "", "-N", "hunter2", "-f", "ca", cwd=tmp_path)
    make(tmp_path / "a")
    make(tmp_path / "b")
    wrong = run(OURS, "-s", "ca", "-I", "i", "-P", "wrong", "a.pub", cwd=tmp_path, ok=False)
    assert wrong.returncode == 255 and "incorrect passphrase" in wrong.stderr
    run(OURS, "-s", "ca", "-I", "i", "-P", "hunter2", "-z", "+41", "a.pub", "b", cwd=tmp_path)
    assert "Serial: 41" in shown(theirs, tmp_path / "a-cert.pub")
    assert "Serial: 42" in shown(theirs, tmp_path / "b-cert.pub")


def test_what_is_no_certificate(tmp_path):
    make(tmp_path / "k")
    p = run(OURS, "-L", "-f", tmp_path / "k.pub", ok=False)
    assert p.returncode == 1 and "is not a certificate" in p.stderr


# --- revocation lists


def revoked(program, krl, *files, cwd):
    p = run(program, "-Q", "-f", krl, *files, ok=False, cwd=cwd)
    assert p.returncode == (1 if "REVOKED" in p.stdout else 0), p.stderr
    return p.stdout


def test_revocation_lists_both_ways(tmp_path, theirs):
    make(tmp_path / "ca")
    make(tmp_path / "other")
    files = []
    for i in range(1, 21):
        make(tmp_path / f"k{i}")
        for ca in ("ca", "other"):
            name = f"k{i}-{ca}.pub"
            run(theirs, "-q", "-s", ca, "-I", f"id {i}", "-z", i * 3, f"k{i}.pub", cwd=tmp_path)
            os.rename(tmp_path / f"k{i}-cert.pub", tmp_path / name)
            files.append(name)
    files += [f"k{i}.pub" for i in range(1, 21)]
    with open(tmp_path / "k4.pub") as f, open(tmp_path / "k5.pub") as g, open(tmp_path / "k6.pub") as h:
        spec = f"serial: 3\nserial: 6-12\nserial: 50-0x100\nid: id 9\nkey: {f.read()}sha1: {g.read()}sha256: {h.read()}"
    spec += "hash: " + run(theirs, "-l", "-f", "k7.pub", cwd=tmp_path).stdout.split()[1] + "\n# a comment\n\n"
    spec += "".join(f"serial: {n}\n" for n in range(1001, 1400, 2))
    (tmp_path / "spec").write_text(spec)
    for wild, ca in (("ca.pub", "ca.pub"), ("none", "none")):
        answers = []
        for maker in (OURS, theirs):
            run(maker, "-k", "-f", "krl", "-s", ca, "-z", "9", "spec", "k8-other.pub", "k10.pub", cwd=tmp_path)
            size = os.path.getsize(tmp_path / "krl")
            assert size < 1600
            for reader in (OURS, theirs):
                answers.append(revoked(reader, "krl", *files, cwd=tmp_path))
                listed = run(reader, "-Q", "-l", "-f", "krl", cwd=tmp_path).stdout
                assert "# KRL version 9" in listed and "serial: 50-256" in listed and "id: id 9" in listed
                assert "serial: 1399" in listed and "serial: 1400" not in listed
        assert len(set(answers)) == 1, wild
        assert answers[0].count("REVOKED") > 10 and answers[0].count(": ok") > 10


def test_revocation_lists_grow(tmp_path, theirs):
    for name in "abc":
        make(tmp_path / name)
    run(OURS, "-k", "-f", "krl", "-z", "1", "a.pub", cwd=tmp_path)
    run(theirs, "-k", "-u", "-f", "krl", "b.pub", cwd=tmp_path)
    run(OURS, "-k", "-u", "-f", "krl", "-z", "3", "c.pub", cwd=tmp_path)
    for reader in (OURS, theirs):
        assert revoked(reader, "krl", "a.pub", "b.pub", "c.pub", cwd=tmp_path).count("REVOKED") == 3
    assert "# KRL version 3" in run(theirs, "-Q", "-l", "-f", "krl", cwd=tmp_path).stdout


def test_specifications_that_are_wrong_change_nothing(tmp_path):
    make(tmp_path / "a")
    run(OURS, "-k", "-f", "krl", "a.pub", cwd=tmp_path)
    before = (tmp_path / "krl").read_bytes()
    for text, says in (("serial: 0", "bad serial"), ("serial: 5", "need an authority"), ("rubbish", "no public key"),
                       ("hash: MD5:00", "SHA256")):
        (tmp_path / "spec").write_text("# one\n" + text + "\n")
        p = run(OURS, "-k", "-u", "-f", "krl", *(["-s", "a.pub"] if text != "serial: 5" else []), "spec", cwd=tmp_path,
                ok=False)
        assert p.returncode == 255 and says in p.stderr and "spec:2:" in p.stderr
        assert (tmp_path / "krl").read_bytes() == before


# --- signatures of files


@pytest.mark.parametrize("kind,bits", TYPES, ids=IDS)
def test_signatures_both_ways(tmp_path, theirs, kind, bits):
    make(tmp_path / "k", kind, bits)
    (tmp_path / "allowed").write_text("someone@x,*@example.org " + (tmp_path / "k.pub").read_text())
    text = "some text\n" * 100000
    for maker in (OURS, theirs):
        for hashed in ([], ["-O", "hashalg=sha256"]):
            signature = run(maker, "-Y", "sign", "-f", "k", "-n", "file", *hashed, cwd=tmp_path, text=text).stdout
            (tmp_path / "sig").write_text(signature)
            verify = ["-Y", "verify", "-f", "allowed", "-I", "me@example.org", "-n", "file", "-s", "sig"]
            for reader in (OURS, theirs):
                good = run(reader, *verify, cwd=tmp_path, text=text).stdout
                assert good.startswith('Good "file" signature for me@example.org with ')
                for args, wrong in ((verify, text + "x"), (verify[:5] + ["me@other.org"] + verify[6:], text),
                                    (verify[:7] + ["git"] + verify[8:], text)):
                    p = run(reader, *args, cwd=tmp_path, text=wrong, ok=False)
                    assert p.returncode == 255 and "Could not verify signature." in p.stdout
                found = run(reader, "-Y", "find-principals", "-f", "allowed", "-s", "sig", cwd=tmp_path).stdout
                assert found.replace("\r", "") == "someone@x\n*@example.org\n"
                run(reader, "-Y", "check-novalidate", "-n", "file", "-s", "sig", cwd=tmp_path, text=text)
                assert "someone@x" in run(reader, "-Y", "match-principals", "-I", "someone@x", "-f", "allowed",
                                          cwd=tmp_path).stdout


def test_files_are_signed_beside_themselves(tmp_path, theirs):
    make(tmp_path / "k")
    (tmp_path / "one").write_text("1")
    (tmp_path / "two").write_text("2")
    p = run(OURS, "-Y", "sign", "-f", "k.pub", "-n", "file", "one", "two", cwd=tmp_path)
    assert "Write signature to two.sig" in p.stderr
    for name in ("one", "two"):
        run(theirs, "-Y", "check-novalidate", "-n", "file", "-s", f"{name}.sig", cwd=tmp_path,
            text=(tmp_path / name).read_text())


def test_allowed_signers_have_limits(tmp_path, theirs):
    make(tmp_path / "k")
    make(tmp_path / "ca")
    run(theirs, "-q", "-s", "ca", "-I", "i", "-n", "alice", "-V", "20200101:20350101", "k.pub", cwd=tmp_path)
    key, ca = (tmp_path / "k.pub").read_text(), (tmp_path / "ca.pub").read_text()
    (tmp_path / "sig").write_text(run(OURS, "-Y", "sign", "-f", "k", "-n", "file", cwd=tmp_path, text="x").stdout)
    run(OURS, "-k", "-f", "krl", "k.pub", cwd=tmp_path)
    cases = [(f"alice {key}", [], True), (f'alice namespaces="git" {key}', [], False),
             (f'alice namespaces="git,f*" {key}', [], True),
             (f'alice valid-after="20200101",valid-before="20210101" {key}', [], False),
             (f'alice valid-after="20200101",valid-before="20210101" {key}', ["-O", "verify-time=20200601"], True),
             (f'alice valid-after="20200101",valid-before="20210101" {key}', ["-O", "verify-time=20190601"], False),
             (f"alice cert-authority {key}", [], False), (f"alice {ca}", [], False),
             (f"# comment\n\nbob {key}alice {key}", [], True), (f"alice {key}", ["-r", "krl"], False),
             (f"alice {key}", ["-r", "k.pub"], False), (f"alice {key}", ["-r", "ca.pub"], True)]
    for line, args, good in cases:
        (tmp_path / "allowed").write_text(line)
        for reader in (OURS, theirs):
            p = run(reader, "-Y", "verify", "-f", "allowed", "-I", "alice", "-n", "file", "-s", "sig", *args,
                    cwd=tmp_path, text="x", ok=False)
            assert (p.returncode == 0) == good, (reader, line, args, p.stderr)


def test_certified_signers(tmp_path, theirs):
    make(tmp_path / "k")
    make(tmp_path / "ca")
    run(OURS, "-q", "-s", "ca", "-I", "i", "-n", "alice,carol", "-V", "20200101:20350101", "k.pub", cwd=tmp_path)
    (tmp_path / "allowed").write_text("alice,bob cert-authority " + (tmp_path / "ca.pub").read_text())
    sig = run(OURS, "-Y", "sign", "-f", "k-cert.pub", "-n", "file", cwd=tmp_path, text="x").stdout
    (tmp_path / "sig").write_text(sig)
    for reader in (OURS, theirs):
        for who, args, good in (("alice", [], True), ("bob", [], False), ("carol", [], False),
                                ("alice", ["-O", "verify-time=20190101"], False)):
            p = run(reader, "-Y", "verify", "-f", "allowed", "-I", who, "-n", "file", "-s", "sig", *args,
                    cwd=tmp_path, text="x", ok=False)
            assert (p.returncode == 0) == good, (reader, who, args, p.stderr)
        found = run(reader, "-Y", "find-principals", "-f", "allowed", "-s", "sig", cwd=tmp_path).stdout
        assert found.strip() == "alice"


@pytest.mark.parametrize("kind", ["ed25519-sk", "ecdsa-sk"])
def test_signatures_of_security_keys(tmp_path, theirs, kind):
    if not os.path.exists(MIDDLEWARE):
        pytest.skip("openssh-tests is not installed")
    env = {"SSH_SK_PROVIDER": MIDDLEWARE}
    make(tmp_path / "k", kind, None, "-w", MIDDLEWARE, env=env)
    (tmp_path / "allowed").write_text("me " + (tmp_path / "k.pub").read_text())
    sig = run(theirs, "-Y", "sign", "-f", "k", "-n", "file", cwd=tmp_path, text="x", env=env).stdout
    (tmp_path / "sig").write_text(sig)
    verify = ["-Y", "verify", "-f", "allowed", "-I", "me", "-n", "file", "-s", "sig"]
    run(OURS, *verify, cwd=tmp_path, text="x")
    assert run(OURS, *verify, cwd=tmp_path, text="y", ok=False).returncode == 255
    assert run(OURS, "-l", "-f", "k.pub", cwd=tmp_path).stdout == run(theirs, "-l", "-f", "k.pub", cwd=tmp_path).stdout
    # A certificate for one, and one made by one.
    make(tmp_path / "ca")
    run(OURS, "-q", "-s", "ca", "-I", "i", "-O", "no-touch-required", "k.pub", cwd=tmp_path)
    assert shown(OURS, tmp_path / "k-cert.pub") == shown(theirs, tmp_path / "k-cert.pub")
    run(theirs, "-q", "-s", "k", "-I", "i", "ca.pub", cwd=tmp_path, env=env)
    assert shown(OURS, tmp_path / "ca-cert.pub") == shown(theirs, tmp_path / "ca-cert.pub")


def test_git_signs_with_it(tmp_path):
    git = shutil.which("git")
    if git is None:
        pytest.skip("git is not installed")
    make(tmp_path / "k")
    (tmp_path / "allowed").write_text("me@example.org " + (tmp_path / "k.pub").read_text())
    settings = {"user.name": "me", "user.email": "me@example.org", "gpg.format": "ssh", "gpg.ssh.program": OURS,
                "user.signingkey": str(tmp_path / "k"), "gpg.ssh.allowedSignersFile": str(tmp_path / "allowed")}
    options = [x for k, v in settings.items() for x in ("-c", f"{k}={v}")]
    env = {"HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1"}
    repo = tmp_path / "repo"
    run(git, "init", "-q", repo, env=env)
    run(git, *options, "commit", "-q", "-S", "--allow-empty", "-m", "one", cwd=repo, env=env)
    p = run(git, *options, "verify-commit", "HEAD", cwd=repo, env=env)
    assert 'Good "git" signature for me@example.org' in p.stderr + p.stdout


# --- SSHFP


@pytest.mark.parametrize("kind,bits", TYPES, ids=IDS)
def test_dns_records(tmp_path, theirs, kind, bits):
    make(tmp_path / "k", kind, bits)
    for args in ([], ["-g"]):
        assert (run(OURS, "-r", "host.example.org", *args, "-f", "k.pub", cwd=tmp_path).stdout
                == run(theirs, "-r", "host.example.org", *args, "-f", "k.pub", cwd=tmp_path).stdout)
    only = run(OURS, "-r", "h", "-O", "hashalg=sha256", "-f", "k.pub", cwd=tmp_path).stdout
    assert only.count("\n") == 1 and " 2 " in only
