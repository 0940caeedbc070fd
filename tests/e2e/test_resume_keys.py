"""A further link wants the keys of the first (doc/resume.md): what becomes of a session whose key cannot sign just then."""
import os
import subprocess

import pytest
from agents import Agent
from conftest import SLOW, USER, require, tool, wait_until
from test_resume import world  # noqa: F401 (a fixture)
from test_client_why import last
from test_security_keys import MIDDLEWARE, fido  # noqa: F401 (a fixture)

WAIT = 30


def session(w, *options, env=None):
    """One that echoes, and knows that it can be resumed, or that it cannot."""
    args = [tool("ssh"), "-F", "none", "-v", "-p", str(w.way.port), "-o", "GlobalKnownHostsFile=none",
            "-o", f"UserKnownHostsFile={w.lab.keys.known_hosts(w.way.port)}", *options, "127.0.0.1", "cat"]
    log = open(os.path.join(w.lab.folder, "client.log"), "w+")
    p = subprocess.Popen(args, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env={**os.environ, **(env or {})},
                         start_new_session=True, bufsize=0)
    w.started.append(p)
    p.log = log
    assert echoes(p, b"here\n"), said(p)
    w.settled()
    return p


def said(p):
    with open(p.log.name) as f:
        return f.read()


def echoes(p, line):
    p.stdin.write(line)
    return p.stdout.readline() == line


def ended(p):
    assert p.wait(WAIT * SLOW) == 255, said(p)
    p.log.close()


@pytest.fixture
def agent(tmp_path):
    made = Agent(str(tmp_path))
    yield made
    made.stop()


@pytest.mark.parametrize("how", ["locked", "removed", "stopped"])
def test_an_agent_that_has_not_got_it(world, tmp_path, agent, how):  # noqa: F811
    """The session waits for the key, for as long as its grace lasts; the host hears nothing of that."""
    w = world()
    key = w.lab.keys.path("user")
    assert agent.run("-q", key).returncode == 0
    p = session(w, "-o", "IdentityFile=none", env=agent.env)
    askpass = tmp_path / "askpass"
    askpass.write_text("#!/bin/sh\necho word\n")
    askpass.chmod(0o755)
    word = {**agent.env, "SSH_ASKPASS": str(askpass), "SSH_ASKPASS_REQUIRE": "force", "DISPLAY": ":none"}
    lock = {"locked": ["-x"], "removed": ["-q", "-D"], "stopped": None}[how]
    if lock is None:
        hidden = agent.env["SSH_AUTH_SOCK"] + ".hidden"
        os.rename(agent.env["SSH_AUTH_SOCK"], hidden)
    else:
        assert agent.run(*lock, env=word).returncode == 0
    w.way.cut()
    assert wait_until(lambda: "the agent does not have" in said(p) and "silent for" in said(p), WAIT), said(p)
    assert w.way.links == 1 and p.poll() is None
    if lock is None:
        os.rename(hidden, agent.env["SSH_AUTH_SOCK"])
    elif how == "locked":
        assert agent.run("-X", env=word).returncode == 0
    else:
        assert agent.run("-q", key).returncode == 0
    assert echoes(p, b"again\n")
    assert wait_until(lambda: w.resumed() == 1, WAIT)


def trusts(w, tmp_path, key):
    with open(w.lab.keys.authorized_keys, "a") as out:
        out.write(key.with_suffix(".pub").read_text())


@pytest.fixture
def authorized(keys):
    """Comes back as it was."""
    with open(keys.authorized_keys) as f:
        before = f.read()
    yield
    with open(keys.authorized_keys, "w") as out:
        out.write(before)


@pytest.mark.parametrize("name", ["ed25519", "ecdsa"])
def test_a_security_key_is_touched_again(world, tmp_path, fido, authorized, name):  # noqa: F811
    """And says so before it waits for that."""
    w = world()
    trusts(w, tmp_path, fido / name)
    p = session(w, "-i", str(fido / name), "-o", "IdentitiesOnly=yes", "-o", f"SecurityKeyProvider={MIDDLEWARE}")
    w.way.cut()
    assert echoes(p, b"again\n"), said(p)
    assert wait_until(lambda: w.resumed() == 1 and "touch the security key" in said(p), WAIT)


def test_a_security_key_that_is_not_there(world, tmp_path, fido, authorized):  # noqa: F811
    """That is no refusal of the host's: it is tried again."""
    w = world()
    trusts(w, tmp_path, fido / "ed25519")
    middleware = tmp_path / "middleware.so"
    middleware.write_bytes(open(MIDDLEWARE, "rb").read())
    p = session(w, "-i", str(fido / "ed25519"), "-o", "IdentitiesOnly=yes", "-o", f"SecurityKeyProvider={middleware}")
    os.rename(middleware, tmp_path / "gone")
    w.way.cut()
    assert wait_until(lambda: said(p).count("attempt ") >= 2, WAIT), said(p)
    assert p.poll() is None
    os.rename(tmp_path / "gone", middleware)
    assert echoes(p, b"again\n"), said(p)


def test_a_security_key_with_a_pin(world, tmp_path, authorized):  # noqa: F811
    """Nobody is asked for it in the middle of a session, so the connection ends with its link."""
    if not os.path.exists(MIDDLEWARE):
        pytest.skip("openssh-tests is not installed")
    w = world()
    key = tmp_path / "pin"
    subprocess.run([require("ssh-keygen"), "-q", "-t", "ed25519-sk", "-O", "verify-required", "-w", MIDDLEWARE, "-N", "", "-f", key], check=True,
                   env={**os.environ, "SSH_SK_PROVIDER": MIDDLEWARE}, stdin=subprocess.DEVNULL)
    trusts(w, tmp_path, key)
    asked, askpass = tmp_path / "asked", tmp_path / "askpass"
    askpass.write_text(f"#!/bin/sh\necho x >> {asked}\necho 1234\n")
    askpass.chmod(0o755)
    p = session(w, "-i", str(key), "-o", "IdentitiesOnly=yes", "-o", f"SecurityKeyProvider={MIDDLEWARE}",
                env={"SSH_ASKPASS": str(askpass), "SSH_ASKPASS_REQUIRE": "force"})
    assert asked.read_text() == "x\n"
    w.way.cut()
    ended(p)
    assert asked.read_text() == "x\n" and last()["class"] == "closed" and w.resumed() == 0


def test_a_certificate_that_is_not_trusted_any_more(world, tmp_path):  # noqa: F811
    """Refused by the host, three times, and said so at both ends."""
    keygen = [require("ssh-keygen"), "-q"]
    tmp_path.chmod(0o755)
    for name in ("ca", "user", "other"):
        subprocess.run([*keygen, "-t", "ed25519", "-N", "", "-f", tmp_path / name], check=True)
    subprocess.run([*keygen, "-s", tmp_path / "ca", "-I", "someone", "-n", USER, "-V", "+1h", tmp_path / "user.pub"], check=True)
    trusted = tmp_path / "trusted"
    trusted.write_text((tmp_path / "ca.pub").read_text())
    w = world(f"TrustedUserCAKeys {trusted}\n")
    p = session(w, "-i", str(tmp_path / "user"), "-o", "IdentitiesOnly=yes")
    trusted.write_text((tmp_path / "other.pub").read_text())
    w.way.cut()
    ended(p)
    assert last()["class"] == "access removed" and "the host refuses the login" in last()["text"]
