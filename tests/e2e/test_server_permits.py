"""What a login may do, by each way of saying so: certificates' extensions, options of authorized_keys, sshd_config. On our sshd and on
Debian's: both permit the same."""
import os
import subprocess

import paramiko
import pytest
from conftest import SERVERS, SLOW, Account, needs_root, wait_until

pytestmark = needs_root

EVERYTHING = {"pty", "port", "agent", "x11", "rc"}
HOME = ".ssh/authorized_keys"


@pytest.fixture(scope="module", params=SERVERS)
def start(request, module_lab):
    """start(lines): a server with that configuration; one for all tests that want it."""
    made = {}

    def run(lines="", **kw):
        kw.setdefault("authorized", HOME)
        if lines not in made:
            lab = module_lab.sshd if request.param == "ours" else module_lab.openssh
            made[lines] = lab("UsePAM no\n" + "X11Forwarding yes\n" * ("X11Forwarding" not in lines) + lines, **kw)
        return made[lines]

    return run


@pytest.fixture(scope="module")
def person(keys):
    """Whose ~/.ssh/rc leaves a mark."""
    account = Account(f"bwp{os.getpid()}", keys)
    path = os.path.join(account.home, ".ssh", "rc")
    with open(path, "w") as f:
        f.write("touch $HOME/rc-ran\n")
    os.chown(path, account.uid, account.gid)
    yield account
    account.remove()


def connect(server, person, path, certificate=None):
    key = paramiko.Ed25519Key.from_private_key_file(path)
    if certificate:
        key.load_certificate(certificate)
    transport = paramiko.Transport(("127.0.0.1", server.port))
    try:
        transport.start_client(timeout=20 * SLOW)
        transport.auth_publickey(person.name, key)
    except BaseException:
        transport.close()
        raise
    return transport


def asked(transport, request):
    """One request on a session of its own: was it granted? What SSH_AUTH_SOCK is there."""
    channel = transport.open_session(timeout=20 * SLOW)
    try:
        request(channel)
        channel.exec_command("echo $SSH_AUTH_SOCK")
        return channel.makefile().read().decode().strip() or "granted"
    except paramiko.SSHException:
        return None
    finally:
        channel.close()


def ask_for_agent(channel):
    """paramiko's own does not wait for the answer."""
    m = paramiko.Message()
    m.add_byte(paramiko.common.cMSG_CHANNEL_REQUEST)
    m.add_int(channel.remote_chanid)
    m.add_string("auth-agent-req@openssh.com")
    m.add_boolean(True)
    channel._event_pending()
    channel.transport._send_user_message(m)
    channel._wait_for_event()


def permits(server, person, path, certificate=None):
    mark = os.path.join(person.home, "rc-ran")
    transport = connect(server, person, path, certificate)
    try:
        answers = {"pty": asked(transport, lambda c: c.get_pty()), "agent": asked(transport, ask_for_agent),
                   "x11": asked(transport, lambda c: c.request_x11(auth_cookie="00" * 16))}
        found = {name for name, answer in answers.items() if answer}
        try:
            transport.open_channel("direct-tcpip", ("127.0.0.1", server.port), ("127.0.0.1", 1), timeout=20 * SLOW).close()
            found.add("port")
        except paramiko.ChannelException:
            pass
        channel = transport.open_session(timeout=20 * SLOW)
        channel.exec_command("true")
        channel.recv_exit_status()
    finally:
        transport.close()
        transport.join(20 * SLOW)
    if "agent" in found:  # its socket goes with the connection
        assert answers["agent"].startswith("/tmp/ssh-") and wait_until(lambda: not os.path.exists(os.path.dirname(answers["agent"])))
    if os.path.exists(mark):
        os.remove(mark)
        found.add("rc")
    return found


def authorize(person, options, public):
    path = os.path.join(person.home, ".ssh", "authorized_keys")
    with open(path, "w") as f:
        f.write(f"{options} {public}".lstrip())


@pytest.mark.parametrize("options,expected", [
    ("", EVERYTHING), ("restrict", set()), ("restrict,pty", {"pty"}), ("restrict,port-forwarding", {"port"}),
    ("restrict,agent-forwarding", {"agent"}), ("restrict,X11-forwarding", {"x11"}), ("restrict,user-rc", {"rc"}),
    ("no-pty", EVERYTHING - {"pty"}), ("no-port-forwarding", EVERYTHING - {"port"}), ("no-agent-forwarding", EVERYTHING - {"agent"}),
    ("no-X11-forwarding", EVERYTHING - {"x11"}), ("no-user-rc", EVERYTHING - {"rc"}), ("pty,restrict,pty,user-rc", {"pty", "rc"}),
    ('permitopen="192.0.2.1:1"', EVERYTHING - {"port"}), ('permitopen="127.0.0.1:*"', EVERYTHING)])
