"""Malformed messages of a server in every phase, channels that nobody asked for, a server that stalls a login."""
import socket
import time

import pytest
import rawssh
from agents import askpass
from conftest import SLOW
from rawssh import string, u32
from test_client_hostile import Fake, finish

MESSAGES = [1, 2, 3, 4, 5, 6, 7, 8, 20, 21, 31, 50, 51, 52, 53, 60, 61, 80, 81, 82, 90, 91, 92, 93, 94, 95, 96, 97, 98, 99, 100, 192, 193, 255]
SHAPES = {"bare": b"", "huge string": b"\xff\xff\xff\xff", "cut short": b"\0\0\0\5ab", "noise": bytes(range(200)), "long": b"\0" * 30000,
          "many strings": b"\0\0\0\1x" * 2000}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("phase", ["first", "exchange", "login", "session"])
def test_malformed_messages(keys, tmp_path, phase, shape):
    """None of them crashes the client, hangs it, or makes it go on as if nothing was wrong with a login."""
    for number in MESSAGES:
        payload = bytes([number]) + SHAPES[shape]

        def script(fake):
            if phase == "first":
                fake.peer.raw(b"SSH-2.0-fake\r\n")
                fake.peer.send(payload)
            elif phase == "exchange":
                fake.peer.start(fake.LISTS)
                fake.peer.send(payload)
            elif phase == "login":
                peer = fake.keyed()
                peer.expect(rawssh.SERVICE_REQUEST)
                peer.send(bytes([rawssh.SERVICE_ACCEPT]) + string("ssh-userauth"), payload)
            else:
                peer = fake.accept()
                peer.send(payload)
            # The client may ask, answer or leave; then it is left alone.
            fake.peer.sock.settimeout(0.3)
            try:
                for _ in range(50):
                    fake.peer.packet()
            except (TimeoutError, socket.timeout):
                pass
            fake.peer.sock.close()

        fake = Fake(keys, script, tmp_path, "true", options=["-o", "ConnectTimeout=5", "-o", "NumberOfPasswordPrompts=0"])
        assert fake.done.returncode == 255, (number, fake.stderr)
        assert "\x1b" not in fake.stderr and fake.stderr


@pytest.mark.parametrize("kind", ["session", "x11", "auth-agent@openssh.com", "agent-connect", "forwarded-tcpip", "direct-tcpip",
                                  "forwarded-streamlocal@openssh.com", "tun@openssh.com", "", "\x1b[31m"])
def test_channels_that_nobody_asked_for(keys, tmp_path, kind):
    def script(fake):
        peer, channel = fake.session()
        for number in range(5, 25):
            peer.send(bytes([rawssh.CHANNEL_OPEN]) + string(kind) + u32(number) + u32(1 << 20) + u32(1 << 15) + string("localhost") + u32(80) +
                      string("1.2.3.4") + u32(5))
        refused = 0
        while refused < 20:
            message = peer.packet()
            assert message[0] != rawssh.CHANNEL_OPEN_CONFIRMATION
            refused += message[0] == rawssh.CHANNEL_OPEN_FAILURE
        finish(peer, channel)
    fake = Fake(keys, script, tmp_path, "true")
    assert fake.done.returncode == 0, fake.stderr


@pytest.mark.parametrize("how", ["silent", "trickle"])
def test_login_that_stalls(keys, tmp_path, how):
    """ConnectTimeout holds up to the session, whatever a server drips meanwhile."""
    def script(fake):
        peer = fake.asked()
        end = time.monotonic() + 20 * SLOW
        peer.sock.settimeout(0.2)
        while time.monotonic() < end:
            if how == "trickle":
                peer.send(bytes([rawssh.IGNORE]) + string("x"))
            try:
                peer.packet()
            except (TimeoutError, socket.timeout):
                pass
    fake = Fake(keys, script, tmp_path, "true", options=["-o", "ConnectTimeout=1"])
    assert fake.done.returncode == 255 and "timed out during authentication" in fake.stderr


def test_devices_are_named(keys, tmp_path):
    seen = []

    def script(fake):
        peer = fake.asked()
        while True:
            request = fake.request()
            if request[2] == b"keyboard-interactive":
                request[3].string()
                seen.append(request[3].string())
                return peer.close()
            peer.send(bytes([rawssh.USERAUTH_FAILURE]) + string("keyboard-interactive") + b"\0")
    Fake(keys, script, tmp_path, "true", options=["-o", "KbdInteractiveDevices=pam,skey"], batch="no")
    assert seen == [b"pam,skey"]


def test_version_addendum(keys, tmp_path):
    seen = []

    def script(fake):
        peer = fake.keyed()
        seen.append(peer.peer_ident)
        peer.close()
    Fake(keys, script, tmp_path, "true", options=["-o", "VersionAddendum=of the yard"])
    assert seen[0].startswith(b"SSH-2.0-Bowline_") and seen[0].endswith(b" of the yard")
    Fake(keys, script, tmp_path, "true", options=["-o", "VersionAddendum=none"])
    assert b" " not in seen[1]
    # Longer than a line may be: said, not sent.
    fake = Fake(keys, script, tmp_path, "true", options=["-o", "VersionAddendum=" + "x" * 300])
    assert fake.done.returncode == 255 and "identification" in fake.stderr


def test_a_password_that_must_be_changed(keys, tmp_path, monkeypatch):
    """RFC 4252 s.8: the server's words are shown, the new password is asked for twice and sent with the old one."""
    seen = []

    def script(fake):
        peer = fake.asked()
        while True:
            _, _, method, fields = fake.request()
            if method != b"password":
                peer.send(bytes([rawssh.USERAUTH_FAILURE]) + string("password") + b"\0")
                continue
            change = fields.u8()
            seen.append([fields.string() for _ in range(1 + change)])
            if change:
                peer.send(bytes([rawssh.USERAUTH_SUCCESS]))
                return peer.close()
            peer.send(bytes([rawssh.USERAUTH_PK_OK]) + string("too old by now") + string(""))
    monkeypatch.chdir(tmp_path)
    for name, value in askpass(str(tmp_path), 'case "$1" in *new*|*New*|*again*|*etype*) echo fresh;; *) echo old;; esac').items():
        monkeypatch.setenv(name, value)
    fake = Fake(keys, script, tmp_path, "true", batch="no", options=["-o", "PubkeyAuthentication=no"])
    assert seen == [[b"old"], [b"old", b"fresh"]], fake.stderr
    assert "too old by now" in fake.stderr
