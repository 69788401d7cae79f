"""A model's folder as one GGUF file, the form of llama.cpp, for the kinds of model and tokenizer that are known here.

Names of tensors come from the package gguf, which llama.cpp publishes; what else its converter does to a Llama, a Qwen
or a GPT-2 is done here. Everything else is converted by llama.cpp itself, and the refusal says with which command.

Source: llama.cpp, convert_hf_to_gguf.py (LlamaModel, Qwen2Model, GPT2Model).
"""

import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from llm_testing.config.foreign import read_object, reading
from llm_testing.errors import UserError
from llm_testing.model.base_files import MAX_JSON_BYTES
from llm_testing.model.foreign_models import TOKENIZER
from llm_testing.model.tensor_files import open_tensors

KINDS = {"llama": "llama", "mistral": "llama", "qwen2": "qwen2", "qwen3": "qwen3", "gpt2": "gpt2"}
"""GGUF's name of each model_type that is written here."""
_SPLITS = {
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|"
    "\\s+(?!\\S)|\\s+": "qwen2",
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|"
    "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+": "llama-bpe",
}
"""llama.cpp's name of a way to cut text before its merges, by the pattern."""
_NORMAL, _CONTROL, _USER = 1, 3, 4


class NoGguf(UserError):
    """This model cannot be written as GGUF here; says how llama.cpp does it."""


def why_not(folder: Path) -> str | None:
    """Why a folder cannot be written as GGUF here, without a sentence's end; None where it can."""
    if importlib.util.find_spec("gguf") is None:
        return "the package gguf is not installed (pip install gguf)"
    kind = read_object(folder / "config.json", MAX_JSON_BYTES).get("model_type")
    if not isinstance(kind, str) or kind not in KINDS:
        return f"models of the kind {kind} are left to llama.cpp's own converter"
    if _split_name(folder) is None:
        return "its tokenizer is of a kind that is left to llama.cpp's own converter"
    return None


def by_llama_cpp() -> str:
    """How llama.cpp itself does it."""
    return (
        "llama.cpp converts it: python -m llm_testing export RUN_ID --form merged --to merged && "
        "python llama.cpp/convert_hf_to_gguf.py merged --outfile model.gguf --outtype auto"
    )


def refuse_gguf(folder: Path) -> None:
    """Refuse a model that cannot be written as GGUF here, with what llama.cpp does about it.

    Args:
        folder: has the model's config.json and tokenizer.

    Raises:
        NoGguf: saying why.
    """
    if (reason := why_not(folder)) is not None:
        raise NoGguf(f"This model cannot be written as GGUF here: {reason}. {by_llama_cpp()}")


def write_gguf(folder: Path, file: Path, name: str) -> None:
    """Write a model's folder as GGUF: matrices in bf16 where they are, else in f16; vectors in f32.

    Args:
        folder: config.json, tokenizer.json and safetensors, as transformers writes them.
        name: what the file calls the model.

    Raises:
        NoGguf: for a kind of model or tokenizer that is not written here.
    """
    refuse_gguf(folder)
    import gguf  # noqa: PLC0415  (an optional package)

    config = read_object(folder / "config.json", MAX_JSON_BYTES)
    kind = KINDS[config["model_type"]]
    writer = gguf.GGUFWriter(str(file), kind)
    try:
        writer.add_name(name)
        _add_shape(writer, config, kind)
        _add_tokenizer(writer, folder, config)
        arch = next(arch for arch, called in gguf.MODEL_ARCH_NAMES.items() if called == kind)
        names = gguf.get_tensor_name_map(arch, _layers(config))
        for tensor_name, tensor in _tensors(folder, config, kind):
            called = names.get_name(tensor_name, try_suffixes=(".weight", ".bias"))
            if called is None:
                raise NoGguf(f"GGUF has no name for {tensor_name}. {by_llama_cpp()}")
            _add_tensor(gguf, writer, called, tensor)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    finally:
        writer.close()


def _layers(config: dict[str, Any]) -> int:
    return config.get("num_hidden_layers") or config["n_layer"]


def _add_shape(writer: Any, config: dict[str, Any], kind: str) -> None:
    writer.add_block_count(_layers(config))
    writer.add_vocab_size(config["vocab_size"])
    if kind == "gpt2":
        writer.add_context_length(config["n_positions"])
        writer.add_embedding_length(config["n_embd"])
        writer.add_feed_forward_length(config.get("n_inner") or 4 * config["n_embd"])
        writer.add_head_count(config["n_head"])
        writer.add_layer_norm_eps(config.get("layer_norm_epsilon", 1e-5))
        return
    heads = config["num_attention_heads"]
    head_dim = config.get("head_dim") or config["hidden_size"] // heads
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(config.get("num_key_value_heads") or heads)
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base((config.get("rope_parameters") or config).get("rope_theta", 10000.0))
    writer.add_rope_dimension_count(head_dim)
    writer.add_key_length(head_dim)
    writer.add_value_length(head_dim)


