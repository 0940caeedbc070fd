"""What goes wrong in bench/hold.py: one row for each fault, with its number in the list of faults of doc/performance.md.

`act` is what packet_path does to the connections of TCP at the chosen byte; `then` goes on from there, and returns when the network
(or the process) is there again; `before` prepares the path. `again`: a quarter of them happens once more while the client is on its way
back. `seconds`: what one failure takes, about; `slow`: and to a client that has nothing to say, which learns of it only by its next sign of
life, a minute. `only`: the one workload for which it has a meaning.
"""
import os
import signal
import time
from collections import namedtuple

from hold_many import kill_server, start_again, title

Fault = namedtuple("Fault", "number what act then before seconds again slow only", defaults=(None, None, 1, False, False, None))
SIGN_OF_LIFE_S = 65


def silence(seconds):
    def then(bench):
        time.sleep(seconds)
        bench.path.tell("pass")
    return then


def loss(seconds):
    """500 ms there and back, 30 packets of a hundred lost, a fifth out of order."""
    def then(bench):
        for command in ("delay 250", "loss 30", "disorder 20"):
            bench.path.tell(command)
        time.sleep(seconds)
        for command in (f"delay {bench.path.delay_ms}", "loss 0", "disorder 0"):
            bench.path.tell(command)
    return then


def other_route(bench):
    other = 1 - bench.path.at
    bench.path.plug(other)
    bench.path.pull()
    bench.path.use(other)


def unplugged(bench):
    """3 s without any network."""
    bench.path.pull()
    time.sleep(3)
    bench.path.plug(bench.path.at)
    bench.path.use(bench.path.at)


def other_address(bench):
    bench.path.readdress()


def forgotten(bench):
    bench.path.forget()


def idle(bench):
    """The router forgets what is silent for 2 s, and the session is: chaff behind the last key ends after three."""
    bench.quiet.set()
    time.sleep(8)
    bench.quiet.clear()


def everybody():
    """All in our name space of processes are ours."""
    return sorted(int(entry) for entry in os.listdir("/proc") if entry.isdigit())


def processes(*names):
    """By title or program, or its first words: ssh is not sshd."""
    return [p for p in everybody() if any(t.startswith(n) and not t[len(n):][:1].isalnum() for t in [title(p)] for n in names)]


def kill(names, number):
    for pid in processes(*names):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass


def gate(bench):
    kill(("sshd: gate",), signal.SIGKILL)


def stopped(which, seconds, forgets=False):
    """Processes that stand still, as on a machine that sleeps; meanwhile a router may forget what it knew."""
    def then(bench):
        names = [n for w in which for n in ((bench.suite.ssh,) if w == "client" else ("sshd", bench.sshd))]
        kill(tuple(names), signal.SIGSTOP)
        if forgets:
            bench.path.tell("now forget")
        time.sleep(seconds)
        kill(tuple(names), signal.SIGCONT)
    return then


def reload(bench):
    bench.suite.process.send_signal(signal.SIGHUP)
    time.sleep(0.3)
    bench.path.tell("now reset")


def keeper(bench):
    """Keeper and listener die, and are started again; the link stays."""
    kill_server(bench.suite, ("sshd: listener",))
    start_again(bench.suite)


def restart(bench):
    """Keeper, listener and gates die; a second later the server is started again."""
    kill_server(bench.suite)
    time.sleep(1)
    start_again(bench.suite)


def translates(seconds):
    return lambda bench: bench.path.translate(seconds)


FAULTS = {
    "reset": Fault(1, "both ends get RST", "reset", again=True),
    "reset_client": Fault(1, "the client gets RST, the server nothing", "reset_a", again=True),
    "reset_server": Fault(1, "the server gets RST, the client nothing", "reset_b", seconds=5, slow=True),
    "fin": Fault(1, "both ends get FIN", "fin", again=True),
    "silence5": Fault(2, "nothing passes for 5 s", "drop", silence(5), seconds=8),
    "silence60": Fault(2, "nothing passes for 60 s", "drop", silence(60), seconds=66),
    "hole": Fault(2, "nothing passes for 1 s", "drop", silence(1), seconds=3),
    "address": Fault(3, "the client has another address", "none", other_address, seconds=2),
    "route": Fault(3, "the link in use goes down, the route is over another", "none", other_route, seconds=2),
    "unplugged": Fault(3, "no network for 3 s", "none", unplugged, seconds=5),
    "nat_busy": Fault(4, "the router's table of connections is emptied", "none", forgotten, translates(3600), seconds=5, slow=True),
    "nat_idle": Fault(4, "the router forgets what was idle", "none", idle, translates(2), seconds=13, slow=True, only="terminal"),
    "loss": Fault(7, "500 ms, 30 % lost, a fifth out of order, for 60 s", "none", loss(60), seconds=66),
    "sleep_client": Fault(8, "the client stands still for 10 s, its connection is forgotten", "none", stopped(["client"], 10, True), seconds=14),
    "sleep_server": Fault(8, "the server stands still for 10 s", "none", stopped(["server"], 10), seconds=12),
    "sleep_both": Fault(8, "both stand still for 10 s", "none", stopped(["client", "server"], 10), seconds=12),
    "gate": Fault(9, "the gate is killed", "none", gate),
    "reload": Fault(10, "the server is reloaded, and the link reset", "none", reload, seconds=2),
    "keeper": Fault(10, "keeper and listener are killed and started again", "none", keeper, seconds=2),
    "restart": Fault(10, "keeper, listener and gates are killed and started again", "none", restart, seconds=3),
}


def takes(fault, workload):
    """Seconds for one failure, about."""
    return SIGN_OF_LIFE_S if fault.slow and workload in ("exec", "agent") else fault.seconds
