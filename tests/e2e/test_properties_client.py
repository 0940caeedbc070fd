"""Properties of our ssh that the history of SSH software teaches; doc/properties.md says which record each answers."""
import contextlib
import os
import re
import socket
import struct
import subprocess
import time

import pytest
import rawssh
from conftest import ASAN, SLOW, needs_root, tool, wait_until
from rawssh import (CHANNEL_CLOSE, CHANNEL_DATA, CHANNEL_EOF, CHANNEL_OPEN, CHANNEL_OPEN_FAILURE, CHANNEL_REQUEST, EXT_INFO,
                    GLOBAL_REQUEST, IGNORE, REQUEST_FAILURE, SERVICE_ACCEPT, SERVICE_REQUEST, USERAUTH_BANNER, USERAUTH_FAILURE,
                    USERAUTH_REQUEST, USERAUTH_SUCCESS, Closed, Fields, boolean, string, u32)
from test_client_hostile import EVIL, Fake, finish

CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@pytest.fixture(scope="module")
def server(module_lab):
    return module_lab.sshd("AcceptEnv *\n")


# ---- transport ----

@pytest.mark.parametrize("payload", [bytes([IGNORE]) + string("x"), bytes([rawssh.DEBUG]) + b"\0" + string("") + string(""),
                                     bytes([rawssh.UNIMPLEMENTED]) + u32(0), bytes([EXT_INFO]) + u32(0),
                                     bytes([SERVICE_ACCEPT]) + string("ssh-userauth"), bytes([USERAUTH_SUCCESS])],
                         ids=["ignore", "debug", "unimplemented", "ext-info", "service", "success"])
@pytest.mark.parametrize("place", ["before KEXINIT", "before NEWKEYS"])
def test_nothing_slips_into_the_first_exchange(keys, tmp_path, payload, place):
    """Terrapin CVE-2023-48795, AsyncSSH CVE-2023-46445: from a server, too."""
    def script(fake):
        peer = fake.peer
        if place == "before KEXINIT":
            peer.raw(peer.ident + b"\r\n" + peer.seal(payload))
            peer.my_kexinit = rawssh.kexinit(fake.LISTS)
            peer.send(peer.my_kexinit)
            peer.exchange(host_key=fake.host_key)
        else:
            peer.start(fake.LISTS)
            peer.exchange(host_key=fake.host_key, before_newkeys=[payload])
        peer.expect(SERVICE_REQUEST)
        pytest.fail("the client went on")
    fake = Fake(keys, script, tmp_path, "x")
    assert fake.done.returncode == 255 and fake.stderr.strip()


def test_new_keys_without_an_exchange(keys, tmp_path):
    """wolfSSH CVE-2025-14942: NEWKEYS out of turn never switches anything on or off."""
    def script(fake):
        fake.peer.start(fake.LISTS)
        fake.peer.read_ident()
        fake.peer.expect(rawssh.KEXINIT)
        fake.peer.send(bytes([rawssh.NEWKEYS]))
        seen = []
        with contextlib.suppress(Closed):
            while True:
                seen.append(fake.peer.packet()[0])
        assert not set(seen) - {rawssh.ECDH_INIT}, seen
    fake = Fake(keys, script, tmp_path, "x")
    assert fake.done.returncode == 255


@pytest.mark.parametrize("point", [b"", b"\0" * 31, b"\0" * 32, b"\1" + b"\0" * 31, b"\0" * 33],
                         ids=["empty", "short", "zero", "one", "long"])
def test_bad_points_of_servers(keys, tmp_path, point):
    """RFC 8731: the contributory check is the client's as well."""
    def script(fake):
        fake.peer.start(fake.LISTS)
        fake.peer.read_ident()
        fake.peer.expect(rawssh.KEXINIT)
        fake.peer.expect(rawssh.ECDH_INIT)
        fake.peer.send(bytes([rawssh.ECDH_REPLY]) + string(rawssh.public_blob(fake.host_key)) + string(point) +
                       string(string("ssh-ed25519") + string(b"s" * 64)))
        with pytest.raises(Closed):
            fake.peer.expect(rawssh.NEWKEYS)
    fake = Fake(keys, script, tmp_path, "x")
    assert fake.done.returncode == 255


