"""Sessions on our sshd, with Debian's ssh as the client: programs, terminals, rules, processes."""
import hashlib
import os
import signal
import socket
import subprocess
import time

import pexpect
import pytest
from conftest import ASAN, IS_ROOT, SHELL_LEVEL, SLOW, USER, free_port, listens, needs_root, wait_until
from processes import below

SSH = "ssh"


def run(lab, server, command, *options, user=USER, **kw):
    return lab.ssh(server, "-l", user, *options, command, program=SSH, **kw)


@pytest.fixture(scope="module")
def server(module_lab):
    return module_lab.sshd("AcceptEnv LANG LC_* FOO\nSubsystem count /usr/bin/wc -c\nPrintMotd no\n"
                           f"SetEnv BYADMIN=yes {SHELL_LEVEL}\nMaxSessions 3\n")


def processes(server, name):
    return [p.pid for p in below(server.process.pid) if name in p.title]


def gate_of(server):
    """The only gate; its title is one word."""
    return [p.pid for p in below(server.process.pid) if p.title.split()[:2] == ["sshd:", "gate"] or p.title == "gate"]


@pytest.mark.parametrize("command,status", [("true", 0), ("exit 7", 7), ("kill -9 $$", 255), ("exec false", 1)])
def test_status(module_lab, server, command, status):
    assert run(module_lab, server, command).returncode == status


def test_output_kept_apart(module_lab, server):
    done = run(module_lab, server, "echo out; echo err >&2")
    assert (done.stdout, done.stderr) == (b"out\n", b"err\n")


@pytest.mark.parametrize("cipher", ["aes128-gcm@openssh.com", "chacha20-poly1305@openssh.com", "aes256-ctr"])
@pytest.mark.parametrize("rekey", ["none", "1M"])
def test_bulk_both_ways(module_lab, server, cipher, rekey):
    data = os.urandom(1 << 20) * (4 if ASAN else 24)
    options = ["-c", cipher] + (["-o", f"RekeyLimit={rekey}"] if rekey != "none" else [])
    done = run(module_lab, server, "cat", *options, input=data, timeout=60)
    assert hashlib.sha256(done.stdout).digest() == hashlib.sha256(data).digest()


def test_rekey_started_by_server(lab):
    server = lab.sshd("RekeyLimit 1M\n")
    data = os.urandom(1 << 20) * 8
    assert run(lab, server, "cat", input=data, timeout=60).stdout == data
    assert run(lab, server, "sha256sum", input=data, timeout=60).stdout.split()[0].decode() == \
        hashlib.sha256(data).hexdigest()


def test_environment(module_lab, server):
    env = dict(os.environ, FOO="bar", LANG="C", XFOO="no")
    out = run(module_lab, server, "env", "-o", "SendEnv=FOO XFOO LANG", env=env).stdout.decode()
    values = dict(line.split("=", 1) for line in out.splitlines() if "=" in line)
    assert values["FOO"] == "bar" and values["BYADMIN"] == "yes" and values["USER"] == USER
    assert values["SSH_CONNECTION"].split()[3] == str(server.port)
    assert "XFOO" not in values and "SSH_TTY" not in values


def test_subsystem(module_lab, server):
    done = run(module_lab, server, "count", "-s", input=b"12345")
    assert done.stdout.strip() == b"5"
    assert run(module_lab, server, "nothing", "-s").returncode != 0


def test_sftp_by_command(lab, scratch):
    program = "/usr/lib/openssh/sftp-server"
    if not os.path.exists(program):
        pytest.skip("no sftp-server")
    server = lab.sshd(f"Subsystem sftp {program}\n")
    data = os.urandom(300000)
    with open(f"{scratch}/a", "wb") as f:
        f.write(data)
    args = ["sftp", "-b", "-", *[a if a != "-p" else "-P" for a in lab.common(server.port)], f"{USER}@127.0.0.1"]
    subprocess.run(args, input=f"put {scratch}/a {scratch}/b\nget {scratch}/b {scratch}/c\n".encode(), check=True,
                   stdout=subprocess.DEVNULL, timeout=30 * SLOW)
    with open(f"{scratch}/c", "rb") as f:
        assert f.read() == data


