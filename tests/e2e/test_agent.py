"""ssh-agent and ssh-add, each with Debian's other half, and with those who ask agents."""
import os
import re
import signal
import socket
import struct
import subprocess

import pytest

from agents import Agent, askpass, debian
from conftest import ASAN, IS_ROOT, SLOW, require, tool, wait_until

PAIRS = [("ours", "ours"), ("debian", "ours"), ("ours", "debian")]


@pytest.fixture
def start(tmp_path):
    agents = []

    def make(*args, program=None, **kw):
        agents.append(Agent(str(tmp_path), program, args, **kw))
        return agents[-1]
    yield make
    for agent in agents:
        agent.stop()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Keys with certificates, one encrypted."""
    folder = tmp_path_factory.mktemp("agent-keys")

    def keygen(*args):
        subprocess.run([debian("ssh-keygen"), "-q", *args], cwd=folder, check=True, stdin=subprocess.DEVNULL)
    for kind in ("ed25519", "ecdsa", "rsa"):
        keygen("-t", kind, "-N", "", "-C", f"my {kind}", "-f", kind)
    keygen("-t", "ed25519", "-N", "", "-f", "ca")
    keygen("-t", "ed25519", "-N", "secret", "-C", "locked away", "-f", "locked")
    keygen("-t", "ed25519", "-N", "", "-f", "short")
    for kind in ("ed25519", "ecdsa", "rsa"):
        keygen("-s", "ca", "-I", f"id of {kind}", "-n", "me", f"{kind}.pub")
    keygen("-s", "ca", "-I", "a short one", "-n", "me", "-V", "+1h", "short.pub")
    return folder


SCRIPT = """-l; -L; ed25519 ecdsa rsa; -l; -L; -l -E md5; -T ed25519.pub ecdsa.pub; -T ca.pub; -T; -d rsa; -d rsa
-d missing; -d ed25519.pub; -l; -t 100 -c rsa; -q ecdsa; -k ed25519; -l; missing; -E nothing; -t x; -D; -D -q
-h nohost rsa; -x; rsa; -l; -X; -X; locked; -l; -D""".replace("\n", ";").split(";")


def transcript(agent, program, files, env):
    text = ""
    for line in SCRIPT:
        done = agent.run(*line.split(), program=program, cwd=files, env=env)
        text += f"$ {line.strip()}\n{done.stdout}= {done.returncode}\n"
    return text.replace("\r", "")


@pytest.mark.parametrize("add,agent", PAIRS)
def test_output_is_that_of_openssh(start, files, tmp_path, add, agent):
    env = askpass(str(tmp_path), "echo secret")
    programs = {"ours": (tool("ssh-add"), tool("ssh-agent")), "debian": (debian("ssh-add"), debian("ssh-agent"))}
    reference = start(program=programs["debian"][1])
    tried = start(program=programs[agent][1])
    wanted = transcript(reference, programs["debian"][0], files, env)
    assert transcript(tried, programs[add][0], files, env) == wanted


def test_debians_clients_log_in(start, lab, keys, tmp_path):
    server, agent = lab.openssh(), start()
    for kind in ("ed25519", "ecdsa", "rsa"):
        agent.add("-D")
        agent.add(keys.path("user", kind))
        done = subprocess.run([debian("ssh"), "-F", "none", "-p", str(server.port), "-o", "BatchMode=yes", "-o",
                               "IdentityFile=none", "-o", f"UserKnownHostsFile={keys.known_hosts(server.port)}",
                               "127.0.0.1", "echo", kind], env=agent.env, capture_output=True, text=True, timeout=30 * SLOW)
        assert done.stdout == kind + "\n", done.stderr


def test_paramiko_and_plink(start, lab, keys):
    import paramiko
    server, agent = lab.openssh(), start()
    agent.add(keys.path("user", "rsa"), keys.path("user"))
    os.environ["SSH_AUTH_SOCK"], before = agent.path, os.environ.get("SSH_AUTH_SOCK")
    try:
        client = paramiko.SSHClient()
        client.set_missing_host_key_policy(paramiko.AutoAddPolicy())
        client.connect("127.0.0.1", server.port, look_for_keys=False)
        assert client.exec_command("echo paramiko")[1].read() == b"paramiko\n"
        client.close()
    finally:
        if before is None:
            del os.environ["SSH_AUTH_SOCK"]
        else:
            os.environ["SSH_AUTH_SOCK"] = before
    print_of = subprocess.run([debian("ssh-keygen"), "-l", "-f", keys.path("host") + ".pub"], capture_output=True,
                              text=True, check=True).stdout.split()[1]
    done = subprocess.run([require("plink"), "-batch", "-agent", "-hostkey", print_of, "-P", str(server.port),
                           "127.0.0.1", "echo plink"], env=agent.env, capture_output=True, text=True, timeout=30 * SLOW)
    assert done.stdout == "plink\n", done.stderr


def test_git_signs_with_it(start, files, tmp_path):
    require("git")
    agent = start()
    agent.add("ed25519", cwd=files)
    repo = str(tmp_path / "repo")
    run = dict(env={**agent.env, "GIT_CONFIG_GLOBAL": "/dev/null"}, check=True, capture_output=True)
    subprocess.run(["git", "init", "-q", repo], **run)
    allowed = tmp_path / "allowed"
    allowed.write_text("me@here " + (files / "ed25519.pub").read_text())
    settings = ["-c", "user.name=me", "-c", "user.email=me@here", "-c", "gpg.format=ssh", "-c",
                f"user.signingkey={files}/ed25519.pub", "-c", f"gpg.ssh.allowedSignersFile={allowed}"]
    subprocess.run(["git", "-C", repo, *settings, "commit", "-q", "-S", "--allow-empty", "-m", "x"], **run)
    subprocess.run(["git", "-C", repo, *settings, "verify-commit", "HEAD"], **run)


def test_confirmation(start, lab, keys, tmp_path):
    server = lab.openssh()
    for text, lets in (("true", True), ("echo yes", True), ("exit 1", False), ("echo no", False)):
        env = askpass(str(tmp_path), text)
        agent = start(env=env)
        agent.add("-c", keys.path("user"))
        done = subprocess.run([debian("ssh"), "-F", "none", "-p", str(server.port), "-o", "BatchMode=yes", "-o",
                               "IdentityFile=none", "-o", f"UserKnownHostsFile={keys.known_hosts(server.port)}",
                               "127.0.0.1", "true"], env=agent.env, capture_output=True, text=True, timeout=30 * SLOW)
        assert (done.returncode == 0) == lets, done.stderr
        asked = (tmp_path / "askpass.asked").read_text()
        assert "confirm: Allow use of key user-ed25519?\nKey fingerprint SHA256:" in asked


def test_a_question_holds_up_nobody_else(start, files, tmp_path):
    env = askpass(str(tmp_path), "sleep 25")
    agent = start(env=env)
    agent.add("-c", "-k", "ed25519", cwd=files)
    waiting = subprocess.Popen([debian("ssh-add"), "-T", files / "ed25519.pub"], env=agent.env,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert wait_until(lambda: (tmp_path / "askpass.asked").exists())
    assert agent.count() == 1
    # Whoever asked goes away: the question does too.
    children = lambda: open(f"/proc/{agent.process.pid}/task/{agent.process.pid}/children").read()
    assert children() != ""
    waiting.kill()
    waiting.wait()
    assert wait_until(lambda: all(b"askpass" not in open(f"/proc/{pid}/cmdline", "rb").read()
                                  for pid in children().split()))
    assert agent.count() == 1


def test_lifetimes_end(start, files):
    agent = start("-t", "1h")
    agent.add("-t", "1", "ed25519", cwd=files)
    agent.add("-k", "ecdsa", cwd=files)
    assert agent.count() == 3
    assert wait_until(lambda: agent.count() == 1)


def test_certificates_expire(start, files):
    agent = start()
    text = agent.add("short", cwd=files)
    seconds = int(re.search(r"Lifetime set to (\d+) seconds", text).group(1))
    assert 3600 < seconds <= 3600 + 300
    assert "Lifetime" not in agent.add("-N", "short", cwd=files)


def test_lock_hides_everything(start, files, tmp_path):
    agent = start()
    agent.add("ed25519", cwd=files)
    right, wrong = askpass(str(tmp_path), "echo pass"), askpass(str(tmp_path), "echo guess", "other")
    assert agent.run("-x", env=right).returncode == 0
    assert agent.count() == 0
    assert agent.run("-T", files / "ed25519.pub").returncode == 1
    assert agent.run("-X", env=wrong).returncode == 1
    assert agent.run("-X", env=right).returncode == 0
    assert agent.count() == 2


def test_stdin_query_and_clearing_signal(start, files):
    agent = start()
    agent.add("-", input=(files / "rsa").read_text())
    assert agent.run("-Q").stdout.splitlines() == ["query", "session-bind@openssh.com"]
    assert agent.count() == 1
    agent.process.send_signal(signal.SIGUSR1)
    assert wait_until(lambda: agent.count() == 0)


# ---- destinations ----

def ssh_through(agent, program, keys, server, *command, forward=False):
    return subprocess.run([program, "-F", "none", "-p", str(server.port), "-o", "BatchMode=yes", "-o", "IdentityFile=none",
                           "-o", f"UserKnownHostsFile={keys.known_hosts(server.port)}", *(["-A"] if forward else []),
                           "127.0.0.1", *command], env=agent.env, capture_output=True, text=True, timeout=30 * SLOW)


@pytest.mark.parametrize("client", ["ours", "debian"])
@pytest.mark.parametrize("who", ["ours", "debian"])
def test_destinations(start, lab, keys, client, who):
    ssh = tool("ssh") if client == "ours" else debian("ssh")
    near, far = lab.openssh(), lab.sshd(host_kinds=("ecdsa",))
    agent = start(program=None if who == "ours" else debian("ssh-agent"))
    with open(keys.known_hosts(near.port)) as lines, open(os.path.join(lab.folder, "hosts"), "w") as hosts:
        hosts.write("near " + lines.readline().split(" ", 1)[1])
        hosts.write("far " + keys.public("host", "ecdsa"))
    hosts = os.path.join(lab.folder, "hosts")
    agent.add("-H", hosts, "-h", "near", keys.path("user"))
    assert ssh_through(agent, ssh, keys, near, "true").returncode == 0
    assert ssh_through(agent, ssh, keys, far, "true").returncode == 255
    # Forwarded: hidden at near, until near>far allows it there.
    assert "no identities" in ssh_through(agent, ssh, keys, near, debian("ssh-add"), "-l", forward=True).stdout
    agent.add("-H", hosts, "-h", "near", "-h", "near>far", keys.path("user"))
    there = [debian("ssh"), "-F", "none", "-p", str(far.port), "-o", "BatchMode=yes", "-o", "IdentityFile=none", "-o",
             f"UserKnownHostsFile={keys.known_hosts(far.port)}", "127.0.0.1", "echo", "arrived"]
    done = ssh_through(agent, ssh, keys, near, *there, forward=True)
    assert done.stdout == "arrived\n", done.stderr
    # Not from there to near again.
    there[there.index(str(far.port))] = str(near.port)
    there[-4] = f"UserKnownHostsFile={keys.known_hosts(near.port)}"
    assert ssh_through(agent, ssh, keys, near, *there, forward=True).returncode == 255


# ---- life ----

def words(text):
    return dict(re.findall(r"(SSH_\w+)[= ]([^;]+);", text))


def test_daemon_and_kill(tmp_path, files):
    env = {**os.environ, "HOME": str(tmp_path), "SHELL": "/bin/sh"}
    for flag, unset in (("-s", "unset "), ("-c", "unsetenv ")):
        done = subprocess.run([tool("ssh-agent"), flag], env=env, capture_output=True, text=True, check=True)
        told = words(done.stdout)
        path, pid = told["SSH_AUTH_SOCK"], int(told["SSH_AGENT_PID"])
        assert os.path.dirname(path) == str(tmp_path / ".ssh" / "agent")
        assert os.stat(path).st_mode & 0o777 == 0o600
        assert f"echo Agent pid {pid};" in done.stdout
        assert wait_until(lambda: re.search(r"Max core file size +0 +0", open(f"/proc/{pid}/limits").read()))
        done = subprocess.run([tool("ssh-agent"), flag, "-k"], env={**env, **told}, capture_output=True, text=True, check=True)
        assert done.stdout == f"{unset}SSH_AUTH_SOCK;\n{unset}SSH_AGENT_PID;\necho Agent pid {pid} killed;\n"
        assert wait_until(lambda: not os.path.exists(path))
    assert subprocess.run([tool("ssh-agent"), "-k"], env=env, capture_output=True).returncode == 1


def test_command_and_its_end(scratch, files):
    env = {**os.environ, "HOME": scratch, "TMPDIR": scratch}
    for flags in ([], ["-T"]):
        done = subprocess.run([tool("ssh-agent"), *flags, "sh", "-c", f"{tool('ssh-add')} -q {files}/rsa; {tool('ssh-add')} -l; "
                               "echo $SSH_AUTH_SOCK $SSH_AGENT_PID; exit 7"], env=env, capture_output=True, text=True)
        assert done.returncode == 7 and "my rsa (RSA)" in done.stdout
        path, pid = done.stdout.splitlines()[-1].split()
        assert wait_until(lambda: not os.path.exists(path))
        assert wait_until(lambda: not os.path.exists(f"/proc/{pid}"))
        if flags:
            assert not os.path.exists(os.path.dirname(path))
    assert subprocess.run([tool("ssh-agent"), "/nowhere/there"], env=env, capture_output=True).returncode == 1


def test_stale_sockets_are_cleaned(scratch):
    env = {**os.environ, "HOME": scratch, "SHELL": "/bin/sh"}
    run = lambda *args: subprocess.run([tool("ssh-agent"), *args], env=env, capture_output=True, text=True)
    path = words(run().stdout)
    os.kill(int(path["SSH_AGENT_PID"]), signal.SIGKILL)
    stale = path["SSH_AUTH_SOCK"]
    assert wait_until(lambda: not os.path.exists(f"/proc/{path['SSH_AGENT_PID']}"))
    other = os.path.join(os.path.dirname(stale), "s.0000000000.agent.elsewhere")
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(other)
    with socket.socket(socket.AF_UNIX) as s:
        alive = stale + "-alive"
        s.bind(alive)
        s.listen()
        os.utime(stale, (2 ** 31, 2 ** 31))
        run("-u")
        assert os.path.exists(stale)  # as new as that it could be one that starts
        for name in (stale, other, alive):
            os.utime(name, (1, 1))
        run("-u")
        assert not os.path.exists(stale) and os.path.exists(other) and os.path.exists(alive)
        run("-u", "-u")
        assert not os.path.exists(other) and os.path.exists(alive)


def test_socket_activation(tmp_path, files):
    path = str(tmp_path / "given")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()

    agent = subprocess.Popen(["/bin/sh", "-c", f"LISTEN_PID=$$ LISTEN_FDS=1 exec {tool('ssh-agent')} -D"],
                             preexec_fn=lambda: os.dup2(listener.fileno(), 3), pass_fds=(3,), stdout=subprocess.PIPE, text=True)
    try:
        assert agent.stdout.readline() == f"echo Agent pid {agent.pid};\n"
        done = subprocess.run([debian("ssh-add"), files / "rsa"], env={**os.environ, "SSH_AUTH_SOCK": path}, capture_output=True)
        assert done.returncode == 0
    finally:
        agent.terminate()
        agent.wait()
        listener.close()
    assert os.path.exists(path)


# ---- hostile clients ----

def frame(payload):
    return struct.pack(">I", len(payload)) + payload


def test_bad_lengths_and_slow_clients(start, files):
    agent = start()
    agent.add("ed25519", cwd=files)
    idle = []
    for sent in (b"\0\0\0\0", b"\xff\xff\xff\xff", struct.pack(">I", 256 * 1024 + 1)):
        s = socket.socket(socket.AF_UNIX)
        s.connect(agent.path)
        s.sendall(sent)
        s.settimeout(10 * SLOW)
        assert s.recv(1) == b""
        s.close()
    for sent in (b"", b"\0", frame(b"\x0b")[:-1], struct.pack(">I", 200000) + b"x" * 1000):
        s = socket.socket(socket.AF_UNIX)
        s.connect(agent.path)
        s.sendall(sent)
        idle.append(s)
    # One that does not read its answers.
    s = socket.socket(socket.AF_UNIX)
    s.connect(agent.path)
    s.setblocking(False)
    try:
        for _ in range(100000):
            s.send(frame(b"\x0b") * 100)
    except BlockingIOError:
        pass
    assert agent.count() == 2
    with open(f"/proc/{agent.process.pid}/status") as status:
        assert int(re.search(r"VmHWM:\s+(\d+)", status.read()).group(1)) < 64 * 1024
    for s in idle:
        s.close()


@pytest.mark.skipif(not IS_ROOT, reason="needs root to look into the agent, which nobody else can")
def test_many_connections(start, files):
    agent, held = start(), []
    agent.add("ed25519", cwd=files)
    for _ in range(600):
        s = socket.socket(socket.AF_UNIX)
        s.connect(agent.path)
        held.append(s)
    open_now = lambda: len(os.listdir(f"/proc/{agent.process.pid}/fd"))
    assert wait_until(lambda: open_now() >= 512)
    assert open_now() < 540
    for s in held:
        s.close()
    assert agent.count() == 2


@pytest.mark.skipif(not IS_ROOT, reason="needs root")
def test_other_users_are_refused(start, account, tmp_path):
    agent = start()
    os.chmod(tmp_path, 0o755)
    os.chmod(agent.path, 0o777)
    for folder in tmp_path.parents:
        if str(folder).startswith("/tmp/"):
            os.chmod(folder, os.stat(folder).st_mode | 0o011)
    done = subprocess.run(["setpriv", "--reuid", str(account.uid), "--clear-groups", debian("ssh-add"), "-l"],
                          env={**os.environ, "SSH_AUTH_SOCK": agent.path}, capture_output=True, text=True)
    assert done.returncode != 0 and "uid mismatch" in agent.log(), done.stdout + done.stderr


# ---- secrets ----

def mappings(pid):
    """(start, end, flags) of each mapping."""
    rows = []
    with open(f"/proc/{pid}/smaps") as smaps:
        for line in smaps:
            head = re.match(r"([0-9a-f]+)-([0-9a-f]+) r", line)
            if head:
                rows.append([int(head.group(1), 16), int(head.group(2), 16), ""])
            elif line.startswith("VmFlags:") and rows and rows[-1][2] == "":
                rows[-1][2] = line
    return rows


def where_is(pid, needle):
    found = []
    with open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for first, last, flags in mappings(pid):
            try:
                memory.seek(first)
                if needle in memory.read(last - first):
                    found.append(flags)
            except (OSError, ValueError, OverflowError):
                continue
    return found


@pytest.mark.skipif(not IS_ROOT, reason="needs root to look")
@pytest.mark.skipif(ASAN, reason="a sanitizer's address space is too large to be searched")
def test_keys_lie_in_undumped_memory_and_are_wiped(start, tmp_path):
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives import serialization as s
    key = Ed25519PrivateKey.generate()
    seed = key.private_bytes(s.Encoding.Raw, s.PrivateFormat.Raw, s.NoEncryption())
    path = tmp_path / "key"
    path.write_bytes(key.private_bytes(s.Encoding.PEM, s.PrivateFormat.OpenSSH, s.NoEncryption()))
    path.chmod(0o600)
    public = key.public_key().public_bytes(s.Encoding.OpenSSH, s.PublicFormat.OpenSSH)
    (tmp_path / "key.pub").write_bytes(public)
    agent = start()
    agent.add(str(path))
    assert agent.run("-T", str(tmp_path / "key.pub")).returncode == 0
    found = where_is(agent.process.pid, seed)
    assert found and all(" dd" in flags for flags in found), found
    agent.add("-D")
    assert where_is(agent.process.pid, seed) == []


# ---- ssh and its agent ----

def run_ssh(agent, server, keys, *args, env=None, host="127.0.0.1", command="true"):
    run = [tool("ssh"), "-F", "none", "-p", str(server.port), "-o", f"UserKnownHostsFile={keys.known_hosts(server.port)}", *args, host]
    return subprocess.run(run + [command], env={**(agent.env if agent else os.environ), **(env or {})}, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=30 * SLOW, start_new_session=True)


@pytest.mark.parametrize("value,told", [("yes", ""), ("30m", "Lifetime"), ("confirm", "confirm"), ("confirm 5m", "confirm"),
                                        ("ask", "")])
def test_keys_go_into_the_agent(start, lab, files, tmp_path, value, told):
    env = askpass(str(tmp_path), 'case $1 in *passphrase*) echo secret;; *) true;; esac')
    server, agent = lab.openssh(authorized=str(files / "locked.pub")), start(env=env)
    done = run_ssh(agent, server, lab.keys, "-i", str(files / "locked"), "-o", f"AddKeysToAgent={value}", env=env)
    assert done.returncode == 0, done.stderr
    assert agent.run("-l").stdout.endswith("locked away (ED25519)\n")
    asked = (tmp_path / "askpass.asked").read_text()
    assert ("Add key" in asked) == (value == "ask")
    # From now on without the passphrase.
    (tmp_path / "askpass.asked").unlink()
    done = run_ssh(agent, server, lab.keys, "-i", str(files / "locked"), env=env)
    assert done.returncode == 0, done.stderr
    if "confirm" in value:
        assert "Allow use of key" in (tmp_path / "askpass.asked").read_text()
    else:
        assert not (tmp_path / "askpass.asked").exists()


def test_a_certificate_goes_along_into_the_agent(start, lab, files, tmp_path):
    """The next login needs neither file."""
    trusted = tmp_path / "authorized"
    trusted.write_text('cert-authority,principals="me" ' + (files / "ca.pub").read_text())
    server, agent = lab.openssh(authorized=str(trusted)), start()
    done = run_ssh(agent, server, lab.keys, "-i", str(files / "ed25519"), "-o", "AddKeysToAgent=yes")
    assert done.returncode == 0, done.stderr
    assert [line.split()[-1] for line in agent.run("-l").stdout.splitlines()] == ["(ED25519)", "(ED25519-CERT)"]
    done = run_ssh(agent, server, lab.keys, "-o", "IdentityFile=none")
    assert done.returncode == 0, done.stderr
    assert server.log().count("ssh2: ED25519-CERT ") == 2, server.log()


def test_keys_that_did_not_help_are_not_kept(start, lab, files):
    server, agent = lab.openssh(authorized=os.devnull), start()
    assert run_ssh(agent, server, lab.keys, "-i", str(files / "rsa"), "-o", "AddKeysToAgent=yes", "-o", "BatchMode=yes").returncode == 255
    assert agent.count() == 0


def test_where_the_agent_is(start, lab, keys):
    server, agent = lab.openssh(), start()
    agent.add(keys.path("user"))
    away = {"SSH_AUTH_SOCK": "/nowhere", "MY_AGENT": agent.path}
    for value, works in ((agent.path, True), ("$MY_AGENT", True), ("${MY_AGENT}", True), ("SSH_AUTH_SOCK", False), ("none", False)):
        done = run_ssh(None, server, keys, "-o", f"IdentityAgent={value}", "-o", "IdentityFile=none", "-o", "BatchMode=yes", env=away)
        assert (done.returncode == 0) == works, (value, done.stderr)


def offered(text):
    return [line.split()[-1] for line in re.findall(r"(?:Offering public key: |offering \S+ )(.*?)(?: \S+ SHA256:| \(agent\)|$)", text, re.M)]


def test_order_of_keys(start, lab, files):
    """Configured keys of the agent, its others, then files; IdentitiesOnly leaves the others out."""
    server, agent = lab.openssh("MaxAuthTries 20", authorized=os.devnull), start()
    agent.add("-k", "ecdsa", "rsa", cwd=files)
    args = ["-v", "-o", "BatchMode=yes", "-i", str(files / "ca"), "-i", str(files / "rsa")]
    for only, wanted in (("no", ["rsa", "ecdsa", "ca"]), ("yes", ["rsa", "ca"])):
        done = run_ssh(agent, server, lab.keys, *args, "-o", f"IdentitiesOnly={only}")
        reference = subprocess.run([debian("ssh"), "-F", "none", "-p", str(server.port), "-o",
                                    f"UserKnownHostsFile={lab.keys.known_hosts(server.port)}", *args, "-o", f"IdentitiesOnly={only}",
                                    "127.0.0.1", "true"], env=agent.env, capture_output=True, text=True, timeout=30 * SLOW)
        names = [os.path.basename(name) for name in offered(reference.stderr)]
        # The certificate beside the configured key is no key of the agent's.
        assert names == wanted + ["rsa"]
        assert [os.path.basename(name) for name in offered(done.stderr)] == names, done.stderr


def test_after_a_refusal(start, lab, files, tmp_path):
    server, agent = lab.openssh("PasswordAuthentication no\nKbdInteractiveAuthentication no", authorized=os.devnull), start()
    open_key, broken = tmp_path / "open", tmp_path / "broken"
    open_key.write_text((files / "rsa").read_text())
    open_key.chmod(0o644)
    broken.write_text("no key\n")
    broken.chmod(0o600)
    done = run_ssh(agent, server, lab.keys, "-i", str(files / "ecdsa"), "-i", str(open_key), "-i", str(broken), "-o", "BatchMode=yes")
    assert done.returncode == 255
    print_of = subprocess.run([debian("ssh-keygen"), "-l", "-f", files / "ecdsa"], capture_output=True, text=True).stdout.split()[1]
    for text in (f"  ecdsa-sha2-nistp256 {print_of} {files}/ecdsa", f"{open_key}: others can read it (try: chmod 600",
                 f"{broken}: ", "Agent: the agent has no keys.", "The server accepts: publickey.",
                 "Likely remedy: have one of these keys put into the account's authorized_keys",
                 "Permission denied (publickey)."):
        assert text in done.stderr, done.stderr
    assert done.stderr.splitlines()[-1].endswith("Permission denied (publickey).")
    done = run_ssh(agent, server, lab.keys, "-o", "IdentityFile=none", "-o", "BatchMode=yes")
    assert "No key was offered" in done.stderr and "Likely remedy: name a key with -i" in done.stderr
    assert "Likely" not in run_ssh(agent, server, lab.keys, "-q", "-o", "BatchMode=yes").stderr