@pytest.mark.parametrize("lie", ["other type", "trailing", "short", "huge", "small order"])
def test_host_keys_that_lie(keys, tmp_path, lie):
    """wolfSSH CVE-2026-16516: type, length and form of a host key are checked before it is compared with anything."""
    def script(fake):
        real = rawssh.public_blob(fake.host_key)
        blob = {"other type": string("ecdsa-sha2-nistp256") + real[15:], "trailing": real + b"\0", "short": real[:-1],
                "huge": real[:15] + string(b"k" * 60000), "small order": real[:15] + string(b"\1" + b"\0" * 31)}[lie]
        fake.peer.start(fake.LISTS)
        fake.peer.read_ident()
        fake.peer.expect(rawssh.KEXINIT)
        fake.peer.expect(rawssh.ECDH_INIT)
        fake.peer.send(bytes([rawssh.ECDH_REPLY]) + string(blob) + string(b"\x09" + b"\0" * 31) +
                       string(string("ssh-ed25519") + string(b"\0" * 64)))
        with pytest.raises(Closed):
            fake.peer.expect(rawssh.NEWKEYS)
    fake = Fake(keys, script, tmp_path, "x", options=["-o", "StrictHostKeyChecking=no"], known=False)
    assert fake.done.returncode == 255 and not (tmp_path / "known").exists()


def test_signature_by_another_algorithm(keys, tmp_path):
    """The host's signature must be of the negotiated algorithm."""
    def script(fake):
        sign = fake.host_key.sign
        original, fake.peer.send = fake.peer.send, None

        def send(*payloads):
            payloads = [p.replace(string("ssh-ed25519") + string(sign_out[0]), string("ssh-rsa") + string(sign_out[0]))
                        if sign_out and p[0] == rawssh.ECDH_REPLY else p for p in payloads]
            original(*payloads)
        sign_out = []

        class Noting:
            public_key = fake.host_key.public_key

            @staticmethod
            def sign(data):
                sign_out.append(sign(data))
                return sign_out[0]
        fake.peer.send, fake.host_key = send, Noting
        fake.keyed()
        fake.peer.expect(SERVICE_REQUEST)
        pytest.fail("the client went on")
    fake = Fake(keys, script, tmp_path, "x")
    assert fake.done.returncode == 255 and not fake.failure


@pytest.mark.parametrize("count", [0xffffffff, 65])
def test_ext_info_count(keys, tmp_path, count):
    """libssh2 CVE-2026-55199: a count from the wire is no loop, and no memory."""
    def script(fake):
        peer = fake.keyed()
        body = b"".join(string(f"name{i}@test") + string("v") for i in range(65)) if count == 65 else string("a") + string("b")
        peer.send(bytes([EXT_INFO]) + u32(count) + body)
        peer.closed()
    fake = Fake(keys, script, tmp_path, "x")
    assert fake.done.returncode == 255 and fake.took < 10 * SLOW


def test_kexinit_flood(keys, tmp_path):
    """CVE-2016-8858, libssh CVE-2025-8277: a second KEXINIT in an exchange ends the link."""
    def script(fake):
        fake.peer.start(fake.LISTS)
        with contextlib.suppress(OSError):
            for _ in range(200):
                fake.peer.send(rawssh.kexinit(fake.LISTS))
        fake.peer.closed()
    fake = Fake(keys, script, tmp_path, "x")
    assert fake.done.returncode == 255


def test_unanswered_pings_cost_nothing(keys, tmp_path):
    """CVE-2025-26466 against clients: a server that asks and does not read the answers is not read for ever."""
    sent = []

    def script(fake):
        peer, channel = fake.session()
        peer.sock.settimeout(2)
        with contextlib.suppress(OSError):
            for _ in range(500):
                block = b"".join(peer.seal(bytes([rawssh.PING]) + string(bytes(30000))) for _ in range(8))
                peer.raw(block)
                sent.append(len(block))
        peer.close()
    fake = Fake(keys, script, tmp_path, "x")
    assert sum(sent) < 64 << 20
    assert fake.done.returncode == 255


