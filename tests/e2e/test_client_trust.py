"""Is it the host that we mean? Certificates, revocations, commands, addresses, keys that servers announce."""
import os
import stat
import subprocess

import pytest
import rawssh
from conftest import SLOW, free_port, tool
from rawssh import boolean, string
from test_client_hostile import Fake

OURS = not os.environ.get("BOWLINE_REFERENCE")  # the reference's words differ


class Trust:
    """Runs ssh with trust settings of the test's own."""

    def __init__(self, lab, tmp_path):
        self.lab, self.folder = lab, tmp_path
        self.known = tmp_path / "known"
        self.known.write_text("")

    def ssh(self, server, *options, host="127.0.0.1", strict="yes", command="true", env=None, files=None):
        args = [tool("ssh"), "-F", "none", "-p", str(server.port), "-i", self.lab.keys.path("user"), "-o", "IdentitiesOnly=yes",
                "-o", f"UserKnownHostsFile={files or self.known}", "-o", "GlobalKnownHostsFile=none",
                "-o", f"StrictHostKeyChecking={strict}"]
        for option in options:
            args += [option] if option.startswith("-") else ["-o", option]
        args += ["-o", "BatchMode=yes"]
        return subprocess.run([*args, host, command], capture_output=True, text=True, stdin=subprocess.DEVNULL,
                              timeout=30 * SLOW, env=env)

    def knows(self, *lines):
        self.known.write_text("".join(line.rstrip("\n") + "\n" for line in lines))

    def name(self, server, host="127.0.0.1"):
        return f"[{host}]:{server.port}"

    def host(self, server, kind="ed25519", name=None):
        return f"{name or self.name(server)} {self.lab.keys.public('host', kind)}"


@pytest.fixture
def trust(lab, tmp_path):
    return Trust(lab, tmp_path)


def keygen(*args):
    subprocess.run(["ssh-keygen", "-q", *args], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)


class Authority:
    def __init__(self, folder, keys):
        self.keys, self.folder = keys, folder
        self.path = str(folder / "ca")
        keygen("-t", "ed25519", "-N", "", "-f", self.path)
        with open(self.path + ".pub") as f:
            self.public = f.read().strip()

    def certify(self, *flags, names="127.0.0.1", kind="ed25519", host=True, serial="7"):
        source = self.keys.path("host", kind) + ".pub"
        target = self.folder / f"host_{kind}.pub"
        target.write_text(open(source).read())
        args = ["-s", self.path, "-I", "the host", "-z", serial, *flags, *(["-h"] if host else [])]
        keygen(*args, *(["-n", names] if names else []), str(target))
        return str(self.folder / f"host_{kind}-cert.pub")


@pytest.fixture
def authority(tmp_path, keys):
    return Authority(tmp_path, keys)


# ---- certificates ----

def test_certificate_of_a_known_authority(trust, authority):
    server = (trust.lab.sshd if OURS else trust.lab.openssh)(f"HostCertificate {authority.certify()}")
    trust.knows(f"@cert-authority [127.0.0.*]:* {authority.public}")
    done = trust.ssh(server, "-v")
    assert done.returncode == 0, done.stderr
    if OURS:
        assert 'certificate "the host" serial 7' in done.stderr
    # Of another host, or for another name: no.
    trust.knows(f"@cert-authority [10.0.0.1]:* {authority.public}")
    assert trust.ssh(server).returncode == 255
    trust.knows(f"[127.0.0.*]:* {authority.public}")
    assert trust.ssh(server).returncode == 255


