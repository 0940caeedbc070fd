"""Our ssh's X11 forwarding, with a real X server and clients, through Debian's sshd and ours."""
import os
import secrets
import subprocess

import pytest

from conftest import SLOW, needs_root, require, tool, wait_until
from cutter import Cutter

pytestmark = needs_root


class Display:
    """Xvfb with a cookie, and an XAUTHORITY of our own."""

    def __init__(self, folder):
        require("xauth")
        self.xauthority = os.path.join(folder, "Xauthority")
        self.cookie = secrets.token_hex(16)
        self.server_auth = os.path.join(folder, "server.xauth")
        self.number = next(n for n in range(170 + os.getpid() % 300, 900)
                           if not os.path.exists(f"/tmp/.X11-unix/X{n}") and not os.path.exists(f"/tmp/.X{n}-lock"))
        for path in (self.server_auth, self.xauthority):
            subprocess.run(["xauth", "-q", "-f", path, "add", f"unix:{self.number}", ".", self.cookie], check=True,
                           stderr=subprocess.DEVNULL)
        self.process = subprocess.Popen([require("Xvfb"), f":{self.number}", "-auth", self.server_auth, "-screen", "0",
                                         "320x200x16", "-nolisten", "tcp", "-noreset"],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        assert wait_until(lambda: os.path.exists(f"/tmp/.X11-unix/X{self.number}"))
        self.env = {**os.environ, "DISPLAY": f":{self.number}", "XAUTHORITY": self.xauthority}

    def stop(self):
        self.process.terminate()
        self.process.wait(10 * SLOW)


@pytest.fixture(scope="module")
def display(tmp_path_factory):
    d = Display(str(tmp_path_factory.mktemp("x")))
    yield d
    d.stop()


@pytest.fixture(params=["openssh", "ours"])
def server(request, lab):
    start = lab.openssh if request.param == "openssh" else lab.sshd
    return start("LogLevel INFO\nX11Forwarding yes\nPermitUserEnvironment no")


@pytest.fixture(autouse=True)
def home_xauthority():
    """The account's own ~/.Xauthority, which sshd writes to, comes back."""
    path = os.path.expanduser("~/.Xauthority")
    kept = path + ".kept-by-test"
    if os.path.exists(path):
        os.rename(path, kept)
    yield
    for extra in (path, path + "-c", path + "-l"):
        if os.path.exists(extra):
            os.unlink(extra)
    if os.path.exists(kept):
        os.rename(kept, path)


@pytest.mark.parametrize("how", ["-X", "-Y"])
def test_a_client_reaches_the_display(lab, server, display, how):
    require("xdpyinfo")
    done = lab.ssh(server, how, "echo $DISPLAY; xdpyinfo | head -3", env=display.env)
    lines = done.stdout.decode().splitlines()
    assert done.returncode == 0 and lines[0].startswith("localhost:"), done.stderr
    assert "name of display:" in lines[1], (done.stdout, done.stderr)


def test_the_display_s_own_cookie_stays_here(lab, server, display):
    done = lab.ssh(server, "-Y", "xauth list", env=display.env)
    assert b"MIT-MAGIC-COOKIE-1" in done.stdout and display.cookie.encode() not in done.stdout


def test_a_wrong_cookie_gets_nowhere(lab, server, display):
    wrong = secrets.token_hex(16)
    done = lab.ssh(server, "-Y", f"xauth add $DISPLAY . {wrong}; xdpyinfo", env=display.env)
    assert done.returncode != 0 and b"wrong authentication" in done.stderr


def test_untrusted_clients_are_told_apart(lab, server, display):
    """With -X the X server knows them for untrusted: another client's window is out of reach."""
    require("xprop")
    trusted = lab.ssh(server, "-Y", "xprop -root -f BOWLINE 8s -set BOWLINE yes && echo set", env=display.env)
    assert b"set" in trusted.stdout
    untrusted = lab.ssh(server, "-X", "xprop -root -f BOWLINE 8s -set BOWLINE no && echo set", env=display.env)
    assert b"set\n" not in untrusted.stdout or b"error" in untrusted.stderr.lower()


def test_off_and_without_a_display(lab, server, display):
    assert lab.ssh(server, "echo [$DISPLAY]", env={**os.environ, "DISPLAY": ""}).stdout == b"[]\n"
    assert lab.ssh(server, "-X", "-x", "echo [$DISPLAY]", env=display.env).returncode == 0
    off = lab.ssh(server, "-o", "ForwardX11=no", "echo [$DISPLAY]", env=display.env)
    assert off.stdout == b"[]\n"
    none = {k: v for k, v in display.env.items() if k != "DISPLAY"}
    # Nobody who reads is at standard error: a job of cron is not mailed it.
    done = lab.ssh(server, "-X", "echo [$DISPLAY]", env=none)
    assert done.stdout == b"[]\n" and done.stderr == b""
    done = lab.ssh(server, "-X", "-o", "LogLevel=VERBOSE", "echo [$DISPLAY]", env=none)
    assert done.stdout == b"[]\n" and b"DISPLAY is not set" in done.stderr
    bad = lab.ssh(server, "-X", "echo [$DISPLAY]", env={**display.env, "DISPLAY": "$(id):0"})
    assert bad.stdout == b"[]\n" and b"not a display" in bad.stderr
    gone = lab.ssh(server, "-X", "-o", "XAuthLocation=/nowhere/xauth", "echo [$DISPLAY]", env=display.env)
    assert gone.stdout == b"[]\n" and b"xauth key data not generated" in gone.stderr


def test_time_out_of_untrusted_clients(lab, server, display):
    require("xdpyinfo")
    done = lab.ssh(server, "-X", "-o", "ForwardX11Timeout=1",
                   "xdpyinfo >/dev/null && echo first; sleep 2; xdpyinfo || echo late", env=display.env)
    assert done.stdout.split() == [b"first", b"late"], done.stderr
    assert b"ForwardX11Timeout expired" in done.stderr


def test_refused_by_the_server_goes_on(lab, display):
    server = lab.openssh("LogLevel INFO\nX11Forwarding no")
    done = lab.ssh(server, "-Y", "echo [$DISPLAY]", env=display.env)
    assert done.stdout == b"[]\n" and b"X11 forwarding request failed on channel 0" in done.stderr


def test_over_links_that_are_lost(lab, display):
    """Clients of the display come and go while links do (resume-v1@bowline)."""
    require("xdpyinfo")
    server = lab.sshd("X11Forwarding yes")
    way = Cutter(server.port)
    p = subprocess.Popen([tool("ssh"), *lab.common(way.port), "-Y", "127.0.0.1", "echo on; for i in $(seq 12); do xdpyinfo >/dev/null && echo fine; done"],
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=display.env)
    try:
        assert p.stdout.readline() == b"on\n"
        way.cut_at_random(6, 30000)
        out, err = p.communicate(timeout=60 * SLOW)
        assert (p.returncode, out) == (0, b"fine\n" * 12), err
        assert way.cuts >= 1 and "resumed from" in server.log()
    finally:
        if p.poll() is None:
            p.kill()
        p.communicate()
        way.stop()
