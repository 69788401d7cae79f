"""What a process prints, with nothing in it that acts on the terminal: words, tracebacks and any package's logs."""

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from typing import Any, TextIO

from llm_testing.config.escapes import LAYOUT, escape_controls


class EscapedStream:
    """A text stream that shows control characters instead of passing them on; line breaks and tabs stay.

    It is the same for a terminal, a pipe and a file, since what is in a file is shown some day; programs read --json.
    In all else it is the stream that it stands for.
    """

    def __init__(self, stream: TextIO):
        self._stream = stream

    def write(self, text: str) -> int:
        """Write a text; how long it was."""
        self._stream.write(self._encodable(escape_controls(text, LAYOUT)))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write several texts."""
        for line in lines:
            self.write(line)

    def overwrite(self, line: str) -> None:
        """Write a line over the one that stands on the terminal."""
        self._stream.write("\r" + self._encodable(escape_controls(line)))

    def _encodable(self, text: str) -> str:
        """Text with what the stream's encoding lacks spelt out, where Python would raise."""
        encoding = self._stream.encoding or "utf-8"
        return text.encode(encoding, "backslashreplace").decode(encoding)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def escaped(stream: Any) -> Any:
    """The escaped form of a stream; one that is escaped already is itself."""
    return stream if isinstance(stream, EscapedStream) else EscapedStream(stream)


def escape_streams() -> None:
    """Escape what this process prints from now on to its end; for entry points."""
    sys.stdout, sys.stderr = escaped(sys.stdout), escaped(sys.stderr)


@contextmanager
def streams_escaped() -> Iterator[None]:
    """Escape what this process prints meanwhile."""
    with redirect_stdout(escaped(sys.stdout)), redirect_stderr(escaped(sys.stderr)):
        yield
