"""Files that somebody brought from their own computer: named upload:NAME, beside the downloads in the cache folder.

A name is ours: what a browser calls a file only suggests one, and no other name is looked for on the disk.
"""

import unicodedata
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from llm_testing.data import rows, textfiles
from llm_testing.errors import DataError

UPLOAD = "upload:"
"""How the name of an uploaded text or dataset begins."""
_SUFFIXES = tuple(dict.fromkeys((*textfiles.SUFFIXES, *rows.SUFFIXES)))
_PACKED = tuple(f"{suffix}.gz" for suffix in textfiles.SUFFIXES)
ACCEPTED = (
    f"Texts may be {', '.join(textfiles.SUFFIXES)} files in UTF-8, each also as .gz; examples to tune on "
    f"{', '.join(rows.SUFFIXES)}."
)
_MOST_CHARS = 60
"""Of a name without its ending: even of four bytes each, a file system takes them."""


@dataclass(frozen=True)
class Uploaded:
    """A file that was brought here.

    Args:
        name: what a corpus or dataset is called by: upload:NAME.
    """

    name: str
    bytes: int


def is_upload(value: object) -> bool:
    """Whether a value names an uploaded file, there or not."""
    return isinstance(value, str) and value.startswith(UPLOAD)


def file_name_of(suggested: str) -> str:
    """A harmless file name made of a suggested one: its last part, of letters, digits, dots, dashes and underscores.

    Raises:
        DataError: its ending is of no kind that is read; says which are.
    """
    last = unicodedata.normalize("NFC", suggested).replace("\\", "/").rpartition("/")[2]
    plain = "".join(letter if _is_plain(letter) else "-" for letter in last)
    ending = _ending(plain)
    if not ending:
        raise DataError(f"{ascii(last[-80:])} is of no kind that is read here. {ACCEPTED}")
    return (plain[: -len(ending)].lstrip(".-")[:_MOST_CHARS] or "upload") + ending


def numbered(name: str, number: int) -> str:
    """A file name for the second file, or a later one, that suggested the same."""
    ending, tail = _ending(name), f"-{number}"
    return name[: -len(ending)][: _MOST_CHARS - len(tail)] + tail + ending


def _ending(name: str) -> str:
    """The ending by which a file's kind is known, in lower case; "" where it is none that is read."""
    return next((ending for ending in (*_PACKED, *_SUFFIXES) if name.lower().endswith(ending)), "")


def _is_plain(letter: str) -> bool:
    return letter in "._-" or unicodedata.category(letter)[0] in "LMN"


def uploads_folder(cache_dir: Path) -> Path:
    """Where the uploaded files lie."""
    return cache_dir / "uploads"


def list_uploads(cache_dir: Path) -> list[Uploaded]:
    """Every uploaded file, by name."""
    folder, found = uploads_folder(cache_dir), []
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        with suppress(FileNotFoundError):  # removed meanwhile
            if _is_there(path):
                found.append(Uploaded(UPLOAD + path.name, path.stat().st_size))
    return found


def find_upload(value: str, cache_dir: Path) -> Path:
    """The file that an upload:NAME means.

    Raises:
        DataError: there is none.
    """
    path = uploads_folder(cache_dir) / (value.removeprefix(UPLOAD).rpartition("/")[2] or "-")
    if UPLOAD + path.name != value or not _is_there(path):
        there = ", ".join(upload.name for upload in list_uploads(cache_dir)[:20]) or "none"
        raise DataError(f"There is no {ascii(value[:200])} here; uploaded are: {there}. Upload the file again.")
    return path


def _is_there(path: Path) -> bool:
    """Whether a path is an uploaded file: with a name as they are given here, and no link."""
    try:
        return file_name_of(path.name) == path.name and path.is_file() and not path.is_symlink()
    except (DataError, OSError, ValueError):
        return False
