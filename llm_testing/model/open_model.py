"""Open models of transformers, made ready for fine-tuning: base, 4-bit weights, adapter, checkpointing.

`tuned` is the one place that says what is trained and how it is held in memory; fine-tuning trains what it gives, and
the estimator traces it. A model is made from its config alone (`from_config`) or comes loaded.
"""

import reprlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedConfig, masking_utils
from transformers.initialization import no_init_weights
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.pytorch_utils import Conv1D

from llm_testing.config.finetune import FinetuneConfig
from llm_testing.config.foreign import printable, reading
from llm_testing.config.models import TARGETS
from llm_testing.errors import ConfigError, Problem
from llm_testing.model.device import dtype_of
from llm_testing.model.foreign_models import MODEL, refuse_counts

PIECE = 1024
"""Positions whose logits are held at a time by the chunked loss."""
PER_LAYER = ("layer_types", "mlp_layer_types", "no_rope_layers")
"""Entries of a config that have one value for each layer."""


class OpenModel(nn.Module):
    """Tokens in, logits out, as our own GPT; inside is a model of transformers, perhaps with an adapter.

    Args:
        causal: the model of transformers itself, into which an adapter was put in place.
        chunked_loss: compute the loss a piece of the batch at a time, so that never all logits are there.
    """

    def __init__(self, inner: nn.Module, causal: nn.Module, chunked_loss: bool):
        super().__init__()
        self.inner = inner
        # A plain attribute: as a submodule its parameters would be listed twice.
        object.__setattr__(self, "causal", causal)
        self.chunked_loss = chunked_loss and _head_alone_makes_logits(causal.config)

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits (B, T, V) of tokens (B, T), or of packed ones with their positions, (2, B, T)."""
        return self.inner(**self._inputs(tokens), use_cache=False).logits

    def loss_sum(self, tokens: Tensor, y_BT: Tensor, at_N: Tensor | None = None) -> Tensor:
        """Summed cross-entropy in nats over the targets, those of -100 left out; a 0-dim tensor.

        Args:
            at_N: where in the flat targets those are that count: in fast mode no others get logits.
        """
        if not self.chunked_loss:
            return _cross_entropy(self(tokens).flatten(0, 1), y_BT.flatten())
        hidden_NC = self.causal.base_model(**self._inputs(tokens), use_cache=False).last_hidden_state.flatten(0, 1)
        y_N = y_BT.flatten()
        if at_N is not None:
            hidden_NC, y_N = hidden_NC.index_select(0, at_N), y_N.index_select(0, at_N)
        pieces = zip(hidden_NC.split(PIECE), y_N.split(PIECE), strict=True)
        if not torch.is_grad_enabled():
            return torch.stack([self._piece(h, y) for h, y in pieces]).sum()
        # Each piece's logits are thrown away and computed again in the backward pass.
        return torch.stack([checkpoint(self._piece, h, y, use_reentrant=False) for h, y in pieces]).sum()

    def logits_after(self, tokens: list[int], memory: dict) -> Tensor:
        """Logits (V) of what follows tokens; memory keeps what was computed of them before."""
        device = self.head.weight.device
        if len(tokens) > self.context_length:
            memory.clear()
            seen_BT = torch.tensor([tokens[-self.context_length :]], device=device)
            return self.inner(input_ids=seen_BT, use_cache=False, logits_to_keep=1).logits[0, -1]
        new_BT = torch.tensor([tokens[memory.get("length", 0) :]], device=device)
        out = self.inner(input_ids=new_BT, past_key_values=memory.get("cache"), use_cache=True, logits_to_keep=1)
        memory.update(cache=out.past_key_values, length=len(tokens))
        return out.logits[0, -1]

    @property
    def context_length(self) -> int:
        """How far back the model can look."""
        config = self.causal.config
        return getattr(config, "max_position_embeddings", None) or getattr(config, "n_positions", None) or 1 << 20

    @property
    def head(self) -> nn.Module:
        """The module that makes the logits."""
        return self.inner.get_output_embeddings()

    def _inputs(self, tokens: Tensor) -> dict[str, Tensor]:
        if tokens.dim() == 3:
            # Positions that begin again at 0 tell transformers where one example ends and the next begins.
            return {"input_ids": tokens[0], "position_ids": tokens[1]}
        # Padding stands at the end, where nothing that counts looks at it: no mask is needed for it.
        return {"input_ids": tokens}

    def _piece(self, hidden_NC: Tensor, y_N: Tensor) -> Tensor:
        return _cross_entropy(self.head(hidden_NC), y_N)


def _cross_entropy(logits_NV: Tensor, y_N: Tensor) -> Tensor:
    # In fp32 whatever the model computes in, as transformers' own loss.
    return functional.cross_entropy(logits_NV.float(), y_N, reduction="sum")


def _head_alone_makes_logits(config: PreTrainedConfig) -> bool:
    """Whether nothing is done to the logits after the head, as some models squash or scale them."""
    return not any(getattr(config, n, None) for n in ("final_logit_softcapping", "logits_scaling", "logit_scale"))


def read_config(values: dict[str, Any]) -> PreTrainedConfig:
    """A model's config from what its config.json says.

    Raises:
        ConfigError: for one that asks for code of its own, or of a kind that transformers does not know.
    """
    kind = printable(reprlib.repr(values.get("model_type")), 60)
    with reading(f"A config of model_type {kind}", MODEL, _refused_model):
        if values.get("auto_map") and values.get("model_type") not in CONFIG_MAPPING:
            raise _refused_model(
                f"A model of type {kind} brings its own code, which is never run here. Choose another."
            )
        refuse_counts(values)
        return AutoConfig.for_model(**values).get_text_config()


def _refused_model(message: str) -> ConfigError:
    return ConfigError([Problem("model_name", message)])


def with_layers(config: PreTrainedConfig, num_layers: int) -> PreTrainedConfig:
    """The same model with fewer layers."""
    config = type(config).from_dict(config.to_dict())
    config.num_hidden_layers = num_layers
    for name in PER_LAYER:
        if isinstance(getattr(config, name, None), list):
            setattr(config, name, getattr(config, name)[:num_layers])
    return config


def layer_period(config: PreTrainedConfig) -> int:
    """After how many layers their kinds repeat: 1 where all are alike, 6 for Gemma 3."""
    num_layers = config.num_hidden_layers
    lists = [kinds for name in PER_LAYER if isinstance(kinds := getattr(config, name, None), list)]
    repeats = (
        p for p in range(1, num_layers) if all(kinds[i] == kinds[i % p] for kinds in lists for i in range(len(kinds)))
    )
    return next(repeats, num_layers)


def from_config(config: PreTrainedConfig, tuning: FinetuneConfig) -> OpenModel:
    """A model without weights, on the meta device, ready for fine-tuning."""
    config = type(config).from_dict(config.to_dict())
    config._attn_implementation = attention_of(tuning)
    config.use_cache = False
    with no_init_weights(), torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, dtype=dtype_of(tuning.weights_dtype))
        # Leaving out the initialisation leaves out tying, too.
        model.tie_weights()
        if tuning.adapter == "qlora":
            quantize_without_data(model)
        return tuned(model, tuning)


def filled_with_zeros(config: PreTrainedConfig, tuning: FinetuneConfig, device: torch.device) -> OpenModel:
    """A model ready for fine-tuning that has no weights but zeros: it takes the memory of one that has."""
    model = from_config(config, tuning).to_empty(device=device)
    # Each of two modules that share a weight was given one of its own.
    model.causal.tie_weights()
    with torch.no_grad():
        for tensor in (*model.parameters(), *model.buffers()):
            tensor.zero_()
    return model


def tuned(model: nn.Module, tuning: FinetuneConfig) -> OpenModel:
    """Freeze, add the adapter, turn checkpointing on: what fine-tuning trains.

    Args:
        model: one of transformers, with its weights in `tuning.weights_dtype`, or in 4 bits for qlora.

    Raises:
        ConfigError: for target_modules that the model does not have.
    """
    causal = model
    if tuning.adapter != "full":
        model.requires_grad_(False)
    if tuning.use_gradient_checkpointing:
        model.activation_checkpointing_enable({"use_reentrant": False})
    if tuning.adapter != "full":
        if tuning.use_gradient_checkpointing:
            # Else nothing that enters a checkpointed block would ask for a gradient.
            model.enable_input_require_grads()
        model = _with_adapter(model, tuning)
    model.train()
    return OpenModel(model, causal, tuning.fast_mode)


def attention_of(tuning: FinetuneConfig) -> str:
    """transformers' name of the attention that a run computes: fused kernels, or the plain score matrix."""
    return "sdpa" if tuning.fast_mode else "eager"


