import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_testing.data.documents import PIECE_CHARS, Documents, Piece, cut_long
from tests.data.conftest import joined

# What makes cutting hard: spaces in runs, newlines, rare whitespace, contractions, letters of several bytes.
SPACES = [" ", "  ", "\n", "\n\n", "\r\n", "\t", "\u00a0", "\u2003", "\u3000"]
WORDS = [
    "'s",
    "'",
    "...",
    "word",
    "W",
    "7",
    "1984",
    "\u00e9t\u00e9",
    "\u4e2d\u6587",
    "\U0001f600",
    "_x",
    "<|endoftext|>",
]
DISPUTED = ["\x1c", "\u200b", "\ufeff"]
texts = st.lists(st.sampled_from(SPACES + WORDS + DISPUTED), max_size=60).map("".join)
a_word = st.tuples(st.sampled_from(SPACES), st.sampled_from(WORDS), st.sampled_from(["", *SPACES, *WORDS, *DISPUTED]))
running_texts = st.lists(a_word.map("".join), max_size=40).map("".join)
LONGEST_WORD = 2 + 13 + 13


def cut(text: str, limit: int) -> list[str]:
    return [piece.text for piece in cut_long([Piece(text, True)], limit)]


@settings(max_examples=200)
@given(text=running_texts, limit=st.integers(2 * LONGEST_WORD, 3 * LONGEST_WORD))
def test_tokenising_pieces_gives_the_ids_of_the_whole(bpe_tokenizer, gpt2_tokenizer, text, limit):
    pieces = cut(text, limit)
    assert "".join(pieces) == text
    assert all(len(piece) <= limit for piece in pieces)
    for tokenizer in (bpe_tokenizer, gpt2_tokenizer):
        assert [i for piece in pieces for i in tokenizer.encode(piece)] == tokenizer.encode(text)


@pytest.mark.parametrize("run", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("space", [" ", "\n"])
def test_a_run_of_spaces_keeps_its_tokens_wherever_the_limit_falls(bpe_tokenizer, space, run):
    text = ("ab" + space * run) * 12 + "ab"
    whole = bpe_tokenizer.encode(text)
    for limit in range(run + 3, 3 * run + 9):
        assert [i for piece in cut(text, limit) for i in bpe_tokenizer.encode(piece)] == whole


def test_real_text_is_cut_without_changing_a_token(bpe_tokenizer, shakespeare):
    pieces = cut(shakespeare[:100_000], 3_000)
    assert len(pieces) > 30
    assert [i for piece in pieces for i in bpe_tokenizer.encode(piece)] == bpe_tokenizer.encode(shakespeare[:100_000])


def test_a_piece_begins_with_the_last_whitespace_before_a_word():
    assert cut("one two  three", 10) == ["one two ", " three"]
    assert cut("one two\n\nthree", 10) == ["one two\n", "\nthree"]


def test_a_document_that_is_short_enough_stays_whole():
    pieces = list(cut_long([Piece("a b", True), Piece("c d e", False), Piece(" f", True)], 8))
    assert pieces == [Piece("a b", True), Piece("c d e f", True)]


def test_text_without_whitespace_is_cut_at_the_limit():
    assert cut("x" * 25, 10) == ["x" * 10, "x" * 10, "x" * 5]


@given(blocks=st.lists(st.tuples(texts, st.booleans()), max_size=8), limit=st.integers(2, 30))
def test_cutting_keeps_every_character_and_document(blocks, limit):
    blocks = [Piece(*block) for block in blocks] + [Piece("end", True)]
    pieces = list(cut_long(blocks, limit))
    assert joined(pieces) == [document for document in joined(blocks) if document]
    assert all(0 < len(piece.text) <= limit for piece in pieces)


def test_how_a_text_comes_in_blocks_does_not_matter():
    text = "some words of a text, " * 20_000
    blocks = [Piece(text[i : i + 999], False) for i in range(0, len(text), 999)] + [Piece("", True)]
    pieces = list(Documents("blocks", read=lambda: iter(blocks)).pieces())
    assert [piece.text for piece in pieces] == cut(text, PIECE_CHARS)
    assert [piece.ends_document for piece in pieces] == [False] * (len(pieces) - 1) + [True]


@pytest.mark.parametrize("disputed", DISPUTED)
def test_no_cut_before_what_only_some_take_for_whitespace(disputed):
    assert cut(f"one two {disputed}three", 10) == ["one", f" two {disputed}three"[:10], f" two {disputed}three"[10:]]
