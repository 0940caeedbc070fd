"""The path of bench/hold.py: a client in a network of its own, a router, and a far way to the server.

    client == two veth pairs == router (nftables) -- packet_path (delay, loss, cuts) -- server, which is where the bench runs

Addresses, routes and NAT are the kernel's own. For root. hold.py runs in name spaces of its own (enter()), with which everything goes.
"""
import contextlib
import os
import queue
import subprocess
import sys
import threading

SERVER = "198.18.76.1"  # RFC 2544: for benchmarks
NETS = ("198.18.77.%d", "198.18.78.%d")  # .1 is the router, .2 and on the client
FAR = ("198.18.79.1", "198.18.79.2")  # router and server of the far way
DEVICE = "path0"


def memory(folder):
    run("mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", folder)


def own_etc(scratch):
    """What is written to /etc, accounts above all, is seen by nobody else and goes with us."""
    memory(scratch)
    upper, work = (os.path.join(scratch, n) for n in ("upper", "work"))
    os.mkdir(upper)
    os.mkdir(work)
    run("mount", "-t", "overlay", "-o", f"lowerdir=/etc,upperdir={upper},workdir={work}", "overlay", "/etc")


def enter():
    """The program again, in its own network, mounts, accounts and processes: nothing of it meets another run, and nothing stays."""
    if os.environ.get("BOWLINE_HOLD") == "there":
        return
    if os.environ.get("BOWLINE_HOLD") == "inside":
        os.environ["BOWLINE_HOLD"] = "there"
        for folder in ("/run/netns", "/run/bowline"):
            os.makedirs(folder, exist_ok=True)
        own_etc("/run/bowline")
        for folder in ("/run/netns", "/run/bowline"):
            memory(folder)
        run("ip", "link", "set", "lo", "up")
        return
    os.environ["BOWLINE_HOLD"] = "inside"
    os.execvp("unshare", ["unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc", "--kill-child", sys.executable, "-u", *sys.argv])


def run(*words):
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)


def inside(space, *words):
    return ["ip", "netns", "exec", space, *words]


class Path:
    def __init__(self, build, delay_ms):
        self.delay_ms, self.host, self.at, self.on_cut = delay_ms, 2, 0, None
        self.answers, self.talk = queue.Queue(), threading.Lock()
        for space in ("client", "router"):
            run("ip", "netns", "add", space)
            run("ip", "-n", space, "link", "set", "lo", "up")
        for n, net in enumerate(NETS):
            run("ip", "-n", "router", "link", "add", "name", f"r{n}", "type", "veth", "peer", "name", f"c{n}", "netns", "client")
            run("ip", "-n", "router", "addr", "add", net % 1 + "/24", "dev", f"r{n}")
            run("ip", "-n", "router", "link", "set", f"r{n}", "up")
            run("ip", "-n", "client", "addr", "add", net % 2 + "/24", "dev", f"c{n}")
            run("ip", "-n", "client", "link", "set", f"c{n}", "up")
        run(*inside("router", "sysctl", "-qw", "net.ipv4.ip_forward=1", "net.netfilter.nf_conntrack_tcp_loose=0"))
        self.process = subprocess.Popen([os.path.join(build, "bench", "packet_path"), "/run/netns/router", f"/proc/{os.getpid()}/ns/net",
                                         DEVICE, str(delay_ms)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "ready\n":
            raise RuntimeError("packet_path did not start")
        self._far()
        threading.Thread(target=self._listen, daemon=True).start()
        self.use(0)

    def _far(self):
        run("ip", "addr", "add", SERVER + "/32", "dev", "lo")
        run("ip", "-n", "router", "addr", "add", FAR[0], "peer", FAR[1], "dev", DEVICE)
        run("ip", "addr", "add", FAR[1], "peer", FAR[0], "dev", DEVICE)
        for words in (["ip", "-n", "router"], ["ip"]):
            run(*words, "link", "set", DEVICE, "up", "mtu", "9000", "txqueuelen", "4000")
        run("ip", "-n", "router", "route", "add", SERVER + "/32", "dev", DEVICE)
        for net in NETS:
            run("ip", "route", "add", net % 0 + "/24", "dev", DEVICE)

    def _listen(self):
        for line in self.process.stdout:
            if line == "cut\n":
                if self.on_cut is not None:
                    threading.Thread(target=self.on_cut, daemon=True).start()
            else:
                self.answers.put(line)

    def tell(self, command):
        """A command of packet_path, and its answer."""
        with self.talk:
            self.process.stdin.write(command + "\n")
            self.process.stdin.flush()
            answer = self.answers.get(timeout=30).strip()
        if answer == "unknown":
            raise RuntimeError(f"packet_path does not know {command!r}")
        return answer

    def stat(self):
        """Packets, connections begun by the client, bytes."""
        return [int(x) for x in self.tell("stat").split()[1:]]

    def client(self, *words):
        return inside("client", *words)

    # ---- networks ----
    def use(self, n):
        """The way to the server is over pair n."""
        run("ip", "-n", "client", "route", "replace", "default", "via", NETS[n] % 1)
        self.at = n

    def pull(self):
        """The cable in use is pulled; the route goes with it."""
        run("ip", "-n", "client", "link", "set", f"c{self.at}", "down")

    def plug(self, n):
        run("ip", "-n", "client", "link", "set", f"c{n}", "up")

    def readdress(self):
        """The client's address goes, another one comes."""
        dev, net, old = f"c{self.at}", NETS[self.at], self.host
        self.host = 2 + (old - 1) % 200
        run("ip", "-n", "client", "addr", "flush", "dev", dev)
        run("ip", "-n", "client", "addr", "add", net % self.host + "/24", "dev", dev)
        self.use(self.at)

    def translate(self, seconds):
        """The router translates addresses, and forgets a connection that was silent for so long without a word; 0: it is a mere router."""
        text = "flush ruleset\n"
        if seconds > 0:
            text += ("table ip bowline {\nct timeout short {\nprotocol tcp\nl3proto ip\n"
                     f"policy = {{ established : {seconds} }}\n}}\n"
                     'chain pre {\ntype filter hook prerouting priority 0\nip protocol tcp ct timeout set "short"\n}\n'
                     "chain pass {\ntype filter hook forward priority 0\nct state invalid drop\n}\n"
                     f"chain out {{\ntype nat hook postrouting priority 100\noifname {DEVICE} masquerade\n}}\n}}\n")
        subprocess.run(inside("router", "nft", "-f", "-"), input=text.encode(), check=True)

    def forget(self):
        """All that the router's table of connections has is gone."""
        subprocess.run(inside("router", "conntrack", "-F"), check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def restore(self):
        """As it was at the beginning, but for addresses."""
        for command in ("pass", "loss 0", "disorder 0", f"delay {self.delay_ms}", "now none"):
            self.tell(command)
        self.on_cut = None
        self.translate(0)
        for n in range(len(NETS)):
            self.plug(n)
        self.use(self.at)

    def close(self):
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        self.process.wait(5)
