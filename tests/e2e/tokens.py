"""Tokens for tests: a middleware for security keys that knows PINs and resident keys, and SoftHSM for PKCS#11."""
import os
import shutil
import subprocess

import pytest

from conftest import require

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SOFTHSM = "/usr/lib/softhsm/libsofthsm2.so"
PIN = "1234"


class SecurityKey:
    """tests/tokens/sk_middleware.c as a library, with a folder for what it keeps."""

    def __init__(self, folder):
        self.library = str(folder / "middleware.so")
        self.kept = folder / "kept"
        self.kept.mkdir()
        compiler = shutil.which("cc") or pytest.skip("no C compiler")
        subprocess.run([compiler, "-shared", "-fPIC", "-Wall", "-Werror", f"-I{TOP}/src", "-o", self.library,
                        f"{TOP}/tests/tokens/sk_middleware.c", "-lcrypto"], check=True)
        self.env = {"SSH_SK_PROVIDER": self.library, "TOKEN_PIN": PIN, "TOKEN_FOLDER": str(self.kept),
                    "SSH_ASKPASS_REQUIRE": "never"}


def soft_token(folder, pairs):
    """A SoftHSM token with key pairs {label: kind}; returns the environment that finds it."""
    if not os.path.exists(SOFTHSM):
        pytest.skip("softhsm2 is not installed")
    (folder / "tokens").mkdir()
    (folder / "conf").write_text(f"directories.tokendir = {folder}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n")
    env = {**os.environ, "SOFTHSM2_CONF": str(folder / "conf")}
    subprocess.run([require("softhsm2-util"), "--init-token", "--free", "--label", "tests", "--pin", PIN, "--so-pin", "5678"],
                   env=env, check=True, stdout=subprocess.DEVNULL)
    for i, (label, kind) in enumerate(pairs.items(), 1):
        subprocess.run([require("pkcs11-tool"), "--module", SOFTHSM, "-l", "--pin", PIN, "--keypairgen", "--key-type", kind,
                        "--id", f"0{i}", "--label", label], env=env, check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
    # SoftHSM leaks a little: under a sanitizer its helper would seem to fail.
    return {"SOFTHSM2_CONF": env["SOFTHSM2_CONF"], "ASAN_OPTIONS": "detect_leaks=0"}
