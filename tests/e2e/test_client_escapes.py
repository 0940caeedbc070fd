"""Escapes typed in a terminal, keystroke timing, time-outs of channels, -f, -n, environment: ours, and where Debian's
ssh has the same, Debian's as well."""
import os
import socket
import subprocess
import time

import pytest

from conftest import SLOW, free_port, require, tool, wait_until
from test_client_forward import Echo, connect, read_all, talk
from test_client_mux import Terminal

PROGRAMS = {"ours": lambda: tool("ssh"), "debian": lambda: require("ssh")}


@pytest.fixture(params=PROGRAMS)
def ssh(request):
    return PROGRAMS[request.param]()


@pytest.fixture
def server(lab):
    return lab.openssh_with_terminals("LogLevel INFO\nAcceptEnv LC_* ENV_*")


@pytest.fixture
def echo():
    e = Echo()
    yield e
    e.close()


def terminal(lab, server, ssh, *options, command="echo up; cat"):
    return Terminal(lab.ssh_args(server, "-tt", *options, command, program=ssh))


def is_closed(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) != 0


def command_line(t, line):
    t.type(b"\r~C")
    t.wait(b"ssh> ")
    t.type(line.encode() + b"\r")


def test_command_line(lab, server, ssh, echo):
    """~C: forwardings come and go; what is nonsense is told."""
    local, remote, dynamic = free_port(), free_port(), free_port()
    # Debian 12's ssh has no such option: there it is always on.
    on = ["-o", "EnableEscapeCommandline=yes"]
    with terminal(lab, server, ssh, *on) as t:
        t.wait(b"up")
        command_line(t, f"-L {local}:127.0.0.1:{echo.port}")
        t.wait(b"Forwarding port.")
        talk(connect(local))
        command_line(t, f"-R {remote}:127.0.0.1:{echo.port}")
        t.wait(b"Forwarding port.")
        talk(connect(remote))
        command_line(t, f"-D{dynamic}")
        t.wait(b"Forwarding port.")
        connect(dynamic).close()
        for option, port in (("-KL", local), ("-KD", dynamic), ("-KR", remote)):
            command_line(t, f"{option} {port}")
            t.wait(b"Canceled forwarding.")
            assert wait_until(lambda: is_closed(port))
        command_line(t, f"-KL {local}")
        t.wait(b"Unknown port forwarding.")
        command_line(t, "-L nonsense")
        t.wait(b"forwarding specification.")
        command_line(t, "nonsense")
        t.wait(b"Invalid command.")
        command_line(t, "?")
        t.wait(b"Commands:")
        t.type(b"still here\r")
        t.wait(b"still here")
        t.type(b"\r~.")
        t.wait(b"Connection to 127.0.0.1 closed.")
        assert t.status() == 255


def test_local_commands(lab, server, ssh):
    for allowed in ("yes", "no"):
        mark = os.path.join(lab.folder, f"ran-{allowed}")
        with terminal(lab, server, ssh, "-o", "EnableEscapeCommandline=yes", "-o",
                      f"PermitLocalCommand={allowed}") as t:
            t.wait(b"up")
            command_line(t, f"!echo ran > {mark}")
            if allowed == "yes":
                assert wait_until(lambda: os.path.exists(mark)), t.shown
            else:
                t.wait(b"Invalid command.")
                assert not os.path.exists(mark)


def test_command_line_is_off(lab, server):
    with terminal(lab, server, tool("ssh")) as t:
        t.wait(b"up")
        t.type(b"\r~C")
        t.wait(b"commandline disabled")


def test_other_escapes(lab, server, ssh):
    with terminal(lab, server, ssh, "-v") as t:
        t.wait(b"up")
        t.type(b"\r~#")
        t.wait(b"The following connections are open:")
        t.type(b"\r~?")
        t.wait(b"~.")
        t.type(b"\r~R")
        t.type(b"\r~~echo\r")
        t.wait(b"~echo")
        t.type(b"\r~V")
        t.wait(b"[LogLevel")
        t.type(b"\r~B")
        t.type(b"after break\r")
        t.wait(b"after break")


def test_info(lab, server):
    with terminal(lab, server, tool("ssh")) as t:
        t.wait(b"up")
        t.type(b"\r~I")
        t.wait(str(server.port).encode())
        t.wait(b"bytes in")


class Shell(Terminal):
    """A shell with job control, from which ssh is started as people do."""

    def __init__(self, args):
        super().__init__([require("bash"), "--norc", "--noprofile", "-i"])
        self.type(b"PS1='READY''> '\r")
        self.wait(b"READY> ")
        self.type(" ".join(f"'{a}'" for a in args).encode() + b"\r")


def test_suspend(lab, server, ssh):
    with Shell(lab.ssh_args(server, "-tt", "echo up; cat", program=ssh)) as t:
        t.wait(b"up\r\n")
        t.type(b"\r~\x1a")
        t.wait(b"Stopped")
        t.type(b"fg\r")
        t.type(b"again\r")
        t.wait(b"again")
        t.type(b"\r~.")
        t.wait(b"closed.")


