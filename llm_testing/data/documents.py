"""A corpus as a stream: documents in pieces small enough to hold, cut where a tokenizer would cut anyway."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

PIECE_CHARS = 1 << 16
"""Longest piece. Small enough that a batch of pieces keeps every core busy and a stop is heard within half a second."""

# Unicode's White_Space, spelled out: Python's \s adds the separators \x1c-\x1f, the tokenizers' \s does not.
_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
# What one engine calls whitespace and another does not may stand on neither side of a cut.
_DISPUTED = "\x1c-\x1f\u180e\u200b\ufeff"
_LAST_CUT = re.compile(f".+(?=[{_SPACE}][^{_SPACE}{_DISPUTED}])", re.DOTALL)


class Piece(NamedTuple):
    """Some text of one document; ends_document is true on its last piece."""

    text: str
    ends_document: bool


@dataclass(frozen=True)
class Documents:
    """A corpus that can be read again and again without ever being held whole.

    Args:
        name: the corpus name or path, for messages and for the record.
        read: starts a new reading; gives blocks of any size.
        num_bytes: size of what is read, for progress; None where it is not known.
        python: version of the Python that the text was taken from, for the built-in corpora.
    """

    name: str
    read: Callable[[], Iterator[Piece]]
    num_bytes: int | None = None
    python: str | None = None

    def pieces(self) -> Iterator[Piece]:
        """Every document in order, in pieces of at most PIECE_CHARS characters."""
        return cut_long(self.read())


def cut_long(blocks: Iterable[Piece], limit: int = PIECE_CHARS) -> Iterator[Piece]:
    """Regroup blocks into pieces of at most limit characters; a document not longer than that stays whole.

    A long document is cut before the last whitespace character that is followed by something else. The
    pre-tokens of GPT-2 begin there (" word"), so tokenising the pieces gives the ids of the whole. Text that has
    no such place within limit is cut at limit, which may split one token.
    """
    held = ""
    for text, ends_document in blocks:
        held += text
        start = 0
        while len(held) - start > limit:
            found = _LAST_CUT.match(held, start, start + limit + 1)
            stop = found.end() if found else start + limit
            yield Piece(held[start:stop], False)
            start = stop
        held = held[start:]
        if ends_document and held:  # only a document without any text leaves nothing here
            yield Piece(held, True)
            held = ""


def in_memory(name: str, texts: Iterable[str], python: str | None = None) -> Documents:
    """Documents that are small enough to be held: the built-in corpora."""
    kept = tuple(texts)
    return Documents(
        name,
        read=lambda: (Piece(text, True) for text in kept),
        num_bytes=sum(len(text.encode()) for text in kept),
        python=python,
    )
