"""ssh-keygen and ssh-add with keys that others hold: security keys, PKCS#11 tokens, agents."""
import os
import subprocess

import pytest

from agents import Agent, askpass
from conftest import USER, require, tool
from tokens import PIN, SOFTHSM, SecurityKey, soft_token

OURS = tool("ssh-keygen")


@pytest.fixture(scope="module")
def token(tmp_path_factory):
    return SecurityKey(tmp_path_factory.mktemp("security-key"))


@pytest.fixture(scope="module")
def hsm(tmp_path_factory):
    return soft_token(tmp_path_factory.mktemp("hsm"), {"my rsa": "rsa:2048", "my curve": "EC:prime256v1"})


@pytest.fixture
def agent(tmp_path, token):
    agent = Agent(str(tmp_path), args=["-P", f"{os.path.dirname(token.library)}/*"], env=token.env)
    yield agent
    agent.stop()


def run(*args, env=None, text="", program=OURS, cwd=None, ok=True):
    done = subprocess.run([program, *map(str, args)], input=text, capture_output=True, text=True, timeout=120, cwd=cwd,
                          env={**os.environ, "SSH_ASKPASS_REQUIRE": "never", **(env or {})}, start_new_session=True)
    assert not ok or done.returncode == 0, done.stdout + done.stderr
    return done


def make(token, path, *options, text=""):
    return run("-t", "ed25519-sk", "-N", "", "-f", path, *[w for o in options for w in ("-O", o)], env=token.env, text=text)


def test_a_key_that_wants_a_pin(token, tmp_path, lab):
    key = tmp_path / "pin"
    done = make(token, key, "verify-required", "application=ssh:pin", text="0000\n" + PIN + "\n")
    assert "PIN incorrect" in done.stderr and "You may need to touch your authenticator again" in done.stdout
    assert "(ED25519-SK)" in run("-lf", key, program=require("ssh-keygen")).stdout
    # A login asks for it once, and once more when it was wrong; never where nobody answers.
    server = lab.openssh(authorized=str(key) + ".pub")
    common = ["-F", "none", "-p", server.port, "-i", key, "-o", "IdentitiesOnly=yes", "-o",
              f"UserKnownHostsFile={lab.keys.known_hosts(server.port)}", "-o", "PasswordAuthentication=no",
              f"{USER}@127.0.0.1", "echo in"]
    for answers, result in ((f"echo {PIN}", "in\n"), (f"test -e {tmp_path}/second && echo {PIN} || echo 1; touch {tmp_path}/second",
                                                     "in\n"), ("echo 9", "")):
        done = run(*common, program=tool("ssh"), env={**token.env, **askpass(str(tmp_path), answers)}, ok=False)
        assert done.stdout == result, done.stderr
    with open(tmp_path / "askpass.asked") as asked:
        assert asked.read().count("Enter PIN for ED25519-SK key SHA256:") == 5


def test_three_wrong_pins_end_it(token, tmp_path):
    done = run("-t", "ed25519-sk", "-N", "", "-f", tmp_path / "no", "-O", "verify-required", env=token.env, text="1\n2\n3\n4\n",
               ok=False)
    assert done.returncode == 255 and "Too many incorrect PINs" in done.stderr
    assert not os.path.exists(tmp_path / "no")


@pytest.mark.parametrize("option,why", [("resident=1", "unsupported"), ("application=web:x", 'must begin with "ssh:"'),
                                        ("challenge=/nowhere", "/nowhere")])
def test_bad_wishes_are_told(token, tmp_path, option, why):
    done = run("-t", "ed25519-sk", "-N", "", "-f", tmp_path / "bad", "-O", option, env=token.env, ok=False)
    assert done.returncode == 255 and why in done.stderr


def test_resident_keys_come_back(token, agent, tmp_path):
    path = tmp_path / "resident"
    wish = ["resident", "application=ssh:work", "user=alice"]
    make(token, path, *wish, f"write-attestation={tmp_path}/attestation", text=PIN + "\n")
    attestation = (tmp_path / "attestation").read_bytes()
    assert attestation == b"".join(len(s).to_bytes(4, "big") + s for s in (b"ssh-sk-attest-v01", b"certificate", b"signature",
                                                                           b"authdata")) + bytes(8)
    # The token keeps one for each application and user.
    done = run("-t", "ed25519-sk", "-N", "", "-f", tmp_path / "other", *[w for o in wish for w in ("-O", o)], env=token.env,
               text=PIN + "\nn\n", ok=False)
    assert done.returncode == 255 and "A resident key scoped to 'ssh:work' with user id 'alice' already exists" in done.stdout
    make(token, tmp_path / "other", *wish, text=PIN + "\ny\n")
    want = (tmp_path / "other.pub").read_text().split()[:2]
    for program in (OURS, require("ssh-keygen")):
        folder = tmp_path / ("ours" if program == OURS else "theirs")
        folder.mkdir()
        run("-K", "-N", "", env=token.env, text=PIN + "\n\n\n", cwd=folder, program=program)
        if program == OURS:
            assert sorted(os.listdir(folder)) == ["id_ed25519_sk_rk_work_alice", "id_ed25519_sk_rk_work_alice.pub"]
        name, = (n for n in os.listdir(folder) if n.endswith(".pub"))
        assert (folder / name).read_text().split()[:2] == want
    assert run("-K", env=token.env, text="9\n", cwd=tmp_path, ok=False).returncode == 1
    # And straight into an agent.
    done = agent.run("-K", env=token.env, input=PIN + "\n")
    assert done.returncode == 0, done.stdout + agent.log()
    assert agent.run("-L").stdout.split()[:2] == want
    assert agent.run("-K", env=token.env, input="9\n").returncode == 1


