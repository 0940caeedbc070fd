"""fail2ban and logwatch, as Debian ships them, on logs that servers wrote to syslog under attack.

Debian's sshd is attacked in the same way: what the parsers make of its log is what they have to
make of ours."""
import os
import re
import subprocess

import pytest
from conftest import free_port, needs_root, require, tool, wait_until
from logattacks import Syslog, attack_both, differing, scan, settled

pytestmark = needs_root


@pytest.fixture(scope="module")
def attacked(tmp_path_factory, keys, module_lab):
    return attack_both(tmp_path_factory.mktemp("logs"), keys, module_lab, pam=False)


@pytest.mark.parametrize("mode", ["normal", "ddos", "extra", "aggressive"])
def test_fail2ban(attacked, mode):
    ours, theirs = attacked["ours"].banned(mode), attacked["openssh"].banned(mode)
    assert ours == theirs, attacked["ours"].text
    if mode == "normal":
        assert {"bad-password", "bad-answer-bad-user"} <= ours
        assert not ours & {"good-key", "good-password", "good-answer", "port-scan"}
    else:
        assert ours & {"port-scan", "web", "bad-kex"}


def test_the_same_lines(attacked):
    assert differing(attacked) == (set(), set())


def test_each_connection_has_its_process(attacked):
    """Parsers put lines together by the id in brackets."""
    ids = {}
    for line in attacked["ours"].text.splitlines():
        source, pid = re.search(r"127\.0\.7\.\d+", line), re.search(r"sshd\[(\d+)\]", line)
        if source and pid:
            ids.setdefault(source.group(), set()).add(pid.group(1))
    assert len(ids) >= 12 and all(len(pids) <= 2 for pids in ids.values()), ids


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


def test_sessions_are_told_alike(lab):
    """LogLevel VERBOSE: which sessions began, word by word as OpenSSH's."""
    def told(server):
        for options in (["-tt", "true"], ["true"]):
            lab.ssh(server, *options, program="ssh")
        words = ["ssh", *lab.common(server.port), "-s", "127.0.0.1", "sftp"]
        subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=60, check=True)
        assert wait_until(lambda: server.log().count("Starting session: ") == 3, 30), server.log()
        found = re.findall(r"Starting session.*|subsystem request.*", server.log())
        return [re.sub(r"pts/\d+|port \d+", "N", line).rstrip("\r") for line in found]

    lines = "LogLevel VERBOSE\nSubsystem sftp /usr/lib/openssh/sftp-server\n"
    assert told(lab.sshd(lines)) == told(lab.openssh(lines))


@pytest.mark.parametrize("by", ["config", "key-option"])
def test_forced_commands_are_told_alike(lab, keys, by):
    """What is run in place of what was asked for, and who said so."""
    def told(start):
        if by == "config":
            server = start("LogLevel VERBOSE\nForceCommand echo 'a b'\n")
        else:
            path = os.path.join(lab.folder, "forced_keys")
            with open(path, "w") as f, open(f"{keys.folder}/user_ed25519.pub") as public:
                f.write(f'command="echo \'a b\'" {public.read()}')
            server = start(f"LogLevel VERBOSE\nAuthorizedKeysFile {path}\n")
        lab.ssh(server, "-tt", "true", program="ssh")
        lab.ssh(server, "true", program="ssh")
        assert wait_until(lambda: server.log().count("Starting session: ") == 2, 30), server.log()
        found = re.findall(r"Starting session.*", server.log())
        return [re.sub(r"pts/\d+|port \d+", "N", line).rstrip("\r") for line in found]

    ours = told(lab.sshd)
    assert f"forced-command ({by}) 'echo" in ours[0]
    assert ours == told(lab.openssh)
