"""UseDNS, in a network of the test's own with a name server that answers what the test wants. Needs root."""
import pytest
from conftest import can_unshare, results_of

NAMED = (10, 15, 18)
OTHERS = (11, 12, 13, 14, 16, 17)  # server_names_world.py has what is wrong with each

pytestmark = pytest.mark.skipif(not can_unshare(), reason="needs root and network namespaces")


@pytest.fixture(scope="module")
def results(tmp_path_factory, keys):
    """All logins happen in one namespace; each test looks at its own."""
    folder = str(tmp_path_factory.mktemp("names"))
    return results_of("server_names_world.py", folder, keys)


@pytest.mark.parametrize("last", NAMED)
def test_confirmed_names_count(results, last):
    """For from= of keys, and for Match Host in the judge and the holder."""
    assert results["yes"][f"{last} ed25519"] == [0, "named"], results["log"]
    assert results["yes"][f"{last} ecdsa"] == [0, "named"], results["log"]


@pytest.mark.parametrize("last", OTHERS)
def test_others_go_by_their_address(results, last):
    assert results["yes"][f"{last} ed25519"] == [0, "numeric"], results["log"]
    assert results["yes"][f"{last} ecdsa"][0] == 255, results["log"]


def test_no_is_the_address_alone(results):
    for last in NAMED + OTHERS:
        assert results["no"][f"{last} ed25519"] == [0, "numeric"]
        assert results["no"][f"{last} ecdsa"][0] == 255
    assert results["asked"] == 0


def test_what_the_log_says(results):
    for line in ("Address 192.0.2.11 maps to liar.example, but this does not map back to the address.",
                 'Nasty PTR record "192.0.2.10" is set up for 192.0.2.12, ignoring',
                 "reverse mapping checking getaddrinfo for ghost.example [192.0.2.14] failed.",
                 'Nasty PTR record "10.77" is set up for 192.0.2.17, ignoring'):
        assert line in results["log"]


def test_a_silent_name_server_ends_no_login(results):
    assert results["silent"] == [0, "numeric"], results["log"]
    assert "UseDNS: no answer about 192.0.2.20 within 10 s" in results["log"]


def test_a_reload_counts_for_the_next_login(results):
    assert results["reloads"] == ["numeric", "named", "numeric"]


@pytest.fixture(params=["ours", "openssh"])
def either(request, results):
    if request.param not in results:
        pytest.skip("no sshd of OpenSSH here")
    return results[request.param]


@pytest.mark.parametrize("case,name,address", [
    ("10", "good.example", "192.0.2.10"), ("11", "192.0.2.11", "192.0.2.11"),
    ("18", "192.0.2.18", "192.0.2.18"),  # its name is longer than 65 bytes
    ("-u0", "192.0.2.10", "192.0.2.10")])
def test_records_have_name_and_address(either, case, name, address):
    assert either["recorded"][case] == {"utmp": [[name, address]], "wtmp": [[name, address]], "lastlog": name}


@pytest.mark.parametrize("rule,who", [
    ("AllowUsers root@*.example", [10, 15, 18]), ("AllowUsers root@good.example root@192.0.2.11", [10, 11]),
    ("DenyUsers root@*.example", [11, 12, 13, 14, 16, 17]), ("DenyUsers root@192.0.2.0/28", [16, 17, 18]),
    ("AllowUsers root@*.Example", [10, 15, 18])])
def test_rules_of_users_by_name(either, rule, who):
    assert either["allowed"][rule] == who
