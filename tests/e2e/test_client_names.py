"""Names and addresses, in a network of the test's own: SSHFP, CheckHostIP, canonical names, with a name server that
answers what the test wants. Needs root, for a network namespace with a loopback and nothing else."""
import pytest
from conftest import can_unshare, results_of

pytestmark = pytest.mark.skipif(not can_unshare(), reason="needs root and network namespaces")


@pytest.fixture(scope="module")
def results(tmp_path_factory, keys):
    """All cases run in one namespace (names_world.py); each test looks at its own."""
    folder = str(tmp_path_factory.mktemp("names"))
    return results_of("names_world.py", folder, keys)


SSHFP = {  # case: (exit status, a word of the messages)
    "right sha256": (0, ""), "right sha1": (0, ""), "one of several": (0, ""), "through an alias": (0, ""),
    "not vouched for": (255, "verification failed"), "wrong": (255, "CHANGED"), "right sha1, wrong sha256": (255, "CHANGED"),
    "other algorithm": (255, "verification failed"), "none": (255, "verification failed"), "cut short": (255, "verification failed"),
    "garbage": (255, "verification failed"), "resolver not trusted": (255, "verification failed"),
    "ask": (255, "verification failed"), "revoked": (255, "revoked"),
}


@pytest.mark.parametrize("case", SSHFP)
def test_sshfp(results, case):
    status, word = SSHFP[case]
    found = results["sshfp " + case]
    assert found["status"] == status and word.lower() in found["stderr"].lower(), found


def test_host_addresses(results):
    found = results["ip new"]
    assert found["status"] == 0 and found["known"][0].split()[0] == "web.example,192.0.2.1"
    hashed = results["ip hashed"]["known"]
    assert len(hashed) == 2 and all(line.startswith("|1|") for line in hashed)
    # The name is known, the address is not: it is added.
    found = results["ip added"]
    assert found["status"] == 0 and [line.split()[0] for line in found["known"]] == ["web.example", "192.0.2.1"]
    for case, status in (("ip differs", 255), ("ip differs off", 0)):
        assert results[case]["status"] == status and "192.0.2.1" in results[case]["stderr"]
    assert results["ip command"]["asked"] == ["ORDER web.example", "HOSTNAME web.example", "ADDRESS 192.0.2.1"]
    # Announced keys come under both names.
    assert {line.split()[0] for line in results["ip update"]["known"]} == {"web.example,192.0.2.1"}
    assert len(results["ip update"]["known"]) == 3


@pytest.mark.parametrize("case, hostname, port", [
    ("domain", "short.corp.example", "5"), ("alias", "web.example", "22"), ("alias not followed", "www.example", "22"),
    ("nothing", "nobody", "22"), ("network", "short", "7"), ("other network", "short", "22")])
def test_canonical_names(results, case, hostname, port):
    found = results["canonical " + case]
    assert (found["status"], found["hostname"], found["port"]) == (0, hostname, port), found["stderr"]


def test_canonical_name_without_fallback(results):
    found = results["canonical no fallback"]
    assert found["status"] == 255 and "nobody" in found["stderr"]


def test_canonical_name_is_the_host_s(results):
    assert results["canonical login"]["status"] == 0, results["canonical login"]["stderr"]
