"""Damaged models: whatever stands in a folder or GGUF file, it is loaded or refused by the name of the file."""

import json
import os
import shutil
import struct

import pytest
import torch
from safetensors.torch import load_file, save_file

from llm_testing.config.finetune import FinetuneConfig
from llm_testing.errors import ConfigError, DamagedFile, DamagedRun, DataError, UserError
from llm_testing.model.adapters import trained_in
from llm_testing.model.base_files import check_folder, check_settings, num_weights
from llm_testing.model.base_model import gguf_to_folder, load_base
from llm_testing.model.chat_tokenizer import ChatTokenizer
from llm_testing.model.device import find_device
from llm_testing.model.gguf_file import why_not, write_gguf
from llm_testing.model.open_model import read_config
from tests.damage import MANY, at_most_bytes, damaged, outcomes
from tests.data.tiny_model import tiny_model

pytestmark = [
    pytest.mark.filterwarnings("ignore:Casting complex values"),
    # transformers says this of vocabularies that name other special tokens than its settings.
    pytest.mark.filterwarnings("ignore::UserWarning:transformers"),
]
TUNING = FinetuneConfig.build({"precision": "fp32"})
CPU = find_device("cpu")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("whole") / "model", begin=True)


@pytest.fixture
def folder(whole, tmp_path):
    return shutil.copytree(whole, tmp_path / "model")


@pytest.fixture(scope="module")
def gguf(whole):
    pytest.importorskip("gguf")
    file = whole.parent / "whole.gguf"
    write_gguf(whole, file, "whole")
    return file.read_bytes()


def look(folder):
    """What is asked of a model's folder before Start."""
    read_config(check_folder(folder))
    num_weights(folder)


def speak(folder):
    """What is asked of its tokenizer."""
    check_settings(folder)
    tokenizer = ChatTokenizer(folder)
    ids, _ = tokenizer.encode("hello there \u00e9")
    tokenizer.decode(ids[:3])
    tokenizer.byte_lengths()
    assert tokenizer.template is None or isinstance(tokenizer.template, str)
    assert all(isinstance(token, str) for token in tokenizer.named_tokens.values())


def load(folder):
    load_base(folder, TUNING, CPU)


CASES = [
    ("config.json", look), ("tokenizer_config.json", look), ("model.safetensors", look), ("tokenizer.json", speak),
    ("tokenizer_config.json", speak), ("chat_template.jinja", speak), ("generation_config.json", speak),
]  # fmt: skip


@pytest.mark.parametrize("count", MANY)
@pytest.mark.parametrize(("name", "read"), CASES, ids=[f"{name}-{read.__name__}" for name, read in CASES])
def test_no_damage_to_a_models_file_raises_anything_but_a_refusal(folder, name, read, count):
    file = folder / name

    def given(data):
        file.write_bytes(data)
        read(folder)

    good = file.read_bytes()
    given(good)
    outcomes(given, damaged(good, count), UserError)


@pytest.mark.parametrize("count", [12, pytest.param(400, marks=[pytest.mark.slow, pytest.mark.timeout(3000)])])
@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_damaged_model_is_not_loaded(folder, name, count):
    file = folder / name
    good = file.read_bytes()
    header = good[: 8 + struct.unpack_from("<Q", good)[0]] if name == "model.safetensors" else good

    def given(data):
        file.write_bytes(data + good[len(header) :])
        load(folder)

    outcomes(given, damaged(header, count, seed=3), UserError)


@pytest.mark.parametrize("count", MANY)
def test_no_damage_to_weights_of_a_run_raises_anything_but_a_refusal(tmp_path, count):
    file = tmp_path / "step-00000001" / "model.safetensors"
    file.parent.mkdir()
    save_file({"a": torch.ones(3, 4), "b": torch.zeros(5, dtype=torch.bfloat16)}, file)

    def given(data):
        file.write_bytes(data)
        trained_in(file)

    _, refused = outcomes(given, damaged(file.read_bytes(), count), DamagedRun)
    assert refused > count // 4


def tensors(header: bytes, data: bytes = b"", length: int | None = None) -> bytes:
    return struct.pack("<Q", len(header) if length is None else length) + header + data


