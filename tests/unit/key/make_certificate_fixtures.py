#!/usr/bin/python3
"""Writes certificate_fixtures.h: certificates, signatures and lists made by OpenSSH's ssh-keygen, FIDO signatures
by its dummy middleware (openssh-tests), a WebAuthn signature by the cryptography module."""
import base64
import hashlib
import os
import struct
import subprocess
import sys
import tempfile

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

MIDDLEWARE = "/usr/lib/openssh/regress/misc/sk-dummy/sk-dummy.so"
FROM, TO = "20200101000000Z", "20300101000000Z"


def run(*args, **kw):
    return subprocess.run(args, check=True, capture_output=True, env={**os.environ, "SSH_SK_PROVIDER": MIDDLEWARE},
                          **kw).stdout


def keygen(*args, **kw):
    return run("ssh-keygen", "-q", *args, **kw)


def string(b):
    return struct.pack(">I", len(b)) + b


def mpint(n):
    return string(n.to_bytes(n.bit_length() // 8 + 1, "big"))


def line(path):
    with open(path) as f:
        return f.read().strip()


def c_string(name, text):
    rows = [text[i:i + 76] for i in range(0, len(text), 76)]
    return f"static const char {name}[] =\n" + "\n".join(f'    "{r}"' for r in rows) + ";\n"


def c_lines(name, text):
    rows = [r + "\\n" for r in text.strip().split("\n")]
    return f"static const char {name}[] =\n" + "\n".join(f'    "{r}"' for r in rows) + ";\n"


def webauthn(out):
    key = ec.generate_private_key(ec.SECP256R1())
    point = key.public_key().public_bytes(serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)
    blob = (string(b"sk-ecdsa-sha2-nistp256@openssh.com") + string(b"nistp256") + string(point)
            + string(b"ssh.example.org"))
    data, origin = b"signed in a browser", b"https://www.example.org"
    challenge = base64.urlsafe_b64encode(data).rstrip(b"=")
    client = b'{"type":"webauthn.get","challenge":"' + challenge + b'","origin":"' + origin + b'","crossOrigin":false}'
    flags, counter = 0x05, 77
    signed = (hashlib.sha256(b"ssh.example.org").digest() + struct.pack(">BI", flags, counter)
              + hashlib.sha256(client).digest())
    r, s = decode_dss_signature(key.sign(signed, ec.ECDSA(hashes.SHA256())))
    signature = (string(b"webauthn-sk-ecdsa-sha2-nistp256@openssh.com") + string(mpint(r) + mpint(s))
                 + struct.pack(">BI", flags, counter) + string(origin) + string(client) + string(b""))
    out.append(c_string("webauthn_key", blob.hex()))
    out.append(c_string("webauthn_signature", signature.hex()))
    out.append(c_string("webauthn_data", data.decode()))


def main():
    target = os.path.abspath(sys.argv[1])
    out = ["// Made by make_certificate_fixtures.py from OpenSSH's programs.", "#pragma once", "// clang-format off", ""]
    os.chdir(tempfile.mkdtemp())
    for name, args in (("ca", ("-t", "ed25519")), ("ca_rsa", ("-t", "rsa", "-b", "2048")),
                       ("user", ("-t", "ed25519")), ("rsa", ("-t", "rsa", "-b", "2048")),
                       ("p384", ("-t", "ecdsa", "-b", "384")), ("sk", ("-t", "ed25519-sk")),
                       ("sk_p256", ("-t", "ecdsa-sk")), ("sk_untouched", ("-t", "ed25519-sk", "-O", "no-touch-required"))):
        keygen(*args, "-N", "", "-C", name, "-f", name)
        out.append(c_string("public_" + name, line(name + ".pub")))

    def certify(name, key, ca, *args):
        keygen("-s", ca, "-I", "id of " + name, *args, key + ".pub")
        os.rename(key + "-cert.pub", name + "-cert.pub")
        out.append(c_string("certificate_" + name, line(name + "-cert.pub")))

    window = ("-V", FROM + ":" + TO)
    certify("user", "user", "ca", "-n", "alice,bob", "-z", "7", *window)
    certify("nobody", "user", "ca", "-z", "8", *window)
    certify("forced", "p384", "ca", "-n", "alice", "-z", "9", "-O", "clear", "-O", "force-command=uptime", "-O",
            "source-address=10.0.0.0/8,2001:db8::/32", "-O", "permit-pty", "-O", "extension:x@example.org=y")
    certify("critical", "user", "ca", "-n", "alice", "-O", "critical:strange@example.org=1")
    certify("host", "rsa", "ca_rsa", "-h", "-n", "*.example.org,192.0.2.1", *window)
    certify("sk", "sk", "ca", "-n", "alice", "-O", "no-touch-required", "-O", "verify-required")
    certify("sk_p256", "sk_p256", "ca", "-n", "alice")
    with open("message", "w") as f:
        f.write("a message\n")
    for name in ("user", "rsa", "p384", "sk", "sk_p256", "sk_untouched"):
        with open("message") as f:
            out.append(c_lines("sshsig_" + name, keygen("-Y", "sign", "-f", name, "-n", "file", stdin=f).decode()))
    out.append(c_lines("private_user", line("user")))
    with open("spec", "w") as f:
        f.write("serial: 1-5\nserial: 7\nserial: 1000\nserial: 1002\nserial: 1004-1006\nserial: 0x100000000-0x1ffffffff\n"
                "id: id of critical\n" f"sha256: {line('p384.pub')}\nsha1: {line('rsa.pub')}\n"
                f"key: {line('sk.pub')}\n")
    keygen("-k", "-f", "krl", "-s", "ca.pub", "-z", "3", "spec")
    with open("krl", "rb") as f:
        out.append(c_string("krl_fixture", f.read().hex()))
    webauthn(out)
    with open(target, "w") as f:
        f.write("\n".join(out))


main()
