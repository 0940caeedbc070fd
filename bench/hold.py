#!/usr/bin/python3
"""Do sessions hold? Five workloads over a path that fails; every byte is accounted for.

    bench/hold.py [--bin BUILD] [--jobs 1] [--cuts 200] [--size 1024] [--delay 50] [--faults reset,fin,...] [--workloads terminal,...]

A client in a network of its own, a router and a long way (hold_path.py). Each workload runs until its path has failed --cuts times,
each time at another random byte; sftp's 200 are spread over one file of --size MiB to the server and back. The table tells, for each
fault and workload: how often it failed, runs that ended by it (the workload is begun anew then, three times at most), bytes lost and
bytes doubled, and, of a terminal, the time from the link's return to the first echoed key: half of them, nine of ten, the longest; in
milliseconds, and the middle one in round trips. For root, each cell of the table in name spaces of its own, --jobs of them at once
(hold_cells.py); most of their time is waiting. Times are worth something with few jobs alone. Exit status 1: something was lost.
"""
import argparse
import contextlib
import json
import os
import random
import signal
import sys
import threading
import time

import hold_cells
from hold_faults import FAULTS, kill, processes, takes
from hold_path import SERVER, Path, enter
from hold_witness import tell_of
from hold_workloads import WORKLOADS, Failure, Result
from lab import Suite, laboratory

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
RUNS_MOST = 3  # that may end
UIDS = range(1 << 20, 1 << 30)  # of accounts: outside, nobody has such a number, so nobody ends what runs under it


class Bench:
    """The fault of this run, and when it happens."""

    OPTIONS = ("-o", "HostKeyAlias=bench")
    PRELOAD = ()  # before the client: what it is started with

    def __init__(self, args, suite, sshd, folder, path):
        self.args, self.suite, self.sshd, self.folder, self.path = args, suite, sshd, folder, path
        self.rng = random.Random(args.seed)
        self.serial, self.noting = 0, None
        path.tell(f"seed {self.rng.randrange(1, 1 << 31)}")

    def begin(self, fault, wanted=0):
        self.fault, self.wanted = fault, wanted
        self.cuts = self.noted = 0
        self.anew()

    def anew(self):
        """The same from the beginning, but for what was counted."""
        self.serial += 1
        self.back_at, self.draw = 0.0, None
        self.back, self.quiet = threading.Event(), threading.Event()
        self.path.restore()
        if self.fault.before is not None:
            self.fault.before(self)

    def ssh(self, *words, options=()):
        return self.path.client(*self.PRELOAD, *self.suite.command(self.suite.ssh, *words, options=(*self.OPTIONS, *options)))

    def power(self, least, most):
        """A number of bytes between these powers of ten."""
        return int(10 ** self.rng.uniform(least, most))

    def arm(self, count):
        """The next failure, after so many bytes."""
        self.back.clear()
        self.path.on_cut = self._happen
        self.path.tell(f"at {count} {self.fault.act}")

    def arm_always(self, draw, first=0):
        """After draw() bytes, and so on behind each; the first one after some more."""
        self.draw = draw
        self.arm(first + draw())

    def disarm(self):
        self.draw = None
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
        draw = self.draw
        if draw is not None and self.cuts < self.wanted:
            time.sleep(0.1)
            self.arm(draw())

    def _again(self):
        """The same while the connection is on its way to a new link."""
        came = threading.Event()
        self.path.on_cut = came.set
        self.path.tell(f"at {self.rng.randrange(1, 8000)} {self.fault.act}")
        self.cuts += came.wait(3)
        self.path.tell("now none")


def run(bench, fault, name):
    """One workload over one fault, as often as it is to fail."""
    result = Result()
    began, syns = time.monotonic(), bench.path.stat()[1]
    Failure.witness = lambda: tell_of(bench)
    bench.begin(FAULTS[fault], bench.args.cuts)
    while bench.cuts < bench.wanted and result.failed < RUNS_MOST:
        try:
            WORKLOADS[name](bench, result)
        except Failure as e:
            result.failed += 1
            result.notes.append(f"after {bench.cuts}, seed {bench.args.seed}: {e}")
            bench.disarm()
            kill((bench.suite.ssh,), signal.SIGKILL)
            bench.anew()
    result.cuts, result.links, result.under_way = bench.cuts, bench.path.stat()[1] - syns, bench.noted
    result.seconds = time.monotonic() - began
    return result


def let_end(account):
    """What a client has just left goes its own way, before all is killed: else its sockets in /tmp stay."""
    limit = time.monotonic() + 30
    while processes(f"sshd: {account}") and time.monotonic() < limit:
        time.sleep(0.05)


def laboratory_of(args, stack, preload=None):
    """A path, a server and an account, for as long as the stack lives. preload: a library for server and clients."""
    enter()
    folder, account = stack.enter_context(laboratory(random.choice(UIDS)))
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


def part(args):
    """One cell of the table, or a part of it, in this process; its result is a line of JSON."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # who starts a bench in the background has it ignored
    with contextlib.ExitStack() as stack:
        bench = laboratory_of(args, stack)
        result = run(bench, *args.part.split("/"))
        print(json.dumps(vars(result)), flush=True)


def arguments():
    hours = sum(takes(f, w) * 200 for f in FAULTS.values() for w in WORKLOADS if f.only in (None, w)) / 3600
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default=os.path.join(TOP, "build"))
    parser.add_argument("--jobs", type=int, default=1, help="so many cells of the table at once (about 25 MB and 3 %% of a core each)")
    parser.add_argument("--cuts", type=int, default=200,
                        help=f"how often each cell's path fails; with 200, all cells one after the other take about {hours:.0f} hours")
    parser.add_argument("--size", type=int, default=1024, help="of sftp's file, MiB; three of them have to find room in TMPDIR")
    parser.add_argument("--delay", type=int, default=50, help="one way, ms")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--faults", default=",".join(FAULTS))
    parser.add_argument("--workloads", default=",".join(WORKLOADS))
    parser.add_argument("--log", metavar="FOLDER", help="what parts of it say on stderr, and the state of all processes where one ended")
    parser.add_argument("--part", help=argparse.SUPPRESS)
    return parser.parse_args()


def main():
    args = arguments()
    if args.part is not None:
        part(args)
        return 0
    print(f"seed {args.seed}, {2 * args.delay} ms there and back")
    return 1 if hold_cells.table(args) else 0


if __name__ == "__main__":
    sys.exit(main())
