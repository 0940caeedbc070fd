"""hostbased authentication: our ssh, ssh-keysign and sshd, and Debian's, each with the other.

/etc/ssh holds the host's keys and says who is trusted, so each program runs in a mount namespace with another one.
"""
import base64
import os
import re
import shutil
import socket
import struct
import subprocess
import tempfile

import pytest
from accounts import make
from cutter import Cutter
from conftest import SLOW, Server, free_port, needs_root, require, tool

pytestmark = needs_root
KINDS = {"ed25519": "ssh-ed25519", "ecdsa": "ecdsa-sha2-nistp256", "rsa": "rsa-sha2-512"}


class World:
    """An /etc/ssh and /etc/hosts of our own, and an account; programs run there with `inside`."""

    def __init__(self, lab, account):
        self.lab, self.account = lab, account
        self.folder = tempfile.mkdtemp(prefix="bw-hb-")
        os.chmod(self.folder, 0o755)
        self.etc = os.path.join(self.folder, "etc")
        os.makedirs(os.path.join(self.etc, "ssh"))
        for kind in KINDS:
            for end in ("", ".pub"):
                shutil.copy(lab.keys.path("host", kind) + end, f"{self.etc}/ssh/ssh_host_{kind}_key{end}")
        self.write("ssh/ssh_config", "EnableSSHKeysign yes\n")
        self.write("hosts", "127.0.0.1 localhost\n")
        self.known("localhost,127.0.0.1")

    def write(self, name, text, mode=0o644):
        path = os.path.join(self.etc, name)
        with open(path, "w") as out:
            out.write(text)
        os.chmod(path, mode)

    def known(self, names):
        self.write("ssh/ssh_known_hosts", "".join(f"{names} {self.lab.keys.public('host', k)}" for k in KINDS))

    def known_file(self, port):
        """Where others than root find it."""
        path = os.path.join(self.folder, f"known.{port}")
        shutil.copy(self.lab.keys.known_hosts(port), path)
        os.chmod(path, 0o644)
        return path

    def trust(self, text):
        self.write("ssh/shosts.equiv", text)

    def inside(self, *args):
        return ["unshare", "--mount", "sh", "-c", f'mount --bind {self.etc}/ssh /etc/ssh && mount --bind {self.etc}/hosts /etc/hosts && exec "$@"',
                "sh", *args]

    def sshd(self, who, lines="", packet_only=True):
        port = free_port()
        text = f"HostbasedAuthentication yes\nHostbasedUsesNameFromPacketOnly {'yes' if packet_only else 'no'}\n" + \
            ("PerSourcePenalties no\n" if who == "ours" else "") + lines
        config = self.lab.config(port, text, authorized="%h/.ssh/authorized_keys")
        program = tool("sshd") if who == "ours" else require("sshd")
        server = Server(self.folder, "sshd", self.inside(program, "-D", "-e", "-f", config), port)
        self.lab.servers.append(server)
        return server

    def args(self, who, server, *options, program=None, user=None):
        program = program or (tool("ssh") if who == "ours" else require("ssh"))
        return [program, *options, "-F", "none", "-p", str(server.port), "-l", user or self.account.name,
                "-o", "HostbasedAuthentication=yes", "-o", "PreferredAuthentications=hostbased", "-o", "BatchMode=yes",
                "-o", f"UserKnownHostsFile={self.known_file(server.port)}",
                "-o", "GlobalKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]

    def ssh(self, who, server, *options, program=None, prefix=(), command="echo in as $(id -un)", user=None):
        args = [*prefix, *self.args(who, server, *options, program=program, user=user)]
        return subprocess.run(self.inside(*args, "127.0.0.1", command), stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=30 * SLOW)

    def gets_in(self, *args, **kw):
        done = self.ssh(*args, **kw)
        if done.returncode == 0:
            assert done.stdout == f"in as {self.account.name}\n"
        else:
            assert done.returncode == 255 and "Permission denied" in done.stderr, done.stderr + args[1].log()[-3000:]
        return done.returncode == 0

    def remove(self):
        shutil.rmtree(self.folder)


@pytest.fixture(scope="module")
def only_world(module_lab, keys):
    account = make(keys, password=None)
    made = World(module_lab, account)
    yield made
    module_lab.stop()
    made.remove()
    account.remove()


@pytest.fixture
def world(only_world):
    only_world.known("localhost,127.0.0.1")
    only_world.write("ssh/ssh_config", "EnableSSHKeysign yes\n")
    only_world.trust("")
    yield only_world
    for name in (".shosts", ".rhosts", ".ssh/known_hosts"):
        path = os.path.join(only_world.account.home, name)
        if os.path.exists(path):
            os.unlink(path)
    for server in only_world.lab.servers:
        server.stop()
    only_world.lab.servers.clear()


@pytest.mark.parametrize("server", ["ours", "debian"])
@pytest.mark.parametrize("client", ["ours", "debian"])
def test_each_with_the_other(world, client, server):
    """With each type of key; the log says who it was."""
    world.trust("localhost root\n")
    at = world.sshd(server)
    for kind, algorithm in KINDS.items():
        done = world.ssh(client, at, "-o", f"HostbasedAcceptedAlgorithms={algorithm}")
        assert (done.returncode, done.stdout) == (0, f"in as {world.account.name}\n"), done.stderr + at.log()
        at.wait_log("Accepted hostbased for")
        line = [l for l in at.log().splitlines() if "Accepted hostbased for" in l][-1]
        assert re.search(rf"Accepted hostbased for {world.account.name} from 127.0.0.1 port \d+ ssh2: {kind.upper()} "
                         r"SHA256:\S+$", line), line


def test_who_is_let_in(world):
    """Users, hosts, minus signs, comments; nobody by a bare plus; root never by hosts.equiv."""
    at = world.sshd("ours")
    rows = [("localhost root\n", True), ("LOCALHOST root\n", True), ("localhost root # why\n", False), ("# localhost root\n", False),
            ("localhost\n", False), ("localhost somebody\n", False), ("elsewhere root\n", False),
            ("+ root\n", False), ("+ +\n", False), ("localhost +\n", False),
            ("-localhost root\nlocalhost root\n", False), ("localhost -root\nlocalhost root\n", False),
            ("localhost root more\n", False), ("\n\n\t localhost\t root\r\n", True), ("+localhost root\n", True)]
    for text, expected in rows:
        world.trust(text)
        assert world.gets_in("ours", at) == expected, (text, at.log()[-1500:])
    world.trust("localhost root\nlocalhost\n")
    assert world.ssh("ours", at, user="root").returncode == 255


def test_the_same_as_debians(world):
    """Where the two could differ, for each has its own words for the same files."""
    for text in ("+ root\n", "localhost root # why\n", "-localhost root\nlocalhost root\n", "localhost root more\n", "localhost -root\n",
                 "NO_PLUS\nlocalhost root\n", "localhost\n"):
        world.trust(text)
        got = [world.gets_in("debian", world.sshd(who)) for who in ("ours", "debian")]
        assert got[0] == got[1], text


def test_name_or_address(world):
    """Without the name from the packet the address counts, in both files."""
    at = world.sshd("ours", packet_only=False)
    world.trust("localhost root\n")
    assert not world.gets_in("ours", at)
    world.trust("127.0.0.1 root\n")
    assert world.gets_in("ours", at)
    world.known("localhost")
    assert not world.gets_in("ours", at)


def test_whose_key_it_is(world):
    """Another key, none, a revoked one; the user's known_hosts counts unless it is to be ignored."""
    world.trust("localhost root\n")
    at, ignoring = world.sshd("ours"), world.sshd("ours", "IgnoreUserKnownHosts yes\n")
    good = open(f"{world.etc}/ssh/ssh_known_hosts").read()
    os.unlink(f"{world.etc}/ssh/ssh_known_hosts")
    assert not world.gets_in("ours", at)
    own = os.path.join(world.account.home, ".ssh", "known_hosts")
    with open(own, "w") as out:
        out.write(good)
    os.chown(own, world.account.uid, world.account.gid)
    assert world.gets_in("ours", at) and not world.gets_in("ours", ignoring)
    world.write("ssh/ssh_known_hosts", f"@revoked * {world.lab.keys.public('host')}" + good)
    assert not world.gets_in("ours", at, "-o", "HostbasedAcceptedAlgorithms=ssh-ed25519")
    assert world.gets_in("ours", at)
    world.write("ssh/ssh_known_hosts", f"localhost {world.lab.keys.public('user')}")
    assert not world.gets_in("ours", ignoring)


def test_files_of_users(world):
    """IgnoreRhosts, its shosts-only, and StrictModes."""
    home, account = world.account.home, world.account
    for name, ignore, mode, expected in ((".shosts", "no", 0o600, True), (".rhosts", "no", 0o600, True),
                                         (".shosts", "yes", 0o600, False), (".shosts", "shosts-only", 0o600, True),
                                         (".rhosts", "shosts-only", 0o600, False), (".shosts", "no", 0o666, False)):
        path = os.path.join(home, name)
        with open(path, "w") as out:
            out.write("localhost root\n")
        os.chown(path, account.uid, account.gid)
        os.chmod(path, mode)
        at = world.sshd("ours", f"IgnoreRhosts {ignore}\nStrictModes yes\n")
        assert world.gets_in("ours", at) == expected, (name, ignore, mode, at.log()[-1500:])
        os.unlink(path)
        at.stop()


def test_with_another_method(world):
    """As one of two methods; switched off it is not even listed."""
    world.trust("localhost root\n")
    key = world.lab.keys.path("user")
    at = world.sshd("ours", "AuthenticationMethods hostbased,publickey\n")
    assert not world.gets_in("ours", at)
    done = world.ssh("ours", at, "-o", "PreferredAuthentications=hostbased,publickey", "-i", key)
    assert done.returncode == 0, done.stderr
    off = world.sshd("ours", "Match all\nHostbasedAuthentication no\n")
    done = world.ssh("ours", off)
    assert done.returncode == 255 and "hostbased" not in done.stderr.split("Permission denied")[-1]


def test_algorithms_that_are_not_taken(world):
    """A signature by another algorithm than HostbasedAcceptedAlgorithms has is refused, and the login goes on."""
    world.trust("localhost root\n")
    at = world.sshd("ours", "HostbasedAcceptedAlgorithms rsa-sha2-512\n")
    for algorithm, expected in (("ssh-ed25519", False), ("ssh-ed25519,rsa-sha2-256", False), ("ssh-ed25519,rsa-sha2-512", True)):
        assert world.gets_in("debian", at, "-o", f"HostbasedAcceptedAlgorithms={algorithm}") == expected, at.log()[-1500:]
    assert "signature algorithm is not allowed" in at.log()


def test_setuid_keysign(world, keys):
    """An ordinary user's ssh, with ssh-keysign as it is installed; and what it says when it cannot sign."""
    world.trust("localhost\n")
    at = world.sshd("ours")
    place = os.path.join(world.folder, "placed")
    for folder, name in (("bin", "ssh"), ("libexec", "ssh-keysign")):
        os.makedirs(os.path.join(place, folder))
        found = [p for p in (tool(name), os.path.join(os.path.dirname(tool("")), "..", "libexec", name))
                 if os.path.exists(p)]
        if not found:
            pytest.skip("ssh-keysign is not beside ssh")
        shutil.copy(found[0], os.path.join(place, folder, name))
    keysign = os.path.join(place, "libexec", "ssh-keysign")
    prefix = ["setpriv", f"--reuid={world.account.uid}", f"--regid={world.account.gid}", "--clear-groups"]
    run = {"program": os.path.join(place, "bin", "ssh"), "prefix": prefix}
    done = world.ssh("ours", at, **run)
    assert done.returncode == 255 and "set-user-ID" in done.stderr
    os.chmod(keysign, 0o4755)
    assert world.gets_in("ours", at, **run)
    world.write("ssh/ssh_config", "# EnableSSHKeysign yes\n")
    done = world.ssh("ours", at, **run)
    assert done.returncode == 255 and "EnableSSHKeysign" in done.stderr


def string(data):
    data = data.encode() if isinstance(data, str) else data
    return struct.pack(">I", len(data)) + data


def blob(public):
    return base64.b64decode(public.split()[1])


@pytest.mark.parametrize("lie", ["none", "user", "host", "service", "method", "key", "session", "trailing", "version"])
def test_keysign_signs_nothing_else(world, lie):
    """What it is given is a hostbased request that is true, or it does not sign."""
    program = os.path.join(os.path.dirname(tool("")), "..", "libexec", "ssh-keysign")
    if not os.path.exists(program):
        pytest.skip("ssh-keysign is not beside ssh")
    listener = socket.create_server(("127.0.0.1", 0))
    near = socket.create_connection(listener.getsockname())
    what = {name: lie == name for name in ("user", "host", "service", "method", "key", "session")}
    data = string(b"s" * (5 if what["session"] else 32)) + b"\x32" + string("anybody") + \
        string("ssh-userauth" if what["service"] else "ssh-connection") + \
        string("publickey" if what["method"] else "hostbased") + string("ssh-ed25519") + \
        string(blob(world.lab.keys.public("user" if what["key"] else "host"))) + \
        string("elsewhere." if what["host"] else "localhost.") + string("nobody" if what["user"] else "root")
    if lie == "trailing":
        data += b"x"
    message = bytes([1 if lie == "version" else 2]) + struct.pack(">I", near.fileno()) + string(data)
    done = subprocess.run(world.inside(program), input=string(message), capture_output=True, timeout=20 * SLOW,
                          pass_fds=[near.fileno()])
    near.close()
    listener.close()
    if lie == "none":
        assert done.returncode == 0 and b"ssh-ed25519" in done.stdout, done.stderr
    else:
        assert done.returncode == 1 and done.stdout == b"" and done.stderr.startswith(b"ssh-keysign: "), done


# ---- a connection outlives its link (doc/resume.md) ----

@pytest.fixture
def session(world):
    """session(server): a way that can be cut, and a command that echoes, begun by the host's word."""
    made = []

    def start(server):
        way = Cutter(server.port)
        made.append((way, None))
        args = world.args("ours", way, "-o", "LogLevel=INFO")
        p = subprocess.Popen(world.inside(*args, "127.0.0.1", "echo here; cat"), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE)
        made.append((way, p))
        assert p.stdout.readline() == b"here\n", p.stderr.read()
        return way, p

    yield start
    for way, p in made:
        if p is not None:
            p.kill()
            p.wait()
            for f in (p.stdin, p.stdout, p.stderr):
                f.close()
        way.stop()


def test_resumed_by_the_hosts_word(world, session):
    world.trust("localhost root\n")
    server = world.sshd("ours", "LogLevel VERBOSE\n")
    way, p = session(server)
    for turn in (b"one\n", b"two\n"):
        way.cut()
        p.stdin.write(turn)
        p.stdin.flush()
        assert p.stdout.readline() == turn
    p.stdin.close()
    assert p.wait(30 * SLOW) == 0, p.stderr.read()
    assert server.log().count(f"Connection of user {world.account.name} resumed from") == 2
    assert server.log().count("Accepted hostbased for") == 3


def test_not_resumed_without_the_hosts_word(world, session):
    """The host is trusted no more: what it vouched for is not had again, and ends with its grace."""
    world.trust("localhost root\n")
    server = world.sshd("ours", "LogLevel VERBOSE\nResumeGrace 4 4\n")
    way, p = session(server)
    world.trust("")
    way.cut()
    assert p.wait(30 * SLOW) == 255
    assert b"the host refuses the login" in p.stderr.read()
    assert "resumed from" not in server.log()
    server.wait_log("ended: access removed", 30)
