"""Agent and X11 forwarding, host keys' proof, what runs before programs, environments, time-outs, chroot."""
import os
import shutil
import signal
import socket
import subprocess
import time

import pytest
import rawssh
from conftest import SLOW, USER, needs_root, require, wait_until
from rawssh import (CHANNEL_CLOSE, CHANNEL_FAILURE, CHANNEL_OPEN, CHANNEL_OPEN_CONFIRMATION, CHANNEL_OPEN_FAILURE, CHANNEL_SUCCESS,
                    CHANNEL_WINDOW_ADJUST, GLOBAL_REQUEST, REQUEST_FAILURE, REQUEST_SUCCESS, Fields, boolean, string, u32)

ASIDE = (GLOBAL_REQUEST, CHANNEL_WINDOW_ADJUST, rawssh.IGNORE, rawssh.DEBUG, rawssh.EXT_INFO)

BY_APPLICATION = 11


def run(lab, server, command, *options, user=USER, **kw):
    return lab.ssh(server, "-l", user, *options, command, program="ssh", **kw)


@pytest.fixture(scope="module")
def server(module_lab):
    return module_lab.sshd("PrintMotd no\nX11Forwarding yes\n")


# ---- the agent

@pytest.fixture
def agent(scratch, keys):
    path = os.path.join(scratch, "agent")
    process = subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL)
    assert wait_until(lambda: os.path.exists(path))
    env = {**os.environ, "SSH_AUTH_SOCK": path}
    subprocess.run(["ssh-add", "-q", keys.path("user")], env=env, check=True)
    yield env
    process.terminate()
    process.wait()


def test_agent(module_lab, server, agent, keys):
    done = run(module_lab, server, 'ssh-add -l; echo "$SSH_AUTH_SOCK"; stat -c "%a %U %F" "$SSH_AUTH_SOCK" "$(dirname $SSH_AUTH_SOCK)"',
               "-A", env=agent)
    lines = done.stdout.decode().splitlines()
    assert "user-ed25519" in lines[0]
    assert lines[1].startswith("/tmp/ssh-")
    assert lines[2:] == [f"600 {USER} socket", f"700 {USER} directory"]
    assert wait_until(lambda: not os.path.exists(os.path.dirname(lines[1])))


def test_agent_in_a_chain(module_lab, server, agent, keys):
    """A second login from the first one, by the forwarded agent alone."""
    command = (f"ssh -F none -o BatchMode=yes -o UserKnownHostsFile={keys.known_hosts(server.port)} -p {server.port} "
               "127.0.0.1 echo there")
    assert run(module_lab, server, command, "-A", env=agent).stdout == b"there\n"


def test_no_agent_unless_asked(module_lab, server, agent):
    assert run(module_lab, server, 'echo "[$SSH_AUTH_SOCK]"', "-a", env=agent).stdout == b"[]\n"


def agent_asked(peer, name, kind):
    number = peer.open_session(3)
    peer.request(number, name)
    peer.expect(CHANNEL_SUCCESS, skip=ASIDE)
    peer.request(number, "exec", string("printf %s $SSH_AUTH_SOCK; sleep 30"))
    peer.expect(CHANNEL_SUCCESS, skip=ASIDE)
    f = Fields(peer.expect(rawssh.CHANNEL_DATA, skip=ASIDE)[1:])
    f.u32()
    path = f.string().decode()
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(path)
        f = Fields(peer.expect(CHANNEL_OPEN, skip=ASIDE)[1:])
        assert f.string() == kind
        channel = f.u32()
        f.take(8)
        assert f.rest() == b""
        peer.send(bytes([CHANNEL_OPEN_FAILURE]) + u32(channel) + u32(1) + string("no") + string(""))
        assert s.recv(1) == b""
    return path


@pytest.mark.parametrize("name,kind", [("auth-agent-req@openssh.com", b"auth-agent@openssh.com"), ("agent-req", b"agent-connect")])
def test_agent_names(server, keys, name, kind):
    peer = rawssh.logged_in(server.port, USER, keys.path("user"))
    path = agent_asked(peer, name, kind)
    peer.sock.close()
    assert wait_until(lambda: not os.path.exists(path))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_no_socket_is_left_by_a_holder_that_is_told_to_stop(server, keys, number):
    """Nor its folder; and the signal that has a server read its configuration anew ends no session."""
    peer = rawssh.logged_in(server.port, USER, keys.path("user"))
    path = agent_asked(peer, "auth-agent-req@openssh.com", b"auth-agent@openssh.com")
    holder = int(path.rsplit(".", 1)[1])
    os.kill(holder, signal.SIGHUP)
    peer.send(bytes([GLOBAL_REQUEST]) + string("keepalive@openssh.com") + boolean(True))
    peer.expect(REQUEST_FAILURE, skip=ASIDE)
    os.kill(holder, number)
    assert peer.closed() == BY_APPLICATION
    assert wait_until(lambda: not os.path.exists(os.path.dirname(path)))
    server.wait_log(f"Exiting on signal {int(number)}")
    peer.sock.close()