@pytest.mark.parametrize("flags", [
    dict(names="127.0.0.2"), dict(names=None), dict(names="!127.0.0.1"), dict(flags=["-V", "20200101:20200102"]),
    dict(flags=["-V", "20990101:20990102"]), dict(host=False), dict(flags=["-O", "critical:unheard=of"]),
], ids=["name", "nobody", "negated", "expired", "early", "user", "critical"])
def test_certificates_that_are_none(trust, authority, flags):
    try:
        if not OURS and flags == {"names": None}:
            pytest.skip("refused since 10.3")
        path = authority.certify(*flags.pop("flags", []), **flags)
    except subprocess.CalledProcessError:
        pytest.skip("ssh-keygen makes no such certificate")
    server = trust.lab.openssh(f"HostCertificate {path}")
    trust.knows(f"@cert-authority {trust.name(server)} {authority.public}")
    done = trust.ssh(server)
    assert done.returncode == 255 and "Host key verification failed" in done.stderr
    # What the certificate holds is still a key like any other.
    trust.knows(f"@cert-authority {trust.name(server)} {authority.public}", trust.host(server))
    assert trust.ssh(server).returncode == 0


@pytest.mark.skipif(not OURS, reason="OpenSSH 9.2 has none")
@pytest.mark.parametrize("pattern", ["127.0.0.*", "127.0.?.1,other", "*"])
def test_patterns_of_principals(trust, authority, pattern):
    server = trust.lab.openssh(f"HostCertificate {authority.certify(names=pattern)}")
    trust.knows(f"@cert-authority * {authority.public}")
    assert trust.ssh(server).returncode == 0


def test_certificates_under_an_alias(trust, authority):
    server = trust.lab.openssh(f"HostCertificate {authority.certify(names='web.example')}")
    trust.knows(f"@cert-authority *.example {authority.public}")
    assert trust.ssh(server, "HostKeyAlias=web.example").returncode == 0
    assert trust.ssh(server, "HostKeyAlias=db.example").returncode == 255
    assert trust.ssh(server).returncode == 255


def test_authority_algorithms(trust, authority):
    server = trust.lab.openssh(f"HostCertificate {authority.certify()}")
    trust.knows(f"@cert-authority * {authority.public}")
    assert trust.ssh(server, "CASignatureAlgorithms=ecdsa-sha2-nistp256").returncode == 255
    assert trust.ssh(server, "CASignatureAlgorithms=ssh-ed25519").returncode == 0


def test_small_rsa_key_in_a_certificate(trust, authority):
    server = trust.lab.openssh(f"HostCertificate {authority.certify(kind='rsa')}", host_kinds=("rsa",))
    trust.knows(f"@cert-authority * {authority.public}")
    assert trust.ssh(server).returncode == 0
    assert trust.ssh(server, "RequiredRSASize=3072").returncode == 255


def test_certificate_without_authority_is_a_plain_key(trust, authority):
    server = trust.lab.openssh(f"HostCertificate {authority.certify()}")
    done = trust.ssh(server, "HostKeyAlgorithms=ssh-ed25519-cert-v01@openssh.com", strict="accept-new")
    assert done.returncode == 0, done.stderr
    words = trust.known.read_text().split()
    assert words[1:] == trust.host(server).split()[1:3]
    assert trust.ssh(server, "HostKeyAlgorithms=ssh-ed25519-cert-v01@openssh.com").returncode == 0


# ---- revocation ----

@pytest.mark.parametrize("what", ["key", "authority", "certified key"])
@pytest.mark.parametrize("strict", ["no", "yes"])
def test_revoked_in_known_hosts(trust, authority, what, strict):
    certificate = f"HostCertificate {authority.certify()}" if what != "key" else ""
    server = trust.lab.openssh(certificate)
    revoked = authority.public if what == "authority" else trust.lab.keys.public("host")
    trust.knows(trust.host(server), f"@cert-authority * {authority.public}", f"@revoked * {revoked}")
    done = trust.ssh(server, "HostKeyAlgorithms=ssh-ed25519-cert-v01@openssh.com,ssh-ed25519", strict=strict)
    if OURS or strict == "yes":
        assert done.returncode == 255 and ("revoked" in done.stderr or "REVOKED" in done.stderr)


