"""`sweep pretrain|finetune`: several values of up to three options, trained here one after the other."""

from __future__ import annotations

import argparse
import sys
import time

from llm_testing.cli.answer import FAILED, INTERRUPTED, OK, print_json, print_lines, table
from llm_testing.cli.door import open_lab
from llm_testing.cli.terminal import ProgressLine
from llm_testing.cli.training import chosen
from llm_testing.config.finetune import FinetuneConfig
from llm_testing.config.option import options_of
from llm_testing.config.pretrain import PretrainConfig
from llm_testing.config.problems import unknown_option
from llm_testing.config.text import parse_text
from llm_testing.errors import ConfigError, Problem
from llm_testing.jobs.control import Control
from llm_testing.jobs.signals import on_stop_signals


def sweep_pretrain(args: argparse.Namespace) -> int:
    """Train a model for each combination of several values."""
    return _sweep(args, "pretrain", PretrainConfig)


def sweep_finetune(args: argparse.Namespace) -> int:
    """Tune a model for each combination of several values."""
    return _sweep(args, "finetune", FinetuneConfig)


def _sweep(args: argparse.Namespace, kind: str, config: type) -> int:
    over = _over(args.over, options_of(config))
    values, preset = chosen(args, config)
    lab = open_lab(args)
    mode = "list" if args.list else "grid"
    planned = lab.sweeps.plan(kind, values, over, mode=mode, name=args.sweep_name, preset=preset)
    control, line = Control(), ProgressLine(sys.stderr, time.monotonic, lab.live)

    def told(run_id: str, place: int, of: int) -> None:
        line.say(f"Run {place} of {of}: {planned.records[place - 1]['name']} ({run_id})")

    try:
        with on_stop_signals(lambda name: control.request_stop("signal")):
            lab.sweeps.run_here(planned, told, control=control, report=line.report)
    finally:
        line.close()
    if last := lab.last():
        line.announce(last)
    summary, waiting = lab.sweeps.summary(planned.name), lab.queued()
    if args.json:
        print_json(summary)
    else:
        shown = ("state", "step", "val_loss", "val_bits_per_byte")
        rows = ([run["run_id"], *run["values"].values(), *(run[name] for name in shown)] for run in summary["runs"])
        print_lines(table(["run id", *summary["options"], *(name.replace("_", " ") for name in shown)], rows))
    if control.stop_mode:
        line.say(f"{len(waiting)} runs wait in the queue; the page goes on with them, with a click.")
        return INTERRUPTED
    return OK if all(run["state"] in ("completed", "stopped") for run in summary["runs"]) else FAILED


def _over(texts: list[str], options: dict) -> dict[str, list]:
    """learning_rate=1e-3,3e-3 as the option's values, in its type."""
    over: dict[str, list] = {}
    for text in texts:
        name, sign, values = text.partition("=")
        name = name.strip().removeprefix("--").replace("-", "_")
        if not sign:
            raise ConfigError([Problem("", f"--over takes OPTION=VALUE,VALUE; received {text[:60]!r}.")])
        if name not in options:
            raise ConfigError([Problem("", f"--over: {unknown_option(name, list(options))}")])
        if name in over:
            raise ConfigError([Problem(name, "--over was given twice for this option.")])
        parts = (part.strip() for part in values.split(","))
        over[name] = [parse_text(options[name], part) for part in parts if part]
    return over
