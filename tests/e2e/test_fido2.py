"""libfido2 in ssh-sk-helper, with an authenticator in software."""
import os
import struct
import subprocess

import pytest

from conftest import require, tool

authenticator = pytest.importorskip("authenticator")
HELPER = os.path.join(os.path.dirname(os.path.dirname(tool("ssh-keygen"))), "libexec/ssh-sk-helper")


@pytest.fixture
def device():
    device = authenticator.Authenticator()
    yield device
    device.stop()


def string(b):
    return struct.pack(">I", len(b)) + b


def ask(operation, kind, application, handle, flags, data, device, pin=b""):
    """One request of signer/token.h; returns (outcome, text)."""
    request = struct.pack(">I", operation) + b"".join(map(string, (b"internal", kind, application, handle))) + \
        struct.pack(">I", flags) + b"".join(map(string, (pin, data, device, b"")))
    done = subprocess.run([HELPER], input=request, capture_output=True, timeout=60, check=True)
    outcome, n = struct.unpack(">II", done.stdout[:8])
    return outcome, done.stdout[8:8 + n]


def parts(path):
    """Application and handle of an unencrypted private file."""
    import base64
    blob = base64.b64decode("".join(path.read_text().splitlines()[1:-1]))

    def strings(b, n):
        out = []
        for _ in range(n):
            size, = struct.unpack(">I", b[:4])
            out.append(b[4:4 + size])
            b = b[4 + size:]
        return out, b
    _, rest = strings(blob[15:], 3)
    (_, sealed), _ = strings(rest[4:], 2)
    (kind,), rest = strings(sealed[8:], 1)
    fields, rest = strings(rest, 3 if b"ecdsa" in kind else 2)
    (handle,), _ = strings(rest[1:], 1)
    return kind, fields[-1], handle


@pytest.mark.parametrize("kind", ["ed25519-sk", "ecdsa-sk"])
def test_a_device_makes_keys_and_signs(device, tmp_path, kind):
    key = tmp_path / "key"
    done = subprocess.run([tool("ssh-keygen"), "-t", kind, "-N", "", "-f", key, "-O", f"device={device.path}", "-O",
                           "application=ssh:test", "-O", f"write-attestation={tmp_path}/attestation"],
                          env={**os.environ, "SSH_SK_PROVIDER": "internal"}, capture_output=True, text=True, timeout=60,
                          stdin=subprocess.DEVNULL, start_new_session=True)
    if "libfido2 can not be loaded" in done.stderr:
        pytest.skip("libfido2 is not installed")
    assert done.returncode == 0, done.stderr
    assert subprocess.run([require("ssh-keygen"), "-lf", key], capture_output=True).returncode == 0
    name, application, handle = parts(key)
    assert application == b"ssh:test" and handle in device.keys
    # What it signs is SSHSIG's data, so that Debian's ssh-keygen can be the judge.
    import base64
    import hashlib
    message = b"SSHSIG" + b"".join(map(string, (b"ns", b"", b"sha512", hashlib.sha512(b"data").digest())))
    outcome, signature = ask(0, name, application, handle, 1, message, device.path.encode())
    assert outcome == 0, signature
    blob = base64.b64decode((tmp_path / "key.pub").read_text().split()[1])
    whole = b"SSHSIG" + struct.pack(">I", 1) + b"".join(map(string, (blob, b"ns", b"", b"sha512", signature)))
    text = base64.b64encode(whole).decode()
    (tmp_path / "sig").write_text("-----BEGIN SSH SIGNATURE-----\n" + "\n".join(text[i:i + 70] for i in range(0, len(text), 70)) +
                                  "\n-----END SSH SIGNATURE-----\n")
    subprocess.run([require("ssh-keygen"), "-Y", "check-novalidate", "-n", "ns", "-s", tmp_path / "sig"], input=b"data", check=True,
                   stdout=subprocess.DEVNULL)
    # A handle of another device; a PIN that it wants and nobody has given; resident keys that it does not manage.
    assert ask(0, name, application, b"x" * 48, 1, message, device.path.encode())[0] == 3
    assert ask(0, name, application, handle, 5, message, device.path.encode())[0] == 2
    assert ask(3, b"", b"", b"", 0, b"", device.path.encode())[0] == 2


def test_no_device():
    outcome, text = ask(2, b"sk-ssh-ed25519@openssh.com", b"ssh:", b"", 1, b"challenge", b"/dev/null/none")
    assert outcome == 3 or b"libfido2" in text
