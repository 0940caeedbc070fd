#!/usr/bin/python3
"""Many connections that lose their server at once: what each costs while it has no link, and how soon all are back.

    bench/hold_many.py [--bin BUILD] [--clients 1000] [--away 5] [--command]

So many `ssh -N` (with --command: each with a running program) are started, 16 for an account, for that is the most of one user
that may be without a link. Then the server is killed, keeper, listener and gates, and started again after --away seconds.
Exit status 1: one of them did not come back within 30 seconds, or not as the same connection.
"""
import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import time

from lab import Suite, laboratory, median, wait_listening

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
EACH = 16  # SUSPENDED_MOST of server/keeper_resume.c
ALL_BACK = 30  # seconds


@contextlib.contextmanager
def accounts(n):
    names = [f"bwm{os.getpid() % 100000}x{i}" for i in range(n)]
    made = []
    try:
        for name in names:
            subprocess.run(["useradd", "-m", "-s", "/bin/sh", "-p", "*", name], check=True)
            made.append(name)
        yield names
    finally:
        for name in made:
            subprocess.run(["userdel", "-r", "-f", name], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def title(pid):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as f:
            return f.read().split(b"\0")[0].decode(errors="replace")
    except OSError:
        return ""


def private_kb(pid):
    """Memory that is this process's alone."""
    total = 0
    with contextlib.suppress(OSError), open(f"/proc/{pid}/smaps_rollup") as f:
        for line in f:
            if line.startswith(("Private_Clean:", "Private_Dirty:")):
                total += int(line.split()[1])
    return total


def rows(args, suite):
    out = subprocess.run([os.path.join(args.bin, "bin", "bowline"), "sessions", "--json", "--port", str(suite.port)],
                         capture_output=True, text=True, timeout=120).stdout
    return json.loads(out) if out else []


def wait(what, condition, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.2)
    print(f"{what}: not within {seconds} s", file=sys.stderr)
    return False


def count(args, suite, state):
    return sum(r["state"] == state for r in rows(args, suite))


def kill_server(suite, others=("sshd: gate", "sshd: listener")):
    """All that is root's or a gate: what an upgrade that goes wrong, or the kernel short of memory, would take. The keeper first, which
    would start another listener; and until they are gone, for they have the port."""
    suite.process.kill()
    suite.process.wait()
    left, limit = [p for p in suite.group.pids() if title(p).startswith(others)], time.monotonic() + 30
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    while any(title(p) for p in left) and time.monotonic() < limit:
        time.sleep(0.01)


def start_again(suite):
    suite.process = subprocess.Popen(suite.process.args, preexec_fn=suite.group.enter, stdin=subprocess.DEVNULL, stdout=suite.log,
                                     stderr=suite.log)
    wait_listening(suite.port, 30, suite.address)


def memory(suite, kind):
    sizes = [private_kb(p) for p in suite.group.pids() if title(p).startswith(kind)]
    return median(sizes) if sizes else 0


def start_clients(args, suite, names, clients):
    for i in range(args.clients):
        words = suite.command(suite.ssh, *(["sleep 3600"] if args.command else []),
                              options=() if args.command else ("-N",))
        at = next(k for k, w in enumerate(words) if w.endswith("@127.0.0.1"))
        words[at] = f"{names[i // EACH]}@127.0.0.1"
        clients.append(subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        if i % 20 == 19:  # no storm at the beginning
            wait("logins", lambda n=i: count(args, suite, "connected") > n - 20, 120)
    return wait("all logins", lambda: count(args, suite, "connected") == args.clients, 120)


def measure(args, suite):
    before = {r["id"] for r in rows(args, suite)}
    print(f"connected: {len(before)}; a gate has {memory(suite, 'sshd: gate'):.0f} kB of its own, a holder "
          f"{memory(suite, 'sshd: bwm'):.0f} kB")
    kill_server(suite)
    time.sleep(args.away)
    print(f"without a link: a holder has {memory(suite, 'sshd: bwm'):.0f} kB of its own")
    begin = time.monotonic()
    start_again(suite)
    suspended = rows(args, suite)
    print(f"killed and started again: {len(suspended)} connections are known, "
          f"{sum(r['state'] == 'suspended' for r in suspended)} without a link")
    half = None
    while time.monotonic() < begin + 2 * ALL_BACK:
        n = count(args, suite, "connected")
        if half is None and n >= args.clients / 2:
            half = time.monotonic() - begin
        if n >= args.clients:
            break
        time.sleep(0.2)
    took = time.monotonic() - begin
    same = before & {r["id"] for r in rows(args, suite) if r["state"] == "connected"}
    print(f"back: {len(same)} of {args.clients} in {took:.1f} s" + (f", half of them in {half:.1f} s" if half else ""))
    return len(same) == args.clients and took <= ALL_BACK


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", default=os.path.join(TOP, "build"))
    parser.add_argument("--clients", type=int, default=1000)
    parser.add_argument("--away", type=float, default=5, help="seconds without a server")
    parser.add_argument("--command", action="store_true", help="each with a program that runs")
    args = parser.parse_args()
    clients, good = [], False
    with laboratory() as (folder, account), accounts((args.clients + EACH - 1) // EACH) as names:
        ours = os.path.join(args.bin, "bin")
        suite = Suite("bowline-many", os.path.join(ours, "ssh"), os.path.join(ours, "sshd"), folder, folder, account)
        try:
            good = start_clients(args, suite, names, clients) and measure(args, suite)
            lost = sum(c.poll() is not None for c in clients)
            if lost:
                print(f"{lost} clients have ended", file=sys.stderr)
        finally:
            for c in clients:
                c.terminate()
            for c in clients:
                c.wait()
            suite.stop()
    print("load of the machine: " + open("/proc/loadavg").read().strip())
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
