"""Damage to files, as disks, networks, editors and spreadsheets do it.

Each function returns the damaged bytes, and how many rows it may make that were not written.
"""

import random
from collections.abc import Callable, Mapping


def cut(data: bytes, rng: random.Random) -> tuple[bytes, int]:
    """Cut the file off somewhere."""
    return data[: rng.randint(0, len(data))], 1


def flip(data: bytes, rng: random.Random) -> tuple[bytes, int]:
    """Change some bytes."""
    changed, n = bytearray(data), rng.choice((1, 3, 30))
    for _ in range(n):
        if changed:
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed), n


def lose(data: bytes, rng: random.Random) -> tuple[bytes, int]:
    """Leave out a stretch."""
    start = rng.randint(0, len(data))
    return data[:start] + data[start + rng.randint(1, 2_000) :], 1


def repeat(data: bytes, rng: random.Random) -> tuple[bytes, int]:
    """Give a stretch twice, or put one elsewhere."""
    start, target = rng.randint(0, len(data)), rng.randint(0, len(data))
    stretch = data[start : start + rng.randint(1, 2_000)]
    return data[:target] + stretch + data[target:], 2


def zero(data: bytes, rng: random.Random) -> tuple[bytes, int]:
    """Make a stretch NUL, as a disk does after a crash."""
    start = rng.randint(0, len(data))
    n = min(rng.choice((1, 100, 5_000)), len(data) - start)
    return data[:start] + bytes(n) + data[start + n :], 2


def mix_encodings(data: bytes, rng: random.Random) -> tuple[bytes, int]:
    """Put text of another encoding between."""
    lines = rng.choices(("Größe,Café,3", '"naïve', "5 €;ü;1", "\ufeff", "日本\t1\t2"), k=rng.randint(1, 5))
    encoding = rng.choice(("latin-1", "utf-16", "utf-16-le", "utf-8", "windows-1252", "shift_jis", "utf-32"))
    return _insert(data, "\n".join(lines).encode(encoding, "ignore"), rng), len(lines) + 1


def nest_quotes(data: bytes, rng: random.Random) -> tuple[bytes, int]:
    """Put quotes where none belong."""
    n = rng.choice((1, 2, 3, 20))
    for _ in range(n):
        data = _insert(data, rng.choice((b'"', b'"', b'""', b'"""', b"'", b',"', b'",', b'\\"', b'"\n"', b'"[{')), rng)
    return data, n


def tangle(data: bytes, rng: random.Random) -> tuple[bytes, int]:
    """Put delimiters, line ends, brackets and odd numbers where none belong."""
    odd = (
        b",",
        b"\t",
        b";",
        b"\n",
        b"\r",
        b"\r\n",
        b"{",
        b"}",
        b"[",
        b"]",
        b"NaN",
        b"1e999",
        b"-",
        b"\x00",
        b"[" * 3_000,
    )
    n = rng.choice((1, 3, 20))
    for _ in range(n):
        data = _insert(data, rng.choice(odd), rng)
    return data, n


def append(data: bytes, rng: random.Random) -> tuple[bytes, int]:
    """Add something behind, or the beginning once more."""
    return data + rng.choice((bytes(1_000), b"<html>\n", b"\x1a", data[:500], rng.randbytes(300), b'"' * 10_001)), 1


def _insert(data: bytes, piece: bytes, rng: random.Random) -> bytes:
    at = rng.randint(0, len(data))
    return data[:at] + piece + data[at:]


Damage = Callable[[bytes, random.Random], tuple[bytes, int]]
DAMAGES: Mapping[str, Damage] = {
    one.__name__: one for one in (cut, flip, lose, repeat, zero, mix_encodings, nest_quotes, tangle, append)
}
