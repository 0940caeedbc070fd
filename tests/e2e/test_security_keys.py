"""Security keys, through OpenSSH's dummy middleware: who logs in with them at our sshd, and with what kind of touch."""
import os
import subprocess

import pytest

from conftest import USER, require

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


def login(lab, server, key):
    return subprocess.run(
        [require("ssh"), "-F", "none", "-p", str(server.port), "-i", str(key), "-o", "IdentitiesOnly=yes", "-o",
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
