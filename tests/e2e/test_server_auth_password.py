"""Passwords against shadow, without PAM: Debian's ssh and paramiko as clients, throw-away accounts."""
import statistics
import subprocess
import time

import accounts
import paramiko
import pytest
from accounts import PASSWORD, login, paramiko_transport, ssh_command, talk
from conftest import needs_root

pytestmark = needs_root
CONFIG = "PerSourcePenalties no\nUsePAM no\nPasswordAuthentication yes\nPermitRootLogin prohibit-password\n"


@pytest.fixture(scope="module")
def person(keys):
    made = accounts.make(keys)
    yield made
    made.remove()


@pytest.fixture(scope="module")
def server(module_lab):
    return module_lab.sshd(CONFIG)


def test_right_password(server, person):
    assert login(server, person.name, PASSWORD)
    server.wait_log(f"Accepted password for {person.name} from 127.0.0.1 port")
    line = [s for s in server.log().splitlines() if f"Accepted password for {person.name}" in s][0]
    assert line.endswith(" ssh2")


def test_wrong_password(server, person):
    assert not login(server, person.name, "wrong")
    server.wait_log(f"Failed password for {person.name} from 127.0.0.1 port")


def test_unknown_user(server):
    assert not login(server, "nobody-of-this-name", PASSWORD)
    server.wait_log("Failed password for invalid user nobody-of-this-name from 127.0.0.1 port")


def try_paramiko(server, user, password):
    transport = paramiko_transport(server)
    try:
        transport.auth_password(user, password, fallback=False)
        return transport.is_authenticated()
    except paramiko.AuthenticationException:
        return False
    finally:
        transport.close()


def test_bytes_behind_a_nul_do_not_count(server, person):
    assert try_paramiko(server, person.name, PASSWORD)
    for password in (PASSWORD + "\0", PASSWORD + "\0junk", "\0" + PASSWORD):
        try:
            assert not try_paramiko(server, person.name, password)
        except (paramiko.SSHException, EOFError, OSError):
            pass  # against the protocol: the link is cut


def test_long_passwords_are_wrong_at_once(server, person):
    start = time.monotonic()
    assert not try_paramiko(server, person.name, PASSWORD + "x" * 20000)
    assert time.monotonic() - start < 10


def test_empty_password(lab, keys):
    made = accounts.make(keys, None)
    try:
        subprocess.run(["passwd", "-d", made.name], check=True, stdout=subprocess.DEVNULL)
        refusing, taking = lab.sshd(CONFIG), lab.sshd(CONFIG + "PermitEmptyPasswords yes\n")
        assert not try_paramiko(refusing, made.name, "")
        assert try_paramiko(taking, made.name, "")
        assert not try_paramiko(taking, made.name, "x")
        done = subprocess.run(ssh_command(taking, made.name), stdin=subprocess.DEVNULL, capture_output=True, timeout=30)
        assert done.stdout == b"in\n"  # by the method "none"
        taking.wait_log(f"Accepted none for {made.name}")
        assert not try_paramiko(taking, "no-such-one", "")
    finally:
        made.remove()


def test_locked_account(lab, keys):
    made = accounts.make(keys)
    try:
        subprocess.run(["usermod", "-L", made.name], check=True)
        server = lab.sshd(CONFIG)
        assert not login(server, made.name, PASSWORD)
        server.wait_log("account is locked")
    finally:
        made.remove()


def test_expired_password_is_changed(lab, keys):
    made = accounts.make(keys)
    try:
        subprocess.run(["chage", "-d", "0", made.name], check=True)
        server = lab.sshd(CONFIG)
        out, status = talk(ssh_command(server, made.name, "PreferredAuthentications=password"), [
            ("assword:", PASSWORD), ("old password:", PASSWORD), ("new password:", "another horse 8"),
            ("new password:", "another horse 8")])
        assert status == 0 and "in" in out
        server.wait_log(f"password changed for {made.name}")
        assert login(server, made.name, "another horse 8")
        assert not login(server, made.name, PASSWORD)
    finally:
        made.remove()


def test_expired_password_is_not_changed_to_nothing(lab, keys):
    made = accounts.make(keys)
    try:
        subprocess.run(["chage", "-d", "0", made.name], check=True)
        server = lab.sshd(CONFIG)
        for new in (PASSWORD, "x"):
            out, status = talk(ssh_command(server, made.name, "PreferredAuthentications=password"), [
                ("assword:", PASSWORD), ("old password:", PASSWORD), ("new password:", new), ("new password:", new)])
            assert status != 0
    finally:
        made.remove()


def test_password_authentication_no(lab, person):
    server = lab.sshd("PerSourcePenalties no\nUsePAM no\nPasswordAuthentication no\n")
    assert not try_paramiko(server, person.name, PASSWORD)


def test_root_by_password(lab):
    """Whatever root's password is: it is not even looked at."""
    for value in ("no", "prohibit-password", "forced-commands-only"):
        server = lab.sshd(f"PerSourcePenalties no\nUsePAM no\nPermitRootLogin {value}\n")
        assert not try_paramiko(server, "root", "guess")


def refusal_times(server, user, n=7):
    times = []
    for _ in range(n):
        transport = paramiko_transport(server)
        try:
            transport.auth_none(user)
        except paramiko.AuthenticationException:
            pass
        start = time.monotonic()
        try:
            transport.auth_password(user, "guess", fallback=False)
        except paramiko.AuthenticationException:
            times.append(time.monotonic() - start)
        transport.close()
    return times


def test_same_time_for_unknown_users(lab, server, person):
    """Refusals come at doubling marks of time: both kinds of users meet the same one, most of the time."""
    known, unknown = refusal_times(server, person.name), refusal_times(server, "no-such-person")
    ratio = statistics.median(known) / statistics.median(unknown)
    assert 0.4 < ratio < 2.5, (known, unknown)


def test_methods_are_the_same_for_unknown_users(server, person):
    found = []
    for user in (person.name, "no-such-person", "root"):
        transport = paramiko_transport(server)
        with pytest.raises(paramiko.BadAuthenticationType) as caught:
            transport.auth_none(user)
        found.append(caught.value.allowed_types)
        transport.close()
    assert found[0] == found[1] == found[2] == ["publickey", "password"]