def terminal(lab, server, *args):
    command = lab.ssh_args(server, "-tt", "-l", USER, *args, program=SSH) if args else \
        [*lab.ssh_args(server, program=SSH), "-tt", "-l", USER]
    child = pexpect.spawn(command[0], command[1:], timeout=10 * SLOW, encoding="utf8", dimensions=(33, 77))
    return child


def test_terminal(module_lab, server):
    child = terminal(module_lab, server, "exec sh")
    child.sendline("PS1='RE''ADY> '; stty size; echo tty=$SSH_TTY=$TERM")
    child.expect("33 77")
    child.expect("tty=/dev/pts/[0-9]+=")
    child.expect("READY> ")
    child.setwinsize(40, 90)
    for _ in range(20):
        time.sleep(0.1)
        child.sendline("stty size")
        if child.expect(["40 90", "33 77"]) == 0:
            break
    else:
        pytest.fail("the window's size did not arrive")
    child.sendline("echo; sleep 25")
    time.sleep(0.3)
    child.sendintr()
    child.expect("READY> ")
    child.sendline("exit 9")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 9


def test_terminal_output_is_whole(module_lab, server):
    child = terminal(module_lab, server, "seq 1 20000; exit 3")
    out = ""
    while True:
        try:
            out += child.read_nonblocking(65536, 10)
        except pexpect.EOF:
            break
    assert [int(x) for x in out.split() if x.isdigit()] == list(range(1, 20001))
    child.close()
    assert child.exitstatus == 3


def test_background_process_holds_the_pipe(module_lab, server):
    start = time.monotonic()
    assert run(module_lab, server, "(sleep 1.5; echo late) & exit 0").stdout == b"late\n"
    assert time.monotonic() - start > 1.4


def test_terminal_does_not_wait_for_the_background(module_lab, server):
    start = time.monotonic()
    child = terminal(module_lab, server, "trap '' HUP; sleep 20 & exit 4")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 4 and time.monotonic() - start < 10 * SLOW


def test_terminal_closed_before_the_end(module_lab, server):
    """As most programs do when they end: that is no reason to hang up on one, whose status would be lost."""
    done = run(module_lab, server, "exec 0<&- 1>&- 2>&-; sleep 0.4; exit 7", "-tt")
    assert done.returncode == 7, done.stderr


def test_hang_up_reaches_the_terminal(module_lab, server, scratch):
    child = terminal(module_lab, server, f"trap 'echo hup > {scratch}/hup; exit' HUP; echo up; while :; do sleep .1; done")
    child.expect("up")
    child.kill(signal.SIGKILL)
    assert wait_until(lambda: os.path.exists(f"{scratch}/hup"))
    child.close()


