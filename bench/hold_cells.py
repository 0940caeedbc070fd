"""The table of bench/hold.py: a cell is a fault with a workload. Each runs in a process of its own (hold.py --part), and where many
run at once, what takes long in several: its failures, and of sftp its file, are shared out among them."""
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from hold_faults import FAULTS, takes
from hold_workloads import WORKLOADS, Result

PART_S = 240  # the most that a part of a cell should take, about
ROOM_MIB = 12 << 10  # on the disk, for all files of sftp at once
END_S = 60  # for parts that are to end
TURN_S = 0.25


class Cell:
    """Failures of one kind under one workload; its parts have their turn one by one."""

    def __init__(self, args, fault, workload):
        self.fault, self.workload, self.result = fault, workload, Result()
        seconds = takes(FAULTS[fault], workload) * args.cuts
        parts = max(1, min(args.jobs, args.cuts, -(-seconds // PART_S))) if args.jobs > 1 else 1
        self.open = parts
        cuts = [args.cuts // parts + (i < args.cuts % parts) for i in range(parts)]
        size = -(-args.size // parts)
        self.parts = [Part(self, n, i, size if workload == "sftp" else 0) for i, n in enumerate(cuts)]

    def take(self, text, status, number):
        """What a part has said."""
        self.open -= 1
        try:
            self.result.add(json.loads(text))
        except ValueError:
            self.result.failed += 1
            self.result.notes.append(f"part {number} ended with {status}")


class Part:
    def __init__(self, cell, cuts, number, size):
        self.cell, self.cuts, self.number, self.size = cell, cuts, number, size
        self.room = 3 * size  # here, there, and back

    def start(self, args, folder):
        name = f"{self.cell.fault}-{self.cell.workload}-{self.number}"
        words = [sys.executable, os.path.join(os.path.dirname(os.path.abspath(__file__)), "hold.py"),
                 "--part", f"{self.cell.fault}/{self.cell.workload}", "--bin", args.bin, "--cuts", str(self.cuts),
                 "--size", str(max(1, self.size)), "--delay", str(args.delay), "--seed", str(args.seed + self.number)]
        own = os.path.join(folder, name)
        os.mkdir(own)
        os.chmod(own, 0o755)
        self.log = os.path.join(args.log, name + ".log") if args.log else None
        with contextlib.ExitStack() as stack:
            err = stack.enter_context(open(self.log, "wb")) if self.log else None
            self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=err, text=True,
                                            start_new_session=True, env=dict(os.environ, TMPDIR=own))

    def ended(self):
        if self.process.poll() is None:
            return False
        self.cell.take(self.process.stdout.read(), self.process.returncode, self.number)
        self.process.stdout.close()
        if self.log and os.path.getsize(self.log) == 0:
            os.remove(self.log)
        return True

    def interrupt(self):
        """The bench in it hears it, not unshare, and cleans up."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGINT)

    def end(self):
        try:
            self.process.wait(END_S)
        except subprocess.TimeoutExpired:
            self.process.kill()  # with all that is in its name space
            self.process.wait()


def times(back, rtt_ms):
    if not back:
        return ""
    ms = sorted(1000 * b for b in back)
    half = ms[len(ms) // 2]
    return f"{half:>6.0f} {ms[len(ms) * 9 // 10]:>6.0f} {ms[-1]:>6.0f} ms" + (f" {half / rtt_ms:>5.1f} rt" if rtt_ms else "")


def row(args, cell):
    r = cell.result
    if r.under_way:
        r.notes.insert(0, f"{r.under_way} with a request under way, {r.signed} signatures")
    print(f"{cell.fault:<13} {cell.workload:<9} {r.cuts:>8} {r.links:>6} {r.failed:>6} {r.lost:>6} {r.doubled:>8} {r.seconds:>6.0f}   "
          f"{times(r.back, 2 * args.delay)} {'; '.join(r.notes)}", flush=True)


def next_part(waiting, running):
    """The first one whose files have room."""
    used = sum(p.room for p in running)
    return next((p for p in waiting if not running or used + p.room <= ROOM_MIB or p.room == 0), None)


def turn(args, folder, waiting, running):
    """Parts that have ended make room for others; the cells that are whole by that."""
    whole = []
    for part in [p for p in running if p.ended()]:
        running.remove(part)
        if part.cell.open == 0 and part.cell not in whole:
            whole.append(part.cell)
    if len(running) < args.jobs and (part := next_part(waiting, running)) is not None:  # not all in the same moment
        waiting.remove(part)
        part.start(args, folder)
        running.append(part)
    return whole


def table(args):
    """Runs all; the number of runs that ended."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    cells = [Cell(args, f, w) for f in args.faults.split(",") for w in args.workloads.split(",") if FAULTS[f].only in (None, w)]
    waiting, running = [p for c in cells for p in c.parts], []
    folder = tempfile.mkdtemp(prefix="bowline-hold-")
    os.chmod(folder, 0o755)
    if args.log:
        os.makedirs(args.log, exist_ok=True)
    print(f"{'fault':<13} {'workload':<9} {'failures':>8} {'links':>6} {'ended':>6} {'lost':>6} {'doubled':>8} {'s':>6}   back")
    try:
        while waiting or running:
            for cell in turn(args, folder, waiting, running):
                row(args, cell)
            time.sleep(TURN_S)
    finally:
        for part in running:
            part.interrupt()
        for part in running:
            part.end()
        shutil.rmtree(folder, ignore_errors=True)
    return sum(c.result.failed for c in cells)
