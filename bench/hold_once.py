#!/usr/bin/python3
"""What bench/hold.py's random moments do not reach, each once: on the same path.

    bench/hold_once.py [--bin BUILD] [--delay 50] [--cases pending,host,storm] [--minutes 5] [--workloads terminal,streams]

  pending  a program writes 100 MiB while its client is away: does it wait, how much memory has its holder, does all of it arrive?
  host     all of the server is killed, holders and all, and started again: what does the client say, and how soon does it end?
  storm    500 ms, 30 % lost, a fifth out of order for --minutes: how many links does a terminal, and do 20 streams, need (or other workloads of hold.py)?
For root, in name spaces of its own. Exit status 1: a byte was lost, or the client did not end.
"""
import argparse
import contextlib
import hashlib
import os
import signal
import subprocess
import sys
import time

from hold import TOP, laboratory_of
from hold_faults import Fault, kill, loss, processes
from hold_many import private_kb, start_again
from hold_workloads import WORKLOADS, Failure, Result

MIB = 1 << 20
PENDING = 100


def popen(bench, command):
    return subprocess.Popen(bench.ssh(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def started(ssh):
    if ssh.stdout.readline() != b"up\n":
        raise Failure(f"no session: {ssh.communicate()[1][-200:]!r}")


def settled(pid):
    """Kilobytes, when they do not change any more."""
    size, limit = -1, time.monotonic() + 60
    while time.monotonic() < limit and private_kb(pid) != size:
        size = private_kb(pid)
        time.sleep(1)
    return size


def case_pending(bench):
    ssh = popen(bench, f"echo up; read x; dd if=/dev/zero bs=65536 count={PENDING * 16} status=none")
    started(ssh)
    time.sleep(1.5)
    holder, = processes(f"sshd: {bench.suite.account}")
    before = private_kb(holder)
    ssh.stdin.write(b"go\n")
    ssh.stdin.flush()
    ssh.stdout.read(65536)
    bench.path.tell("now drop")
    kill(("sshd: gate",), signal.SIGKILL)
    away = settled(holder)
    alive = bool(processes("dd"))
    bench.path.tell("pass")
    began = time.monotonic()
    out, _ = ssh.communicate(timeout=120)
    if hashlib.sha256(out).digest() != hashlib.sha256(bytes(PENDING * MIB - 65536)).digest() or ssh.returncode != 0:
        raise Failure(f"{len(out) + 65536} bytes of {PENDING * MIB}, status {ssh.returncode}")
    print(f"pending: the holder had {before} kB of its own, {away} kB while {PENDING} MiB waited; the program "
          f"{'waited' if alive else 'was gone'}; all arrived in {time.monotonic() - began:.1f} s", flush=True)


def case_host(bench):
    ssh = popen(bench, "echo up; cat")
    started(ssh)
    time.sleep(1.5)
    kill(("sshd", bench.sshd), signal.SIGKILL)
    bench.suite.process.wait()
    began = time.monotonic()
    start_again(bench.suite)
    _, err = ssh.communicate(timeout=60)
    print(f"host: the client ends with {ssh.returncode} after {time.monotonic() - began:.1f} s: {' / '.join(err.decode().splitlines())}", flush=True)
    if ssh.returncode != 255:
        raise Failure("another status was expected")


def case_storm(bench):
    for name in bench.args.workloads.split(","):
        bench.begin(Fault(7, "", "none", loss(60 * bench.args.minutes)), 1)
        before = bench.path.stat()[1]
        result = Result()
        WORKLOADS[name](bench, result)
        print(f"storm: {name}: {bench.path.stat()[1] - before - 1} new links in {bench.args.minutes} minutes, {result.lost} lost, "
              f"{result.doubled} doubled", flush=True)


CASES = {name[5:]: f for name, f in list(globals().items()) if name.startswith("case_")}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default=os.path.join(TOP, "build"))
    parser.add_argument("--delay", type=int, default=50, help="one way, ms")
    parser.add_argument("--cases", default=",".join(CASES))
    parser.add_argument("--minutes", type=int, default=5)
    parser.add_argument("--workloads", default="terminal,streams")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    args = parser.parse_args()
    bad = 0
    with contextlib.ExitStack() as stack:
        bench = laboratory_of(args, stack)
        for name in args.cases.split(","):
            bench.begin(Fault(0, "", "none"))
            try:
                CASES[name](bench)
            except (Failure, subprocess.TimeoutExpired) as e:
                bad += 1
                print(f"{name}: {e}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
