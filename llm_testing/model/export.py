"""A GPT as a folder that transformers loads: GPT2LMHeadModel weights, config and tokenizer."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from llm_testing.config.shapes import Shape
from llm_testing.model.gpt import GPT


def export_gpt2(model: GPT, tokenizer_json: str, end_id: int, to: Path) -> None:
    """Write a transformers folder whose logits equal the model's.

    Args:
        tokenizer_json: the tokenizer in the form of the tokenizers library.
        end_id: the token that separates documents; begins and ends texts.
        to: an existing, empty folder.
    """
    # transformers takes seconds to import, and only an export needs it.
    from tokenizers import Tokenizer  # noqa: PLC0415
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast  # noqa: PLC0415
    from transformers.utils.logging import disable_progress_bar  # noqa: PLC0415

    disable_progress_bar()  # what is going on is said by whoever asked for the export
    shape = model.shape
    config = GPT2Config(**gpt2_config(shape, model.dropout), bos_token_id=end_id, eos_token_id=end_id)
    with torch.device("meta"):
        exported = GPT2LMHeadModel(config)
    exported.load_state_dict(gpt2_tensors(model), assign=True)
    exported.tie_weights()
    exported.save_pretrained(to)
    fast = Tokenizer.from_str(tokenizer_json)
    end = fast.id_to_token(end_id)
    PreTrainedTokenizerFast(
        tokenizer_object=fast,
        bos_token=end,
        eos_token=end,
        unk_token=end if fast.token_to_id("<|unk|>") is None else "<|unk|>",
        model_max_length=shape.context_length,
        clean_up_tokenization_spaces=False,
    ).save_pretrained(to)


def gpt2_config(shape: Shape, dropout: float) -> dict[str, Any]:
    """What the config.json of an exported model says of its size."""
    return {
        "vocab_size": shape.vocab_size,
        "n_positions": shape.context_length,
        "n_embd": shape.n_embd,
        "n_layer": shape.n_layer,
        "n_head": shape.n_head,
        "activation_function": "gelu_new",
        "resid_pdrop": dropout,
        "embd_pdrop": dropout,
        "attn_pdrop": dropout,
        "tie_word_embeddings": shape.tie_embeddings,
    }


def gpt2_tensors(model: GPT) -> dict[str, Tensor]:
    """The model's tensors under GPT-2's names; its projections are stored the other way round (Conv1D)."""
    ours = {name: tensor.detach().cpu() for name, tensor in model.state_dict().items()}
    tensors = {
        "transformer.wte.weight": ours["token_embedding.weight"],
        "transformer.wpe.weight": ours["position_embedding.weight"],
        "transformer.ln_f.weight": ours["norm.weight"],
        "transformer.ln_f.bias": ours["norm.bias"],
        "lm_head.weight": ours["head.weight"],
    }
    for layer in range(model.shape.n_layer):
        own, theirs = f"blocks.{layer}.", f"transformer.h.{layer}."
        for mine, name in (("norm_1", "ln_1"), ("norm_2", "ln_2")):
            tensors[f"{theirs}{name}.weight"] = ours[f"{own}{mine}.weight"]
            tensors[f"{theirs}{name}.bias"] = ours[f"{own}{mine}.bias"]
        for mine, name in (
            ("attention.qkv", "attn.c_attn"),
            ("attention.proj", "attn.c_proj"),
            ("mlp_in", "mlp.c_fc"),
            ("mlp_out", "mlp.c_proj"),
        ):
            weight = ours[f"{own}{mine}.weight"]
            bias = ours.get(f"{own}{mine}.bias", torch.zeros(weight.size(0), dtype=weight.dtype))
            tensors[f"{theirs}{name}.weight"] = weight.t().contiguous()
            tensors[f"{theirs}{name}.bias"] = bias
    return tensors
