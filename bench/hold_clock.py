#!/usr/bin/python3
"""Hours of silence in a minute: our client and server with clocks that jump, over a path that is silent or forgets.

    bench/hold_clock.py [--bin BUILD] [--cases silence,limit,asleep] [--limits 60,240,350,600] [--hours 24]

clock_shift.c moves the programs' clocks. As long as packets pass time is real; when all is quiet it jumps ahead by steps. Cases:
  silence  nothing passes for 30 minutes, and for 8 hours: does the terminal go on, and when is the link back?
  limit    a NAT that forgets without a word what was silent for 60, 240, 350, 600 s: how often does an idle session lose its link in
           --hours, and how many packets does that cost?
  asleep   the client stands still for 10 hours, the server for 10 minutes
For root, in name spaces of its own. Exit status 1: a session ended, or a byte was lost.
"""
import argparse
import contextlib
import os
import random
import signal
import struct
import sys
import tempfile
import time

from hold import TOP, laboratory_of
from hold_faults import Fault, kill, processes
from hold_path import enter
from hold_workloads import Failure, Result, Terminal

QUIET_S = 0.02  # real seconds without a packet: then time may jump,
TURNS = 3  # as soon as everybody has waited so often since, however busy the machine is: an answer is not late because nobody had a turn
STEP_S = 10  # so far at once


class Clock:
    """What clock_shift.c adds to the clocks: all three alike, or the time of a sleep, in which CLOCK_MONOTONIC stands still."""

    def __init__(self, path):
        self.path, self.mono, self.boot = path, 0, 0
        with open(path, "wb") as f:
            f.write(bytes(4096))
        self.put()

    def put(self):
        ns = 10 ** 9
        with open(self.path, "r+b") as f:
            f.write(struct.pack("=qqq", self.mono * ns, self.boot * ns, self.boot * ns))

    def jump(self, seconds, asleep=False):
        self.mono += 0 if asleep else seconds
        self.boot += seconds
        self.put()


def waits(pid):
    """How often a process has waited; a million: it is gone, or stopped."""
    with contextlib.suppress(OSError, StopIteration):
        with open(f"/proc/{pid}/status") as f:
            lines = dict(line.split(":", 1) for line in f)
        if lines["State"].split()[0] != "T":
            return int(lines["voluntary_ctxt_switches"])
    return 10 ** 6


class World:
    """The path, and the time that passes on it."""

    def __init__(self, bench, clock):
        self.bench, self.path, self.clock = bench, bench.path, clock
        self.seen, self.last_s, self.waited = self.path.stat()[0], 0.0, {}
        self.limit, self.started, self.forgotten, self.clear = 0, time.monotonic(), 0, False

    def now(self):
        """Seconds, as the programs count them."""
        return time.monotonic() - self.started + self.clock.mono

    def busy(self):
        packets = self.path.stat()[0]
        moved, self.seen = packets != self.seen, packets
        if moved:
            self.last_s = self.now()
            self.clear = False
        return moved

    def note(self):
        suite = self.bench.suite
        self.waited = {pid: waits(pid) for pid in processes(suite.ssh, "sshd: gate", f"sshd: {suite.account}")}

    def turned(self):
        """Client, gate and holder have seen what there was to be seen."""
        return all(waits(pid) >= before + TURNS for pid, before in self.waited.items() if before < 10 ** 6)

    def step(self):
        """Until it is quiet, then ahead; the NAT forgets what was silent for too long."""
        quiet = time.monotonic() + QUIET_S
        self.waited = {pid: waits(pid) for pid in self.waited}
        while time.monotonic() < quiet or not self.turned():
            if self.busy():
                quiet = time.monotonic() + QUIET_S
                self.note()
            time.sleep(0.005)
        self.clock.jump(STEP_S)
        if self.limit and not self.clear and self.now() - self.last_s >= self.limit:
            self.path.tell("now forget")
            self.clear = True
            self.forgotten += 1

    def run(self, seconds, terminal):
        end = self.now() + seconds
        self.note()
        while self.now() < end:
            self.step()
            terminal.take(0)


def start(bench):
    bench.begin(Fault(0, "", "none"))
    t = Terminal(bench, Result())
    t.ready()
    check(t)
    return t


def check(t):
    """A line goes there and back; the seconds that it takes."""
    began = time.monotonic()
    t.type()
    t.until(len(t.sent))
    return time.monotonic() - began


def case_silence(bench, world):
    for minutes in (30, 480):
        with contextlib.closing(start(bench)) as t:
            bench.path.tell("now drop")
            for _ in range(100):
                t.type()
            world.run(60 * minutes, t)
            bench.path.tell("pass")
            began, before = time.monotonic(), world.now()
            while t.got < len(t.sent):
                world.step()
                t.take(0)
                if time.monotonic() - began > 60:
                    raise Failure(f"{len(t.sent) - t.got} bytes did not come back")
            print(f"silence of {minutes:>4} min: {len(t.sent)} bytes typed into it all came, {world.now() - before:.0f} s of the client's "
                  f"time after it", flush=True)


def case_limit(bench, world):
    for limit in (int(x) for x in bench.args.limits.split(",")):
        with contextlib.closing(start(bench)) as t:
            before, syns = world.path.stat()[:2]
            world.limit, world.forgotten, world.clear = limit, 0, False
            for hour in range(bench.args.hours):
                world.run(3600, t)
                if hour == 0:
                    first = world.path.stat()[1] - syns
            world.limit = 0
            packets, links = (a - b for a, b in zip(world.path.stat()[:2], (before, syns)))
            check(t)
            print(f"limit {limit:>3} s, {bench.args.hours} h: the NAT forgot {world.forgotten} times, {links} new links, {first} of them in "
                  f"the first hour; {packets / bench.args.hours / 60:.2f} packets a minute, both ways together", flush=True)


def case_asleep(bench, world):
    for who, hours in (("client", 10), ("server", 1 / 6)):
        names = {"client": (bench.suite.ssh,), "server": ("sshd", bench.sshd)}[who]
        with contextlib.closing(start(bench)) as t:
            kill(names, signal.SIGSTOP)
            bench.path.tell("now forget")
            world.clock.jump(int(3600 * hours), asleep=True)
            time.sleep(2)
            kill(names, signal.SIGCONT)
            if who == "client":
                bench.path.readdress()  # as a machine that wakes up finds its network anew
            print(f"{who} asleep for {hours:.1f} h: the first key after {1000 * check(t):.0f} ms", flush=True)


CASES = {name[5:]: f for name, f in list(globals().items()) if name.startswith("case_")}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default=os.path.join(TOP, "build"))
    parser.add_argument("--cases", default=",".join(CASES))
    parser.add_argument("--limits", default="60,240,350,600")
    parser.add_argument("--hours", type=int, default=24)
    parser.add_argument("--delay", type=int, default=5, help="one way, ms")
    args = parser.parse_args()
    args.seed = random.randrange(1 << 30)
    enter()  # before the file of the clock is made
    bad = 0
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(tempfile.NamedTemporaryFile(prefix="bowline-clock-"))
        os.environ["CLOCK_SHIFT"] = file.name
        clock = Clock(file.name)
        os.chmod(file.name, 0o644)
        bench = laboratory_of(args, stack, os.path.join(args.bin, "bench", "libclock_shift.so"))
        for name in args.cases.split(","):
            try:
                CASES[name](bench, World(bench, clock))
            except Failure as e:
                bad += 1
                print(f"{name}: {e}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