def _with_adapter(model: nn.Module, tuning: FinetuneConfig) -> nn.Module:
    linear = linear_names(model)
    known = TARGETS.get(model.config.model_type, ())
    usual = known if known and set(known) <= set(linear) else linear
    settings = LoraConfig(
        task_type="CAUSAL_LM",
        r=tuning.lora_r,
        lora_alpha=tuning.lora_alpha,
        lora_dropout=tuning.lora_dropout,
        # Not "all-linear", with which peft takes in fused experts, and then refuses dropout.
        target_modules=list(tuning.target_modules or usual),
        use_rslora=tuning.use_rslora,
        use_dora=tuning.use_dora,
    )
    try:
        with warnings.catch_warnings():
            # peft asks transformers for an attribute's old name, and says that it sees a Conv1D for what it is.
            warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated")
            warnings.filterwarnings("ignore", message="fan_in_fan_out is set to False")
            return get_peft_model(model, settings)
    except ValueError as error:
        message = f"No adapter can be put there: {' '.join(str(error).split())[:120]} Linear layers of this model: "
        raise ConfigError([Problem("target_modules", f"{message}{', '.join(linear)}.")]) from None


def linear_names(model: nn.Module) -> list[str]:
    """The names of a model's linear layers in their blocks, but for the head: ["down_proj", "gate_proj", ...]."""
    head = model.get_output_embeddings()
    found: dict[str, int] = {}
    for path, module in model.named_modules():
        if isinstance(module, nn.Linear | Conv1D) and module is not head:
            name = path.rpartition(".")[2]
            found[name] = found.get(name, 0) + 1
    most = max(found.values(), default=0)
    # A layer that stands alone, such as a projection in front of the blocks, is no part of them.
    return sorted(name for name, count in found.items() if count > 1 or most == 1)


