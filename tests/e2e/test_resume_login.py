"""resume-v1@bowline where a person was asked at the login: the proof of the connection's secret stands for what they said,
and for nothing else (doc/resume.md, "The login of a new link")."""
import os
import signal
import subprocess

import accounts
import pytest
import rawssh
import resuming
from accounts import PASSWORD
from conftest import SLOW, needs_root, tool, wait_until
from cutter import Cutter
from resuming import Client, Denied, Refused, by_key, by_password, enter
from test_resume_server import end, events, sessions, suspended

pytestmark = needs_root
OWN_KEYS = "%h/.ssh/authorized_keys"


@pytest.fixture(scope="module")
def person(keys):
    made = accounts.make(keys)
    yield made
    made.remove()


@pytest.fixture
def key(lab):
    return lab.keys.path("user")


@pytest.fixture
def start(lab, person, tmp_path):
    """A server, and a client that is let in by these requests."""
    made = []

    def make(lines, *requests):
        server = lab.sshd(lines + f"EventLog {tmp_path}/events\nPasswordAuthentication yes\n", authorized=OWN_KEYS)
        made.append((server, Client(server.port, person.name, enter(*requests))))
        return made[-1]

    yield make
    for server, client in made:
        end(server, client)


def echoes(c, channel, text):
    c.data(channel, text)
    return c.read(len(text)) == text


def test_password(start):
    """No second prompt; each further link by another proof."""
    server, c = start("", by_password(PASSWORD))
    channel = c.session("cat")
    for turn in range(3):
        c.cut()
        assert suspended(server)
        c.come_back(key=enter(c.by_proof()))
        assert echoes(c, channel, b"turn %d" % turn)
    server.wait_log("Accepted resume-v1@bowline for")
    assert [r["state"] for r in sessions(server)] == ["connected"]


def test_password_again(start):
    """Who gives the password anew needs the secret all the same, and has it in ATTACH."""
    server, c = start("", by_password(PASSWORD))
    channel = c.session("cat")
    with pytest.raises(Refused) as e:
        c.come_back(key=enter(by_password(PASSWORD)), secret=os.urandom(32))
    assert e.value.reason == resuming.PROOF
    c.come_back(key=enter(by_password(PASSWORD)))
    assert echoes(c, channel, b"back")


def denied(c, request, **kw):
    with pytest.raises(Denied):
        c.come_back(key=enter(request), **kw)
    return True


def test_wrong_proofs(start):
    """Nothing is let in, nothing of the living connection is touched, and all of it is in the log."""
    server, c = start("MaxAuthTries 6\n", by_password(PASSWORD))
    channel = c.session("cat")
    random = os.urandom(32)
    assert denied(c, c.by_proof(secret=random))
    assert denied(c, c.by_proof(proof=random))
    assert denied(c, c.by_proof(session_id=random))
    assert denied(c, c.by_proof(user="root"))
    assert denied(c, c.by_proof(epoch=1))
    handle, c.handle = c.handle, os.urandom(16)
    assert denied(c, c.by_proof())
    c.handle = handle
    assert echoes(c, channel, b"here")
    assert [e["reason"] for e in events(server, "connection.resume_refused")] == ["proof"] * 4 + ["epoch", "unknown"]
    assert server.log().count("Failed resume-v1@bowline for") == 6


def test_proof_is_of_one_link(start):
    """Heard on one link, it is worth nothing on another, and nothing at a later epoch."""
    server, c = start("", by_password(PASSWORD))
    channel = c.session("cat")
    heard = []

    def keep(peer, user):
        heard.append(c.by_proof()(peer, user))
        return heard[-1]
    old = c.secret
    c.come_back(key=enter(keep))
    assert echoes(c, channel, b"x")
    c.ack()
    assert denied(c, lambda peer, user: heard[0])
    assert denied(c, c.by_proof(epoch=0, secret=old))
    assert echoes(c, channel, b"y")


def test_proof_without_a_name(start):
    """A link that has not said what it comes for has no use of a proof."""
    server, c = start("", by_password(PASSWORD))
    c.session("cat")
    peer = rawssh.keyed(server.port)
    peer.service()
    peer.send(c.by_proof()(peer, c.user))
    assert peer.expect(rawssh.USERAUTH_FAILURE, rawssh.USERAUTH_SUCCESS)[0] == rawssh.USERAUTH_FAILURE
    peer.close()


