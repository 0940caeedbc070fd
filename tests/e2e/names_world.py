"""Runs inside a network namespace of its own (see test_client_names.py): a name server, an sshd on 192.0.2.1, and ssh.

    unshare -mn names_world.py FOLDER KEYS BIN TOP      prints what happened as JSON
"""
import hashlib
import base64
import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time

FOLDER, KEYS, BIN, TOP = sys.argv[1:5]
A, CNAME, AAAA, SSHFP, OPT = 1, 5, 28, 44, 41
ADDRESS = "192.0.2.1"


def run(*args):
    subprocess.run(args, check=True, stdout=subprocess.DEVNULL)


def name(text):
    return b"".join(bytes([len(label)]) + label.encode() for label in text.strip(".").split(".")) + b"\0"


class Names:
    """A name server of one thread: `zone` has what is known, {name: [(type, data)]}; `odd` gives whole answers."""

    def __init__(self):
        self.zone, self.asked, self.authentic, self.spoil = {}, [], True, None
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 53))
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            data, peer = self.sock.recvfrom(4096)
            reply = self.answer(data)
            if reply:
                self.sock.sendto(reply, peer)

    def answer(self, data):
        labels, at = [], 12
        while data[at]:
            labels.append(data[at + 1:at + 1 + data[at]].decode())
            at += 1 + data[at]
        kind = struct.unpack(">H", data[at + 1:at + 3])[0]
        question, wanted = data[12:at + 5], ".".join(labels).lower()
        self.asked.append((wanted, kind))
        records, here = [], wanted
        for _ in range(4):
            found = [r for r in self.zone.get(here, []) if r[0] in (kind, CNAME)]
            records += [(here, *r) for r in found]
            alias = [r[1] for r in found if r[0] == CNAME]
            if not alias:
                break
            here = alias[0]
        exists = wanted in self.zone
        flags = 0x8180 | (0x20 if self.authentic else 0) | (0 if exists else 3)
        body = b"".join(name(n) + struct.pack(">HHIH", t, 1, 60, len(self.data(t, d))) + self.data(t, d) for n, t, d in records)
        if self.spoil and kind == SSHFP:
            body = self.spoil(body)
        return data[:2] + struct.pack(">HHHHH", flags, 1, len(records), 0, 0) + question + body

    @staticmethod
    def data(kind, value):
        return socket.inet_aton(value) if kind == A else name(value) if kind == CNAME else value


def resolv_conf(text):
    with open("/etc/resolv.conf", "w") as f:  # the bind mount's, not the machine's
        f.write(text)


TRUSTED = "nameserver 127.0.0.1\noptions trust-ad timeout:1 attempts:1\n"


def world(names=Names):
    run("ip", "link", "set", "lo", "up")
    run("ip", "addr", "add", ADDRESS + "/32", "dev", "lo")
    for path, text in (("/etc/resolv.conf", TRUSTED), ("/etc/nsswitch.conf", "hosts: files dns\npasswd: files\ngroup: files\n"),
                       ("/etc/hosts", "127.0.0.1 localhost\n")):
        own = os.path.join(FOLDER, os.path.basename(path))
        with open(own, "w") as f:
            f.write(text)
        run("mount", "--bind", own, path)
    return names()


def sshd():
    path = os.path.join(FOLDER, "sshd_config")
    with open(path, "w") as out:
        out.write(f"Port 22\nListenAddress {ADDRESS}\nPerSourcePenalties no\nAuthorizedKeysFile {KEYS}/authorized_keys\n"
                  "StrictModes no\nPidFile none\nSetEnv SHLVL=1\n" + "".join(f"HostKey {KEYS}/host_{k}\n" for k in ("ed25519", "ecdsa", "rsa")))
    process = subprocess.Popen([os.path.join(BIN, "sshd"), "-D", "-e", "-f", path], stdin=subprocess.DEVNULL,
                               stderr=open(os.path.join(FOLDER, "sshd.log"), "wb"), start_new_session=True)
    for _ in range(200):
        try:
            socket.create_connection((ADDRESS, 22), 1).close()
            return process
        except OSError:
            time.sleep(0.05)
    raise SystemExit(open(os.path.join(FOLDER, "sshd.log")).read())


KNOWN = os.path.join(FOLDER, "known")


def knows(*lines):
    with open(KNOWN, "w") as f:
        f.write("".join(line + "\n" for line in lines))


def public(who="host", kind="ed25519"):
    with open(f"{KEYS}/{who}_{kind}.pub") as f:
        return " ".join(f.read().split()[:2])


def ssh(*options, host="web.example", command="true", strict="yes", config="none"):
    args = [os.path.join(BIN, "ssh"), "-F", config, "-i", f"{KEYS}/user_ed25519", "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-o",
            f"UserKnownHostsFile={KNOWN}", "-o", "GlobalKnownHostsFile=none", "-o", f"StrictHostKeyChecking={strict}"]
    for option in options:
        args += ["-o", option] if option[0] != "-" else [option]
    done = subprocess.run([*args, host, *([command] if command else [])], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60,
                          env={**os.environ, "XDG_STATE_HOME": FOLDER})
    with open(KNOWN) as f:
        known = f.read().splitlines()
    return {"status": done.returncode, "stdout": done.stdout, "stderr": done.stderr, "known": known}


