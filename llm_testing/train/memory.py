"""Running out of memory: recognised, refused beforehand where it is certain, and cleaned up after."""

import gc

import torch

from llm_testing.config.finetune import FinetuneConfig
from llm_testing.config.pretrain import PretrainConfig
from llm_testing.errors import NotEnoughMemory

GIB = 2**30
_OPTIMIZER_BYTES = {"adamw": 8, "adamw_8bit": 2, "paged_adamw_8bit": 2}
_SHARE = 0.9


def states_bytes(num_parameters: int, optimizer: str) -> int:
    """What weights, gradients and optimizer states take in fp32: the least that any step of the run needs."""
    return num_parameters * (4 + 4 + _OPTIMIZER_BYTES[optimizer])


def refuse_what_cannot_fit(config: PretrainConfig, num_parameters: int, available_bytes: int) -> None:
    """Refuse a run on the CPU whose states alone exceed the memory this process may use.

    There running out of memory is a SIGKILL, which takes page and run along without a word.

    Raises:
        NotEnoughMemory: saying how much is needed, how much there is, and what to change.
    """
    need = states_bytes(num_parameters, config.optimizer)
    if need > _SHARE * available_bytes:
        raise NotEnoughMemory(
            f"A model of {num_parameters:,} parameters needs {need / GIB:.1f} GiB for its weights, gradients and "
            f"optimizer alone, but this process may still use {available_bytes / GIB:.1f} GiB, and takes 90 % of that "
            "at most. Choose a smaller config_name or vocab_size, or tie_embeddings."
        )


def refuse_tuning_that_cannot_fit(config: FinetuneConfig, num_weights: int, available_bytes: int) -> None:
    """The same for fine-tuning: the base model's weights, and for full tuning gradients and optimizer too.

    Raises:
        NotEnoughMemory: as `refuse_what_cannot_fit`.
    """
    each = {"fp32": 4.0, "bf16": 2.0, "fp16": 2.0}[config.weights_dtype]
    if config.adapter == "full":
        each += 4 + _OPTIMIZER_BYTES[config.optimizer]
    elif config.adapter == "qlora":
        each = 0.6
    if num_weights * each > _SHARE * available_bytes:
        raise NotEnoughMemory(
            f"A model of {num_weights:,} parameters needs {num_weights * each / GIB:.1f} GiB for adapter "
            f"{config.adapter} before its first step, but this process may still use {available_bytes / GIB:.1f} GiB, "
            "and takes 90 % of that at most. Choose a smaller model_name, or adapter qlora."
        )


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that a device or the process had no memory left."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and "not enough memory" in str(error)


def out_of_memory_in_words(config: PretrainConfig | FinetuneConfig) -> str:
    """What to change after running out of memory, cheapest first."""
    return f"The run needed more memory than there was. Nothing saved is lost. {to_make_it_fit(config)}"


def to_make_it_fit(config: PretrainConfig | FinetuneConfig) -> str:
    """What to change so that a run needs less memory, cheapest first."""
    tips = _tuning_tips(config) if isinstance(config, FinetuneConfig) else _pretraining_tips(config)
    return f"To make it fit: {'; '.join(tips)}."


def _tuning_tips(config: FinetuneConfig) -> list[str]:
    tips = []
    if config.batch_size > 1:
        half = config.batch_size // 2
        tips.append(
            f"batch_size {half} with gradient_accumulation {config.gradient_accumulation * 2} gives the same updates"
        )
    if not config.use_gradient_checkpointing:
        tips.append("use_gradient_checkpointing keeps fewer activations")
    if not config.fast_mode:
        tips.append("fast_mode never holds all logits")
    if config.adapter != "qlora":
        tips.append("adapter qlora holds the base model in 4 bits")
    return [*tips, "a shorter max_seq_length or a smaller model_name needs less of everything"]


def _pretraining_tips(config: PretrainConfig) -> list[str]:
    tips = []
    if config.batch_size > 1:
        half = config.batch_size // 2
        tips.append(f"batch_size {half} with grad_accum_steps {config.grad_accum_steps * 2} gives the same updates")
    if not config.gradient_checkpointing:
        tips.append("gradient_checkpointing keeps fewer activations")
    if config.attention_impl == "manual":
        tips.append("attention_impl sdpa does without the score matrix")
    if config.precision == "fp32":
        tips.append("precision bf16 halves most activations")
    tips.append("a shorter context_length or a smaller config_name needs less of everything")
    return tips


def measured_peaks(device: torch.device) -> dict[str, int]:
    """The most bytes that the run had in tensors and in torch's pool so far; empty where nothing counts them."""
    if device.type != "cuda":
        return {}
    return {
        "allocated_bytes": torch.cuda.max_memory_allocated(device),
        "reserved_bytes": torch.cuda.max_memory_reserved(device),
    }


def free_memory(device: torch.device) -> None:
    """Give back what a finished run held; call it after the last reference to its tensors is gone."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
