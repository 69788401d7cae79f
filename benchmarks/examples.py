"""The two finished runs that come with the program: python benchmarks/examples.py trains them anew into runs/.

Both learn from Python's documentation with the same small model; the second one has a tenth of the learning rate, so
that laying one over the other shows what a single option does. Each takes about a minute on two cores. What is kept of
a run is its JSON alone: its record, its curves, its sample texts and its events.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

# Idle OpenMP threads must not spin while another process computes, as in app.py.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("GOMP_SPINCOUNT", "0")

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

SHARED = {
    "corpus": "python-docs", "tokenizer": "bpe", "vocab_size": 2048, "config_name": "custom", "n_layer": 2, "n_head": 4,
    "n_embd": 128, "context_length": 128, "attention_impl": "sdpa", "tie_embeddings": True, "dropout": 0.0,
    "batch_size": 8, "warmup_steps": 30, "beta2": 0.99, "max_steps": 400, "log_every": 2, "threads": 2,
    "intermediate_val_freq_steps": 40, "intermediate_val_num_batches": 10, "sample_tokens": 48,
    "sample_prompts": ("The", "Return the", "If "),
}  # fmt: skip
RUNS = {
    "Example: learning rate 3e-3": {"learning_rate": 3e-3},
    "Example: a tenth of it, 3e-4": {"learning_rate": 3e-4},
}
KEPT = ("run.json", "metrics.jsonl", "samples.jsonl", "events.jsonl")
MOST_BYTES = 300_000


def main() -> int:
    from llm_testing.jobs.control import Control
    from llm_testing.service.lab import Lab

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--into", type=Path, default=ROOT / "runs")
    folder = parser.parse_args().into
    with tempfile.TemporaryDirectory() as root:
        lab = Lab(Path(root) / "runs", Path(root) / "cache")
        for name, own in RUNS.items():
            run_id = lab.run_here({**SHARED, **own, "name": name}, control=Control())
            result = lab.result(run_id)
            print(f"{name}: {result['state']}, {result['val_bits_per_byte']:.3f} bits a byte")
            keep(lab.runs_dir / run_id, folder / run_id)
    return 0


def keep(source: Path, target: Path) -> None:
    """Copy the JSON of a run, and mark it as an example."""
    from llm_testing.service.records import EXAMPLE
    from llm_testing.store.files import write_json

    target.mkdir(parents=True)
    for name in KEPT:
        shutil.copyfile(source / name, target / name)
    record = json.loads((target / "run.json").read_text(encoding="utf-8"))
    write_json(target / "run.json", {**record, "tags": [EXAMPLE]})
    size = sum(path.stat().st_size for path in target.iterdir())
    print(f"  {target.name}: {size:,} bytes")
    if size > MOST_BYTES:
        raise SystemExit(f"An example takes at most {MOST_BYTES:,} bytes.")


if __name__ == "__main__":
    sys.exit(main())
