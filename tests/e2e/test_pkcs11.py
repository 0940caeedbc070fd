"""Keys of PKCS#11 tokens in our agent, on SoftHSM."""
import os
import subprocess

import pytest

from agents import Agent, askpass, debian, has_loaded
from conftest import USER, require, tool

LIBRARY = "/usr/lib/softhsm/libsofthsm2.so"
PIN = "1234"


@pytest.fixture(scope="module")
def token(tmp_path_factory):
    """A token with an RSA, an ECDSA and an Ed25519 key, and the environment that finds it."""
    if not os.path.exists(LIBRARY):
        pytest.skip("softhsm2 is not installed")
    folder = tmp_path_factory.mktemp("token")
    (folder / "tokens").mkdir()
    (folder / "conf").write_text(f"directories.tokendir = {folder}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n")
    env = {**os.environ, "SOFTHSM2_CONF": str(folder / "conf")}
    subprocess.run([require("softhsm2-util"), "--init-token", "--free", "--label", "tests", "--pin", PIN, "--so-pin", "5678"],
                   env=env, check=True, stdout=subprocess.DEVNULL)
    for i, kind in enumerate(("rsa:2048", "EC:prime256v1", "EC:edwards25519"), 1):
        subprocess.run([require("pkcs11-tool"), "--module", LIBRARY, "-l", "--pin", PIN, "--keypairgen", "--key-type", kind,
                        "--id", f"0{i}", "--label", f"my {kind}"], env=env, check=i < 3, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
    # SoftHSM leaks a little with Ed25519: under a sanitizer its helper would seem to fail.
    return {"SOFTHSM2_CONF": env["SOFTHSM2_CONF"], "ASAN_OPTIONS": "detect_leaks=0"}


@pytest.fixture
def agent(token, tmp_path):
    agent = Agent(str(tmp_path), args=["-P", "/usr/lib/*"], env=token)
    yield agent
    agent.stop()


def enter(folder, pin):
    return askpass(str(folder), f"echo {pin}", f"pin-{pin}")


@pytest.mark.parametrize("add", ["ours", "debian"])
def test_keys_of_a_token_log_in(agent, lab, tmp_path, add):
    program = tool("ssh-add") if add == "ours" else debian("ssh-add")
    done = agent.run("-s", LIBRARY, program=program, env=enter(tmp_path, PIN))
    assert done.returncode == 0, done.stdout + agent.log()
    assert "Card added: " + LIBRARY in done.stdout
    public = agent.run("-L").stdout.splitlines()
    assert {line.split()[0] for line in public} >= {"ssh-rsa", "ecdsa-sha2-nistp256"}
    for i, line in enumerate(public):
        only = tmp_path / f"authorized.{i}"
        only.write_text(line + "\n")
        (tmp_path / f"only.{i}.pub").write_text(line + "\n")
        server = lab.openssh(authorized=str(only))
        for client in (tool("ssh"), debian("ssh")):
            done = subprocess.run([client, "-F", "none", "-p", str(server.port), "-o", "IdentityFile=none", "-o", "BatchMode=yes",
                                   "-o", f"UserKnownHostsFile={lab.keys.known_hosts(server.port)}", "127.0.0.1", "echo in"],
                                  env=agent.env, capture_output=True, text=True, timeout=60)
            assert done.stdout == "in\n", done.stderr + agent.log()
        assert agent.run("-T", str(tmp_path / f"only.{i}.pub")).returncode == 0
    # The library is in the helper alone.
    assert not has_loaded(agent, "softhsm")
    assert agent.run("-e", LIBRARY).returncode == 0
    assert agent.count() == 0
    assert agent.run("-e", LIBRARY).returncode == 1


def test_wrong_pin_and_wrong_library(agent, tmp_path):
    done = agent.run("-s", LIBRARY, env=enter(tmp_path, "9999"))
    assert done.returncode == 1 and "agent refused operation" in done.stdout
    assert "9999" not in agent.log()
    assert agent.run("-s", "/usr/lib/x86_64-linux-gnu/libz.so.1", env=enter(tmp_path, PIN)).returncode == 1
    assert agent.run("-s", "/nowhere.so", env=enter(tmp_path, PIN)).returncode == 1
    assert agent.count() == 0


def test_constraints_hold_for_tokens(agent, tmp_path):
    done = agent.run("-c", "-s", LIBRARY, env=enter(tmp_path, PIN))
    assert done.returncode == 0, done.stdout + agent.log()
    line = agent.run("-L").stdout.splitlines()[0]
    (tmp_path / "key.pub").write_text(line + "\n")
    # Nobody can be asked for confirmation here.
    assert agent.run("-T", str(tmp_path / "key.pub")).returncode == 1
    assert PIN not in agent.log()


def test_the_client_signs_with_a_token(token, lab, tmp_path):
    """PKCS11Provider and -I, without any agent; a certificate stands for its key."""
    public = subprocess.run([tool("ssh-keygen"), "-D", LIBRARY], env={**os.environ, **token}, check=True, capture_output=True,
                            text=True).stdout.splitlines()
    (tmp_path / "all").write_text("\n".join(public) + "\n")
    server = lab.openssh(authorized=str(tmp_path / "all"))
    env = {k: v for k, v in os.environ.items() if k != "SSH_AUTH_SOCK"} | token

    def login(*options, pin=PIN, port=server.port, program=tool("ssh")):
        return subprocess.run([program, "-F", "none", "-p", str(port), "-o", "IdentityFile=none", "-o", "PasswordAuthentication=no",
                               "-o", f"UserKnownHostsFile={lab.keys.known_hosts(port)}", *options, "127.0.0.1", "echo in"],
                              env=env | enter(tmp_path, pin), capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
                              start_new_session=True)

    for options in (["-I", LIBRARY], ["-o", f"PKCS11Provider={LIBRARY}"]):
        done = login(*options)
        assert done.stdout == "in\n", done.stderr
    with open(tmp_path / f"pin-{PIN}.asked") as asked:
        assert "Enter PIN for 'my " in asked.read()
    done = login("-I", LIBRARY, pin="9")
    assert done.returncode == 255 and "the token does not take the PIN" in done.stderr
    done = login("-I", LIBRARY, "-o", "BatchMode=yes")
    assert done.returncode == 255 and "is not asked for in batch mode" in done.stderr
    done = login("-I", "/nowhere.so")
    assert done.returncode == 255 and "the provider can not be loaded" in done.stderr
    # Only the certificate is let in, under the name that it says.
    ca = tmp_path / "ca"
    subprocess.run([tool("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", ca], check=True)
    (tmp_path / "key.pub").write_text(public[0] + "\n")
    subprocess.run([tool("ssh-keygen"), "-q", "-s", ca, "-I", "id", "-n", USER, tmp_path / "key.pub"], check=True)
    (tmp_path / "authority").write_text("cert-authority " + (tmp_path / "ca.pub").read_text())
    certified = lab.openssh(authorized=str(tmp_path / "authority"))
    assert login("-I", LIBRARY, port=certified.port).returncode == 255
    done = login("-I", LIBRARY, "-o", f"CertificateFile={tmp_path}/key-cert.pub", port=certified.port)
    assert done.stdout == "in\n", done.stderr
