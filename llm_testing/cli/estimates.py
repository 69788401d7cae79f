"""`estimate` and `fit`: what a run would take in memory, and what to change so that it fits."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from llm_testing.cli.answer import FAILED, OK, print_json, print_lines, table
from llm_testing.cli.door import open_lab
from llm_testing.cli.training import chosen
from llm_testing.config.finetune import FinetuneConfig

if TYPE_CHECKING:
    from llm_testing.estimate.budget import Budget
    from llm_testing.estimate.result import Estimate
    from llm_testing.service.lab import Lab

GIB = 2**30


def estimate_pretrain(args: argparse.Namespace) -> int:
    """Estimate a pretraining run's memory."""
    return _estimate(*_pretraining(args), args)


def estimate_finetune(args: argparse.Namespace) -> int:
    """Estimate a fine-tuning run's memory."""
    return _estimate(*_finetuning(args), args)


def fit_pretrain(args: argparse.Namespace) -> int:
    """Find what to change so that a pretraining run fits."""
    return _fit(*_pretraining(args), args)


def fit_finetune(args: argparse.Namespace) -> int:
    """Find what to change so that a fine-tuning run fits."""
    return _fit(*_finetuning(args), args)


def _pretraining(args: argparse.Namespace) -> tuple[Lab, Any]:
    values, preset = chosen(args)
    lab = open_lab(args)
    return lab, lab.config(values, preset)


def _finetuning(args: argparse.Namespace) -> tuple[Lab, Any]:
    values, preset = chosen(args, FinetuneConfig)
    lab = open_lab(args)
    return lab, lab.finetuning.config(values, preset)


def _budget(lab: Lab, config: Any, args: argparse.Namespace) -> Budget:
    return lab.estimates.budget(getattr(config, "device", "auto"), args.gpu_memory_gb, args.card)


def _estimate(lab: Lab, config: Any, args: argparse.Namespace) -> int:
    try:
        found = lab.estimates.estimate(config, _budget(lab, config, args))
    finally:
        lab.estimates.close()
    if args.json:
        print_json(found.as_dict())
    else:
        print_lines(_in_words(found))
    return OK


def _in_words(found: Estimate) -> list[str]:
    rows = [[name.replace("_", " "), f"{num_bytes / GIB:.2f} GiB"] for name, num_bytes in found.terms.items()]
    rows.append(["allocated at the peak", f"{found.allocated_bytes / GIB:.2f} GiB"])
    rows.append(["reserved by the allocator", f"{found.reserved_bytes / GIB:.2f} GiB"])
    rows.append(["least with which it runs", f"{found.minimum_bytes / GIB:.2f} GiB"])
    rows.append(["beside torch (context)", f"{found.context_bytes / GIB:.2f} GiB"])
    free = f"{found.budget.name}, {found.budget.free_bytes / GIB:.2f} GiB free"
    return [f"{found.verdict}: {free}", *table(["what", "bytes"], rows)]


def _fit(lab: Lab, config: Any, args: argparse.Namespace) -> int:
    budget = _budget(lab, config, args)
    try:
        if args.largest:
            way = lab.estimates.largest(config, args.largest, budget)
            ways = [way] if way else []
        else:
            ways = lab.estimates.fit(config, budget)
    finally:
        lab.estimates.close()
    if args.json:
        print_json({"budget": budget.name, "free_bytes": budget.free_bytes, "ways": [way.as_dict() for way in ways]})
    elif ways:
        rows = [
            [
                ", ".join(f"{name} {value}" for name, value in way.changes.items()) or "nothing",
                f"{way.estimate.reserved_bytes / GIB:.2f} GiB",
                f"{way.relative_speed:.2f}",
            ]
            for way in ways
        ]
        print_lines(table(["change", "reserved", "speed"], rows))
    if not ways:
        print_lines([f"Nothing that could be changed makes this run fit {budget.name}."], error=True)
        return FAILED
    return OK
