"""Connections over an upgrade of the server: holders of the version before under today's keeper, and today's under that one.

BOWLINE_OLD_BIN names the folder with the other version's sshd; without it today's takes its own place, which at least is the way.
"""
import os
import shutil
import signal

import pytest
import rawssh
from conftest import USER, Server, free_port, needs_root, tool, wait_until
from resuming import Client
from test_resume_server import end, events, sessions, suspended
from test_upgrade import reloads

pytestmark = needs_root
NEW = tool("sshd")
OLD = os.path.join(os.environ.get("BOWLINE_OLD_BIN", os.path.dirname(NEW)), "sshd")


@pytest.fixture
def installed(lab, tmp_path):
    """A server whose program is replaced under it, as a package does it: install(path)."""
    port, place = free_port(), str(tmp_path / "sshd")
    config = lab.config(port, f"PerSourcePenalties no\nEventLog {lab.folder}/events\n")
    state = {}

    def install(path):
        shutil.copy(path, place + ".new")
        os.rename(place + ".new", place)
        if "server" not in state:
            state["server"] = Server(lab.folder, "sshd", [place, "-D", "-e", "-f", config], port)
            lab.servers.append(state["server"])
            return state["server"]
        server = state["server"]
        n = len(events(server, "server.reloaded"))
        server.process.send_signal(signal.SIGHUP)
        assert wait_until(lambda: len(events(server, "server.reloaded")) > n, 30), server.log()
        return server

    return install


@pytest.mark.parametrize("first,second", [(OLD, NEW), (NEW, OLD)], ids=["upgrade", "back"])
def test_over_an_exchange_of_the_program(lab, installed, first, second):
    """One that has no link, one that has, and one that loses it afterwards: all go on, there and back again."""
    server = installed(first)
    key = lab.keys.path("user")
    clients = [Client(server.port, USER, key) for _ in range(2)]
    channels = [c.session("cat") for c in clients]
    away, here = clients
    away.data(channels[0], b"before")
    assert away.read(6) == b"before"
    away.ack()
    for turn in (second, first):
        away.cut()
        [row] = suspended(server)
        installed(turn)
        assert [r["id"] for r in suspended(server)] == [row["id"]], server.log()
        for c, channel in zip((here, away), (channels[1], channels[0])):
            if c is away:
                c.come_back()
            c.data(channel, b"after")
            assert c.read(5) == b"after"
        here.cut()
        here.come_back()
        here.data(channels[1], b"again")
        assert here.read(5) == b"again"
    assert len(sessions(server)) == 2
    for c in clients:
        end_one(c)
    assert wait_until(lambda: sessions(server) == [], 30)
    end(server, away)


def end_one(client):
    client.peer.send(bytes([rawssh.DISCONNECT]) + rawssh.u32(11) + rawssh.string("") + rawssh.string(""))
    client.peer.close()
    client.peer = None


# ---- while a client comes back ----

def login_with(key, moment, happens):
    """A login by that key; something happens before its first request, before its signature, or behind it."""
    def login(peer, user):
        def at(now):
            if now == moment:
                happens()
        peer.service()
        at("before")
        peer.send(peer.publickey_request(user, key, sign=False))
        peer.expect(rawssh.USERAUTH_PK_OK)
        at("between")
        peer.send(peer.publickey_request(user, key))
        peer.expect(rawssh.USERAUTH_SUCCESS)
        at("behind")
    return login


@pytest.fixture
def away(lab):
    """A server, and a client without a link that has a `cat` there."""
    server = lab.sshd(f"EventLog {lab.folder}/events\n")
    client = Client(server.port, USER, lab.keys.path("user"))
    channel = client.session("cat")
    client.ack()
    client.cut()
    assert suspended(server)
    client.data(channel, b"said")
    return server, client


@pytest.mark.parametrize("moment", ["before", "between", "behind"])
def test_a_reload_while_a_client_comes_back(lab, away, moment):
    """The next keeper knows what the login is for: it gets the connection, and no session of its own."""
    server, client = away
    client.come_back(key=login_with(rawssh.load_key(lab.keys.path("user")), moment, lambda: reloads(server)))
    assert client.read(4) == b"said"
    assert len(sessions(server)) == 1
    end(server, client)
