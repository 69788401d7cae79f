"""Open models whose config.json is known here, so that an estimate needs no network.

Where figures come from: `transformers` means its own configuration class's defaults, which are that model's (a test
compares them); `public` means the config.json that the model's publisher shows, typed in and not checked against the
Hub from here.
"""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class KnownModel:
    """A model on the Hub.

    Args:
        hub_ids: its names there, mirrors with the same config too.
        config: what its config.json says, as far as it decides shapes.
        source: "transformers" or "public", as above.
    """

    hub_ids: tuple[str, ...]
    config: dict[str, Any]
    source: str


def _llama_like(
    model_type: str, vocab: int, width: int, mlp: int, layers: int, heads: int, kv_heads: int, tied: bool, **more: Any
) -> dict[str, Any]:
    return {
        "model_type": model_type,
        "vocab_size": vocab,
        "hidden_size": width,
        "intermediate_size": mlp,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": kv_heads,
        "tie_word_embeddings": tied,
        **more,
    }


_LONG = {"max_position_embeddings": 131_072}
_LONGER_QWEN = {"max_position_embeddings": 32_768}
KNOWN_MODELS = (
    KnownModel(
        ("HuggingFaceTB/SmolLM2-135M-Instruct", "HuggingFaceTB/SmolLM2-135M"),
        _llama_like("llama", 49_152, 576, 1536, 30, 9, 3, True, max_position_embeddings=8192),
        "public",
    ),
    KnownModel(
        ("Qwen/Qwen2.5-0.5B-Instruct", "Qwen/Qwen2.5-0.5B", "unsloth/Qwen2.5-0.5B-Instruct"),
        _llama_like("qwen2", 151_936, 896, 4864, 24, 14, 2, True, **_LONGER_QWEN),
        "public",
    ),
    KnownModel(
        ("Qwen/Qwen2.5-7B-Instruct", "unsloth/Qwen2.5-7B-Instruct"),
        _llama_like("qwen2", 152_064, 3584, 18_944, 28, 28, 4, False, **_LONGER_QWEN),
        "public",
    ),
    KnownModel(
        ("Qwen/Qwen2.5-14B-Instruct", "unsloth/Qwen2.5-14B-Instruct"),
        _llama_like("qwen2", 152_064, 5120, 13_824, 48, 40, 8, False, **_LONGER_QWEN),
        "public",
    ),
    KnownModel(
        ("Qwen/Qwen3-0.6B", "unsloth/Qwen3-0.6B"),
        _llama_like("qwen3", 151_936, 1024, 3072, 28, 16, 8, True, head_dim=128, max_position_embeddings=40_960),
        "public",
    ),
    KnownModel(
        ("meta-llama/Llama-3.2-1B-Instruct", "unsloth/Llama-3.2-1B-Instruct"),
        _llama_like("llama", 128_256, 2048, 8192, 16, 32, 8, True, head_dim=64, **_LONG),
        "public",
    ),
    KnownModel(
        ("meta-llama/Llama-3.1-8B-Instruct", "unsloth/Meta-Llama-3.1-8B-Instruct", "unsloth/Llama-3.1-8B-Instruct"),
        _llama_like("llama", 128_256, 4096, 14_336, 32, 32, 8, False, **_LONG),
        "public",
    ),
    KnownModel(
        ("mistralai/Mistral-7B-v0.1",),
        _llama_like("mistral", 32_000, 4096, 14_336, 32, 32, 8, False, sliding_window=4096),
        "transformers",
    ),
    KnownModel(
        ("google/gemma-3-1b-it", "unsloth/gemma-3-1b-it"),
        {
            **_llama_like("gemma3_text", 262_144, 1152, 6912, 26, 4, 1, True, head_dim=256, sliding_window=512),
            "max_position_embeddings": 32_768,
            "layer_types": [("full" if layer % 6 == 5 else "sliding") + "_attention" for layer in range(26)],
        },
        "public",
    ),
    KnownModel(
        ("microsoft/Phi-3-mini-4k-instruct",),
        _llama_like("phi3", 32_064, 3072, 8192, 32, 32, 32, False, max_position_embeddings=4096),
        "transformers",
    ),
    KnownModel(
        ("openai-community/gpt2", "gpt2"),
        {"model_type": "gpt2", "vocab_size": 50_257, "n_embd": 768, "n_layer": 12, "n_head": 12, "n_positions": 1024},
        "transformers",
    ),
    KnownModel(
        ("mistralai/Mixtral-8x7B-v0.1",),
        _llama_like("mixtral", 32_000, 4096, 14_336, 32, 32, 8, False, num_local_experts=8, num_experts_per_tok=2),
        "transformers",
    ),
)


def known_config(name: str) -> dict[str, Any] | None:
    """The config of a model of this table by its name on the Hub, upper and lower case alike."""
    return next((m.config for m in KNOWN_MODELS if name.lower() in (i.lower() for i in m.hub_ids)), None)