def entry(dtype="F32", shape=(1,), offsets=(0, 4)) -> bytes:
    return json.dumps({"a": {"dtype": dtype, "shape": shape, "data_offsets": offsets}}).encode()


BAD_SAFETENSORS = {
    "empty": b"",
    "seven bytes": b"\1" * 7,
    "a header of 2**63": tensors(b"{}", length=2**63),
    "a header of 2**40": tensors(b"{}", length=2**40),
    "a header beyond the end": tensors(b"{}", length=100),
    "no JSON": tensors(b"{]"),
    "no UTF-8": tensors(b'{"\xff": 1}'),
    "a list": tensors(b"[1]"),
    "deep": tensors(b'{"a":' * 10_000),
    "a long number": tensors(b'{"a": ' + b"9" * 5000 + b"}"),
    "a shape of 2**62": tensors(entry(shape=(2**62,)), bytes(4)),
    "a product that overflows": tensors(entry(shape=(2**40, 2**40)), bytes(4)),
    "a negative shape": tensors(entry(shape=(-1,)), bytes(4)),
    "offsets that cross": tensors(entry(offsets=(4, 0)), bytes(4)),
    "offsets beyond the end": tensors(entry(offsets=(0, 2**40)), bytes(4)),
    "an unknown dtype": tensors(entry(dtype="F33"), bytes(4)),
    "cut": tensors(entry(), bytes(2)),
    "trailing bytes": tensors(entry(), bytes(40)),
    "metadata that is no text": tensors(b'{"__metadata__": {"format": 5}}'),
    "a pickle": b"\x80\x04cos\nsystem\n(S'true'\ntR.",
    "a zip": b"PK\3\4" + bytes(100),
}


@pytest.mark.parametrize("name", BAD_SAFETENSORS)
def test_damaged_weights_are_refused_by_their_name(folder, tmp_path, name):
    file = folder / "model.safetensors"
    file.write_bytes(BAD_SAFETENSORS[name])
    with at_most_bytes(60 * 2**20):
        for read, refusal in ((num_weights, DamagedFile), (load, DamagedFile)):
            with pytest.raises(refusal, match="model.safetensors of model cannot be read"):
                read(folder)
        with pytest.raises(DamagedRun, match="model.safetensors of model cannot be read"):
            trained_in(file)


DEEP = '{"a":' * 5000
BAD_JSON = {
    "empty": b"",
    "a list": b"[1]",
    "cut": b'{"model_type": "lla',
    "deep": DEEP.encode(),
    "a long number": b'{"model_type": "llama", "vocab_size": ' + b"9" * 5000 + b"}",
    "UTF-16": '{"model_type": "llama"}'.encode("utf-16"),
    "a byte order mark of UTF-16 alone": b"\xff\xfe",
    "no UTF-8": b'{"model_type": "\xff"}',
    "zeros": bytes(100),
    "junk after": b'{"model_type": "llama"}}',
    "text": b"not found",
}


@pytest.mark.parametrize("name", BAD_JSON)
@pytest.mark.parametrize("file", ["config.json", "tokenizer_config.json", "model.safetensors.index.json"])
def test_damaged_settings_are_refused_by_their_name(folder, file, name):
    (folder / file).write_bytes(BAD_JSON[name])
    with pytest.raises(DataError) as refusal:
        check_folder(folder)
    message = str(refusal.value)
    assert f"{file} of model cannot be read" in message and len(message) < 600


@pytest.mark.parametrize("name", [name for name in BAD_JSON if name != "a list"])
def test_a_damaged_tokenizer_is_refused_by_the_name_of_its_folder(folder, name):
    (folder / "tokenizer.json").write_bytes(BAD_JSON[name])
    with pytest.raises(DataError, match="tokenizer in model"):
        ChatTokenizer(folder)
    with pytest.raises(DataError, match="tokenizer.json"):
        why_not(folder)


