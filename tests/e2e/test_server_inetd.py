"""sshd -i below a ProxyCommand: one link on two pipes; and what OpenSSH's regression suite found besides."""
import os
import shlex
import subprocess

import pytest
from conftest import SLOW, USER, require, tool

CLIENTS = [None, "ssh"]


def proxy(lab, lines="", program=None):
    """Options for a client that starts `sshd -i` itself."""
    # Debian's sshd has no such keyword.
    config = lab.config(22022, ("" if program else "PerSourcePenalties no\n") + lines)
    log = os.path.join(lab.folder, "inetd.log")
    command = f"{shlex.quote(program or tool('sshd'))} -i -f {shlex.quote(config)} -E {shlex.quote(log)}"
    return ["-F", "none", "-i", lab.keys.path("user"), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
            "-o", f"UserKnownHostsFile={lab.keys.known_hosts(22022)}", "-o", "GlobalKnownHostsFile=none",
            "-o", "HostKeyAlias=[127.0.0.1]:22022", "-o", f"ProxyCommand={command}"]


def run(lab, client, lines, *words, **kw):
    if client:
        require(client)
    kw.setdefault("stdin", subprocess.DEVNULL)
    if "input" in kw:
        del kw["stdin"]
    return subprocess.run([client or tool("ssh"), *proxy(lab, lines), *words], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=30 * SLOW, **kw)


@pytest.mark.parametrize("client", CLIENTS)
def test_two_pipes_are_one_link(lab, client):
    done = run(lab, client, "", "nowhere", "echo $SSH_CONNECTION; cat; exit 3", input=b"x" * 300000)
    assert done.returncode == 3, done.stderr
    assert done.stdout == b"UNKNOWN 65535 UNKNOWN 65535\n" + b"x" * 300000


def test_hang_up_ends_it(lab):
    """Clients send SIGHUP to their ProxyCommand: nothing starts listening then."""
    assert run(lab, "ssh", "", "nowhere", "true").returncode == 0
    with open(os.path.join(lab.folder, "inetd.log")) as log:
        text = log.read()
    assert "Server listening" not in text and "restarting" not in text


@pytest.mark.parametrize("client", CLIENTS)
def test_style_is_no_part_of_the_name(lab, client):
    done = run(lab, client, "", f"{USER}:style@nowhere", "echo $USER")
    assert done.stdout == USER.encode() + b"\n", done.stderr


def test_status_says_that_nobody_came_in(lab):
    config = lab.config(22022, "PerSourcePenalties no\n")
    for text, status in ((b"SSH-1.5-HALLO\r\n", 255), (b"", 255)):
        done = subprocess.run([tool("sshd"), "-i", "-f", config], input=text, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=20 * SLOW)
        assert done.stdout.startswith(b"SSH-2.0-")
        assert done.returncode == status


@pytest.mark.parametrize("lines,want", [("SetEnv A_B=23 A_B=42", b"23"), ("SetEnv A_B=42\nSetEnv A_B=7", b"42")])
def test_first_value_of_setenv_counts(lab, lines, want):
    assert run(lab, "ssh", lines, "nowhere", "echo $A_B").stdout == want + b"\n"


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("size", [70000, 200000])
def test_long_banners(lab, client, size, tmp_path):
    (tmp_path / "banner").write_text("b" * size + "\n")
    done = run(lab, client, f"Banner {tmp_path}/banner", "nowhere", "true")
    assert done.returncode == 0 and b"b" * size in done.stderr


OLD = [("aes128-cbc", "hmac-sha1"), ("aes192-cbc", "hmac-sha2-256-etm@openssh.com"), ("aes256-cbc", "umac-64@openssh.com"),
       ("3des-cbc", "hmac-sha2-512"), ("aes128-ctr", "hmac-md5"), ("aes128-ctr", "hmac-sha1-96"),
       ("aes256-ctr", "hmac-md5-96-etm@openssh.com"), ("aes256-cbc", "hmac-sha1-96-etm@openssh.com")]


@pytest.mark.parametrize("cipher,mac", OLD)
def test_old_ciphers_when_asked_for(lab, cipher, mac):
    """Our sshd with Debian's ssh, our ssh with Debian's sshd."""
    lines = f"Ciphers {cipher}\nMACs {mac}\nKexAlgorithms curve25519-sha256"
    words = ["-c", cipher, "-m", mac, "-o", "KexAlgorithms=curve25519-sha256", "nowhere", "cat"]
    body = os.urandom(100000)
    assert run(lab, "ssh", lines, *words, input=body).stdout == body
    theirs = proxy(lab, lines, program=require("sshd"))
    done = subprocess.run([tool("ssh"), *theirs, *words], input=body, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=30 * SLOW)
    assert done.stdout == body, done.stderr


def test_log_file_takes_what_verbose_says(lab, tmp_path):
    """-E: standard error is the command's alone, and lines of debugging begin as everybody's do."""
    done = run(lab, None, "", "-v", "-E", str(tmp_path / "log"), "nowhere", "echo out; echo err >&2")
    assert (done.stdout, done.stderr) == (b"out\n", b"err\n")
    assert "\ndebug1: " in "\n" + (tmp_path / "log").read_text()
