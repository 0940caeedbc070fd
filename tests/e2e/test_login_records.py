"""utmp, wtmp, lastlog and btmp, as who, last, lastlog and lastb read them; what a shell is told at login.

The server runs in a mount name space of its own with records of its own."""
import os
import re
import signal
import subprocess
import time

import pytest
from accounts import PASSWORD, paramiko_transport, set_password
from conftest import SLOW, free_port, needs_root, require, tool, wait_until
from processes import of_session
from logattacks import passwords

pytestmark = needs_root
INSIDE = """set -e
mount --make-rprivate /
mount -t tmpfs tmpfs /run
mkdir /run/sshd
touch /run/utmp
mount --bind "$D/utmp" /run/utmp
for f in wtmp lastlog btmp; do [ -e /var/log/$f ] || touch /var/log/$f; mount --bind "$D/$f" /var/log/$f; done
mount --bind "$D/motd" /etc/motd
exec "$@"
"""


class Records:
    def __init__(self, folder):
        self.folder = folder
        for name, mode in (("utmp", 0o664), ("wtmp", 0o664), ("lastlog", 0o664), ("btmp", 0o600), ("motd", 0o644)):
            path = os.path.join(folder, name)
            with open(path, "w") as f:
                f.write("the message of the day\n" if name == "motd" else "")
            os.chmod(path, mode)

    def wrap(self, args):
        return ["env", f"D={self.folder}", "unshare", "-m", "sh", "-c", INSIDE, "sh", *args]

    def read(self, *args):
        return subprocess.run(args, capture_output=True, text=True, check=True, env={**os.environ, "LC_ALL": "C"}).stdout

    def who(self):
        return self.read("who", "-u", os.path.join(self.folder, "utmp"))

    def last(self):
        return self.read("last", "-w", "-f", os.path.join(self.folder, "wtmp"))

    def lastb(self):
        return self.read("lastb", "-w", "-f", os.path.join(self.folder, "btmp"))

    def lastlog(self, user):
        return self.read(*self.wrap(["lastlog", "-u", user]))


@pytest.fixture
def records(tmp_path):
    if subprocess.run(["unshare", "-m", "true"], stderr=subprocess.DEVNULL).returncode != 0 or \
            not os.path.exists("/etc/motd"):
        pytest.skip("needs a mount name space of its own, and /etc/motd")
    folder = tmp_path / "records"
    folder.mkdir()
    folder.chmod(0o755)
    return Records(str(folder))


@pytest.fixture
def start(lab, records):
    def run(lines="", program=None):
        port = free_port()
        if program is None:
            program, lines = tool("sshd"), "PerSourcePenalties no\n" + lines
        config = lab.config(port, lines, authorized=".ssh/authorized_keys")
        return lab._start("sshd", records.wrap([program, "-D", "-e", "-f", config]), port)
    return run


