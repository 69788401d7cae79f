"""Whole files made bad: seeded damage for every reader of foreign bytes, and a guard on the memory that it takes."""

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from llm_testing.errors import UserError

FEW = 200
MANY = [FEW, pytest.param(4000, marks=[pytest.mark.slow, pytest.mark.timeout(3000)])]
"""Numbers of damaged copies: of `make test`, and of `make slow`."""
_ODD = (
    b"9" * 5000, b"[" * 3000, b'{"a":' * 3000, b"NaN", b"1e400", b"\xff\xfe", b'"\\ud800"', b"\xed\xa0\x80", b"-",
    b"\0", b"null", b"&a [*a]", b"!!int ''",
)  # fmt: skip
_LIED = (0, 1, 2**7, 2**15 - 1, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**63 - 1, 2**63, 2**64 - 1)


def damaged(whole: bytes, how_many: int, seed: int = 0) -> Iterator[bytes]:
    """Copies of a file, each damaged in one to three places; the same ones every time."""
    rng = random.Random(seed)
    for _ in range(how_many):
        data = bytearray(whole)
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            rng.choice(_KINDS)(data, rng)
        yield bytes(data)


def _cut(data: bytearray, rng: random.Random) -> None:
    del data[rng.randrange(len(data) + 1) :]


def _flip(data: bytearray, rng: random.Random) -> None:
    for _ in range(rng.choice((1, 1, 8))):
        if data:
            data[_place(data, rng)] ^= 1 << rng.randrange(8)


def _splice(data: bytearray, rng: random.Random) -> None:
    first, last = sorted((_place(data, rng), _place(data, rng)))
    del data[first : min(last, first + rng.choice((1, 4, 64, len(data))))]


def _repeat(data: bytearray, rng: random.Random) -> None:
    first = _place(data, rng)
    data[first:first] = data[first : first + rng.choice((1, 8, 100))] * rng.choice((1, 2, 50))


def _lie(data: bytearray, rng: random.Random) -> None:
    """Overwrite what may be a length or a count by a number that is none."""
    first, width = _place(data, rng), rng.choice((2, 4, 8))
    data[first : first + width] = (rng.choice(_LIED) % 256**width).to_bytes(width, "little")


def _zeros(data: bytearray, rng: random.Random) -> None:
    first = _place(data, rng)
    data[first : first + 16] = bytes(len(data[first : first + 16]))


def _junk(data: bytearray, rng: random.Random) -> None:
    data += rng.choice((b"\0" * 600, rng.randbytes(50), b"PK\5\6", b"}]"))


def _digits(data: bytearray, rng: random.Random) -> None:
    """Put what text parsers stumble over at some place."""
    first = _place(data, rng)
    data[first:first] = rng.choice(_ODD)


_KINDS = (_cut, _flip, _flip, _flip, _splice, _repeat, _lie, _lie, _lie, _zeros, _junk, _digits)


def _place(data: bytearray, rng: random.Random) -> int:
    """Where to harm: the first and last bytes more often, since formats keep their lengths there."""
    if len(data) < 2:
        return 0
    near = min(len(data), 256)
    return rng.choice((rng.randrange(near), len(data) - 1 - rng.randrange(near), rng.randrange(len(data))))


def outcomes(read: Callable[[bytes], object], copies: Iterator[bytes], refusal: type[UserError]) -> tuple[int, int]:
    """Read every copy: how many were read and how many were refused; any other exception fails the test.

    A refusal is checked as well: it is one that can be shown, whatever stands in the file.
    """
    read_well = refused = 0
    for number, data in enumerate(copies):
        try:
            read(data)
            read_well += 1
        except refusal as error:
            refused += 1
            message = str(error)
            assert len(message.encode()) < 2000, f"copy {number}: a refusal of {len(message):,} characters"
        except BaseException as error:
            error.add_note(f"copy {number}, {len(data):,} bytes: {data[:300]!r}")
            raise
    return read_well, refused


@contextmanager
def at_most_bytes(most: int) -> Iterator[None]:
    """Fail where the block raises this process's peak memory by more than so many bytes; Linux alone can tell."""
    reset = Path("/proc/self/clear_refs")
    if not reset.exists():
        yield
        return
    reset.write_text("5")
    before = _status("VmRSS")
    yield
    taken = _status("VmHWM") - before
    assert taken < most, f"{taken:,} bytes were taken, {most:,} are allowed"


def _status(name: str) -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return int(line.split()[1]) * 1024
