"""Damaged files of options: whatever is in one, its options are read or it is refused by its name."""

import os
from pathlib import Path

import pytest

from llm_testing.config.pretrain import PretrainConfig
from llm_testing.config.text import read_config_file
from llm_testing.errors import ConfigError
from tests.damage import MANY, at_most_bytes, damaged, outcomes

YAML = b"""# a run
corpus: tiny
batch_size: 8
learning_rate: 3e-4
sample_prompts: ["The \\u00e9", 'b']
threads: &t 2
log_every: *t
"""
JSON = b'{"corpus": "tiny", "batch_size": 8, "learning_rate": 3e-4, "sample_prompts": ["The", "b"]}'
LAUGHS = "a0: &a0 [lol, lol]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12)
)  # fmt: skip
BAD = {
    "utf16.yaml": "a: 1".encode("utf-16"),
    "latin.yaml": b"name: caf\xe9",
    "zeros.yaml": bytes(50),
    "control.yaml": b"name: \x07",
    "surrogate.yaml": b'name: "\\ud800"',
    "beyond-unicode.yaml": b'name: "\\U00110000"',
    "object.yaml": b"a: !!python/object/apply:os.system ['true']",
    "name.yaml": b"a: !!python/name:os.system",
    "own-tag.yaml": b"a: !own 5",
    "laughs.yaml": LAUGHS.encode(),
    "circle.yaml": b"a: &a [*a]",
    "merge.yaml": b"a: &a {b: 1}\nc:\n  <<: *a",
    "empty-int.yaml": b"batch_size: !!int ''",
    "underscore-int.yaml": b"batch_size: !!int '_'",
    "no-bool.yaml": b"batch_size: !!bool maybe",
    "no-time.yaml": b"batch_size: !!timestamp soon",
    "bad-time.yaml": b"batch_size: 2001-13-45",
    "no-float.yaml": b"batch_size: !!float x",
    "no-alias.yaml": b"a: *b",
    "twice.yaml": b"a: 1\n---\nb: 2",
    "key-list.yaml": b"? [a]\n: 1",
    "key-number.yaml": b"5: 1",
    "long-number.yaml": b"batch_size: " + b"9" * 5000,
    "deep.yaml": b"a: " + b"[" * 2000,
    "deep-block.yaml": b"".join(b" " * i + b"a:\n" for i in range(600)),
    "tab.yaml": b"a:\n\t- b",
    "cut.yaml": b'a: "never closed',
    "anchor-twice.yaml": b"&a a: &a *a",
    "large.yaml": b"name: " + b"x" * 2**21,
    "deep.json": b'{"a":' * 3000,
    "long-number.json": b'{"a": ' + b"9" * 5000 + b"}",
    "surrogate.json": b'{"name": "\\ud800"}',
    "surrogate-name.json": b'{"\\udc80": 1}',
    "junk.json": b'{"a": 1} {}',
    "list.json": b"[1]",
    "utf16.json": '{"a": 1}'.encode("utf-16"),
    "empty.json": b"",
}


def read(path: Path) -> None:
    try:
        values = read_config_file(path)
    except ConfigError as error:
        assert path.name in str(error)
        raise
    PretrainConfig.build(values)


@pytest.mark.parametrize("name", BAD)
def test_a_damaged_file_of_options_is_refused_by_its_name(tmp_path, name):
    (tmp_path / name).write_bytes(BAD[name])
    with at_most_bytes(50 * 2**20), pytest.raises(ConfigError) as refusal:
        read_config_file(tmp_path / name)
    assert name in str(refusal.value)
    assert len(str(refusal.value).encode()) < 700


@pytest.mark.parametrize("count", MANY)
@pytest.mark.parametrize(("name", "whole"), [("a.yaml", YAML), ("a.json", JSON)])
def test_no_damage_raises_anything_but_a_refusal(tmp_path, name, whole, count):
    path = tmp_path / name

    def given(data):
        path.write_bytes(data)
        read(path)

    given(whole)
    _, refused = outcomes(given, damaged(whole, count), ConfigError)
    assert refused > count // 3


@pytest.mark.parametrize("depth", [50, 150, 240, 300, 450, 600, 900, 960, 980])
@pytest.mark.parametrize("name", ["a.yaml", "a.json"])
def test_deep_values_are_refused_at_any_depth(tmp_path, name, depth):
    (tmp_path / name).write_text('{"batch_size": ' + "[" * depth + "]" * depth + "}")
    with pytest.raises(ConfigError):
        read(tmp_path / name)


def test_an_alias_of_one_value_is_read(tmp_path):
    (tmp_path / "a.yaml").write_bytes(YAML)
    assert read_config_file(tmp_path / "a.yaml")["log_every"] == 2


def test_what_is_no_file_is_refused_without_waiting_for_it(tmp_path):
    os.mkfifo(tmp_path / "pipe.yaml")
    for path in (tmp_path / "pipe.yaml", tmp_path, Path("/dev/zero"), tmp_path / "absent.yaml", tmp_path / ("n" * 300)):
        with pytest.raises(ConfigError, match="cannot be read"):
            read_config_file(path)
