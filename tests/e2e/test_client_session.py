"""Our ssh as people use it: streams of every kind, terminals, escapes, questions, keepalives, exit codes."""
import os
import signal
import socket
import stat
import subprocess
import threading
import time

import pexpect
import pytest
from conftest import IS_ROOT, SLOW, needs_root, tool, wait_until


@pytest.fixture(scope="module", params=["openssh", "bowline"])
def server(request, module_lab):
    if request.param == "openssh":
        return module_lab.openssh("AcceptEnv BWL_*\n")
    return module_lab.sshd("AcceptEnv BWL_*\n")


def gives_terminals(server):
    if not IS_ROOT and "openssh" in os.path.basename(server.log_path):
        pytest.skip("OpenSSH's sshd gives terminals only when root runs it")


def run(lab, server, *args, **kw):
    return lab.ssh(server, *args, **kw)


def spawn(lab, server, *args, options=(), **kw):
    kw.setdefault("env", dict(os.environ, TERM="xterm"))
    common = [a for a in lab.common(server.port) if a not in ("BatchMode=yes",)]
    common = common[:-1] if common[-1] == "-o" else common
    return pexpect.spawn(tool("ssh"), [*options, *common, *args], timeout=15 * SLOW, encoding="latin-1", **kw)


@pytest.mark.parametrize("code", [0, 1, 42, 255])
def test_exit_status(module_lab, server, code):
    assert run(module_lab, server, f"exit {code}").returncode == code


def test_exit_signal(module_lab, server):
    done = run(module_lab, server, "kill -TERM $$")
    assert done.returncode == 255 and b"TERM" in done.stderr


def test_streams_are_apart(module_lab, server):
    done = run(module_lab, server, "cat; echo two >&2", input=b"one")
    assert done.stdout == b"one" and b"two" in done.stderr


@pytest.mark.parametrize("closed", [0, 1, 2])
def test_closed_descriptors(module_lab, server, closed):
    args = module_lab.ssh_args(server, "cat; echo out; echo err >&2; exit 9")
    done = subprocess.run(["sh", "-c", f'exec "$@" {closed}>&-', "sh", *args], stdin=subprocess.DEVNULL,
                          capture_output=True, timeout=20 * SLOW)
    assert done.returncode == 9
    assert (b"out" in done.stdout) == (closed != 1) and (b"err" in done.stderr) == (closed != 2)


def test_files_and_sockets(module_lab, server, tmp_path):
    (tmp_path / "in").write_bytes(os.urandom(300000))
    args = module_lab.ssh_args(server, "cat")
    with open(tmp_path / "in") as source, open(tmp_path / "out", "w") as target:
        assert subprocess.run(args, stdin=source, stdout=target, timeout=20 * SLOW).returncode == 0
    assert (tmp_path / "out").read_bytes() == (tmp_path / "in").read_bytes()
    ours, theirs = socket.socketpair()
    child = subprocess.Popen(args, stdin=theirs, stdout=theirs)
    theirs.close()
    body, got = (tmp_path / "in").read_bytes(), b""
    writer = threading.Thread(target=lambda: (ours.sendall(body), ours.shutdown(socket.SHUT_WR)))
    writer.start()
    while len(got) < len(body):
        piece = ours.recv(65536)
        assert piece
        got += piece
    writer.join()
    assert child.wait(20 * SLOW) == 0 and got == body


def test_pipes_keep_their_flags(module_lab, server):
    """O_NONBLOCK is a flag of the description, which we share with whoever started us."""
    import fcntl
    r, w = os.pipe()
    child = subprocess.Popen(module_lab.ssh_args(server, "sleep 1"), stdin=subprocess.DEVNULL, stdout=w)
    time.sleep(0.7)
    assert not fcntl.fcntl(w, fcntl.F_GETFL) & os.O_NONBLOCK
    assert child.wait(20 * SLOW) == 0
    os.close(r), os.close(w)


def test_slow_reader(module_lab, server):
    child = subprocess.Popen(module_lab.ssh_args(server, "head -c 20000000 /dev/zero"), stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE)
    time.sleep(1)
    assert len(child.stdout.read()) == 20000000
    assert child.wait(20 * SLOW) == 0


def test_reader_that_goes(module_lab, server):
    args = module_lab.ssh_args(server, "yes; echo done >&2")
    child = subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    child.stdout.read(10)
    child.stdout.close()
    child.wait(20 * SLOW)