@pytest.mark.parametrize("form", ["text", "krl", "krl serial", "krl ca", "several"])
def test_revoked_host_keys(trust, authority, form):
    certificate = f"HostCertificate {authority.certify()}"
    server = trust.lab.openssh(certificate)
    trust.knows(f"@cert-authority * {authority.public}")
    path, empty = trust.folder / "revoked", trust.folder / "empty"
    empty.write_text("# nobody\n")
    if form in ("text", "several"):
        path.write_text(trust.lab.keys.public("host"))
    elif form == "krl":
        keygen("-k", "-f", str(path), trust.lab.keys.path("host") + ".pub")
    elif form == "krl ca":
        keygen("-k", "-f", str(path), authority.path + ".pub")
    else:
        spec = trust.folder / "spec"
        spec.write_text("serial: 7\n")
        keygen("-k", "-f", str(path), "-s", authority.path + ".pub", str(spec))
    both = f"{empty} {path}" if form == "several" else str(path)
    if form == "several" and not OURS:
        pytest.skip("several files since 10.3")
    done = trust.ssh(server, f"RevokedHostKeys={both}", strict="no")
    assert done.returncode == 255 and "revoked" in done.stderr
    assert trust.ssh(server, f"RevokedHostKeys={empty}").returncode == 0


@pytest.mark.parametrize("what", ["missing", "garbage"])
def test_revocation_list_that_cannot_be_read(trust, what):
    server = trust.lab.openssh()
    trust.knows(trust.host(server))
    path = trust.folder / "revoked"
    if what == "garbage":
        path.write_bytes(b"SSHKRL\n\0" + os.urandom(40))
    done = trust.ssh(server, f"RevokedHostKeys={path}", strict="no")
    assert done.returncode == 255 and str(path) in done.stderr


# ---- known_hosts ----

def test_several_files(trust):
    server = trust.lab.openssh()
    other = trust.folder / "other"
    other.write_text(trust.host(server))
    missing = trust.folder / "missing"
    assert trust.ssh(server, files=f"{trust.known} {missing} {other}").returncode == 0
    assert trust.ssh(server, f"GlobalKnownHostsFile={other}", files="none").returncode in (0, 255)
    assert trust.ssh(server, "-o", f"GlobalKnownHostsFile={other}").returncode == 255  # the first value counts


def test_key_known_without_the_port(trust):
    server = trust.lab.openssh()
    trust.knows(trust.host(server, name="127.0.0.1"))
    assert trust.ssh(server).returncode == 0
    # An alias is meant as it is.
    assert trust.ssh(server, "HostKeyAlias=elsewhere").returncode == 255
    # Another key for the port wins.
    trust.knows(trust.host(server, name="127.0.0.1"), trust.name(server) + " " + trust.lab.keys.public("user"))
    assert trust.ssh(server).returncode == 255


@pytest.mark.parametrize("kind", ["ecdsa", "rsa", "ed25519"])
def test_known_types_come_first(trust, kind):
    server = trust.lab.openssh()
    trust.knows(trust.host(server, kind))
    assert trust.ssh(server).returncode == 0


def test_authority_comes_first(trust, authority):
    server = trust.lab.openssh(f"HostCertificate {authority.certify(kind='rsa')}")
    trust.knows(f"@cert-authority * {authority.public}")
    # The only certificate is of the type that is asked for last.
    done = trust.ssh(server, "-v")
    assert done.returncode == 0, done.stderr


def test_hashed_names(trust):
    server = trust.lab.openssh()
    # The loopback's address is left out: it is the address of every machine.
    done = trust.ssh(server, "HashKnownHosts=yes", "CheckHostIP=yes", host="localhost", strict="accept-new")
    assert done.returncode == 0
    lines = trust.known.read_text().splitlines()
    assert len(lines) == 1 and lines[0].startswith("|1|")
    assert trust.ssh(server, host="localhost").returncode == 0
    assert trust.ssh(server).returncode == 255


