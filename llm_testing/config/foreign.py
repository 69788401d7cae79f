"""Files from outside: opened without waiting for them, and refused in one way, whatever is wrong with them.

The libraries that read a format answer damage with exceptions of many kinds. A `Format` lists those of one format,
beside the one place that reads it; `reading` makes them one refusal that names the file. Anything else that a reader
raises is a mistake of ours, and is not hidden.
"""

import io
import json
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from llm_testing.errors import DamagedFile, UserError

# Without waiting: a pipe that nobody writes to would hold its reader for ever.
_FLAGS = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
Refusal = Callable[[str], UserError]
"""The kind of error that a caller promises."""
_MOST_CHARS = 200
_MOST_PATH_CHARS = 400
_MOST_NAMES = 20
MOST_RATIO = 100
"""How many times its own size a file may unpack to, once that is more than its format is always allowed."""


@dataclass(frozen=True)
class Format:
    """What a file should be.

    Args:
        errors: the kinds of exception by which its reader answers damage, with their subclasses.
        remedy: what to do about a damaged one, as a sentence.
        name: with its article, as in "a whole gzip file"; of a file whose kind is not known by its name.
        exact: kinds whose subclasses mean something else; for libraries that raise a bare Exception.
        apart: subclasses of `errors` that do not come from the file, such as a full memory.
    """

    errors: tuple[type[Exception], ...]
    remedy: str
    name: str = ""
    exact: tuple[type[Exception], ...] = ()
    apart: tuple[type[Exception], ...] = ()

    def answers(self, error: BaseException) -> bool:
        """Whether an exception says that the file is damaged."""
        return isinstance(error, self.errors) and not isinstance(error, self.apart) or type(error) in self.exact


JSON = Format((ValueError, RecursionError), "Mend it, or download it again.")
PLAIN = Format((OSError,), "Check the file and its rights.")


@contextmanager
def reading(what: str | Path, form: Format, refusal: Refusal = DamagedFile) -> Iterator[None]:
    """Make what a reader raises for damage one refusal; only reading may stand in the block, and no writing.

    Args:
        what: the file as its owner knows it.

    Raises:
        DamagedFile, or the kind that is given.
    """
    try:
        yield
    except BaseException as error:
        if not form.answers(error):
            raise
        problem = f"is not {form.name}" if form.name else "cannot be read"
        raise refusal(f"{_name(what)} {problem}: {reason_of(error)}. {form.remedy}") from error


def printable(text: str, most_chars: int = _MOST_CHARS) -> str:
    """Text of a file as a message may hold it: not endless, and nothing that a terminal or UTF-8 stumbles over."""
    beginning = text[: most_chars + 1]
    plain = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in beginning)
    return plain if len(plain) <= most_chars else plain[: most_chars - 3] + "..."


def names_in_words(names: Iterable[str]) -> str:
    """Names of fields or columns as a message may hold them."""
    first = list(islice(names, _MOST_NAMES + 1))
    more = ", ..." if len(first) > _MOST_NAMES else ""
    return (", ".join(printable(name, 60) for name in first[:_MOST_NAMES]) or "none") + more


def json_excerpt(value: object) -> str:
    """The beginning of a JSON value, however long or deep it is."""
    return printable("".join(islice(json.JSONEncoder().iterencode(value), _MOST_NAMES)), 40)


def refuse_bomb(what: str | Path, packed_bytes: int, unpacked_bytes: int, always_bytes: int) -> None:
    """Refuse what unpacks to much more than anybody packs.

    Args:
        always_bytes: never refused, however small the file is.

    Raises:
        DamagedFile.
    """
    if unpacked_bytes > max(always_bytes, packed_bytes * MOST_RATIO):
        raise DamagedFile(
            f"{_name(what)} has {packed_bytes:,} bytes and unpacks to {unpacked_bytes:,} or more; up to "
            f"{MOST_RATIO} times its size is unpacked here. Give it unpacked, if that is what it should be."
        )


def _name(what: str | Path) -> str:
    return printable(str(what), _MOST_PATH_CHARS)


def reason_of(error: BaseException) -> str:
    """Why a library refuses a file, on one line and without a full stop."""
    strerror = getattr(error, "strerror", None)
    words = " ".join(str(strerror or error).split()).rstrip(".")
    return printable(words) or type(error).__name__


def typed_path(text: str) -> Path:
    """A path as somebody wrote it, which need not be one: a home of nobody stays as it is.

    `os.path` can be asked of it what there is; a Path's own methods raise for names that no file can have.
    """
    return Path(os.path.expanduser(text))


def open_file(path: Path, name: str = "", refusal: Refusal = DamagedFile) -> io.BufferedReader:
    """Open a regular file, or what a link to one leads to; a pipe, device or folder is refused without waiting for it.

    Args:
        name: what its owner calls it; its path where there is none.

    Raises:
        DamagedFile, or the kind that is given: also where nothing is there.
    """
    name = _name(name or path)
    try:
        fd = os.open(path, _FLAGS)
    except (OSError, ValueError) as error:
        raise refusal(
            f"{name} cannot be read: {reason_of(error)}. Check that the file is there, and its rights."
        ) from error
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return os.fdopen(fd, "rb")
    os.close(fd)
    raise refusal(f"{name} cannot be read: it is no regular file but a folder, pipe or device. Give a file.")


def read_bytes(path: Path, most_bytes: int, name: str = "", refusal: Refusal = DamagedFile) -> bytes:
    """All of a file.

    Args:
        name: as in `open_file`.

    Raises:
        DamagedFile, or the kind that is given: also for more than `most_bytes`, of which no more is read.
    """
    with open_file(path, name, refusal) as file, reading(name or path, PLAIN, refusal):
        num_bytes = os.fstat(file.fileno()).st_size
        if num_bytes > most_bytes:
            raise OSError(f"it has {num_bytes:,} bytes, more than the {most_bytes:,} that are read")
        return file.read(num_bytes)


def read_object(path: Path, most_bytes: int, name: str = "") -> dict[str, Any]:
    """The JSON object of a file that another program wrote.

    It may hold what JSON has no word for but such files do: Infinity, and integers beyond 64 bits.

    Args:
        name: as in `open_file`.

    Raises:
        DamagedFile.
    """
    data = read_bytes(path, most_bytes, name)
    with reading(name or path, JSON):
        value = json.loads(data.decode("utf-8"))
        if not isinstance(value, dict):
            raise ValueError("it is no set of names and values")
    return value
