"""What is done to a published text before it is read: each a function from documents to documents, by name.

A named corpus says in its row which of them it takes. A document is held whole while it is changed: they are books and
articles, not shelves.
"""

import re
from collections.abc import Callable, Iterable, Iterator

from llm_testing.data.documents import Documents, Piece

WRAPPED_FROM = 45
"""A line of at least so many characters was broken by its page's width, a shorter one by its author: verse, a title."""
_BLANK = re.compile(r"\n[ \t]*\n")
_HEADING = re.compile(r"^#{2,6} ", re.MULTILINE)


def transformed(documents: Documents, names: tuple[str, ...]) -> Documents:
    """The same corpus with its transforms, in order."""
    read = documents.read
    for name in names:
        read = _after(read, TRANSFORMS[name])
    return Documents(documents.name, read, documents.num_bytes, documents.python)


def _after(read: Callable[[], Iterator[Piece]], transform: Callable[[Iterable[Piece]], Iterator[Piece]]):
    return lambda: transform(read())


def one_document(pieces: Iterable[Piece], between: str) -> Iterator[Piece]:
    """Drop the boundaries between documents; what stood between them is put in their place."""
    before: Piece | None = None
    for piece in pieces:
        if before is not None:
            yield Piece(before.text + (between if before.ends_document else ""), False)
        before = piece
    if before is not None:
        yield Piece(before.text, True)


def lines(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """Documents that are lines of one text: joined into it, empty ones left out."""
    trimmed = (Piece(text.strip(), True) for text in _whole(pieces))
    return one_document((piece for piece in trimmed if piece.text), "\n")


def books(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """One book after the other, with an empty line between them and no boundary."""
    return one_document(pieces, "\n\n")


def unwrapped(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """Prose whose lines were wrapped to a page's width, as one line a paragraph; short lines stay as they are."""
    return (Piece(unwrap(text), True) for text in _whole(pieces))


def introductions(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """What stands in an article before its first heading; articles without that are left out."""
    begun = (_HEADING.split(text, maxsplit=1)[0].strip() for text in _whole(pieces))
    return (Piece(text, True) for text in begun if text)


def unwrap(text: str) -> str:
    """Join the wrapped lines of each paragraph."""
    paragraphs = (_joined(paragraph) for paragraph in _BLANK.split(text.replace("\r\n", "\n")))
    return "\n\n".join(paragraph for paragraph in paragraphs if paragraph.strip())


def _joined(paragraph: str) -> str:
    made, wrapped = "", False
    for line in paragraph.strip("\n").split("\n"):
        line = line.rstrip()
        indented = line[:1].isspace()  # a new paragraph, or verse set apart
        made += f" {line}" if wrapped and not indented else f"\n{line}" if made else line
        wrapped = len(line) >= WRAPPED_FROM
    return made


def _whole(pieces: Iterable[Piece]) -> Iterator[str]:
    """Each document's text at once."""
    held: list[str] = []
    for text, ends_document in pieces:
        held.append(text)
        if ends_document:
            yield "".join(held)
            held = []


TRANSFORMS: dict[str, Callable[[Iterable[Piece]], Iterator[Piece]]] = {
    "lines": lines,
    "books": books,
    "unwrapped": unwrapped,
    "introductions": introductions,
}
