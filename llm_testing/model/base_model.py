"""Loading a base model from its folder, ready for fine-tuning or as it is."""

import importlib.util
from pathlib import Path

import torch
from torch import nn
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, GgufConfig
from transformers.utils import logging as transformers_logging

from llm_testing.config.finetune import FinetuneConfig
from llm_testing.config.foreign import open_file, reading
from llm_testing.errors import DataError
from llm_testing.model.base_files import check_folder, num_weights
from llm_testing.model.device import dtype_of
from llm_testing.model.foreign_models import MODEL, refuse_counts, refuse_lies, refuse_missing
from llm_testing.model.fused_layers import fuse_layers
from llm_testing.model.gguf_header import GGUF, read_header
from llm_testing.model.open_model import OpenModel, attention_of, read_config, tuned


def load_base(folder: Path, tuning: FinetuneConfig, device: torch.device) -> nn.Module:
    """The model in a folder with its weights, frozen or not, in 4 bits for qlora, on the device.

    Raises:
        DataError: the folder holds no model that may be loaded here.
        ConfigError: its config is of a kind that is not known.
    """
    name = f"The model in {folder.name}"
    config = read_config(check_folder(folder))
    num_stored = num_weights(folder)
    transformers_logging.disable_progress_bar()
    quantised = None
    if tuning.adapter == "qlora":
        quantised = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype_of(tuning.weights_dtype),
        )
    with reading(name, MODEL):
        refuse_lies(config, num_stored, name)
        model, loading = AutoModelForCausalLM.from_pretrained(
            str(folder),
            dtype=dtype_of(tuning.weights_dtype),
            attn_implementation=attention_of(tuning),
            quantization_config=quantised,
            device_map={"": str(device)},
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            output_loading_info=True,
        )
    refuse_missing(loading["missing_keys"], folder.name)
    model.config.use_cache = False
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            # In evaluation bitsandbytes 0.50 would lay the 4-bit weights out anew, for a kernel that rounds to bf16 and
            # that training, which goes on with the same weights afterwards, does not have.
            module.support_avx512bf16_for_cpu = False
    return model


def load_tuned(folder: Path, tuning: FinetuneConfig, device: torch.device) -> OpenModel:
    """The model in a folder, ready for fine-tuning; a fresh adapter is drawn from the seed.

    Raises:
        DataError, ConfigError: as `load_base` and `tuned`.
    """
    model = load_base(folder, tuning, device)
    if tuning.fast_mode and device.type == "cuda":
        fuse_layers(model)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(tuning.seed)
        return tuned(model, tuning).to(device)


def gguf_to_folder(file: Path, folder: Path) -> None:
    """Write the model and tokenizer of a GGUF file as safetensors in bf16, the numbers of its quantised weights.

    Raises:
        DataError: the package gguf is missing, or the file cannot be read.
    """
    if importlib.util.find_spec("gguf") is None:
        raise DataError(
            "Reading a GGUF file needs the package gguf: pip install gguf. Or take a folder of safetensors."
        )
    from transformers import AutoConfig, AutoTokenizer  # noqa: PLC0415  (few runs come here)

    with open_file(file, file.name) as opened, reading(file.name, GGUF):
        num_stored = read_header(opened)
    transformers_logging.disable_progress_bar()
    where = {"pretrained_model_name_or_path": str(file.parent), "gguf_file": file.name}
    with reading(file.name, GGUF):
        config = AutoConfig.from_pretrained(**where)
        refuse_counts(config.to_dict())
        refuse_lies(config, num_stored, file.name)
        model, loading = AutoModelForCausalLM.from_pretrained(
            **where,
            dtype=torch.bfloat16,
            quantization_config=GgufConfig(dequantize=True),
            output_loading_info=True,
        )
        tokenizer = AutoTokenizer.from_pretrained(**where)
    refuse_missing(loading["missing_keys"], file.name)
    model.save_pretrained(str(folder))
    tokenizer.save_pretrained(str(folder))
