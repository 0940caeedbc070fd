"""Agents for tests: ours and Debian's, with the tools that speak to them."""
import os
import shutil
import socket
import subprocess

from conftest import IS_ROOT, SLOW, end_process, tool, wait_until


class Agent:
    """One running agent on a socket of its own; stopped by its process id."""

    def __init__(self, folder, program=None, args=(), env=None):
        self.path = os.path.join(folder, f"agent.{len(os.listdir(folder))}")
        self.env = {**os.environ, "SSH_AUTH_SOCK": self.path, "SSH_ASKPASS_REQUIRE": "never"}
        self.log_path = self.path + ".log"
        self.process = subprocess.Popen([program or tool("ssh-agent"), "-d", "-a", self.path, *args],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=open(self.log_path, "wb"), env={**os.environ, **(env or {})})
        assert wait_until(lambda: self.listens() or self.process.poll() is not None)

    def listens(self):
        """The path is there a moment before it can be connected to."""
        with socket.socket(socket.AF_UNIX) as s:
            try:
                s.connect(self.path)
            except OSError:
                return False
            return True

    def log(self):
        with open(self.log_path, errors="replace") as f:
            return f.read()

    def run(self, *args, program=None, env=None, **kw):
        kw.setdefault("stdin", None if "input" in kw else subprocess.DEVNULL)
        if kw["stdin"] is None:
            kw.pop("stdin")
        return subprocess.run([program or tool("ssh-add"), *args], env={**self.env, **(env or {})},
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=30 * SLOW,
                              start_new_session=True, **kw)

    def add(self, *args, **kw):
        done = self.run(*args, **kw)
        assert done.returncode == 0, done.stdout
        return done.stdout

    def count(self):
        done = self.run("-l")
        return done.stdout.count("\n") if done.returncode == 0 else 0

    def stop(self):
        end_process(self.process)


def has_loaded(agent, library):
    """Only root may look into an agent."""
    if not IS_ROOT:
        return False
    with open(f"/proc/{agent.process.pid}/maps") as maps:
        return library in maps.read()


def debian(name):
    return shutil.which(name, path="/usr/bin:/usr/sbin")


def askpass(folder, text, name="askpass"):
    """A program that answers, and what makes it be asked."""
    path = os.path.join(folder, name)
    with open(path, "w") as out:
        out.write(f"#!/bin/sh\necho \"$SSH_ASKPASS_PROMPT: $1\" >>{path}.asked\n{text}\n")
    os.chmod(path, 0o700)
    return {"SSH_ASKPASS": path, "SSH_ASKPASS_REQUIRE": "force", "DISPLAY": ":9"}
