"""Our ssh opens sessions on every real server, moves 64 MiB of random data both ways, gets the status."""
import hashlib
import os
import subprocess
import sys

import pytest
from conftest import ASAN, IS_ROOT

HERE = os.path.dirname(os.path.abspath(__file__))
SIZE = (8 if ASAN else 64) * 1024 * 1024
CIPHERS = ["aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com"]
MACS = ["hmac-sha2-256", "hmac-sha2-512", "hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com"]
PAIRS = [(c, None) for c in CIPHERS] + [("aes128-ctr", m) for m in MACS] + [("aes192-ctr", MACS[2]), ("aes256-ctr", MACS[2])]


# Of the rest of OpenSSH's methods, and its other MACs; with less data.
NEW_MACS = ["umac-64@openssh.com", "umac-128@openssh.com", "umac-64-etm@openssh.com", "umac-128-etm@openssh.com",
            "hmac-sha1", "hmac-sha1-etm@openssh.com"]
NEW_KEX = ["sntrup761x25519-sha512@openssh.com", "diffie-hellman-group14-sha256", "diffie-hellman-group16-sha512",
           "diffie-hellman-group18-sha512", "diffie-hellman-group-exchange-sha256", "diffie-hellman-group14-sha1",
           "diffie-hellman-group-exchange-sha1", "diffie-hellman-group1-sha1"]
SMALL = 4 * 1024 * 1024


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "random"
    path.write_bytes(os.urandom(SIZE))
    return str(path)


def through(lab, server, data, options=(), size=SIZE, timeout=120):
    with open(data, "rb") as source:
        body = source.read(size)
    done = lab.ssh(server, "cat; echo oops >&2; exit 7", options=options, input=body, timeout=timeout)
    assert done.returncode == 7, done.stderr[-2000:]
    assert hashlib.sha256(done.stdout).digest() == hashlib.sha256(body).digest()
    assert b"oops" in done.stderr


@pytest.fixture(scope="module")
def openssh(module_lab):
    return module_lab.openssh("RekeyLimit 1M\n")


@pytest.mark.parametrize("cipher,mac", PAIRS)
def test_openssh(module_lab, openssh, data, cipher, mac):
    options = ["-c", cipher, "-o", "RekeyLimit=1M"] + (["-m", mac] if mac else [])
    through(module_lab, openssh, data, options)


@pytest.mark.parametrize("kex", ["curve25519-sha256", "curve25519-sha256@libssh.org", "ecdh-sha2-nistp256"])
@pytest.mark.parametrize("host", ["ssh-ed25519", "ecdsa-sha2-nistp256", "rsa-sha2-256", "rsa-sha2-512"])
def test_openssh_exchanges(module_lab, openssh, kex, host):
    for kind in ("ed25519", "ecdsa", "rsa"):
        done = module_lab.ssh(openssh, "echo fine", kind=kind, options=["-o", f"KexAlgorithms={kex}", "-o", f"HostKeyAlgorithms={host}"])
        assert done.returncode == 0 and done.stdout == b"fine\n", done.stderr


@pytest.mark.parametrize("mac", NEW_MACS)
def test_openssh_macs(module_lab, openssh, data, mac):
    through(module_lab, openssh, data, ["-c", "aes128-ctr", "-m", mac, "-o", "RekeyLimit=1M"], size=SMALL)


@pytest.fixture(scope="module")
def openssh_with_all(module_lab):
    return module_lab.openssh("RekeyLimit 1M\nKexAlgorithms +" + ",".join(NEW_KEX) + "\n")


@pytest.mark.parametrize("kex", NEW_KEX)
def test_openssh_methods(module_lab, openssh_with_all, data, kex):
    through(module_lab, openssh_with_all, data, ["-o", f"KexAlgorithms={kex}", "-o", "RekeyLimit=2M"], size=SMALL)


def test_openssh_compression(module_lab, openssh, data):
    through(module_lab, openssh, data, ["-C", "-o", "RekeyLimit=1M"], size=SMALL)


@pytest.mark.parametrize("mac", NEW_MACS)
def test_ourselves_macs(module_lab, data, mac):
    through(module_lab, module_lab.sshd(f"RekeyLimit 1M\nMACs {mac}\n"), data, ["-c", "aes128-ctr", "-m", mac], size=SMALL)


@pytest.mark.parametrize("kex", NEW_KEX + ["sntrup761x25519-sha512", "mlkem768nistp256-sha256"])
def test_ourselves_methods(module_lab, data, kex):
    server = module_lab.sshd(f"RekeyLimit 2M\nKexAlgorithms {kex}\n")
    through(module_lab, server, data, ["-o", f"KexAlgorithms={kex}"], size=SMALL)


@pytest.mark.parametrize("server_has", ["yes", "no"])
def test_ourselves_compression(module_lab, data, server_has):
    server = module_lab.sshd(f"RekeyLimit 1M\nCompression {server_has}\n")
    through(module_lab, server, data, ["-C"], size=SMALL)


@pytest.mark.parametrize("cipher,mac", PAIRS)
def test_ourselves(module_lab, data, cipher, mac):
    server = module_lab.sshd("RekeyLimit 1M\n")
    options = ["-c", cipher, "-o", "RekeyLimit=1M"] + (["-m", mac] if mac else [])
    through(module_lab, server, data, options)


@pytest.mark.parametrize("kex", ["mlkem768x25519-sha256", "curve25519-sha256", "ecdh-sha2-nistp256"])
def test_ourselves_exchanges(module_lab, kex):
    server = module_lab.sshd(f"KexAlgorithms {kex}\n")
    done = module_lab.ssh(server, "echo fine")
    assert done.returncode == 0 and done.stdout == b"fine\n", done.stderr


@pytest.mark.parametrize("cipher,mac", [("chacha20-poly1305@openssh.com", None), ("aes128-ctr", "hmac-sha2-256"), ("aes256-ctr", "hmac-sha2-256")])
def test_dropbear(module_lab, keys, data, tmp_path, cipher, mac):
    """dropbear reads ~/.ssh/authorized_keys of the account: an account of the test's own is used."""
    if not IS_ROOT:
        pytest.skip("needs root: dropbear reads an account's own authorized_keys")
    from conftest import Account
    account = Account(f"bwldb{os.getpid() % 10000}{PAIRS.index((cipher, mac)) if (cipher, mac) in PAIRS else 9}", keys)
    try:
        server = module_lab.dropbear()
        options = ["-l", account.name, "-c", cipher] + (["-m", mac] if mac else [])
        through(module_lab, server, data, options, size=SIZE // 4)
    finally:
        account.remove()


def test_paramiko(module_lab, keys, data, tmp_path):
    pytest.importorskip("paramiko")
    process = subprocess.Popen([sys.executable, f"{HERE}/peers/paramiko_server.py", keys.path("host"), keys.authorized_keys],
                               stdout=subprocess.PIPE, stderr=open(tmp_path / "log", "w"), text=True)
    try:
        class At:
            port = int(process.stdout.readline())
        through(module_lab, At, data, size=SIZE // 8, timeout=180)
    finally:
        process.kill()
        process.wait()


def test_npm_ssh2(module_lab, keys, data, npm_package):
    folder = npm_package("ssh2_server.js", "ssh2@1.16.0")
    process = subprocess.Popen(["node", str(folder / "ssh2_server.js"), keys.path("host"), keys.path("user") + ".pub"],
                               stdout=subprocess.PIPE, text=True, cwd=folder)
    try:
        class At:
            port = int(process.stdout.readline())
        through(module_lab, At, data, size=SIZE // 8, timeout=180)
    finally:
        process.kill()
        process.wait()
