"""Host keys whose secret half is with an agent (HostKeyAgent) or on a security key (SecurityKeyProvider)."""
import os
import socket
import subprocess

import pytest

from agents import Agent
from conftest import USER, require, tool, wait_until
from tokens import SecurityKey

OURS = tool("ssh-keygen")


@pytest.fixture(scope="module")
def token(tmp_path_factory):
    return SecurityKey(tmp_path_factory.mktemp("security-key"))


def make(path, kind="ed25519", env=None):
    subprocess.run([OURS, "-q", "-t", kind, "-N", "", "-f", path], check=True, env={**os.environ, **(env or {})})
    return str(path)


def known(tmp_path, port, *keys):
    path = tmp_path / "known"
    path.write_text("".join(f"[127.0.0.1]:{port} {open(k + '.pub').read()}" for k in keys))
    return path


def login(lab, port, known_hosts, program, *more):
    return subprocess.run([program, "-F", "none", "-p", str(port), "-i", lab.keys.path("user"), "-o", "IdentitiesOnly=yes", "-o",
                           f"UserKnownHostsFile={known_hosts}", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", *more,
                           f"{USER}@127.0.0.1", "echo in"], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)


@pytest.fixture
def agent(tmp_path):
    agent = Agent(str(tmp_path))
    yield agent
    agent.stop()


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_an_agent_signs_for_the_host(lab, tmp_path, agent, kind):
    key = make(tmp_path / "host", kind)
    agent.add(key)
    os.unlink(key)
    server = lab.sshd(f"HostKeyAgent {agent.path}\nHostKey {key}", host_kinds=())
    hosts = known(tmp_path, server.port, key)
    for program in (tool("ssh"), require("ssh")):
        done = login(lab, server.port, hosts, program, "-o", "RekeyLimit=1K")
        assert done.stdout == "in\n", done.stderr + server.log()
    # Without the key: no login, a line that says why, and the server lives.
    agent.add("-D")
    done = login(lab, server.port, hosts, tool("ssh"))
    assert done.returncode == 255
    assert wait_until(lambda: "it has no such key, or refuses" in server.log())
    agent.stop()
    done = login(lab, server.port, hosts, tool("ssh"))
    assert done.returncode == 255
    assert wait_until(lambda: server.log().count("a host key was not signed with") == 2)


def test_an_agent_that_is_silent_holds_nobody_up(lab, tmp_path):
    key = make(tmp_path / "host")
    path = str(tmp_path / "silent")
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(path)
        silent.listen()
        os.rename(key, key + ".gone")
        server = lab.sshd(f"HostKeyAgent {path}\nHostKey {key}", host_kinds=("rsa",))
        hosts = tmp_path / "hosts"
        hosts.write_text(open(lab.keys.known_hosts(server.port)).read() + known(tmp_path, server.port, key).read_text())
        waits = subprocess.Popen([tool("ssh"), "-F", "none", "-p", str(server.port), "-o", f"UserKnownHostsFile={hosts}", "-o",
                                  "BatchMode=yes", "-o", "HostKeyAlgorithms=ssh-ed25519", "127.0.0.1", "true"],
                                 stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            silent.settimeout(30)
            asked, _ = silent.accept()
            with asked:
                done = login(lab, server.port, hosts, tool("ssh"), "-o", "HostKeyAlgorithms=rsa-sha2-512")
                assert done.stdout == "in\n", done.stderr + server.log()
                assert waits.poll() is None
            # It closes without an answer: that link alone ends.
            assert waits.wait(30) == 255
            server.wait_log("a host key was not signed with")
        finally:
            if waits.poll() is None:
                waits.kill()
                waits.wait()


def test_a_security_key_signs_for_the_host(lab, tmp_path, token, monkeypatch):
    for name, value in token.env.items():
        monkeypatch.setenv(name, value)
    key = make(tmp_path / "host", "ed25519-sk", token.env)
    plain = make(tmp_path / "plain")
    server = lab.sshd(f"SecurityKeyProvider {token.library}\nHostKey {key}\nHostKey {plain}", host_kinds=())
    hosts = known(tmp_path, server.port, key)
    for program in (tool("ssh"), require("ssh")):
        done = login(lab, server.port, hosts, program, "-o", "HostKeyAlgorithms=sk-ssh-ed25519@openssh.com")
        assert done.stdout == "in\n", done.stderr + server.log()
    # A proof of both, one of them made here and one there.
    done = login(lab, server.port, hosts, tool("ssh"), "-o", "UpdateHostKeys=yes", "-o",
                 "HostKeyAlgorithms=sk-ssh-ed25519@openssh.com,ssh-ed25519")
    assert done.stdout == "in\n", done.stderr
    assert wait_until(lambda: open(plain + ".pub").read().split()[1] in hosts.read_text()), done.stderr + server.log()


def test_none_refuses_security_keys(lab, tmp_path, token):
    key = make(tmp_path / "host", "ed25519-sk", token.env)
    config = tmp_path / "config"
    config.write_text(f"HostKey {key}\nSecurityKeyProvider none\nPidFile none\n")
    done = subprocess.run([tool("sshd"), "-t", "-f", str(config)], capture_output=True, text=True, timeout=60)
    assert done.returncode != 0 and "SecurityKeyProvider is none" in done.stderr