def _add_tokenizer(writer: Any, folder: Path, config: dict[str, Any]) -> None:
    written = read_object(folder / "tokenizer.json", MAX_JSON_BYTES)
    settings = read_object(folder / "tokenizer_config.json", MAX_JSON_BYTES)
    added = {entry["id"]: entry for entry in written["added_tokens"]}
    by_id = {number: token for token, number in written["model"]["vocab"].items()}
    by_id |= {number: entry["content"] for number, entry in added.items()}
    tokens = [by_id.get(i, f"[PAD{i}]") for i in range(config["vocab_size"])]
    kinds = [(_CONTROL if added[i]["special"] else _USER) if i in added else _NORMAL for i in range(len(tokens))]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(_split_name(folder))
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    pairs = written["model"]["merges"]
    writer.add_token_merges([pair if isinstance(pair, str) else " ".join(pair) for pair in pairs])
    ids = {token: number for number, token in by_id.items()}
    for role, add in (
        ("bos_token", writer.add_bos_token_id),
        ("eos_token", writer.add_eos_token_id),
        ("unk_token", writer.add_unk_token_id),
        ("pad_token", writer.add_pad_token_id),
    ):
        token = settings.get(role)
        token = token.get("content") if isinstance(token, dict) else token
        if token in ids:
            add(ids[token])
    writer.add_add_bos_token("TemplateProcessing" in json.dumps(written.get("post_processor")))
    template = folder / "chat_template.jinja"
    source = template.read_text(encoding="utf-8") if template.is_file() else settings.get("chat_template")
    if isinstance(source, str):
        writer.add_chat_template(source)


def _split_name(folder: Path) -> str | None:
    """llama.cpp's name of how a byte-level BPE cuts text; None for any other tokenizer."""
    with reading(f"tokenizer.json of {folder.name}", TOKENIZER):
        return _split_of(folder)


def _split_of(folder: Path) -> str | None:
    written = read_object(folder / "tokenizer.json", MAX_JSON_BYTES)
    if written["model"].get("type") != "BPE" or written["model"].get("byte_fallback"):
        return None
    before = written.get("pre_tokenizer") or {}
    steps = before.get("pretokenizers", [before])
    kinds = [step.get("type") for step in steps]
    if kinds == ["ByteLevel"] and steps[0].get("use_regex", True):
        return "gpt-2"
    if kinds == ["Digits", "ByteLevel"] and steps[0].get("individual_digits"):
        return "smollm"
    if kinds == ["Split", "ByteLevel"]:
        return _SPLITS.get(steps[0].get("pattern", {}).get("Regex", ""))
    return None


def _tensors(folder: Path, config: dict[str, Any], kind: str) -> Iterator[tuple[str, Tensor]]:
    """Every tensor as GGUF lays it out, under the name that transformers gives it."""
    heads = config.get("num_attention_heads")
    for path in sorted(folder.glob("*.safetensors")):
        with open_tensors(path) as file:
            for name in file.keys():
                tensor = file.get_tensor(name)
                if kind == "gpt2":
                    if name.endswith((".attn.bias", ".attn.masked_bias")):
                        continue
                    if name.endswith((".c_attn.weight", ".c_proj.weight", ".c_fc.weight")):
                        tensor = tensor.t()  # Conv1D stores them the other way round
                elif kind == "llama" and name.endswith((".q_proj.weight", ".q_proj.bias")):
                    tensor = _interleaved(tensor, heads)
                elif kind == "llama" and name.endswith((".k_proj.weight", ".k_proj.bias")):
                    tensor = _interleaved(tensor, config.get("num_key_value_heads") or heads)
                yield name, tensor


def _interleaved(tensor: Tensor, heads: int) -> Tensor:
    """Rows of each head as llama.cpp rotates them: pairs side by side instead of half against half."""
    halves = tensor.reshape(heads, 2, tensor.shape[0] // heads // 2, *tensor.shape[1:])
    return halves.swapaxes(1, 2).reshape(tensor.shape)


def _add_tensor(gguf: Any, writer: Any, name: str, tensor: Tensor) -> None:
    if tensor.dim() == 1:
        writer.add_tensor(name, tensor.float().contiguous().numpy())
    elif tensor.dtype == torch.bfloat16:
        kind = gguf.GGMLQuantizationType.BF16
        raw = gguf.quants.quantize(tensor.float().contiguous().numpy(), kind)
        writer.add_tensor(name, raw, raw_dtype=kind)
    else:
        writer.add_tensor(name, tensor.contiguous().numpy().astype(np.float16))