def test_stray_global_requests_are_answered_with_no(keys, tmp_path):
    """CVE-2016-0777: no roaming, nothing of that kind; hostkeys, tcpip-forward and strangers get a no."""
    answers = []

    def script(fake):
        peer, channel = fake.session()
        for name in ("roaming@appgate.com", "resume@appgate.com", "tcpip-forward", "keepalive@openssh.com", "x" * 3000):
            peer.send(bytes([GLOBAL_REQUEST]) + string(name) + boolean(True) + u32(1) + string("x"))
            answers.append(peer.expect(REQUEST_FAILURE, rawssh.REQUEST_SUCCESS, skip=(CHANNEL_EOF,))[0])
        finish(peer, channel, 5)
    fake = Fake(keys, script, tmp_path, "x")
    assert fake.done.returncode == 5 and answers == [REQUEST_FAILURE] * 5


def test_small_rekey_limit_of_a_hostile_server(keys, tmp_path):
    """libssh CVE-2021-3634: twenty exchanges in a row leave the session as it was."""
    def script(fake):
        peer, channel = fake.session()
        for i in range(20):
            peer.rekey(host_key=fake.host_key)
        peer.send(bytes([CHANNEL_DATA]) + u32(channel) + string("same"))
        finish(peer, channel, 5)
    fake = Fake(keys, script, tmp_path, "x")
    assert fake.done.returncode == 5 and fake.done.stdout == b"same", fake.stderr


@pytest.mark.parametrize("how", ["reset", "closed", "in a packet"])
@pytest.mark.parametrize("phase", ["keyed", "session"])
def test_a_cut_link_is_told(keys, tmp_path, how, phase):
    """OpenSSH's sftp dies of SIGPIPE when the link is cut; here it is status 255 and a sentence."""
    def script(fake):
        peer = fake.session()[0] if phase == "session" else fake.keyed()
        if how == "in a packet":
            peer.raw(peer.seal(bytes([IGNORE]) + string(bytes(1000)))[:500])
        if how == "reset":
            peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()
    fake = Fake(keys, script, tmp_path, "x", input=bytes(1 << 20))
    assert fake.done.returncode == 255 and "127.0.0.1" in fake.stderr, (fake.done.returncode, fake.stderr)


# ---- times ----

def test_server_alive_counts_right(keys, tmp_path):
    """ServerAliveInterval 1, CountMax 3: 3.1 to 3.7 s with OpenSSH; not twice as long here."""
    def script(fake):
        peer, _ = fake.session()
        with contextlib.suppress(Closed):
            while True:
                peer.packet()
    fake = Fake(keys, script, tmp_path, "x", options=["-o", "ServerAliveInterval=1", "-o", "ServerAliveCountMax=3"])
    assert fake.done.returncode == 255
    assert 2.5 < fake.took < 7 * SLOW, fake.took


@pytest.mark.parametrize("phase", ["silent", "ident", "kexinit", "trickle"])
def test_connect_timeout_in_every_phase(keys, tmp_path, phase):
    """Deadlines, not budgets that reach 0 and mean "none"."""
    def script(fake):
        peer = fake.peer
        if phase == "ident":
            peer.raw(b"SSH-2.0-slow\r\n")
        if phase in ("kexinit", "trickle"):
            peer.start(fake.LISTS)
        if phase == "trickle":
            for i in range(100):
                peer.raw(b"\0" if i else u32(2004))
                time.sleep(0.1)
        with contextlib.suppress(Closed):
            peer.need(1 << 20)
    fake = Fake(keys, script, tmp_path, "x", options=["-o", "ConnectTimeout=1"])
    assert fake.done.returncode == 255
    assert 0.8 < fake.took < 5 * SLOW, fake.took
    assert "timed out" in fake.stderr.lower()


# ---- authentication ----

def auth(fake):
    peer = fake.keyed()
    peer.expect(SERVICE_REQUEST)
    peer.send(bytes([SERVICE_ACCEPT]) + string("ssh-userauth"))
    return peer


