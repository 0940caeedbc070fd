"""What fail2ban finds in a log with PAM, whose modules have lines of their own, against Debian's sshd."""
import re

import pytest
from conftest import needs_root
from logattacks import attack_both, differing

pytestmark = needs_root


@pytest.fixture(scope="module")
def attacked(tmp_path_factory, keys, module_lab):
    return attack_both(tmp_path_factory.mktemp("logs"), keys, module_lab, pam=True)


@pytest.mark.parametrize("mode", ["normal", "aggressive"])
def test_fail2ban(attacked, mode):
    ours, theirs = attacked["ours"].banned(mode), attacked["openssh"].banned(mode)
    assert ours == theirs, attacked["ours"].text
    assert "bad-password" in ours and "good-answer" not in ours


def test_the_same_lines(attacked):
    assert differing(attacked) == (set(), set())
    assert re.search(r" sshd\[\d+\]: pam_unix\(sshd:auth\): authentication failure;", attacked["ours"].text)
