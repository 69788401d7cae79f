"""Damaged tokenizers and templates: read, or refused by the name of their file."""

import json
import os

import pytest

from llm_testing.data import gpt2
from llm_testing.data.templates import CHATML, TemplateProcess
from llm_testing.data.tokenizers import load_tokenizer
from llm_testing.errors import DamagedFile, DataError, DownloadError
from llm_testing.jobs.progress import never_cancel, report_nothing
from tests.damage import MANY, at_most_bytes, damaged, outcomes

BAD = {
    "empty": b"",
    "cut": b'{"schema": 1, "kind": "ch',
    "deep": b'{"a":' * 5000,
    "a long number": b'{"schema": ' + b"9" * 5000 + b"}",
    "a list": b"[1]",
    "UTF-16": '{"schema": 1}'.encode("utf-16"),
    "no UTF-8": b'{"schema": "\xff"}',
    "another schema": b'{"schema": 2, "kind": "char", "characters": "ab"}',
    "no kind": b'{"schema": 1}',
    "a kind that is a list": b'{"schema": 1, "kind": ["char"]}',
    "characters twice": b'{"schema": 1, "kind": "char", "characters": "aa"}',
    "characters that are a number": b'{"schema": 1, "kind": "char", "characters": 5}',
    "no characters": b'{"schema": 1, "kind": "char", "characters": ""}',
    "bpe that is text": b'{"schema": 1, "kind": "bpe", "tokenizers_json": "x"}',
    "bpe without an end": json.dumps(
        {"schema": 1, "kind": "bpe", "tokenizers_json": '{"model": {"type": "BPE", "vocab": {}, "merges": []}}'}
    ).encode(),
    "bpe of a huge number": json.dumps(
        {"schema": 1, "kind": "bpe", "tokenizers_json": json.dumps({
            "version": "1.0", "model": {"type": "BPE", "vocab": {"a": 2**32 - 2}, "merges": []},
            "added_tokens": [{"id": 2**32 - 3, "content": "<|endoftext|>", "single_word": False, "lstrip": False,
                              "rstrip": False, "normalized": False, "special": True}],
        })}
    ).encode(),
    "gpt2 of three": b'{"schema": 1, "kind": "gpt2", "tokens": ["YQ==", "Yg==", "Yw=="]}',
    "gpt2 of no base64": b'{"schema": 1, "kind": "gpt2", "tokens": ["*"]}',
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_damaged_tokenizer_of_a_run_is_refused_by_its_name(tmp_path, name):
    (tmp_path / "tokenizer.json").write_bytes(BAD[name])
    with at_most_bytes(100 * 2**20), pytest.raises(DataError, match=r"tokenizer\.json") as refusal:
        load_tokenizer(tmp_path).byte_lengths()
    assert len(str(refusal.value)) < 600


@pytest.mark.parametrize("count", MANY)
@pytest.mark.parametrize("kind", ["bpe", "char"])
def test_no_damage_to_a_tokenizer_raises_anything_but_a_refusal(request, tmp_path, kind, count):
    whole = request.getfixturevalue(f"{kind}_tokenizer")

    def given(data):
        (tmp_path / "tokenizer.json").write_bytes(data)
        tokenizer = load_tokenizer(tmp_path)
        tokenizer.decode(tokenizer.encode("The quick \u00e9"))
        tokenizer.byte_lengths()

    given(whole.to_bytes())
    _, refused = outcomes(given, damaged(whole.to_bytes(), count), DataError)
    assert refused > count // 4


def test_a_pipe_or_folder_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "tokenizer.json")
    with pytest.raises(DataError, match="tokenizer.json"):
        load_tokenizer(tmp_path)


def test_the_ranks_of_gpt2_are_not_waited_for_and_not_believed(tmp_path, monkeypatch):
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path / "tiktoken"))
    place = tmp_path / "downloads" / gpt2.FILE_NAME_RANKS
    place.parent.mkdir()

    def no_network(*args, **settings):
        raise DownloadError("There is no network.")

    monkeypatch.setattr(gpt2, "download_file", no_network)

    def refused():
        with at_most_bytes(20 * 2**20), pytest.raises(DownloadError, match="no network"):
            gpt2.load_gpt2(tmp_path, report_nothing, never_cancel)

    os.mkfifo(place)
    refused()
    place.unlink()
    place.write_bytes(b"YQ== 0\n")
    refused()
    with place.open("wb") as file:
        file.truncate(2**33)
    refused()


TURNS = [([{"role": "user", "content": "hello"}], True)]
BAD_TEMPLATES = {
    "unclosed": "{% for m in messages %}",
    "no such filter": "{{ messages | nothing }}",
    "half a pair": "{{ '\\ud800' }}",
    "deep": "{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}",
    "attribute of a class": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "division": "{{ 1 // 0 }}",
    "a refusal of half a pair": "{{ raise_exception('\\ud800' * 999) }}",
}


@pytest.mark.parametrize("name", BAD_TEMPLATES)
def test_a_damaged_template_is_refused(name):
    with pytest.raises(DataError) as refusal:
        with TemplateProcess(BAD_TEMPLATES[name], {}) as renderer:
            (text,) = renderer.render(TURNS)
            text.encode()
    assert len(str(refusal.value).encode()) < 700


@pytest.mark.parametrize("template", [None, 5, ["x"], {"default": "x"}])
def test_a_template_that_is_no_text_is_refused(template):
    with pytest.raises(DataError):
        TemplateProcess(template, {}).close()


@pytest.mark.parametrize("count", [8, pytest.param(500, marks=[pytest.mark.slow, pytest.mark.timeout(3000)])])
def test_no_damage_to_a_template_raises_anything_but_a_refusal(count):
    def given(data):
        with TemplateProcess(data.decode("utf-8", "replace"), {"eos_token": ""}) as renderer:
            (text,) = renderer.render(TURNS)
        text.encode()

    given(CHATML.encode())
    outcomes(given, damaged(CHATML.encode(), count), DataError)


def test_damage_is_one_kind_of_data_that_cannot_be_used():
    assert issubclass(DamagedFile, DataError)