def test_stdin_stays_unread_with_n(module_lab, server, tmp_path):
    (tmp_path / "in").write_text("mine\n")
    args = module_lab.ssh_args(server, "-n", "cat")
    with open(tmp_path / "in") as source:
        done = subprocess.run(args, stdin=source, capture_output=True, timeout=20 * SLOW)
        assert done.returncode == 0 and done.stdout == b"" and source.read() == "mine\n"


def test_environment(module_lab, server):
    done = run(module_lab, server, "echo $BWL_A-$BWL_B-$HIDDEN", options=["-o", "SendEnv=BWL_A HIDDEN", "-o", "SetEnv=BWL_B=two"],
               env=dict(os.environ, BWL_A="one", HIDDEN="x"))
    assert done.stdout == b"one-two-\n"


def test_fork_after_authentication(module_lab, server, tmp_path):
    mark = tmp_path / "mark"
    start = time.monotonic()
    done = run(module_lab, server, "-f", f"sleep 1; touch {mark}", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert done.returncode == 0 and time.monotonic() - start < 1 * SLOW + 1
    assert wait_until(mark.exists)


def test_no_session(module_lab, server):
    child = subprocess.Popen([*module_lab.ssh_args(server), "-N"], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    time.sleep(1)
    assert child.poll() is None
    child.terminate()
    assert child.wait(10 * SLOW) == 255


def test_terminal(module_lab, server):
    gives_terminals(server)
    child = spawn(module_lab, server, "127.0.0.1", "stty size; echo $TERM; read x; echo got-$x", options=["-t"],
                  dimensions=(31, 97))
    child.expect("31 97")
    child.expect("xterm")
    child.send("abc\r")
    child.expect("got-abc")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


def test_window_change(module_lab, server):
    gives_terminals(server)
    child = spawn(module_lab, server, "127.0.0.1", "trap 'stty size' WINCH; echo ready; while :; do sleep 0.1; done",
                  options=["-t"], dimensions=(30, 90))
    child.expect("ready")
    child.setwinsize(44, 133)
    child.expect("44 133")
    child.send("\r~.")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 255


@pytest.mark.parametrize("end", ["~.", "SIGTERM", "SIGHUP", "exit"])
def test_terminal_is_restored(module_lab, server, end):
    gives_terminals(server)
    args = " ".join(f"'{a}'" for a in [tool("ssh"), "-t", *module_lab.common(server.port), "127.0.0.1"])
    shell = pexpect.spawn("/bin/sh", env={"PS1": "LOCAL> ", "PATH": os.environ["PATH"], "HOME": "/nonexistent"},
                          timeout=15 * SLOW, encoding="latin-1")
    shell.expect("LOCAL> ")
    shell.send("stty -a | cksum\r")
    shell.expect(r"(\d+ \d+)\r\n")
    before = shell.match.group(1)
    shell.expect("LOCAL> ")
    shell.send(f"{args} 'echo rea''dy; read x'\r")
    shell.expect("ready")
    time.sleep(0.3)
    if end == "~.":
        shell.send("~.")
    elif end == "exit":
        shell.send("\r")
    else:
        children = subprocess.run(["ps", "-o", "pid=", "--ppid", str(shell.pid)], capture_output=True, text=True).stdout.split()
        os.kill(int(children[0]), getattr(signal, end))
    shell.expect("LOCAL> ")
    shell.send("stty -a | cksum\r")
    shell.expect(r"(\d+ \d+)\r\n")
    assert shell.match.group(1) == before
    shell.close(force=True)


def test_first_use(module_lab, server, tmp_path):
    known = tmp_path / "deep" / "known"
    args = ["-o", f"UserKnownHostsFile={known}", "-o", "StrictHostKeyChecking=ask", "-o", "HashKnownHosts=yes"]

    def ask(answer):
        child = spawn(module_lab, server, "127.0.0.1", "echo in", options=args)
        child.expect(r"(SHA256:[A-Za-z0-9+/]+)")
        shown = child.match.group(1)
        child.expect(r"\(yes/no/\[fingerprint\]\)\? ")
        child.send((shown if answer == "fingerprint" else answer) + "\r")
        child.expect(pexpect.EOF)
        child.close()
        return child.exitstatus
    assert ask("no") == 255 and not known.exists()
    assert ask("fingerprint") == 0
    assert known.read_text().startswith("|1|") and stat.S_IMODE(os.stat(tmp_path / "deep").st_mode) == 0o700
    child = spawn(module_lab, server, "127.0.0.1", "echo in", options=args)
    child.expect("in\r\n")
    child.close()


def test_passphrase(module_lab, server, tmp_path):
    key = tmp_path / "locked"
    subprocess.run(["cp", module_lab.keys.path("user"), key], check=True)
    os.chmod(key, 0o600)
    subprocess.run(["ssh-keygen", "-q", "-p", "-P", "", "-N", "open sesame", "-f", key], check=True, stdout=subprocess.DEVNULL)
    args = [tool("ssh"), "-F", "none", "-p", str(server.port), "-i", str(key), "-o", "IdentitiesOnly=yes",
            "-o", f"UserKnownHostsFile={module_lab.keys.known_hosts(server.port)}", "127.0.0.1", "echo in"]
    child = pexpect.spawn(args[0], args[1:], timeout=15 * SLOW, encoding="latin-1")
    child.expect("passphrase for key")
    child.send("wrong\r")
    child.expect("passphrase for key")
    child.send("open sesame\r")
    child.expect("in\r\n")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


def test_key_that_others_read(module_lab, server, tmp_path):
    key = tmp_path / "public"
    subprocess.run(["cp", module_lab.keys.path("user"), key], check=True)
    os.chmod(key, 0o644)
    args = [tool("ssh"), "-F", "none", "-p", str(server.port), "-o", "BatchMode=yes", "-i", str(key), "-o", "IdentitiesOnly=yes",
            "-o", f"UserKnownHostsFile={module_lab.keys.known_hosts(server.port)}", "127.0.0.1", "true"]
    done = subprocess.run(args, capture_output=True, timeout=20 * SLOW, stdin=subprocess.DEVNULL)
    assert done.returncode == 255
    assert str(key).encode() in done.stderr and b"chmod 600" in done.stderr


def test_agent(module_lab, server, tmp_path):
    path = str(tmp_path / "agent")
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", path], stdout=subprocess.DEVNULL)
    try:
        assert wait_until(lambda: os.path.exists(path))
        env = dict(os.environ, SSH_AUTH_SOCK=path)
        for kind in ("ed25519", "rsa"):
            subprocess.run(["ssh-add", "-q", "-D"], env=env, stderr=subprocess.DEVNULL)
            subprocess.run(["ssh-add", "-q", module_lab.keys.path("user", kind)], env=env, check=True)
            args = [tool("ssh"), "-F", "none", "-p", str(server.port), "-o", "BatchMode=yes", "-o", "IdentityFile=none",
                    "-o", f"UserKnownHostsFile={module_lab.keys.known_hosts(server.port)}", "127.0.0.1", "echo in"]
            done = subprocess.run(args, env=env, capture_output=True, timeout=20 * SLOW, stdin=subprocess.DEVNULL)
            assert done.returncode == 0 and done.stdout == b"in\n", done.stderr
    finally:
        agent.terminate()
        agent.wait()


def test_refused_key_is_named(module_lab, server, tmp_path):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "other"], check=True)
    args = [tool("ssh"), "-F", "none", "-v", "-p", str(server.port), "-o", "BatchMode=yes", "-i", str(tmp_path / "other"),
            "-o", "IdentitiesOnly=yes", "-o", f"UserKnownHostsFile={module_lab.keys.known_hosts(server.port)}", "127.0.0.1", "true"]
    done = subprocess.run(args, capture_output=True, timeout=20 * SLOW, stdin=subprocess.DEVNULL)
    assert done.returncode == 255
    assert b"Permission denied (" in done.stderr and b"SHA256:" in done.stderr


