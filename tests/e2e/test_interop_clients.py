"""Every real client opens a session on our sshd, moves 64 MiB of random data both ways, gets the status."""
import hashlib
import os
import shutil
import subprocess

import pytest
from conftest import ASAN, SLOW, USER, require

HERE = os.path.dirname(os.path.abspath(__file__))
MIB = 1024 * 1024
SIZE = (8 if ASAN else 64) * MIB


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "random"
    path.write_bytes(os.urandom(SIZE))
    return str(path)


@pytest.fixture(scope="module")
def server(module_lab):
    return module_lab.sshd("RekeyLimit 1M\n")


def digest(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


def through(args, data, timeout=300, env=None, size=SIZE):
    """Data goes through `cat` at the other end and comes back; the status is passed on."""
    with open(data, "rb") as source:
        done = subprocess.run(args("cat; echo oops >&2; exit 7"), stdin=source, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=timeout * SLOW, env=env)
    assert done.returncode == 7, done.stderr[-2000:]
    assert len(done.stdout) == size
    assert hashlib.sha256(done.stdout).hexdigest() == digest(data)
    assert b"oops" in done.stderr


CIPHERS = ["aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com",
           "aes128-ctr", "aes192-ctr", "aes256-ctr"]
MACS = ["hmac-sha2-256", "hmac-sha2-512", "hmac-sha2-256-etm@openssh.com", "hmac-sha2-512-etm@openssh.com"]
PAIRS = [(c, None) for c in CIPHERS[:3]] + [("aes128-ctr", m) for m in MACS] + \
    [(c, MACS[2]) for c in CIPHERS[4:]]


# Of the rest of OpenSSH's methods, and its other MACs; with less data.
NEW_MACS = ["umac-64@openssh.com", "umac-128@openssh.com", "umac-64-etm@openssh.com", "umac-128-etm@openssh.com",
            "hmac-sha1", "hmac-sha1-etm@openssh.com"]
NEW_KEX = ["sntrup761x25519-sha512@openssh.com", "diffie-hellman-group14-sha256", "diffie-hellman-group16-sha512",
           "diffie-hellman-group18-sha512", "diffie-hellman-group-exchange-sha256", "diffie-hellman-group14-sha1",
           "diffie-hellman-group-exchange-sha1", "diffie-hellman-group1-sha1"]
SMALL = 4 * MIB


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    path = tmp_path_factory.mktemp("data") / "small"
    path.write_bytes(os.urandom(SMALL // 2) + bytes(SMALL // 2))
    return str(path)


@pytest.fixture(scope="module")
def server_with_all(module_lab):
    return module_lab.sshd("RekeyLimit 1M\nKexAlgorithms +" + ",".join(NEW_KEX) + "\n")


@pytest.mark.parametrize("mac", NEW_MACS)
def test_openssh_macs(module_lab, server, small, mac):
    base = ["ssh", *module_lab.common(server.port), "-c", "aes128-ctr", "-m", mac, "-o", "RekeyLimit=1M", "127.0.0.1"]
    through(lambda command: [*base, command], small, size=SMALL)


@pytest.mark.parametrize("kex", NEW_KEX)
def test_openssh_methods(module_lab, server_with_all, small, kex):
    base = ["ssh", *module_lab.common(server_with_all.port), "-o", f"KexAlgorithms={kex}", "-o", "RekeyLimit=2M", "127.0.0.1"]
    through(lambda command: [*base, command], small, size=SMALL)


def test_openssh_compression(module_lab, server, small):
    base = ["ssh", "-C", *module_lab.common(server.port), "-o", "RekeyLimit=1M", "127.0.0.1"]
    through(lambda command: [*base, command], small, size=SMALL)


@pytest.mark.parametrize("cipher,mac", PAIRS)
def test_openssh(module_lab, server, data, cipher, mac):
    options = ["-o", f"Ciphers={cipher}", "-o", "RekeyLimit=1M"] + (["-o", f"MACs={mac}"] if mac else [])
    base = ["ssh", *module_lab.common(server.port), *options, "127.0.0.1"]
    through(lambda command: [*base, command], data)


@pytest.mark.parametrize("kex", ["curve25519-sha256", "curve25519-sha256@libssh.org", "ecdh-sha2-nistp256"])
@pytest.mark.parametrize("host", ["ssh-ed25519", "ecdsa-sha2-nistp256", "rsa-sha2-256", "rsa-sha2-512"])
def test_openssh_exchanges(module_lab, server, kex, host):
    for kind in ("ed25519", "ecdsa", "rsa"):
        done = module_lab.ssh(server, "-o", f"KexAlgorithms={kex}", "-o", f"HostKeyAlgorithms={host}", "echo fine",
                              program="ssh", kind=kind)
        assert done.returncode == 0 and done.stdout == b"fine\n", done.stderr


def test_dropbear(module_lab, keys, server, data, tmp_path):
    require("dbclient"), require("dropbearconvert")
    key = str(tmp_path / "key")
    subprocess.run(["dropbearconvert", "openssh", "dropbear", keys.path("user"), key], check=True, capture_output=True)
    env = dict(os.environ, HOME=str(tmp_path))
    through(lambda command: ["dbclient", "-y", "-y", "-i", key, "-p", str(server.port), f"{USER}@127.0.0.1", command], data,
            env=env)


@pytest.mark.parametrize("cipher", ["chacha20", "aes", "aesgcm"])
def test_putty(module_lab, keys, server, data, tmp_path, cipher):
    require("plink"), require("puttygen")
    ppk = str(tmp_path / "key.ppk")
    subprocess.run(["puttygen", keys.path("user"), "-o", ppk, "-O", "private"], check=True, capture_output=True)
    env = dict(os.environ, HOME=str(tmp_path))
    finger = subprocess.run(["ssh-keygen", "-lf", keys.path("host") + ".pub"], capture_output=True, text=True).stdout.split()[1]
    # plink has no cipher flag; a saved session has. ~/.putty/sessions/test
    sessions = tmp_path / ".putty" / "sessions"
    sessions.mkdir(parents=True)
    (sessions / "test").write_text(f"Protocol=ssh\nHostName=127.0.0.1\nPortNumber={server.port}\nUserName={USER}\n"
                                   f"Cipher={cipher},aes,chacha20,WARN\nRekeyBytes=1M\n")
    through(lambda command: ["plink", "-batch", "-load", "test", "-hostkey", finger, "-i", ppk, command], data, env=env)


def test_paramiko(keys, server, data):
    paramiko = pytest.importorskip("paramiko")
    client = paramiko.SSHClient()
    client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
    client.connect("127.0.0.1", server.port, USER, key_filename=keys.path("user"), look_for_keys=False, allow_agent=False)
    try:
        stdin, stdout, stderr = client.exec_command("sha256sum; echo oops >&2; exit 7")
        with open(data, "rb") as f:
            shutil.copyfileobj(f, stdin, 1 << 16)
        stdin.channel.shutdown_write()
        assert stdout.read().split()[0].decode() == digest(data)
        assert stderr.read().endswith(b"oops\n")
        assert stdout.channel.recv_exit_status() == 7
        _, stdout, _ = client.exec_command(f"cat {data}")
        assert hashlib.sha256(stdout.read()).hexdigest() == digest(data)
    finally:
        client.close()


@pytest.fixture(scope="module")
def peers(tmp_path_factory):
    """Builds the small programs in peers/ on demand."""
    folder = tmp_path_factory.mktemp("peers")

    def build(name, args, **kw):
        target = str(folder / name)
        if not os.path.exists(target):
            done = subprocess.run([a.replace("TARGET", target) for a in args], capture_output=True, text=True, **kw)
            assert done.returncode == 0, done.stderr
        return target
    return build


@pytest.mark.parametrize("cipher", ["aes128-gcm@openssh.com", "chacha20-poly1305@openssh.com", "aes256-ctr"])
def test_go(keys, server, data, peers, tmp_path_factory, cipher):
    require("go")
    env = dict(os.environ, GOPATH="/usr/share/gocode", GO111MODULE="off", GOFLAGS="", HOME=str(tmp_path_factory.getbasetemp()),
               GOCACHE=str(tmp_path_factory.getbasetemp() / "gocache"))
    program = peers("gossh", ["go", "build", "-o", "TARGET", f"{HERE}/peers/gossh.go"], env=env)
    through(lambda command: [program, str(server.port), USER, keys.path("user"), keys.path("host") + ".pub", command, cipher],
            data)


def test_libssh(keys, server, data, peers):
    program = peers("libssh_exec", ["cc", "-o", "TARGET", f"{HERE}/peers/libssh_exec.c", "-lssh"])
    with open(data, "rb") as f:
        done = subprocess.run([program, str(server.port), USER, keys.path("user"), "sha256sum; exit 7"], stdin=f,
                              capture_output=True, timeout=120 * SLOW)
    assert done.returncode == 7, done.stderr
    assert done.stdout.split()[0].decode() == digest(data)
    done = subprocess.run([program, str(server.port), USER, keys.path("user"), f"cat {data}"], stdin=subprocess.DEVNULL,
                          capture_output=True, timeout=120 * SLOW)
    assert hashlib.sha256(done.stdout).hexdigest() == digest(data)


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa"])
def test_libssh2(keys, server, data, peers, kind):
    program = peers("libssh2_exec", ["cc", "-o", "TARGET", f"{HERE}/peers/libssh2_exec.c", "-lssh2"])
    args = [program, str(server.port), USER, keys.path("user", kind) + ".pub", keys.path("user", kind)]
    with open(data, "rb") as f:
        done = subprocess.run([*args, "sha256sum; exit 7"], stdin=f, capture_output=True, timeout=120 * SLOW)
    assert done.returncode == 7, done.stderr
    assert done.stdout.split()[0].decode() == digest(data)
    done = subprocess.run([*args, f"cat {data}"], stdin=subprocess.DEVNULL, capture_output=True, timeout=120 * SLOW)
    assert hashlib.sha256(done.stdout).hexdigest() == digest(data)


def test_jsch(keys, server, data, tmp_path):
    """JSch 0.1.55 signs RSA with SHA-1 alone; with ECDSA it works."""
    require("javac")
    jar = "/usr/share/java/jsch.jar"
    if not os.path.exists(jar):
        pytest.skip("libjsch-java is not installed")
    pem = str(tmp_path / "key")
    shutil.copy(keys.path("user", "ecdsa"), pem)
    os.chmod(pem, 0o600)
    subprocess.run(["ssh-keygen", "-q", "-p", "-m", "PEM", "-N", "", "-f", pem], check=True, capture_output=True)
    subprocess.run(["javac", "-cp", jar, "-d", str(tmp_path), f"{HERE}/peers/JschExec.java"], check=True, capture_output=True)
    args = ["java", "-cp", f"{jar}:{tmp_path}", "JschExec", str(server.port), USER, pem]
    with open(data, "rb") as f:
        done = subprocess.run([*args, "sha256sum; exit 7"], stdin=f, capture_output=True, timeout=180 * SLOW)
    assert done.returncode == 7, done.stderr
    assert done.stdout.split()[0].decode() == digest(data)
    done = subprocess.run([*args, f"cat {data}"], stdin=subprocess.DEVNULL, capture_output=True, timeout=180 * SLOW)
    assert hashlib.sha256(done.stdout).hexdigest() == digest(data)


HYBRID = "mlkem768x25519-sha256"


@pytest.fixture(scope="module")
def russh(npm_package, server):
    """Runs peers/russh_client.js, offering ML-KEM alone: russh(key, host key, command, input)."""
    folder = npm_package("russh_client.js", "russh@0.1.38", "rxjs@7")
    tried = subprocess.run(["node", "-e", "require('russh')"], cwd=folder, capture_output=True, text=True)
    if tried.returncode != 0:
        pytest.skip("russh cannot be loaded: " + tried.stderr.strip().splitlines()[-1])

    def run(key, host, command, data=b""):
        return subprocess.run(["node", "russh_client.js", str(server.port), USER, key, host + ".pub", HYBRID, command],
                              cwd=folder, input=data, capture_output=True, timeout=60 * SLOW)
    return run


def test_russh_ml_kem(keys, server, russh):
    """A foreign implementation of FIPS 203 and of the exchange, with data both ways."""
    data = os.urandom(SMALL)
    before = len(server.log())
    done = russh(keys.path("user"), keys.path("host"), "cat; echo oops >&2", data)
    assert done.returncode == 0, done.stderr
    assert done.stdout == data and done.stderr == b"oops\n"
    log = server.log()[before:]
    assert "russh_" in log and f"kex: {HYBRID} " in log


def test_russh_checks_the_host(keys, russh):
    assert russh(keys.path("user"), keys.path("user"), "true").returncode == 2


def test_russh_with_a_strangers_key(keys, russh):
    done = russh(keys.path("host"), keys.path("host"), "true")
    assert done.returncode == 3 and b"publickey" in done.stderr
