"""Several factors, root's rules, certificates, commands: Debian's ssh and ssh-keygen against our sshd."""
import os
import pathlib
import shutil
import subprocess
import tempfile

import accounts
import pytest
from accounts import PASSWORD, login, ssh_command
from conftest import SLOW, needs_root, remove

pytestmark = needs_root
BASE = "PerSourcePenalties no\nUsePAM no\nPasswordAuthentication yes\n"


@pytest.fixture(scope="module")
def person(keys):
    made = accounts.make(keys)
    yield made
    made.remove()


def run(server, user, *options, key=None, command="echo in"):
    return subprocess.run(ssh_command(server, user, "BatchMode=yes", *options, command=command, key=key),
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=60 * SLOW)


HOME_KEYS = ".ssh/authorized_keys"


@pytest.fixture
def folder():
    """A folder that others can read, as the user's own files are read with their rights."""
    path = tempfile.mkdtemp(prefix="bowline-test-")
    os.chmod(path, 0o755)
    yield pathlib.Path(path)
    remove(path)


def gets_in(*args, **kw):
    return run(*args, **kw).stdout == b"in\n"


# ---- AuthenticationMethods ----

def test_key_and_password(lab, keys, person):
    server = lab.sshd(BASE + "AuthenticationMethods publickey,password\n", authorized=HOME_KEYS)
    assert b"(publickey)" in run(server, person.name).stderr  # the password is not asked for yet
    done = run(server, person.name, key=keys.path("user"))
    assert done.returncode == 255 and b"(password)" in done.stderr
    assert login(server, person.name, PASSWORD, "PreferredAuthentications=publickey,password", key=keys.path("user"))
    assert not login(server, person.name, "wrong", "PreferredAuthentications=publickey,password",
                     key=keys.path("user"))
    server.wait_log(f"Partial publickey for {person.name} from 127.0.0.1 port")


def test_either_list(lab, keys, person):
    server = lab.sshd(BASE + "AuthenticationMethods publickey password\n", authorized=HOME_KEYS)
    assert login(server, person.name, PASSWORD)
    assert gets_in(server, person.name, key=keys.path("user"))