def record(algorithm, hash_number, who="host"):
    blob = base64.b64decode(public(who).split()[1])
    digest = hashlib.sha1 if hash_number == 1 else hashlib.sha256
    return SSHFP, bytes([algorithm, hash_number]) + digest(blob).digest()


def cases_of_sshfp(names, results):
    good, old = record(4, 2), record(4, 1)
    bad, bad_old = record(4, 2, "user"), record(4, 1, "user")
    rows = {"right sha256": [good], "right sha1": [old], "one of several": [bad_old, (SSHFP, b"\4\3" + b"x" * 48), good, bad],
            "not vouched for": [good], "wrong": [bad], "right sha1, wrong sha256": [old, bad], "other algorithm": [(SSHFP, b"\1" + good[1][1:])],
            "none": [], "cut short": [good], "garbage": [good], "resolver not trusted": [good], "ask": [good], "revoked": [good]}
    for case, records in rows.items():
        knows(*([f"@revoked * {public()}"] if case == "revoked" else []))
        names.zone["web.example"] = [(A, ADDRESS), *records]
        names.authentic = case != "not vouched for"
        names.spoil = {"cut short": lambda b: b[:-5], "garbage": lambda b: os.urandom(40)}.get(case)
        if case == "resolver not trusted":
            resolv_conf(TRUSTED.replace("trust-ad ", ""))
        results["sshfp " + case] = ssh("VerifyHostKeyDNS=" + ("ask" if case == "ask" else "yes"), "HostKeyAlgorithms=ssh-ed25519")
        resolv_conf(TRUSTED)
        names.spoil, names.authentic = None, True
    knows()
    names.zone["alias.example"] = [(CNAME, "web.example")]
    names.zone["web.example"] = [(A, ADDRESS), good]
    results["sshfp through an alias"] = ssh("VerifyHostKeyDNS=yes", "HostKeyAlgorithms=ssh-ed25519", host="alias.example")


def cases_of_addresses(names, results):
    names.zone["web.example"] = [(A, ADDRESS)]
    check, kind = "CheckHostIP=yes", "HostKeyAlgorithms=ssh-ed25519"
    knows()
    results["ip new"] = ssh(check, kind, strict="accept-new")
    knows()
    results["ip hashed"] = ssh(check, kind, "HashKnownHosts=yes", strict="accept-new")
    knows("web.example " + public())
    results["ip added"] = ssh(check, kind)
    knows("web.example " + public(), ADDRESS + " " + public("user"))
    results["ip differs"] = ssh(check, kind)
    results["ip differs off"] = ssh(check, kind, strict="no")
    script, log = os.path.join(FOLDER, "command"), os.path.join(FOLDER, "asked")
    with open(script, "w") as f:
        f.write(f'#!/bin/sh\necho "$@" >> {log}\necho "$2 {public()}"\n')
    os.chmod(script, 0o755)
    knows()
    results["ip command"] = ssh(check, f"KnownHostsCommand={script} %I %H")
    with open(log) as f:
        results["ip command"]["asked"] = f.read().splitlines()
    knows("web.example," + ADDRESS + " " + public())
    results["ip update"] = ssh(check, "UpdateHostKeys=yes", command="sleep 0.5")


def cases_of_canonical_names(names, results):
    names.zone.update({"web.example": [(A, ADDRESS)], "www.example": [(CNAME, "web.example")], "short.corp.example": [(A, ADDRESS)]})
    config = os.path.join(FOLDER, "config")

    def dump(case, host, text):
        with open(config, "w") as f:
            f.write(text)
        done = ssh("-G", host=host, command=None, config=config)
        values = dict(line.split(" ", 1) for line in done["stdout"].splitlines() if " " in line)
        results["canonical " + case] = {"status": done["status"], "stderr": done["stderr"], "hostname": values.get("hostname"),
                                        "port": values.get("port")}

    yes = "CanonicalizeHostname yes\nCanonicalDomains other.example corp.example example\nHost *.corp.example\nPort 5\n"
    dump("domain", "short", yes)
    dump("alias", "www", "CanonicalizePermittedCNAMEs www.*:web.*\n" + yes)
    dump("alias not followed", "www", yes)
    dump("nothing", "nobody", yes)
    dump("no fallback", "nobody", "CanonicalizeFallbackLocal no\n" + yes)
    for case, text in (("network", "192.0.2.0/24"), ("other network", "198.51.100.0/24")):
        dump(case, "short", f"Match localnetwork {text}\nPort 7\n")
    knows("short.corp.example " + public())
    with open(config, "w") as f:
        f.write(yes.replace("Port 5", "HostKeyAlgorithms ssh-ed25519"))
    results["canonical login"] = ssh(host="short", config=config)


def main():
    names, results = world(), {}
    server = sshd()
    try:
        cases_of_sshfp(names, results)
        cases_of_addresses(names, results)
        cases_of_canonical_names(names, results)
    finally:
        server.terminate()
        server.wait(20)
    print(json.dumps(results))


if __name__ == "__main__":
    main()
