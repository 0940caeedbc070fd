"""`bowline config explain`: where values come from, what is hidden, never holds, or is risky."""
import json
import subprocess

import pytest
from conftest import tool


def explain(*args, check=True):
    done = subprocess.run([tool("bowline"), "config", "explain", *args], capture_output=True, text=True, timeout=20)
    if check:
        assert done.returncode == 0, done.stderr
    return done


@pytest.fixture
def server_file(tmp_path):
    extra = tmp_path / "extra.conf"
    extra.write_text("Port 2223\nX11Forwarding yes\n")
    path = tmp_path / "sshd_config"
    path.write_text(f"""Port 2222
Include {extra}
MaxAuthTries 4
MaxAuthTries 5
Match User !root
    PermitTTY no
Match User anna User bert
    PermitTTY no
Match LocalPort 99
    PermitTTY no
Match User anna Address 127.0.0.0/8
    PermitRootLogin yes
    MaxAuthTries 3
""")
    return path, extra


def values(data, keyword):
    [row] = [v for v in data["values"] if v["keyword"] == keyword]
    return row


def test_server_json(server_file):
    path, extra = server_file
    data = json.loads(explain("sshd", "-f", str(path), "--json").stdout)
    tries = values(data, "MaxAuthTries")
    assert tries["values"] == ["4"] and not tries["default"]
    assert tries["set_by"] == [{"file": str(path), "line": 3, "text": "4"}]
    assert tries["shadowed"] == [{"file": str(path), "line": 4, "text": "5"}]
    ports = values(data, "Port")
    assert [(s["file"], s["line"]) for s in ports["set_by"]] == [(str(path), 1), (str(extra), 1)]
    assert values(data, "LoginGraceTime")["default"]
    never = {b["line"]: b["never"] for b in data["blocks"]}
    assert "negated" in never[5] and "exclude" in never[7] and "listen" in never[9] and never[11] is None
    risks = {r["keyword"]: r for r in data["risks"]}
    assert risks["X11Forwarding"]["file"] == str(extra) and risks["X11Forwarding"]["holds"]
    assert risks["PermitRootLogin"]["line"] == 12 and not risks["PermitRootLogin"]["holds"]


def test_server_for_one_login(server_file):
    path, _ = server_file
    data = json.loads(explain("sshd", "anna@127.0.0.1", "-f", str(path), "--json").stdout)
    assert values(data, "PermitRootLogin")["values"] == ["yes"]
    assert values(data, "MaxAuthTries")["values"] == ["3"]
    data = json.loads(explain("sshd", "anna@192.0.2.1", "-f", str(path), "--json").stdout)
    assert values(data, "MaxAuthTries")["values"] == ["4"]


def test_server_text(server_file):
    path, _ = server_file
    text = explain("sshd", "-f", str(path)).stdout
    assert f"MaxAuthTries 4  # {path}:3" in text
    assert f"no effect: {path}:4: MaxAuthTries 5" in text
    assert "Blocks that can never hold" in text and "Match user !root" in text
    assert "Risky settings" in text and "(where its block holds)" in text


def test_client(tmp_path):
    path = tmp_path / "config"
    path.write_text("Host !a !b\n  Port 1\nHost web\n  Port 99\n  ForwardAgent yes\nHost *\n  Port 98\n"
                    "  Ciphers +aes128-cbc\n")
    data = json.loads(explain("ssh", "bert@web", "-f", str(path), "--json").stdout)
    assert values(data, "Port")["set_by"][0]["line"] == 4
    assert values(data, "Port")["shadowed"][0]["line"] == 7
    assert values(data, "User")["values"] == ["bert"]
    assert {r["keyword"] for r in data["risks"]} >= {"ForwardAgent"}
    assert [b["line"] for b in data["blocks"] if b["never"]] == [1]


def test_bad_file(tmp_path):
    path = tmp_path / "sshd_config"
    path.write_text("MaxAuthTrys 22\n")
    done = explain("sshd", "-f", str(path), check=False)
    assert done.returncode == 1 and "did you mean MaxAuthTries" in done.stderr
    done = explain("sshd", "-f", str(path), "--json", check=False)
    assert done.returncode == 1 and "did you mean MaxAuthTries" in json.loads(done.stdout)["problems"][0]["text"]


def test_usage():
    assert explain("sshd", "--nonsense", check=False).returncode == 2


def test_host_certificate_by_flag(tmp_path):
    """sshd -c FILE is HostCertificate, however long the name is."""
    path = "/" + "/".join(["folder" * 20] * 3) + "/host-cert.pub"
    config = tmp_path / "config"
    config.write_text("Port 2222\n")
    done = subprocess.run([tool("sshd"), "-G", "-f", str(config), "-c", path], capture_output=True, text=True)
    assert done.returncode == 0 and f"hostcertificate {path}" in done.stdout.lower()


def test_flags_of_older_servers(tmp_path):
    """What unit files and scripts of old still say is taken: it had no effect for OpenSSH, or has none here."""
    config = tmp_path / "config"
    config.write_text("Port 2222\n")
    words = [tool("sshd"), "-G", "-f", str(config), "-u0", "-b", "1024", "-k3600", "-QRr"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0 and "port 2222" in done.stdout.lower() and not done.stderr


def test_what_is_printed_is_plain(tmp_path, keys):
    """-G is -T without a look at the host keys: scripts compare its lines."""
    config = tmp_path / "config"
    config.write_text(f"Port 2222\nHostKey {keys.path('host')}\n")

    def printed(*words):
        return subprocess.run([tool("sshd"), *words, "-f", str(config)], capture_output=True, text=True, timeout=30, check=True).stdout

    assert printed("-G") == printed("-T") and "port 2222" in printed("-G").splitlines()
    for flag, family, address in (("-4", "inet", "0.0.0.0:2222"), ("-6", "inet6", "[::]:2222")):
        lines = printed("-G", flag).splitlines()
        assert f"addressfamily {family}" in lines and [w for w in lines if w.startswith("listenaddress")] == [f"listenaddress {address}"]
