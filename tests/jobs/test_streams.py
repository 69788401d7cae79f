"""What a process prints: nothing in it acts on the terminal, whoever printed it."""

import io
import logging
import sys
import threading

import pytest

from llm_testing.jobs.streams import EscapedStream, escape_streams, escaped
from tests.control_texts import EVERYTHING, HOSTILE, raw_controls


def test_line_breaks_stay_and_everything_else_that_acts_is_shown():
    under = io.StringIO()
    stream = escaped(under)
    assert stream.write(f"one\n\ttwo {EVERYTHING}\ud800\n") > 0
    stream.writelines(["three\r\n", "four\n"])
    print("five\x1b[0m", file=stream)
    assert raw_controls(under.getvalue()) == []
    assert under.getvalue().startswith("one\n\ttwo \\x1b[31;7mred") and "three\\r\nfour\n" in under.getvalue()


def test_a_sequence_that_comes_in_pieces_is_shown_too():
    under = io.StringIO()
    for piece in HOSTILE["link"]:
        escaped(under).write(piece)
    assert raw_controls(under.getvalue()) == []


def test_a_line_may_be_written_over_by_the_program_alone():
    under = io.StringIO()
    escaped(under).overwrite("50%\r\n\x1b[2Jdone")
    assert under.getvalue() == "\r50%\\r\\n\\x1b[2Jdone"


def test_what_an_encoding_lacks_is_spelt_instead_of_raised():
    raw = io.BytesIO()
    stream = escaped(io.TextIOWrapper(raw, encoding="ascii"))
    stream.write("naïve 中 \ud800")
    stream.flush()
    assert raw.getvalue() == rb"na\xefve \u4e2d \ud800"


def test_it_is_the_stream_in_all_else():
    under = io.StringIO()
    stream = escaped(under)
    assert escaped(stream) is stream and isinstance(stream, EscapedStream)
    assert not stream.isatty() and stream.writable() and stream.encoding == under.encoding


def test_tracebacks_and_logs_of_any_package_go_through(monkeypatch: pytest.MonkeyPatch):
    printed = io.StringIO()
    monkeypatch.setattr(sys, "stdout", printed)
    monkeypatch.setattr(sys, "stderr", printed)
    escape_streams()
    try:
        raise ValueError(EVERYTHING)
    except ValueError as error:
        caught = error
        sys.__excepthook__(type(error), error, error.__traceback__)
    threading.__excepthook__(threading.ExceptHookArgs((ValueError, caught, caught.__traceback__, None)))
    logging.lastResort.handle(logging.LogRecord("x", logging.ERROR, "", 1, EVERYTHING, (), None))
    assert raw_controls(printed.getvalue()) == []
    assert printed.getvalue().count(r"\x1b]0;owned\x07") == 3, printed.getvalue()
