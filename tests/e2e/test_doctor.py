"""bowline doctor: each thing that it is to tell apart, with our server and Debian's."""
import json
import os
import socket
import subprocess
import threading

import pytest
from conftest import IS_ROOT, SLOW, Account, free_port, tool
from test_idle import forgetful  # noqa: F401


def doctor(lab, port, *options, host="127.0.0.1", status=None, keys=True, timeout=60):
    """(the whole report, its steps by finding)"""
    common = lab.common(port)
    if not keys:
        at = common.index("-i")
        common[at:at + 2] = ["-o", "IdentityFile=none", "-o", "IdentityAgent=none"]
    args = [tool("bowline"), "doctor", "--json", *options, *common, host]
    done = subprocess.run(args, capture_output=True, stdin=subprocess.DEVNULL, timeout=timeout * SLOW)
    assert done.returncode in (0, 1) and (status is None or done.returncode == status), done
    report = json.loads(done.stdout)
    assert (report["verdict"] == "fail") == (done.returncode == 1)
    return report, {step["finding"]: step for step in report["steps"]}


WHOLE = ["name", "connected", "greeting", "keys", "known", "let-in", "runs", "same", "settings"]


def test_all_is_well(lab):
    ours, stock = lab.sshd(), lab.openssh()
    for server, ident in (ours, "Bowline"), (stock, "OpenSSH"):
        for _ in range(2):  # once more with what the first one has remembered
            report, found = doctor(lab, server.port, status=0)
            assert [s["finding"] for s in report["steps"]] == WHOLE, report
            assert all(s["verdict"] == "ok" for s in report["steps"])
            assert ident in found["greeting"]["text"] and report["port"] == server.port
    done = subprocess.run([tool("bowline"), "doctor", *lab.common(ours.port), "127.0.0.1"], capture_output=True, text=True, timeout=60 * SLOW)
    assert done.returncode == 0 and done.stdout.splitlines()[6].startswith("session   ok")


def test_the_line_that_sets_it(lab, tmp_path):
    server = lab.sshd()
    config = tmp_path / "config"
    config.write_text("# one\nHost 127.0.0.1\n  ServerAliveInterval 77\n")
    _, found = doctor(lab, server.port, "-F", str(config), status=0)
    assert "ServerAliveInterval 0 (default)" in found["settings"]["text"]  # -F none behind it counts
    args = [tool("bowline"), "doctor", "--json", *lab.common(server.port)[2:], "-F", str(config), "127.0.0.1"]
    report = json.loads(subprocess.run(args, capture_output=True, timeout=60 * SLOW, check=True).stdout)
    assert f"ServerAliveInterval 77 ({config}:3)" in report["steps"][-1]["text"]


@pytest.mark.parametrize("words", [[], ["--no-such"], ["host", "command"], ["-N", "host"], ["--idle=0", "host"]], ids=str)
def test_wrong_use(words):
    done = subprocess.run([tool("bowline"), "doctor", *words], capture_output=True, stdin=subprocess.DEVNULL, timeout=20 * SLOW)
    assert done.returncode == 2 and b"usage: bowline doctor" in done.stderr and done.stdout == b""


def test_no_way(lab):
    _, found = doctor(lab, free_port(), host="no-such-host.invalid", status=1)
    assert list(found) == ["no-name"]
    _, found = doctor(lab, free_port(), status=1)
    assert list(found) == ["name", "refused"]
    assert set(found["refused"]["remedies"]) == {"client", "server", "firewall"}


class Talker:
    """Accepts, says its words, and closes, or waits for the other to."""

    def __init__(self, words, close=True):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.words, self.close = words, close
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        with self.listener.accept()[0] as s:
            s.sendall(self.words)
            if self.close:
                s.shutdown(socket.SHUT_WR)
            try:
                while s.recv(65536):
                    pass
            except OSError:
                pass

    def stop(self):
        self.thread.join(30 * SLOW)
        self.listener.close()


STRANGERS = {
    "closed": (b"", True, "closed-at-once", "nothing"),
    "startups": (b"Exceeded MaxStartups\r\n", True, "closed-at-once", "Exceeded MaxStartups"),
    "silent": (b"", False, "silent", "ConnectTimeout 1"),
    "http": (b"HTTP/1.1 400 Bad Request\r\n\r\n", True, "not-ssh", "HTTP/1.1 400"),
    "escapes": (b"\x1b[31mhello\r\n", True, "closed-at-once", "\\033[31mhello"),
    "old": (b"SSH-1.5-old\r\n", True, "not-ssh", "SSH 1 only"),
    "stalls": (b"SSH-2.0-stalls\r\n", False, "large-packets-lost", "do not arrive"),
    "cut": (b"SSH-2.0-cut\r\n", True, "failed", "closed"),
}


@pytest.mark.parametrize("who", STRANGERS)
def test_who_is_there(lab, who):
    words, close, finding, text = STRANGERS[who]
    there = Talker(words, close)
    try:
        report, found = doctor(lab, there.port, "-o", "ConnectTimeout=1", status=1)
    finally:
        there.stop()
    assert report["steps"][-1]["finding"] == finding and text in found[finding]["text"], report
    assert "\x1b" not in json.dumps(report)


def test_nothing_in_common(lab):
    server = lab.openssh("Ciphers aes256-ctr\n")
    _, found = doctor(lab, server.port, "-o", "Ciphers=aes128-gcm@openssh.com,aes256-gcm@openssh.com", status=1)
    text = found["no-overlap"]["text"]
    assert "ours aes128-gcm@openssh.com,aes256-gcm@openssh.com; theirs aes256-ctr" in text


