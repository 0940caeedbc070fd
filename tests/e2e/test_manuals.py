"""Manual pages beside the programs that they are of: each option of a usage line stands in its page."""
import os
import re
import subprocess

import pytest
from conftest import TOP, tool

PAGES = ["ssh.1", "scp.1", "sftp.1.in", "ssh-keygen.1", "ssh-agent.1", "ssh-add.1", "ssh-keyscan.1", "sshd.8"]


def options_of(program):
    """The letters of its usage: [-abc] and -a."""
    done = subprocess.run([tool(program), "-?"], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    clusters = re.findall(r"(?<![\w-])-([A-Za-z0-9]+)", done.stdout + done.stderr)
    return {letter for cluster in clusters for letter in cluster}


@pytest.mark.parametrize("page", PAGES)
def test_every_option_stands_in_the_page(page):
    with open(os.path.join(TOP, "man", page)) as f:
        text = f.read()
    described = set("".join(re.findall(r"\bFl ([A-Za-z0-9]+)", text)))
    options = options_of(page.split(".")[0])
    assert len(options) > 10 and options <= described, sorted(options - described)
