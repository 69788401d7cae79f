"""Run folders as earlier days left them, made through the store: what Run History lists, opens and compares."""

import math
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

from llm_testing.config.facts import DataFacts
from llm_testing.config.pretrain import PretrainConfig
from llm_testing.service.records import SUMMED_UP, data_record
from llm_testing.store.runs import RunStore

FIRST_DAY = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
BASE = {
    "corpus": "tiny", "tokenizer": "char", "config_name": "custom", "n_layer": 2, "n_head": 2, "n_embd": 64,
    "context_length": 64, "batch_size": 8, "learning_rate": 1e-3, "max_steps": 400, "precision": "fp32",
    "sample_prompts": ("The", "Return the"),
}  # fmt: skip
FACTS = DataFacts("tiny", None, "char", 72, 90_000, 10_000, 90_000, 10_000, 40, 4, "f" * 64, None, None)
WORDS = "the model returns a list of items in the order given and raises an error if the value is not found".split()


def add_run(store: RunStore, name: str, steps: int = 400, points: int = 200, spike_at: int | None = None, **kept):
    """A run that ended, with curves, samples and events that look like training; returns its folder.

    Args:
        spike_at: the step of one sudden loss.
        kept: options of the run; or state, kind, tags, notes and other fields of run.json.
    """
    fields = {key: kept.pop(key) for key in ("state", "kind", "tags", "notes", "error", "owner") if key in kept}
    config = PretrainConfig.build({**BASE, "max_steps": steps, "name": name, **kept})
    rng = random.Random(name)
    final = 1.4 + 0.12 * abs(math.log10(config.learning_rate / 2e-3)) + rng.uniform(0, 0.06)
    folder = store.create(
        {
            "kind": "pretrain", "name": name, "state": "completed", "config": config.model_dump(mode="json"),
            "data": data_record(FACTS),
            "environment": {"python": "3.11.7", "device": "cpu", "threads": 2, "packages": {"torch": "2.13.0"}},
            "parameters": {"total": 107_000, "trainable": 107_000}, "estimated_bytes": 320 * 2**20,
            "measured_peak_bytes": int((300 + rng.uniform(0, 40)) * 2**20), **fields,
        }
    )  # fmt: skip
    _curves(folder, config, final, steps, points, spike_at, rng)
    _texts(folder, config, steps, rng)
    return folder


def _curves(folder, config: PretrainConfig, final: float, steps: int, points: int, spike_at: int | None, rng) -> None:
    every, ln2 = max(1, steps // points), math.log(2)
    rows = []
    for i, step in enumerate(range(0, steps + 1, every)):
        val = final + 0.05 + 2.85 * math.exp(-3.9 * step / steps) if i % max(1, points // 10) == 0 else None
        spiked = spike_at is not None and abs(step - spike_at) < every
        warm, cosine = min(1, step / 30 or 0.01), 1 + math.cos(math.pi * step / steps)
        rows.append(
            {
                "step": step,
                "epoch": step / 180,
                "train_loss": 9.5 if spiked else final + 2.9 * math.exp(-4 * step / steps) + rng.gauss(0, 0.05),
                "val_loss": val,
                "val_bits_per_byte": None if val is None else val / ln2,
                "grad_norm": 14.0 if spiked else 1 + rng.random(),
                "lr": config.learning_rate * warm * (0.1 + 0.45 * cosine),
                "tokens_seen": step * config.batch_size * config.context_length,
                "tokens_per_s": 9000 + rng.gauss(0, 300),
                "elapsed_s": step * 0.06,
                "step_s": 0.06,
                "peak_bytes": 300 * 2**20,
            }
        )
    best = min(row["val_loss"] for row in rows if row["val_loss"] is not None)
    last = rows[-1]
    last |= {"val_loss": final + 0.06, "val_bits_per_byte": (final + 0.06) / ln2}
    last |= {"final_val_loss": final + 0.06, "final_val_bits_per_byte": (final + 0.06) / ln2}
    journal = folder.journal("metrics")
    for row in rows:
        journal.append(row)
    journal.close()
    folder.update(summary={**{n: last[n] for n in SUMMED_UP if n in last}, "total_steps": steps, "best_val_loss": best})


def _texts(folder, config: PretrainConfig, steps: int, rng) -> None:
    journal = folder.journal("samples")
    for step in range(0, steps + 1, max(1, steps // 5)):
        for prompt in config.sample_prompts:
            known = [
                w if rng.random() < 0.3 + 0.7 * step / steps else "".join(rng.sample("etaoinsh", 4)) for w in WORDS
            ]
            journal.append({"step": step, "prompt": prompt, "text": f"{prompt} {' '.join(known)}."})
    journal.close()
    journal = folder.journal("events")
    at = FIRST_DAY.isoformat().replace("+00:00", "Z")
    journal.append({"event": "session", "at": at, "how": "start", "step": 0, "total_steps": steps})
    journal.append({"event": "saved", "at": at, "step": steps, "kinds": ["best", "final"]})
    journal.append({"event": "ended", "at": at, "state": "completed", "step": steps})
    journal.close()


def history_of_a_week(runs_dir: Path) -> RunStore:
    """A dozen runs: three learning rates, three seeds of one of them, another tokenizer, trouble, and a damaged one."""
    moments = iter(FIRST_DAY + timedelta(hours=5 * i, minutes=7 * i) for i in range(10_000))
    store = RunStore(runs_dir, now=lambda: next(moments))
    for lr, word in ((3e-4, "low"), (1e-3, "middle"), (3e-3, "high"), (1e-2, "too high")):
        add_run(store, f"learning rate {word}", learning_rate=lr, tags=["sweep"],
                spike_at=220 if lr == 1e-2 else None)  # fmt: skip
    for seed in (1, 2, 3):
        add_run(store, f"seed {seed}", seed=seed, learning_rate=3e-3, n_embd=96, tags=["seeds"])
    add_run(store, "other tokenizer", tokenizer="bpe", vocab_size=512)
    add_run(
        store,
        "failed at night",
        steps=80,
        state="failed",
        error={"title": "Out of memory", "message": "The card was full."},
    )
    add_run(store, "interrupted", steps=160, state="stopped", notes="ended by hand to try a larger batch")
    broken = store.create({"kind": "pretrain", "name": "broken"})
    (broken.path / "run.json").write_text("{half", encoding="utf-8")
    return store
