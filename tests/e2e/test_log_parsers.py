"""fail2ban and logwatch, as Debian ships them, on logs that servers wrote to syslog under attack.

Debian's sshd is attacked in the same way: what the parsers make of its log is what they have to
make of ours."""
import os
import re
import subprocess

import pytest
from accounts import PASSWORD, set_password
from conftest import Account, free_port, needs_root, require, tool, wait_until
from logattacks import Syslog, all_of_them, scan, settled

pytestmark = needs_root
LINES = "DenyUsers games\nMaxAuthTries 4\nUsePAM no\n"


class Attacked:
    def __init__(self, path, names):
        self.path, self.names = path, names
        with open(path) as f:
            self.text = f.read()

    def banned(self, mode):
        """Attacks that fail2ban sees in that mode."""
        out = subprocess.run(["fail2ban-regex", "-o", "ip", self.path, f"sshd[mode={mode}]"], capture_output=True,
                             text=True, timeout=120)
        found = {line for line in out.stdout.split() if re.fullmatch(r"[0-9.]+", line)}
        return {name for name, source in self.names.items() if source in found}


@pytest.fixture(scope="module")
def attacked(tmp_path_factory, keys, module_lab):
    require("fail2ban-regex")
    if subprocess.run(["unshare", "-m", "true"], stderr=subprocess.DEVNULL).returncode != 0:
        pytest.skip("needs a mount name space of its own")
    folder = tmp_path_factory.mktemp("logs")
    other = str(folder / "other")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", other], check=True)
    account = Account(f"bwp{os.getpid()}", keys)
    set_password(account.name, PASSWORD)
    logs = {}
    try:
        for name, program in (("ours", tool("sshd")), ("openssh", require("sshd"))):
            syslog, port = Syslog(str(folder / f"{name}.log")), free_port()
            lines = LINES + ("PerSourcePenalties no\n" if name == "ours" else "")
            config = module_lab.config(port, lines, authorized=".ssh/authorized_keys")
            with open(config) as f:
                text = f.read().replace("LogLevel DEBUG1", "LogLevel INFO")
            with open(config, "w") as f:
                f.write(text)
            server = module_lab._start(name, syslog.wrap([program, "-D", "-f", config]), port)
            try:
                names = all_of_them(module_lab, server, account, PASSWORD, other)
                settled(syslog)
            finally:
                server.stop()
                syslog.stop()
            logs[name] = Attacked(str(folder / f"{name}.log"), names)
    finally:
        account.remove()
    return logs


@pytest.mark.parametrize("mode", ["normal", "ddos", "extra", "aggressive"])
def test_fail2ban(attacked, mode):
    ours, theirs = attacked["ours"].banned(mode), attacked["openssh"].banned(mode)
    assert ours == theirs, attacked["ours"].text
    if mode == "normal":
        assert {"bad-user", "bad-password", "too-many"} <= ours
        assert not ours & {"good-key", "good-password", "port-scan"}
    else:
        assert ours & {"port-scan", "web", "bad-kex"}


def words(text):
    """Lines without what differs from run to run."""
    out = set()
    for line in text.splitlines():
        line = re.sub(r"^.*? sshd\[\d+\]: ", "", line)
        line = re.sub(r"port \d+", "port N", line)
        out.add(re.sub(r"bwp\d+", "USER", line))
    return out


def test_the_same_lines(attacked):
    """Line by line, but for marks that 10.5 has and 9.2 has not."""
    ours, theirs = words(attacked["ours"].text), words(attacked["openssh"].text)
    # 9.2 tells these outside of its unprivileged process, so without the mark.
    newer = {re.sub(r" \[preauth\]$", "", line) if "identification" in line or "banner" in line or
             "Connection closed by 127" in line else line for line in ours}
    older = {re.sub(r" \[preauth\]$", "", line) if "Connection closed by 127" in line else line for line in theirs}
    older = {line for line in older if "shadow information" not in line}
    assert newer == older, f"missing: {older - newer}\nours besides: {newer - older}"


def test_each_connection_has_its_process(attacked):
    """Parsers put lines together by the id in brackets."""
    ids = {}
    for line in attacked["ours"].text.splitlines():
        source, pid = re.search(r"127\.0\.7\.\d+", line), re.search(r"sshd\[(\d+)\]", line)
        assert pid, line
        if source:
            ids.setdefault(source.group(), set()).add(pid.group(1))
    assert len(ids) >= 14 and all(len(pids) <= 2 for pids in ids.values()), ids


def logwatch(path):
    env = {**os.environ, "LOGWATCH_DATE_RANGE": "all", "LOGWATCH_DEBUG": "0", "PRINTING": "y",
           "detail_level": "10", "sshd_ignore_host": "", "LOGWATCH_DETAIL_LEVEL": "10"}
    with open(path) as log:
        plain = "\n".join(re.sub(r"^.{15} testhost ", "", line.rstrip("\n")) if "sshd[" not in line else
                          re.sub(r"^.{15} testhost sshd\[\d+\]: ", "", line.rstrip("\n")) for line in log)
    script = "/usr/share/logwatch/scripts/services/sshd"
    return subprocess.run(["perl", "-I", "/usr/share/logwatch/lib", script], input=plain + "\n", capture_output=True,
                          text=True, env=env, timeout=60).stdout


def test_logwatch(attacked):
    require("logwatch")
    ours, theirs = logwatch(attacked["ours"].path), logwatch(attacked["openssh"].path)
    heads = [re.findall(r"^ ?([A-Z][^:\n]*):", text, re.M) for text in (ours, theirs)]
    assert set(heads[1]) - {"Could not get shadow information for"} <= set(heads[0]), f"{ours}\n--- openssh:\n{theirs}"

    def unmatched(text):
        return text.split("**Unmatched Entries**")[1] if "**Unmatched" in text else ""
    assert not unmatched(ours) or unmatched(theirs), ours


def test_penalties(lab, tmp_path):
    """Penalties have no line in 9.2: in 10.5's words."""
    syslog, port = Syslog(str(tmp_path / "log")), free_port()
    config = lab.config(port, "PerSourcePenalties noauth:30s min:20s\nPerSourcePenaltyExemptList 127.0.0.1\n")
    server = lab._start("sshd", syslog.wrap([tool("sshd"), "-D", "-f", config]), port)
    try:
        def dropped():
            scan(server, "127.0.7.90")
            return "drop connection" in syslog.text()
        wait_until(dropped)
        text = settled(syslog)
    finally:
        server.stop()
        syslog.stop()
    assert re.search(r"srclimit_penalise: 127\.0\.7\.90/32: activating ipv4 penalty of \d+ seconds for penalty: "
                     r"connections without attempting authentication", text), text
    assert re.search(r"drop connection #\d+ from \[127\.0\.7\.90\]:\d+ on \[127\.0\.0\.1\]:\d+ penalty: connections "
                     r"without attempting authentication", text), text
