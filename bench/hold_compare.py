#!/usr/bin/python3
"""Which tool's session goes on, over which failure of its network? Real ones: another route, another address, silence, loss.

    bench/hold_compare.py [--bin BUILD] [--tools bowline,autossh,tmux,mosh] [--faults route,address,silence,forgotten,loss]

Each tool types a numbered line every 100 ms into a program that writes down what it hears and answers. For root. The table: does
the same program go on; how many lines it never heard or heard twice; and the time from the network's return to the first answer
to a line that was typed after it. bowline: our ssh and sshd; the others: Debian's.
"""
import argparse
import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time

from lab import Suite, laboratory
from netns import Network

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PATIENCE = 40
STEP = 0.1


def alive(suite):
    return suite.command("ssh", options=("-tt", "-e", "none", "-o", "ServerAliveInterval=2", "-o", "ServerAliveCountMax=2"))


def tool_bowline(ours, debian, script):
    return [*ours.command(ours.ssh, options=("-tt", "-e", "none")), script], {}


def tool_autossh(ours, debian, script):
    return ["autossh", "-M", "0", *alive(debian)[1:], script], {"AUTOSSH_GATETIME": "0", "AUTOSSH_POLL": "5"}


def tool_tmux(ours, debian, script):
    return ["autossh", "-M", "0", *alive(debian)[1:], f"TERM=xterm tmux -S {debian.folder}/tmux/s new -A -s hold {script}"], \
        {"AUTOSSH_GATETIME": "0", "AUTOSSH_POLL": "5"}


def tool_mosh(ours, debian, script):
    words = debian.command("ssh")
    ssh, host = words[:-1], words[-1]
    return ["mosh", "--predict=never", "--bind-server=any", "--ssh=" + " ".join(ssh), host, "--", "sh", script.split()[-1]], {}


TOOLS = {name[5:]: f for name, f in list(globals().items()) if name.startswith("tool_")}


# ---- faults: each returns when the network is there again ----

def fault_route(net):
    undo = net.other_route()
    return undo


def fault_address(net):
    net.other_address()


def fault_silence(net):
    net.swallow()
    time.sleep(8)
    net.heal()


def fault_forgotten(net):
    """A NAT has forgotten all connections there are; new ones pass."""
    ports = subprocess.run(net.inside(["ss", "-Htun"]), capture_output=True, text=True).stdout
    mine = {m.group(1) for m in re.finditer(r"\S+:(\d+)\s+\S+:\d+\s*$", ports, re.M)}
    net.rules("; ".join(f"th sport {p} drop; th dport {p} drop" for p in mine) if mine else "")


def fault_loss(net):
    """30 packets of a hundred for 10 s."""
    net.lose(30)
    time.sleep(10)
    net.heal()


FAULTS = {name[6:]: f for name, f in list(globals().items()) if name.startswith("fault_")}


class Session:
    """A tool in a terminal, and what the far program has heard."""

    def __init__(self, net, args, env, heard):
        self.heard_path, self.typed, self.shown = heard, 0, b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
            os.environ.update(env, TERM="xterm", LC_ALL="C.UTF-8")
            args = net.inside(args)
            os.execvp(args[0], args)

    def heard(self):
        try:
            with open(self.heard_path) as f:
                return [line.rstrip("\n") for line in f]
        except OSError:
            return []

    def show(self, seconds):
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if not select.select([self.fd], [], [], left)[0]:
                return
            try:
                data = os.read(self.fd, 65536)
            except OSError:
                return
            if not data:
                return
            self.shown = (self.shown + data)[-200000:]

    def type(self):
        self.typed += 1
        with contextlib.suppress(OSError):
            os.write(self.fd, b"n%d.\r" % self.typed)
        return self.typed

    def until(self, what, seconds, typing=False):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if what():
                return True
            if typing:
                self.type()
            self.show(STEP)
        return False

    def stop(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.fd)


def listener(folder, number):
    """A program that writes down what it hears, and where. Each run has its own: one of before may live on for a while."""
    heard, script = os.path.join(folder, f"heard.{number}"), os.path.join(folder, f"listen.{number}")
    with open(script, "w") as f:
        f.write(f"#!/bin/sh\nstty -echo\necho pid $$ >> {heard}\n"
                f"while read -r l; do echo \"$l\" >> {heard}; echo \"got $l\"; done\n")
    os.chmod(script, 0o755)
    return script, heard


def measure(net, args, env, heard, fault):
    s = Session(net, args, env, heard)
    try:
        if not s.until(lambda: len(s.heard()) > 0 and s.heard()[0].startswith("pid"), PATIENCE):
            return f"no session: {s.shown[-100:]!r}"
        s.until(lambda: len(s.heard()) > 20, PATIENCE, typing=True)
        undo = FAULTS[fault](net)
        back = time.monotonic()
        first = s.typed + 1
        came = s.until(lambda: b"got n%d." % first in s.shown or any(int(x) >= first for x in re.findall(rb"got n(\d+)\.", s.shown[-4000:])),
                       PATIENCE, typing=True)
        took = time.monotonic() - back
        last = s.type()
        s.until(lambda: f"n{last}." in s.heard()[-1:], 5)
        lines = s.heard()
        if undo is not None:
            undo()
        programs = sum(x.startswith("pid") for x in lines)
        got = [x for x in lines if not x.startswith("pid")]
        lost = last - len(set(got))
        doubled = len(got) - len(set(got))
        if doubled and os.environ.get("HOLD_SHOW"):
            print(lines, file=sys.stderr)
        state = "goes on" if came and programs == 1 else "a new program" if came else "no answer"
        return f"{state:<14} {lost:>5} lost {doubled:>3} doubled" + (f" {took:>6.1f} s" if came else "")
    finally:
        net.heal()
        s.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default=os.path.join(TOP, "build"))
    parser.add_argument("--tools", default=",".join(TOOLS))
    parser.add_argument("--faults", default=",".join(FAULTS))
    args = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder, account = stack.enter_context(laboratory())
        net = stack.enter_context(contextlib.closing(Network()))
        ours = os.path.join(args.bin, "bin")
        suites = []
        for name, ssh, sshd in (("bowline", f"{ours}/ssh", f"{ours}/sshd"), ("debian", "ssh", "/usr/sbin/sshd")):
            suites.append(Suite(name, ssh, sshd, folder, folder, account, address=net.server))
            stack.callback(suites[-1].stop)
        for sub in ("work", "tmux"):
            os.mkdir(os.path.join(folder, sub))
            os.chmod(os.path.join(folder, sub), 0o777)
        for number, (fault, tool) in enumerate((f, t) for f in args.faults.split(",") for t in args.tools.split(",")):
            script, heard = listener(os.path.join(folder, "work"), number)
            command, env = TOOLS[tool](*suites, f"sh {script}" if tool != "tmux" else script)
            subprocess.run(["tmux", "-S", f"{folder}/tmux/s", "kill-server"], stderr=subprocess.DEVNULL)
            print(f"{fault:<10} {tool:<8} {measure(net, command, env, heard, fault)}", flush=True)
        print("load of the machine: " + open("/proc/loadavg").read().strip())
    return 0


if __name__ == "__main__":
    sys.exit(main())