def test_five_steps(module_lab, server):
    done = run(module_lab, server, "-v", "true")
    steps = [line.split()[1] for line in done.stderr.decode().splitlines() if line.startswith("bowline: ")]
    assert steps == ["link", "secured", "host", "you", "session"]


def test_server_alive(module_lab, server, tmp_path):
    """A server that stops is noticed after about interval x count, whatever came before."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(1)
    stopped = threading.Event()

    def relay():
        client, _ = listener.accept()
        upstream = socket.create_connection(("127.0.0.1", server.port))

        def copy(source, target):
            while not stopped.is_set():
                source.settimeout(0.1)
                try:
                    data = source.recv(65536)
                except TimeoutError:
                    continue
                except OSError:
                    return
                if not data:
                    return
                target.sendall(data)
        threading.Thread(target=copy, args=(client, upstream), daemon=True).start()
        copy(upstream, client)
        time.sleep(20)
    threading.Thread(target=relay, daemon=True).start()
    port = listener.getsockname()[1]
    args = [tool("ssh"), *module_lab.common(server.port), "-o", "ServerAliveInterval=1", "-o", "ServerAliveCountMax=2",
            "-o", f"HostKeyAlias=[127.0.0.1]:{server.port}", "127.0.0.1", "echo up; sleep 30"]
    args[args.index("-p") + 1] = str(port)
    child = subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert child.stdout.readline() == b"up\n"
    time.sleep(2.5)  # answered keepalives keep it up
    assert child.poll() is None
    stopped.set()
    start = time.monotonic()
    assert child.wait(15 * SLOW) == 255
    # Ours tries one other link first.
    assert 1.5 < time.monotonic() - start < 12 * SLOW
    assert b"not responding" in child.stderr.read()


def test_no_such_host_and_port(module_lab):
    """In OpenSSH's words: scripts, editors and monitors look for them."""
    for args, word in ((["-p", "1", "127.0.0.1"], "ssh: connect to host 127.0.0.1 port 1: Connection refused\n"),
                       (["no-such-host.invalid"], "ssh: Could not resolve hostname no-such-host.invalid: ")):
        done = subprocess.run([tool("ssh"), "-F", "none", *args, "true"], capture_output=True, text=True, timeout=30 * SLOW,
                              stdin=subprocess.DEVNULL)
        assert done.returncode == 255 and word in done.stderr