@pytest.mark.parametrize("number", [90, 91, 94, 98, 80, 61, 63])
def test_misplaced_messages_before_success(keys, tmp_path, number):
    """No message of the connection means anything before a success that was asked for."""
    def script(fake):
        peer = auth(fake)
        fake.request()
        peer.send(bytes([number]) + u32(0) * 4)
        with pytest.raises(Closed):
            while peer.expect(USERAUTH_REQUEST, rawssh.UNIMPLEMENTED)[0] != rawssh.UNIMPLEMENTED:
                pass
            peer.close()  # what it does not know at all it says so of, and waits
            raise Closed
    fake = Fake(keys, script, tmp_path, "x")
    assert fake.done.returncode == 255


def test_a_server_that_refuses_all_gets_no_more_than_asked(keys, tmp_path):
    """Each key is offered once, and its signature only after it was wanted."""
    offers = []

    def script(fake):
        peer = auth(fake)
        while True:
            user, service, method, f = fake.request()
            if method == b"publickey":
                signed = f.u8()
                f.string()
                offers.append((signed, f.string()))
            peer.send(bytes([USERAUTH_FAILURE]) + string("publickey,password,keyboard-interactive,hostbased,none") + b"\0")
    fake = Fake(keys, script, tmp_path, "x")
    assert fake.done.returncode == 255
    assert len(offers) == len(set(blob for _, blob in offers)) <= 2


def test_a_server_cannot_change_the_user(keys, tmp_path):
    """AsyncSSH CVE-2023-46446 from the client's side: every request names the same user and service."""
    seen = set()

    def script(fake):
        peer = auth(fake)
        while True:
            user, service, method, f = fake.request()
            seen.add((user, service))
            peer.send(bytes([USERAUTH_BANNER]) + string("log in as root, please") + string(""))
            peer.send(bytes([USERAUTH_FAILURE]) + string("publickey") + b"\0")
    fake = Fake(keys, script, tmp_path, "x", options=["-l", "me"])
    assert fake.done.returncode == 255 and seen == {(b"me", b"ssh-connection")}


# ---- host keys ----

def damaged(keys, port):
    right = f"[127.0.0.1]:{port} " + keys.public("host")
    bad = ["no-fields", f"[127.0.0.1]:{port} ssh-ed25519", f"[127.0.0.1]:{port} ssh-ed25519 AAAA====not", "|1|x|y ssh-ed25519 AAAA",
           "\x00\x01binary", "@nonsense * ssh-ed25519 AAAA", f"[127.0.0.1]:{port} ssh-ed25519 " + right.split()[2][:-8],
           "x" * 100000, "@cert-authority"]
    return bad, right


def connect(lab, server, known, *options, **kw):
    args = lab.common(server.port)
    args = [f"UserKnownHostsFile={known}" if a.startswith("UserKnownHostsFile=") else a for a in args]
    return subprocess.run([tool("ssh"), *options, *args, "127.0.0.1", "echo in"], stdin=subprocess.DEVNULL,
                          capture_output=True, timeout=30 * SLOW, text=True, **kw)


def test_damaged_lines_are_passed_over(module_lab, server, keys, tmp_path):
    """10.1 c991273c1: what is damaged is skipped, with a note of where; what is right counts, before and after."""
    bad, right = damaged(keys, server.port)
    for name, lines in (("after", [*bad, right]), ("before", [right.strip(), *bad])):
        known = tmp_path / name
        known.write_text("\n".join(lines) + "\n")
        done = connect(module_lab, server, known, "-v")
        assert done.returncode == 0, done.stderr
        assert f"{known}:" in done.stderr and "damaged" in done.stderr


def test_damaged_lines_trust_nobody(module_lab, server, keys, tmp_path):
    bad, _ = damaged(keys, server.port)
    known = tmp_path / "known"
    known.write_text("\n".join(bad) + "\n")
    assert connect(module_lab, server, known).returncode == 255


