"""Measures a corpus and cuts it into training and validation by characters, before any tokenizer sees it."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from llm_testing.data.documents import Documents, Piece, cut_long
from llm_testing.errors import DataError
from llm_testing.hub.pace import Pace
from llm_testing.jobs.progress import Check, Report

SAMPLE_BYTES = 32 << 20
"""Text that bpe is trained on at most: merges of more text hardly differ, and time and memory stay bounded."""

SAMPLE_PIECE_CHARS = 1 << 13
"""Shorter than other pieces: the trainer takes 256 at a time, and a stop is heard only between such lots."""

_DOCUMENT_ENDS = b"\xff"  # never a byte of UTF-8, so texts divided otherwise have another digest


@dataclass(frozen=True)
class Measured:
    """Size and identity of a text; the digest does not depend on how it was read in pieces."""

    num_chars: int
    num_bytes: int
    sha256: str


def measure(documents: Documents, report: Report, check: Check) -> Measured:
    """Read a corpus once, counting and hashing."""
    pace = Pace(report, check, f"reading {documents.name}", documents.num_bytes, "bytes")
    digest = TextDigest()
    num_chars = num_bytes = 0
    for piece in digest.reading(documents.pieces()):
        num_chars += len(piece.text)
        num_bytes += digest.last_bytes
        pace.add(digest.last_bytes)
    pace.finish()
    return Measured(num_chars, num_bytes, digest.hexdigest())


class TextDigest:
    """sha256 of texts and of where their documents end, however they come in pieces."""

    def __init__(self):
        self._digest = hashlib.sha256()
        self.hexdigest = self._digest.hexdigest
        self.last_bytes = 0

    def reading(self, pieces: Iterable[Piece]) -> Iterator[Piece]:
        """Pass pieces on, hashing them."""
        for piece in pieces:
            data = piece.text.encode()
            self.last_bytes = len(data)
            self._digest.update(data)
            if piece.ends_document:
                self._digest.update(_DOCUMENT_ENDS)
            yield piece


@dataclass(frozen=True)
class Part:
    """The characters from start up to stop of a corpus, document borders not counted."""

    documents: Documents
    start: int
    stop: int
    bytes_per_char: float

    @property
    def num_chars(self) -> int:
        return self.stop - self.start

    def pieces(self) -> Iterator[Piece]:
        """The pieces of this part; a piece across its border is divided.

        Raises:
            DataError: there is less text than was measured.
        """
        position = 0
        for text, ends_document in self.documents.pieces():
            begin, position = position, position + len(text)
            if position <= self.start:
                continue
            kept = text[max(self.start - begin, 0) : self.stop - begin]
            yield Piece(kept, ends_document and position <= self.stop)
            if position >= self.stop:
                return
        if position < self.stop:
            raise changed(self.documents)

    def sample(self, max_bytes: int = SAMPLE_BYTES) -> Iterator[str]:
        """Evenly spaced text in short pieces of together about max_bytes, or all of a part that is not larger."""
        share = min(max_bytes / (self.num_chars * self.bytes_per_char), 1.0)
        position = taken = 0
        for piece in self.pieces():
            if taken <= share * position:
                yield from (part.text for part in cut_long([Piece(piece.text, True)], SAMPLE_PIECE_CHARS))
                taken += len(piece.text)
            position += len(piece.text)


def halves(documents: Documents, measured: Measured) -> tuple[Part, Part]:
    """All but the last tenth of the characters for training, the last tenth for validation."""
    cut = measured.num_chars * 9 // 10
    return _part(documents, measured, 0, cut), _part(documents, measured, cut, measured.num_chars)


def whole(documents: Documents, measured: Measured) -> Part:
    """All of a corpus: what another one is validated on, or the other one."""
    return _part(documents, measured, 0, measured.num_chars)


def _part(documents: Documents, measured: Measured, start: int, stop: int) -> Part:
    return Part(documents, start, stop, measured.num_bytes / measured.num_chars)


def changed(documents: Documents) -> DataError:
    """A corpus that is not the same in two readings."""
    return DataError(f"The text of {documents.name} changed while it was read. Start again once nothing writes to it.")
