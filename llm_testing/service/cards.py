"""The model card of every export, from one template: what the model was made of, with which settings, what it reached.

A card goes to the Hub with the model, so it names files of this machine by their last part alone.
"""

import re
from collections.abc import Mapping
from typing import Any

from llm_testing.data.uploads import is_upload
from llm_testing.service.bases import Base, is_path
from llm_testing.service.copies import yaml_text
from llm_testing.service.markdown import markdown_text
from llm_testing.service.names import last_part

_SETTINGS = {
    "finetune": (
        "adapter", "lora_r", "lora_alpha", "lora_dropout", "use_rslora", "use_dora", "target_modules", "max_seq_length",
        "packing", "num_epochs", "max_steps", "batch_size", "gradient_accumulation", "learning_rate", "warmup_ratio",
        "lr_schedule", "optim", "weight_decay", "precision", "answers_only", "seed",
    ),
    "pretrain": (
        "config_name", "context_length", "tokenizer", "epochs", "max_steps", "batch_size", "grad_accum_steps",
        "learning_rate", "warmup_steps", "lr_schedule", "optimizer", "weight_decay", "dropout", "precision", "seed",
    ),
}  # fmt: skip
_ID = re.compile(r"[A-Za-z][\w.-]*(/[A-Za-z][\w.-]*)?", re.ASCII)
_LOSSES = (
    ("training loss, nats a token", "train_loss"),
    ("held-out loss, nats a token", "val_loss"),
    ("held-out bits a byte", "val_bits_per_byte"),
)
FORMS = {
    "adapter": "A PEFT adapter: it needs its base model.",
    "merged": "A whole model in the form of transformers.",
    "gguf": "A GGUF file, for llama.cpp and programs that use it.",
}


def model_card(record: Mapping[str, Any], reached: Mapping[str, Any], base: Base | None, form: str) -> str:
    """A card in the Hub's form.

    Args:
        record: the run's.
        reached: step, and losses where they are known.
        base: the model that was tuned; None for one that was trained from scratch.
        form: one of FORMS.
    """
    config, kind = record["config"], record["kind"]
    losses = [f"| {words} | {reached[name]:.4f} |" for words, name in _LOSSES if reached.get(name) is not None]
    told = {name: config.get(name) for name in _SETTINGS[kind]}
    settings = [f"| {name} | {_shown(value)} |" for name, value in told.items() if value not in (None, [])]
    return "\n".join(
        [
            *_head(config, kind, base, form),
            f"# {markdown_text(record['name'])}",
            "",
            _made_of(record, reached, base),
            "",
            FORMS[form],
            "",
            "| result | value |",
            "| --- | --- |",
            *losses,
            "",
            "| setting | value |",
            "| --- | --- |",
            *settings,
            "",
            *_template(record),
            "Made with LLM-Testing.",
            "",
        ]
    )


def _head(config: Mapping[str, Any], kind: str, base: Base | None, form: str) -> list[str]:
    library = {"adapter": "peft", "merged": "transformers", "gguf": "gguf"}[form]
    head = ["---", f"library_name: {library}", "pipeline_tag: text-generation"]
    if base is not None and base.origin == "hub":
        head += [f"base_model: {_in_yaml(base.name)}"]
    if kind == "finetune" and not is_path(config["dataset"]) and "/" in config["dataset"]:
        head += ["datasets:", f"- {_in_yaml(config['dataset'])}"]
    made_by = config["adapter"] if kind == "finetune" else "gpt2"
    return [*head, "tags:", "- llm-testing", f"- {_in_yaml(made_by)}", "---", ""]


def _in_yaml(text: str) -> str:
    """A text as a value of YAML: an id as it is, anything else in quotes."""
    return text if _ID.fullmatch(text) else yaml_text(text)


def _made_of(record: Mapping[str, Any], reached: Mapping[str, Any], base: Base | None) -> str:
    config, data, step = record["config"], record["data"], reached["step"] or 0
    if base is None:
        return (
            f"A GPT of {record['parameters']['total']:,} parameters, trained from scratch on "
            f"{_named(config['corpus'])}: {data['train_tokens']:,} tokens, {step:,} steps."
        )
    return (
        f"{_named(base.name)} tuned on {_named(config['dataset'])}: {data['num_rows']:,} rows "
        f"({markdown_text(data['data_format'])}), {data['learned_tokens']:,} tokens learned of "
        f"{data['train_tokens']:,} an epoch, {step:,} steps."
    )


def _template(record: Mapping[str, Any]) -> list[str]:
    template = record["data"].get("template")
    if template is None or record["data"].get("data_format") == "text":
        return []
    words = "the base model's own" if template == "model" else markdown_text(template)
    return [f"Conversations are written by a chat template: {words}.", ""]


def _shown(value: Any) -> str:
    return markdown_text(", ".join(map(str, value)) if isinstance(value, list | tuple) else value)


def _named(name: str) -> str:
    """The end of a path or upload; ids and names as they are."""
    return markdown_text(last_part(name) if is_path(name) or is_upload(name) else name)