def test_two_different_keys(lab, keys, person):
    server = lab.sshd(BASE + "AuthenticationMethods publickey,publickey\nExposeAuthInfo yes\n", authorized=HOME_KEYS)
    assert not gets_in(server, person.name, key=keys.path("user"))
    args = ssh_command(server, person.name, "BatchMode=yes", command="cat $SSH_USER_AUTH", key=keys.path("user"))
    args[-2:-2] = ["-i", keys.path("user", "ecdsa")]
    done = subprocess.run(args, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
    lines = done.stdout.decode().splitlines()
    assert [s.split()[:2] for s in lines] == [["publickey", "ssh-ed25519"], ["publickey", "ecdsa-sha2-nistp256"]]
    assert lines[0].split()[2] == keys.public("user").split()[1]


def test_unusable_lists_let_nobody_in(lab, keys, person):
    server = lab.sshd("PerSourcePenalties no\nUsePAM no\nPasswordAuthentication no\nAuthenticationMethods publickey,password\n", authorized=HOME_KEYS)
    assert not gets_in(server, person.name, key=keys.path("user"))
    server.wait_log("no AuthenticationMethods left")


def test_info_file_is_removed(lab, keys, person):
    server = lab.sshd(BASE + "ExposeAuthInfo yes\n", authorized=HOME_KEYS)
    done = run(server, person.name, key=keys.path("user"), command="echo $SSH_USER_AUTH; stat -c %U:%a $SSH_USER_AUTH")
    path, owner = done.stdout.decode().split()
    assert owner == f"{person.name}:600"
    from conftest import wait_until
    assert wait_until(lambda: not os.path.exists(path))


# ---- root ----

@pytest.fixture
def root_keys(tmp_path, keys):
    def make(options=""):
        path = tmp_path / "root_keys"
        path.write_text(options + keys.public("user"))
        return str(path)
    return make


@pytest.mark.parametrize("value,options,good", [
    ("yes", "", True), ("prohibit-password", "", True), ("without-password", "", True), ("no", "", False),
    ("forced-commands-only", "", False), ("forced-commands-only", 'command="echo in" ', True),
    ("no", 'command="echo in" ', False)])
def test_root_by_key(lab, keys, root_keys, value, options, good):
    server = lab.sshd(BASE + f"PermitRootLogin {value}\n", authorized=root_keys(options))
    assert gets_in(server, "root", key=keys.path("user")) == good


# ---- certificates ----

class Authority:
    def __init__(self, folder, keys):
        self.folder, self.keys, self.path = folder, keys, os.path.join(folder, "ca")
        self.new(self.path)
        self.public = self.path + ".pub"
        self.n = 0

    def new(self, path, kind="ed25519"):
        subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", path], check=True)

    def certify(self, *args, principals=None, ca=None, kind="ed25519"):
        """A user's key with a certificate; path of the private key."""
        self.n += 1
        path = os.path.join(self.folder, f"id{self.n}")
        self.new(path, kind)
        names = ["-n", principals] if principals is not None else []
        subprocess.run(["ssh-keygen", "-q", "-s", ca or self.path, "-I", f"id-{self.n}", *names, *args, path + ".pub"],
                       check=True)
        return path


@pytest.fixture
def authority(tmp_path, keys):
    folder = tmp_path / "ca"
    folder.mkdir()
    return Authority(str(folder), keys)


def test_trusted_authority(lab, authority, person):
    server = lab.sshd(BASE + f"TrustedUserCAKeys {authority.public}\n", authorized=HOME_KEYS)
    good = authority.certify("-z", "7", principals=f"other,{person.name}")
    assert gets_in(server, person.name, key=good)
    server.wait_log("ED25519-CERT SHA256:")
    assert f"ID id-{authority.n} (serial 7) CA ED25519 SHA256:" in server.log()
    refused = [authority.certify(principals="other"), authority.certify(),
               authority.certify("-V", "-2d:-1d", principals=person.name),
               authority.certify("-V", "+1d:+2d", principals=person.name),
               authority.certify("-h", principals=person.name),
               authority.certify("-O", "source-address=192.0.2.0/24", principals=person.name),
               authority.certify("-O", "critical:unheard-of=x", principals=person.name)]
    for key in refused:
        assert not gets_in(server, person.name, key=key)
    for kind in ("ecdsa", "rsa"):
        assert gets_in(server, person.name, key=authority.certify(principals=person.name, kind=kind))
    stranger = os.path.join(authority.folder, "stranger")
    authority.new(stranger)
    assert not gets_in(server, person.name, key=authority.certify(principals=person.name, ca=stranger))
    assert gets_in(server, person.name,
                   key=authority.certify("-O", "source-address=127.0.0.0/8", principals=person.name))


def test_certificate_options(lab, authority, person):
    server = lab.sshd(BASE + f"TrustedUserCAKeys {authority.public}\n", authorized=HOME_KEYS)
    forced = authority.certify("-O", "force-command=echo forced", principals=person.name)
    assert run(server, person.name, key=forced).stdout == b"forced\n"
    clear = authority.certify("-O", "clear", principals=person.name)
    args = ssh_command(server, person.name, command="tty || echo none", key=clear)
    args.insert(1, "-tt")
    done = subprocess.run(args, stdin=subprocess.DEVNULL, capture_output=True, timeout=30)
    assert b"/dev/pts" not in done.stdout


def test_authority_in_authorized_keys(lab, folder, authority, person):
    def server(options):
        path = folder / "ca_keys"
        with open(authority.public) as f:
            path.write_text(options + " " + f.read())
        return lab.sshd(BASE, authorized=str(path))
    mine, other = authority.certify(principals=person.name), authority.certify(principals="team,ops")
    plain = server("cert-authority")
    assert gets_in(plain, person.name, key=mine) and not gets_in(plain, person.name, key=other)
    ops = server('cert-authority,principals="ops,dev"')
    assert gets_in(ops, person.name, key=other) and not gets_in(ops, person.name, key=mine)
    away = server('cert-authority,from="192.0.2.1"')
    assert not gets_in(away, person.name, key=mine)
    # The authority's own key is no user's key.
    assert not gets_in(plain, person.name, key=authority.path)
    forced = authority.certify("-O", "force-command=echo a", principals=person.name)
    assert run(server('cert-authority,command="echo b"'), person.name, key=forced).stdout == b""
    assert run(server('cert-authority,command="echo a"'), person.name, key=forced).stdout == b"a\n"


def test_principals_file(lab, folder, authority, person):
    path = folder / "principals"
    path.write_text('# comment\nteam\ncommand="echo by-ops" ops\nfrom="192.0.2.1" away\n')
    server = lab.sshd(BASE + f"TrustedUserCAKeys {authority.public}\nAuthorizedPrincipalsFile {path}\n", authorized=HOME_KEYS)
    assert gets_in(server, person.name, key=authority.certify(principals="team"))
    assert run(server, person.name, key=authority.certify(principals="ops")).stdout == b"by-ops\n"
    assert not gets_in(server, person.name, key=authority.certify(principals="away"))
    assert not gets_in(server, person.name, key=authority.certify(principals=person.name))
    assert not gets_in(server, person.name, key=authority.certify())


def test_ca_signature_algorithms(lab, authority, person):
    server = lab.sshd(BASE + f"TrustedUserCAKeys {authority.public}\nCASignatureAlgorithms ecdsa-sha2-nistp256\n", authorized=HOME_KEYS)
    assert not gets_in(server, person.name, key=authority.certify(principals=person.name))
    server.wait_log("not allowed: ssh-ed25519")


# ---- revocation ----

def test_revoked_keys(lab, tmp_path, keys, authority, person):
    text, krl = tmp_path / "revoked", str(tmp_path / "krl")
    text.write_text(keys.public("user", "ecdsa"))
    subprocess.run(["ssh-keygen", "-q", "-k", "-f", krl, keys.path("user", "rsa") + ".pub"], check=True)
    server = lab.sshd(BASE + f"RevokedKeys {text} {krl}\n", authorized=HOME_KEYS)
    assert gets_in(server, person.name, key=keys.path("user"))
    assert not gets_in(server, person.name, key=keys.path("user", "ecdsa"))
    assert not gets_in(server, person.name, key=keys.path("user", "rsa"))
    os.remove(krl)
    assert not gets_in(server, person.name, key=keys.path("user"))
    server.wait_log("Error checking authentication key")


def test_revoked_certificates(lab, tmp_path, authority, person):
    krl, spec = str(tmp_path / "krl"), tmp_path / "spec"
    spec.write_text("serial: 5\n")
    subprocess.run(["ssh-keygen", "-q", "-k", "-f", krl, "-s", authority.public, str(spec)], check=True)
    server = lab.sshd(BASE + f"TrustedUserCAKeys {authority.public}\nRevokedKeys {krl}\n", authorized=HOME_KEYS)
    assert gets_in(server, person.name, key=authority.certify("-z", "6", principals=person.name))
    assert not gets_in(server, person.name, key=authority.certify("-z", "5", principals=person.name))
    all_of_them = lab.sshd(BASE + f"TrustedUserCAKeys {authority.public}\nRevokedKeys {authority.public}\n", authorized=HOME_KEYS)
    assert not gets_in(all_of_them, person.name, key=authority.certify(principals=person.name))


# ---- the host's certificate ----

def test_host_certificate(lab, tmp_path, keys, person):
    ca = str(tmp_path / "host_ca")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", ca], check=True)
    public = str(tmp_path / "host.pub")
    with open(public, "w") as out:
        out.write(keys.public("host"))
    subprocess.run(["ssh-keygen", "-q", "-s", ca, "-I", "h", "-h", "-n", "127.0.0.1", public], check=True)
    server = lab.sshd(BASE + f"HostCertificate {tmp_path}/host-cert.pub\n", authorized=HOME_KEYS)
    known = tmp_path / "known"
    with open(ca + ".pub") as f:
        known.write_text(f"@cert-authority * {f.read()}")
    args = ["ssh", "-F", "none", "-p", str(server.port), "-l", person.name, "-i", keys.path("user"), "-o",
            "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=yes", "-o", f"UserKnownHostsFile={known}", "-o",
            "GlobalKnownHostsFile=none", "-o", "BatchMode=yes", "127.0.0.1", "echo in"]
    assert subprocess.run(args, stdin=subprocess.DEVNULL, capture_output=True, timeout=30).stdout == b"in\n"
    bound = args[:-2] + ["-o", "PubkeyAuthentication=host-bound"] + args[-2:]
    assert subprocess.run(bound, stdin=subprocess.DEVNULL, capture_output=True, timeout=30).stdout == b"in\n"


# ---- commands ----

@pytest.fixture
def script():
    """A command that only root can change."""
    folder = f"/usr/local/lib/bowline-test-{os.getpid()}"
    os.makedirs(folder, exist_ok=True)
    path = os.path.join(folder, "command")

    def write(text, mode=0o755):
        with open(path, "w") as out:
            out.write("#!/bin/sh\n" + text)
        os.chmod(path, mode)
        return path
    yield write
    shutil.rmtree(folder)


def test_keys_command(lab, keys, person, script, tmp_path):
    public = keys.public("user", "rsa").strip()
    path = script(f'[ "$1" = {person.name} ] && [ "$(id -un)" = nobody ] && [ -z "$HOSTILE" ] || exit 1\n'
                  f'case $2 in SHA256:*) echo "{public}";; esac\n')
    config = BASE + f"AuthorizedKeysCommand {path} %u %f\nAuthorizedKeysCommandUser nobody\n"
    server = lab.sshd(config, authorized="none")
    assert gets_in(server, person.name, key=keys.path("user", "rsa"))
    assert not gets_in(server, person.name, key=keys.path("user"))
    assert not gets_in(server, "no-such-user", key=keys.path("user", "rsa"))
    assert not gets_in(server, "a;b$(id)", key=keys.path("user", "rsa"))


def test_keys_command_that_fails_counts_for_nothing(lab, keys, person, script):
    public = keys.public("user").strip()
    path = script(f'echo "{public}"\nexit 3\n')
    config = BASE + f"AuthorizedKeysCommand {path}\nAuthorizedKeysCommandUser nobody\n"
    server = lab.sshd(config, authorized="none")
    assert not gets_in(server, person.name, key=keys.path("user"))
    server.wait_log("AuthorizedKeysCommand")
    script(f'echo "{public}"\nyes | head -c 3000000\n')
    assert not gets_in(server, person.name, key=keys.path("user"))
    script(f'echo "{public}"\n')
    assert gets_in(server, person.name, key=keys.path("user"))
    script(f'echo "{public}"\n', mode=0o777)
    assert not gets_in(server, person.name, key=keys.path("user"))
    script(f'echo "{public}"\n')
    without_user = lab.sshd(BASE + f"AuthorizedKeysCommand {path}\n", authorized="none")
    assert not gets_in(without_user, person.name, key=keys.path("user"))


def test_principals_command(lab, authority, person, script):
    path = script('[ "$1" = ' + person.name + ' ] && [ "$2" = 9 ] && echo ops\n')
    server = lab.sshd(BASE + f"TrustedUserCAKeys {authority.public}\nAuthorizedPrincipalsCommand {path} %u %s\n"
                      "AuthorizedPrincipalsCommandUser nobody\n", authorized=HOME_KEYS)
    assert gets_in(server, person.name, key=authority.certify("-z", "9", principals="ops"))
    assert not gets_in(server, person.name, key=authority.certify("-z", "8", principals="ops"))
    assert not gets_in(server, person.name, key=authority.certify("-z", "9", principals=person.name))