class Shell:
    """A login with a terminal."""

    def __init__(self, lab, server, user, *options):
        self.process = subprocess.Popen(["ssh", *lab.common(server.port), *options, "-tt", "-l", user, "127.0.0.1"],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        os.set_blocking(self.process.stdout.fileno(), False)
        self.output = ""

    def says(self, text):
        def look():
            self.output += (self.process.stdout.read() or b"").decode()
            return text in self.output
        assert wait_until(look), self.output
        return self.output

    def ready(self):
        self.process.stdin.write(b"echo rea''dy\n")
        self.process.stdin.flush()
        return self.says("ready")

    def leave(self):
        self.process.stdin.write(b"exit\n")
        self.process.stdin.close()
        self.process.wait(20 * SLOW)


def entry(records, user):
    found = [line.split() for line in records.who().splitlines() if line.split()[0] == user]
    return found[0] if found else None


@pytest.fixture(params=["ours", "openssh"])
def either(request):
    return None if request.param == "ours" else require("sshd")


def test_who_last_lastlog(lab, records, start, account, either):
    server = start("UsePAM no\n", program=either)
    shell = Shell(lab, server, account.name)
    assert "Last login" not in shell.ready()
    found = wait_until(lambda: entry(records, account.name))
    assert found and found[1].startswith("pts/") and found[-1] == "(127.0.0.1)"
    os.kill(int(found[-2]), 0)
    line = found[1]
    assert re.search(rf"^{account.name} +{line} +127.0.0.1 .*(still logged in|gone - no logout)", records.last(), re.M)
    assert line in records.lastlog(account.name) and "127.0.0.1" in records.lastlog(account.name)
    shell.leave()
    assert wait_until(lambda: entry(records, account.name) is None)
    assert wait_until(lambda: re.search(rf"^{account.name} +{line} +127.0.0.1 .* \(00:0", records.last(), re.M))
    shell = Shell(lab, server, account.name)
    told = shell.ready()
    assert re.search(r"Last login: \w{3} \w{3} [ \d]\d \d\d:\d\d:\d\d \d{4} from 127\.0\.0\.1\r+\n"
                     r"(?s:.*)the message of the day\r\n", told), told
    shell.leave()


def test_with_pam(lab, records, start, account):
    """The judge has made the holder, and stays; what PAM's modules say comes first."""
    server = start("UsePAM yes\n")
    for told in (False, True):
        shell = Shell(lab, server, account.name)
        assert ("Last login" in shell.ready()) == told
        found = wait_until(lambda: entry(records, account.name))
        assert found and found[-1] == "(127.0.0.1)"
        shell.leave()
        assert wait_until(lambda: entry(records, account.name) is None)
    assert re.search(r"Last login: .* from 127\.0\.0\.1\r\nthe message of the day\r\n", shell.output), shell.output


def test_two_terminals_of_one_connection_and_none(lab, records, start, account, tmp_path):
    server = start("UsePAM no\n")
    assert lab.ssh(server, "-l", account.name, "true", program="ssh").returncode == 0
    control = ["-o", f"ControlPath={tmp_path}/control", "-o", "ControlMaster=auto"]
    shells = [subprocess.Popen(["ssh", *lab.common(server.port), *control, "-tt", "-l", account.name, "127.0.0.1"],
                               stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)]
    assert wait_until(lambda: records.who().count(account.name) == 1)
    shells.append(subprocess.Popen(shells[0].args, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL))
    assert wait_until(lambda: records.who().count(account.name) == 2)
    for left, shell in ((1, shells[1]), (0, shells[0])):
        shell.stdin.write(b"exit\n")
        shell.stdin.close()
        assert wait_until(lambda: records.who().count(account.name) == left), records.who()
        shell.wait(20 * SLOW)
    assert records.last().count("127.0.0.1") == 2  # none for the command without a terminal


@pytest.mark.parametrize("killed", ["holder", "keeper", "keeper and holder"])
def test_removed_however_it_ends(lab, records, start, account, killed):
    server = start("UsePAM no\n")
    shell = Shell(lab, server, account.name)
    shell.ready()
    found = wait_until(lambda: entry(records, account.name))
    if "keeper" in killed:
        os.kill(server.process.pid, signal.SIGKILL)
        server.process.wait()
        time.sleep(0.2)
        assert entry(records, account.name)
    if "holder" in killed:
        os.kill(int(found[-2]), signal.SIGKILL)
        shell.process.wait(20 * SLOW)
    else:
        shell.leave()
    assert wait_until(lambda: entry(records, account.name) is None), records.who()
    assert wait_until(lambda: "logged in" not in records.last() and "gone" not in records.last()), records.last()


def test_the_recorder_is_confined(lab, records, start, account):
    """Root's by its name alone: no capability, a list of system calls, no network, and no file but below /run and /var/log."""
    server = start("UsePAM no\n")
    shell = Shell(lab, server, account.name)
    shell.ready()
    wait_until(lambda: entry(records, account.name))

    def recorder():
        return next((p.pid for p in of_session(server.process.pid) if p.title.startswith("sshd: recorder")), None)
    pid = wait_until(recorder)
    status = dict(line.rstrip("\n").split(":\t", 1) for line in open(f"/proc/{pid}/status") if ":\t" in line)
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 0
    assert (status["Seccomp"], status["NoNewPrivs"]) == ("2", "1")
    assert os.readlink(f"/proc/{pid}/ns/net") != os.readlink("/proc/self/ns/net")
    shell.leave()
    assert wait_until(lambda: entry(records, account.name) is None), records.who()


def test_a_reload_in_between(lab, records, start, account, tmp_path):
    """The keeper becomes another program: its logins are still known by their terminals."""
    server = start("UsePAM no\n")
    control = ["-o", f"ControlPath={tmp_path}/control", "-o", "ControlMaster=auto"]
    shells = [Shell(lab, server, account.name, *control) for _ in range(2)]
    for n, shell in enumerate(shells):
        shell.ready()
        assert wait_until(lambda: records.who().count(account.name) == 2)
    server.process.send_signal(signal.SIGHUP)
    server.wait_log("Received SIGHUP")
    time.sleep(0.5)
    late = Shell(lab, server, account.name)
    late.ready()
    assert wait_until(lambda: records.who().count(account.name) == 3)
    for left, shell in ((2, shells[1]), (1, late), (0, shells[0])):
        shell.leave()
        assert wait_until(lambda: records.who().count(account.name) == left), records.who()
    assert "logged in" not in records.last() and "gone" not in records.last()
    children = subprocess.run(["ps", "-o", "stat=,args=", "--ppid", str(server.process.pid)], capture_output=True,
                              text=True).stdout
    assert not re.search(r"^Z", children, re.M), children


def test_failed_passwords(records, start, account, either):
    set_password(account.name, PASSWORD)
    server = start("UsePAM no\n", program=either)
    passwords(server, "127.0.0.9", account.name, "wrong")
    passwords(server, "127.0.0.9", "no-such-user", "wrong", "worse")
    assert wait_until(lambda: records.lastb().count("127.0.0.9") == 4), records.lastb()
    assert re.search(rf"^{account.name} +ssh:notty +127\.0\.0\.9 ", records.lastb(), re.M)
    assert records.lastb().count("no-such-user") == 3  # its name alone is one
    os.chmod(os.path.join(records.folder, "btmp"), 0o604)
    passwords(server, "127.0.0.9", account.name, "wrong")
    assert records.lastb().count("127.0.0.9") == 4


def test_what_a_shell_is_told(lab, records, start, account):
    server = start("UsePAM no\nPrintLastLog no\n")
    for _ in range(2):
        shell = Shell(lab, server, account.name)
        assert "Last login" not in shell.ready() and "message of the day" in shell.output
        shell.leave()
    server = start("UsePAM no\nPrintMotd no\n")
    shell = Shell(lab, server, account.name)
    assert "Last login" in shell.ready() and "message of the day" not in shell.output
    shell.leave()
    with open(os.path.join(account.home, ".hushlogin"), "w"):
        pass
    shell = Shell(lab, server, account.name)
    assert "Last login" not in shell.ready()
    shell.leave()


def test_expiry_is_warned_of(lab, start, account, either):
    """By shadow, where PAM is not there to say it."""
    set_password(account.name, PASSWORD)
    today = int(time.time() // 86400)
    subprocess.run(["chage", "-d", str(today - 5), "-M", "7", "-W", "3", "-E", str(today + 1), account.name], check=True)
    server = start("UsePAM no\n", program=either)
    shell = Shell(lab, server, account.name)
    told = shell.ready()
    assert re.search(r"Your account will expire in 1 day\.\r\n", told) and "Your password" not in told, told
    shell.leave()
    transport = paramiko_transport(server)
    transport.auth_password(account.name, PASSWORD)
    channel = transport.open_session()
    channel.get_pty()
    channel.invoke_shell()
    told = b""
    while b"message of the day" not in told:
        piece = channel.recv(4096)
        assert piece, told
        told += piece
    assert b"Your account will expire in 1 day.\r\n" in told and b"Your password will expire in 2 days.\r\n" in told
    transport.close()


def test_an_ordinary_user_has_no_records(lab, records, account, tmp_path):
    """Nothing can be written, and nobody complains."""
    port = free_port()
    config = lab.config(port, "UsePAM no\nPerSourcePenalties no\n", authorized=".ssh/authorized_keys")
    for path in (str(tmp_path), lab.keys.folder):
        while os.path.dirname(path) != "/":
            os.chmod(path, os.stat(path).st_mode | 0o755)
            path = os.path.dirname(path)
    own = os.path.join(account.home, "host")
    for kind in ("ed25519", "ecdsa", "rsa"):
        subprocess.run(["install", "-m", "600", "-o", account.name, lab.keys.path("host", kind), f"{own}_{kind}"], check=True)
    with open(config) as f:
        text = f.read().replace(lab.keys.path("host", "")[:-1], own)
    with open(config, "w") as f:
        f.write(text)
    os.chmod(config, 0o644)
    server = lab._start("sshd", records.wrap(["setpriv", f"--reuid={account.uid}", f"--regid={account.gid}", "--clear-groups",
                                              tool("sshd"), "-D", "-e", "-f", config]), port)
    shell = Shell(lab, server, account.name)
    shell.ready()
    shell.leave()
    passwords(server, "127.0.0.9", account.name, "wrong")
    assert records.who() == "" and "127.0.0.1" not in records.last() and "127.0.0.9" not in records.lastb()
    assert "utmp" not in server.log() and "lastlog" not in server.log()
