"""Certificates beside keys and in the agent; LocalCommand; IPQoS."""
import os
import re
import shutil
import signal
import subprocess

import pytest

from conftest import ASAN, USER, require, tool


@pytest.fixture
def certified(lab, tmp_path):
    """Debian's sshd that lets only certificates in, a key and its certificate."""
    run = lambda *args: subprocess.run(["ssh-keygen", "-q", *args], check=True, stdin=subprocess.DEVNULL)
    run("-t", "ed25519", "-N", "", "-f", str(tmp_path / "ca"))
    for kind in "ed25519", "rsa":
        key = str(tmp_path / kind)
        run("-t", kind, "-N", "", "-f", key)
        run("-s", str(tmp_path / "ca"), "-I", "me", "-n", USER, key + ".pub")
    server = lab.openssh(f"TrustedUserCAKeys {tmp_path}/ca.pub", authorized="none")
    return server, tmp_path


def login(lab, server, *options, **kw):
    return subprocess.run([tool("ssh"), "-F", "none", "-p", str(server.port), "-o", "BatchMode=yes", "-o",
                           f"UserKnownHostsFile={lab.keys.known_hosts(server.port)}", *options, "127.0.0.1", "echo in"],
                          stdin=subprocess.DEVNULL, capture_output=True, **kw)


@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_certificate_beside_the_key(lab, certified, kind):
    server, folder = certified
    r = login(lab, server, "-i", str(folder / kind), "-o", "IdentitiesOnly=yes")
    assert r.stdout == b"in\n", r.stderr
    os.unlink(folder / f"{kind}-cert.pub")
    assert login(lab, server, "-i", str(folder / kind), "-o", "IdentitiesOnly=yes").returncode == 255


def test_certificate_file(lab, certified):
    server, folder = certified
    other = str(folder / "elsewhere")
    shutil.move(folder / "rsa-cert.pub", other)
    options = ["-i", str(folder / "rsa"), "-o", "IdentitiesOnly=yes"]
    assert login(lab, server, *options, "-o", f"CertificateFile={folder}/ed25519-cert.pub").returncode == 255
    r = login(lab, server, *options, "-o", f"CertificateFile={folder}/ed25519-cert.pub", "-o",
              f"CertificateFile={other}")
    assert r.stdout == b"in\n", r.stderr
    r = login(lab, server, *options, "-o", f"CertificateFile={folder}/rsa.pub")
    assert r.returncode == 255 and b"no certificate" in r.stderr


def test_certificate_of_a_key_in_the_agent(lab, certified):
    require("ssh-agent")
    server, folder = certified
    out = subprocess.run(["ssh-agent", "-s"], stdout=subprocess.PIPE, check=True, text=True).stdout
    env = dict(os.environ, **dict(re.findall(r"(SSH_\w+)=([^;]+);", out)))
    try:
        certificate = str(folder / "elsewhere")
        shutil.move(folder / "rsa-cert.pub", certificate)
        subprocess.run(["ssh-add", "-q", str(folder / "rsa")], env=env, check=True)
        r = login(lab, server, "-i", "none", "-o", f"CertificateFile={certificate}", env=env)
        assert r.stdout == b"in\n", r.stderr
    finally:
        os.kill(int(env["SSH_AGENT_PID"]), signal.SIGTERM)


def test_local_command(lab, tmp_path):
    server, out = lab.openssh(), tmp_path / "out"
    command = f"echo %h %p %r %T > {out}"
    assert lab.ssh(server, "-o", f"LocalCommand={command}", "true").returncode == 0
    assert not out.exists()
    assert lab.ssh(server, "-o", "PermitLocalCommand=yes", "-o", f"LocalCommand={command}", "true").returncode == 0
    assert out.read_text() == f"127.0.0.1 {server.port} {USER} NONE\n"


@pytest.mark.skipif(ASAN, reason="a leak checker does not run under strace")
def test_ipqos(lab):
    strace, server = require("strace"), lab.openssh()
    args = lab.ssh_args(server, "-o", "IPQoS=af21 cs1", "true")
    r = subprocess.run([strace, "-e", "trace=setsockopt", *args], stdin=subprocess.DEVNULL, capture_output=True)
    assert r.returncode == 0 and b"IP_TOS, [32]" in r.stderr, r.stderr