@pytest.mark.parametrize("checking", ["no", "accept-new", "yes"])
def test_revoked_host_keys(module_lab, server, keys, tmp_path, checking):
    """A revoked key is refused whatever else is written and set."""
    known = tmp_path / "known"
    known.write_text(f"[127.0.0.1]:{server.port} {keys.public('host')}@revoked * {keys.public('host')}")
    done = connect(module_lab, server, known, "-o", f"StrictHostKeyChecking={checking}", "-o", "HostKeyAlgorithms=ssh-ed25519")
    assert done.returncode == 255 and "revoked" in done.stderr


def test_errors_refuse(module_lab, server, keys, tmp_path):
    """CVE-2025-26465: a file that cannot be read whole is no reason to trust anybody."""
    known = tmp_path / "known"
    known.write_text(f"[127.0.0.1]:{server.port} " + keys.public("host"))
    with open(known, "a") as f:
        f.truncate(1 << 36)
    done = connect(module_lab, server, known, "-o", "StrictHostKeyChecking=no")
    assert done.returncode == 255 and str(known) in done.stderr


@pytest.mark.parametrize("megabytes", [12, 16, 24, 32, 48])
def test_out_of_memory_refuses(module_lab, server, keys, tmp_path, megabytes):
    """CVE-2025-26465: with too little memory the wrong host is not taken for the right one."""
    if ASAN:
        pytest.skip("a sanitizer needs address space")
    known = tmp_path / "known"
    known.write_text(f"[127.0.0.1]:{server.port} " + keys.public("user"))
    filler = "".join(f"host{i} {keys.public('user')}" for i in range(60000))
    with open(known, "a") as f:
        f.write(filler)
    args = module_lab.common(server.port)
    args = [f"UserKnownHostsFile={known}" if a.startswith("UserKnownHostsFile=") else a for a in args]
    done = subprocess.run(["prlimit", f"--as={megabytes << 20}", tool("ssh"), *args, "-o", "HostKeyAlgorithms=ssh-ed25519",
                           "127.0.0.1", "echo in"], stdin=subprocess.DEVNULL, capture_output=True, timeout=30 * SLOW)
    assert done.returncode != 0 and b"in\n" != done.stdout


def test_small_rsa_host_keys_are_refused(lab, keys, tmp_path):
    """RequiredRSASize: a host's RSA key below it is refused though known; and so is a small one of the user's."""
    small = tmp_path / "small"
    subprocess.run(["ssh-keygen", "-q", "-t", "rsa", "-b", "1024", "-N", "", "-f", small], check=True)
    authorized = tmp_path / "authorized"
    authorized.write_text((tmp_path / "small.pub").read_text() + keys.public("user"))
    server = lab.sshd("RequiredRSASize 1024\n", host_kinds=("rsa",), authorized=authorized, args=["-h", str(small)])
    known = tmp_path / "known"
    known.write_text(f"[127.0.0.1]:{server.port} " + (tmp_path / "small.pub").read_text())
    assert connect(lab, server, known).returncode == 0
    done = connect(lab, server, known, "-o", "RequiredRSASize=2048")
    assert done.returncode == 255 and "1024" in done.stderr
    server = lab.sshd("RequiredRSASize 1024\n", authorized=authorized)
    args = lab.common(server.port)
    args[args.index("-i") + 1] = str(small)
    for least, status in ((1024, 0), (2048, 255)):
        done = subprocess.run([tool("ssh"), *args, "-o", f"RequiredRSASize={least}", "127.0.0.1", "true"], text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=30 * SLOW)
        assert done.returncode == status, done.stderr
    assert str(small) in done.stderr


# ---- people, shells, terminals ----

