"""Requests on channels that programs rely on and few clients send: signals, terminal modes, breaks, what is not known. By paramiko, on
our sshd and on Debian's."""
import os
import re
import signal
import struct
import subprocess

import paramiko
import pytest
from conftest import SERVERS, SLOW, Account, needs_root, require, tool, wait_until

HOME = ".ssh/authorized_keys"
pytestmark = needs_root


@pytest.fixture(scope="module", params=SERVERS)
def server(request, module_lab):
    return (module_lab.sshd if request.param == "ours" else module_lab.openssh)("UsePAM no\n", authorized=HOME)


@pytest.fixture(scope="module")
def person(keys):

    account = Account(f"bwc{os.getpid()}", keys)
    yield account
    account.remove()


@pytest.fixture
def transport(server, person, keys):
    t = paramiko.Transport(("127.0.0.1", server.port))
    try:
        t.start_client(timeout=20 * SLOW)
        t.auth_publickey(person.name, paramiko.Ed25519Key.from_private_key_file(keys.path("user")))
        yield t
    finally:
        t.close()
        t.join(20 * SLOW)


def request(channel, name, *fields, reply=True):
    """Was it granted? Fields: bytes as they are, texts as strings, numbers."""
    m = paramiko.Message()
    m.add_byte(paramiko.common.cMSG_CHANNEL_REQUEST)
    m.add_int(channel.remote_chanid)
    m.add_string(name)
    m.add_boolean(reply)
    for field in fields:
        (m.add_int if isinstance(field, int) else m.add_string)(field)
    if reply:
        channel._event_pending()
    channel.transport._send_user_message(m)
    if not reply:
        return None
    try:
        channel._wait_for_event()
        return True
    except paramiko.SSHException:
        return False


def until(channel, text):
    """What the program said up to that."""
    channel.settimeout(30 * SLOW)
    found = b""
    while text not in found:
        got = channel.recv(4096)
        assert got, found
        found += got
    return found


def ended(channel):
    assert wait_until(channel.exit_status_ready, 30)
    return channel.recv_exit_status()


@pytest.mark.parametrize("name", ["HUP", "INT", "TERM", "USR1", "USR2", "QUIT"])
def test_signals(transport, name):
    channel = transport.open_session()
    channel.exec_command(f"trap 'echo got; exit 7' {name}; echo up; while :; do sleep 0.05; done")
    until(channel, b"up\n")
    request(channel, "signal", name, reply=False)
    until(channel, b"got\n")
    assert ended(channel) == 7


def test_signals_that_are_none(transport):
    channel = transport.open_session()
    channel.exec_command("echo up; read x; echo still")
    until(channel, b"up\n")
    for name in ("NONE", "SIGTERM", "9", "", "STOP"):
        request(channel, "signal", name, reply=False)
    channel.send(b"\n")
    until(channel, b"still\n")
    assert ended(channel) == 0


def modes(*pairs):
    return b"".join(struct.pack(">BI", code, value) for code, value in pairs) + b"\0"


def test_modes_of_the_terminal(transport):
    """RFC 4254 s.8: characters, flags of each kind, speeds; those that nobody knows are passed over."""
    channel = transport.open_session()
    wanted = modes((1, 7), (3, 8), (5, 1), (36, 0), (50, 1), (51, 1), (53, 0), (70, 1), (72, 1), (91, 1), (128, 38400), (129, 38400), (99, 1))
    assert request(channel, "pty-req", "vt220", 77, 33, 0, 0, wanted)
    channel.exec_command("stty -a; stty size; echo $TERM; echo do''ne")
    out = until(channel, b"done").decode().replace("\r", "")
    assert "intr = ^G;" in out and "erase = ^H;" in out and "eof = ^A;" in out and "33 77" in out and "vt220" in out
    assert "speed 38400 baud" in out and {"-icrnl", "-echo", "icanon", "isig", "opost", "onlcr", "cs8"} <= set(re.split(r"[\s;]+", out)), out


def test_the_window_changes(transport):
    channel = transport.open_session()
    channel.get_pty("vt100", 80, 24)
    channel.exec_command("trap 'stty size' WINCH; echo up; while :; do sleep 0.05; done")
    until(channel, b"up")
    channel.resize_pty(101, 47)
    until(channel, b"47 101")
    channel.close()


