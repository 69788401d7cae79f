"""Tiny real runs on the shipped corpus: a second each, through the same door as everybody's."""

import hashlib
import threading
from pathlib import Path

from llm_testing.jobs.control import Control
from llm_testing.service.lab import Lab
from llm_testing.store.runs import RunStore

TINY = {
    "corpus": "tiny",
    "tokenizer": "char",
    "config_name": "custom",
    "n_layer": 1,
    "n_head": 2,
    "n_embd": 16,
    "context_length": 16,
    "batch_size": 2,
    "max_steps": 6,
    "warmup_steps": 2,
    "learning_rate": 1e-2,
    "dropout": 0.0,
    "intermediate_val_freq_steps": 3,
    "intermediate_val_num_batches": 2,
    "sample_prompts": ("The",),
    "sample_tokens": 4,
    "threads": 1,
}
CURVE = (
    "step",
    "epoch",
    "train_loss",
    "val_loss",
    "val_bits_per_byte",
    "lr",
    "grad_norm",
    "tokens_seen",
    "final_val_loss",
)


def run(lab: Lab, on_event=lambda event: None, control: Control | None = None, **values) -> str:
    """A whole run in this thread; its id."""
    return lab.run_here({**TINY, **values}, control=control or Control(), on_event=on_event)


def made(lab: Lab, number: int, steps: int = 3, kind: str = "pretrain", **fields) -> str:
    """A run folder in the real format, without training: through the store."""
    config = {"learning_rate": 1e-3, "seed": number, "config_name": "nano", "corpus": "tiny", "tokenizer": "char"}
    if kind == "finetune":
        config = {"model_name": "org/model", "dataset": "persona", "learning_rate": 1e-4, "seed": number}
    config |= fields.pop("config", {})
    record = {"kind": kind, "name": f"run {number}", "state": "completed", "config": config, **fields}
    folder = RunStore(lab.runs_dir).create(record, f"20260101-0000{number:02}-aaaa")
    with folder.journal("metrics") as journal:
        for step in range(steps):
            journal.append({
                "step": step, "train_loss": 3.0 - step / steps + number / 100, "val_loss": 3.0 if step % 2 else None,
                "tokens_seen": step * 100, "elapsed_s": step * 1.0, "val_bits_per_byte": 1.5 if step % 2 else None,
            })  # fmt: skip
    return folder.run_id


def resume(lab: Lab, run_id: str, on_event=lambda event: None, control: Control | None = None, **changes) -> str:
    """Go on with a run in this thread."""
    return lab.resume_here(run_id, changes, control=control or Control(), on_event=on_event)


def curve(lab: Lab, run_id: str) -> list[tuple]:
    """What the curves show, without what depends on the clock."""
    return [tuple(row.get(name) for name in CURVE) for row in lab.points(run_id).rows]


def final_weights(lab: Lab, run_id: str) -> str:
    """SHA-256 of the newest checkpoint's weights."""
    newest = lab.details(run_id)["checkpoints"][-1]
    folder = lab.runs_dir / run_id / "checkpoints" / f"step-{newest['step']:08d}"
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


def checkpoint_files(lab: Lab, run_id: str) -> list[Path]:
    """Every file of every checkpoint."""
    return sorted((lab.runs_dir / run_id / "checkpoints").rglob("*"))


def until(condition, timeout_s: float = 120.0) -> None:
    """Wait for something another thread or process does."""
    pause = threading.Event()
    for _ in range(int(timeout_s / 0.02)):
        if condition():
            return
        pause.wait(0.02)
    raise AssertionError(f"waited {timeout_s:.0f} s in vain for {condition}")