def test_this_machine_needs_no_check(trust):
    server = trust.lab.openssh()
    trust.knows(trust.name(server) + " " + trust.lab.keys.public("user"))
    assert trust.ssh(server).returncode == 255
    assert trust.ssh(server, "NoHostAuthenticationForLocalhost=yes").returncode == 0
    # Under an alias it is a host like any other.
    trust.knows("elsewhere " + trust.lab.keys.public("user"))
    assert trust.ssh(server, "NoHostAuthenticationForLocalhost=yes", "HostKeyAlias=elsewhere").returncode == 255
    # A key that is revoked by list is not taken even so.
    if OURS:
        revoked = trust.folder / "revoked"
        revoked.write_text(trust.lab.keys.public("host"))
        assert trust.ssh(server, "NoHostAuthenticationForLocalhost=yes", f"RevokedHostKeys={revoked}").returncode == 255


# ---- a changed key that is let pass ----

def test_changed_key_takes_forwardings_away(trust):
    server = trust.lab.openssh()
    trust.knows(trust.name(server) + " " + trust.lab.keys.public("user"))
    port = free_port()
    done = trust.ssh(server, f"-L{port}:127.0.0.1:1", "ExitOnForwardFailure=yes", strict="no")
    assert done.returncode == 255
    done = trust.ssh(server, "-A", f"-L{port}:127.0.0.1:1", strict="no", command="echo [$SSH_AUTH_SOCK]")
    assert done.returncode == 0 and done.stdout == "[]\n"


# ---- KnownHostsCommand ----

def script(path, text):
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return path


def test_known_hosts_command(trust):
    server = trust.lab.openssh()
    log = trust.folder / "log"
    path = script(trust.folder / "command", f'echo "$@" >> {log}\ncat {trust.folder}/lines\n')
    (trust.folder / "lines").write_text(trust.host(server))
    done = trust.ssh(server, f"KnownHostsCommand={path} %I %H %t %f %K '%p x'")
    assert done.returncode == 0, done.stderr
    lines = log.read_text().splitlines()
    name = trust.name(server)
    assert lines[0] == f"ORDER 127.0.0.1 NONE NONE NONE {server.port} x"
    kind, key = trust.lab.keys.public("host").split()[:2]
    print_of = subprocess.run(["ssh-keygen", "-lf", trust.lab.keys.path("host")], capture_output=True, text=True).stdout.split()[1]
    assert lines[1] == f"HOSTNAME {name} {kind} {print_of} {key} {server.port} x"
    assert len(lines) == 2
    # Nothing is written for what it knows; what it does not know is asked about as ever.
    assert trust.known.read_text() == ""
    (trust.folder / "lines").write_text("")
    assert trust.ssh(server, f"KnownHostsCommand={path}").returncode == 255


@pytest.mark.parametrize("body", ["exit 3", "kill -9 $$", "while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done"])
def test_known_hosts_command_that_fails(trust, body):
    if not OURS and "while" in body:
        pytest.skip("reads for ever")
    server = trust.lab.openssh()
    path = script(trust.folder / "command", body + "\n")
    trust.knows(trust.host(server))
    done = trust.ssh(server, f"KnownHostsCommand={path}")
    assert done.returncode == 255 and "KnownHostsCommand" in done.stderr
    if OURS:
        done = trust.ssh(server, "KnownHostsCommand=relative/path")
        assert done.returncode == 255 and "absolute" in done.stderr


def test_known_hosts_command_revokes(trust, authority):
    server = trust.lab.openssh()
    path = script(trust.folder / "command", f'echo "@revoked * {trust.lab.keys.public("host").strip()}"\n')
    trust.knows(trust.host(server))
    assert trust.ssh(server, f"KnownHostsCommand={path}").returncode == 255


# ---- UpdateHostKeys ----

ALL_KINDS = {"ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa"}


def kinds(trust):
    return {line.split()[1] for line in trust.known.read_text().splitlines() if line and line[0] not in "#@"}


def update(trust, server, mode="yes", *options, **kw):
    # A while, so that the proof can come.
    return trust.ssh(server, f"UpdateHostKeys={mode}", *options, command="sleep 0.5", **kw)


