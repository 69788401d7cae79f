"""`pretrain`, `finetune` and `resume`: a run in this process, from its flags to its exit status."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from llm_testing.cli.answer import FAILED, INTERRUPTED, OK, WRONG_USE, print_json, print_text
from llm_testing.cli.door import open_lab
from llm_testing.cli.flags import given_values
from llm_testing.cli.terminal import ProgressLine, duration
from llm_testing.config.finetune import FinetuneConfig
from llm_testing.config.option import Option, Options, options_of
from llm_testing.config.pretrain import PretrainConfig
from llm_testing.config.text import read_config_file
from llm_testing.errors import ConfigError, Problem
from llm_testing.jobs.control import Control
from llm_testing.jobs.signals import on_stop_signals

if TYPE_CHECKING:
    from llm_testing.service.lab import Lab

DEFAULT_PRESET = "recommended"


def pretrain(args: argparse.Namespace) -> int:
    """Train a new model."""
    values, preset = chosen(args)
    lab = open_lab(args)
    # Every problem is told before anything starts.
    lab.config(values, preset)

    def work(**watching: Any) -> str:
        return lab.run_here(values, preset=preset, queue=args.queue, force=args.force, **watching)

    return _run(lab, work, args.json)


def finetune(args: argparse.Namespace) -> int:
    """Tune an open model on examples."""
    values, preset = chosen(args, FinetuneConfig)
    lab = open_lab(args)
    lab.finetuning.config(values, preset)

    def work(**watching: Any) -> str:
        return lab.finetuning.run_here(values, preset=preset, queue=args.queue, force=args.force, **watching)

    return _run(lab, work, args.json)


def changeable_options() -> dict[str, Option]:
    """Options of any kind of run that may change when it is resumed."""
    every = options_of(FinetuneConfig) | options_of(PretrainConfig)
    return {name: option for name, option in every.items() if option.show.resume == "change"}


def resume(args: argparse.Namespace) -> int:
    """Go on with a run that was stopped or interrupted, or extend one that is completed."""
    changes = given_values(args, changeable_options())
    lab = open_lab(args)
    return _run(lab, lambda **watching: lab.resume_here(args.run_id, changes, **watching), args.json)


def chosen(args: argparse.Namespace, config: type[Options] = PretrainConfig) -> tuple[dict[str, Any], str]:
    """The values that were given and the preset they stand on: flags win over --config, which wins over the preset.

    Raises:
        ConfigError: for flags and files that cannot be read.
    """
    flags = given_values(args, options_of(config))
    from_file = read_config_file(args.config) if args.config else {}
    preset = args.preset or from_file.pop("preset", None) or DEFAULT_PRESET
    if not isinstance(preset, str):
        raise ConfigError([Problem("preset", f"A preset is a name; received {preset!r}.")])
    return {**from_file, **flags}, preset


def _run(lab: Lab, work: Callable[..., str], as_json: bool) -> int:
    """Do the work under the eyes of terminal and signals, and answer how it ended."""
    control, line = Control(), ProgressLine(sys.stderr, time.monotonic, lab.live)
    num_points = 0

    def count(event: object) -> None:
        nonlocal num_points
        num_points += 1

    def stop(signal_name: str) -> None:
        control.request_stop("signal")

    try:
        with on_stop_signals(stop):
            run_id = work(control=control, report=line.report, on_event=count)
    finally:
        line.close()
    last = lab.last()
    line.announce(last)
    result, failure = lab.result(run_id), last.error
    if as_json:
        print_json(result)
    if failure:
        line.say(" ".join(failure.message.split()))
        if failure.traceback:
            print_text(failure.traceback, error=True)
            return FAILED
        # What a user caused before the first point is wrong input; later it is a run that failed.
        return FAILED if num_points else WRONG_USE
    print_text(_in_words(result), error=as_json)
    return OK if result["state"] in ("completed", "stopped") else INTERRUPTED


def _in_words(result: dict[str, Any]) -> str:
    run_id, words = result["run_id"], [f"Run {result['run_id']} is {result['state']} at step {result['step'] or 0:,}"]
    if result["elapsed_s"] is not None:
        words.append(f"after {duration(result['elapsed_s'])}")
    text = " ".join(words) + "."
    if result["val_loss"] is not None:
        text += f" Validation loss {result['val_loss']:.4f} nats a token"
        bits = result["val_bits_per_byte"]
        text += f", {bits:.4f} bits a byte." if bits is not None else "."
    if result["state"] == "interrupted":
        return f"{text}\nGo on with: python -m llm_testing resume {run_id}\n"
    return f"{text}\nRead what it writes: python -m llm_testing generate {run_id} --prompt The\n"