def names_of(lab, server, agent):
    """A session that stays until its input ends: it, and what its process has in /tmp. The socket's name has the process number."""
    p = subprocess.Popen([*lab.ssh_args(server, "-A", 'echo "$SSH_AUTH_SOCK"; echo "$SSH_USER_AUTH"; exec cat', program="ssh")],
                         env=agent, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)
    names = [p.stdout.readline().decode().strip() for _ in range(2)]
    assert names[0].startswith("/tmp/ssh-") and names[1].startswith("/tmp/sshauth."), p.communicate(timeout=10 * SLOW)
    return p, int(names[0].rsplit(".", 1)[1]), [os.path.dirname(names[0]), names[1]]


def test_a_killed_process_leaves_nothing(lab, agent):
    """Its keeper removes what it had in /tmp; also a keeper that has come since."""
    server = lab.sshd("ExposeAuthInfo yes\n")
    for reload in (False, True):
        p, holder, paths = names_of(lab, server, agent)
        assert all(os.path.exists(path) for path in paths)
        if reload:
            ready = server.log().count("listener is ready")
            server.process.send_signal(signal.SIGHUP)
            assert wait_until(lambda: server.log().count("listener is ready") > ready, 30), server.log()
        os.kill(holder, signal.SIGKILL)
        p.communicate(timeout=30 * SLOW)
        assert p.returncode == 255
        assert wait_until(lambda: not any(os.path.exists(path) for path in paths), 30), paths


# ---- X11

