"""Lines of shell as scripts have them, run with Debian's programs and with ours: the same output, the same status. What a line
makes is made in a folder of its own for each; doc/drop-in-client.md says which features rest on which lines."""
import os
import subprocess

import pytest
from agents import debian
from conftest import BIN, SLOW
from sides import SYSTEM, Side, lines_of, name_of, same

# Prepared once for both: keys, a certificate, known hosts.
PREPARED = """
for t in ed25519 ecdsa rsa; do ssh-keygen -q -t $t -N '' -C c-$t -f $t; done
ssh-keygen -q -t ed25519 -N secret -C sealed -f sealed
ssh-keygen -q -t rsa -b 2048 -m PEM -N '' -f pem
ssh-keygen -q -t ed25519 -N '' -C ca -f ca
cp ed25519 cert; cp ed25519.pub cert.pub
ssh-keygen -q -s ca -I kid -n alice,bob -V 20200101:20400101 -z 7 -O force-command=date -O source-address=10.0.0.0/8 cert.pub
printf 'h1,h2 %s\\n[h3]:2222 %s\\n@cert-authority *.x %s\\n' "$(cat rsa.pub)" "$(cat ed25519.pub)" "$(cat ca.pub)" >known
printf 'me@x namespaces="file" %s\\n' "$(cat ed25519.pub)" >signers
printf 'host1 %s\\nhost2 %s\\n' "$(cat rsa.pub)" "$(cat ecdsa.pub)" >hosts
echo data >data
"""

