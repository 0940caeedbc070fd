"""Runs inside a network namespace of its own (see test_server_names.py): names_world.py's name server, two sshd, and
logins from several addresses.

    unshare -mn server_names_world.py FOLDER KEYS BIN TOP      prints what happened as JSON
"""
import json
import os
import shutil
import signal
import struct
import subprocess
import time

from names_world import A, ADDRESS, BIN, FOLDER, KEYS, Names, knows, public, run, socket, world

OPENSSH = shutil.which("sshd", path="/usr/sbin:/sbin")

PTR = 12
ZONE = {  # the last byte of an address: its name; and where that name leads to
    10: ("good.example", "192.0.2.10"), 11: ("liar.example", "192.0.2.99"), 12: ("192.0.2.10", "192.0.2.12"),
    13: (None, None), 14: ("ghost.example", None), 15: ("UPPER.example", "192.0.2.15"), 16: ("0x7f.1", "192.0.2.16"),
    17: ("10.77", "192.0.2.17"), 18: (".".join(["l" * 60] * 4 + ["example"]), "192.0.2.18")}
SILENT = 20


class ReverseNames(Names):
    @staticmethod
    def data(kind, value):
        return b"".join(bytes([len(part)]) + part.encode() for part in value.split(".")) + b"\0" if kind == PTR else \
            Names.data(kind, value)

    def answer(self, data):
        return b"" if b"\x02%d\x012" % SILENT in data else super().answer(data)


def own_records():
    """utmp and its like, for this name space alone."""
    run("mount", "-t", "tmpfs", "tmpfs", "/run")
    os.mkdir("/run/sshd", 0o755)
    for path in RECORDS.values():
        own = os.path.join(FOLDER, os.path.basename(path))
        open(own, "w").close()
        os.path.exists(path) or open(path, "w").close()
        run("mount", "--bind", own, path)


RECORDS = {"utmp": "/run/utmp", "wtmp": "/var/log/wtmp", "lastlog": "/var/log/lastlog"}


def text(field):
    return field.split(b"\0")[0].decode()


def entries(path):
    """[name, address] of each login in a file of utmp(5)."""
    with open(path, "rb") as f:
        for kind, _, _, _, _, host, *_, address, _ in struct.iter_unpack("hi32s4s32s256shhiii16s20s", f.read()):
            if kind == 7:
                yield [text(host), socket.inet_ntoa(address[:4])]


def recorded(last, port):
    """What a login with a terminal from there leaves in each file while it lasts."""
    for path in RECORDS.values():
        os.truncate(path, 0)
    with subprocess.Popen(words("-tt", "-b", f"192.0.2.{last}", "-p", str(port), "-i", f"{KEYS}/user_ed25519", ADDRESS, "cat"),
                          stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as client:
        for _ in range(600):
            found = {name: list(entries(RECORDS[name])) for name in ("utmp", "wtmp")}
            if all(found.values()):
                break
            time.sleep(0.05)
        client.terminate()
    with open(RECORDS["lastlog"], "rb") as f:
        found["lastlog"] = text(f.read()[36:])
    return found


def told_in(port, want):
    """The answer of a login from an address with a name, once it is that: a reload takes its time."""
    for _ in range(300):
        done = ssh("-b", "192.0.2.10", "-p", str(port), "-i", f"{KEYS}/user_ed25519", host=ADDRESS, command="echo numeric")
        if done.stdout.strip() == want:
            break
        time.sleep(0.1)
    return done.stdout.strip()


def reloads(server, port):
    """UseDNS no, yes and no again."""
    path, answers = os.path.join(FOLDER, "reloaded"), [told_in(port, "numeric")]
    for old, new, want in (("no", "yes", "named"), ("yes", "no", "numeric")):
        with open(path) as f:
            config = f.read().replace(f"UseDNS {old}", f"UseDNS {new}")
        with open(path, "w") as f:
            f.write(config)
        server.send_signal(signal.SIGHUP)
        answers.append(told_in(port, want))
    return answers


def allowed(port):
    """Who is let in by the rule of that server, by the last byte of the address."""
    return [last for last in ZONE if ssh("-b", f"192.0.2.{last}", "-p", str(port), "-i", f"{KEYS}/user_ed25519", host=ADDRESS,
                                         command="true").returncode == 0]


RULES = ("AllowUsers root@*.example", "AllowUsers root@good.example root@192.0.2.11", "DenyUsers root@*.example",
         "DenyUsers root@192.0.2.0/28", "AllowUsers root@*.Example")


def with_program(program, base, results):
    """What both servers are asked; ours and Debian's."""
    servers = []
    try:
        for i, (rule, args) in enumerate((("", ()), ("", ("-u0",)), *((rule, ()) for rule in RULES))):
            servers.append(sshd(f"{base + i}", base + i, f"UseDNS yes\nUsePAM no\n{rule}\n", program, args, ""))
        results["recorded"] = {last: recorded(last, base) for last in (10, 11, 18)}
        results["recorded"]["-u0"] = recorded(10, base + 1)
        results["allowed"] = {rule: allowed(base + i) for i, rule in enumerate(RULES, 2)}
    finally:
        end(servers)


def end(servers):
    for server in servers:
        server.terminate()
        server.wait(20)


FORCED = "Match Host *.example\nForceCommand echo named\n"


def sshd(name, port, lines, program=None, args=(), end=FORCED):
    path, log = os.path.join(FOLDER, name), os.path.join(FOLDER, name + ".log")
    with open(path, "w") as out:
        out.write(f"Port {port}\nListenAddress {ADDRESS}\nStrictModes no\nPidFile none\nLogLevel VERBOSE\n"
                  f"AuthorizedKeysFile {FOLDER}/authorized\nHostKey {KEYS}/host_ed25519\nSetEnv SHLVL=1\n{lines}"
                  + ("" if program else "PerSourcePenalties no\n") + end)
    process = subprocess.Popen([program or os.path.join(BIN, "sshd"), "-D", "-e", "-f", path, *args], stdin=subprocess.DEVNULL,
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


def words(*rest):
    return [os.path.join(BIN, "ssh"), "-F", "none", "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-o",
            f"UserKnownHostsFile={FOLDER}/known", "-o", "GlobalKnownHostsFile=none", "-o", "StrictHostKeyChecking=no", *rest]


def ssh(*options, host, command):
    return subprocess.run(words(*options, host, command), capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60,
                          env={**os.environ, "XDG_STATE_HOME": FOLDER})


def main():
    names = world(ReverseNames)
    own_records()
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
    servers = [sshd("yes", 22, "UseDNS yes\n"), sshd("no", 23, "UseDNS no\n"), sshd("reloaded", 24, "UseDNS no\n")]
    try:
        results = {"yes": cases(22)}
        asked = len(names.asked)
        results["no"] = cases(23)
        results["asked"] = len(names.asked) - asked
        results["reloads"] = reloads(servers[2], 24)
        for who, program, base in (("ours", None, 30), ("openssh", OPENSSH, 40)):
            if program or who == "ours":
                with_program(program, base, results.setdefault(who, {}))
        with open("/etc/resolv.conf", "w") as f:
            f.write("nameserver 127.0.0.1\noptions timeout:30 attempts:5\n")
        done = ssh("-b", f"192.0.2.{SILENT}", "-i", f"{KEYS}/user_ed25519", host=ADDRESS, command="echo numeric")
        results["silent"] = [done.returncode, done.stdout.strip()]
    finally:
        end(servers)
    with open(os.path.join(FOLDER, "yes.log")) as f:
        results["log"] = f.read()
    print(json.dumps(results))


if __name__ == "__main__":
    main()