@pytest.fixture(scope="module")
def display(tmp_path_factory):
    require("Xvfb")
    folder = str(tmp_path_factory.mktemp("x11"))
    authority, number = os.path.join(folder, "authority"), 70 + os.getpid() % 25
    env = {**os.environ, "XAUTHORITY": authority, "DISPLAY": f":{number}"}
    subprocess.run([require("xauth"), "-q", "add", f":{number}", ".", "ab" * 16], env=env, check=True)
    process = subprocess.Popen(["Xvfb", f":{number}", "-auth", authority, "-nolisten", "tcp"], stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    assert wait_until(lambda: os.path.exists(f"/tmp/.X11-unix/X{number}"), 20)
    yield env
    process.terminate()
    process.wait()


@pytest.mark.parametrize("trust", ["-Y", "-X"])
def test_x11(module_lab, server, display, scratch, trust):
    require("xdpyinfo")
    done = run(module_lab, server, f"export XAUTHORITY={scratch}/remote; echo $DISPLAY; xauth -q list", trust, env=display)
    assert done.stdout.startswith(b"localhost:1"), done.stderr
    done = run(module_lab, server, "xdpyinfo | grep -c 'name of display: *localhost:1'; xauth list | grep -c unix:1", trust, env=display)
    assert done.stdout == b"1\n1\n", done.stderr


def x11_raw(peer, number, protocol="MIT-MAGIC-COOKIE-1", cookie="ab" * 16, screen=0, single=False):
    peer.request(number, "x11-req", boolean(single) + string(protocol) + string(cookie) + u32(screen))
    return peer.expect(CHANNEL_SUCCESS, CHANNEL_FAILURE, skip=ASIDE)[0] == CHANNEL_SUCCESS


@pytest.mark.parametrize("protocol,cookie,screen", [
    ("MIT-MAGIC-COOKIE-1\nsource /etc/passwd", "ab", 0), ("MIT COOKIE", "ab", 0), ("", "ab", 0), ("-q", "ab", 0),
    ("MIT-MAGIC-COOKIE-1", "ab\nremove :0", 0), ("MIT-MAGIC-COOKIE-1", "xy", 0), ("MIT-MAGIC-COOKIE-1", "", 0),
    ("MIT-MAGIC-COOKIE-1", "ab" * 2000, 0), ("x" * 500, "ab", 0), ("MIT-MAGIC-COOKIE-1", "abc", 0),
    ("MIT-MAGIC-COOKIE-1", "ab", 1 << 31), ("`id`", "ab", 0), ("$(id)", "ab", 0), ("a;b", "ab", 0),
])
def test_x11_is_validated(server, keys, protocol, cookie, screen):
    """CVE-2016-3115: nothing but a name and hexadecimal digits reaches xauth."""
    peer = rawssh.logged_in(server.port, USER, keys.path("user"))
    number = peer.open_session(3)
    assert not x11_raw(peer, number, protocol, cookie, screen)
    assert x11_raw(peer, number)
    assert not x11_raw(peer, number)  # one for a session
    peer.close()


def fake_xauth(scratch):
    path, seen = os.path.join(scratch, "xauth"), os.path.join(scratch, "seen")
    with open(path, "w") as f:
        f.write(f"#!/bin/sh\n(echo \"$@\"; cat) > {seen}\n")
    os.chmod(path, 0o755)
    return path, seen


def output_of(peer, number, command):
    peer.request(number, "exec", string(command))
    peer.expect(CHANNEL_SUCCESS, skip=ASIDE)
    got = b""
    while True:
        m = peer.expect(rawssh.CHANNEL_DATA, CHANNEL_CLOSE, skip=(*ASIDE, rawssh.CHANNEL_EOF, rawssh.CHANNEL_REQUEST))
        if m[0] == CHANNEL_CLOSE:
            return got
        f = Fields(m[1:])
        f.u32()
        got += f.string()


@pytest.mark.parametrize("local", ["yes", "no"])
def test_xauth_gets_its_words_on_stdin(lab, keys, scratch, local):
    path, seen = fake_xauth(scratch)
    server = lab.sshd(f"X11Forwarding yes\nXAuthLocation {path}\nX11DisplayOffset 400\nX11UseLocalhost {local}\n")
    peer = rawssh.logged_in(server.port, USER, keys.path("user"))
    number = peer.open_session(3)
    assert x11_raw(peer, number, screen=2)
    name = "localhost" if local == "yes" else socket.gethostname()
    assert output_of(peer, number, "echo $DISPLAY") == f"{name}:400.2\n".encode()
    name = "unix" if local == "yes" else name
    with open(seen) as f:
        assert f.read() == f"-q -\nremove {name}:400.2\nadd {name}:400.2 MIT-MAGIC-COOKIE-1 {'ab' * 16}\n"
    peer.close()


def test_x11_single_connection_and_end(server, keys):
    peer = rawssh.logged_in(server.port, USER, keys.path("user"))
    number = peer.open_session(3)
    assert x11_raw(peer, number, single=True)
    peer.request(number, "exec", string("printf %s $DISPLAY; sleep 30"))
    peer.expect(CHANNEL_SUCCESS, skip=ASIDE)
    f = Fields(peer.expect(rawssh.CHANNEL_DATA, skip=ASIDE)[1:])
    f.u32()
    port = 6000 + int(f.string().split(b":")[1].split(b".")[0])
    with socket.create_connection(("127.0.0.1", port)) as s:
        f = Fields(peer.expect(CHANNEL_OPEN, skip=ASIDE)[1:])
        assert f.string() == b"x11"
        f.take(12)
        assert (f.string(), f.u32()) == (b"127.0.0.1", s.getsockname()[1])
        with socket.create_connection(("127.0.0.1", port)) as second:  # in the backlog at most
            second.settimeout(1)
            with pytest.raises((TimeoutError, ConnectionError)):
                if second.recv(1) == b"":
                    raise ConnectionError
    peer.close()
    assert wait_until(lambda: not is_open(port))


def is_open(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


def test_xauth_that_is_missing(lab, keys):
    server = lab.sshd("X11Forwarding yes\nXAuthLocation /nonexistent\n")
    peer = rawssh.logged_in(server.port, USER, keys.path("user"))
    assert not x11_raw(peer, peer.open_session(3))
    peer.close()


# ---- no more sessions, host keys

def test_no_more_sessions(server, keys):
    peer = rawssh.logged_in(server.port, USER, keys.path("user"))
    peer.open_session(1)
    peer.send(bytes([GLOBAL_REQUEST]) + string("no-more-sessions@openssh.com") + boolean(False))
    peer.send(bytes([CHANNEL_OPEN]) + string("session") + u32(2) + u32(1000) + u32(1000))
    f = Fields(peer.expect(CHANNEL_OPEN_FAILURE, skip=ASIDE)[1:])
    assert (f.u32(), f.u32()) == (2, 1)
    peer.close()


def test_host_keys_are_announced_and_proved(lab, keys, scratch):
    """UpdateHostKeys: a client that knows one key learns the others, each proved; RSA too."""
    server = lab.sshd()
    known = os.path.join(scratch, "known")
    with open(known, "w") as f:
        f.write(f"[127.0.0.1]:{server.port} " + keys.public("host", "ed25519"))
    # The first value wins: before those of common().
    done = subprocess.run(["ssh", "-v", "-o", f"UserKnownHostsFile={known}", "-o", "UpdateHostKeys=yes",
                           *lab.common(server.port), "-l", USER, "127.0.0.1", "sleep 1"], capture_output=True,
                          timeout=30 * SLOW)
    with open(known) as f:
        text = f.read()
    for kind in ("ed25519", "ecdsa", "rsa"):
        assert keys.public("host", kind).split()[1] in text, done.stderr.decode()


def announced(peer):
    while True:
        f = Fields(peer.expect(GLOBAL_REQUEST, skip=(rawssh.IGNORE, rawssh.DEBUG, rawssh.EXT_INFO))[1:])
        if f.string() == b"hostkeys-00@openssh.com":
            assert f.u8() == 0
            blobs = []
            while f.at < len(f.data):
                blobs.append(f.string())
            return blobs


def test_proof_of_what_is_not_ours(server, keys, scratch):
    peer = rawssh.logged_in(server.port, USER, keys.path("user"))
    blobs = announced(peer)
    assert len(blobs) == 3
    stranger = rawssh.public_blob(rawssh.load_key(keys.path("user")))
    for asked, answer in ((blobs[:1], REQUEST_SUCCESS), (blobs, REQUEST_SUCCESS), ([stranger], REQUEST_FAILURE),
                          (blobs + [stranger], REQUEST_FAILURE), (blobs[:1] * 5, REQUEST_FAILURE), ([], REQUEST_FAILURE),
                          ([b""], REQUEST_FAILURE)):
        peer.send(bytes([GLOBAL_REQUEST]) + string("hostkeys-prove-00@openssh.com") + boolean(True) + b"".join(map(string, asked)))
        assert peer.expect(REQUEST_SUCCESS, REQUEST_FAILURE, skip=ASIDE)[0] == answer
    peer.close()


def test_proofs_are_limited(server, keys):
    peer = rawssh.logged_in(server.port, USER, keys.path("user"))
    blob = announced(peer)[0]
    answers = []
    for _ in range(70):
        peer.send(bytes([GLOBAL_REQUEST]) + string("hostkeys-prove-00@openssh.com") + boolean(True) + string(blob))
        answers.append(peer.expect(REQUEST_SUCCESS, REQUEST_FAILURE, skip=ASIDE)[0])
    assert answers == [REQUEST_SUCCESS] * 64 + [REQUEST_FAILURE] * 6
    assert output_of(peer, peer.open_session(1), "echo on") == b"on\n"
    peer.close()


def test_answers_keep_their_order(server, keys):
    """A proof takes the keeper's time; what was asked behind it is answered behind it."""
    peer = rawssh.logged_in(server.port, USER, keys.path("user"))
    blob = announced(peer)[0]
    one = bytes([GLOBAL_REQUEST]) + string("hostkeys-prove-00@openssh.com") + boolean(True) + string(blob)
    peer.send(one, bytes([GLOBAL_REQUEST]) + string("nonsense@example.com") + boolean(True), one)
    assert [peer.expect(REQUEST_SUCCESS, REQUEST_FAILURE, skip=ASIDE)[0] for _ in range(3)] == [
        REQUEST_SUCCESS, REQUEST_FAILURE, REQUEST_SUCCESS]
    peer.close()


def test_eow_ends_the_program(server, keys):
    """eow@openssh.com: nobody reads on; the program gets SIGPIPE, as by a local pipe."""
    peer = rawssh.logged_in(server.port, USER, keys.path("user"))
    number = peer.open_session(3, window=1 << 16)
    peer.request(number, "exec", string("cat /dev/zero; kill -l $? >&2"))
    peer.expect(CHANNEL_SUCCESS, skip=ASIDE)
    peer.expect(rawssh.CHANNEL_DATA, skip=ASIDE)
    peer.request(number, "eow@openssh.com", want_reply=False)
    time.sleep(0.3)
    peer.send(bytes([CHANNEL_WINDOW_ADJUST]) + u32(number) + u32(1000))  # for the words on standard error
    skip = (*ASIDE, rawssh.CHANNEL_DATA, rawssh.CHANNEL_EOF)
    assert b"PIPE\n" in peer.expect(rawssh.CHANNEL_EXTENDED_DATA, skip=skip)
    peer.expect(CHANNEL_CLOSE, skip=(*skip, rawssh.CHANNEL_REQUEST))
    peer.close()


# ---- what runs before, environments

@pytest.fixture
def home(account):
    """An account's home, written as the account."""
    def write(name, text, mode=0o644):
        path = os.path.join(account.home, name)
        with open(path, "w") as f:
            f.write(text)
        os.chown(path, account.uid, account.gid)
        os.chmod(path, mode)
    account.write = write
    return account


HOME = {"authorized": "%h/.ssh/authorized_keys"}


@needs_root
@pytest.mark.parametrize("lines,options,runs", [("", "", True), ("PermitUserRC no\n", "", False), ("", "no-user-rc ", False),
                                                ("", "restrict ", False), ("", "restrict,user-rc ", True)])
def test_user_rc(lab, keys, home, lines, options, runs):
    home.write(".ssh/rc", "echo rc $USER $0; cat\n")
    home.write(".ssh/authorized_keys", options + keys.public("user"))
    server = lab.sshd(lines, **HOME)
    done = run(lab, server, "echo program", user=home.name, input=b"of the program")
    rc = f"rc {home.name} .ssh/rc\n".encode() if runs else b""
    assert done.stdout == rc + b"program\n"


@needs_root
def test_user_rc_gets_the_cookie(lab, keys, home):
    home.write(".ssh/rc", "echo DISPLAY=$DISPLAY; cat\n")
    server = lab.sshd("X11Forwarding yes\n", **HOME)
    peer = rawssh.logged_in(server.port, home.name, keys.path("user"))
    number = peer.open_session(3)
    assert x11_raw(peer, number)
    got = output_of(peer, number, "echo program")
    assert got.startswith(b"DISPLAY=localhost:1") and got.endswith(b"MIT-MAGIC-COOKIE-1 " + b"ab" * 16 + b"\nprogram\n")
    peer.close()


@needs_root
def test_slow_rc_holds_up_nobody(lab, keys, home):
    home.write(".ssh/rc", "sleep 2\n")
    server = lab.sshd(**HOME)
    peer = rawssh.logged_in(server.port, home.name, keys.path("user"))
    first, start = peer.open_session(3), time.monotonic()
    peer.request(first, "exec", string("true"))
    peer.expect(CHANNEL_SUCCESS, skip=ASIDE)
    peer.open_session(4)
    assert time.monotonic() - start < 1.5 * SLOW
    peer.sock.close()


@needs_root
@pytest.mark.parametrize("value,names", [("no", ""), ("yes", "ALPHA BETA_X"), ("BETA_*", "BETA_X"), ("ALPHA,!BETA_X,BETA_*", "ALPHA")])
def test_user_environment(lab, keys, home, value, names):
    home.write(".ssh/environment", "# a comment\nALPHA=1\nBETA_X=2\n")
    server = lab.sshd(f"PermitUserEnvironment {value}\n", **HOME)
    done = run(lab, server, "env | grep -E '^(ALPHA|BETA)' | cut -d= -f1 | sort | tr '\\n' ' '", user=home.name)
    assert done.stdout.decode().strip() == names


@needs_root
@pytest.mark.parametrize("value,out", [("no", "[]"), ("yes", "[k]"), ("FROM_*", "[k]"), ("LANG", "[]")])
def test_environment_of_the_key(lab, keys, home, value, out):
    home.write(".ssh/authorized_keys", 'environment="FROM_KEY=k" ' + keys.public("user"))
    server = lab.sshd(f"PermitUserEnvironment {value}\n", **HOME)
    assert run(lab, server, 'echo "[$FROM_KEY]"', user=home.name).stdout.decode() == out + "\n"


# ---- time-outs

@pytest.mark.parametrize("lines,ends", [("ChannelTimeout session:command=1\n", True), ("ChannelTimeout session=1\n", True),
                                        ("ChannelTimeout *=1\n", True), ("ChannelTimeout global=1\n", True),
                                        ("ChannelTimeout session:shell=1 direct-tcpip=1\n", False)])
def test_channel_timeout(lab, lines, ends):
    server = lab.sshd(lines)
    start = time.monotonic()
    done = run(lab, server, "sleep 3; echo over")
    assert (done.stdout == b"over\n") != ends
    if ends:
        assert 0.9 < time.monotonic() - start < 2.8 * SLOW


def test_channel_timeout_counts_silence(lab):
    server = lab.sshd("ChannelTimeout session=1\n")
    done = run(lab, server, "for i in 1 2 3 4 5 6; do echo $i; sleep 0.4; done")
    assert done.returncode == 0 and len(done.stdout) == 12


def test_channel_timeout_of_forwards(lab, keys):
    with socket.create_server(("127.0.0.1", 0)) as target:
        server = lab.sshd("ChannelTimeout direct-tcpip=1\n")
        peer = rawssh.logged_in(server.port, USER, keys.path("user"))
        fields = string("127.0.0.1") + u32(target.getsockname()[1]) + string("127.0.0.1") + u32(1)
        peer.send(bytes([CHANNEL_OPEN]) + string("direct-tcpip") + u32(7) + u32(1000) + u32(1000) + fields)
        peer.expect(CHANNEL_OPEN_CONFIRMATION, skip=ASIDE)
        peer.expect(CHANNEL_CLOSE, skip=(*ASIDE, rawssh.CHANNEL_EOF))
        accepted, _ = target.accept()
        accepted.settimeout(10)
        assert accepted.recv(1) == b""
        accepted.close()
        peer.close()


def test_unused_connection_timeout(lab, keys):
    server = lab.sshd("UnusedConnectionTimeout 1\n")
    start = time.monotonic()
    done = subprocess.run(["ssh", *lab.common(server.port), "-l", USER, "-N", "127.0.0.1"], capture_output=True, timeout=30 * SLOW)
    assert done.returncode == 255 and 0.9 < time.monotonic() - start < 5 * SLOW
    assert run(lab, server, "sleep 2; echo used").stdout == b"used\n"


# ---- chroot

def copy_with_libraries(program, root):
    shutil.copy(program, os.path.join(root, "bin", os.path.basename(program)))
    for line in subprocess.run(["ldd", program], capture_output=True, text=True).stdout.splitlines():
        for word in line.split():
            if word.startswith("/"):
                where = root + os.path.dirname(word)
                os.makedirs(where, exist_ok=True)
                shutil.copy(word, where)


@pytest.fixture
def jail(account):
    # Every folder above has to be root's alone: /tmp is not.
    root = f"/var/lib/bowline-test-{os.getpid()}"
    os.makedirs(os.path.join(root, "bin"))
    os.chmod(root, 0o755)
    for program in ("/bin/sh", "/bin/ls"):
        copy_with_libraries(program, root)
    yield root
    shutil.rmtree(root, ignore_errors=True)


@needs_root
def test_chroot(lab, account, jail):
    server = lab.sshd(f"ChrootDirectory {jail}\n", **HOME)
    done = run(lab, server, "echo /*; cd /; pwd", user=account.name)
    assert b"/bin" in done.stdout and b"/proc" not in done.stdout and done.stdout.endswith(b"/\n"), (done.stderr, server.log())
    assert run(lab, server, "ls /proc/self/root || echo jailed", user=account.name).stdout == b"jailed\n"


@needs_root
def test_chroot_with_tokens(lab, account, jail):
    os.rename(jail, jail + account.name)
    try:
        server = lab.sshd(f"ChrootDirectory {jail}%u\n", **HOME)
        assert b"/bin" in run(lab, server, "echo /*", user=account.name).stdout
    finally:
        os.rename(jail + account.name, jail)


@needs_root
@pytest.mark.parametrize("fault", ["writable", "owner", "missing", "relative", "parent"])
def test_chroot_that_others_can_change(lab, account, jail, fault):
    path = jail
    if fault == "writable":
        os.chmod(jail, 0o775)
    elif fault == "owner":
        os.chown(jail, account.uid, 0)
    elif fault == "missing":
        path = jail + "/none"
    elif fault == "relative":
        path = "jail"
    else:
        os.makedirs(jail + "/open/jail")
        os.chmod(jail + "/open", 0o777)
        path = jail + "/open/jail"
    server = lab.sshd(f"ChrootDirectory {path}\n", **HOME)
    done = run(lab, server, "echo in", user=account.name)
    assert done.returncode == 255 and done.stdout == b""
    server.wait_log("chroot")
