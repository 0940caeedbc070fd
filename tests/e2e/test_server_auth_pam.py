"""UsePAM with real stacks, under a service name of our own in /etc/pam.d."""
import os
import re
import subprocess
import tempfile

import accounts
import paramiko
import pytest
from accounts import PASSWORD, login, paramiko_transport, ssh_command, talk
from conftest import needs_root, wait_until
from processes import every

pytestmark = needs_root

STACK = "auth required pam_unix.so nodelay\naccount required pam_unix.so\npassword required pam_unix.so yescrypt\n"


@pytest.fixture(scope="module")
def person(keys):
    made = accounts.make(keys)
    yield made
    made.remove()


@pytest.fixture
def service():
    made = []

    def write(text):
        name = f"bowline-test-{os.getpid()}-{len(made)}"
        made.append(f"/etc/pam.d/{name}")
        with open(made[-1], "w") as out:
            out.write(text)
        return f"PerSourcePenalties no\nUsePAM yes\nPAMServiceName {name}\n"
    yield write
    for path in made:
        os.remove(path)


@pytest.fixture
def readable():
    """A file that everybody can read: modules look at some with the user's rights."""
    made = []

    def write(text):
        with tempfile.NamedTemporaryFile("w", delete=False, prefix="bowline-test-") as out:
            out.write(text)
        os.chmod(out.name, 0o644)
        made.append(out.name)
        return out.name
    yield write
    for path in made:
        os.remove(path)


def start(lab, config):
    return lab.sshd(config, authorized=".ssh/authorized_keys")


def by_key(server, person, keys, command="echo in"):
    return subprocess.run(ssh_command(server, person.name, "BatchMode=yes", command=command, key=keys.path("user")),
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=60)


def test_password(lab, service, person):
    server = start(lab, service(STACK))
    assert login(server, person.name, PASSWORD)
    assert not login(server, person.name, "wrong")
    assert not login(server, "no-such-person", PASSWORD)
    server.wait_log(f"Accepted password for {person.name}")
    server.wait_log(f"Failed password for {person.name}")
    server.wait_log("Failed password for invalid user no-such-person")


def test_keyboard_interactive(lab, service, person):
    server = start(lab, service(STACK) + "PasswordAuthentication no\n")
    options = "PreferredAuthentications=keyboard-interactive"
    out, status = talk(ssh_command(server, person.name, options), [("assword:", PASSWORD)])
    assert status == 0
    out, status = talk(ssh_command(server, person.name, options), [("assword:", "wrong")])
    assert status != 0
    out, status = talk(ssh_command(server, "no-such-person", options), [("assword:", PASSWORD)])
    assert status != 0
    server.wait_log(f"Accepted keyboard-interactive/pam for {person.name} from 127.0.0.1")
    server.wait_log(f"Failed keyboard-interactive/pam for {person.name} from 127.0.0.1")
    server.wait_log("Failed keyboard-interactive/pam for invalid user no-such-person from 127.0.0.1")


def test_prompts_given_up(lab, service, person):
    """A client that changes its mind while modules wait goes on with another method."""
    server = start(lab, service(STACK))
    transport = paramiko_transport(server)

    def handler(title, instructions, prompts):
        raise paramiko.AuthenticationException("no answer")
    with pytest.raises(paramiko.SSHException):
        transport.auth_interactive(person.name, handler)
    transport.close()
    assert login(server, person.name, PASSWORD)


def test_factors(lab, service, person, keys):
    server = start(lab, service(STACK) + "AuthenticationMethods publickey,keyboard-interactive:pam\n")
    assert by_key(server, person, keys).returncode == 255
    out, status = talk(ssh_command(server, person.name, "PreferredAuthentications=publickey,keyboard-interactive",
                                   key=keys.path("user")), [("assword:", PASSWORD)])
    assert status == 0


def test_account_stage_refuses_keys_too(lab, service, person, keys):
    server = start(lab, service(STACK + "account required pam_deny.so\n"))
    assert by_key(server, person, keys).returncode == 255
    assert not login(server, person.name, PASSWORD)
    server.wait_log(f"Access denied for user {person.name} by PAM account configuration")


