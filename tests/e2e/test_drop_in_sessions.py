"""Lines of shell with ssh in them, run with Debian's client and with ours against Debian's server: the same output and status,
and for failures the words that programs on top look for. See test_drop_in.py."""
import os
import subprocess

import pytest
from agents import debian
from conftest import BIN, IS_ROOT, SLOW, Lab, end_process, free_port, require, tool, wait_until
from sides import SYSTEM, Side, lines_of, name_of, same

# $S is a server and all that is needed to log in; the rest as in test_drop_in.py.
SESSIONS = r"""
+ssh $S true; echo $?
+ssh $S exit 7; echo $?
ssh $S 'kill -TERM $$'; echo $?
+echo hello | ssh $S cat
+ssh $S 'echo out; echo err >&2'
+ssh -t $S 'echo hi; tty' </dev/null
+ssh -tt $S 'test -t 0 && echo tty' </dev/null | tr -d '\r'
+ssh -oRequestTTY=force $S 'stty size' </dev/null | tr -d '\r'
+echo 'echo from stdin; exit 3' | ssh $S
+echo 'echo from stdin; exit 3' | ssh -T $S
+ssh -n $S cat
+ssh $S 'echo $SSH_CONNECTION | cut -d" " -f1,3; echo ${SSH_TTY:-none}; echo $SSH_ORIGINAL_COMMAND'
+FOO=bar ssh -o SendEnv='F*' $S 'echo [$FOO]'
+FOO=bar ssh -o SendEnv='F*' -o SendEnv=-FOO $S 'echo [$FOO]'
+ssh -o SetEnv='FOO=bar BAZ="a b"' $S 'echo [$FOO] [$BAZ]'
+ssh -o RemoteCommand='echo remote %r' $S
ssh -o RemoteCommand='echo remote' $S echo other
+ssh -o PermitLocalCommand=yes -o LocalCommand='echo local %n %h %r' $S true
+ssh -o PermitLocalCommand=yes -o LocalCommand='exit 9' $S true; echo $?
+ssh -s $S sftp </dev/null | head -c 0; echo ${PIPESTATUS[0]}
ssh -s $S nosuch; echo $?
+ssh $S nosuchcommand 2>/dev/null; echo $?
+ssh $S -- -x 2>/dev/null; echo $?
+head -c 3000000 /dev/zero | ssh $S 'wc -c'
+ssh $S 'head -c 3000000 /dev/zero' | wc -c
+ssh $S yes | head -1; echo ${PIPESTATUS[0]}
+ssh $S 'exec 2>&1; echo a; exec >&-; sleep 0.1'; echo $?
+ssh -R 0:127.0.0.1:1 $S true 2>&1 | sed 's/[0-9]\{4,5\}/N/'
ssh -W 127.0.0.1:1 $S; echo $?
+ssh -A $S 'ssh-add -l'
+ssh -o StrictHostKeyChecking=accept-new -o UserKnownHostsFile=$PWD/new $S true; cut -d' ' -f2 new
+ssh -o StrictHostKeyChecking=accept-new -o HashKnownHosts=yes -o UserKnownHostsFile=$PWD/new $S true; cut -c1-3 new
+ssh -q -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null $S true
+ssh -o ProxyCommand="ssh $S -W %h:%p" $S echo proxied
+ssh -M -S c -fN $S; ssh -S c -O check x 2>&1 | sed 's/[0-9]\{2,\}/N/'; ssh -S c x echo via; ssh -S c -O exit x; ssh -S c -O check x
+ssh -o LogLevel=VERBOSE $S true 2>&1 | grep ^Authenticated
+ssh -b 127.0.0.2 $S 'echo $SSH_CLIENT' | cut -d' ' -f1
+ssh -B lo $S echo bound
+ssh -4 $S echo four
ssh -6 $S true; echo $?
+ssh -E log $S 'echo out'; cat log
"""

# Lines that fail, and what is looked for in what they say (by scripts, editors, ansible, sshpass, people with a search engine).
WORDS = [
    ("ssh -F none -p 1 127.0.0.1 true", "ssh: connect to host 127.0.0.1 port 1: "),
    ("ssh -F none no-such-host.invalid true", "ssh: Could not resolve hostname no-such-host.invalid: "),
    ("ssh -o IdentityFile=none -F none $N true", "Permission denied (publickey"),
    ("ssh $S </dev/null", "Pseudo-terminal will not be allocated because stdin is not a terminal."),
    ("ssh -o UserKnownHostsFile=/dev/null -o StrictHostKeyChecking=yes $S true", "Host key verification failed."),
    ("ssh -o UserKnownHostsFile=$K/wrong $S true", "WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!"),
    ("ssh -o KexAlgorithms=diffie-hellman-group1-sha1 $S true", "no matching key exchange method found. Their offer: "),
    ("ssh -o HostKeyAlgorithms=ssh-rsa $S true", "no matching host key type found. Their offer: "),
    ("ssh -c aes128-cbc $S true", "no matching cipher found. Their offer: "),
    ("ssh -S /nonexistent/c -O check x", "Control socket connect(/nonexistent/c): No such file or directory"),
    ("ssh -s $S nosuch", "subsystem request failed on channel 0"),
    ("ssh -W 127.0.0.1:1 $S", "channel 0: open failed: connect failed: Connection refused"),
]


