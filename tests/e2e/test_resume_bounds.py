"""resume-v1@bowline: what a stranger can make the server keep, what a connection without a link may keep, and what ends it."""
import subprocess
import time

import pytest
import rawssh
import resuming
from conftest import ASAN, USER, needs_root, wait_until
from processes import descriptors
from resuming import Client, Refused
from test_resume_server import end, suspended

pytestmark = needs_root
MIB = 1 << 20


def private(pid):
    with open(f"/proc/{pid}/smaps_rollup") as f:
        return sum(int(line.split()[1]) for line in f if line.startswith("Private_")) * 1024


def holder_of(client, channel):
    """The process of that connection: its program's parent."""
    client.data(channel, b"\n")
    pid = int(client.read_line())
    with open(f"/proc/{pid}/stat") as f:
        return int(f.read().rsplit(")", 1)[1].split()[1])


class Asked(Client):
    def read_line(self):
        line = b""
        while not line.endswith(b"\n"):
            line += self.read(1)
        return line


def test_nothing_for_who_has_not_logged_in(lab):
    """Links that name the connection and go no further: its holder hears nothing of them, the server keeps nothing."""
    server = lab.sshd("MaxStartups 200\nPerSourceMaxStartups none\n")
    c = Asked(server.port, USER, lab.keys.path("user"))
    channel = c.session("read x; echo $$; exec cat")
    holder = holder_of(c, channel)
    before = descriptors(holder), descriptors(server.process.pid), private(holder)
    links = []
    for _ in range(30):
        plain = rawssh.connect(server.port, ident=b"SSH-2.0-Bowline_test")
        peer = resuming.Link(plain.sock, ident=b"SSH-2.0-Bowline_test")
        peer.start()
        peer.exchange()
        peer.send(bytes([rawssh.EXT_INFO]) + rawssh.u32(1) + rawssh.string(resuming.NAME) + rawssh.string(c.handle))
        # ATTACH before a login is no message at all.
        peer.send(c.attach_message(peer))
        links.append(peer)
    for peer in links:
        assert peer.closed() is not None
        peer.close()
    assert wait_until(lambda: descriptors(server.process.pid) <= before[1] + 2, 30)
    assert descriptors(holder) == before[0] and private(holder) <= before[2] + 65536
    c.data(channel, b"here")
    assert c.read(4) == b"here"
    end(server, c)


@pytest.mark.skipif(ASAN, reason="a sanitizer keeps what was freed")
def test_a_store_is_bounded(lab):
    """Much output and no link: 16 MiB are kept (LIMIT_SUSPENDED_STORE), then the program waits; nothing of it is lost."""
    server = lab.sshd()
    c = Asked(server.port, USER, lab.keys.path("user"))
    # All of it fits the window.
    channel = c.session("read x; echo $$; read y; exec dd if=/dev/zero bs=65536 count=800 status=none", window=100 * MIB)
    holder = holder_of(c, channel)
    c.data(channel, b"go\n")
    total = len(resuming.Fields(c.expect(rawssh.CHANNEL_DATA)[5:]).string())  # it has begun
    c.ack()
    c.cut()
    assert suspended(server)

    def settled():
        size = private(holder)
        time.sleep(0.5)
        return size if size > 15 * MIB and private(holder) == size else 0
    size = wait_until(settled, 30)
    assert 15 * MIB < size < 19 * MIB  # the cap and a tenth, and what any holder has
    c.come_back()
    while total < 800 * 65536:
        data = resuming.Fields(c.expect(rawssh.CHANNEL_DATA)[5:]).string()
        assert not any(data[:64])
        total += len(data)
    assert total == 800 * 65536 and c.status() == 0
    end(server, c)


@pytest.mark.parametrize("how", ["RevokedKeys", "authorized_keys", "expiry-time"])
def test_a_key_that_goes(lab, tmp_path, how):
    """Refused at the next attempt, without a reload; the administrator ends it at once."""
    authorized, revoked = tmp_path / "keys", tmp_path / "revoked"
    authorized.write_text(lab.keys.public("user"))
    revoked.write_text("")
    server = lab.sshd(f"RevokedKeys {revoked}\n", authorized=str(authorized))
    c = Client(server.port, USER, lab.keys.path("user"))
    c.session("cat")
    c.ack()
    c.cut()
    assert suspended(server)
    if how == "RevokedKeys":
        revoked.write_text(lab.keys.public("user"))
    elif how == "authorized_keys":
        authorized.write_text("# nobody\n")
    else:
        authorized.write_text('expiry-time="20200101" ' + lab.keys.public("user"))
    with pytest.raises(AssertionError):  # the login
        c.come_back()
    end(server, c)
    revoked.write_text("")
    authorized.write_text(lab.keys.public("user"))
    with pytest.raises(Refused) as e:
        c.come_back()
    assert e.value.reason == resuming.ENDED


def test_a_nologin_of_that_moment(lab, account):
    """Only for others than root; who is in stays in, without a link."""
    server = lab.sshd(authorized="%h/.ssh/authorized_keys")
    c = Client(server.port, account.name, lab.keys.path("user"))
    channel = c.session("cat")
    c.ack()
    c.cut()
    assert suspended(server)
    subprocess.run(["usermod", "-L", "-e", "1", account.name], check=True)
    with pytest.raises(AssertionError):
        c.come_back()
    subprocess.run(["usermod", "-e", "", account.name], check=True)
    subprocess.run(["usermod", "-p", "*", account.name], check=True)
    c.come_back()
    c.data(channel, b"here")
    assert c.read(4) == b"here"
    end(server, c)
