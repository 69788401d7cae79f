"""A tiny open model and rows for it, as REST bodies: a run of a second or two."""

from pathlib import Path
from typing import Any

from tests.data.tiny_model import tiny_model, write_rows

AT = "/api/fine-tuning"
STATUS = {
    "state", "current_step", "total_steps", "current_epoch", "train_loss", "eval_loss", "learning_rate", "elapsed_time",
    "config", "trainable_params", "total_params",
}  # fmt: skip
WORDS = ("one", "two", "three", "four", "five", "six", "hello", "name")
BODY = {
    "adapter": "lora",
    "lora_r": 4,
    "lora_alpha": 8,
    "optim": "adamw_torch",
    "precision": "fp32",
    "max_seq_length": 64,
    "batch_size": 4,
    "gradient_accumulation": 2,
    "learning_rate": 1e-2,
    "max_steps": 6,
    "logging_steps": 1,
    "eval_steps": 3,
    "eval_batches": 2,
    "sample_prompts": ["What is your name?"],
    "sample_tokens": 4,
    "threads": 1,
}


def body_at(root: Path, **more: Any) -> dict[str, Any]:
    """A body whose model and rows lie under root, which are made where they are not there."""
    model, rows = root / "tiny", root / "rows.jsonl"
    if not model.exists():
        tiny_model(model)
        said = [{"prompt": f"{a} {b}", "completion": f"My name is {b}"} for a in WORDS for b in WORDS[:5]]
        write_rows(rows, said)
    return {**BODY, "model_name": str(model), "dataset": str(rows), **more}
