"""Who may log in, and which blocks of Match hold for whom, on our sshd and on Debian's: both decide the same, in the same words."""
import pytest
from conftest import SERVERS, free_port, needs_root, require, tool

pytestmark = needs_root
SSH = "ssh"


@pytest.fixture(params=SERVERS)
def start(request, lab):
    """start(lines): one of both servers."""
    return lab.sshd if request.param == "ours" else lab.openssh


def run(lab, server, command, *options, user, **kw):
    return lab.ssh(server, "-l", user, *options, command, program=SSH, **kw)


HOME = ".ssh/authorized_keys"

# ---- who may log in ----


@pytest.mark.parametrize("line,good,why", [
    ("AllowGroups {own}", True, None),
    ("AllowGroups no-such-group {own}", True, None),
    ("AllowGroups bw*", True, None),
    ("AllowGroups root", False, "because none of user's groups are listed in AllowGroups"),
    ("DenyGroups {own}", False, "because a group is listed in DenyGroups"),
    ("DenyGroups root", True, None),
    ("AllowGroups {own}\nDenyGroups {own}", False, "because a group is listed in DenyGroups"),
    ("AllowUsers {own}", True, None),
    ("AllowUsers {own}@127.0.0.0/8", True, None),
    ("AllowUsers {own}@192.0.2.0/24", False, "because not listed in AllowUsers"),
    ("AllowUsers root", False, "because not listed in AllowUsers"),
    ("AllowUsers {own}\nDenyUsers {own}", False, "because listed in DenyUsers"),
    ("DenyUsers {own}@127.0.0.1", False, "because listed in DenyUsers"),
    ("DenyUsers {own}@127.0.0.2", True, None),
    ("DenyUsers !{own}", True, None),  # "!" means nothing there
    ("DenyUsers !{own} b*", False, "because listed in DenyUsers")])
def test_users_and_groups(lab, start, account, line, good, why):
    server = start(line.format(own=account.name) + "\n", authorized=HOME)
    assert (run(lab, server, "true", user=account.name).returncode == 0) == good, server.log()
    if why:
        server.wait_log(f"User {account.name} from 127.0.0.1 not allowed {why}")


@pytest.mark.parametrize("pam", ["yes", "no"])
def test_nobody_but_root_while_nologin_is_there(lab, account, start, tmp_path, pam):
    """/etc/nologin, in a copy of /etc: its text is what they are told."""
    inside = ('set -e; mount --make-rprivate /; cp -a /etc "$D/etc" || true; echo "down for work" >"$D/etc/nologin"; '
              'mount --bind "$D/etc" /etc; exec "$@"')
    port, ours = free_port(), start == lab.sshd
    program = tool("sshd") if ours else require("sshd")
    config = lab.config(port, "PerSourcePenalties no\n" * ours + f"UsePAM {pam}\n", authorized=f"{lab.keys.authorized_keys} {HOME}")
    server = lab._start("sshd", ["env", f"D={tmp_path}", "unshare", "-m", "sh", "-c", inside, "sh", program, "-D", "-e", "-f", config],
                        port)
    done = run(lab, server, "echo in", "-o", "LogLevel=INFO", user=account.name)
    assert done.returncode != 0 and done.stdout == b"" and b"down for work" in done.stderr
    stranger = lab.ssh(server, "-l", account.name, "true", program=SSH, options=["-o", f"IdentityFile={lab.keys.path('host')}", "-o", "PubkeyAuthentication=no"])
    assert b"down for work" not in stranger.stderr
    assert run(lab, server, "echo in", user="root").stdout == b"in\n"


# ---- Match ----

@pytest.mark.parametrize("criterion,hit", [
    ("User {own}", True), ("User root,!{own}", False), ("User b*", True), ("Group {own}", True), ("Group root", False),
    ("Group *,!{own}", False), ("Host 127.0.0.1", True), ("Host *.example", False), ("Address 127.0.0.0/8", True),
    ("Address 127.0.0.0/8,!127.0.0.1", False), ("Address 192.0.2.0/24", False), ("LocalAddress 127.0.0.1", True),
    ("LocalAddress 192.0.2.1", False), ("LocalPort {port}", True), ("LocalPort 22", False), ("All", True),
    ("User {own} Address 127.0.0.1 LocalPort {port}", True), ("User {own} Address 192.0.2.1", False)])
def test_match(lab, start, account, criterion, hit):
    port = free_port()
    server = start("Match " + criterion.format(own=account.name, port=port) + "\nForceCommand echo hit\n", port=port,
                   authorized=f"{lab.keys.authorized_keys} {HOME}")
    assert (run(lab, server, "echo not", user=account.name).stdout == b"hit\n") == hit


def test_newer_criteria(lab, account):
    """Of 9.9 and 10.0, which Debian's server does not know."""
    server = lab.sshd("Match Version OpenSSH_8.*\nForceCommand echo old\nMatch Version OpenSSH_10.*\nForceCommand echo ours\n"
                      "Match Invalid-User\nRefuseConnection yes\n", authorized=HOME)
    assert run(lab, server, "true", user=account.name).stdout == b"ours\n"
    assert b"Permission denied" not in run(lab, server, "true", user="nobody-of-that-name").stderr
    server.wait_log("prohibited connection for nobody-of-that-name")