# Standard output and status are the same, and with "+" in front also standard error, but for the program's name.
KEYGEN = r"""
+ssh-keygen -t ed25519 -N '' -f k -C hi >/dev/null && cut -d' ' -f1,3 k.pub && stat -c %a k k.pub
ssh-keygen -t rsa -b 3072 -N '' -f k -q; ssh-keygen -lf k.pub | cut -d' ' -f1,4
ssh-keygen -t ecdsa -b 384 -N '' -f k -q; cut -d' ' -f1 k.pub
+ssh-keygen -t rsa -b 500 -N '' -f k
ssh-keygen -t nosuch -N '' -f k
ssh-keygen -t ed25519 -N abcdef -a 4 -Z aes256-ctr -f k -q; echo $?; ssh-keygen -y -P abcdef -f k | cut -d' ' -f1
+ssh-keygen -t ed25519 -N '' -f ./k -C '' -q; cut -d' ' -f3 k.pub
ssh-keygen -t ed25519 -N '' -f k -q; yes n | ssh-keygen -t ed25519 -N '' -f k
ssh-keygen -t ed25519 -N '' -f k -q; ssh-keygen -t ed25519 -N '' -f k -q <<<y
ssh-keygen -m PEM -t rsa -b 2048 -N '' -q -f k; head -1 k
ssh-keygen -m PKCS8 -t rsa -b 2048 -N '' -q -f k; head -1 k
ssh-keygen -m PKCS8 -t ecdsa -N secret -q -f k; head -1 k
ssh-keygen -m PEM -t ecdsa -N secret -q -f k; head -1 k
ssh-keygen -m PEM -t ed25519 -N '' -q -f k; head -1 k
+ssh-keygen -y -P secret -f $K/sealed
ssh-keygen -y -P wrong -f $K/sealed
+ssh-keygen -l -f $K/ed25519
+ssh-keygen -l -E md5 -f $K/ed25519.pub
+ssh-keygen -lv -f $K/ecdsa.pub
+ssh-keygen -B -f $K/rsa.pub
+cat $K/*.pub | ssh-keygen -lf -
+ssh-keygen -lf $K/sealed
+ssh-keygen -L -f $K/cert-cert.pub
+ssh-keygen -L -f $K/ed25519.pub
cat $K/rsa.pub $K/cert-cert.pub | ssh-keygen -L -f -
+cp $K/ed25519 k; cp $K/ed25519.pub k.pub; ssh-keygen -p -f k -P '' -N newpass; ssh-keygen -y -P newpass -f k
+cp $K/ed25519 k; cp $K/ed25519.pub k.pub; ssh-keygen -c -f k -P '' -C 'new comment'; cat k.pub
+ssh-keygen -e -f $K/ed25519.pub
+ssh-keygen -e -m PKCS8 -f $K/rsa.pub
+ssh-keygen -e -m PEM -f $K/rsa.pub
ssh-keygen -e -m PEM -f $K/ed25519.pub
+ssh-keygen -i -f <(ssh-keygen -e -f $K/rsa.pub)
+ssh-keygen -i -m PKCS8 -f <(ssh-keygen -e -m PKCS8 -f $K/rsa.pub)
+ssh-keygen -i -m PEM -f <(ssh-keygen -e -m PEM -f $K/rsa.pub)
+diff <(ssh-keygen -y -e -f $K/rsa) <(ssh-keygen -y -e -f $K/rsa.pub) && echo one pair
+ssh-keygen -yef $K/rsa
+ssh-keygen -lyf $K/rsa
+ssh-keygen -F h1 -f $K/known
+ssh-keygen -l -F '[h3]:2222' -f $K/known
+ssh-keygen -F a.x -f $K/known
+ssh-keygen -F h9 -f $K/known
+ssh-keygen -F h -f nosuch
+cp $K/known kh; ssh-keygen -R h1 -f kh; cut -d' ' -f1 kh; ls kh.old
+cp $K/known kh; ssh-keygen -R '[h3]:2222' -f kh; wc -l <kh
+cp $K/known kh; ssh-keygen -R hx -f kh
ssh-keygen -R hx -f nosuch
+printf 'h1 %s\nh2,h3 %s\n' "$(cat $K/rsa.pub)" "$(cat $K/ecdsa.pub)" >kh; ssh-keygen -H -f kh; grep -c '^|1|' kh; ssh-keygen -F h3 -f kh | cut -d' ' -f2-
mkdir -p r/etc/ssh; ssh-keygen -A -f r >/dev/null; ls r/etc/ssh | grep -v dsa_key; ls r/etc/ssh | grep ecdsa
+ssh-keygen -r myhost -f $K/ed25519.pub
+ssh-keygen -r myhost -g -f $K/ed25519.pub
cp $K/ed25519.pub u.pub; ssh-keygen -q -s $K/ca -I me -n a,b -V -1d:+52w -z 3 u.pub; ssh-keygen -Lf u-cert.pub | grep -v Valid
+cp $K/ed25519.pub u.pub; ssh-keygen -s $K/ca -I me -h -n host.x -V always:forever u.pub; ssh-keygen -Lf u-cert.pub
+cp $K/ed25519.pub u.pub; ssh-keygen -s $K/ca -I me -O clear -O permit-pty -O critical:foo@x=1 -O extension:bar@x u.pub; ssh-keygen -Lf u-cert.pub
+cp $K/ed25519.pub u.pub; ssh-keygen -s $K/ca -I me -O nosuch u.pub
+cp $K/ed25519.pub u.pub; ssh-keygen -s $K/ca u.pub
cp $K/ed25519.pub u.pub; ssh-keygen -s $K/ca -I me -V nosuch u.pub
+cp $K/ed25519.pub u.pub; ssh-keygen -s $K/rsa -t rsa-sha2-256 -I x -q u.pub; ssh-keygen -Lf u-cert.pub | grep Signing
ssh-keygen -s $K/ca -I x nosuch.pub
+ssh-keygen -k -f krl $K/ed25519.pub; ssh-keygen -Q -f krl $K/ed25519.pub; echo $?; ssh-keygen -Q -f krl $K/rsa.pub
+ssh-keygen -k -f krl $K/ed25519.pub; ssh-keygen -k -u -f krl $K/rsa.pub; ssh-keygen -Q -f krl $K/rsa.pub $K/ecdsa.pub
+echo 'serial: 1-10' | cat - <(echo 'id: kid') >spec; ssh-keygen -k -f krl -s $K/ca.pub -z 5 spec; ssh-keygen -Q -f krl $K/cert-cert.pub
+ssh-keygen -k -f krl <(cat $K/rsa.pub) >/dev/null; ssh-keygen -Q -f <(cat krl) $K/rsa.pub
+cp $K/data f; ssh-keygen -Y sign -f $K/ed25519 -n file f; ssh-keygen -Y verify -f $K/signers -I me@x -n file -s f.sig <f
cp $K/data f; ssh-keygen -q -Y sign -f $K/ed25519 -n file f; ssh-keygen -Y verify -f $K/signers -I you@x -n file -s f.sig <f
cp $K/data f; ssh-keygen -q -Y sign -f $K/ed25519 -n file f; ssh-keygen -Y verify -f $K/signers -I me@x -n git -s f.sig <f
cp $K/data f; ssh-keygen -q -Y sign -f $K/ed25519 -n file f; ssh-keygen -Y verify -f $K/signers -I me@x -n file -s f.sig <$K/known
+cp $K/data f; ssh-keygen -q -Y sign -f $K/ed25519 -n file f; ssh-keygen -Y find-principals -f $K/signers -s f.sig
+ssh-keygen -Y match-principals -f $K/signers -I me@x
+cp $K/data f; ssh-keygen -q -Y sign -f $K/ed25519 -n file f; ssh-keygen -Y check-novalidate -n file -s f.sig <f
+cp $K/data f; ssh-keygen -q -Y sign -f $K/ed25519 -n file f; ssh-keygen -Y verify -f $K/signers -I me@x -n file -s f.sig -O print-pubkey <f
+cp $K/data f; ssh-keygen -q -Y sign -f $K/ed25519 -n file f; ssh-keygen -Y verify -f <(cat $K/signers) -I me@x -n file -s <(cat f.sig) <f
ssh-keygen -Y sign -f $K/ed25519 -n file - <$K/data
+ssh-keygen -Y sign -f $K/ed25519 -n file <$K/data
ssh-keygen -Y sign -f $K/ed25519 -n file nosuch
"""

