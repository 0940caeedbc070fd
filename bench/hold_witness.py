"""What bench/hold.py writes to stderr when a workload fails, while its processes are still there: what each of them waits for, the
connections of both sides, and what the server has said."""
import contextlib
import os
import subprocess
import sys

from hold_faults import everybody
from hold_many import title

LOG_BYTES = 6000  # of the server's log, the last ones


def read(path):
    with contextlib.suppress(OSError), open(path, errors="replace") as f:
        return f.read()
    return ""


def state(pid):
    stat = read(f"/proc/{pid}/stat").rpartition(") ")[2].split()
    return f"{pid:>6} {' '.join(stat[:2]):<8} {read(f'/proc/{pid}/wchan'):<22} {title(pid)[:100]}"


def output(*words):
    return subprocess.run(words, capture_output=True, text=True).stdout


def tell_of(bench):
    log = read(bench.suite.log.name)
    print("\n".join(["---- processes"] + [state(pid) for pid in everybody()] +
                    ["---- connections of the client", output(*bench.path.client("ss", "-tnpoi", "state", "big")),
                     "---- and of the server", output("ss", "-tnpoi", "state", "big"),
                     "---- why", output(os.path.join(os.path.dirname(bench.suite.ssh), "bowline"), "why"),
                     "---- the server's log", log[-LOG_BYTES:]]), file=sys.stderr, flush=True)
