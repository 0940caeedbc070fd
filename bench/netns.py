"""A client in a network of its own: a name space, joined to ours by one or two veth pairs, with real addresses, real routes and,
by nftables, a way that loses, forgets or swallows. For root; everything of it goes with close()."""
import contextlib
import os
import subprocess

NETS = ("198.18.77.%d", "198.18.78.%d")  # RFC 2544: for benchmarks; .1 is the server's side, .2 and on the client's


def ip(*words, ns=None):
    subprocess.run(["ip", *(["-n", ns] if ns else []), *words], check=True, stdout=subprocess.DEVNULL)


class Network:
    def __init__(self):
        self.name = f"bwl{os.getpid() % 100000}"
        self.server = "198.18.76.1"  # reached over either pair
        self.host = 2
        self.links = []
        ip("netns", "add", self.name)
        try:
            ip("link", "set", "lo", "up", ns=self.name)
            ip("addr", "add", self.server + "/32", "dev", "lo")
            for n, net in enumerate(NETS):
                ours, theirs = f"{self.name}a{n}", f"{self.name}b{n}"
                ip("link", "add", ours, "type", "veth", "peer", "name", theirs)
                self.links.append(ours)
                ip("link", "set", theirs, "netns", self.name)
                ip("addr", "add", net % 1 + "/24", "dev", ours)
                ip("addr", "add", net % 2 + "/24", "dev", theirs, ns=self.name)
                ip("link", "set", ours, "up")
                ip("link", "set", theirs, "up", ns=self.name)
            self.use(0)
        except BaseException:
            self.close()
            raise

    def inside(self, args):
        return ["ip", "netns", "exec", self.name, *args]

    def use(self, n):
        """The way to the server is over pair n."""
        ip("route", "replace", self.server + "/32", "via", NETS[n] % 1, ns=self.name)
        self.at = n

    # ---- faults ----

    def other_route(self):
        """The old pair goes down, as a cable does that is pulled; the route is over the other one."""
        old = self.at
        ip("link", "set", f"{self.name}b{old}", "down", ns=self.name)
        self.use(1 - old)
        return lambda: ip("link", "set", f"{self.name}b{old}", "up", ns=self.name)

    def other_address(self):
        """The client's address goes, another one comes: no packet of the old connection has a source any more."""
        dev, net, old = f"{self.name}b{self.at}", NETS[self.at], self.host
        self.host = 2 + (old - 1) % 200
        ip("addr", "flush", "dev", dev, ns=self.name)
        ip("addr", "add", net % self.host + "/24", "dev", dev, ns=self.name)
        self.use(self.at)

    def rules(self, text):
        """An nftables table in the client's name space; empty: none."""
        table = "inet bowline"
        script = f"add table {table}\ndelete table {table}\n"
        if text:
            chains = "".join(f"chain {hook} {{\ntype filter hook {hook} priority 0\n{text}\n}}\n" for hook in ("input", "output"))
            script += f"table {table} {{\n{chains}}}\n"
        subprocess.run(["ip", "netns", "exec", self.name, "nft", "-f", "-"], input=script.encode(), check=True)

    def swallow(self):
        """Every packet of TCP is lost and nobody is told, as in a NAT that has forgotten what is there now."""
        self.rules("meta l4proto { tcp, udp } drop")

    def forget(self, source_port):
        """One connection is forgotten for ever; new ones pass."""
        self.rules(f"tcp sport {source_port} drop; tcp dport {source_port} drop")

    def lose(self, percent):
        """So many packets of a hundred."""
        self.rules(f"meta l4proto {{ tcp, udp }} numgen random mod 100 < {percent} drop")

    def heal(self):
        self.rules("")

    def close(self):
        for link in self.links:
            with contextlib.suppress(subprocess.CalledProcessError):
                ip("link", "del", link)
        with contextlib.suppress(subprocess.CalledProcessError):
            ip("addr", "del", self.server + "/32", "dev", "lo")
        with contextlib.suppress(subprocess.CalledProcessError):
            ip("netns", "del", self.name)
