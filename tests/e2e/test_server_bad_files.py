"""Every file that sshd reads, damaged in many ways by a seeded generator: a clear message or a login, never a crash; and files that
are missing or that others may write to."""
import os
import re
import shutil
import subprocess

import pytest
import rawssh
from conftest import SLOW, USER, free_port, tool, wait_until
from mutants import mutants

CONFIG = """\
Port {port}
ListenAddress 127.0.0.1:{port}
HostKey {folder}/host
HostCertificate {folder}/host-cert.pub
PidFile none
Ciphers +aes256-cbc
KexAlgorithms -ecdh*
RekeyLimit 1G 1h
LoginGraceTime 2m
MaxStartups 10:30:100
PerSourcePenalties crash:90s authfail:5s max:10m
PerSourceNetBlockSize 32:128
AllowUsers root@127.0.0.1 *@10.0.0.0/8 "quoted name"
AuthenticationMethods publickey,password publickey
AuthorizedKeysFile .ssh/authorized_keys %h/.ssh/more
AcceptEnv LANG LC_*
SetEnv ONE=1 "TWO=a b"
IPQoS lowdelay throughput
PermitOpen localhost:80 [::1]:443
PermitListen 8080 *:9000
ChannelTimeout session:shell=5m direct-tcpip=30s
Subsystem sftp internal-sftp -l INFO
StreamLocalBindMask 0177
VersionAddendum here
Include {folder}/included
Match User root,!nobody Address 10.0.0.0/8,192.168.1.1
  Banner {folder}/banner
  ForceCommand echo "%u $HOME"
Match Group wheel Host *.example.org LocalPort 22
  ChrootDirectory /srv/%u
  X11Forwarding yes
"""


