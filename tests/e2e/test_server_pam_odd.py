"""A PAM module that misbehaves in every way: a refusal, and everybody else goes on."""
import os
import subprocess

import pytest
import rawssh
from conftest import SLOW, USER, needs_root, require
from rawssh import Closed, Fields, string, u32

pytestmark = needs_root
HERE = os.path.dirname(os.path.abspath(__file__))
LETS_IN = {"one", "max", "slow", "huge", "no-text"}


@pytest.fixture(scope="module")
def odd(module_lab, tmp_path_factory):
    """A server whose stack is that module; .mode(NAME) says what it does next."""
    folder = tmp_path_factory.mktemp("pam")
    module, mode = folder / "pam_odd.so", folder / "mode"
    built = subprocess.run([require("cc"), "-shared", "-fPIC", "-o", module, f"{HERE}/peers/pam_odd.c", "-lpam"], capture_output=True)
    if built.returncode != 0:
        pytest.skip("libpam0g-dev is not installed")
    service = f"/etc/pam.d/bowline-test-odd-{os.getpid()}"
    with open(service, "w") as f:
        f.write(f"auth required {module} {mode}\naccount required pam_permit.so\nsession required pam_permit.so\n")
    try:
        server = module_lab.sshd(f"UsePAM yes\nPAMServiceName {os.path.basename(service)}\nPasswordAuthentication yes\n"
                                 "KbdInteractiveAuthentication yes\nPermitRootLogin yes\n")
        server.mode = mode.write_text
        yield server
    finally:
        os.remove(service)


def attempt(server, method):
    """True: in; False: refused, or the link was ended. Each prompt is answered."""
    peer = rawssh.keyed(server.port)
    peer.sock.settimeout(20 * SLOW)
    try:
        peer.service()
        body = b"\0" + string("yes") if method == "password" else string("") + string("")
        peer.send(bytes([rawssh.USERAUTH_REQUEST]) + string(USER) + string("ssh-connection") + string(method) + body)
        while True:
            message = peer.expect(51, 52, 60, skip=(rawssh.EXT_INFO, rawssh.IGNORE, rawssh.DEBUG, rawssh.USERAUTH_BANNER))
            if message[0] != 60:
                return message[0] == 52
            fields = Fields(message[1:])
            fields.string(), fields.string(), fields.string()
            n = fields.u32()
            peer.send(bytes([61]) + u32(n) + string("yes") * n)
    except Closed:
        return False
    finally:
        peer.close()


@pytest.mark.parametrize("method", ["keyboard-interactive", "password"])
def test_modules_that_misbehave(odd, keys, method):
    other = rawssh.logged_in(odd.port, USER, keys.path("user"))
    for mode in ("one", "max", "many", "zero", "negative", "binary", "unknown-style", "no-text", "no-info", "controls", "huge", "huge-info",
                 "abort", "exit", "close", "code", "pam-abort", "slow", "one"):
        odd.mode(mode)
        got_in = attempt(odd, method)
        assert not got_in or mode in LETS_IN, mode
        assert got_in or mode not in ("one", "slow"), mode
    assert "\x1b" not in odd.log() and "\x07" not in odd.log()
    # Only what the module did to itself is a death.
    assert odd.log().count("died of signal") <= (1 if method == "keyboard-interactive" else 2)
    other.open_session()
    other.close()