def test_one_try_for_a_link(start):
    server, c = start("MaxAuthTries 6\n", by_password(PASSWORD))
    channel = c.session("cat")
    peer = resuming.link(server.port, c.user, lambda peer, user: peer.service(), handle=c.handle)
    for request in (c.by_proof(secret=bytes(32)), c.by_proof(), c.by_proof()):
        peer.send(request(peer, c.user))
        assert peer.expect(rawssh.USERAUTH_FAILURE, rawssh.USERAUTH_SUCCESS)[0] == rawssh.USERAUTH_FAILURE
    peer.close()
    assert echoes(c, channel, b"here")


def test_proof_without_the_password_of_another(start, lab, keys):
    """Another user's login by proof gets nobody in."""
    other = accounts.make(keys)
    try:
        server, c = start("", by_password(PASSWORD))
        channel = c.session("cat")
        assert denied(c, c.by_proof(), user=other.name)
        assert denied(c, c.by_proof(user=c.user), user=other.name)
        assert echoes(c, channel, b"here")
    finally:
        other.remove()


def test_key_and_password(start, key):
    """The key is shown anew, the proof stands for the password; neither is enough alone."""
    server, c = start("AuthenticationMethods publickey,password\n", by_key(key), by_password(PASSWORD))
    channel = c.session("cat")
    c.cut()
    assert suspended(server)
    assert denied(c, c.by_proof())
    with pytest.raises(Denied):
        c.come_back(key=enter(by_key(key)))
    c.come_back(key=enter(by_key(key), c.by_proof()))
    assert echoes(c, channel, b"both")


def test_a_key_alone_gives_no_second_factor(lab, start, key, tmp_path):
    """Where a password is asked for since, a connection that began by a key alone has no proof of one."""
    config = tmp_path / "more"
    config.write_text("")
    server, c = start(f"Include {config}\n", by_key(key))
    c.session("cat")
    c.cut()
    assert suspended(server)
    config.write_text("AuthenticationMethods publickey,password\n")
    reload(server)
    with pytest.raises(Denied):
        c.come_back(key=enter(by_key(key), c.by_proof()))


def reload(server):
    n = len(events(server, "server.reloaded"))
    server.process.send_signal(signal.SIGHUP)
    assert wait_until(lambda: len(events(server, "server.reloaded")) > n)


@pytest.mark.parametrize("change", ["PasswordAuthentication no", "DenyUsers {user}", "AllowUsers somebody", "AllowGroups nobody-has-this",
                                    "Match User {user}\nPasswordAuthentication no", "Match Address 127.0.0.1\nDenyUsers *",
                                    "ForceCommand true"])
def test_policy_of_that_moment(start, person, tmp_path, change):
    config = tmp_path / "more"
    config.write_text("")
    server, c = start(f"Include {config}\n", by_password(PASSWORD))
    channel = c.session("cat")
    c.cut()
    assert suspended(server)
    config.write_text(change.format(user=person.name) + "\n")
    reload(server)
    with pytest.raises((Denied, Refused)):
        c.come_back(key=enter(c.by_proof()))
    config.write_text("")
    reload(server)
    c.come_back(key=enter(c.by_proof()))
    assert echoes(c, channel, b"here")


@pytest.mark.parametrize("how", ["locked", "expired", "password", "must-change", "shell", "removed"])
def test_account_of_that_moment(keys, lab, how):
    account = accounts.make(keys)
    try:
        server = lab.sshd("PasswordAuthentication yes\n", authorized=OWN_KEYS)
        c = Client(server.port, account.name, enter(by_password(PASSWORD)))
        c.session("cat")
        c.cut()
        assert suspended(server)
        subprocess.run({"locked": ["usermod", "-L", account.name], "expired": ["usermod", "-e", "1", account.name],
                        "must-change": ["chage", "-d", "0", account.name],
                        "shell": ["usermod", "-s", "/nonexistent/shell", account.name],
                        "removed": ["userdel", "-r", "-f", account.name]}.get(how, ["true"]), check=True, stderr=subprocess.DEVNULL)
        if how == "password":
            accounts.set_password(account.name, "another one 8")
        with pytest.raises((Denied, Refused)):
            c.come_back(key=enter(c.by_proof()))
        end(server, c)
    finally:
        account.remove()


