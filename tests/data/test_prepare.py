import dataclasses
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_testing.data import prepare as prepare_module
from llm_testing.data import tokenfile
from llm_testing.data.bpe import BpeTokenizer
from llm_testing.data.char import CharTokenizer
from llm_testing.data.documents import Documents, Piece, in_memory
from llm_testing.data.prepare import prepare
from llm_testing.data.split import halves, measure
from llm_testing.errors import Cancelled, ConfigError, DataError, NotEnoughDisk
from llm_testing.jobs.progress import never_cancel, report_nothing
from tests.data.conftest import Phases, joined

ROOT = Path(__file__).parents[2]
STORIES = [f"Story {i}: " + "the fox met the crow again. " * (i % 7 + 1) + "\u00e9nd \U0001f600\n" for i in range(300)]


@pytest.fixture
def stories(tmp_path):
    """A corpus of 300 short documents."""
    path = tmp_path / "stories.jsonl"
    write_rows(path, STORIES)
    return path


def write_rows(path, texts) -> None:
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")


def make(
    corpus,
    cache_dir,
    kind="char",
    vocab_size=300,
    val_corpus=None,
    report=report_nothing,
    check=never_cancel,
    reuse=None,
):
    return prepare(str(corpus), val_corpus and str(val_corpus), kind, vocab_size, cache_dir, report, check, reuse)


def texts_of(token_file, tokenizer) -> list[str]:
    """The documents of a token file, by its starts."""
    tokens, starts = token_file.tokens(), token_file.document_starts()
    ends = [start - 1 for start in starts[1:]]
    assert all(tokens[end] == tokenizer.end_id for end in ends)
    assert np.count_nonzero(tokens == tokenizer.end_id) == len(ends)
    return [tokenizer.decode(tokens[a:b]) for a, b in zip(starts, [*ends, len(tokens)], strict=True)]


def test_the_default_corpus_gives_plausible_facts(prepared_docs):
    facts = prepared_docs.facts
    assert facts.train_documents + facts.val_documents > 300
    assert 1_000_000 < facts.train_bytes + facts.val_bytes < 4_000_000
    assert facts.tokenizer_trained_bytes == facts.train_bytes
    assert facts.python == sys.version.split()[0]
    assert (facts.tokenizer, facts.vocab_size, facts.warnings) == ("bpe", 1024, ())
    assert 2.5 < facts.train_bytes / facts.train_tokens < 4.5
    assert len(facts.fingerprint) == 64


def test_the_default_corpus_is_held_whole_and_in_order(prepared_docs, python_docs):
    train = texts_of(prepared_docs.train, prepared_docs.tokenizer)
    val = texts_of(prepared_docs.val, prepared_docs.tokenizer)
    assert_split(train, val, joined(python_docs.pieces()))


def assert_split(train: list[str], val: list[str], documents: list[str]) -> None:
    """Train and validation give the corpus again, and validation is the last tenth of its characters."""
    num_chars = sum(map(len, documents))
    assert sum(map(len, train)) == num_chars * 9 // 10
    assert "".join(train + val) == "".join(documents)
    divided = len(train) + len(val) - len(documents)
    assert divided in (0, 1)
    together = train[:-1] + [train[-1] + val[0]] + val[1:] if divided else train + val
    assert together == documents


@pytest.mark.parametrize("kind", ["bpe", "char"])
def test_documents_are_joined_by_the_end_token_and_cut_exactly(stories, tmp_path, kind):
    data = make(stories, tmp_path / "cache", kind)
    train, val = (texts_of(part, data.tokenizer) for part in (data.train, data.val))
    if kind == "char":  # the characters of the last documents are in the first, too
        assert data.facts.warnings == ()
    assert_split(train, val, STORIES)
    assert (data.facts.train_documents, data.facts.val_documents) == (len(train), len(val))


@pytest.mark.parametrize("kind", ["bpe", "char"])
def test_bytes_of_the_tokens_are_the_bytes_of_the_text(stories, tmp_path, kind):
    data = make(stories, tmp_path / "cache", kind)
    lengths = data.tokenizer.byte_lengths()
    for part in (data.train, data.val):
        assert (
            lengths[part.tokens()].sum()
            == part.num_bytes
            == sum(len(t.encode()) for t in texts_of(part, data.tokenizer))
        )
    assert data.facts.train_bytes + data.facts.val_bytes == sum(len(text.encode()) for text in STORIES)