def keygen(*words):
    subprocess.run(["ssh-keygen", "-q", *map(str, words)], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """One of each file, all of them good."""
    folder = str(tmp_path_factory.mktemp("files"))
    keygen("-t", "ed25519", "-N", "", "-f", f"{folder}/host")
    keygen("-t", "ed25519", "-N", "", "-f", f"{folder}/ca")
    keygen("-t", "ed25519", "-N", "", "-f", f"{folder}/user")
    keygen("-t", "ed25519", "-N", "", "-f", f"{folder}/lost")
    keygen("-s", f"{folder}/ca", "-h", "-I", "host", "-n", "localhost", f"{folder}/host.pub")
    keygen("-k", "-f", f"{folder}/krl", "-s", f"{folder}/ca.pub", f"{folder}/lost.pub")
    with open(f"{folder}/banner", "w") as banner, open(f"{folder}/included", "w") as included:
        banner.write("Welcome\n")
        included.write("PermitTTY yes\nMatch User nobody\n PermitTTY no\n")
    return folder


def check(path, timeout=30):
    return subprocess.run([tool("sshd"), "-t", "-f", path], capture_output=True, timeout=timeout * SLOW)


def clear(done, *names):
    """Good, or refused by lines of printable text, one of which names what is wrong."""
    text = done.stderr.decode(errors="surrogateescape")
    assert done.returncode in (0, 1, 255), text
    assert re.fullmatch(r"[\n\x20-\x7e\x80-\U0010ffff]*", text), text
    assert done.returncode == 0 or any(name in text for name in names), text


def test_configuration(world, tmp_path):
    path = str(tmp_path / "config")
    text = CONFIG.format(port=free_port(), folder=world)
    with open(path, "w") as f:
        f.write(text)
    assert check(path).returncode == 0, check(path).stderr
    refused = 0
    for one in mutants(text.encode(), 250, 1):
        with open(path, "wb") as f:
            f.write(one)
        done = check(path)
        clear(done, path, "no hostkeys available", world)
        refused += done.returncode != 0
    assert refused > 80


@pytest.mark.parametrize("kind", [("ed25519",), ("ecdsa",), ("rsa", "-b", "2048"), ("rsa", "-b", "2048", "-m", "PEM"),
                                  ("ecdsa", "-m", "PKCS8")], ids=" ".join)
def test_host_keys(world, tmp_path, kind):
    path, config = str(tmp_path / "key"), str(tmp_path / "config")
    keygen("-t", *kind, "-N", "", "-f", path)
    with open(config, "w") as f:
        f.write(f"HostKey {path}\nPidFile none\n")
    assert check(config).returncode == 0
    good = open(path, "rb").read()
    for one in mutants(good, 60, 2):
        with open(path, "wb") as f:
            f.write(one)
        clear(check(config), path)


def test_host_certificates(world, tmp_path):
    path, config = str(tmp_path / "host-cert.pub"), str(tmp_path / "config")
    with open(config, "w") as f:
        f.write(f"HostKey {world}/host\nHostCertificate {path}\nPidFile none\n")
    for one in mutants(open(f"{world}/host-cert.pub", "rb").read(), 80, 3):
        with open(path, "wb") as f:
            f.write(one)
        clear(check(config), path)


# ---- files that are read at a login ----

class At:
    """A server whose files lie in one folder, and the login that reads them."""

    def __init__(self, lab, world, folder):
        self.folder = str(folder)
        shutil.copy(f"{world}/krl", f"{folder}/krl")
        shutil.copy(f"{world}/ca.pub", f"{folder}/authorities")
        with open(f"{folder}/authorized_keys", "w") as keys, open(f"{folder}/principals", "w") as principals, \
                open(f"{world}/user.pub") as user:
            keys.write(f'# comment\nrestrict,command="echo \\"hi\\"",from="127.0.0.*,!10.0.0.0/8",expiry-time="20990101" {user.read()}\n'
                       f'cert-authority,principals="a,b" {open(f"{world}/ca.pub").read()}')
            principals.write(f"# who\nrestrict,pty {USER}\nother\n")
        self.server = lab.sshd(f"RevokedKeys {folder}/krl\nTrustedUserCAKeys {folder}/authorities\n"
                               f"AuthorizedPrincipalsFile {folder}/principals\nMaxStartups 300\n", authorized=f"{folder}/authorized_keys")
        self.key = rawssh.load_key(f"{world}/user")

    def login(self):
        peer = rawssh.keyed(self.server.port)
        good = peer.login(USER, self.key)
        peer.close()
        return good

    def through(self, name, n, seed, attempt):
        """Damages the file in `n` ways, each followed by attempt(bytes); then it is whole again, and a login works."""
        path = f"{self.folder}/{name}"
        with open(path, "rb") as f:
            whole = f.read()
        for one in mutants(whole, n, seed):
            with open(path, "wb") as f:
                f.write(one)
            attempt(one)
        with open(path, "wb") as f:
            f.write(whole)
        assert self.login()
        assert "died" not in self.server.log()


@pytest.fixture(scope="module")
def at(module_lab, world, tmp_path_factory):
    return At(module_lab, world, tmp_path_factory.mktemp("at"))


def test_authorized_keys(at):
    assert at.login()
    outcomes = set()
    at.through("authorized_keys", 60, 4, lambda _: outcomes.add(at.login()))
    assert outcomes == {True, False}


def test_revocation_list(at, world):
    """A list that OpenSSH's ssh-keygen can not read lets nobody in; one that has lost its first bytes is a text, and none of keys."""
    refused = []

    def attempt(one):
        known = subprocess.run(["ssh-keygen", "-Q", "-f", f"{at.folder}/krl", f"{world}/user.pub"], capture_output=True).returncode
        if known != 0 and one.strip() != b"":
            assert not at.login(), one
            refused.append(one)
        else:
            at.login()
    at.through("krl", 80, 5, attempt)
    assert len(refused) > 10
    assert f"{at.folder}/krl" in at.server.log()


@pytest.mark.parametrize("name", ["authorities", "principals", "user-cert.pub"])
def test_certificates(at, world, name, lab):
    """The user's certificate, who signs it and for whom it counts."""
    cert = f"{at.folder}/user-cert.pub"
    keygen("-s", f"{world}/ca", "-I", "id", "-n", USER, f"{world}/user.pub")
    shutil.move(f"{world}/user-cert.pub", cert)
    options = ["-F", "none", "-p", str(at.server.port), "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o",
               "UserKnownHostsFile=/dev/null", "-i", f"{world}/user", "-o", f"CertificateFile={cert}", "127.0.0.1", "true"]
    outcomes = set()
    # Only the certificate lets in: the plain key would hide what becomes of it.
    with open(f"{at.folder}/authorized_keys", "r+") as f:
        plain = f.read()
        f.seek(0)
        f.truncate()
    try:
        def attempt(_one):
            done = subprocess.run([tool("ssh"), *options], capture_output=True, timeout=30 * SLOW, stdin=subprocess.DEVNULL)
            assert done.returncode in (0, 1, 255), done.stderr
            outcomes.add(done.returncode)
        attempt(None)
        assert outcomes == {0}
        path = f"{at.folder}/{name}"
        whole = open(path, "rb").read()
        for one in mutants(whole, 25, 6):
            with open(path, "wb") as f:
                f.write(one)
            attempt(one)
        with open(path, "wb") as f:
            f.write(whole)
    finally:
        with open(f"{at.folder}/authorized_keys", "w") as f:
            f.write(plain)
    assert 255 in outcomes and "died" not in at.server.log()


MODULI = "20230101000000 2 6 100 2047 2 " + "F" * 512 + "\n"


def test_files_of_a_start(world, tmp_path):
    """Banner and moduli, which are read once; where no group is fit the server has its own. Each login has a server of its own here."""
    with open(f"{world}/user.pub") as user, open(tmp_path / "keys", "w") as keys:
        keys.write(user.read())
    config = str(tmp_path / "config")
    with open(config, "w") as f:
        f.write(f"HostKey {world}/host\nPidFile none\nAuthorizedKeysFile {tmp_path}/keys\nStrictModes no\nPerSourcePenalties no\n"
                f"Banner {tmp_path}/banner\nModuliFile {tmp_path}/moduli\n"
                "KexAlgorithms diffie-hellman-group-exchange-sha256\n")
    banner = open(f"{world}/banner", "rb").read() * 50
    for one, other in zip(mutants(MODULI.encode() * 3, 20, 7), mutants(banner, 20, 8)):
        with open(tmp_path / "moduli", "wb") as moduli, open(tmp_path / "banner", "wb") as text:
            moduli.write(one)
            text.write(other)
        done = subprocess.run(["ssh", "-F", "none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o",
                               f"UserKnownHostsFile={tmp_path}/known_hosts", "-i", f"{world}/user", "-o",
                               f"ProxyCommand={tool('sshd')} -i -f {config}", f"{USER}@there", "echo in"],
                              capture_output=True, timeout=60 * SLOW, stdin=subprocess.DEVNULL)
        # 255: the group that is left is none that the client takes.
        assert (done.returncode, done.stdout) in ((0, b"in\n"), (255, b"")), done.stderr


# ---- missing, and others' ----

def test_files_that_are_not_there(at, world):
    """What is read is named in the log; what only adds rights is done without, what takes them away lets nobody in.

    A plain key asks for no authorities and principals: those are named only to who comes with a certificate.
    """
    for name, gets_in in (("authorized_keys", False), ("krl", False), ("authorities", True), ("principals", True)):
        path = f"{at.folder}/{name}"
        os.rename(path, path + ".away")
        try:
            assert at.login() == gets_in, name
            assert gets_in or wait_until(lambda: path in at.server.log()), f"{path} in no line of\n{at.server.log()[-3000:]}"
        finally:
            os.rename(path + ".away", path)
    assert at.login()


def test_configuration_that_is_not_there(tmp_path):
    done = check(str(tmp_path / "nothing"))
    assert done.returncode != 0 and b"nothing" in done.stderr and b"No such file" in done.stderr


def test_host_key_that_others_read(world, tmp_path):
    """As OpenSSH: it is not used, and the message says which and why."""
    path, config = str(tmp_path / "key"), str(tmp_path / "config")
    shutil.copy(f"{world}/host", path)
    os.chmod(path, 0o644)
    with open(config, "w") as f:
        f.write(f"HostKey {path}\nPidFile none\n")
    done = check(config)
    assert done.returncode != 0 and path.encode() in done.stderr and b"0644" in done.stderr, done.stderr
