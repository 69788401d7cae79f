"""Foreign text as a terminal may show it: nothing in it acts, and what a person reads is left alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_testing.config.escapes import LAYOUT, escape_controls
from tests.control_texts import HOSTILE, raw_controls


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_what_acts_on_a_terminal_is_shown_instead(text: str):
    shown = escape_controls(text)
    assert raw_controls(shown, "") == [] and len(shown) > len(text) and "\\" in shown
    assert raw_controls(escape_controls(text, LAYOUT)) == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[0m", r"\x1b[0m"),
        ("a\nb\tc\r", r"a\nb\tc\r"),
        ("\x9b\x85\x7f", r"\u009b\u0085\x7f"),
        ("\u202e\u2028", r"\u202e\u2028"),
        ("\U000e0001", r"\U000e0001"),
        ("\ud800 \udcff", r"\ud800 \udcff"),
        ("\0", r"\x00"),
        (r"C:\new \x1b", r"C:\new \x1b"),
    ],
)
def test_it_is_shown_as_python_spells_it(text: str, shown: str):
    assert escape_controls(text) == shown


@pytest.mark.parametrize(
    "text", ["naïve Ωμέγα", "中文\u3000字", "1\u00a0000\u202f€", "שלום مرحبا", "e\u0301", "😀🏽", "\ufffd"]
)
def test_what_a_person_reads_is_left_alone(text: str):
    assert escape_controls(text) == text


def test_words_and_emoji_that_are_joined_stay_so_in_a_text_and_show_it_in_a_name():
    for text in ("می\u200cشود", "👩\u200d💻"):
        assert escape_controls(text, LAYOUT) == text
        assert "\\u200" in escape_controls(text)


@given(st.text(st.characters()))
def test_every_text_can_be_printed_and_is_escaped_once(text: str):
    shown = escape_controls(text)
    assert raw_controls(shown, "") == [] and shown.encode("utf-8").decode("utf-8") == shown
    assert escape_controls(shown) == shown == escape_controls(shown, LAYOUT)
    assert shown == text or raw_controls(text, "")
