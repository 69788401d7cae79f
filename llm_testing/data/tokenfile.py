"""Token ids on disk: one flat array that is memory-mapped, and where its documents start."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from llm_testing.data.documents import Piece
from llm_testing.data.tokenizers import Tokenizer, item_dtype
from llm_testing.hub.pace import Pace
from llm_testing.store.files import Written, write_new

STARTS_DTYPE = np.dtype("<i8")
# A batch is sized by the clock, so that a stop is heard within half a second on a slow core and many cores stay busy.
_MIN_BATCH_CHARS, _MAX_BATCH_CHARS = 1 << 16, 1 << 21
_SHORT_S, _LONG_S = 0.1, 0.3


@dataclass(frozen=True)
class TokenFile:
    """The tokens of one split.

    Args:
        path: raw little-endian ids.
        num_tokens: with the end tokens between documents.
        num_bytes: UTF-8 bytes of the text, without end tokens.
        num_documents: a document that the split's border divides counts in both splits.
        vocab_size: decides the element type, uint16 up to 65,536 ids, else uint32.
    """

    path: Path
    num_tokens: int
    num_bytes: int
    num_documents: int
    vocab_size: int

    def tokens(self) -> np.memmap:
        """Token ids, (num_tokens,), read-only; nothing is read before it is looked at."""
        return np.memmap(self.path, item_dtype(self.vocab_size), mode="r", shape=(self.num_tokens,))

    def document_starts(self) -> np.ndarray:
        """Positions in tokens() where documents start, (num_documents,) int64, ascending, the first is 0."""
        return np.fromfile(starts_path(self.path), STARTS_DTYPE).astype(np.int64)


def starts_path(path: Path) -> Path:
    """Where the document starts of a token file are."""
    return path.with_suffix(".starts")


@dataclass
class Counts:
    """What tokenise counted on its way."""

    num_tokens: int = 0
    num_bytes: int = 0
    num_documents: int = 0
    num_unknown: int = 0


def tokenise(
    pieces: Iterable[Piece], tokenizer: Tokenizer, path: Path, pace: Pace, unknown_id: int | None = None
) -> tuple[Counts, dict[str, Written]]:
    """Write the ids of pieces to path, with an end token between documents, and the document starts beside it.

    Args:
        pace: counts characters.
        unknown_id: id whose uses are counted.

    Returns:
        The counts, and the size and sha256 of each file written, by name.
    """
    counts = Counts()
    written = {}

    def write_tokens(tokens: BinaryIO) -> None:
        beside = starts_path(path)
        written[beside.name] = write_new(beside, lambda starts: _join(tokens, starts))

    def _join(tokens: BinaryIO, starts: BinaryIO) -> None:
        dtype = item_dtype(tokenizer.vocab_size)
        end = np.array([tokenizer.end_id], dtype).tobytes()
        at_start = True
        for piece, ids in _encoded(pieces, tokenizer, pace):
            if at_start and piece.text:
                if counts.num_documents:
                    tokens.write(end)
                    counts.num_tokens += 1
                starts.write(counts.num_tokens.to_bytes(STARTS_DTYPE.itemsize, "little"))
                counts.num_documents += 1
                at_start = False
            tokens.write(ids.astype(dtype, copy=False).tobytes())
            counts.num_tokens += len(ids)
            counts.num_bytes += len(piece.text.encode())
            if unknown_id is not None:
                counts.num_unknown += int(np.count_nonzero(ids == unknown_id))
            at_start = at_start or piece.ends_document

    written[path.name] = write_new(path, write_tokens)
    return counts, written


def _encoded(pieces: Iterable[Piece], tokenizer: Tokenizer, pace: Pace) -> Iterator[tuple[Piece, np.ndarray]]:
    """Each piece with its ids, computed in batches of a size that keeps the pace."""
    batch_chars = _MIN_BATCH_CHARS
    left = iter(pieces)
    while batch := _next_batch(left, batch_chars):
        started_s = time.monotonic()
        encoded = tokenizer.encode_pieces([piece.text for piece in batch])
        took_s = time.monotonic() - started_s
        if took_s < _SHORT_S:
            batch_chars = min(batch_chars * 2, _MAX_BATCH_CHARS)
        elif took_s > _LONG_S:
            batch_chars = max(batch_chars // 2, _MIN_BATCH_CHARS)
        yield from zip(batch, encoded, strict=True)
        pace.add(sum(len(piece.text) for piece in batch))


def _next_batch(pieces: Iterator[Piece], batch_chars: int) -> list[Piece]:
    batch: list[Piece] = []
    num_chars = 0
    for piece in pieces:
        batch.append(piece)
        num_chars += len(piece.text)
        if num_chars >= batch_chars:
            break
    return batch
