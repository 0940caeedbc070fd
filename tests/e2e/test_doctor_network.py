"""bowline doctor and idle limits over a network of two namespaces, where nftables and connection tracking lose what real boxes lose."""
import json
import os
import subprocess

import pytest
from conftest import IS_ROOT, SLOW, Server, require, tool, wait_until
from test_idle import LEAST, book, echo, key_of

if not IS_ROOT:
    pytest.skip("needs root to make network namespaces", allow_module_level=True)

HERE, THERE, PORT = "10.77.0.1", "10.77.0.2", 2222
TRACKED = "/proc/sys/net/netfilter/nf_conntrack_tcp_"


class Network:
    """This side and that, and a link between them."""

    def __init__(self):
        self.here, self.there = f"bwlh{os.getpid()}", f"bwlt{os.getpid()}"
        ip = require("ip")
        commands = [["netns", "add", self.here], ["netns", "add", self.there],
                    ["link", "add", "v0", "netns", self.here, "type", "veth", "peer", "name", "v1", "netns", self.there]]
        for space, device, address in (self.here, "v0", HERE), (self.there, "v1", THERE):
            commands += [["-n", space, "addr", "add", f"{address}/24", "dev", device], ["-n", space, "link", "set", device, "up"],
                         ["-n", space, "link", "set", "lo", "up"]]
        for words in commands:
            done = subprocess.run([ip, *words], capture_output=True, text=True)
            if done.returncode != 0:
                self.stop()
                pytest.skip(f"ip {' '.join(words)}: {done.stderr.strip()}")

    def stop(self):
        for space in self.here, self.there:
            subprocess.run(["ip", "netns", "del", space], stderr=subprocess.DEVNULL)

    def run(self, space, *args, **kw):
        return subprocess.run(["ip", "netns", "exec", space, *args], capture_output=True, text=True, timeout=120 * SLOW, **kw)

    def rules(self, *rules):
        """Of what comes in over there; those before are gone."""
        text = "flush ruleset\ntable inet t {\n chain c { type filter hook input priority 0;\n" + "\n".join(rules) + "\n}\n}\n"
        done = self.run(self.there, require("nft"), "-f", "-", input=text)
        if done.returncode != 0:
            pytest.skip(f"nft: {done.stderr.strip()}")

    def forget_after(self, seconds):
        """As a NAT does that drops what it does not know."""
        self.rules("ct state invalid drop", "ct state new tcp flags & syn == 0 drop")
        done = self.run(self.there, "sh", "-c", f"echo {seconds} > {TRACKED}timeout_established && echo 0 > {TRACKED}loose")
        if done.returncode != 0:
            pytest.skip(f"connection tracking: {done.stderr.strip()}")


class Far(Server):
    """A server over there; it listens where /proc/net/tcp of this namespace does not tell."""

    def has_listened(self):
        return "listening on" in self.log().lower()


@pytest.fixture
def net():
    made = Network()
    yield made
    made.stop()


@pytest.fixture
def far(lab, net):
    """far(): our sshd over there."""
    servers = []

    def start(lines=""):
        path = lab.config(PORT, "PerSourcePenalties no\n" + lines)
        with open(path) as f:
            text = f.read().replace("ListenAddress 127.0.0.1", f"ListenAddress {THERE}")
        with open(path, "w") as f:
            f.write(text)
        args = ["ip", "netns", "exec", net.there, tool("sshd"), "-D", "-e", "-f", path]
        servers.append(Far(lab.folder, "far", args, PORT, wait=False))
        assert wait_until(servers[-1].has_listened, 30), servers[-1].log()
        with open(os.path.join(lab.keys.folder, "known_hosts.far"), "w") as f:
            f.writelines(f"[{THERE}]:{PORT} {lab.keys.public('host', kind)}" for kind in ("ed25519", "ecdsa", "rsa"))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


def options(lab):
    return ["-F", "none", "-p", str(PORT), "-i", lab.keys.path("user"), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-o",
            f"UserKnownHostsFile={lab.keys.folder}/known_hosts.far", "-o", "GlobalKnownHostsFile=none"]


def examine(lab, net, *words, host=THERE):
    done = net.run(net.here, tool("bowline"), "doctor", "--json", *words, *options(lab), host)
    assert done.returncode in (0, 1), done
    report = json.loads(done.stdout)
    return report["steps"][-1]["finding"], report


def test_ways_that_fail(lab, net, far):
    far()
    assert examine(lab, net)[0] == "settings"
    assert examine(lab, net, host="10.88.0.1")[0] == "no-route"
    net.rules(f"tcp dport {PORT} drop")
    finding, report = examine(lab, net, "-o", "ConnectTimeout=1")
    assert finding == "filtered" and "ConnectTimeout 1 (command line)" in report["steps"][-1]["text"]
    net.rules(f"tcp dport {PORT} reject with tcp reset")
    assert examine(lab, net)[0] == "refused"
    net.rules(f"tcp dport {PORT} reject with icmp type host-unreachable")
    assert examine(lab, net)[0] == "no-route"
    net.rules("ip length > 600 drop")
    finding, report = examine(lab, net, "-o", "ConnectTimeout=2")
    assert finding == "large-packets-lost" and "ours are not confirmed" in report["steps"][-1]["text"]