def test_a_single_document_has_no_end_token(tmp_path, shakespeare):
    (tmp_path / "a.txt").write_text(shakespeare, encoding="utf-8")
    data = make(tmp_path / "a.txt", tmp_path / "cache")
    assert data.train.tokens().tolist() == data.tokenizer.encode(shakespeare[: len(shakespeare) * 9 // 10])
    assert data.val.tokens().tolist() == data.tokenizer.encode(shakespeare[len(shakespeare) * 9 // 10 :])
    assert data.train.document_starts().tolist() == data.val.document_starts().tolist() == [0]


def test_a_long_document_has_the_tokens_of_the_whole_text(tmp_path, shakespeare):
    shakespeare = shakespeare[:300_000]
    (tmp_path / "a.txt").write_text(shakespeare, encoding="utf-8")  # 5 pieces
    data = make(tmp_path / "a.txt", tmp_path / "cache", "bpe", 600)
    cut = len(shakespeare) * 9 // 10
    assert data.train.tokens().tolist() == data.tokenizer.encode(shakespeare[:cut])
    assert data.val.tokens().tolist() == data.tokenizer.encode(shakespeare[cut:])


@given(texts=st.lists(st.text(min_size=1, max_size=30), min_size=1, max_size=12), piece_chars=st.integers(1, 9))
def test_the_cut_is_exact_wherever_it_falls(texts, piece_chars):
    def blocks():
        for text in texts:
            for i in range(0, len(text), piece_chars):
                yield Piece(text[i : i + piece_chars], i + piece_chars >= len(text))

    documents = Uncut("texts", read=blocks)
    measured = measure(documents, report_nothing, never_cancel)
    assert measured == measure(in_memory("texts", texts), report_nothing, never_cancel)
    train, val = ("".join(piece.text for piece in part.pieces()) for part in halves(documents, measured))
    assert train + val == "".join(texts)
    assert len(train) == len(train + val) * 9 // 10


class Uncut(Documents):
    """Gives its blocks as they are, to have the border fall into every place of a piece."""

    def pieces(self):
        return self.read()


def test_a_validation_corpus_leaves_the_whole_corpus_to_train_on(stories, tmp_path):
    write_rows(tmp_path / "val.jsonl", ["the crow met\n", "a fox\u0416\u0416\n"])
    data = make(stories, tmp_path / "cache", "char", val_corpus=tmp_path / "val.jsonl")
    assert texts_of(data.train, data.tokenizer) == STORIES
    assert texts_of(data.val, data.tokenizer) == ["the crow met\n", "a fox<|unk|><|unk|>\n"]
    assert data.facts.val_corpus == str(tmp_path / "val.jsonl")
    assert data.facts.warnings == (
        "2 characters of the validation text do not occur in what the char tokenizer was made from; they are read as "
        "one unknown token.",
    )


def test_validating_on_the_training_text_is_warned_about(stories, tmp_path):
    data = make(stories, tmp_path / "cache", val_corpus=stories)
    assert "The validation text is the training text" in data.facts.warnings[0]


def test_tokenizers_learn_from_the_training_part_only(tmp_path):
    (tmp_path / "a.txt").write_text("abc " * 900 + "\u0416\u0416\u0416 " * 100)
    assert make(tmp_path / "a.txt", tmp_path / "cache", "char").tokenizer.characters == " abc"
    bpe = make(tmp_path / "a.txt", tmp_path / "cache", "bpe").tokenizer
    assert bpe.encode("\u0416\u0416\u0416") == bpe.encode("\u0416") * 3


def test_a_second_call_reads_the_text_and_tokenises_nothing(stories, tmp_path, monkeypatch):
    first = make(stories, tmp_path / "cache", "bpe")
    for name in ("encode", "encode_pieces"):
        monkeypatch.setattr(BpeTokenizer, name, None)
    monkeypatch.setattr(BpeTokenizer, "train", None)
    phases = Phases()
    second = make(stories, tmp_path / "cache", "bpe", report=phases)
    assert second.facts == first.facts
    assert np.array_equal(second.train.tokens(), first.train.tokens())
    assert phases.names == [f"reading {stories}", "checking the token files"]


def test_the_same_text_under_another_name_shares_the_token_files(stories, tmp_path):
    first = make(stories, tmp_path / "cache")
    folder = tmp_path / "folder"
    folder.mkdir()
    write_rows(folder / "a.jsonl", STORIES[:100])
    write_rows(folder / "b.jsonl", STORIES[100:])
    second = make(folder, tmp_path / "cache")
    assert second.train.path == first.train.path
    assert dataclasses.replace(second.facts, corpus=first.facts.corpus) == first.facts


def test_other_text_settings_or_borders_have_another_fingerprint(stories, tmp_path):
    cache = tmp_path / "cache"
    write_rows(tmp_path / "joined.jsonl", ["".join(STORIES[:2]), *STORIES[2:]])
    write_rows(tmp_path / "other.jsonl", [*STORIES[:-1], STORIES[-1] + "!"])
    prints = [
        make(corpus, cache, kind, size, val).facts.fingerprint
        for corpus, kind, size, val in [
            (stories, "char", 300, None),
            (stories, "bpe", 300, None),
            (stories, "bpe", 310, None),
            (stories, "char", 300, tmp_path / "other.jsonl"),
            (tmp_path / "joined.jsonl", "char", 300, None),
            (tmp_path / "other.jsonl", "char", 300, None),
        ]
    ]
    assert len(set(prints)) == len(prints)


def test_going_on_with_the_tokenizer_of_a_run_finds_the_files_of_that_run(stories, tmp_path):
    first = make(stories, tmp_path / "cache", "bpe")
    again = make(stories, tmp_path / "cache", "bpe", reuse=first.tokenizer)
    assert again.train.path == first.train.path
    assert again.facts.fingerprint == first.facts.fingerprint
    other = make(stories, tmp_path / "cache", "bpe", reuse=CharTokenizer.train(["the fox"]))
    assert other.facts.tokenizer == "char"
    assert other.facts.tokenizer_trained_bytes is None
    assert "characters of the training text do not occur" in other.facts.warnings[0]


@pytest.mark.parametrize(
    "damage", ["cut", "flipped", "gone", "starts", "no manifest", "manifest", "tokenizer", "folder"]
)
def test_a_damaged_entry_is_made_again(stories, tmp_path, damage):
    first = make(stories, tmp_path / "cache", "bpe")
    before = contents(first)
    folder = first.train.path.parent
    if damage == "cut":
        os.truncate(first.train.path, 100)
    elif damage == "flipped":
        content = bytearray(first.val.path.read_bytes())
        content[7] ^= 1
        first.val.path.write_bytes(content)
    elif damage == "gone":
        first.val.path.unlink()
    elif damage == "starts":
        (folder / "train.starts").write_bytes(b"\1" * (folder / "train.starts").stat().st_size)
    elif damage == "no manifest":
        (folder / "manifest.json").unlink()
    elif damage == "manifest":
        (folder / "manifest.json").write_text('{"schema": 1}')
    elif damage == "tokenizer":
        (kept,) = (tmp_path / "cache" / "tokenizers").iterdir()
        kept.write_text(kept.read_text().replace("Story", "Stury").replace("the", "teh"))
    elif damage == "folder":
        for file in folder.iterdir():
            file.unlink()
    second = make(stories, tmp_path / "cache", "bpe")
    assert second.facts == first.facts
    assert contents(second) == before
    assert [path.name for path in (tmp_path / "cache" / "tokens").iterdir()] == [first.facts.fingerprint]


def contents(data) -> list:
    parts = (data.train, data.val)
    return [part.tokens().tolist() for part in parts] + [part.document_starts().tolist() for part in parts]


@pytest.mark.parametrize("phase", ["reading", "training", "tokenising", "checking"])
def test_a_stop_in_any_phase_leaves_nothing_half_made(stories, tmp_path, monkeypatch, phase):
    monkeypatch.setattr("llm_testing.hub.pace.INTERVAL_S", 0.0)
    if phase == "checking":
        make(stories, tmp_path / "cache", "bpe")
    phases = Phases()

    def stop():
        if phases.seen and phases.seen[-1].phase.startswith(phase) and phases.seen[-1].done > 0:
            raise Cancelled

    with pytest.raises(Cancelled):
        make(stories, tmp_path / "cache", "bpe", report=phases, check=stop)
    assert list((tmp_path / "cache").glob("tokens/.staging*")) == []
    data = make(stories, tmp_path / "cache", "bpe")
    assert_split(texts_of(data.train, data.tokenizer), texts_of(data.val, data.tokenizer), STORIES)


def test_what_a_killed_process_left_is_swept_after_a_day(stories, tmp_path):
    old, young = (tmp_path / "cache" / "tokens" / name for name in (".staging-old", ".staging-young"))
    for folder in (old, young):
        folder.mkdir(parents=True)
        (folder / "train.tokens").write_bytes(b"x")
    os.utime(old, (time.time() - 90_000,) * 2)
    make(stories, tmp_path / "cache")
    assert not old.exists()
    assert young.exists()


def test_progress_counts_the_characters(stories, tmp_path):
    phases = Phases()
    make(stories, tmp_path / "cache", "bpe", report=phases)
    assert phases.names == [f"reading {stories}", "training the bpe tokenizer", "tokenising"]
    last = phases.seen[-1]
    assert last.done == last.total == sum(map(len, STORIES))
    assert last.unit == "characters"
    for before, after in zip(phases.seen, phases.seen[1:], strict=False):
        assert after.phase != before.phase or after.done >= before.done


def test_text_that_changes_while_it_is_read_is_refused(stories, tmp_path, monkeypatch):
    measured = prepare_module.measure

    def measure_then_change(*args):
        result = measured(*args)
        write_rows(stories, [text.upper() for text in STORIES])
        return result

    monkeypatch.setattr(prepare_module, "measure", measure_then_change)
    with pytest.raises(DataError, match="changed while it was read"):
        make(stories, tmp_path / "cache", reuse=CharTokenizer.train(STORIES))
    assert list((tmp_path / "cache" / "tokens").iterdir()) == []


@pytest.mark.parametrize(("text", "part"), [("a", "train on"), ("ab", "train on"), ("abcdefghij", "validate on")])
def test_under_two_tokens_are_refused(tmp_path, text, part):
    (tmp_path / "a.txt").write_text(text)
    with pytest.raises(DataError, match=f"a.txt is too short: it leaves . tokens to {part}, at least 2 are needed"):
        make(tmp_path / "a.txt", tmp_path / "cache")


def test_two_tokens_are_enough(tmp_path):
    (tmp_path / "a.txt").write_text("abcdefghijabcdefghij")
    data = make(tmp_path / "a.txt", tmp_path / "cache")
    assert (data.facts.train_tokens, data.facts.val_tokens) == (18, 2)


def test_a_vocabulary_that_could_not_be_filled_is_warned_about(stories, tmp_path):
    data = make(stories, tmp_path / "cache", "bpe", 50_000)
    assert data.tokenizer.vocab_size < 1000
    assert "vocab_size 50,000 was asked for" in data.facts.warnings[0]
    assert data.train.tokens().dtype == np.uint16


def test_large_vocabularies_take_four_bytes_a_token(tmp_path):
    every = "".join(chr(code) for code in range(0x10000, 0x10000 + 65_535))
    (tmp_path / "a.txt").write_text(every + every[: 65_535 // 9 + 10], encoding="utf-8")
    data = make(tmp_path / "a.txt", tmp_path / "cache")
    assert data.train.tokens().dtype == np.uint32
    assert data.train.tokens()[-1] > 0
    assert data.train.path.stat().st_size == 4 * data.train.num_tokens


@pytest.mark.parametrize(("kind", "size", "field"), [("bpe", 256, "vocab_size"), ("words", 300, "tokenizer")])
def test_wrong_settings_name_their_option(stories, tmp_path, kind, size, field):
    with pytest.raises(ConfigError) as refused:
        make(stories, tmp_path / "cache", kind, size)
    assert [problem.field for problem in refused.value.problems] == [field]


def test_a_full_disk_is_said_in_words(stories, tmp_path, monkeypatch):
    monkeypatch.setattr("llm_testing.hub.disk.free_bytes", lambda path: 1000)
    with pytest.raises(NotEnoughDisk, match="The token file.* needs about"):
        make(stories, tmp_path / "cache")


def test_the_tokens_cannot_be_written_through_the_map(stories, tmp_path):
    tokens = make(stories, tmp_path / "cache").train.tokens()
    with pytest.raises(ValueError, match="read-only"):
        tokens[0] = 1


def test_gpt2_prepares_with_its_known_ids(tmp_path, gpt2_tokenizer, shakespeare):
    (tmp_path / "a.txt").write_text(shakespeare, encoding="utf-8")
    data = make(tmp_path / "a.txt", tmp_path / "cache", "gpt2", reuse=gpt2_tokenizer)
    assert (data.facts.train_tokens, data.facts.val_tokens) == (301_966, 36_059)  # nanoGPT's figures for this file


def test_batches_follow_the_clock_but_tokens_do_not(stories, tmp_path, monkeypatch):
    expected = make(stories, tmp_path / "one", "bpe").train.tokens().tolist()
    monkeypatch.setattr(tokenfile, "_MIN_BATCH_CHARS", 100)
    monkeypatch.setattr(tokenfile, "_LONG_S", 0.0)
    monkeypatch.setattr(tokenfile, "_SHORT_S", 0.0)
    assert make(stories, tmp_path / "two", "bpe").train.tokens().tolist() == expected


@pytest.mark.alone
def test_memory_does_not_grow_with_the_text():
    assert measured(48, "char") < 95  # of which 60 MiB are Python and its libraries


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("kind", ["char", "bpe"])
def test_a_gigabyte_is_prepared_in_less_than_one(kind):
    assert measured(1024, kind) < 1024


def measured(mib: int, kind: str) -> float:
    command = [sys.executable, ROOT / "benchmarks" / "prepare_memory.py", "--mib", str(mib), "--tokenizer", kind]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    return json.loads(done.stdout)["peak_mib"]
