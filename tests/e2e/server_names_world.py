"""Runs inside a network namespace of its own (see test_server_names.py): names_world.py's name server, two sshd, and
logins from several addresses.

    unshare -mn server_names_world.py FOLDER KEYS BIN TOP      prints what happened as JSON
"""
import json
import os
import subprocess
import time

from names_world import A, ADDRESS, BIN, FOLDER, KEYS, Names, knows, public, run, socket, world

PTR = 12
ZONE = {  # the last byte of an address: its name; and where that name leads to
    10: ("good.example", "192.0.2.10"), 11: ("liar.example", "192.0.2.99"), 12: ("192.0.2.10", "192.0.2.12"),
    13: (None, None), 14: ("ghost.example", None), 15: ("UPPER.example", "192.0.2.15"), 16: ("0x7f.1", "192.0.2.16"),
    17: ("10.77", "192.0.2.17")}
SILENT = 20


class ReverseNames(Names):
    @staticmethod
    def data(kind, value):
        return b"".join(bytes([len(part)]) + part.encode() for part in value.split(".")) + b"\0" if kind == PTR else \
            Names.data(kind, value)

    def answer(self, data):
        return b"" if b"\x02%d\x012" % SILENT in data else super().answer(data)


def sshd(name, port, lines):
    path, log = os.path.join(FOLDER, name), os.path.join(FOLDER, name + ".log")
    with open(path, "w") as out:
        out.write(f"Port {port}\nListenAddress {ADDRESS}\nPerSourcePenalties no\nStrictModes no\nPidFile none\nLogLevel VERBOSE\n"
                  f"AuthorizedKeysFile {FOLDER}/authorized\nHostKey {KEYS}/host_ed25519\nSetEnv SHLVL=1\n{lines}"
                  "Match Host *.example\nForceCommand echo named\n")
    process = subprocess.Popen([os.path.join(BIN, "sshd"), "-D", "-e", "-f", path], stdin=subprocess.DEVNULL,
                               stderr=open(log, "wb"), start_new_session=True)
    for _ in range(600):
        try:
            socket.create_connection((ADDRESS, port), 1).close()
            return process
        except OSError:
            time.sleep(0.05)
    raise SystemExit(open(log).read())


def cases(port):
    """Logins with a key that may come from anywhere, and with one that may come from *.example alone."""
    results = {}
    for last in ZONE:
        for kind in ("ed25519", "ecdsa"):
            done = ssh("-b", f"192.0.2.{last}", "-p", str(port), "-i", f"{KEYS}/user_{kind}", host=ADDRESS, command="echo numeric")
            results[f"{last} {kind}"] = [done.returncode, done.stdout.strip()]
    return results


def ssh(*options, host, command):
    words = [os.path.join(BIN, "ssh"), "-F", "none", "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-o",
             f"UserKnownHostsFile={FOLDER}/known", "-o", "GlobalKnownHostsFile=none", "-o", "StrictHostKeyChecking=no"]
    return subprocess.run([*words, *options, host, command], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60,
                          env={**os.environ, "XDG_STATE_HOME": FOLDER})


def main():
    names = world(ReverseNames)
    for last in [*ZONE, SILENT]:
        run("ip", "addr", "add", f"192.0.2.{last}/32", "dev", "lo")
    for last, (name, address) in ZONE.items():
        if name:
            names.zone[f"{last}.2.0.192.in-addr.arpa"] = [(PTR, name)]
        if name and address:
            names.zone[name.lower()] = [(A, address)]
    with open(os.path.join(FOLDER, "authorized"), "w") as f:
        f.write(f'{public("user")}\nfrom="*.example" {public("user", "ecdsa")}\n')
    knows()
    servers = [sshd("yes", 22, "UseDNS yes\n"), sshd("no", 23, "UseDNS no\n")]
    try:
        results = {"yes": cases(22)}
        asked = len(names.asked)
        results["no"] = cases(23)
        results["asked"] = len(names.asked) - asked
        with open("/etc/resolv.conf", "w") as f:
            f.write("nameserver 127.0.0.1\noptions timeout:30 attempts:5\n")
        done = ssh("-b", f"192.0.2.{SILENT}", "-i", f"{KEYS}/user_ed25519", host=ADDRESS, command="echo numeric")
        results["silent"] = [done.returncode, done.stdout.strip()]
    finally:
        for server in servers:
            server.terminate()
            server.wait(20)
    with open(os.path.join(FOLDER, "yes.log")) as f:
        results["log"] = f.read()
    print(json.dumps(results))


if __name__ == "__main__":
    main()