def test_session_is_opened_and_closed(lab, service, person, keys, tmp_path):
    note = str(tmp_path / "note")
    script = str(tmp_path / "script")
    with open(script, "w") as out:
        out.write(f'#!/bin/sh\necho "$PAM_TYPE $PAM_USER $PAM_RHOST $PAM_TTY" >> {note}\n')
    os.chmod(script, 0o755)
    env = str(tmp_path / "env")
    with open(env, "w") as out:
        out.write("FROM_PAM DEFAULT=yes\n")
    server = start(lab, service(STACK + f"session required pam_exec.so {script}\n"
                                f"session required pam_env.so conffile={env} readenv=0\n"))
    done = by_key(server, person, keys, command="echo $FROM_PAM; cat /proc/$PPID/comm")
    assert done.stdout.splitlines()[0] == b"yes"

    def lines():
        with open(note) as f:
            return f.read().splitlines()
    assert wait_until(lambda: len(lines()) == 2)
    assert lines() == [f"open_session {person.name} 127.0.0.1 ssh", f"close_session {person.name} 127.0.0.1 ssh"]


def test_limits_hold_for_the_session(lab, service, person, keys, tmp_path):
    conf = tmp_path / "limits"
    conf.write_text("* - nofile 123\n* - core 0\n")
    server = start(lab, service(STACK + f"session required pam_limits.so conf={conf}\n"))
    assert by_key(server, person, keys, command="ulimit -n").stdout.strip() == b"123"


def test_session_that_fails_lets_nobody_in(lab, service, person, keys):
    server = start(lab, service(STACK + "session required pam_deny.so\n"))
    assert by_key(server, person, keys).stdout == b""
    server.wait_log("PAM: pam_open_session()")


def test_messages_reach_the_terminal(lab, service, person, keys, readable):
    motd = readable("what is new today\n")
    server = start(lab, service(STACK + f"session required pam_permit.so\nsession optional pam_motd.so motd={motd}\n") + "PrintMotd no\n")
    args = ssh_command(server, person.name, "BatchMode=yes", key=keys.path("user"))[:-1]
    args.insert(1, "-tt")
    done = subprocess.run(args, input=b"exit\n", capture_output=True, timeout=60)
    assert b"what is new today" in done.stdout


def test_expired_password(lab, service, keys):
    made = accounts.make(keys)
    try:
        subprocess.run(["chage", "-d", "0", made.name], check=True)
        server = start(lab, service(STACK))
        out, status = talk(ssh_command(server, made.name, "PreferredAuthentications=password"), [
            ("assword:", PASSWORD), ("old password:", PASSWORD), ("new password:", "Another-horse-8"),
            ("new password:", "Another-horse-8")])
        assert status == 0, out + server.log()
        assert login(server, made.name, "Another-horse-8")
        subprocess.run(["chage", "-d", "0", made.name], check=True)
        out, status = talk(ssh_command(server, made.name, "PreferredAuthentications=keyboard-interactive"), [
            ("assword:", "Another-horse-8"), ("urrent password:", "Another-horse-8"),
            ("ew password:", "Third-horse-9"), ("ew password:", "Third-horse-9")])
        assert status == 0, out + server.log()
        assert login(server, made.name, "Third-horse-9")
        # By key: nothing but passwd is run.
        subprocess.run(["chage", "-d", "0", made.name], check=True)
        assert by_key(server, made, keys).stdout != b"in\n"
    finally:
        made.remove()


def test_root_has_no_use_for_its_password(lab, service):
    server = start(lab, service("auth required pam_permit.so\naccount required pam_permit.so\n")
                   + "PermitRootLogin prohibit-password\n")
    assert not login(server, "root", "anything")


def test_permissive_stack_makes_no_users(lab, service):
    server = start(lab, service("auth required pam_permit.so\naccount required pam_permit.so\n"))
    assert not login(server, "no-such-person", "anything")


def test_no_process_is_left(lab, service, person, keys):
    server = start(lab, service(STACK))
    title = f"sshd: {person.name} [session]"
    look = f"cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' '\\n' | grep -c '^{re.escape(title)}'"
    assert int(by_key(server, person, keys, command=look).stdout) > 0
    assert wait_until(lambda: not [p for p in every() if title in p.title])
