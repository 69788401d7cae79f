"""A model's folder is looked at before anything in it is loaded."""

import json

import pytest

from llm_testing.errors import DataError
from llm_testing.model.base_files import check_folder, num_weights
from tests.data.tiny_model import tiny_model


@pytest.fixture
def folder(tmp_path):
    return tiny_model(tmp_path / "model")


def change(path, **values):
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_a_plain_folder_is_fine_and_its_numbers_are_counted(folder):
    assert check_folder(folder)["model_type"] == "llama"
    table = json.loads((folder / "config.json").read_text())
    assert num_weights(folder) > table["vocab_size"] * table["hidden_size"]


@pytest.mark.parametrize(
    ("file", "values", "message"),
    [
        ("config.json", {"auto_map": {"AutoModel": "model.Own"}}, "asks for code of the model's own"),
        ("tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["x", None]}}, "asks for code of the model's own"),
        ("tokenizer_config.json", {"vocab_file": "/etc/passwd"}, "names '/etc/passwd', which is not a file in its"),
        ("tokenizer_config.json", {"tokenizer_file": "../x.json"}, "names '../x.json'"),
        ("tokenizer_config.json", {"chat_template": [{"name": "../x", "template": "y"}]}, "names '../x'"),
    ],
)
def test_what_reaches_out_of_the_folder_is_refused(folder, file, values, message):
    change(folder / file, **values)
    with pytest.raises(DataError, match=message):
        check_folder(folder)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({"a": "../other/model.safetensors"}, "names '../other/model.safetensors', which is not a file"),
        ({"a": "/etc/passwd"}, "names '/etc/passwd'"),
        ({"a": "model-00001-of-00002.safetensors"}, "lacks model-00001-of-00002.safetensors"),
        ({}, "names no weights"),
    ],
)
def test_an_index_names_files_of_the_folder_alone(folder, names, message):
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))
    with pytest.raises(DataError, match=message):
        check_folder(folder)


def test_pickles_are_not_read(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(DataError, match="are pickles, which can run code .* Only safetensors are read here"):
        check_folder(folder)


def test_a_folder_without_a_model_says_what_is_missing(tmp_path):
    with pytest.raises(DataError, match="has no config.json"):
        check_folder(tmp_path)
    (tmp_path / "config.json").write_text("[1]")
    with pytest.raises(DataError, match="config.json of .* cannot be read: it is no set of names and values"):
        check_folder(tmp_path)