@pytest.fixture(scope="module")
def sides(tmp_path_factory, keys):
    if not debian("ssh") or not debian("ssh-agent"):
        pytest.skip("Debian's openssh-client is not installed")
    top = tmp_path_factory.mktemp("sides")
    lab = Lab(str(tmp_path_factory.mktemp("server")), keys)
    both = []
    try:
        server = lab.openssh("AcceptEnv FOO BAZ\nSubsystem sftp internal-sftp\nHostKeyAlgorithms ssh-ed25519")
        with open(os.path.join(keys.folder, "wrong"), "w") as out:
            out.write(f"[127.0.0.1]:{server.port} {keys.public('user')}")
        common = " ".join(lab.common(server.port))
        more = {"S": f"{common} 127.0.0.1", "N": f"{common.replace('-F none', '')} nobody-here@127.0.0.1".replace(f"-i {keys.path('user')}", "")}
        both.append(Side(top / "d", SYSTEM, debian("ssh-agent"), keys.folder, **more))
        both.append(Side(top / "o", f"{BIN}:{SYSTEM}", None, keys.folder, **more))
        yield both
    finally:
        for stopped in [side.agent for side in both] + lab.servers:
            stopped.stop()


@pytest.mark.parametrize("line", lines_of(SESSIONS), ids=name_of)
def test_sessions(sides, line):
    if not IS_ROOT and ("-tt" in line or "RequestTTY=force" in line):
        pytest.skip("needs root: Debian's server gives an ordinary user no terminals")
    same(sides, line)


@pytest.mark.parametrize("line,words", WORDS, ids=[name_of(words) for _, words in WORDS])
def test_words(sides, line, words):
    for side in sides:
        status, _, said = side.run(line, whole=True)
        assert words in said, said
        assert status == 255 or "</dev/null" in line, said


@pytest.mark.parametrize("strict,status", [("ask", 255), ("accept-new", 255), ("yes", 255), ("no", 0)])
def test_a_key_of_a_type_that_is_not_on_record(sides, strict, status):
    """Who stands between chooses the type of key: it is an alarm, and nothing is added to what is known."""
    line = (f"set -- $S; printf '[127.0.0.1]:%s %s\\n' $(echo $S | sed 's/.*-p \\([0-9]*\\).*/\\1/') \"$(cat $K/user_ecdsa.pub)\" >known; "
            f"ssh -o UserKnownHostsFile=$PWD/known -o StrictHostKeyChecking={strict} $S true; echo $?; wc -l <known")
    for side in sides:
        done, out, said = side.run(line, whole=True)
        assert out.split() == [str(status), "1"], said
        assert "REMOTE HOST IDENTIFICATION HAS CHANGED" in said


def test_connection_attempts(sides, tmp_path, lab):
    """ConnectionAttempts: the server is started when both have been refused once."""
    port = free_port()
    args = ["-v", *lab.common(port), "-o", "ConnectionAttempts=60", "127.0.0.1", "true"]
    logs = [tmp_path / name for name in ("theirs", "ours")]
    clients = [subprocess.Popen([program, *args], stdin=subprocess.DEVNULL, stderr=open(log, "wb"))
               for program, log in zip((debian("ssh"), tool("ssh")), logs)]
    try:
        assert wait_until(lambda: all("Connection refused" in log.read_text() for log in logs), 30)
        lab.openssh(port=port)
        assert [client.wait(60 * SLOW) for client in clients] == [0, 0]
    finally:
        for client in clients:
            end_process(client)


def test_sshpass_knows_the_questions(sides):
    """It knows an unknown host by the words of the question (6), and a password that is wrong by being asked again (5)."""
    require("sshpass")
    common = "-o PubkeyAuthentication=no -o BatchMode=no"
    for side in sides:
        unknown = side.run(f"sshpass -p x ssh {common} -o StrictHostKeyChecking=ask -o UserKnownHostsFile=/dev/null $S true")
        assert unknown[0] == 6, unknown
        wrong = side.run(f"sshpass -p x ssh {common} $S true")
        assert wrong[0] == 5, wrong