# Keys and files that come through pipes: `<(pass show key)`, /dev/stdin.
PIPES = r"""
+ssh-keygen -lf <(cat $K/rsa.pub)
+cat $K/rsa.pub | ssh-keygen -lf /dev/stdin
+ssh-keygen -y -f <(cat $K/ed25519)
+cat $K/ed25519 | ssh-keygen -y -f /dev/stdin
+ssh-keygen -Lf <(cat $K/cert-cert.pub)
+ssh-keygen -e -f <(cat $K/rsa.pub)
+ssh-keygen -r h -f <(cat $K/rsa.pub)
+ssh-keygen -F h -f <(echo h $(cat $K/rsa.pub))
+cp $K/rsa.pub u.pub; ssh-keygen -q -s <(cat $K/ca) -I x u.pub; ssh-keygen -Lf u-cert.pub | grep Signing
+ssh-add -D -q; ssh-add <(cat $K/ed25519); ssh-add -l
+ssh-add -D -q; cat $K/ecdsa | ssh-add /dev/stdin; ssh-add -l
+ssh-add -D -q; cat $K/rsa | ssh-add -; ssh-add -l
+ssh-add -D -q; ssh-add -q $K/rsa; ssh-add -T <(cat $K/rsa.pub); echo $?
"""

AGENT = r"""
+ssh-add -D; ssh-add -l; ssh-add -L
+ssh-add -D -q; ssh-add $K/ed25519; ssh-add -l; ssh-add -L; ssh-add -d $K/ed25519; ssh-add -l
+ssh-add -D -q; ssh-add -q $K/ed25519 $K/rsa; ssh-add -l -E md5; ssh-add -D; ssh-add -l
+ssh-add -D -q; ssh-add $K/nosuch; echo $?; ssh-add -d $K/ecdsa; echo $?
+ssh-add -D -q; ssh-add -c $K/ed25519; ssh-add -t 1h $K/rsa; ssh-add -t 1x $K/rsa; echo $?; ssh-add -c -t 60 $K/ecdsa
+ssh-add -D -q; ssh-add -T $K/ed25519.pub; echo $?; ssh-add -q $K/ed25519; ssh-add -T $K/ed25519.pub; echo $?
ssh-add -D -q; ssh-add $K/cert; ssh-add -l; ssh-add -d $K/cert; ssh-add -k $K/cert; ssh-add -l
+ssh-add -D -q; ssh-add -H $K/hosts -h host1 -h 'host1>u@host2' $K/ed25519; echo $?; ssh-add -H $K/hosts -h 'a>b>c' $K/rsa; ssh-add -l
+ssh-add -D -q; cp $K/ed25519 k; chmod 644 k; ssh-add ./k; echo $?
+ssh-add -D -q; SSH_ASKPASS=$K/ask SSH_ASKPASS_REQUIRE=force ssh-add $K/sealed; echo $?
+ssh-add -D -q; DISPLAY=:9 SSH_ASKPASS=$K/ask SSH_ASKPASS_REQUIRE= ssh-add $K/sealed </dev/null; echo $?
+export SSH_ASKPASS=$K/ask SSH_ASKPASS_REQUIRE=force; ssh-add -D -q; ssh-add -q $K/rsa; ssh-add -x; ssh-add -l; ssh-add -x; echo $?; ssh-add -X; ssh-add -l; ssh-add -X; echo $?
+ssh-add -D -q; for i in 1 2; do ssh-add -q $K/rsa; done; ssh-add -l
+ssh-add -D -q; ssh-add -q $K/ed25519; cp $K/rsa.pub u.pub; ssh-keygen -q -Us $K/ed25519.pub -I x u.pub; ssh-keygen -Lf u-cert.pub | grep Signing
+ssh-add -D -q; ssh-add -q $K/ed25519; ssh-keygen -Y sign -U -f $K/ed25519.pub -n file <$K/data
SSH_AUTH_SOCK= ssh-add -l
SSH_AUTH_SOCK=/nosuch ssh-add -l
+SSH_AUTH_SOCK=/nosuch ssh-add $K/rsa
+ssh-agent -k
+SSH_AGENT_PID=4194305 ssh-agent -k
+ssh-agent -s -a s >e; sed 's/[0-9]\{2,\}/N/g' e; . ./e >/dev/null; ssh-agent -k | sed 's/[0-9]\{2,\}/N/g'
+ssh-agent -c -a s >e; sed 's/[0-9]\{2,\}/N/g' e; export $(sed -n 's/setenv \(SSH_AGENT_PID\) \(.*\);/\1=\2/p' e); ssh-agent -k | sed 's/[0-9]\{2,\}/N/g'
"""

