import json
import socket

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from llm_testing.data import gpt2
from llm_testing.data.bpe import BpeTokenizer
from llm_testing.data.char import MAX_CHARACTERS, CharTokenizer
from llm_testing.data.tokenizers import END, item_dtype, load_tokenizer
from llm_testing.errors import DataError, DownloadError
from llm_testing.jobs.progress import never_cancel, report_nothing
from llm_testing.store.files import write_bytes

any_text = st.text(st.characters(codec="utf-8"), max_size=200)
SAMPLES = [
    "",
    "Hello world",
    "it's 1984\r\n\r\n  def f(x):\n\treturn x",
    "aaaaaaaaaaaaaaaa    aaaa",
    "\u00e9\u0416\u4e2d\U0001f600",
    "\u2003wide\u00a0space \x1c\u200b",
    "a" * 300,
    " " * 300,
    "\x00\x7f",
]


@given(text=any_text)
@example(text=f"a {END} b")
def test_bpe_and_gpt2_write_every_text_and_read_it_back(bpe_tokenizer, gpt2_tokenizer, text):
    for tokenizer in (bpe_tokenizer, gpt2_tokenizer):
        ids = tokenizer.encode(text)
        assert tokenizer.decode(ids) == text
        assert tokenizer.end_id not in ids
        assert tokenizer.byte_lengths()[ids].sum() == len(text.encode())


@given(text=any_text)
def test_char_has_one_id_a_character_and_reads_known_ones_back(char_tokenizer, text):
    ids = char_tokenizer.encode(text)
    known = [character in char_tokenizer.characters for character in text]
    assert len(ids) == len(text)
    assert [i != char_tokenizer.unknown_id for i in ids] == known
    assert char_tokenizer.decode([i for i, is_known in zip(ids, known, strict=True) if is_known]) == "".join(
        character for character, is_known in zip(text, known, strict=True) if is_known
    )


def test_known_ids_of_gpt2(gpt2_tokenizer):
    assert gpt2_tokenizer.encode("Hello world") == [15496, 995]
    assert gpt2_tokenizer.encode("Every effort moves you") == [6109, 3626, 6100, 345]
    assert (gpt2_tokenizer.vocab_size, gpt2_tokenizer.end_id) == (50257, 50256)


def test_char_numbers_the_characters_in_the_order_of_unicode():
    tokenizer = CharTokenizer.train(["ba", "c\u00e9a"])
    assert tokenizer.encode("abc\u00e9") == [0, 1, 2, 3]
    assert (tokenizer.end_id, tokenizer.unknown_id, tokenizer.vocab_size) == (4, 5, 6)
    assert tokenizer.encode("x\ud800") == [5, 5]
    assert tokenizer.decode([1, 0, 4, 5]) == "ba<|endoftext|><|unk|>"


def test_bytes_of_each_character_of_char(char_tokenizer):
    expected = [len(character.encode()) for character in char_tokenizer.characters]
    assert char_tokenizer.byte_lengths().tolist() == [*expected, 0, 0]
    assert set(expected) == {1, 2, 3, 4}


def test_all_bytes_can_be_written_by_bpe(bpe_tokenizer):
    lengths = bpe_tokenizer.byte_lengths()
    assert bpe_tokenizer.vocab_size == 1000
    assert (lengths == 1).sum() == 256
    assert (lengths == 0).sum() == 1
    assert lengths[bpe_tokenizer.end_id] == 0


def test_many_pieces_get_the_ids_of_each(tokenizer):
    for text, ids in zip(SAMPLES, tokenizer.encode_pieces(SAMPLES), strict=True):
        assert ids.dtype.kind == "u"
        assert ids.tolist() == tokenizer.encode(text)


@settings(max_examples=60)
@given(text=any_text)
@example(text=" ".join(SAMPLES))
def test_the_exported_json_gives_the_same_ids(exports, text):
    for ours, exported in exports:
        assert exported.encode(text, add_special_tokens=False).ids == ours.encode(text), ours.kind


@pytest.fixture(scope="module")
def exports(bpe_tokenizer, char_tokenizer, gpt2_tokenizer):
    kinds = (bpe_tokenizer, char_tokenizer, gpt2_tokenizer)
    return [(ours, Tokenizer.from_str(ours.tokenizers_json())) for ours in kinds]