BAD_CONFIGS = {
    "a billion layers": {"num_hidden_layers": 10**9},
    "a billion layers with a list of kinds": {"model_type": "qwen3", "num_hidden_layers": 10**9},
    "negative layers": {"num_hidden_layers": -1},
    "layers that are text": {"num_hidden_layers": "2"},
    "a huge width": {"hidden_size": 2**20, "head_dim": 8},
    "a width beyond 64 bits": {"hidden_size": 2**64},
    "a huge vocabulary": {"vocab_size": 2**31},
    "no width": {"hidden_size": None},
    "no heads": {"num_attention_heads": 0},
    "an unknown kind": {"model_type": "no-such-model"},
    "a kind that is a list": {"model_type": ["llama"]},
    "no kind": {"model_type": None},
    "a strange activation": {"hidden_act": "os.system"},
    "a rope that is text": {"rope_parameters": "all of it"},
    "a nested config that is text": {"text_config": "x"},
    "infinite numbers": {"rms_norm_eps": float("inf"), "hidden_size": float("nan")},
    "a dtype that is none": {"dtype": "float33", "torch_dtype": 7},
    "an end that is text": {"eos_token_id": "x", "pad_token_id": [1, "x"]},
    "foreign quantisation": {"quantization_config": {"quant_method": "gptq", "bits": 4}},
    "quantisation that is text": {"quantization_config": "4"},
    "an architecture that is none": {"architectures": 5},
}


LOADED = ("an end that is text", "an architecture that is none", "a dtype that is none")
"""What transformers does not look at."""


@pytest.mark.parametrize("name", BAD_CONFIGS)
def test_a_config_that_lies_is_refused_before_it_takes_memory(folder, name):
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **BAD_CONFIGS[name]}))
    with at_most_bytes(120 * 2**20):
        try:
            load(folder)
        except (DataError, ConfigError) as refusal:
            assert 30 < len(str(refusal)) < 600
        else:
            assert name in LOADED


def test_weights_that_lack_a_tensor_are_not_made_up(folder):
    file = folder / "model.safetensors"
    kept = load_file(file)
    del kept["model.layers.1.mlp.up_proj.weight"]
    save_file(kept, file, metadata={"format": "pt"})
    with pytest.raises(DamagedFile, match="lack model.layers.1.mlp.up_proj.weight"):
        load(folder)


def test_pipes_and_folders_in_place_of_files_are_not_waited_for(folder):
    for name in ("extra.safetensors", "generation_config.json"):
        (folder / name).unlink(missing_ok=True)
        os.mkfifo(folder / name)
    with pytest.raises(DamagedFile, match="extra.safetensors of model cannot be read: it is no regular file"):
        num_weights(folder)
    assert ChatTokenizer(folder).end_id in ChatTokenizer(folder).stop_ids
    for name in ("config.json", "tokenizer.json"):
        (folder / name).unlink()
        os.mkfifo(folder / name)
    with pytest.raises(DataError):
        check_settings(folder)
    with pytest.raises(DataError):
        ChatTokenizer(folder)


def test_a_token_number_of_four_billion_takes_no_memory_for_it(folder):
    file = folder / "tokenizer.json"
    table = json.loads(file.read_text())
    table["model"]["vocab"]["hello"] = 2**32 - 2
    file.write_text(json.dumps(table))
    with at_most_bytes(100 * 2**20), pytest.raises(DamagedFile, match="tokenizer in model .* token number"):
        ChatTokenizer(folder).byte_lengths()


def packed(text: bytes) -> bytes:
    return struct.pack("<Q", len(text)) + text


def gguf_of(*values: bytes, num_tensors: int = 0, num_values: int | None = None, version: int = 3) -> bytes:
    count = len(values) if num_values is None else num_values
    return b"GGUF" + struct.pack("<LQQ", version, num_tensors, count) + b"".join(values)


