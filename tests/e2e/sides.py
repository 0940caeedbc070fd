"""Two sides for one line of shell: Debian's programs and ours, each with an agent and a folder of its own."""
import os
import re
import subprocess

from agents import Agent
from conftest import SLOW

SYSTEM = "/usr/bin:/bin:/usr/sbin:/sbin"


def lines_of(text):
    return [line for line in text.splitlines() if line]


def name_of(line):
    """The programs' words, as the name of a test."""
    return re.sub(r"[^A-Za-z0-9]+", "-", line)[:60].strip("-")


class Side:
    """One suite's programs, its agent, and the folder where its lines run; `more` goes into the environment."""

    def __init__(self, folder, path, agent_program, keys, **more):
        self.folder, self.n = str(folder), 0
        os.mkdir(self.folder, 0o700)
        self.agent = Agent(self.folder, program=agent_program)
        self.env = {**os.environ, "PATH": path, "K": str(keys), "LC_ALL": "C.UTF-8", "SSH_AUTH_SOCK": self.agent.path,
                    "SSH_ASKPASS_REQUIRE": "never", **more}
        self.env.pop("SSH_AGENT_PID", None)

    def run(self, line, whole=False):
        """Status, standard output, and standard error; its programs' names are kept in the whole of it."""
        self.n += 1
        cwd = os.path.join(self.folder, f"w{self.n}")
        os.mkdir(cwd)
        done = subprocess.run(["bash", "--norc", "-c", line], cwd=cwd, env=self.env, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=60 * SLOW, start_new_session=True)
        said = [text.replace(cwd, "HERE") for text in (done.stdout, done.stderr)]
        if whole:
            return done.returncode, said[0], said[1]
        return done.returncode, said[0], re.sub(r"^(ssh(-\w+)?|scp|sftp): ", "", said[1], flags=re.M)


def same(sides, line):
    theirs, ours = (side.run(line.lstrip("+")) for side in sides)
    parts = 3 if line[0] == "+" else 2
    assert ours[:parts] == theirs[:parts], f"{theirs}\n{ours}"