@pytest.mark.parametrize("which", ["sshd", "openssh"] if OURS else ["openssh"])
def test_announced_keys_are_learnt(trust, which):
    server = getattr(trust.lab, which)()
    gone = trust.name(server) + " ecdsa-sha2-nistp521 " + subprocess.run(
        ["sh", "-c", f"ssh-keygen -q -t ecdsa -b 521 -N '' -f {trust.folder}/gone && cut -d' ' -f2 {trust.folder}/gone.pub"],
        capture_output=True, text=True).stdout
    trust.knows("# kept", trust.host(server), gone, "other.example " + trust.lab.keys.public("user"))
    assert update(trust, server).returncode == 0
    text = trust.known.read_text()
    assert kinds(trust) == ALL_KINDS and "# kept\n" in text and "other.example" in text and gone.split()[2] not in text
    assert stat.S_IMODE(os.stat(trust.known).st_mode) == 0o600
    # With all of them there it is written no more.
    before = os.stat(trust.known).st_ino
    assert update(trust, server).returncode == 0
    assert os.stat(trust.known).st_ino == before


def test_announced_keys_hashed(trust):
    server = trust.lab.openssh()
    assert trust.ssh(server, "HashKnownHosts=yes", strict="accept-new").returncode == 0
    assert update(trust, server, "yes", "HashKnownHosts=yes").returncode == 0
    lines = trust.known.read_text().splitlines()
    assert len(lines) == 3 and all(line.startswith("|1|") for line in lines) and kinds(trust) == ALL_KINDS


def test_announced_keys_at_the_first_visit(trust):
    server = trust.lab.openssh()
    # What nobody has looked at vouches for nothing.
    assert update(trust, server, strict="accept-new").returncode == 0
    assert len(kinds(trust)) == 1
    trust.knows()
    yes = script(trust.folder / "yes", "echo yes\n")
    env = {**os.environ, "SSH_ASKPASS": str(yes), "SSH_ASKPASS_REQUIRE": "force"}
    assert update(trust, server, "yes", "BatchMode=no", strict="ask", env=env).returncode == 0
    assert kinds(trust) == ALL_KINDS


@pytest.mark.skipif(not OURS, reason="asks at a terminal alone")
@pytest.mark.parametrize("answer", ["yes", "no"])
def test_announced_keys_are_asked_about(trust, answer):
    server = trust.lab.openssh()
    trust.knows(trust.host(server))
    say = script(trust.folder / "say", f"echo {answer}\n")
    env = {**os.environ, "SSH_ASKPASS": str(say), "SSH_ASKPASS_REQUIRE": "force"}
    assert update(trust, server, "ask", "BatchMode=no", strict="ask", env=env).returncode == 0
    assert len(kinds(trust)) == (3 if answer == "yes" else 1)


@pytest.mark.parametrize("why", ["no", "default", "ask", "pattern", "other name", "authority", "global", "revocation"])
def test_announced_keys_are_left_alone(trust, authority, why):
    server = trust.lab.openssh()
    line = trust.host(server)
    extra = {"pattern": f"*,{line}", "other name": "elsewhere " + trust.lab.keys.public("host", "rsa"),
             "authority": f"@cert-authority * {authority.public}", "revocation": f"@revoked * {authority.public}"}
    trust.knows(*([extra[why]] if why == "pattern" else [line, extra.get(why, "# nothing")]))
    before = trust.known.read_text()
    if why == "default":
        # Files of the user's own choice are not written to unasked.
        assert trust.ssh(server, command="sleep 0.5").returncode == 0
    elif why == "global":
        empty = trust.folder / "empty"
        empty.write_text("")
        run = [tool("ssh"), "-F", "none", "-p", str(server.port), "-i", trust.lab.keys.path("user"), "-o", "BatchMode=yes", "-o",
               f"UserKnownHostsFile={empty}", "-o", f"GlobalKnownHostsFile={trust.known}", "-o", "UpdateHostKeys=yes", "-o",
               "IdentitiesOnly=yes", "127.0.0.1", "sleep 0.5"]
        assert subprocess.run(run, stdin=subprocess.DEVNULL, capture_output=True, timeout=30 * SLOW).returncode == 0
        assert empty.read_text() == ""
    else:
        assert update(trust, server, why if why in ("no", "ask") else "yes").returncode == 0
    assert trust.known.read_text() == before