ARCH = packed(b"general.architecture") + struct.pack("<L", 8) + packed(b"llama")
HUGE = packed(b"general.x") + struct.pack("<LLQ", 9, 0, 2**60)
TENSOR = packed(b"token_embd.weight")
BAD_GGUF = {
    "empty": b"",
    "magic alone": b"GGUF",
    "another magic": b"GGML" + bytes(60),
    "version 1": gguf_of(ARCH, version=1),
    "version 2**31": gguf_of(ARCH, version=2**31),
    "2**60 values": gguf_of(ARCH, num_values=2**60),
    "2**60 tensors": gguf_of(ARCH, num_tensors=2**60),
    "2**63 tensors": gguf_of(ARCH, num_tensors=2**63),
    "an array of 2**60 bytes": gguf_of(ARCH, HUGE),
    "an array of 2**60 texts": gguf_of(ARCH, packed(b"x") + struct.pack("<LLQ", 9, 8, 2**60)),
    "an array of 2**60 arrays": gguf_of(ARCH, packed(b"x") + struct.pack("<LLQ", 9, 9, 2**60)),
    "arrays without end": gguf_of(ARCH, packed(b"x") + struct.pack("<L", 9) + struct.pack("<LQ", 9, 1) * 50_000),
    "a text of 2**63": gguf_of(ARCH, packed(b"x") + struct.pack("<LQ", 8, 2**63)),
    "a name of 2**40": gguf_of(ARCH, struct.pack("<Q", 2**40)),
    "a name that is not UTF-8": gguf_of(ARCH, packed(b"\xff\xfe") + struct.pack("<LB", 0, 1)),
    "an unknown type": gguf_of(ARCH, packed(b"x") + struct.pack("<L", 99)),
    "twins": gguf_of(ARCH, ARCH),
    "no architecture": gguf_of(packed(b"x") + struct.pack("<LB", 0, 1)),
    "an architecture of the wrong type": gguf_of(packed(b"general.architecture") + struct.pack("<LL", 4, 7)),
    "an alignment of 0": gguf_of(ARCH, packed(b"general.alignment") + struct.pack("<LL", 4, 0)),
    "a tensor of 2**32 dimensions": gguf_of(ARCH, TENSOR + struct.pack("<L", 2**32 - 1), num_tensors=1, num_values=1),
    "a tensor of 2**62 numbers": gguf_of(
        ARCH, TENSOR + struct.pack("<LQQLQ", 2, 2**31, 2**31, 0, 0), num_tensors=1, num_values=1
    ),
    "a tensor of an unknown kind": gguf_of(
        ARCH, TENSOR + struct.pack("<LQLQ", 1, 4, 999, 0), bytes(64), num_tensors=1, num_values=1
    ),
    "a tensor beyond the end": gguf_of(
        ARCH, TENSOR + struct.pack("<LQLQ", 1, 4, 0, 2**40), bytes(64), num_tensors=1, num_values=1
    ),
}


@pytest.mark.parametrize("name", BAD_GGUF)
def test_a_damaged_gguf_file_is_refused_by_its_name(tmp_path, name):
    pytest.importorskip("gguf")
    file = tmp_path / "bad.gguf"
    file.write_bytes(BAD_GGUF[name])
    with at_most_bytes(60 * 2**20), pytest.raises(DataError, match="bad.gguf .*GGUF") as refusal:
        gguf_to_folder(file, tmp_path / "out")
    assert len(str(refusal.value)) < 600


@pytest.mark.parametrize(("key", "value"), [("block_count", 2**31 - 1), ("embedding_length", 2**24)])
def test_a_gguf_file_that_lies_of_its_shape_is_refused(gguf, tmp_path, key, value):
    at = gguf.index(f"llama.{key}".encode()) + len(f"llama.{key}") + 4
    file = tmp_path / "lies.gguf"
    file.write_bytes(gguf[:at] + struct.pack("<L", value) + gguf[at + 4 :])
    with at_most_bytes(120 * 2**20), pytest.raises(DataError, match="lies.gguf"):
        gguf_to_folder(file, tmp_path / "out")


@pytest.mark.parametrize("count", [30, pytest.param(3000, marks=[pytest.mark.slow, pytest.mark.timeout(3000)])])
def test_no_damage_to_a_gguf_file_raises_anything_but_a_refusal(gguf, tmp_path, count):
    file, numbers = tmp_path / "a.gguf", iter(range(10**6))
    header = gguf[: gguf.rindex(b".weight") + 80]

    def given(data):
        file.write_bytes(data + gguf[len(header) :])
        gguf_to_folder(file, tmp_path / f"out-{next(numbers)}")

    _, refused = outcomes(given, damaged(header, count), DataError)
    assert refused > count // 2


def test_a_pipe_that_is_called_gguf_is_not_waited_for(tmp_path):
    pytest.importorskip("gguf")
    os.mkfifo(tmp_path / "pipe.gguf")
    with pytest.raises(DataError, match="pipe.gguf cannot be read: it is no regular file"):
        gguf_to_folder(tmp_path / "pipe.gguf", tmp_path / "out")
