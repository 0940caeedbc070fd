"""Security keys, through OpenSSH's dummy middleware: who logs in with them at our sshd, and with what kind of touch."""
import os
import subprocess

import pytest

from agents import Agent, debian, has_loaded
from conftest import USER, require, tool

MIDDLEWARE = "/usr/lib/openssh/regress/misc/sk-dummy/sk-dummy.so"


@pytest.fixture(scope="module")
def fido(tmp_path_factory):
    if not os.path.exists(MIDDLEWARE):
        pytest.skip("openssh-tests is not installed")
    folder = tmp_path_factory.mktemp("fido")
    for name, args in (("ed25519", ["-t", "ed25519-sk"]), ("ecdsa", ["-t", "ecdsa-sk"]),
                       ("untouched", ["-t", "ed25519-sk", "-O", "no-touch-required"])):
        subprocess.run([require("ssh-keygen"), "-q", *args, "-w", MIDDLEWARE, "-N", "", "-f", folder / name],
                       check=True, env={**os.environ, "SSH_SK_PROVIDER": MIDDLEWARE})
    return folder


def login(lab, server, key, program="ssh"):
    return subprocess.run(
        [require(program), "-F", "none", "-p", str(server.port), "-i", str(key), "-o", "IdentitiesOnly=yes", "-o",
         f"UserKnownHostsFile={lab.keys.known_hosts(server.port)}", "-o", "BatchMode=yes", "-o",
         f"SecurityKeyProvider={MIDDLEWARE}", f"{USER}@127.0.0.1", "echo in"],
        capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)


def test_logins_with_security_keys(lab, fido, tmp_path):
    authorized = tmp_path / "fido_keys"
    authorized.write_text("".join((fido / f"{n}.pub").read_text() for n in ("ed25519", "ecdsa", "untouched")))
    server = lab.sshd(authorized=str(authorized))
    for name in ("ed25519", "ecdsa"):
        p = login(lab, server, fido / name)
        assert p.stdout == "in\n", p.stderr + server.log()
    # Without a touch it is no login.
    p = login(lab, server, fido / "untouched")
    assert p.returncode == 255 and "Permission denied" in p.stderr


def test_our_client_signs_with_them(lab, fido, tmp_path):
    authorized = tmp_path / "fido_keys"
    authorized.write_text("".join((fido / f"{n}.pub").read_text() for n in ("ed25519", "ecdsa")))
    server = lab.openssh(authorized=str(authorized))
    for name in ("ed25519", "ecdsa"):
        p = login(lab, server, fido / name, tool("ssh"))
        assert p.stdout == "in\n", p.stderr
        assert "Confirm user presence for key" in p.stderr
    # The program that holds the session never loads the library; a bad one is told.
    bad = subprocess.run([tool("ssh"), *lab.common(server.port)[:4], "-i", str(fido / "ecdsa"), "-o", "IdentitiesOnly=yes", "-o",
                          f"UserKnownHostsFile={lab.keys.known_hosts(server.port)}", "-o", "BatchMode=yes", "-o",
                          "SecurityKeyProvider=/lib/none.so", "127.0.0.1", "true"], capture_output=True, text=True, timeout=60)
    assert bad.returncode == 255 and "the provider can not be loaded" in bad.stderr


@pytest.mark.parametrize("add", ["ours", "debian"])
def test_our_agent_signs_with_them(lab, fido, tmp_path, add):
    authorized = tmp_path / "fido_keys"
    authorized.write_text("".join((fido / f"{n}.pub").read_text() for n in ("ed25519", "ecdsa")))
    server = lab.openssh(authorized=str(authorized))
    agent = Agent(str(tmp_path), args=["-P", "/usr/lib/*"])
    try:
        program = tool("ssh-add") if add == "ours" else debian("ssh-add")
        for name in ("ed25519", "ecdsa"):
            agent.add("-D")
            agent.add("-S", MIDDLEWARE, str(fido / name), program=program)
            for client in (tool("ssh"), debian("ssh")):
                done = subprocess.run([client, "-F", "none", "-p", str(server.port), "-o", "IdentityFile=none", "-o",
                                       f"UserKnownHostsFile={lab.keys.known_hosts(server.port)}", "-o", "BatchMode=yes",
                                       f"{USER}@127.0.0.1", "echo in"], env=agent.env, capture_output=True, text=True, timeout=60)
                assert done.stdout == "in\n", done.stderr + agent.log()
        assert not has_loaded(agent, "sk-dummy")
    finally:
        agent.stop()


def test_an_agent_takes_listed_libraries_alone(fido, tmp_path):
    agent = Agent(str(tmp_path), args=["-P", "/usr/lib/other/*"])
    try:
        done = agent.run("-S", MIDDLEWARE, str(fido / "ed25519"))
        assert done.returncode == 1 and "agent refused operation" in done.stdout
        assert "is not allowed (see -P)" in agent.log()
        # A link does not hide where it leads.
        os.makedirs(tmp_path / "allowed")
        os.symlink(MIDDLEWARE, tmp_path / "allowed" / "sk.so")
        second = Agent(str(tmp_path), args=["-P", f"{tmp_path}/allowed/*"])
        try:
            assert second.run("-S", str(tmp_path / "allowed" / "sk.so"), str(fido / "ed25519")).returncode == 1
        finally:
            second.stop()
    finally:
        agent.stop()


@pytest.mark.parametrize("line,good", [("none", True), ("touch-required", False), ("verify-required", False)])
def test_the_server_may_want_more(lab, fido, tmp_path, line, good):
    """PubkeyAuthOptions, over what a key's own line does without."""
    authorized = tmp_path / "fido_keys"
    authorized.write_text("no-touch-required " + (fido / "untouched.pub").read_text())
    server = lab.sshd(f"PubkeyAuthOptions {line}\n", authorized=str(authorized))
    assert (login(lab, server, fido / "untouched").stdout == "in\n") == good, server.log()
