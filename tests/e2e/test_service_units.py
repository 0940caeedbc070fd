"""Our units, as systemd reads them: right, and with nothing that a login would inherit. No systemd has to run."""
import json
import os
import subprocess

import pytest
from conftest import IS_ROOT, TOP, require, tool

UNITS = ("bowline.service", "bowline.socket")
# What systemd-analyze's table of protections may say is set: nothing that a process of a user notices.
HARMLESS = {"AmbientCapabilities=", "KeyringMode=", "Delegate=", "NotifyAccess=", "UMask="}


def directives(name):
    with open(os.path.join(TOP, "contrib", "systemd", name)) as f:
        return [line.strip().split("=", 1) for line in f if "=" in line and not line.startswith("#")]


@pytest.fixture
def analyze(tmp_path):
    """systemd-analyze over copies that start the program under test."""
    program = require("systemd-analyze")
    if not IS_ROOT and not os.path.isdir("/run/systemd/system"):
        pytest.skip("needs root where systemd does not run: systemd-analyze makes a folder in /run")
    for unit in UNITS:
        with open(os.path.join(TOP, "contrib", "systemd", unit)) as f:
            (tmp_path / unit).write_text(f.read().replace("/usr/sbin/sshd", tool("sshd")))

    def run(*words, unit):
        return subprocess.run([program, *words, str(tmp_path / unit)], capture_output=True, text=True, timeout=60,
                              env={**os.environ, "SYSTEMD_LOG_LEVEL": "warning", "SYSTEMD_COLORS": "0"})

    return run


@pytest.mark.parametrize("unit", UNITS)
def test_systemd_finds_nothing_wrong(analyze, unit):
    done = analyze("verify", "--man=no", unit=unit)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_mistake_would_be_found(analyze, tmp_path):
    """What is above looks."""
    path = tmp_path / "bowline.service"
    path.write_text(path.read_text().replace("KillMode=process", "KillMode=nobody"))
    assert "kill mode" in analyze("verify", "--man=no", unit="bowline.service").stderr


def test_logins_inherit_no_protections(analyze):
    """As in Debian's unit: an administrator's session may set the clock, open devices, mount, load modules."""
    done = analyze("security", "--offline=true", "--json=short", unit="bowline.service")
    if "unrecognized option" in done.stderr:
        pytest.skip("this systemd-analyze is too old")
    rows = json.loads(done.stdout)
    held = {row["name"] for row in rows if row["set"] is True}
    assert len(rows) > 50 and held <= HARMLESS, held - HARMLESS


def test_options_of_debians_unit_count():
    ours = directives("bowline.service")
    assert ["EnvironmentFile", "-/etc/default/ssh"] in ours and any(k == "ExecStart" and v.endswith("$SSHD_OPTS") for k, v in ours)
    assert ["Type", "notify"] in ours and ["KillMode", "process"] in ours


def test_one_of_both_servers_has_the_port():
    for unit in UNITS:
        conflicts = [v.split() for k, v in directives(unit) if k == "Conflicts"]
        assert conflicts and set(conflicts[0]) == {"ssh.service", "ssh.socket"}
    assert ["Service", "bowline.service"] in directives("bowline.socket")
