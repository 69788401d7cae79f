"""Kill -9 at a random moment, resume, and compare with the run that was left alone, over every combination of settings.

    python benchmarks/kill_resume_matrix.py [--every 1] [--kills 1] [--seed 0] [--save]

192 combinations: precision x accumulation x attention x tying x dropout x checkpointing x optimizer. Losses, gradient
norms and learning rates must be equal to the last bit, and so must the final weights (SHA-256 of the file). --every N
takes each Nth combination, --kills the number of kills a run must survive. The exit status is 1 if any differs.
"""

import os
import sys
import tempfile

os.environ |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

import hashlib
import itertools
import json
import multiprocessing
import random
import shutil
import time
from pathlib import Path

from record import arguments, finish

AXES = {
    "precision": ["fp32", "bf16", "fp16"],
    "grad_accum_steps": [1, 4],
    "attention_impl": ["manual", "sdpa"],
    "tie_embeddings": [False, True],
    "dropout": [0.0, 0.1],
    "gradient_checkpointing": [False, True],
    "optimizer": ["adamw", "adamw_8bit"],
}
FIXED = {
    "corpus": "tiny", "tokenizer": "char", "config_name": "custom", "n_layer": 2, "n_head": 2, "n_embd": 32,
    "context_length": 16, "batch_size": 2, "warmup_steps": 3, "learning_rate": 3e-3, "threads": 1, "save_every": 3,
    "intermediate_val_freq_steps": 5, "sample_tokens": 4,
}  # fmt: skip
COMPARED = ("step", "train_loss", "val_loss", "final_val_loss", "grad_norm", "lr", "tokens_seen", "skipped_steps")


def main() -> int:
    options = arguments(__doc__)
    options.add_argument("--every", type=int, default=1, help="take each Nth combination")
    options.add_argument("--steps", type=int, default=16)
    options.add_argument("--kills", type=int, default=1, help="kills that each run must survive")
    options.add_argument("--seed", type=int, default=0, help="of the moments")
    args = options.parse_args()
    # Imported once, before the processes that are killed are forked: each would spend five seconds on them. Nothing is
    # computed here.
    import bitsandbytes  # noqa: F401
    import torch._dynamo  # noqa: F401

    import llm_testing.service.lab  # noqa: F401

    rng, wrong, kills, rewound = random.Random(args.seed), [], 0, 0
    combinations = [dict(zip(AXES, values, strict=True)) for values in itertools.product(*AXES.values())]
    chosen = combinations[:: args.every]
    with tempfile.TemporaryDirectory() as folder:
        for number, combination in enumerate(chosen):
            values = {**FIXED, **combination, "max_steps": args.steps}
            survived = compare(values, Path(folder, str(number)), Path(folder, "cache"), args.kills, rng)
            kills += survived["kills"]
            rewound += survived["resumes"]
            if survived["difference"]:
                wrong.append({**combination, "difference": survived["difference"]})
            sys.stderr.write(f"{number + 1}/{len(chosen)} {combination} {survived}\n")
    figures = {"combinations": len(chosen), "kills": kills, "resumes": rewound, "different": wrong}
    finish("kill_resume_matrix", {**FIXED, "max_steps": args.steps, "seed": args.seed}, figures, args.save)
    return 1 if wrong else 0


def compare(values: dict, folder: Path, cache: Path, num_kills: int, rng: random.Random) -> dict:
    """Train once alone and once with kills; what differs, if anything."""
    began = time.monotonic()
    work(folder / "alone", cache, values, None).join()
    whole_s = time.monotonic() - began
    kills = resumes = 0
    # A kill that comes too late, or before there is a run, proves nothing: then it is tried once more.
    while kills < num_kills or not resumes:
        kills, resumes, status = killed_and_resumed(values, folder / "killed", cache, num_kills, whole_s, rng)
        if status > 0:
            return {"kills": kills, "resumes": resumes, "difference": f"exit status {status}"}
    alone, killed = outcome(folder / "alone", cache), outcome(folder / "killed", cache)
    difference = next((name for name in alone if alone[name] != killed[name]), None)
    return {"kills": kills, "resumes": resumes, "difference": difference}


def killed_and_resumed(
    values: dict, folder: Path, cache: Path, num_kills: int, whole_s: float, rng: random.Random
) -> tuple[int, int, int]:
    """Kills, resumes and the last exit status of a run that is killed at random moments and resumed until it ends."""
    shutil.rmtree(folder, ignore_errors=True)
    kills = resumes = 0
    run_id = None
    while True:
        process = work(folder, cache, values, run_id)
        resumes += run_id is not None
        process.join(rng.uniform(0, whole_s) if kills < num_kills else None)
        if process.is_alive():
            process.kill()
            kills += 1
        process.join()
        if process.exitcode >= 0:
            return kills, resumes, process.exitcode
        run_id = only_run(folder)
        if run_id and json.loads((folder / run_id / "run.json").read_bytes())["state"] == "completed":
            return kills, resumes, 0  # it had done everything when the kill came


def work(runs_dir: Path, cache: Path, values: dict, run_id: str | None) -> multiprocessing.Process:
    """Start a process that trains a new run, or goes on with run_id."""
    process = multiprocessing.get_context("fork").Process(target=train, args=(runs_dir, cache, values, run_id))
    process.start()
    return process


def train(runs_dir: Path, cache: Path, values: dict, run_id: str | None) -> None:
    """One session, in the process that may be killed."""
    from llm_testing.jobs.control import Control
    from llm_testing.service.lab import Lab

    lab = Lab(runs_dir, cache)
    if run_id:
        lab.resume_here(run_id, {}, control=Control())
    else:
        run_id = lab.run_here(values, control=Control())
    failure = lab.last().error
    if failure:
        sys.exit(f"{failure.message}\n{failure.traceback}")


def only_run(runs_dir: Path) -> str | None:
    """The run of a folder; None where the kill came before there was one."""
    found = [path.parent.name for path in runs_dir.glob("[0-9]*/run.json")]
    return found[0] if found else None


def outcome(runs_dir: Path, cache: Path) -> dict:
    """State, curve and the hash of the final weights."""
    from llm_testing.service.lab import Lab

    run_id, lab = only_run(runs_dir), Lab(runs_dir, cache)
    rows = [{name: row.get(name) for name in COMPARED} for row in lab.points(run_id).rows]
    last = sorted((runs_dir / run_id / "checkpoints").iterdir())[-1]
    weights = hashlib.sha256((last / "model.safetensors").read_bytes()).hexdigest()
    return {"state": lab.result(run_id)["state"], "rows": rows, "checkpoint": last.name, "weights": weights}


if __name__ == "__main__":
    sys.exit(main())