def test_a_break_interrupts(transport):
    """RFC 4335: what a terminal's break key does."""
    channel = transport.open_session()
    assert request(channel, "pty-req", "vt100", 80, 24, 0, 0, modes((50, 1)))
    channel.exec_command("stty brkint -ignbrk; trap 'echo got; exit 9' INT; echo up; while :; do sleep 0.05; done")
    until(channel, b"up")
    assert request(channel, "break", 500)


@pytest.mark.parametrize("number,name", [(signal.SIGKILL, "KILL"), (signal.SIGTERM, "TERM"), (signal.SIGSEGV, "SEGV")])
def test_a_program_that_was_killed(server, person, lab, number, name):
    """exit-signal: RFC 4254 s.6.10."""
    done = lab.ssh(server, "-v", "-l", person.name, f"exec sh -c 'kill -{int(number)} $$'", program="ssh")
    assert done.returncode == 255 and b"rtype exit-signal reply 0" in done.stderr


def test_what_is_not_known_is_refused(transport):
    channel = transport.open_session()
    assert not request(channel, "of-nobody@example.com")
    assert transport.global_request("of-nobody@example.com", wait=True) is None
    with pytest.raises(paramiko.ChannelException) as e:
        transport.open_channel("of-nobody@example.com", timeout=20 * SLOW)
    assert e.value.code in (3, 2)  # "unknown channel type"; OpenSSH: "connect failed"


def test_announced_extensions(transport):
    found = transport.server_extensions
    algorithms = found["server-sig-algs"].decode().split(",")
    assert {"ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "sk-ssh-ed25519@openssh.com",
            "sk-ecdsa-sha2-nistp256@openssh.com", "rsa-sha2-512", "rsa-sha2-256"} <= set(algorithms)
    assert found["publickey-hostbound@openssh.com"] == b"0"


SAME = {"port", "addressfamily", "usepam", "maxsessions", "clientaliveinterval", "x11displayoffset", "permitrootlogin", "ignorerhosts",
        "pubkeyauthentication", "passwordauthentication", "printmotd", "printlastlog", "x11uselocalhost", "permittty", "permituserrc",
        "strictmodes", "tcpkeepalive", "permitemptypasswords", "compression", "gatewayports", "usedns", "allowtcpforwarding",
        "allowagentforwarding", "disableforwarding", "allowstreamlocalforwarding", "streamlocalbindunlink", "fingerprinthash",
        "exposeauthinfo", "pidfile", "versionaddendum", "forcecommand", "chrootdirectory", "authenticationmethods", "authorizedkeysfile",
        "banner", "subsystem", "maxstartups", "permittunnel", "permitopen", "permitlisten", "permituserenvironment", "acceptenv",
        "allowusers", "denygroups", "loglevel", "syslogfacility", "maxauthtries", "logingracetime", "hostkey", "rekeylimit"}


@pytest.mark.parametrize("subject", ["user=ann,host=a.example,addr=192.0.2.7,laddr=127.0.0.1,lport=22", "user=bob,host=b,addr=198.51.100.1"])
def test_dump_is_openssh_s(keys, tmp_path, subject):
    """-T -C, line by line, of a file with a bit of everything."""
    path = tmp_path / "sshd_config"
    path.write_text(f"""Port 2222
Port 22
HostKey {keys.path("host")}
PermitRootLogin without-password
ClientAliveInterval 2m
LoginGraceTime 1h
MaxStartups 5:50:60
AcceptEnv LANG LC_*
AcceptEnv FOO
AllowUsers ann bob@198.51.100.0/24
DenyGroups x "y"
SetEnv A=b "C=d e"
SyslogFacility LOCAL3
RekeyLimit 1G 1h
Subsystem sftp internal-sftp -l INFO
PermitOpen 192.0.2.1:80 [2001:db8::1]:443
AuthenticationMethods publickey,password publickey,keyboard-interactive
Match User ann Address 192.0.2.0/24
    ForceCommand /bin/echo "a b"
    PermitTTY no
    X11Forwarding no
Match Host b
    ChrootDirectory /srv/%u
    MaxSessions 2
""")
    dumps = []
    for program in (tool("sshd"), require("sshd")):
        done = subprocess.run([program, "-T", "-C", subject, "-f", str(path)], capture_output=True, text=True, timeout=30)
        assert done.returncode == 0, done.stderr
        dumps.append(sorted(line for line in done.stdout.splitlines() if line.split()[0] in SAME))
    assert dumps[0] == dumps[1]