def said(where, fake):
    """Sends EVIL in one of the places where a server has a say."""
    peer = fake.peer
    if where == "ident":
        peer.ident = b"SSH-2.0-fake " + EVIL.encode()[:100]
    lists = list(fake.LISTS)
    if where == "kexinit":
        lists[0] = EVIL.encode().replace(b",", b"")[:60] + b"," + lists[0]
        lists[3] = b"\x1b[2J\x07evil," + lists[3]
        fake.LISTS = lists
    if where == "no kex":
        fake.LISTS = [EVIL.encode()] * 2 + lists[2:]
    if where in ("open failure", "methods", "ext-info"):
        if where == "open failure":
            peer = fake.accept()
            f = Fields(peer.expect(CHANNEL_OPEN, skip=(GLOBAL_REQUEST, EXT_INFO))[1:])
            f.string()
            peer.send(bytes([CHANNEL_OPEN_FAILURE]) + u32(f.u32()) + u32(1) + string(EVIL + "said it") + string(EVIL))
            peer.closed()
        else:
            peer = fake.keyed()
            if where == "ext-info":
                peer.send(bytes([EXT_INFO]) + u32(2) + string("server-sig-algs") + string(EVIL) + string(EVIL) + string(EVIL))
            peer.expect(SERVICE_REQUEST)
            peer.send(bytes([SERVICE_ACCEPT]) + string(EVIL if where == "service" else "ssh-userauth"))
            fake.request()
            peer.send(bytes([USERAUTH_FAILURE]) + string(EVIL + "," + EVIL) + b"\0")
            peer.closed()
        return
    if where in ("signal", "request"):
        peer, channel = fake.session()
        name = "exit-signal" if where == "signal" else EVIL
        peer.send(bytes([CHANNEL_REQUEST]) + u32(channel) + string(name) + b"\0" + string(EVIL) + b"\0" + string(EVIL) + string(EVIL),
                  bytes([GLOBAL_REQUEST]) + string(EVIL) + b"\0", bytes([CHANNEL_CLOSE]) + u32(channel))
        peer.closed()
        return
    fake.keyed()
    peer.send(bytes([rawssh.DISCONNECT]) + u32(77) + string(EVIL + "said it") + string(EVIL))


@pytest.mark.parametrize("where", ["ident", "kexinit", "no kex", "open failure", "methods", "ext-info", "signal", "request", "end"])
def test_texts_of_servers_are_cleaned(keys, tmp_path, where):
    """CVE-2019-6109 and what OpenSSH lets through (BEL): at -vvv, no control character of a server's gets out."""
    fake = Fake(keys, lambda fake: said(where, fake), tmp_path, "x", options=["-vvv"])
    assert fake.done.returncode == 255
    assert not CONTROLS.search(fake.stderr.replace("\r\n", "\n").replace("\t", " ")), repr(fake.stderr)
    assert "\r" not in fake.stderr.replace("\r\n", "")
    # A newline of theirs starts no line of ours.
    assert not any(line.startswith("evil") for line in fake.stderr.splitlines())


