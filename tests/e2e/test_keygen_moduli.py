"""ssh-keygen: groups for key exchange (-M), and private files of ssh.com's programs (-i)."""
import os
import subprocess

import pytest

from conftest import require, tool

OURS = tool("ssh-keygen")
CORPUS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "fuzz/corpus/key_ssh2_file")


def run(*args, program=OURS, ok=True):
    done = subprocess.run([program, *map(str, args)], capture_output=True, text=True, timeout=240, stdin=subprocess.DEVNULL)
    assert not ok or done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def candidates(tmp_path_factory):
    path = tmp_path_factory.mktemp("moduli") / "candidates"
    run("-M", "generate", "-O", "bits=512", path)
    return path


def test_candidates_are_screened(candidates, tmp_path):
    first = candidates.read_text().splitlines()[:1500]
    assert all(line.split()[1:6] == ["4", "2", "0", "510", "0"] for line in first)
    few = tmp_path / "few"
    few.write_text("\n".join(first) + "\n")
    run("-M", "screen", "-f", few, tmp_path / "safe")
    safe = (tmp_path / "safe").read_text().splitlines()
    for line in safe:
        _, kind, tests, tries, size, generator, digits = line.split()
        assert (kind, tests, tries, size) == ("2", "6", "100", "511") and generator in "25"
        assert int(digits, 16).bit_length() == 512
    # Debian's finds the same ones.
    run("-M", "screen", "-f", few, tmp_path / "theirs", program=require("ssh-keygen"))
    assert [line.split()[5:] for line in (tmp_path / "theirs").read_text().splitlines()] == [line.split()[5:] for line in safe]
    # In two parts, of which the second goes on where the first came to; and the file of that is gone at the end.
    run("-M", "screen", "-f", few, "-O", "lines=700", tmp_path / "one")
    (tmp_path / "checkpoint").write_text("700\n")
    run("-M", "screen", "-f", few, "-O", f"checkpoint={tmp_path}/checkpoint", tmp_path / "one")
    assert [line.split()[6] for line in (tmp_path / "one").read_text().splitlines()] == [line.split()[6] for line in safe]
    assert not os.path.exists(tmp_path / "checkpoint")


@pytest.mark.parametrize("args,why", [
    (["-M", "paint", "out"], "Unsupported moduli action"), (["-M", "generate"], "needs one output file"),
    (["-M", "generate", "-O", "bits=64", "out"], 'Invalid "bits" option'),
    (["-M", "generate", "-O", "start=xyz", "out"], "invalid start point"),
    (["-M", "screen", "-O", "generator=x", "out"], 'Invalid "generator" option'),
    (["-M", "screen", "-O", "colour=red", "out"], "unsupported for moduli screening"),
    (["-M", "screen", "-f", "/nowhere", "out"], "/nowhere: No such file"),
    (["-M", "screen", "/nowhere/out"], "/nowhere/out: cannot be written"),
])
def test_what_is_wrong_is_said(tmp_path, monkeypatch, args, why):
    monkeypatch.chdir(tmp_path)
    done = run(*args, ok=False)
    assert done.returncode == 255 and why in done.stderr


@pytest.mark.parametrize("name", ["private", "private_cr"])
def test_private_keys_of_ssh_com(tmp_path, name):
    pem = tmp_path / "pem"
    pem.write_text(run("-i", "-f", f"{CORPUS}/{name}").stdout)
    os.chmod(pem, 0o600)
    assert run("-y", "-f", pem, program=require("ssh-keygen")).stdout.startswith("ssh-rsa ")


@pytest.mark.parametrize("name,why", [("private_sealed", "remove the passphrase"), ("private_dsa", "only RSA"),
                                      ("private_cut", "damaged")])
def test_private_keys_of_ssh_com_that_are_refused(name, why):
    done = run("-i", "-f", f"{CORPUS}/{name}", ok=False)
    assert done.returncode == 255 and why in done.stderr and done.stdout == ""