def test_options_of_keys(start, keys, person, options, expected):
    authorize(person, options, keys.public("user"))
    assert permits(start(), person, keys.path("user")) == expected


@pytest.fixture(scope="module")
def certify(tmp_path_factory):
    """certify(person, *options): a key and its certificate, of an authority; the authority is certify.public."""
    def new(path):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
        return path

    folder = tmp_path_factory.mktemp("certificates")
    authority = new(str(folder / "authority"))
    key = new(str(folder / "id"))

    def run(person, *options):
        words = [word for option in options for word in ("-O", option)]
        subprocess.run(["ssh-keygen", "-q", "-s", authority, "-I", "id", "-n", person.name, *words, key + ".pub"], check=True)
        return key, key + "-cert.pub"

    run.public = authority + ".pub"
    return run


@pytest.mark.parametrize("options,expected", [
    ((), EVERYTHING), (("clear",), set()), (("clear", "permit-pty"), {"pty"}), (("clear", "permit-port-forwarding"), {"port"}),
    (("clear", "permit-agent-forwarding"), {"agent"}), (("clear", "permit-X11-forwarding"), {"x11"}),
    (("clear", "permit-user-rc"), {"rc"}), (("no-pty",), EVERYTHING - {"pty"}),
    (("clear", "extension:of-nobody@example.com=x", "permit-pty"), {"pty"})])
def test_extensions_of_certificates(start, person, certify, options, expected):
    key, certificate = certify(person, *options)
    assert permits(start(f"TrustedUserCAKeys {certify.public}\n"), person, key, certificate) == expected


def test_a_line_of_the_authority_narrows(start, person, certify):
    """Both have to permit it."""
    key, certificate = certify(person, "clear", "permit-pty", "permit-user-rc")
    with open(certify.public) as f:
        authorize(person, "cert-authority,no-user-rc", f.read())
    assert permits(start(), person, key, certificate) == {"pty"}


@pytest.mark.parametrize("lines,expected", [
    ("PermitTTY no", EVERYTHING - {"pty"}), ("AllowTcpForwarding no", EVERYTHING - {"port"}),
    ("AllowTcpForwarding remote", EVERYTHING - {"port"}), ("AllowTcpForwarding local", EVERYTHING),
    ("AllowAgentForwarding no", EVERYTHING - {"agent"}), ("X11Forwarding no", EVERYTHING - {"x11"}),
    ("PermitUserRC no", EVERYTHING - {"rc"}), ("DisableForwarding yes", {"pty", "rc"}), ("PermitOpen none", EVERYTHING - {"port"}),
    ("Match User bwp*\nPermitTTY no\nDisableForwarding yes", {"rc"})])
def test_keywords(start, keys, person, lines, expected):
    authorize(person, "", keys.public("user"))
    assert permits(start(lines + "\n"), person, keys.path("user")) == expected


def test_tokens_of_the_keys_command(start, keys, person):
    """What the command is told, and who runs it."""
    folder = f"/usr/local/lib/bowline-permits-{os.getpid()}"
    os.makedirs(folder)
    try:
        script, told = os.path.join(folder, "command"), os.path.join(person.home, "told")
        with open(script, "w") as f:
            f.write(f'#!/bin/sh\n[ "$2" = ssh-ed25519 ] || exit 0\n(id -un; printf "%s\\n" "$@") >{told}\necho "{keys.public("user").strip()}"\n')
        os.chmod(script, 0o755)
        server = start(f"AuthorizedKeysCommand {script} %% %t %k %f %u %U %h x%ux\nAuthorizedKeysCommandUser {person.name}\n",
                       authorized="none")
        connect(server, person, keys.path("user")).close()
        assert wait_until(lambda: os.path.exists(told))
        with open(told) as f:
            lines = f.read().splitlines()
        finger = subprocess.run(["ssh-keygen", "-lf", keys.path("user") + ".pub"], capture_output=True, text=True, check=True)
        os.remove(told)
        assert lines == [person.name, "%", "ssh-ed25519", keys.public("user").split()[1], finger.stdout.split()[1], person.name,
                         str(person.uid), person.home, f"x{person.name}x"]
    finally:
        for name in os.listdir(folder):
            os.remove(os.path.join(folder, name))
        os.rmdir(folder)