def quantize_without_data(model: nn.Module) -> None:
    """Replace linear layers, but for the head, by 4-bit ones whose weights are still to come.

    Raises:
        ConfigError: for a model that has none.
    """
    from llm_testing.model.four_bit import linear_without_data  # noqa: PLC0415 bitsandbytes takes seconds to import

    head = model.get_output_embeddings()
    found = [
        (parent, name, child)
        for parent in list(model.modules())
        for name, child in list(parent.named_children())
        if type(child) is nn.Linear and child is not head
    ]
    if not found:
        message = f"{type(model).__name__} has no linear layers that 4 bits can hold. Choose lora or full."
        raise ConfigError([Problem("adapter", message)])
    for parent, name, child in found:
        setattr(parent, name, linear_without_data(child))
    model.is_loaded_in_4bit = model.is_quantized = True


@contextmanager
def masks_without_data() -> Iterator[None]:
    """transformers builds attention masks as it does with data, while a model of tensors without data runs.

    It looks at values to see that a batch packs no sequences, and without data builds the mask of one that might.
    """
    original = masking_utils.find_packed_sequence_indices
    masking_utils.find_packed_sequence_indices = lambda *args, **kwargs: None
    try:
        yield
    finally:
        masking_utils.find_packed_sequence_indices = original