def test_a_box_that_forgets(lab, net, far):
    far()
    net.forget_after(3)
    finding, report = examine(lab, net, "--idle=8")
    assert finding == "limit" and "lost without a word" in report["steps"][-1]["text"], report


def test_a_session_behind_a_box_that_forgets(lab, net, far):
    """What was learned is too long here: another link comes, and the way's limit is learned."""
    far()
    net.forget_after(LEAST - 5)
    key = key_of(PORT, host=THERE, network=f"direct {HERE}")
    os.makedirs(os.path.join(os.environ["XDG_STATE_HOME"], "bowline"))
    with open(os.path.join(os.environ["XDG_STATE_HOME"], "bowline", "idle"), "w") as f:
        f.write(f"bowline-idle 1\n{key} {LEAST} 0 {LEAST} 0 0\n")
    args = ["ip", "netns", "exec", net.here, tool("ssh"), *options(lab), THERE, "cat"]
    with subprocess.Popen(args, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0) as p:
        try:
            echo(p, b"here\n")
            assert wait_until(lambda: book()[key][3] >= LEAST - 5, 60)
            echo(p, b"still here\n")
            p.stdin.close()
            assert p.wait(30 * SLOW) == 0
        finally:
            p.kill()


def test_one_of_two_addresses(lab, net, far, tmp_path):
    far()
    hosts = tmp_path / "hosts"
    hosts.write_text(f"{THERE} two.example\n10.77.0.3 two.example\n")
    args = [tool("bowline"), "doctor", "--json", "-o", "ConnectTimeout=1", "-o", f"HostKeyAlias=[{THERE}]:{PORT}", *options(lab), "two.example"]
    # Namespaces of ip netns exec have mounts of their own.
    done = net.run(net.here, "sh", "-c", 'mount --bind "$0" /etc/hosts && exec "$@"', str(hosts), *args)
    assert done.returncode == 0, done
    report = json.loads(done.stdout)
    tcp = {step["text"].split()[0]: step["verdict"] for step in report["steps"] if step["step"] == "tcp"}
    assert tcp == {THERE: "ok", "10.77.0.3": "warn"} and report["verdict"] == "warn"
    assert report["steps"][-1]["finding"] == "settings"


def watches(pid):
    """It has asked to be told of changes of the network."""
    with open(f"/proc/{pid}/net/netlink") as f:
        return any(line.split()[2] == str(pid) for line in f.readlines()[1:])


def test_a_session_whose_address_changes(lab, net, far):
    """The next link is tried soon, not only when the old one has been silent for so long as that would take without a change."""
    server = far()
    args = ["ip", "netns", "exec", net.here, tool("ssh"), *options(lab), "-v", THERE, "cat"]
    with subprocess.Popen(args, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0) as p:
        try:
            echo(p, b"here\n")
            assert wait_until(lambda: watches(p.pid), 30)
            for words in ["addr", "flush", "dev", "v0"], ["addr", "add", "10.77.0.9/24", "dev", "v0"]:
                assert subprocess.run(["ip", "-n", net.here, *words]).returncode == 0
            echo(p, b"elsewhere\n")
            p.stdin.close()
            assert p.wait(30 * SLOW) == 0
            assert b"the network has changed, the link has" in p.stderr.read()
            assert "10.77.0.9" in server.log()
        finally:
            p.kill()


def test_networks_of_others_come_and_go(lab, net, far):
    """As on a machine that makes containers: what does not touch the way to the host is no change, so nothing is asked and learning goes on."""
    far()
    args = ["ip", "netns", "exec", net.here, tool("ssh"), *options(lab), "-v", THERE, "cat"]
    with subprocess.Popen(args, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0) as p:
        try:
            echo(p, b"here\n")
            assert wait_until(lambda: watches(p.pid), 30)
            for i in range(5):
                for words in (["link", "add", "c0", "type", "veth", "peer", "name", "c1"], ["addr", "add", "10.99.0.1/24", "dev", "c0"],
                              ["link", "set", "c0", "up"], ["route", "add", "10.98.0.0/16", "dev", "c0"], ["link", "del", "c0"]):
                    assert subprocess.run(["ip", "-n", net.here, *words]).returncode == 0
                echo(p, b"still here %d\n" % i)
            p.stdin.close()
            assert p.wait(30 * SLOW) == 0
            assert b"the network has changed" not in p.stderr.read()
        finally:
            p.kill()