def test_background(lab, server, ssh, echo):
    """~&: the shell is back, and what is forwarded lives on until it ends."""
    local = free_port()
    with Shell(lab.ssh_args(server, "-tt", "-L", f"{local}:127.0.0.1:{echo.port}", "echo up; cat >/dev/null",
                            program=ssh)) as t:
        t.wait(b"up\r\n")
        c = connect(local)
        c.sendall(b"before")
        assert read_all(c, 6) == b"before"
        t.type(b"\r~&")
        t.wait(b"backgrounded")
        t.type(b"echo shell $((40 + 2))\r")
        t.wait(b"shell 42")
        c.sendall(b"after")
        assert read_all(c, 5) == b"after"
        c.close()
        assert wait_until(lambda: is_closed(local))


def test_fork_and_null_input(lab, server, ssh):
    """-f goes to the background after the login with no input; -n reads nothing; both have OpenSSH's result."""
    done = lab.ssh(server, "-f", "cat; echo end", program=ssh, input=b"not read")
    assert (done.returncode, done.stdout) == (0, b"end\n")
    done = lab.ssh(server, "-n", "cat; echo end", program=ssh, input=b"not read")
    assert (done.returncode, done.stdout) == (0, b"end\n")
    done = lab.ssh(server, "-o", "StdinNull=yes", "cat; echo end", program=ssh, input=b"not read")
    assert done.stdout == b"end\n"


def test_environment(lab, server, ssh):
    """SendEnv with patterns and removals, SetEnv with blanks and equals signs."""
    env = {**os.environ, "LC_A": "a", "LC_B": "b b", "ENV_X": "x=y", "ENV_GONE": "no"}
    done = lab.ssh(server, "-o", "SendEnv=LC_* ENV_X ENV_GONE", "-o", "SendEnv=-ENV_G*", "-o", "SetEnv=ENV_S=\"s t\"",
                   "echo \"$LC_A|$LC_B|$ENV_X|$ENV_GONE|$ENV_S\"", program=ssh, env=env)
    assert done.stdout == b"a|b b|x=y||s t\n"


def test_remote_command_and_session_types(lab, server, ssh):
    args = [ssh, *lab.common(server.port), "-T", "-o", "RemoteCommand=echo %n-%%", "127.0.0.1"]
    done = subprocess.run(args, stdin=subprocess.DEVNULL, capture_output=True, timeout=20 * SLOW)
    assert done.stdout == b"127.0.0.1-%\n"
    done = subprocess.run(args + ["true"], stdin=subprocess.DEVNULL, capture_output=True, timeout=20 * SLOW)
    assert done.returncode == 255


def test_channel_timeout(lab, server, echo):
    """A quiet session is closed, a busy one is not; a quiet forwarding is closed."""
    done = lab.ssh(server, "-o", "ChannelTimeout=session=1", "echo up; sleep 25; echo late")
    assert done.returncode == 255 and done.stdout == b"up\n" and b"ChannelTimeout" in done.stderr
    done = lab.ssh(server, "-o", "ChannelTimeout=session=1", "for i in 1 2 3 4; do echo $i; sleep 0.5; done")
    assert done.returncode == 0 and done.stdout == b"1\n2\n3\n4\n"
    local = free_port()
    p = subprocess.Popen(lab.ssh_args(server, "-o", "ChannelTimeout=direct-tcpip=1", "-L",
                                      f"{local}:127.0.0.1:{echo.port}", "cat"), stdin=subprocess.PIPE,
                         stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    c = connect(local)
    c.sendall(b"x")
    assert read_all(c) == b"x"
    assert p.poll() is None
    _, err = p.communicate(timeout=20 * SLOW)
    assert p.returncode == 0 and b"ChannelTimeout" in err


@pytest.mark.parametrize("how, chaff", [("yes", True), ("no", False), ("interval:50", True)])
def test_keystroke_timing(lab, how, chaff):
    """After a key pings go out for a second and more, with a server that answers them."""
    server = lab.sshd()
    with terminal(lab, server, tool("ssh"), "-o", f"ObscureKeystrokeTiming={how}") as t:
        t.wait(b"up")

        def sent():
            t.type(b"\r~I")
            t.wait(b"bytes in, ")
            before = t.shown
            if b"bytes out" not in before:
                t.wait(b"bytes out")
                return None
            return int(before.split(b" bytes out")[0])

        def asked():
            return wait_until(sent)
        one = asked()
        t.type(b"k")
        time.sleep(0.9)
        # A key is one packet; twenty and more go where there is chaff.
        assert (asked() - one > 600) == chaff


def test_keys_are_not_held(lab):
    """What is typed leaves at the next tick, not when the chaff is over, a second or more later: each key waits for the one before."""
    server = lab.sshd()
    with terminal(lab, server, tool("ssh"), "-o", "ObscureKeystrokeTiming=yes") as t:
        t.wait(b"up")
        end = time.monotonic() + 30 * SLOW
        for i in range(100):
            t.type(b"<%d>" % i)
            t.wait(b"<%d>" % i)
            assert time.monotonic() < end, f"{i} keys of 100"
