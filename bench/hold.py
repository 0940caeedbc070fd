#!/usr/bin/python3
"""Do sessions hold? Five workloads over a path that fails; every byte is accounted for.

    bench/hold.py [--bin BUILD] [--cuts N] [--size 16] [--delay 50] [--faults reset,fin,...] [--workloads terminal,sftp,...]

A client in a network of its own, a router and a long way (hold_path.py). Each workload runs until its path has failed so many times
(each fault has its own number, --cuts has another), each time at another random byte. The table tells, for each fault and workload:
how often it failed, runs that ended by it, bytes lost and bytes doubled, and, of a terminal, the time from the link's return to the
first echoed key: half of them, nine of ten, the longest; in milliseconds, and the middle one in round trips. For root, in name
spaces of its own. Exit status 1: something was lost.
"""
import argparse
import contextlib
import os
import random
import subprocess
import sys
import threading
import time

from hold_faults import FAULTS, processes
from hold_path import SERVER, Path, enter
from hold_workloads import WORKLOADS, Failure, Result
from lab import Suite, laboratory

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


class Bench:
    """The fault of this run, and when it happens."""

    OPTIONS = ("-o", "HostKeyAlias=bench")
    PRELOAD = ()  # before the client: what it is started with

    def __init__(self, args, suite, sshd, folder, path):
        self.args, self.suite, self.sshd, self.folder, self.path = args, suite, sshd, folder, path
        self.rng = random.Random(args.seed)
        self.serial, self.noting = 0, None

    def begin(self, fault, workload):
        self.fault, self.serial = fault, self.serial + 1
        # What nobody tells a client that only listens, it finds out by its next sign of life.
        self.wanted = self.args.cuts or (min(fault.cuts, 5) if fault.slow and workload in ("exec", "agent") else fault.cuts)
        self.cuts = self.noted = 0
        self.back_at, self.range = 0.0, None
        self.back, self.quiet = threading.Event(), threading.Event()
        self.path.restore()
        if fault.before is not None:
            fault.before(self)

    def ssh(self, *words, options=()):
        return self.path.client(*self.PRELOAD, *self.suite.command(self.suite.ssh, *words, options=(*self.OPTIONS, *options)))

    def arm(self, least, most, first=0):
        """The next failure, after a random number of bytes: between these powers of ten."""
        self.back.clear()
        self.path.on_cut = self._happen
        self.path.tell(f"at {first + int(10 ** self.rng.uniform(least, most))} {self.fault.act}")

    def arm_always(self, least, most, first=0):
        """And so on behind each."""
        self.range = (least, most)
        self.arm(least, most, first)

    def disarm(self):
        self.range = None
        self.path.tell("now none")
        limit = time.monotonic() + 120
        while self.happening and time.monotonic() < limit:
            time.sleep(0.02)

    def strike(self):
        """Now; goes on when it has begun."""
        self.back.clear()
        self.path.tell(f"now {self.fault.act}")
        threading.Thread(target=self._happen, daemon=True).start()

    happening = twice = False

    def _happen(self):
        self.happening = True
        self.noted += self.noting is not None and self.noting()
        if self.fault.then is not None:
            self.fault.then(self)
        self.cuts += 1
        self.twice = self.fault.again and self.rng.random() < 0.25
        if self.twice:
            self._again()
        self.back_at = time.monotonic()
        self.back.set()
        self.happening = False
        again = self.range
        if again is not None and self.cuts < self.wanted:
            time.sleep(0.1)
            self.arm(*again)

    def _again(self):
        """The same while the connection is on its way to a new link."""
        came = threading.Event()
        self.path.on_cut = came.set
        self.path.tell(f"at {self.rng.randrange(1, 8000)} {self.fault.act}")
        self.cuts += came.wait(3)
        self.path.tell("now none")


def run(bench, fault, name):
    result = Result()
    bench.begin(FAULTS[fault], name)
    syns = bench.path.stat()[1]
    try:
        WORKLOADS[name](bench, result)
    except Failure as e:
        result.failed += 1
        result.notes.append(str(e))
    except subprocess.TimeoutExpired:
        result.failed += 1
        result.notes.append("it did not come back")
    result.links = bench.path.stat()[1] - syns
    return result


def times(back, rtt_ms):
    if not back:
        return ""
    ms = sorted(1000 * b for b in back)
    half = ms[len(ms) // 2]
    return f"{half:>6.0f} {ms[len(ms) * 9 // 10]:>6.0f} {ms[-1]:>6.0f} ms" + (f" {half / rtt_ms:>5.1f} rt" if rtt_ms else "")


def table(args, bench):
    bad = 0
    print(f"{'fault':<13} {'workload':<9} {'failures':>8} {'links':>6} {'ended':>6} {'lost':>6} {'doubled':>8} {'s':>6}   back")
    for fault in args.faults.split(","):
        for name in args.workloads.split(","):
            if FAULTS[fault].only not in (None, name):
                continue
            began = time.monotonic()
            r = run(bench, fault, name)
            bad += r.failed
            print(f"{fault:<13} {name:<9} {bench.cuts:>8} {r.links:>6} {r.failed:>6} {r.lost:>6} {r.doubled:>8} "
                  f"{time.monotonic() - began:>6.0f}   {times(r.back, 2 * args.delay)} {'; '.join(r.notes)}", flush=True)
    return bad


def let_end(account):
    """What a client has just left goes its own way, before all is killed: else its sockets in /tmp stay."""
    limit = time.monotonic() + 5
    while processes(f"sshd: {account}") and time.monotonic() < limit:
        time.sleep(0.05)


def laboratory_of(args, stack, preload=None):
    """A path, a server and an account, for as long as the stack lives. preload: a library for server and clients."""
    enter()
    folder, account = stack.enter_context(laboratory())
    path = stack.enter_context(contextlib.closing(Path(args.bin, args.delay)))
    os.environ["XDG_STATE_HOME"] = os.path.join(folder, "state")
    os.chmod(os.path.join(folder, "user"), 0o600)
    ours = os.path.join(args.bin, "bin")
    sshd = os.path.join(ours, "sshd")
    if preload is not None:
        os.environ["LD_PRELOAD"] = preload
    suite = Suite("bowline", os.path.join(ours, "ssh"), sshd, folder, folder, account, address=SERVER,
                  sftp="/usr/lib/openssh/sftp-server", more="ResumeGrace 86400\n")
    os.environ.pop("LD_PRELOAD", None)
    stack.callback(suite.stop)
    stack.callback(let_end, account)
    bench = Bench(args, suite, sshd, folder, path)
    bench.PRELOAD = () if preload is None else ("env", "LD_PRELOAD=" + preload)
    return bench


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default=os.path.join(TOP, "build"))
    parser.add_argument("--cuts", type=int, default=0)
    parser.add_argument("--size", type=int, default=16, help="of sftp's file, MiB")
    parser.add_argument("--delay", type=int, default=50, help="one way, ms")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--faults", default=",".join(FAULTS))
    parser.add_argument("--workloads", default=",".join(WORKLOADS))
    args = parser.parse_args()
    with contextlib.ExitStack() as stack:
        bench = laboratory_of(args, stack)
        print(f"seed {args.seed}, {2 * args.delay} ms there and back")
        bad = table(args, bench)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