def test_dangerous_names():
    for name in ("-oProxyCommand=x", "host;id", "$(id)", "us`id`er@host"):
        done = subprocess.run([tool("ssh"), "-F", "none", "--", name, "true"], capture_output=True, text=True, timeout=10 * SLOW,
                              stdin=subprocess.DEVNULL)
        assert done.returncode == 255, name


def test_version_is_parseable():
    done = subprocess.run([tool("ssh"), "-V"], capture_output=True, text=True)
    assert done.returncode == 0 and "OpenSSH_" in done.stderr and "Bowline_" in done.stderr


def test_bad_tunnel_says_so():
    done = subprocess.run([tool("ssh"), "-w", "one", "host"], capture_output=True, text=True)
    assert done.returncode == 255 and 'TunnelDevice is like 0:1 or any:any, not "one"' in done.stderr


def test_two_keys_and_a_banner(lab, tmp_path):
    """Partial success goes on with the next key; the banner is shown cleaned."""
    (tmp_path / "banner").write_bytes(b"Hello \x1b[31m there\n")
    server = lab.openssh(f"AuthenticationMethods publickey,publickey\nBanner {tmp_path}/banner\n")
    one = lab.ssh(server, "echo in")
    assert one.returncode == 255 and b"Permission denied (publickey)" in one.stderr
    two = lab.ssh(server, "echo in", options=["-i", lab.keys.path("user", "ecdsa")])
    assert two.returncode == 0 and two.stdout == b"in\n", two.stderr
    assert b"Hello" in two.stderr and b"\x1b" not in two.stderr


def test_password(lab, account):
    server = lab.openssh("UsePAM no\nPasswordAuthentication yes\n")
    subprocess.run(["chpasswd"], input=f"{account.name}:open sesame\n".encode(), check=True)
    child = pexpect.spawn(tool("ssh"), ["-F", "none", "-p", str(server.port), "-o", "PubkeyAuthentication=no",
                                        "-o", f"UserKnownHostsFile={lab.keys.known_hosts(server.port)}",
                                        f"{account.name}@127.0.0.1", "echo in"], timeout=15 * SLOW, encoding="latin-1")
    for answer in ("wrong", "open sesame"):
        child.expect("password: ")
        child.send(answer + "\r")
    child.expect("in\r\n")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


def test_no_key_before_its_turn(lab):
    """A key is shown only where publickey is in PreferredAuthentications, and after what stands before it."""
    server = lab.openssh("LogLevel DEBUG2")
    done = lab.ssh(server, options=["-o", "PreferredAuthentications=password"])
    assert done.returncode == 255 and b"Permission denied" in done.stderr
    server.wait_log("no more authentication methods")
    assert "method publickey" not in server.log()
    assert lab.ssh(server, "true", options=["-o", "PreferredAuthentications=password,publickey"]).returncode == 0
    assert server.log().index("method none") < server.log().index("method publickey")


@needs_root
def test_a_connection_that_meets_itself_is_refused():
    """Where nobody listens at a port of the range that connections come from, the kernel may give it to the connection."""
    ports = "ip link set lo up && echo 40001 40002 > /proc/sys/net/ipv4/ip_local_port_range"
    for port in ("40001", "40002"):
        done = subprocess.run(["unshare", "-n", "sh", "-c", f'{ports} && exec "$@"', "sh", tool("ssh"), "-F", "none", "-p", port,
                               "127.0.0.1", "true"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30 * SLOW)
        assert done.returncode == 255 and "Connection refused" in done.stderr, done.stderr
