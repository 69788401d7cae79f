"""nanoGPT's README run on a CPU, through our command line: the held-out loss on the whole last tenth, for three seeds.

    python benchmarks/nanogpt_run.py --text tinyshakespeare.txt [--save]

The bar is what nanoGPT's own run scores when it is measured on the whole last tenth, 1.898 nats a character; its README
says 1.88, on 20 random batches. Source: https://github.com/karpathy/nanoGPT#quick-start
"""

import tempfile
from pathlib import Path
from statistics import mean

from record import arguments, finish, run_command

BAR_NATS = 1.898
FLAGS = {
    "--preset": "none", "--tokenizer": "char", "--config-name": "custom", "--n-layer": 4, "--n-head": 4,
    "--n-embd": 128, "--context-length": 64, "--batch-size": 12, "--learning-rate": "1e-3", "--warmup-steps": 100,
    "--dropout": 0, "--attention-impl": "sdpa", "--precision": "fp32",
}  # fmt: skip


def main() -> None:
    options = arguments(__doc__)
    options.add_argument("--text", type=Path, required=True, help="the file with Tiny Shakespeare")
    options.add_argument("--steps", type=int, default=2000)
    options.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    args = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        fixed = [part for pair in FLAGS.items() for part in pair]
        results = [
            run_command(
                "pretrain", *fixed, "--corpus", args.text.resolve(), "--max-steps", args.steps, "--seed", seed,
                "--runs-dir", f"{folder}/runs", "--cache-dir", f"{folder}/cache",
            )
            for seed in args.seeds
        ]  # fmt: skip
    losses = [result["val_loss"] for result in results]
    figures = {
        "val_loss": dict(zip(map(str, args.seeds), losses, strict=True)),
        "mean_val_loss": mean(losses),
        "bar": BAR_NATS,
        "reached": mean(losses) <= BAR_NATS,
        "seconds": [round(result["elapsed_s"], 1) for result in results],
        "num_parameters": results[0]["num_parameters"],
    }
    finish("nanogpt_run", {**FLAGS, "--corpus": args.text.name, "--max-steps": args.steps}, figures, args.save)


if __name__ == "__main__":
    main()