def test_many_channels(module_lab, server, scratch):
    control = f"{scratch}/cm"
    options = ["-o", f"ControlPath={control}"]
    args = module_lab.ssh_args(server, "-l", USER, "-N", "-M", *options, "true", program=SSH)[:-1]
    master = subprocess.Popen(args, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        assert wait_until(lambda: os.path.exists(control))
        blob = "head -c 2000000 /dev/zero; cat"
        one = [subprocess.Popen(["ssh", *options, "-F", "none", "-p", str(server.port), "127.0.0.1", blob],
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(3)]
        for i, p in enumerate(one):
            out, _ = p.communicate(b"%d" % i, timeout=30 * SLOW)
            assert out == bytes(2000000) + b"%d" % i
        # MaxSessions 3: a fourth is refused while three run, and there is room again afterwards.
        three = [subprocess.Popen(["ssh", *options, "-F", "none", "127.0.0.1", "cat"], stdin=subprocess.PIPE,
                                  stdout=subprocess.DEVNULL) for _ in range(3)]
        time.sleep(0.5)
        done = subprocess.run(["ssh", *options, "-F", "none", "-o", "BatchMode=yes", "-p", "1", "127.0.0.1", "true"],
                              stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=30 * SLOW)
        assert done.returncode != 0
        for p in three:
            p.communicate(b"", timeout=30 * SLOW)
        assert subprocess.run(["ssh", *options, "-F", "none", "127.0.0.1", "true"], stdin=subprocess.DEVNULL,
                              timeout=30 * SLOW).returncode == 0
    finally:
        master.kill()
        master.wait()


@pytest.mark.parametrize("closing", ["exec >&- 2>&-", "exec <&- >&- 2>&-"])
def test_status_of_a_program_that_outlives_its_channel(module_lab, server, scratch, closing):
    """A shared connection of the stock client's closes a channel when both directions have ended."""
    control = f"{scratch}/outlive"
    args = module_lab.ssh_args(server, "-l", USER, "-S", control, "true", program="ssh")[:-2]
    master = subprocess.Popen(args + ["-M", "-N", "127.0.0.1"], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        assert wait_until(lambda: os.path.exists(control))
        done = subprocess.run(args + ["127.0.0.1", f"{closing}; sleep 0.5; exit 5"], stdin=subprocess.DEVNULL,
                              timeout=30 * SLOW)
        assert done.returncode == 5
    finally:
        master.kill()
        master.wait()
        os.unlink(control)


def keys_with(lab, options, name="restricted"):
    path = os.path.join(lab.folder, name)
    with open(path, "w") as f:
        f.write(options + " " + lab.keys.public("user"))
    return path


def test_forced_command(lab):
    server = lab.sshd(authorized=keys_with(lab, 'command="echo forced:$SSH_ORIGINAL_COMMAND",no-pty'))
    assert run(lab, server, "id -u").stdout == b"forced:id -u\n"
    assert b"PTY allocation request failed" in run(lab, server, "id", "-tt").stderr


def test_force_command_beats_the_key(lab):
    server = lab.sshd('ForceCommand echo admin\n', authorized=keys_with(lab, 'command="echo key"'))
    assert run(lab, server, "id").stdout == b"admin\n"


@pytest.mark.parametrize("options,good", [
    ('from="127.0.0.0/8"', True), ('from="!127.0.0.1,*"', False), ('from="192.0.2.1"', False),
    ('expiry-time="20010101"', False), ('expiry-time="29990101"', True), ("restrict", True),
    ("nonsense", False), ('command="x', False), ("restrict,pty", True), ("cert-authority", False)])
def test_key_options(lab, options, good):
    server = lab.sshd(authorized=keys_with(lab, options))
    assert (run(lab, server, "true").returncode == 0) == good
    if options == "nonsense":
        server.wait_log("restricted:1")


@pytest.mark.parametrize("lines,good", [
    (f"AllowUsers {USER}", True), ("AllowUsers nobody-else", False), (f"DenyUsers {USER}", False),
    (f"AllowUsers {USER}@127.0.0.1", True), (f"AllowUsers {USER}@192.0.2.1", False),
    ("PubkeyAuthentication no", False),
    ("PubkeyAcceptedAlgorithms rsa-sha2-512", False)])
def test_rules(lab, lines, good):
    assert (run(lab, lab.sshd(lines + "\n"), "true").returncode == 0) == good


def test_match(lab):
    server = lab.sshd(f"Match User {USER} Address 127.0.0.0/8\n    ForceCommand echo matched\n")
    assert run(lab, server, "id").stdout == b"matched\n"


@needs_root
def test_strict_modes(lab, account):
    server = lab.sshd("StrictModes yes\nAuthorizedKeysFile .ssh/authorized_keys\n")
    assert run(lab, server, "id -un", user=account.name).stdout.decode().strip() == account.name
    os.chmod(account.home, 0o777)
    assert run(lab, server, "true", user=account.name).returncode != 0
    server.wait_log("Authentication refused")


@needs_root
def test_fifo_as_authorized_keys(lab, account):
    path = os.path.join(account.home, ".ssh", "authorized_keys")
    os.unlink(path)
    os.mkfifo(path)
    os.chown(path, account.uid, account.gid)
    server = lab.sshd("AuthorizedKeysFile .ssh/authorized_keys\n")
    assert run(lab, server, "true", user=account.name, timeout=10).returncode == 255


@needs_root
def test_user_is_nobody_else(lab, account):
    server = lab.sshd("AuthorizedKeysFile .ssh/authorized_keys\n")
    out = run(lab, server, "id -u; id -g; id -G; pwd; grep ^Cap[PE] /proc/self/status; umask", user=account.name).stdout
    lines = out.decode().split("\n")
    assert lines[:4] == [str(account.uid), str(account.gid), str(account.gid), account.home]
    assert lines[4].endswith("\t" + "0" * 16) and lines[5].endswith("\t" + "0" * 16)


@needs_root
def test_locked_account_and_shell(lab, account):
    server = lab.sshd("AuthorizedKeysFile .ssh/authorized_keys\n")
    subprocess.run(["usermod", "-p", "!", account.name], check=True)
    assert run(lab, server, "true", user=account.name).returncode == 255
    server.wait_log("account is locked")
    subprocess.run(["usermod", "-p", "*", "-s", "/nonexistent/sh", account.name], check=True)
    assert run(lab, server, "true", user=account.name).returncode == 255


@needs_root
def test_as_an_ordinary_user(lab, account, scratch):
    """The same processes under one uid, terminals included; nobody else gets in."""
    os.chmod(scratch, 0o755)
    key, authorized = f"{scratch}/host", f"{scratch}/authorized"
    subprocess.run(["cp", lab.keys.path("host"), key], check=True)
    subprocess.run(["cp", lab.keys.authorized_keys, authorized], check=True)
    program = f"{scratch}/sshd"
    subprocess.run(["cp", "-L", os.path.join(os.environ.get("BOWLINE_BIN", os.path.join(
        os.path.dirname(__file__), "..", "..", "build", "bin")), "sshd"), program], check=True)
    for path in (key, authorized, program):
        os.chown(path, account.uid, account.gid)
    port = free_port()
    with open(f"{scratch}/config", "w") as f:
        f.write(f"Port {port}\nListenAddress 127.0.0.1\nHostKey {key}\nAuthorizedKeysFile {authorized}\n"
                "StrictModes no\nPidFile none\n")
    process = subprocess.Popen(["setpriv", f"--reuid={account.uid}", f"--regid={account.gid}", "--clear-groups",
                                program, "-D", "-e", "-f", f"{scratch}/config"], stdin=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        assert wait_until(lambda: listens(port))
        stand_in = type("Server", (), {"port": port})
        out = run(lab, stand_in, "id -u; tty", "-tt", user=account.name).stdout.decode()
        assert str(account.uid) in out and "/dev/pts/" in out
        assert run(lab, stand_in, "true", user="root").returncode == 255
    finally:
        process.terminate()
        process.wait(10)


def test_gate_is_confined(lab):
    """Own root, no new privileges, a seccomp filter, and nothing of the file system in sight."""
    server = lab.sshd()
    with socket.create_connection(("127.0.0.1", server.port)):
        assert wait_until(lambda: gate_of(server))
        gate = gate_of(server)[0]
        with open(f"/proc/{gate}/status") as f:
            status = dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)
        assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2"
        assert status["CapEff"] == status["CapPrm"] == "0" * 16
        if IS_ROOT:
            assert status["Uid"].split()[0] != "0"
            assert os.listdir(f"/proc/{gate}/root") == []
            links = [os.readlink(f"/proc/{gate}/fd/{n}") for n in os.listdir(f"/proc/{gate}/fd")]
            assert sum(link.startswith("socket:") for link in links) == 2, links
            assert all(link.startswith("socket:") or link in ("/dev/null", server.log_path) for link in links), links


def test_gate_death_takes_nobody_along(lab):
    server = lab.sshd()
    child = subprocess.Popen(lab.ssh_args(server, "-l", USER, "echo up; cat", program=SSH), stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE)
    assert child.stdout.readline() == b"up\n"
    with socket.create_connection(("127.0.0.1", server.port)):
        assert wait_until(lambda: len(gate_of(server)) == 2)
        before = wait_until(lambda: processes(server, "listener"))
        victim = max(gate_of(server))
        os.kill(victim, signal.SIGSEGV)
        # A new listener has another address layout; the old one goes.
        assert wait_until(lambda: processes(server, "listener") not in ([], before))
    assert run(lab, server, "true").returncode == 0
    out, _ = child.communicate(b"still here", timeout=10 * SLOW)
    assert out == b"still here"
    server.wait_log("died")


def test_listener_killed(lab):
    server = lab.sshd()
    os.kill(wait_until(lambda: processes(server, "listener"))[0], signal.SIGKILL)
    assert wait_until(lambda: run(lab, server, "true").returncode == 0)


def test_nursery_killed(lab):
    """Who was in stays in, and the next login finds another one."""
    server = lab.sshd()
    child = subprocess.Popen(lab.ssh_args(server, "-l", USER, "echo up; cat", program=SSH), stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE)
    assert child.stdout.readline() == b"up\n"
    os.kill(wait_until(lambda: processes(server, "nursery"))[0], signal.SIGKILL)
    server.wait_log("the nursery died of signal 9")
    assert run(lab, server, "true").returncode == 0
    assert len(processes(server, "nursery")) == 1
    assert child.communicate(b"still here", timeout=10 * SLOW)[0] == b"still here"


def test_sessions_survive_the_keeper(lab):
    server = lab.sshd()
    child = subprocess.Popen(lab.ssh_args(server, "-l", USER, "echo up; cat", program=SSH), stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE)
    assert child.stdout.readline() == b"up\n"
    server.process.terminate()
    server.process.wait(10 * SLOW)
    assert wait_until(lambda: not listens(server.port))
    out, _ = child.communicate(b"x" * 1000000, timeout=10 * SLOW)
    assert out == b"x" * 1000000


def test_reload(lab):
    server = lab.sshd("Banner none\n")
    child = subprocess.Popen(lab.ssh_args(server, "-l", USER, "echo up; cat", program=SSH), stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE)
    assert child.stdout.readline() == b"up\n"
    server.reload("ForceCommand echo reloaded\n")
    assert wait_until(lambda: run(lab, server, "id").stdout == b"reloaded\n")
    # A bad one is not used.
    server.reload("Nonsense yes\n")
    server.wait_log("the old one stays")
    assert run(lab, server, "id").stdout == b"reloaded\n"
    out, _ = child.communicate(b"old", timeout=10 * SLOW)
    assert out == b"old"


def test_no_connection_is_lost_in_a_change_of_listeners(lab):
    server = lab.sshd("MaxStartups 1000\n")
    stop, results = time.monotonic() + 3, []
    for i in range(400):
        with socket.create_connection(("127.0.0.1", server.port), 5) as s:
            results.append(s.recv(8))
        if i in (100, 200, 300):
            server.process.send_signal(signal.SIGHUP)
        if time.monotonic() > stop + 20:
            break
    assert set(results) == {b"SSH-2.0-"}


def test_client_alive(lab):
    """ClientAliveInterval 1, CountMax 2: a silent client is cut after three seconds, not after eight."""
    server = lab.sshd("ClientAliveInterval 1\nClientAliveCountMax 2\n")
    child = subprocess.Popen(lab.ssh_args(server, "-l", USER, "echo up; sleep 25", program=SSH),
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        assert child.stdout.readline() == b"up\n"
        time.sleep(3.5)
        assert child.poll() is None, "a living client was cut"
        child.send_signal(signal.SIGSTOP)
        start = time.monotonic()
        server.wait_log("Timeout, client not responding", 12)
        assert 1.5 < time.monotonic() - start < 6
    finally:
        child.kill()
        child.wait()


def test_grace_time(lab):
    server = lab.sshd("LoginGraceTime 2\n")
    with socket.create_connection(("127.0.0.1", server.port)) as s:
        start = time.monotonic()
        s.settimeout(10)
        while s.recv(4096):
            pass
        assert 1.5 < time.monotonic() - start < 5 * SLOW
    server.wait_log("Timeout before authentication")


def test_inetd(lab):
    config = lab.config(free_port())
    ours, theirs = socket.socketpair()
    process = subprocess.Popen([lab_tool("sshd"), "-i", "-f", config, "-E", f"{lab.folder}/inetd.log"], stdin=theirs,
                               stdout=theirs, stderr=subprocess.DEVNULL)
    theirs.close()
    try:
        ours.settimeout(10 * SLOW)
        assert ours.recv(8) == b"SSH-2.0-"
    finally:
        ours.close()
        process.wait(10 * SLOW)


def lab_tool(name):
    from conftest import tool
    return tool(name)


@needs_root  # to count descriptors
def test_nothing_is_left(lab):
    """Processes and descriptors return to the base line."""
    server = lab.sshd("MaxStartups 1000\n")
    run(lab, server, "true")
    time.sleep(0.3)
    keeper = server.process.pid

    def count():
        return len(os.listdir(f"/proc/{keeper}/fd")), len(below(keeper))
    base = count()
    for i in range(60):
        with socket.create_connection(("127.0.0.1", server.port)) as s:
            s.send(b"SSH-2.0-x\r\n"[:i % 12])
    for _ in range(5):
        run(lab, server, "head -c 100000 /dev/zero")
    assert wait_until(lambda: count() == base), (base, count())
