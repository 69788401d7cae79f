"""What our loop costs: our training steps against a plain PyTorch loop of the same model, threads, flags and data.

    python benchmarks/plain_loop.py [--text FILE] [--pairs 7] [--save]

Both sides run in one process, in pairs whose order alternates. Ours is a whole run through the service, with its
journals, timed between two logged steps, so that imports, preparing the data, validation and checkpoints are left out.
The plain loop is what a good author of a single-file GPT writes: batches stacked from slices, mean cross-entropy,
backward, clipping, a fused AdamW, the loss read at each step. The result counts only if the losses of both agree.
"""

import os
import tempfile
import time
from pathlib import Path
from statistics import median

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
os.environ.setdefault("GOMP_SPINCOUNT", "0")

from record import ForeignLoad, arguments, finish  # noqa: E402

CONFIG = {
    "tokenizer": "char", "config_name": "custom", "n_layer": 4, "n_head": 4, "n_embd": 128, "context_length": 64,
    "batch_size": 12, "learning_rate": 1e-3, "warmup_steps": 0, "lr_schedule": "constant", "dropout": 0.0,
    "attention_impl": "sdpa", "precision": "fp32", "sample_every": 0, "intermediate_val_freq_steps": 10_000_000,
    "intermediate_val_num_batches": 1,
}  # fmt: skip
WARM = 20
"""Steps of each side that are not timed."""


def main() -> None:
    options = arguments(__doc__)
    options.add_argument("--text", default="python-docs", help="a file or corpus to train on")
    options.add_argument("--steps", type=int, default=300, help="timed steps of each side")
    options.add_argument("--pairs", type=int, default=7)
    options.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    args = options.parse_args()
    text = str(Path(args.text).resolve()) if Path(args.text).exists() else args.text
    values = {**CONFIG, "corpus": text, "threads": args.threads, "max_steps": WARM + args.steps + 1}
    load, pairs = ForeignLoad(), []
    with tempfile.TemporaryDirectory() as folder:
        data = plain_data(values, Path(folder))
        for number in range(args.pairs + 1):
            sides = {"ours": lambda: ours(values, Path(folder)), "plain": lambda: plain(values, data)}
            order = list(sides) if number % 2 else list(sides)[::-1]
            pairs.append({name: sides[name]() for name in order})
    pairs = pairs[1:]  # the first pair warms up the allocator and what is imported late
    ratios = [pair["ours"]["wall_s"] / pair["plain"]["wall_s"] for pair in pairs]
    off = [abs(p["ours"]["loss"] - p["plain"]["loss"]) for p in pairs]
    figures = {
        "median_ratio": median(ratios),
        "median_ratio_cpu": median(pair["ours"]["cpu_s"] / pair["plain"]["cpu_s"] for pair in pairs),
        "bar": 1.03,
        "ratios": [round(ratio, 4) for ratio in ratios],
        "step_ms": {name: 1e3 * median(pair[name]["wall_s"] for pair in pairs) / args.steps for name in pairs[0]},
        "largest_loss_difference": max(off),
        "same_work": max(off) < 1e-3,
        "foreign_cores": round(load.cores(), 2),
    }
    kept = {**values, "corpus": Path(text).name, "timed_steps": args.steps, "pairs": args.pairs}
    finish("plain_loop", kept, figures, args.save)


def ours(values: dict, folder: Path) -> dict:
    """Seconds from step WARM to the last step but one of a run through the service."""
    from llm_testing.jobs.control import Control
    from llm_testing.service.lab import Lab
    from llm_testing.train.events import Logged

    marks = {}

    def on_event(event: object) -> None:
        if isinstance(event, Logged):
            marks[event.step] = (time.perf_counter(), time.process_time(), event.train_loss)

    Lab(folder / "runs", folder / "cache").run_here(values, control=Control(), on_event=on_event)
    return between(marks[WARM], marks[values["max_steps"] - 1])


def plain_data(values: dict, folder: Path) -> dict:
    """The same sequences in the same order, each an array of its own as a slice of a file would be."""
    from llm_testing.config.pretrain import PretrainConfig
    from llm_testing.config.resolve import resolve
    from llm_testing.data.prepare import prepare
    from llm_testing.data.windows import TrainWindows
    from llm_testing.jobs.progress import never_cancel, report_nothing

    config = PretrainConfig.build(values)
    prepared = prepare(
        config.corpus, None, config.tokenizer, config.vocab_size, folder / "cache", report_nothing, never_cancel
    )
    resolved = resolve(config, prepared.facts)
    windows = TrainWindows(prepared.train.tokens(), resolved.window, config.batch_size, 1, config.seed)
    steps = [windows.micro_batches(step)[0] for step in range(config.max_steps)]
    rows = [[(x.astype("uint16"), y.astype("uint16")) for x, y in zip(*batch, strict=True)] for batch in steps]
    return {"rows": rows, "shape": resolved.shape, "config": config}


def plain(values: dict, data: dict) -> dict:
    """Seconds of the plain loop over the same steps."""
    import torch
    from torch.nn import functional as F

    from llm_testing.model.gpt import build_gpt

    config = data["config"]
    torch.set_num_threads(values["threads"])
    model = build_gpt(data["shape"], config.seed, dropout=0.0, attention_impl=config.attention_impl)
    model.train()
    decayed = [p for p in model.parameters() if p.dim() >= 2]
    others = [p for p in model.parameters() if p.dim() < 2]
    groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=config.learning_rate, betas=(config.beta1, config.beta2), fused=True)
    marks = {}
    for step, rows in enumerate(data["rows"][: config.max_steps - 1], start=1):
        x = torch.stack([torch.from_numpy(a.astype("int64")) for a, _ in rows])
        y = torch.stack([torch.from_numpy(b.astype("int64")) for _, b in rows])
        logits = model(x)
        loss = F.cross_entropy(logits.view(-1, logits.size(-1)), y.view(-1))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), config.grad_clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        marks[step] = (time.perf_counter(), time.process_time(), loss.item())
    return between(marks[WARM], marks[config.max_steps - 1])


def between(first: tuple, last: tuple) -> dict:
    """Wall and CPU seconds between two marks, and the loss at the last."""
    return {"wall_s": last[0] - first[0], "cpu_s": last[1] - first[1], "loss": last[2]}


if __name__ == "__main__":
    main()