def test_host_keys(lab, tmp_path):
    server = lab.sshd()
    empty, other, revoked = (str(tmp_path / name) for name in ("empty", "other", "revoked"))
    open(empty, "w").close()
    with open(other, "w") as f:
        f.write(f"[127.0.0.1]:{server.port} {lab.keys.public('user')}")
    with open(revoked, "w") as f:
        f.write(f"@revoked * {lab.keys.public('host')}")
    for path, finding in (empty, "unknown"), (other, "changed"), (revoked, "revoked"):
        report, found = doctor(lab, server.port, "-o", f"UserKnownHostsFile={path}", "-o", "HostKeyAlgorithms=ssh-ed25519", status=1)
        assert report["steps"][-1]["finding"] == finding and "SHA256:" in found[finding]["text"], report
    assert os.path.getsize(empty) == 0
    _, found = doctor(lab, server.port, "-o", f"RevokedHostKeys={lab.keys.path('host')}.pub", "-o", "HostKeyAlgorithms=ssh-ed25519", status=1)
    assert "revoked" in found


def test_refused_logins(lab, tmp_path):
    nobody = tmp_path / "nobody"
    nobody.write_text("")
    for start in lab.sshd, lab.openssh:
        server = start("PasswordAuthentication no\nKbdInteractiveAuthentication no\n", authorized=str(nobody))
        _, found = doctor(lab, server.port, status=1)
        assert "ssh-ed25519" in found["key-refused"]["text"] and "accepts publickey" in found["key-refused"]["text"]
        _, found = doctor(lab, server.port, status=1, keys=False)
        assert "no-key" in found
        _, found = doctor(lab, server.port, "-o", "PubkeyAuthentication=no", status=1)
        assert "no-key" in found
    asks = lab.sshd("PasswordAuthentication yes\nPubkeyAuthentication no\n")
    report, found = doctor(lab, asks.port, status=0)
    assert report["verdict"] == "warn" and "password" in found["password-wanted"]["text"]


def test_what_comes_instead_of_the_command(lab):
    for start in lab.sshd, lab.openssh:
        _, found = doctor(lab, start("ForceCommand printf 'only \\033[1mthis'\n").port, status=0)
        assert "only \\033[1mthis" in found["forced-command"]["text"]
        _, found = doctor(lab, start('ForceCommand echo welcome; eval "$SSH_ORIGINAL_COMMAND"\n').port, status=0)
        assert "welcome" in found["noise"]["text"] and "same" in found
        _, found = doctor(lab, start("ForceCommand yes flood\n").port, status=0)
        assert len(found["forced-command"]["text"]) < 1000
    _, found = doctor(lab, lab.sshd("ForceCommand echo \"${SSH_ORIGINAL_COMMAND#* }\" | cut -d' ' -f1; echo 1000000000\n").port, status=0)
    assert "off" in found and found["off"]["verdict"] == "warn"


@pytest.mark.skipif(not IS_ROOT, reason="needs root to make an account")
def test_accounts_without_a_shell(lab, keys):
    who = Account(f"bwld{os.getpid()}", keys, shell="/usr/sbin/nologin")
    try:
        server = lab.sshd(authorized="%h/.ssh/authorized_keys")
        _, found = doctor(lab, server.port, "-l", who.name, status=1)
        assert "not available" in found["no-shell"]["text"]
    finally:
        who.remove()


def test_idle_limits(lab, forgetful):  # noqa: F811
    ours, stock = lab.sshd(), lab.openssh()
    report, found = doctor(lab, ours.port, "--idle=2", status=0)
    assert report["steps"][-1]["finding"] == "no-limit"
    for proxy in forgetful(ours.port, 1.1), forgetful(stock.port, 1.1, reset=True):
        report, found = doctor(lab, proxy.port, "--idle=3", status=0)
        assert report["verdict"] == "warn" and "s were too long: " in found["limit"]["text"], report
        assert ("lost" in found["limit"]["text"]) != proxy.reset
    _, found = doctor(lab, lab.sshd("ClientAliveInterval 2\n").port, "--idle=6", status=0)
    assert "ClientAliveInterval" in found["kept-by-server"]["text"]
    assert "bowline config explain sshd" in found["kept-by-server"]["remedies"]["server"]


def test_a_rule_is_no_limit_of_the_way(lab):
    """What a server ends in order is told from what a box on the way forgets; where it says why, that is shown."""
    report, found = doctor(lab, lab.sshd("UnusedConnectionTimeout 2\n").port, "--idle=5", status=0)
    assert report["steps"][-1]["finding"] == "ended-by-server", report
    assert "idle" in found["ended-by-server"]["text"] and "UnusedConnectionTimeout" in found["ended-by-server"]["remedies"]["server"]
    report, _ = doctor(lab, lab.openssh("UnusedConnectionTimeout 2\n").port, "--idle=5", status=0)
    assert report["steps"][-1]["finding"] == "ended-by-server", report


def test_a_proxy_that_fails(lab):
    """It is no server that turns this address away."""
    report, found = doctor(lab, free_port(), "-o", "ProxyCommand=false", status=1)
    assert report["steps"][-1]["finding"] == "proxy-failed" and "by hand" in found["proxy-failed"]["remedies"]["client"], report