NAMES = ["$(touch {m})", "`touch {m}`", "x;touch {m}", "x|touch {m}", "x&touch {m}", "x\ntouch {m}", "'\"$(touch {m})", "-oProxyCommand=touch {m}",
         "--", "-", "", "x y", "a\tb", "x>{m}", "x\\;touch {m}"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("where", ["host", "user", "user@", "uri"])
def test_names_never_reach_a_shell(tmp_path, name, where):
    """CVE-2023-51385, CVE-2025-61984, libssh CVE-2023-6004: with a configuration that gives %h and %r to a shell."""
    mark = tmp_path / "mark"
    name = name.format(m=mark)
    config = tmp_path / "config"
    config.write_text('Match exec "echo %h %n %r >/dev/null"\n    Compression no\nHost *\n    User fallback\n    ConnectTimeout 1\n'
                      f"    GlobalKnownHostsFile none\n    UserKnownHostsFile {tmp_path}/known\n    BatchMode yes\n    Port 1\n")
    args = {"host": ["--", name], "user": ["-l", name, "127.0.0.1"], "user@": ["--", f"{name}@127.0.0.1"],
            "uri": ["--", f"ssh://{name}@127.0.0.1:1/"]}[where]
    done = subprocess.run([tool("ssh"), "-F", str(config), *args, "true"], stdin=subprocess.DEVNULL, capture_output=True,
                          timeout=20 * SLOW, cwd=tmp_path)
    assert done.returncode == 255
    assert not mark.exists() and set(os.listdir(tmp_path)) <= {"config", "state"}


def test_plain_names_still_reach_it(tmp_path):
    """The control of the above: Match exec runs, with the host's name."""
    mark, config = tmp_path / "mark", tmp_path / "config"
    config.write_text(f'Match exec "echo %h %r >{mark}"\n    Compression no\n')
    subprocess.run([tool("ssh"), "-F", str(config), "-o", "BatchMode=yes", "-p", "1", "-l", "me", "127.0.0.1", "true"],
                   stdin=subprocess.DEVNULL, capture_output=True, timeout=20 * SLOW)
    assert mark.read_text() == "127.0.0.1 me\n"


@pytest.mark.parametrize("closed", ["0 1", "0 1 2", "1 2"])
def test_without_standard_streams(module_lab, server, tmp_path, closed):
    """No descriptor of a file or socket is taken for a standard stream that is not there."""
    args = module_lab.ssh_args(server, f"echo done > {tmp_path}/mark; echo out; echo err >&2; exit 9")
    shut = " ".join(f"{n}>&-" for n in closed.split())
    done = subprocess.run(["sh", "-c", f'exec "$@" {shut}', "sh", *args], timeout=20 * SLOW)
    assert done.returncode == 9 and (tmp_path / "mark").exists()


# ---- resources, secrets ----

@pytest.mark.parametrize("limit", ["nofile=12:12", "nofile=20:20", f"as={32 << 20}"])
def test_login_in_a_small_world(module_lab, server, limit):
    """Logins work with 12 descriptors, and in little address space."""
    if ASAN and limit.startswith("as"):
        pytest.skip("a sanitizer needs address space")
    done = subprocess.run(["prlimit", f"--{limit}", *module_lab.ssh_args(server, "cat")], input=bytes(100000),
                          capture_output=True, timeout=20 * SLOW)
    assert done.returncode == 0 and done.stdout == bytes(100000), done.stderr


def test_nothing_of_ours_is_sent(keys, tmp_path):
    """CVE-2016-0777: padding and unused room carry no memory of ours. What a client sends is looked through for its key."""
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
    key = rawssh.load_key(keys.path("user"))
    seed = key.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
    received = []

    def script(fake):
        need = fake.peer.need

        def noting(n):
            received.append(need(n))
            return received[-1]
        fake.peer.need = noting
        peer, channel = fake.session()
        finish(peer, channel, 5)
    fake = Fake(keys, script, tmp_path, "x")
    assert fake.done.returncode == 5
    everything = b"".join(received)
    assert len(everything) > 1000 and seed not in everything and seed[:16] not in everything


@needs_root
def test_key_is_forgotten_after_the_login(module_lab, server, keys):
    """Once in, a client does not hold the private key any more; a core of it would not show one."""
    if ASAN:
        pytest.skip("a sanitizer keeps what was freed")
    from test_properties_server import memory_holds
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
    needles = {}
    for kind in ("ed25519", "rsa"):
        with open(keys.path("user", kind), "rb") as f:
            needles[f"{kind} file"] = f.read().splitlines()[-3]
    needles["seed"] = rawssh.load_key(keys.path("user")).private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
    rsa = rawssh.load_key(keys.path("user", "rsa")).private_numbers()
    needles["p"], needles["p in limbs"] = rsa.p.to_bytes(128, "big"), rsa.p.to_bytes(128, "little")
    for kind in ("ed25519", "rsa"):
        child = subprocess.Popen(module_lab.ssh_args(server, "-o", "Resume=no", "echo in; exec cat", kind=kind), stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE)
        try:
            assert child.stdout.readline() == b"in\n"
            assert wait_until(lambda: not memory_holds(child.pid, needles), 2), memory_holds(child.pid, needles)
        finally:
            child.communicate(b"", timeout=10 * SLOW)


def test_bulk_over_a_small_rekey_limit(module_lab, server, record_property):
    """RekeyLimit 256K and 5 MB: 12 to 14 s with OpenSSH 9.2."""
    begin = time.monotonic()
    done = subprocess.run(module_lab.ssh_args(server, "-o", "RekeyLimit=256K", "head -c 5000000 /dev/zero"), stdin=subprocess.DEVNULL,
                          capture_output=True, timeout=60 * SLOW)
    record_property("seconds", time.monotonic() - begin)
    assert len(done.stdout) == 5000000 and time.monotonic() - begin < 8 * SLOW
