"""The header of a GGUF file, walked before a library reads it: its counts and lengths may be anything.

The package gguf takes an array of 2**60 numbers at its word and goes on for ever. Here every length is held against the
file before it is followed, and nothing of the file is kept but the names.

Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

import math
import os
import struct
from typing import BinaryIO

from llm_testing.config.foreign import Format
from llm_testing.model.foreign_models import TOKENIZER

GGUF = Format(
    (*TOKENIZER.errors, struct.error),
    "Download it again, or take a folder of safetensors.",
    "a GGUF model that can be read",
    exact=TOKENIZER.exact,
    apart=TOKENIZER.apart,
)
_VERSIONS = (2, 3)
_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
"""Bytes of each type of a fixed size."""
_TEXT, _ARRAY = 8, 9
_MOST_NAME_BYTES = 1 << 16
_MOST_DEEP, _MOST_DIMENSIONS = 4, 4


def read_header(file: BinaryIO) -> int:
    """Walk over values and tensors.

    Returns:
        How many numbers its tensors have.

    Raises:
        ValueError, struct.error: for what no GGUF file holds, and what would go beyond its end.
    """
    walk = _Walk(file)
    if walk.take(4) != b"GGUF":
        raise ValueError("it does not begin as one")
    version, num_tensors, num_values = walk.numbers("<LQQ")
    if version not in _VERSIONS:
        raise ValueError(f"it is of version {version}, and {_VERSIONS[0]} and {_VERSIONS[1]} are read")
    # A value takes at least 13 bytes, a tensor 28: more of them than fit would be read for ever.
    walk.need(num_values * 13 + num_tensors * 28)
    for _ in range(num_values):
        walk.name()
        walk.value(*walk.numbers("<L"))
    return sum(_numbers_of_tensor(walk) for _ in range(num_tensors))


def _numbers_of_tensor(walk: "_Walk") -> int:
    walk.name()
    (num_dimensions,) = walk.numbers("<L")
    if num_dimensions > _MOST_DIMENSIONS:
        raise ValueError(f"a tensor has {num_dimensions} dimensions")
    shape = walk.numbers(f"<{num_dimensions}Q")
    _, offset = walk.numbers("<LQ")
    count = math.prod(shape)
    # No type packs more than eight numbers into a byte.
    if offset > walk.num_bytes or count > 8 * walk.num_bytes:
        raise ValueError("a tensor lies beyond its end")
    return count


class _Walk:
    """A place in a file that never goes beyond its end."""

    def __init__(self, file: BinaryIO):
        self._file = file
        self.num_bytes = os.fstat(file.fileno()).st_size
        self._at = 0

    def need(self, num_bytes: int) -> None:
        if num_bytes > self.num_bytes - self._at:
            raise ValueError("it ends before what it says that it holds")

    def take(self, num_bytes: int) -> bytes:
        self.need(num_bytes)
        self._at += num_bytes
        return self._file.read(num_bytes)

    def skip(self, num_bytes: int) -> None:
        self.need(num_bytes)
        self._at += num_bytes
        self._file.seek(self._at)

    def numbers(self, form: str) -> tuple[int, ...]:
        return struct.unpack(form, self.take(struct.calcsize(form)))

    def name(self) -> str:
        (length,) = self.numbers("<Q")
        if length > _MOST_NAME_BYTES:
            raise ValueError(f"a name is {length:,} bytes long")
        return self.take(length).decode()

    def value(self, kind: int, deep: int = 0) -> None:
        if kind == _TEXT:
            self.skip(*self.numbers("<Q"))
        elif kind == _ARRAY and deep < _MOST_DEEP:
            inner, count = self.numbers("<LQ")
            if inner in _SIZES:
                self.skip(_SIZES[inner] * count)
                return
            self.need(8 * count)
            for _ in range(count):
                self.value(inner, deep + 1)
        elif kind in _SIZES:
            self.skip(_SIZES[kind])
        else:
            raise ValueError(f"a value is of the unknown type {kind}, or an array in too many others")
