"""Match for what happens before the login: RefuseConnection, MaxAuthTries, Banner."""
import signal
import subprocess

import pytest
from conftest import SLOW, USER, needs_root, wait_until

SSH = "ssh"
pytestmark = needs_root


def try_keys(lab, server, user):
    """Debian's ssh with so many keys that are not accepted."""
    words = [SSH, *lab.common(server.port), "-o", f"IdentityFile={lab.keys.path('host', 'ed25519')}",
             "-o", f"IdentityFile={lab.keys.path('host', 'rsa')}", "-o", f"IdentityFile={lab.keys.path('host', 'ecdsa')}",
             "-l", user, "127.0.0.1", "true"]
    words[words.index("-i"):words.index("-i") + 2] = []
    return subprocess.run(words, capture_output=True, text=True, timeout=30 * SLOW)


def test_banner_of_match(lab, account, tmp_path):
    mine, all_ = tmp_path / "mine", tmp_path / "all"
    mine.write_text("only for one\n")
    all_.write_text("for everybody\n")
    server = lab.sshd(f"Banner {all_}\nMatch User {account.name}\nBanner {mine}\n", authorized=f"{lab.keys.authorized_keys} .ssh/authorized_keys")
    other = lab.ssh(server, "-o", "LogLevel=INFO", "-l", USER, "true", program=SSH)
    assert other.returncode == 0 and b"for everybody" in other.stderr and b"only for one" not in other.stderr
    done = lab.ssh(server, "-o", "LogLevel=INFO", "-l", account.name, "true", program=SSH)
    assert done.returncode == 0 and b"only for one" in done.stderr and b"for everybody" not in done.stderr


def test_banner_none_of_match(lab, account, tmp_path):
    all_ = tmp_path / "all"
    all_.write_text("for everybody\n")
    server = lab.sshd(f"Banner {all_}\nMatch User {account.name}\nBanner none\n", authorized=f"{lab.keys.authorized_keys} .ssh/authorized_keys")
    done = lab.ssh(server, "-o", "LogLevel=INFO", "-l", account.name, "true", program=SSH)
    assert done.returncode == 0 and b"for everybody" not in done.stderr


@pytest.mark.parametrize("known", [True, False])
def test_tries_of_match(lab, account, known):
    user = account.name if known else "nobody-of-that-name"
    server = lab.sshd(f"MaxAuthTries 10\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n"
                      f"Match User {user}\nMaxAuthTries 2\n")
    assert "Too many authentication failures" in try_keys(lab, server, user).stderr
    assert "Permission denied" in try_keys(lab, server, "daemon").stderr


def test_refuse_connection_of_match(lab, account):
    server = lab.sshd(f"PerSourcePenalties refuseconnection:600s min:1s\nMatch User {account.name}\n"
                      "RefuseConnection yes\n")
    assert lab.ssh(server, "-l", USER, "true", program=SSH).returncode == 0
    done = lab.ssh(server, "-l", account.name, "true", program=SSH)
    assert done.returncode == 255 and b"closed" in done.stderr
    server.wait_log(f"administratively prohibited connection for {account.name} from 127.0.0.1")
    server.wait_log("penalty: connection prohibited by RefuseConnection")


def test_routing_domains(lab):
    """A socket bound to an interface, as to a VRF: what comes in by it is told from what comes in elsewhere, at the judge and
    in the session, also after a reload; one that is not there is named."""
    server = lab.sshd("ListenAddress 127.0.0.2 rdomain lo\nListenAddress 127.0.0.3 rdomain no-such-one\n"
                      "Match RDomain lo\nForceCommand echo in lo\nMatch RDomain *,!lo\nForceCommand echo elsewhere\n")

    def output(address):
        words = [SSH, *lab.common(server.port), "-o", "StrictHostKeyChecking=no", "-o", f"HostKeyAlias=[127.0.0.1]:{server.port}",
                 "-l", USER, address, "true"]
        return subprocess.run(words, capture_output=True, text=True, timeout=60 * SLOW).stdout

    server.wait_log(f"Server listening on 127.0.0.2 port {server.port} rdomain lo.")
    server.wait_log(f"listen on 127.0.0.3 port {server.port} rdomain no-such-one: No such device")
    assert (output("127.0.0.1"), output("127.0.0.2")) == ("elsewhere\n", "in lo\n")
    server.process.send_signal(signal.SIGHUP)
    server.wait_log("Received SIGHUP")
    assert wait_until(lambda: output("127.0.0.2") == "in lo\n", 30)
    assert output("127.0.0.1") == "elsewhere\n"
