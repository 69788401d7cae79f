"""Candidates for the Recommended preset on this machine's CPU, by held-out bits a byte after three minutes of training.

    python benchmarks/recommended.py [--seconds 180] [--only NAME ...] [--save]

Each candidate is the preset with some options changed, trained through the command line and stopped when its clock says
so; the figure is the last validation by then. Validation looks at evenly spaced windows of one split, so that figures
of different contexts compare.
"""

import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from record import ROOT, ForeignLoad, arguments, command_line, finish, rows_of

CANDIDATES = {
    "preset": {},
    "6x256": {"n_layer": 6},
    "4x192": {"n_embd": 192},
    "4x320": {"n_embd": 320, "n_head": 5},
    "3x384": {"n_layer": 3, "n_embd": 384, "n_head": 6},
    "vocabulary-2048": {"vocab_size": 2048},
    "vocabulary-8192": {"vocab_size": 8192},
    "context-64": {"context_length": 64, "batch_size": 16},
    "context-256": {"context_length": 256, "batch_size": 4},
    "batch-4": {"batch_size": 4},
    "batch-16": {"batch_size": 16},
    "rate-1e-3": {"learning_rate": 1e-3},
    "rate-3e-3": {"learning_rate": 3e-3},
    "beta2-0.95": {"beta2": 0.95},
    "epochs-1": {"epochs": 1},
    "epochs-2": {"epochs": 2},
    "untied": {"tie_embeddings": False},
}


def main() -> None:
    options = arguments(__doc__)
    options.add_argument("--seconds", type=float, default=180)
    options.add_argument("--only", nargs="+", choices=list(CANDIDATES), default=list(CANDIDATES))
    args = options.parse_args()
    figures = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in args.only:
            figures[name] = measured(CANDIDATES[name], args.seconds, Path(folder, name), Path(folder, "cache"))
            sys.stderr.write(f"{name}: {figures[name]}\n")
    best = min(figures, key=lambda name: figures[name]["val_bits_per_byte"])
    finish("recommended", {"seconds": args.seconds, "candidates": CANDIDATES}, {"best": best, **figures}, args.save)


def measured(changes: dict, seconds: float, runs_dir: Path, cache_dir: Path) -> dict:
    """Train one candidate for so long, and say what it reached."""
    config = runs_dir.with_suffix(".json")
    every = {"intermediate_val_freq_steps": 50, "sample_every": 0}
    config.write_text(json.dumps({**every, **changes}), encoding="utf-8")
    load = ForeignLoad()
    process = subprocess.Popen(
        command_line("pretrain", "--config", config, "--runs-dir", runs_dir, "--cache-dir", cache_dir),
        cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    rows: list[dict] = []
    while process.poll() is None and (not rows or rows[-1]["elapsed_s"] < seconds):
        time.sleep(0.5)
        rows = next((rows_of(path.parent) for path in runs_dir.glob("[0-9]*/metrics.jsonl")), [])
    foreign = load.cores()
    process.send_signal(signal.SIGTERM)
    process.wait(120)
    in_time = [row for row in rows if row["elapsed_s"] <= seconds]
    validated = [row for row in in_time if row.get("val_bits_per_byte") is not None]
    return {
        "val_bits_per_byte": validated[-1]["val_bits_per_byte"],
        "step": validated[-1]["step"],
        "tokens_per_s": round(in_time[-1]["tokens_seen"] / in_time[-1]["elapsed_s"]),
        "foreign_cores": round(foreign, 2),
    }


if __name__ == "__main__":
    main()
