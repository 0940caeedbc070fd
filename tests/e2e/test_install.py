"""`make install`: what a system administrator gets, and that it works from where it was put."""
import os
import subprocess

import pytest
from conftest import BIN, IS_ROOT, TOP, USER, require, wait_until
from test_scp import scp_words

PROGRAMS = ("bin/ssh", "bin/ssh-keygen", "bin/ssh-agent", "bin/ssh-add", "bin/ssh-keyscan", "bin/scp", "bin/sftp", "bin/bowline",
            "sbin/sshd", "libexec/sftp-server", "libexec/ssh-sk-helper", "libexec/ssh-pkcs11-helper", "libexec/ssh-keysign")


def install(prefix, *destdir):
    build = os.path.dirname(BIN.rstrip("/"))
    done = subprocess.run([os.path.join(TOP, "scripts", "install-programs"), build, prefix, *destdir], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("installed"))
    assert install(path) == f"installed into {path}\n"
    return path


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_have_no_debugging_symbols(prefix, name):
    path = os.path.join(prefix, name)
    assert os.stat(path).st_mode & 0o7777 == 0o755
    headers = subprocess.run([require("readelf"), "-S", path], capture_output=True, text=True, check=True).stdout
    assert ".text" in headers and ".debug_info" not in headers


def test_a_session_with_what_is_installed(prefix, lab):
    """Server, client, file transfer and its helper, all of them found from there."""
    server = lab.sshd(f"Subsystem sftp {prefix}/libexec/sftp-server\n", program=os.path.join(prefix, "sbin", "sshd"))
    ssh = os.path.join(prefix, "bin", "ssh")
    done = lab.ssh(server, "-l", USER, "echo here", program=ssh)
    assert done.stdout == b"here\n", done.stderr
    sftp = scp_words(lab, server, os.path.join(prefix, "bin", "sftp"))
    done = subprocess.run([*sftp, "-b", "-", f"{USER}@127.0.0.1:{lab.folder}"], input=b"ls\n", capture_output=True, timeout=60)
    assert done.returncode == 0 and b"sshd_config" in done.stdout, done.stderr


def test_every_program_has_its_page(prefix):
    pages = {name for _, _, names in os.walk(os.path.join(prefix, "share", "man")) for name in names}
    assert {os.path.basename(p) for p in PROGRAMS} <= {page.rsplit(".", 1)[0] for page in pages}


def test_units_name_the_prefix(prefix):
    folder = os.path.join(prefix, "lib", "systemd", "system")
    with open(os.path.join(folder, "bowline.service")) as f:
        text = f.read()
    assert f"ExecStart={prefix}/sbin/sshd -D " in text and "/usr/sbin" not in text
    if not IS_ROOT and not os.path.isdir("/run/systemd/system"):
        pytest.skip("needs root where systemd does not run: systemd-analyze makes a folder in /run")
    done = subprocess.run([require("systemd-analyze"), "verify", "--man=no", os.path.join(folder, "bowline.service"),
                           os.path.join(folder, "bowline.socket")], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_package_is_made_below_destdir(tmp_path):
    install("/opt/elsewhere", str(tmp_path))
    assert os.path.exists(tmp_path / "opt/elsewhere/sbin/sshd")
    with open(tmp_path / "opt/elsewhere/lib/systemd/system/bowline.service") as f:
        assert "ExecStart=/opt/elsewhere/sbin/sshd -D " in f.read()


def test_a_running_program_is_replaced(prefix, lab):
    """Installing over a server that runs: who is on stays, and the next one is let in."""
    server = lab.sshd(program=os.path.join(prefix, "sbin", "sshd"))
    child = subprocess.Popen(lab.ssh_args(server, "-l", USER, "echo up; cat", program="ssh"), stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE)
    assert child.stdout.readline() == b"up\n"
    install(prefix)
    server.process.send_signal(1)
    assert wait_until(lambda: lab.ssh(server, "-l", USER, "echo new", program="ssh").stdout == b"new\n")
    assert child.communicate(b"still here", timeout=60)[0] == b"still here"
