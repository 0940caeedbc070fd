"""Damaged copies of a file, the same ones in every run: what a crash, an editor or an attacker may leave behind."""
import random


def _cut(r, data):
    return data[:r.randrange(len(data) + 1)]


def _flip(r, data):
    at = r.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << r.randrange(8)]) + data[at + 1:]


def _drop(r, data):
    at = r.randrange(len(data))
    return data[:at] + data[at + r.randrange(1, 40):]


def _double(r, data):
    at = r.randrange(len(data))
    return data[:at] + data[at:at + r.randrange(1, 200)] * r.choice((2, 3, 500)) + data[at:]


def _insert(r, data):
    at = r.randrange(len(data) + 1)
    new = r.choice((b"\0", b"\n", b"\r\n", b"\xff\xff\xff\xff", b"\"", b"\\", b"%", b"${", b" ", b"#", b"-1", b"99999999999999999999", b"\x1b[31m",
                    b"\xc3\x28", b"x" * 70000, bytes(range(256))))
    return data[:at] + new + data[at:]


def _shuffle(r, data):
    lines = data.splitlines(keepends=True)
    r.shuffle(lines)
    return b"".join(lines)


KINDS = (_cut, _flip, _drop, _double, _insert, _shuffle)


def mutants(data, n, seed):
    """`n` damaged copies of `data`, each with one to three faults; the empty file comes first."""
    r = random.Random(seed)
    yield b""
    for _ in range(n - 1):
        one = data
        for _ in range(r.choice((1, 1, 2, 3))):
            one = r.choice(KINDS)(r, one) if one else one
        yield one
