"""The server is replaced under its sessions: reload and upgrade by SIGHUP, killed keepers, listeners and anchors."""
import glob
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import threading
import time

import processes
import pytest
import rawssh
from conftest import SLOW, USER, free_port, listens, needs_root, tool, wait_until

SSH = "ssh"


class Session:
    """A client with `cat` at the other end: alive while what it says comes back."""

    def __init__(self, lab, port, *options, user=USER, host_port=None):
        by_proxy = ["-p", str(host_port), "-o", f"HostKeyAlias=[127.0.0.1]:{port}"] if host_port else []
        words = [SSH, *by_proxy, *lab.common(port), "-l", user, *options]
        self.process = subprocess.Popen([*words, "127.0.0.1", "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE)

    def write(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def echo(self, data=b"a line\n"):
        writer = threading.Thread(target=self.write, args=(data,))
        writer.start()
        got = self.process.stdout.read(len(data))
        writer.join()
        assert got == data

    def end(self):
        self.process.stdin.close()
        assert self.process.wait(10 * SLOW) == 0, self.process.stderr.read()

    def stop(self):
        self.process.kill()
        self.process.wait()


def sessions(port):
    done = subprocess.run([tool("bowline"), "sessions", "--json", "--port", str(port)], capture_output=True, text=True,
                          timeout=20 * SLOW)
    return json.loads(done.stdout) if done.returncode == 0 else None


def reloads(server, times=1):
    """SIGHUP, until the keeper has executed itself and listens anew."""
    before = server.log().count("Received SIGHUP")
    done = server.log().count("listener is ready")
    server.process.send_signal(signal.SIGHUP)
    assert wait_until(lambda: server.log().count("listener is ready") >= done + times, 20), server.log()
    assert server.log().count("Received SIGHUP") > before


def children(server):
    """{title: [pid]} of the server's process group."""
    return processes.by_title(processes.of_group(server.process.pid))


def kill_keeper(server):
    server.process.kill()
    server.process.wait()


def restart(lab, server, args=()):
    """Another server on the port, with the file that is there."""
    assert wait_until(lambda: not listens(server.port))
    words = [tool("sshd"), "-D", "-e", "-f", os.path.join(lab.folder, f"sshd_config.{server.port}"), *args]
    return lab._start(f"again{len(lab.servers)}", words, server.port)


@pytest.fixture
def server(lab):
    return lab.sshd("LogLevel VERBOSE\n")


# ---- reload ----

def test_stop_while_a_reload_is_tried(lab):
    """The end of the trial and SIGTERM are seen in one turn: the server ends, and is not executed again."""
    program, hold, trial = (os.path.join(lab.folder, name) for name in ("sshd", "hold", "trial"))
    port = free_port()
    with open(program, "w") as out:
        out.write(f"#!/bin/bash\nif [ \"$1\" = -t ]; then touch {trial}; while [ -e {hold} ]; do sleep 0.02; done; fi\n"
                  f"exec -a {program} {os.path.realpath(tool('sshd'))} \"$@\"\n")
    os.chmod(program, 0o755)
    open(hold, "w").close()
    server = lab._start("sshd", [program, "-D", "-e", "-f", lab.config(port)], port)
    server.wait_log("listener is ready")
    pid = server.process.pid
    server.process.send_signal(signal.SIGHUP)
    assert wait_until(lambda: os.path.exists(trial))
    os.kill(pid, signal.SIGSTOP)
    os.kill(pid, signal.SIGTERM)
    os.remove(hold)
    assert wait_until(lambda: "Z" in [p.state for p in processes.children(pid)])
    os.kill(pid, signal.SIGCONT)
    assert server.process.wait(10 * SLOW) == 0
    assert server.log().count("listener is ready") == 1


@needs_root  # to see what runs
def test_replaced_program_runs_afterwards(lab):
    program, port = os.path.join(lab.folder, "sshd"), free_port()
    shutil.copy(os.path.realpath(tool("sshd")), program)
    words = [program, "-D", "-e", "-f", lab.config(port, "PerSourcePenalties no\nLogLevel VERBOSE\n")]
    server = lab._start("sshd", words, port)
    client = Session(lab, port)
    client.echo()
    shutil.copy(program, program + ".new")
    with open(program + ".new", "ab") as out:
        out.write(b"a later build")
    os.rename(program + ".new", program)
    assert os.readlink(f"/proc/{server.process.pid}/exe").endswith(" (deleted)")
    reloads(server)
    assert os.stat(f"/proc/{server.process.pid}/exe").st_ino == os.stat(program).st_ino
    client.echo()
    assert lab.ssh(server, "-l", USER, "true", program=SSH).returncode == 0
    client.end()


def test_no_connect_is_refused(lab):
    """While the server executes itself again and again, each connect is answered."""
    # On a busy machine links that were left wait for their end, and count.
    server = lab.sshd("LogLevel VERBOSE\nMaxStartups 1000\n")
    stop, failed, served = threading.Event(), [], [0]

    def connect():
        while not stop.is_set():
            try:
                with socket.create_connection(("127.0.0.1", server.port), 10 * SLOW) as s:
                    s.settimeout(10 * SLOW)
                    greeting = s.recv(8)
                    if greeting != b"SSH-2.0-":
                        failed.append(greeting)
                    served[0] += 1
            except OSError as e:
                failed.append(repr(e))

    loop = threading.Thread(target=connect)
    loop.start()
    for _ in range(5):
        reloads(server)
    stop.set()
    loop.join()
    assert not failed and served[0] > 5


@needs_root
def test_sessions_are_known_after_a_reload(lab, server):
    client = Session(lab, server.port)
    client.echo()
    [before] = wait_until(lambda: sessions(server.port))
    for _ in range(3):
        reloads(server)
    client.echo()
    [after] = wait_until(lambda: sessions(server.port))
    for field in ("id", "user", "uid", "key", "comment", "address", "port", "since"):
        assert after[field] == before[field]
    # Another one has another id, and ending one is ending that one.
    other = Session(lab, server.port)
    other.echo()
    ids = {r["id"] for r in wait_until(lambda: len(sessions(server.port) or ()) == 2 and sessions(server.port))}
    assert before["id"] in ids and len(ids) == 2
    assert subprocess.run([tool("bowline"), "sessions", "end", before["id"], "--port", str(server.port)],
                          timeout=20 * SLOW).returncode == 0
    assert client.process.wait(10 * SLOW) == 255
    other.echo()
    other.end()
    assert wait_until(lambda: sessions(server.port) == [])
    # Ended processes are reaped by the program that did not start them.
    assert wait_until(lambda: not [t for t in children(server) if "defunct" in t or t == ""])


class Pause:
    """A proxy that stops after so many bytes of the client until it is told to go on."""

    def __init__(self, port, after):
        self.go, self.port, self.after = threading.Event(), port, after
        self.paused = threading.Event()
        self.listening = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        client, _ = self.listening.accept()
        server = socket.create_connection(("127.0.0.1", self.port))
        threading.Thread(target=self.pump, args=(server, client), daemon=True).start()
        seen = 0
        while data := client.recv(65536):
            for i in range(len(data)):
                if seen + i == self.after:
                    server.sendall(data[:i])
                    self.paused.set()
                    self.go.wait(60)
                    data = data[i:]
                    break
            seen += len(data)
            server.sendall(data)
        server.shutdown(socket.SHUT_WR)

    @staticmethod
    def pump(a, b):
        while data := a.recv(65536):
            b.sendall(data)
        b.close()


# In the identification, in KEXINIT, in the exchange, in the request for authentication.
@pytest.mark.parametrize("after", [10, 400, 1700, 2000, 2500])
def test_logins_in_progress_survive_a_reload(lab, server, after):
    proxy = Pause(server.port, after)
    client = Session(lab, server.port, host_port=proxy.listening.getsockname()[1])
    assert proxy.paused.wait(10 * SLOW)
    reloads(server)
    proxy.go.set()
    client.echo()
    client.end()


def test_bad_configuration_leaves_the_old_server(lab, server):
    path = os.path.join(lab.folder, f"sshd_config.{server.port}")
    good = open(path).read()
    with open(path, "w") as out:
        out.write("NoSuchKeyword yes\n" + good)
    client = Session(lab, server.port)
    client.echo()
    server.process.send_signal(signal.SIGHUP)
    server.wait_log("its configuration is not used, the old one stays")
    assert f"{path}:1: unknown keyword" in server.log()
    client.echo()
    assert lab.ssh(server, "-l", USER, "true", program=SSH).returncode == 0
    with open(path, "w") as out:
        out.write("Banner /etc/hostname\n" + good)
    reloads(server)
    done = lab.ssh(server, "-l", USER, "true", program=SSH)
    assert open("/etc/hostname").read().strip() in done.stderr.decode()
    client.end()


def test_a_program_that_does_not_run_leaves_the_old_server(lab):
    program, port = os.path.join(lab.folder, "sshd"), free_port()
    shutil.copy(os.path.realpath(tool("sshd")), program)
    server = lab._start("sshd", [program, "-D", "-e", "-f", lab.config(port, "PerSourcePenalties no\n")], port)
    os.unlink(program)
    with open(program, "w") as out:
        out.write("this is no program\n")
    os.chmod(program, 0o755)
    server.process.send_signal(signal.SIGHUP)
    server.wait_log("the server goes on as it was: ")
    assert lab.ssh(server, "-l", USER, "true", program=SSH).returncode == 0


@needs_root  # to see the place
def test_pid_file_and_place_stay(lab):
    """In the background, from a relative path, with another pid file afterwards."""
    port = free_port()
    config = lab.config(port, "PerSourcePenalties no\nLogLevel VERBOSE\n")
    first, second, log = (os.path.join(lab.folder, n) for n in ("first.pid", "second.pid", "log"))
    text = open(config).read().replace("PidFile none", f"PidFile {first}")
    with open(config, "w") as out:
        out.write(text)
    subprocess.run([tool("sshd"), "-E", "log", "-f", os.path.basename(config)], cwd=lab.folder, check=True)
    pid = int(wait_until(lambda: os.path.exists(first) and open(first).read()))
    try:
        assert wait_until(lambda: listens(port))
        with open(config, "w") as out:
            out.write(text.replace(first, second))
        os.kill(pid, signal.SIGHUP)
        assert int(wait_until(lambda: os.path.exists(second) and open(second).read())) == pid
        assert not os.path.exists(first)
        assert os.readlink(f"/proc/{pid}/cwd") == "/"
        assert "Server listening" in open(log).read()
        assert wait_until(lambda: listens(port))
    finally:
        os.kill(pid, signal.SIGTERM)
    assert wait_until(lambda: not os.path.exists(second))


@needs_root
def test_limits_of_users_are_the_systems(lab):
    port = free_port()
    words = ["prlimit", "--nofile=1000:3000", tool("sshd"), "-D", "-e", "-f",
             lab.config(port, "PerSourcePenalties no\nLogLevel VERBOSE\n")]
    server = lab._start("sshd", words, port)
    for _ in range(2):
        done = lab.ssh(server, "-l", USER, "ulimit -Sn; ulimit -Hn", program=SSH)
        assert done.stdout.split() == [b"1000", b"3000"]
        assert resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)[0] >= 3000
        reloads(server)


def test_penalties_stay(lab):
    port = free_port()
    config = lab.config(port, "PerSourcePenalties authfail:600s noauth:600s min:1s\nLogLevel VERBOSE\n")
    server = lab._start("sshd", [tool("sshd"), "-D", "-e", "-f", config], port, wait=False)
    server.wait_log("listener is ready")
    done = subprocess.run([SSH, *lab.common(port), "-o", "PubkeyAuthentication=no", "-l", USER, "127.0.0.1", "true"],
                          capture_output=True, timeout=30 * SLOW)
    assert done.returncode == 255
    server.wait_log("penalty of 600 seconds")
    reloads(server)
    with socket.create_connection(("127.0.0.1", port), 5) as s:
        assert s.recv(64).startswith(b"Not allowed")


def test_a_retired_host_key_signs_for_its_sessions(lab, server):
    path = os.path.join(lab.folder, f"sshd_config.{server.port}")
    client = Session(lab, server.port, "-o", "HostKeyAlgorithms=ssh-ed25519", "-o", "RekeyLimit=100K")
    client.echo()
    good = open(path).read()
    with open(path, "w") as out:
        out.write(good.replace(f"HostKey {lab.keys.path('host')}\n", ""))
    for _ in range(2):
        reloads(server)
    client.echo(os.urandom(400000))
    client.end()


@needs_root
def test_reload_as_the_first_process(lab):
    """In a container: the same process number, orphans are reaped afterwards too."""
    port = free_port()
    words = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", tool("sshd"), "-D", "-e", "-f",
             lab.config(port, "PerSourcePenalties no\nLogLevel VERBOSE\n")]
    outer = lab._start("sshd", words, port)
    with open(f"/proc/{outer.process.pid}/task/{outer.process.pid}/children") as f:
        keeper = int(f.read())
    client = Session(lab, port)
    client.echo()
    for times in (2, 3):
        os.kill(keeper, signal.SIGHUP)
        assert wait_until(lambda: outer.log().count("listener is ready") == times)
        client.echo()
        done = lab.ssh(outer, "-l", USER, "(sleep 0.3 &) ; sleep 1; grep -l '^State:.Z' /proc/[0-9]*/status; echo $$",
                       program=SSH)
        assert done.returncode == 0 and done.stdout.strip().isdigit()
    client.end()
    os.kill(keeper, signal.SIGTERM)
    outer.process.wait(10 * SLOW)


# ---- killed ----

@needs_root
def test_a_new_server_finds_the_sessions(lab, server):
    client = Session(lab, server.port)
    client.echo()
    [before] = wait_until(lambda: sessions(server.port))
    for _ in range(3):
        kill_keeper(server)
        client.echo()
        server = restart(lab, server)
        server.wait_log("Found 1 sessions of the server before")
        [after] = wait_until(lambda: sessions(server.port))
        for field in ("id", "user", "uid", "key", "comment", "address", "port", "since"):
            assert after[field] == before[field]
    other = Session(lab, server.port)
    other.echo()
    assert len({r["id"] for r in sessions(server.port)}) == 2
    other.end()
    assert subprocess.run([tool("bowline"), "sessions", "end", before["id"], "--port", str(server.port)],
                          timeout=20 * SLOW).returncode == 0
    assert client.process.wait(10 * SLOW) == 255
    assert wait_until(lambda: sessions(server.port) == [])


@needs_root
def test_sessions_of_a_stopped_server_are_found(lab, server):
    client = Session(lab, server.port)
    client.echo()
    server.process.terminate()
    server.process.wait(10)
    client.echo()
    server = restart(lab, server)
    server.wait_log("Found 1 sessions of the server before")
    client.end()
    assert wait_until(lambda: sessions(server.port) == [])


def test_rekey_waits_for_the_next_server(lab, server):
    """Without a keeper nobody signs; the session holds until there is one again."""
    client = Session(lab, server.port, "-o", "RekeyLimit=100K")
    client.echo()
    kill_keeper(server)
    data = os.urandom(250000)
    echo = threading.Thread(target=client.echo, args=(data,))
    echo.start()
    time.sleep(0.5)
    assert echo.is_alive()
    server = restart(lab, server)
    echo.join(20 * SLOW)
    assert not echo.is_alive()
    client.echo(os.urandom(250000))
    client.end()


def test_nothing_is_left_when_the_sessions_end(lab, server):
    client = Session(lab, server.port)
    client.echo()
    kill_keeper(server)
    assert wait_until(lambda: len(children(server)) > 0)
    client.end()
    assert wait_until(lambda: children(server) == {}), children(server)


@needs_root
def test_the_anchor_is_replaced(lab, server):
    client = Session(lab, server.port)
    client.echo()
    [anchor] = children(server)["sshd: anchor"]
    os.kill(anchor, signal.SIGKILL)
    assert wait_until(lambda: children(server).get("sshd: anchor", [anchor]) != [anchor])
    kill_keeper(server)
    server = restart(lab, server)
    server.wait_log("Found 1 sessions of the server before")
    client.echo()
    client.end()


def test_listener_killed(lab, server):
    client = Session(lab, server.port)
    client.echo()
    for _ in range(2):
        [listener] = wait_until(lambda: children(server).get("sshd: listener"))
        os.kill(listener, signal.SIGKILL)
        # The sockets are the keeper's too: nobody is refused.
        assert lab.ssh(server, "-l", USER, "true", program=SSH).returncode == 0
    client.echo()
    client.end()
    server.wait_log("starting another")


@needs_root
def test_nothing_stays_of_a_server_without_sessions(lab, server):
    """Links that nobody has logged in on need no anchor: it goes with the server, and so do both sockets."""
    half = rawssh.keyed(server.port)
    half.service()
    path = f"/run/bowline/anchor.{server.port}@127.0.0.1.sock"
    assert os.path.exists(path)
    server.process.terminate()
    assert server.process.wait(10 * SLOW) is not None
    assert glob.glob(f"/run/bowline/*.{server.port}@*") == []
    assert half.closed() is None


@needs_root
def test_strangers_cannot_ask_the_anchor(lab, server, account):
    path = f"/run/bowline/anchor.{server.port}@127.0.0.1.sock"
    assert os.stat(path).st_mode & 0o777 == 0o600 and os.stat(path).st_uid == 0
    code = ("import socket,sys\n"
            "s=socket.socket(socket.AF_UNIX,socket.SOCK_SEQPACKET)\n"
            "try: s.connect(sys.argv[1])\n"
            "except PermissionError: sys.exit(7)\n")
    done = subprocess.run(["/usr/bin/python3", "-c", code, path], user=account.name, group=account.gid, extra_groups=[])
    assert done.returncode == 7
    # Root's own second server gets nothing while the first one lives.
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.settimeout(5)
    s.connect(path)
    try:
        s.send(b"\x01\0\0\0\x01" + bytes(8))
        assert s.recv(100) == b""
    except (BrokenPipeError, ConnectionResetError):
        pass
    s.close()


@needs_root
def test_a_users_own_server_finds_its_sessions(lab, account, tmp_path):
    """The same without root: in the user's runtime folder."""
    os.chmod(tmp_path, 0o755)
    for folder in (lab.folder, lab.keys.folder, os.path.dirname(lab.keys.folder), os.path.dirname(lab.folder)):
        os.chmod(folder, 0o755)
    port, run = free_port(), os.path.join(account.home, "run")
    os.mkdir(run, 0o700)
    key = os.path.join(account.home, "host_key")
    shutil.copy(lab.keys.path("host"), key)
    config = os.path.join(account.home, "config")
    with open(config, "w") as out:
        out.write(f"Port {port}\nListenAddress 127.0.0.1\nHostKey {key}\nPidFile none\nPerSourcePenalties no\n"
                  f"AuthorizedKeysFile {account.home}/.ssh/authorized_keys\nStrictModes no\nUsePAM no\n")
    for path in (run, key, config):
        os.chown(path, account.uid, account.gid)
    os.chmod(key, 0o600)
    program = os.path.join(account.home, "sshd")
    shutil.copy(os.path.realpath(tool("sshd")), program)
    os.chmod(program, 0o755)
    log = os.path.join(account.home, "log")

    def run_server():
        process = subprocess.Popen([program, "-D", "-E", log, "-f", config], user=account.name, group=account.gid,
                                   extra_groups=[], env={"XDG_RUNTIME_DIR": run, "HOME": account.home}, cwd="/",
                                   start_new_session=True)
        assert wait_until(lambda: listens(port)), open(log).read()
        return process

    process = run_server()
    client = Session(lab, port, user=account.name)
    try:
        client.echo()
        process.kill()
        process.wait()
        client.echo()
        assert wait_until(lambda: not listens(port))
        process = run_server()
        assert wait_until(lambda: "Found 1 sessions of the server before" in open(log).read())
        process.send_signal(signal.SIGHUP)
        assert wait_until(lambda: listens(port))
        client.echo()
        client.end()
    finally:
        client.stop()
        process.terminate()
        process.wait(30)


@needs_root
@pytest.mark.parametrize("killed", [False, True])
def test_sessions_of_pam_are_closed(lab, account, tmp_path, killed):
    """The judge that holds a session of PAM's stays over reload and crash, and closes it at its end."""
    seen, name = tmp_path / "seen", f"bowline-test-{os.getpid()}"
    stack = f"/etc/pam.d/{name}"
    with open(stack, "w") as out:
        out.write("auth required pam_permit.so\naccount required pam_permit.so\n"
                  f"session required pam_exec.so {tmp_path}/hook\n")
    hook = tmp_path / "hook"
    hook.write_text(f"#!/bin/sh\necho $PAM_TYPE >> {seen}\n")
    hook.chmod(0o755)
    try:
        server = lab.sshd(f"PerSourcePenalties no\nUsePAM yes\nPAMServiceName {name}\nLogLevel VERBOSE\n",
                          authorized="%h/.ssh/authorized_keys")
        client = Session(lab, server.port, user=account.name)
        client.echo()
        if killed:
            kill_keeper(server)
            server = restart(lab, server)
            server.wait_log("Found 1 sessions of the server before")
        else:
            reloads(server)
        client.echo()
        assert wait_until(lambda: len(sessions(server.port) or ()) == 1)
        assert seen.read_text() == "open_session\n"
        client.end()
        assert wait_until(lambda: seen.read_text() == "open_session\nclose_session\n")
        assert wait_until(lambda: sessions(server.port) == [])
    finally:
        os.remove(stack)


@needs_root
@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_sockets_of_anchors_that_ended_are_swept(lab, server, end):
    """An anchor that outlives its keeper cannot remove its own socket; the next server does, whatever its port."""
    path = f"/run/bowline/anchor.{server.port}@127.0.0.1.sock"
    session = Session(lab, server.port)
    try:
        session.echo()
        [anchor] = children(server)["sshd: anchor"]
        server.process.send_signal(end)
        server.process.wait(30 * SLOW)
        session.echo()
        lab.sshd()
        assert os.path.exists(path), "a socket that is in use was swept"
        session.end()
    finally:
        session.stop()
    assert wait_until(lambda: not os.path.exists(f"/proc/{anchor}"), 30 * SLOW)
    other = lab.sshd()
    assert wait_until(lambda: not glob.glob(f"/run/bowline/*.{server.port}@*"), 30 * SLOW), other.log()
