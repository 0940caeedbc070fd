"""What the tests of authentication share: accounts with passwords, and clients that type them."""
import os
import re
import subprocess
import time

import paramiko
import pexpect
from conftest import SLOW, Account

PASSWORD = "correct horse 7"
_made = [0]


def make(keys, password=PASSWORD, shell="/bin/sh"):
    _made[0] += 1
    account = Account(f"bwa{os.getpid()}x{_made[0]}", keys, shell)
    if password is not None:
        set_password(account.name, password)
    return account


def set_password(name, password):
    subprocess.run(["chpasswd"], input=f"{name}:{password}\n".encode(), check=True)


def ssh_command(server, user, *options, command="echo in", key=None):
    args = ["ssh", "-F", "none", "-p", str(server.port), "-l", user, "-o", "StrictHostKeyChecking=no",
            "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-o", "NumberOfPasswordPrompts=1"]
    args += ["-o", "IdentitiesOnly=yes", "-i", key] if key else ["-o", "PubkeyAuthentication=no"]
    for option in options:
        args += ["-o", option]
    return args + ["127.0.0.1", command]


def talk(args, answers, timeout=40):
    """Runs ssh on a terminal and answers its prompts in order: (pattern, answer). Output and status."""
    child = pexpect.spawn(args[0], args[1:], timeout=timeout * SLOW, encoding="utf-8")
    output = ""
    for pattern, answer in answers:
        child.expect(pattern)
        output += child.before + child.after
        time.sleep(0.05)
        child.sendline(answer)
    child.expect(pexpect.EOF)
    output += child.before
    child.close()
    return output, child.exitstatus


def login(server, user, password, *options, command="echo in", key=None):
    """Is let in with this password by Debian's ssh?"""
    out, status = talk(ssh_command(server, user, *options, "PreferredAuthentications=password", command=command,
                                   key=key), [("assword:", password)])
    return status == 0 and re.search(r"^in\r?$", out, re.M) is not None


def paramiko_transport(server):
    transport = paramiko.Transport(("127.0.0.1", server.port))
    transport.start_client(timeout=20 * SLOW)
    return transport