def test_the_exported_json_of_gpt2_agrees_on_real_text(exports, shakespeare):
    for ours, exported in exports:
        assert exported.encode(shakespeare[:60_000]).ids == ours.encode(shakespeare[:60_000])


def test_the_exported_json_decodes_and_knows_the_end_token(exports):
    for ours, exported in exports:
        ids = ours.encode("The fox") + [ours.end_id]
        assert exported.decode(ids, skip_special_tokens=False) == ours.decode(ids) == "The fox" + END
        assert exported.token_to_id(END) == ours.end_id
        assert exported.get_vocab_size() == ours.vocab_size


def test_a_saved_tokenizer_is_read_back_without_a_network(tokenizer, tmp_path, monkeypatch):
    monkeypatch.setattr(socket, "socket", None)
    monkeypatch.setattr(gpt2, "download_file", None)
    tokenizer.save(tmp_path, write_bytes)
    read = load_tokenizer(tmp_path)
    assert (read.kind, read.vocab_size, read.end_id) == (tokenizer.kind, tokenizer.vocab_size, tokenizer.end_id)
    assert all(read.encode(text) == tokenizer.encode(text) for text in SAMPLES)
    assert read.to_bytes() == tokenizer.to_bytes()
    assert np.array_equal(read.byte_lengths(), tokenizer.byte_lengths())


def test_a_tokenizer_file_that_is_damaged_is_named(char_tokenizer, tmp_path):
    with pytest.raises(DataError, match="There is no tokenizer file .*tokenizer.json"):
        load_tokenizer(tmp_path)
    char_tokenizer.save(tmp_path, write_bytes)
    whole = json.loads((tmp_path / "tokenizer.json").read_bytes())
    for part in ({"schema": 99}, {"kind": "spm"}, {"characters": "zz"}, {"kind": "bpe", "tokenizers_json": "{}"}):
        (tmp_path / "tokenizer.json").write_text(json.dumps(whole | part))
        with pytest.raises(DataError, match="tokenizer.json cannot be used. The tokenizer is not one that can be read"):
            load_tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_bytes(b"{")
    with pytest.raises(DataError, match="tokenizer.json cannot be read"):
        load_tokenizer(tmp_path)


def test_too_many_characters_are_refused():
    every = "".join(chr(code) for code in range(0x10000, 0x10000 + MAX_CHARACTERS + 1))
    assert CharTokenizer.train([every[1:]]).vocab_size == MAX_CHARACTERS + 2
    with pytest.raises(DataError, match="65,537 distinct characters; the char tokenizer takes at most 65,536"):
        CharTokenizer.train([every])


def test_ids_are_stored_in_the_smallest_type_that_holds_them():
    assert item_dtype(65_536) == np.uint16
    assert item_dtype(65_537) == np.uint32


def test_a_stop_while_bpe_is_trained_comes_through():
    def texts():
        yield "some text"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        BpeTokenizer.train(texts(), 300)


def test_bpe_is_the_same_each_time_it_is_trained_on_the_same_text(shakespeare):
    first, second = (BpeTokenizer.train([shakespeare[:100_000]], 500).to_bytes() for _ in range(2))
    assert first == second


def test_gpt2_without_a_network_names_what_is_at_hand(tmp_path, monkeypatch):
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(gpt2, "URL", "http://127.0.0.1:9/r50k_base.tiktoken")
    with pytest.raises(DownloadError, match="could not be reached .* At hand .* are the tokenizers bpe and char"):
        gpt2.load_gpt2(tmp_path / "cache", report_nothing, never_cancel)


def test_gpt2_is_taken_from_the_cache_of_tiktoken(gpt2_tokenizer, tmp_path, monkeypatch):
    ranks = b"\n".join(line for line in _ranks_file(gpt2_tokenizer))
    (tmp_path / "0ea1e91bbb3a60f729a8dc8f777fd2fc07cd8df4").write_bytes(ranks + b"\n")
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(gpt2, "download_file", None)
    assert gpt2.load_gpt2(tmp_path / "cache", report_nothing, never_cancel).encode("Hello world") == [15496, 995]


def _ranks_file(tokenizer):
    for rank, token in enumerate(json.loads(tokenizer.to_bytes())["tokens"]):
        yield f"{token} {rank}".encode()
