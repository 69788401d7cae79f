"""Options that arrive as text: flags, query strings and files mean the same as typed values."""

import json
from pathlib import Path

import pytest

from llm_testing.config.option import Option, options_of
from llm_testing.config.pretrain import PretrainConfig
from llm_testing.config.text import parse_text, parse_texts, read_config_file
from llm_testing.errors import ConfigError

OPTIONS = options_of(PretrainConfig)


def as_text(value: object) -> str | list[str]:
    return list(value) if isinstance(value, tuple) else "" if value is None else str(value)


@pytest.mark.parametrize("option", OPTIONS.values(), ids=OPTIONS)
def test_a_default_survives_being_written_and_read(option: Option):
    assert parse_text(option, as_text(option.default)) == option.default


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("batch_size", "8", 8),
        ("max_steps", "10_000", 10_000),
        ("max_steps", "none", None),
        ("learning_rate", "3e-4", 3e-4),
        ("learning_rate", "1", 1.0),
        ("tie_embeddings", "Yes", True),
        ("tie_embeddings", "0", False),
        ("sample_prompts", "one", ("one",)),
        ("sample_prompts", ["one", "two, three"], ("one", "two, three")),
        ("batch_size", ["8", "16"], 16),
        ("name", "none", "none"),
        ("corpus", "1e3", "1e3"),
    ],
)
def test_text_becomes_the_value_it_means(name: str, text: str | list[str], value: object):
    assert parse_text(OPTIONS[name], text) == value


@pytest.mark.parametrize("text", ["", "8.0", "eight", "0x8", "1e3", "nan", "8 9"])
def test_text_that_is_no_whole_number_is_refused_in_the_options_words(text: str):
    with pytest.raises(ConfigError) as caught:
        parse_texts(OPTIONS, [("batch_size", text)])
    assert [problem.field for problem in caught.value.problems] == ["batch_size"]
    assert caught.value.problems[0].message == (f"Batch size takes a whole number from 1 to 4,096; received {text!r}.")


def test_every_bad_text_is_named_at_once():
    with pytest.raises(ConfigError) as caught:
        parse_texts(OPTIONS, [("batch_size", "x"), ("dropot", "1"), ("tf32", "maybe"), ("seed", "1")])
    assert [problem.field for problem in caught.value.problems] == ["batch_size", "dropot", "tf32"]


@pytest.mark.parametrize("text", ["3e-4", "3E-4", "0.0003", "3.0e-4", "+3e-4", ".3e-3"])
def test_yaml_reads_a_learning_rate_as_a_number(tmp_path: Path, text: str):
    file = tmp_path / "run.yaml"
    file.write_text(f"learning_rate: {text}\ngrad-accum-steps: 2\nname: 1e\nsample_prompts: [a, b]\n", encoding="utf-8")
    values = read_config_file(file)
    assert values == {
        "learning_rate": pytest.approx(3e-4), "grad_accum_steps": 2, "name": "1e", "sample_prompts": ["a", "b"]
    }  # fmt: skip
    assert PretrainConfig.build(values).sample_prompts == ("a", "b")


def test_a_saved_config_in_json_is_read_back_as_it_was(tmp_path: Path):
    config = PretrainConfig(learning_rate=1e-3, sample_prompts=("x",), tie_embeddings=True)
    file = tmp_path / "config.json"
    file.write_text(json.dumps(config.model_dump()), encoding="utf-8")
    assert PretrainConfig.build(read_config_file(file)) == config


def test_an_empty_file_sets_nothing(tmp_path: Path):
    file = tmp_path / "run.yaml"
    file.write_text("# nothing\n", encoding="utf-8")
    assert read_config_file(file) == {}


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("missing.yaml", None, "cannot be read"),
        ("list.yaml", b"- a\n- b\n", "holds list, but takes option names and values"),
        ("numbers.yaml", b"1: 2\n", "takes option names and values"),
        ("broken.yaml", b"a: [1,\n", "is not YAML or JSON"),
        ("broken.json", b'{"a": ', "is not YAML or JSON"),
        ("code.yaml", b"a: !!python/object/apply:os.getcwd []\n", "is not YAML or JSON"),
        ("binary.yaml", b"\xff\xfe\x00\x81", "is not YAML or JSON"),
    ],
)
def test_a_file_that_is_no_config_is_refused_by_name(tmp_path: Path, name: str, content: bytes | None, says: str):
    file = tmp_path / name
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        read_config_file(file)
    problem = caught.value.problems[0]
    assert problem.field == "config" and name in problem.message and says in problem.message
    assert "\n" not in problem.message
