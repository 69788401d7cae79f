"""What every tokenizer can do, and how one is read back from the file it was saved in.

A tokenizer reads the text of the separator as text: only code that joins documents writes end_id. (The JSON for the
`tokenizers` library reads it as the separator, as GPT-2's own does.)
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np

from llm_testing.config.foreign import JSON, Format, read_bytes, reading
from llm_testing.errors import DamagedFile, DataError

FILE_NAME = "tokenizer.json"
SCHEMA = 1

END = "<|endoftext|>"
"""Stands between documents."""

KINDS = ("bpe", "char", "gpt2")

MAX_BYTES = 256 << 20
_FILE = replace(JSON, remedy="Take the file from a backup or another checkpoint.")
# The library tokenizers raises a bare Exception for JSON that is not its own.
_PARTS = Format(
    (ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError, RecursionError),
    "It may be of another version. Take the file from a backup or another checkpoint.",
    "one that can be read",
    exact=(Exception,),
)

WriteBytes = Callable[[Path, bytes], None]


class Tokenizer(Protocol):
    """Turns text into token ids and back."""

    kind: str
    """One of KINDS."""
    vocab_size: int
    end_id: int
    """Id of END."""

    def encode(self, text: str) -> list[int]:
        """Token ids of a text, without an end token."""

    def encode_pieces(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Token ids of many texts at once: faster than one by one, the same ids."""

    def decode(self, ids: Sequence[int]) -> str:
        """The text of token ids; bytes that are not UTF-8 become U+FFFD, special tokens show as they are written."""

    def byte_lengths(self) -> np.ndarray:
        """UTF-8 bytes that each id stands for, (vocab_size,) int32; 0 for the end token and for unknown characters."""

    def to_bytes(self) -> bytes:
        """The whole tokenizer as JSON; the same tokenizer gives the same bytes."""

    def save(self, folder: Path, write_bytes: WriteBytes) -> None:
        """Write FILE_NAME into a folder, by a function that takes a path and the bytes."""

    def tokenizers_json(self) -> str:
        """JSON of the `tokenizers` library that gives the same ids for the same text: for transformers."""


def item_dtype(vocab_size: int) -> np.dtype:
    """Smallest of the two element types of token files that holds every id."""
    return np.dtype("<u2" if vocab_size <= 1 << 16 else "<u4")


def packed(**parts: object) -> bytes:
    """The content of a tokenizer file."""
    return json.dumps({"schema": SCHEMA, **parts}, ensure_ascii=False, allow_nan=False).encode()


def load_tokenizer(folder: Path) -> Tokenizer:
    """Read back what Tokenizer.save wrote; needs no network.

    Raises:
        DataError: the file is missing or is not one of ours.
    """
    path = folder / FILE_NAME
    if not path.exists():
        raise DataError(f"There is no tokenizer file {path}.")
    data = read_bytes(path, MAX_BYTES)
    with reading(path, _FILE):
        parts = json.loads(data)
    try:
        return unpacked(parts)
    except DataError as error:
        raise DamagedFile(f"{path} cannot be used. {error}") from error


def unpacked(parts: dict) -> Tokenizer:
    """The tokenizer that packed() described.

    Raises:
        DataError: it is damaged or was written by another version.
    """
    # The kinds import this module.
    from llm_testing.data.bpe import BpeTokenizer  # noqa: PLC0415
    from llm_testing.data.char import CharTokenizer  # noqa: PLC0415
    from llm_testing.data.gpt2 import Gpt2Tokenizer  # noqa: PLC0415

    kinds = {"bpe": BpeTokenizer, "char": CharTokenizer, "gpt2": Gpt2Tokenizer}
    with reading("The tokenizer", _PARTS):
        if parts["schema"] != SCHEMA:
            raise ValueError(f"schema {parts['schema']}")
        return kinds[parts["kind"]].from_parts(parts)