def test_names_of_resident_keys_stay_in_the_folder(token, tmp_path):
    (token.kept / "ssh:..up:").write_bytes(bytes([0x21]) + bytes(range(32)))
    try:
        folder = tmp_path / "keys"
        folder.mkdir()
        run("-K", "-N", "", env=token.env, text=PIN + "\n", cwd=folder)
        assert all("/" not in n and ".." not in n for n in os.listdir(folder)) and os.listdir(tmp_path) == ["keys"]
    finally:
        os.unlink(token.kept / "ssh:..up:")


def test_an_agent_asks_for_the_pin(token, tmp_path, lab):
    key = tmp_path / "pin"
    make(token, key, "verify-required", text=PIN + "\n")
    asked = askpass(str(tmp_path), f'case "$SSH_ASKPASS_PROMPT" in none) exec sleep 25;; *) echo {PIN};; esac')
    agent = Agent(str(tmp_path), args=["-P", f"{os.path.dirname(token.library)}/*"], env={**token.env, **asked})
    try:
        agent.add("-S", token.library, str(key))
        assert agent.run("-T", str(key) + ".pub").returncode == 0, agent.log()
        with open(tmp_path / "askpass.asked") as f:
            text = f.read()
        assert "none: Confirm user presence for key ED25519-SK" in text and ": Enter PIN for ED25519-SK key" in text
    finally:
        agent.stop()


def test_what_a_key_demands_changes(token, tmp_path):
    key = tmp_path / "key"
    make(token, key)
    run("-p", "-N", "", "-f", key, "-O", "verify-required", "-O", "no-touch-required")
    done = run("-Y", "sign", "-f", key, "-n", "x", env=token.env, text="data", ok=False)
    assert done.returncode == 255 and "no terminal to ask at" in done.stderr
    run("-p", "-N", "", "-f", key, "-O", "no-verify-required", "-O", "touch-required")
    done = run("-Y", "sign", "-f", key, "-n", "x", env=token.env, text="data")
    assert "Confirm user presence for key ED25519-SK" in done.stderr
    done = run("-p", "-N", "", "-f", key, "-O", "flying", ok=False)
    assert done.returncode == 255 and "unsupported" in done.stderr


@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_agents_sign_files_and_certificates(agent, tmp_path, kind):
    ca, key = tmp_path / "ca", tmp_path / "key"
    run("-q", "-t", kind, "-N", "", "-f", ca)
    run("-q", "-t", "ed25519", "-N", "", "-f", key)
    agent.add(str(ca))
    os.unlink(ca)
    run("-q", "-U", "-s", f"{ca}.pub", "-I", "id", "-n", "me", f"{key}.pub", env=agent.env)
    assert "Key ID: \"id\"" in run("-Lf", f"{key}-cert.pub", program=require("ssh-keygen")).stdout
    signature = run("-Y", "sign", "-f", f"{ca}.pub", "-n", "ns", env=agent.env, text="data").stdout
    (tmp_path / "sig").write_text(signature)
    (tmp_path / "signers").write_text("me " + (tmp_path / "ca.pub").read_text())
    run("-Y", "verify", "-f", tmp_path / "signers", "-I", "me", "-n", "ns", "-s", tmp_path / "sig", text="data",
        program=require("ssh-keygen"))
    agent.add("-D")
    for words, why in ((["-U", "-s", f"{ca}.pub", "-I", "id", f"{key}.pub"], "the agent does not have the key"),
                       (["-Y", "sign", "-f", f"{ca}.pub", "-n", "ns"], "no private key is there, and no agent has it")):
        done = run(*words, env=agent.env, ok=False)
        assert done.returncode == 255 and why in done.stderr


def test_a_pkcs11_token_shows_keys_and_certifies(hsm, tmp_path):
    shown = run("-D", SOFTHSM, env=hsm).stdout
    theirs = run("-D", SOFTHSM, env=hsm, program=require("ssh-keygen")).stdout
    assert sorted(shown.splitlines()) == sorted(theirs.splitlines()) and "my curve" in shown
    assert run("-D", SOFTHSM, "-l", env=hsm).stdout.count("SHA256:") == 2
    key = tmp_path / "key"
    run("-q", "-t", "ed25519", "-N", "", "-f", key)
    for line in shown.splitlines():
        (tmp_path / "ca.pub").write_text(line + "\n")
        run("-q", "-D", SOFTHSM, "-s", tmp_path / "ca.pub", "-I", "id", "-n", "me", f"{key}.pub", env=hsm, text=PIN + "\n")
        assert "Signing CA: " in run("-Lf", f"{key}-cert.pub", program=require("ssh-keygen")).stdout
    done = run("-D", SOFTHSM, "-s", tmp_path / "ca.pub", "-I", "id", f"{key}.pub", env=hsm, text="9\n", ok=False)
    assert done.returncode == 255 and "PIN" in done.stderr
    done = run("-D", "/nowhere.so", env=hsm, ok=False)
    assert done.returncode == 255 and "cannot be loaded" in done.stderr.replace("can not", "cannot")


def test_without_a_device(tmp_path):
    done = run("-t", "ed25519-sk", "-N", "", "-f", tmp_path / "key", env={"SSH_SK_PROVIDER": ""}, ok=False)
    assert done.returncode == 255
    assert "device not found" in done.stderr or "libfido2 can not be loaded" in done.stderr
    assert not os.path.exists(tmp_path / "key")