@pytest.mark.parametrize("lie", ["control", "signature", "other key", "missing", "more", "refused", "twice", "cut short"])
def test_keys_without_proof_are_not_learnt(keys, tmp_path, lie):
    """A server that announces somebody else's key."""
    second = rawssh.load_key(keys.path("user"))

    def play(fake):
        peer = fake.accept()
        blobs = string(rawssh.public_blob(fake.host_key)) + string(rawssh.public_blob(second)) * (2 if lie == "twice" else 1)
        blobs = blobs[:-3] if lie == "cut short" else blobs
        peer.send(bytes([rawssh.GLOBAL_REQUEST]) + string("hostkeys-00@openssh.com") + boolean(False) + blobs)
        channel = None
        proved = lie in ("twice", "cut short")
        while channel is None or not proved:
            message = peer.packet()
            if message[0] == rawssh.GLOBAL_REQUEST:
                f = rawssh.Fields(message[1:])
                if f.string() != b"hostkeys-prove-00@openssh.com":
                    continue
                assert f.u8() == 1 and f.string() == rawssh.public_blob(second)
                data = string("hostkeys-prove-00@openssh.com") + string(peer.session_id) + string(rawssh.public_blob(second))
                signer = fake.host_key if lie == "other key" else second
                signature = signer.sign(data + (b"x" if lie == "signature" else b""))
                proof = string(string("ssh-ed25519") + string(signature))
                proof = {"missing": b"", "more": proof * 2}.get(lie, proof)
                peer.send(bytes([rawssh.REQUEST_FAILURE]) if lie == "refused" else bytes([rawssh.REQUEST_SUCCESS]) + proof)
                proved = True
            elif message[0] == rawssh.CHANNEL_OPEN:
                f = rawssh.Fields(message[1:])
                f.string()
                channel = f.u32()
                peer.send(bytes([rawssh.CHANNEL_OPEN_CONFIRMATION]) + rawssh.u32(channel) + rawssh.u32(0) + rawssh.u32(1 << 20) +
                          rawssh.u32(1 << 15))
        peer.send(bytes([rawssh.CHANNEL_REQUEST]) + rawssh.u32(channel) + string("exit-status") + boolean(False) + rawssh.u32(0))
        peer.send(bytes([rawssh.CHANNEL_CLOSE]) + rawssh.u32(channel))
        peer.closed()

    fake = Fake(keys, play, tmp_path, "true", options=["-o", "UpdateHostKeys=yes"])
    assert fake.done.returncode == 0, fake.stderr
    text = (tmp_path / "known").read_text()
    assert (keys.public("user").split()[1] in text) == (lie == "control")
    assert keys.public("host").split()[1] in text


# ---- pictures and warnings ----

def test_visual_host_key(trust):
    server = trust.lab.openssh()
    trust.knows(trust.host(server))
    art = subprocess.run(["ssh-keygen", "-lvf", trust.lab.keys.path("host")], capture_output=True, text=True).stdout
    done = trust.ssh(server, "VisualHostKey=yes")
    assert art.split("\n", 1)[1].strip() in done.stderr
    assert "+-" not in trust.ssh(server).stderr


def test_weak_key_exchange_is_told(trust):
    if not OURS:
        pytest.skip("since 10.1")
    server = trust.lab.openssh()
    trust.knows(trust.host(server))
    old = "KexAlgorithms=curve25519-sha256"
    assert "post-quantum" in trust.ssh(server, old).stderr
    assert "post-quantum" not in trust.ssh(server).stderr
    for value in ("no", "no-pq-kex"):
        assert "post-quantum" not in trust.ssh(server, old, f"WarnWeakCrypto={value}").stderr