# sftp and scp with a server of their own below them (-D), as batches have them.
FILES = r"""
+mkdir -p m/s; echo x >m/y; echo x >m/.h; printf 'ls m\nls -1 m\nls -1a m\nls -1 m/y\ncd m\nls -1\nls -1 .\n' | sftp -q -b - $L | sed 's/  */ /g'
mkdir -p m/s; echo x >m/y; printf 'ls -l m\nls -l m/y\nls -l .\ncd m\nls -l\n' | sftp -q -b - $L | awk '{print $1, $NF}'
+echo x >f; printf 'mkdir m\nput f m/x\nchmod 600 m/x\nrename m/x m/y\nln -s y m/z\nls -1 m\nrm m/z\nrm m/y\nrmdir m\nls m\n' | sftp -b - $L
+printf 'get nosuch\n' | sftp -b - $L; echo $?
+printf -- '-get nosuch\npwd\n' | sftp -b - $L | grep -c pwd; echo ${PIPESTATUS[1]}
+printf '@get nosuch\n' | sftp -b - $L; echo $?
+printf -- '-@get nosuch\n!echo sh\n' | sftp -b - $L; echo $?
printf 'nosuchcmd\n' | sftp -b - $L; echo $?
+printf 'lpwd\nlcd /\nlpwd\nlmkdir /nonexistent/x\n' | sftp -b - $L; echo $?
+echo x >f; printf 'put f g\nget g h\nput -p f i\nget -f g j\n' | sftp -q -b - $L; ls
+echo abcdef >f; echo ab >g; printf 'reput f g\n' | sftp -q -b - $L; cat g
+echo x >f; scp $L f x:g; cat g
+mkdir -p a/b; echo x >a/b/f; echo y >'a/g h'; scp $L -r a x:$PWD/c; find c | sort
+echo x >f1; echo y >f2; mkdir t; scp $L x:$PWD/'f?' t/; ls t
+echo x >f; scp f g; cat g; scp f nodir/x; echo $?
+echo x >f; scp $L f f x:$PWD/nodir; echo $?
scp $L x:nosuch .; echo $?
"""


@pytest.fixture(scope="module")
def sides(tmp_path_factory):
    keys = tmp_path_factory.mktemp("prepared")
    if not debian("ssh-keygen") or not debian("ssh-agent"):
        pytest.skip("Debian's openssh-client is not installed")
    subprocess.run(["bash", "--norc", "-e", "-c", PREPARED], cwd=keys, env={**os.environ, "PATH": SYSTEM}, check=True,
                   stdin=subprocess.DEVNULL, timeout=60 * SLOW)
    (keys / "ask").write_text("#!/bin/sh\necho secret\n")
    (keys / "ask").chmod(0o700)
    # A program of Debian's under both: what is compared is the client.
    server = next((path for path in ("/usr/lib/openssh/sftp-server", "/usr/libexec/openssh/sftp-server") if os.path.exists(path)), "")
    more = {"L": f"-D {server}"}
    top = tmp_path_factory.mktemp("sides")
    both = []
    try:
        both.append(Side(top / "d", SYSTEM, debian("ssh-agent"), keys, **more))
        both.append(Side(top / "o", f"{BIN}:{SYSTEM}", None, keys, **more))
        yield both
    finally:
        for side in both:
            side.agent.stop()


@pytest.mark.parametrize("line", lines_of(KEYGEN), ids=name_of)
def test_ssh_keygen(sides, line):
    same(sides, line)


@pytest.mark.parametrize("line", lines_of(PIPES), ids=name_of)
def test_keys_through_pipes(sides, line):
    same(sides, line)


@pytest.mark.parametrize("line", lines_of(AGENT), ids=name_of)
def test_ssh_agent_and_ssh_add(sides, line):
    same(sides, line)


@pytest.mark.parametrize("line", lines_of(FILES), ids=name_of)
def test_sftp_and_scp(sides, line):
    same(sides, line)