def test_over_a_reload(start):
    """What the login was by is known to the next keeper."""
    server, c = start("", by_password(PASSWORD))
    channel = c.session("cat")
    c.cut()
    assert suspended(server)
    reload(server)
    c.come_back(key=enter(c.by_proof()))
    assert echoes(c, channel, b"reloaded")


# ---- our client ----

def run(way, known, *options, env=None):
    args = [tool("ssh"), "-F", "none", "-p", str(way.port), "-o", f"UserKnownHostsFile={known}", "-o", "GlobalKnownHostsFile=none",
            *options, "127.0.0.1", "for i in $(seq 60); do echo $i; sleep 0.02; done"]
    # Unbuffered: communicate() does not see what readline() has read beyond its line.
    return subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **(env or {})},
                            start_new_session=True, bufsize=0)


def over_cuts(lab, server, tmp_path, *options, words=(PASSWORD,)):
    """60 lines over two lost links; nobody is asked a second time."""
    way, asked, askpass = Cutter(server.port), tmp_path / "asked", tmp_path / "askpass"
    askpass.write_text(f"#!/bin/sh\necho x >> {asked}\nsed -n \"$(wc -l < {asked})p\" {tmp_path}/words\n")
    askpass.chmod(0o755)
    asked.write_text("")
    (tmp_path / "words").write_text("".join(w + "\n" for w in words))
    p = run(way, lab.keys.known_hosts(way.port), *options, env={"SSH_ASKPASS": str(askpass), "SSH_ASKPASS_REQUIRE": "force"})
    try:
        assert p.stdout.readline() == b"1\n", p.communicate(timeout=20 * SLOW)
        for n in range(1, 3):
            assert wait_until(lambda: way.links >= n)
            way.cut()
            assert wait_until(lambda: server.log().count("resumed from") >= n), server.log()
        out, err = p.communicate(timeout=40 * SLOW)
        assert (p.returncode, out) == (0, b"".join(b"%d\n" % i for i in range(2, 61))), err
        assert asked.read_text() == "x\n" * len(words)
        assert wait_until(lambda: sessions(server) == [], 30)  # its goodbye has passed the way
    finally:
        if p.poll() is None:
            p.kill()
        p.communicate()
        way.stop()


def test_client_by_password(lab, person, tmp_path):
    server = lab.sshd("PasswordAuthentication yes\n", authorized=OWN_KEYS)
    over_cuts(lab, server, tmp_path, "-o", "PubkeyAuthentication=no", "-l", person.name)


def test_client_by_key_and_password(lab, person, key, tmp_path):
    server = lab.sshd("PasswordAuthentication yes\nAuthenticationMethods publickey,password\n", authorized=OWN_KEYS)
    over_cuts(lab, server, tmp_path, "-i", key, "-o", "IdentitiesOnly=yes", "-l", person.name)


def test_client_by_two_keys(lab, keys, tmp_path):
    account = accounts.make(keys, password=None)
    try:
        second = str(tmp_path / "second")
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", second], check=True)
        with open(second + ".pub") as pub, open(os.path.join(account.home, ".ssh/authorized_keys"), "a") as out:
            out.write(pub.read())
        server = lab.sshd("AuthenticationMethods publickey,publickey\n", authorized=OWN_KEYS)
        over_cuts(lab, server, tmp_path, "-i", keys.path("user"), "-i", second, "-o", "IdentitiesOnly=yes", "-l", account.name, words=())
    finally:
        account.remove()


def test_client_by_questions(lab, person, tmp_path):
    """keyboard-interactive by PAM, with a second factor of its own; PAM's account stage at each link."""
    service, log = f"bowline-test-again-{os.getpid()}", tmp_path / "log"
    path = f"/etc/pam.d/{service}"
    with open(path, "w") as out:
        out.write(f"auth required pam_unix.so\naccount required pam_exec.so log={log} /bin/echo account\n"
                  f"session required pam_exec.so log={log} /bin/echo session\n")
    try:
        server = lab.sshd(f"UsePAM yes\nPAMServiceName {service}\nKbdInteractiveAuthentication yes\n"
                          "AuthenticationMethods keyboard-interactive:pam\n", authorized=OWN_KEYS)
        over_cuts(lab, server, tmp_path, "-o", "PubkeyAuthentication=no", "-l", person.name)
        assert wait_until(lambda: log.read_text().split().count("session") == 2, 30)  # opened and closed, once
        assert log.read_text().split().count("account") == 3
    finally:
        os.remove(path)
