"""Runs beside one another: what differs, what each reached, curves over one axis, seeds as a band, texts by step."""

import json
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from llm_testing.service import records
from llm_testing.service.curves import CurveStore, columns_of, thinned
from llm_testing.service.figures import colour_of
from llm_testing.service.flops import flops_of
from llm_testing.service.index import size_in_words
from llm_testing.store.columns import Columns
from llm_testing.store.run_folder import RunFolder

MOST_COMPARED = 20
MOST_POINTS = 600
"""Of each run, so that ten stay far under two megabytes."""
BAND_POINTS = 200
NOT_SETTINGS = ("name",)
SEED = "seed"
DRAWN = (
    "step", "tokens_seen", "elapsed_s", "train_loss", "val_loss", "val_bits_per_byte", "final_val_loss", "lr",
    "grad_norm", "tokens_per_s", "peak_bytes",
)  # fmt: skip
X_AXES = {"step": "step", "tokens": "tokens_seen", "time": "elapsed_s", "flops": "flops"}


def compared(folders: Sequence[RunFolder], curves: CurveStore, x: str, without: Collection[str] = ()) -> dict[str, Any]:
    """Everything about several runs side by side.

    Args:
        x: step, tokens, time or flops: what bands are drawn over; curves carry all four.
        without: runs whose curves are left out.

    Returns:
        differing: {option: {run_id: value}} of the options that are not the same everywhere.
        results: {run_id: {...}} with the keys of the command line's contract, best_val_bits_per_byte and flops.
        runs: [{run_id, name, kind, state, colour, model, seed}] in the order asked for.
        compare_by: "val_loss", or "val_bits_per_byte" where tokens differ; why: the sentence that says so, or null.
        flops: {run_id: {per_token, formula}}.
        curves: {run_id: {next, columns}} with at most about 600 rows; each stretch keeps its extremes.
        groups: runs that differ in nothing but the seed: [{run_ids, seeds, band}], band being columns
            x, train_loss, train_loss_low, train_loss_high and the same of val_loss and val_bits_per_byte.
    """
    entries = {folder.run_id: folder.record() for folder in folders}
    known = curves.several(list(entries))
    per_token = {run_id: flops_of(record) for run_id, record in entries.items()}
    why = tokens_differ(list(entries.values()))
    results = {folder.run_id: _result(folder, known[folder.run_id], per_token[folder.run_id]) for folder in folders}
    return {
        "x": x,
        "x_axes": list(X_AXES),
        "runs": [_head(run_id, record) for run_id, record in entries.items()],
        "differing": differing({run_id: record["config"] for run_id, record in entries.items()}),
        "results": results,
        "compare_by": "val_bits_per_byte" if why else "val_loss",
        "why": why,
        "flops": {run_id: vars(found) if found else None for run_id, found in per_token.items()},
        "curves": {run_id: _curve(known[run_id], per_token[run_id]) for run_id in entries if run_id not in without},
        "groups": [
            {
                "run_ids": run_ids,
                "seeds": [entries[run_id]["config"].get(SEED) for run_id in run_ids],
                "band": _band([known[run_id] for run_id in run_ids], [per_token[r] for r in run_ids], x),
            }
            for run_ids in seed_groups({run_id: record["config"] for run_id, record in entries.items()})
        ],
    }


def compared_settings(folders: Sequence[RunFolder]) -> dict[str, Any]:
    """What differs between runs' options and what each reached, without their curves.

    damaged: {run_id: sentence or null}, as far as records and newest rows tell.
    """
    entries = {folder.run_id: folder.record() for folder in folders}
    seen = {folder.run_id: records.looked_at(folder, entries[folder.run_id]) for folder in folders}
    why = tokens_differ(list(entries.values()))
    return {
        "differing": differing({run_id: record["config"] for run_id, record in entries.items()}),
        "results": {run_id: records.result_of(entries[run_id], last) for run_id, (last, _) in seen.items()},
        "damaged": {run_id: damage.in_words() for run_id, (_, damage) in seen.items()},
        "compare_by": "val_bits_per_byte" if why else "val_loss",
        "why": why,
    }


def differing(configs: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The options that are not the same in all configs, with every run's value; None where a run has no such option."""
    names = sorted({name for config in configs.values() for name in config} - set(NOT_SETTINGS))
    return {
        name: {run_id: config.get(name) for run_id, config in configs.items()}
        for name in names
        if len({json.dumps(config.get(name), sort_keys=True) for config in configs.values()}) > 1
    }


def tokens_differ(found: Sequence[dict[str, Any]]) -> str | None:
    """Why losses a token cannot be compared between runs, as a sentence; None where they can."""
    if len({_tokens(record) for record in found}) < 2:
        return None
    return (
        "These runs cut text into different tokens, so a loss a token means something else in each: they are compared "
        "by bits a byte."
    )


def _tokens(record: dict[str, Any]) -> tuple[Any, ...]:
    """What decides how a run's text becomes tokens."""
    config, data = record["config"], record["data"]
    if "model_name" in config:
        return ("model", str(config["model_name"]))
    return (str(config.get("tokenizer")), str(data.get("vocab_size") or config.get("vocab_size")))


def seed_groups(configs: dict[str, dict[str, Any]]) -> list[list[str]]:
    """Runs that differ in nothing but their seed, two or more together."""
    found: dict[str, list[str]] = {}
    for run_id, config in configs.items():
        rest = {name: value for name, value in config.items() if name not in (*NOT_SETTINGS, SEED)}
        found.setdefault(json.dumps(rest, sort_keys=True, default=repr), []).append(run_id)
    return [run_ids for run_ids in found.values() if len(run_ids) > 1]


def _head(run_id: str, record: dict[str, Any]) -> dict[str, Any]:
    config = record["config"]
    return {
        "run_id": run_id,
        "name": record["name"],
        "kind": record["kind"],
        "state": records.state_of(record),
        "colour": colour_of(run_id),
        "model": config.get("model_name") or size_in_words(config),
        "seed": config.get(SEED),
        "tags": record["tags"],
    }


def _result(folder: RunFolder, curve: Columns, flops: Any) -> dict[str, Any]:
    found = records.result(folder)
    known = {name: curve.column(name)[~np.isnan(curve.column(name))] for name in ("val_loss", "val_bits_per_byte")}
    for name, values in known.items():
        if len(values):  # the record of a run that goes on knows none, nor does that of one that was killed
            found[name] = float(values[-1]) if found[name] is None else found[name]
            if found.get(f"best_{name}") is None:
                found[f"best_{name}"] = float(values.min())
    tokens = found["tokens_seen"]
    return {
        "best_val_bits_per_byte": None,
        **found,
        "flops": tokens * flops.per_token if tokens is not None and flops else None,
    }


def _curve(curve: Columns, flops: Any) -> dict[str, Any]:
    rows = thinned(curve.values, curve.names, MOST_POINTS)
    columns = columns_of(rows, curve.names, DRAWN)
    tokens = columns["tokens_seen"]
    columns["flops"] = [None if n is None or flops is None else float(f"{n * flops.per_token:.6g}") for n in tokens]
    return {"next": curve.next_n, "thinned": len(rows) < len(curve), "columns": columns}


def _band(curves: Sequence[Columns], flops: Sequence[Any], x: str) -> dict[str, list[float | None]] | None:
    """Mean, least and greatest of several curves over stretches of x that all of them have."""
    along = [_along(curve, one, x) for curve, one in zip(curves, flops, strict=True)]
    if any(values is None or not len(values) or np.isnan(values).all() for values in along):
        return None
    last = min(float(np.nanmax(values)) for values in along)
    edges = np.linspace(0, last, BAND_POINTS + 1)
    band: dict[str, list[float | None]] = {"x": [float(f"{v:.6g}") for v in (edges[:-1] + edges[1:]) / 2]}
    for name in ("train_loss", "val_loss", "val_bits_per_byte"):
        found = np.stack(
            [_stretches(values, curve.column(name), edges) for values, curve in zip(along, curves, strict=True)]
        )
        whole = ~np.isnan(found[:, 0]).any(axis=0)
        mean, low, high = found[:, 0].mean(axis=0), found[:, 1].min(axis=0), found[:, 2].max(axis=0)
        for label, values in ((name, mean), (f"{name}_low", low), (f"{name}_high", high)):
            band[label] = [float(f"{v:.6g}") if ok else None for v, ok in zip(values, whole, strict=True)]
    return band


def _along(curve: Columns, flops: Any, x: str) -> np.ndarray | None:
    if x == "flops":
        return curve.column("tokens_seen") * flops.per_token if flops else None
    return curve.column(X_AXES[x])


def _stretches(along: np.ndarray, values: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """(3, stretches): mean, least and greatest value of each stretch; NaN where it has none."""
    found = np.full((3, len(edges) - 1), np.nan)
    known = ~np.isnan(along) & ~np.isnan(values) & (along <= edges[-1])
    if not known.any():
        return found
    place = np.clip(np.searchsorted(edges, along[known], side="right") - 1, 0, len(edges) - 2)
    count = np.bincount(place, minlength=len(edges) - 1)
    total = np.bincount(place, weights=values[known], minlength=len(edges) - 1)
    low, high = np.full(len(edges) - 1, np.inf), np.full(len(edges) - 1, -np.inf)
    np.minimum.at(low, place, values[known])
    np.maximum.at(high, place, values[known])
    some = count > 0
    found[:, some] = np.stack([total[some] / count[some], low[some], high[some]])
    return found


def texts_by_step(samples: dict[str, Sequence[dict[str, Any]]], most: int = 200) -> dict[str, Any]:
    """Samples side by side.

    Args:
        samples: each run's sample rows, oldest first.

    Returns:
        {"prompts": [{"prompt", "steps": [{"step", "texts": {run_id: text}}]}]}, the newest `most` steps of each prompt.
    """
    found: dict[str, dict[int, dict[str, str]]] = {}
    for run_id, rows in samples.items():
        for row in rows:
            prompt, text, step = row.get("prompt"), row.get("text"), row.get("step")
            if isinstance(prompt, str) and isinstance(text, str) and isinstance(step, int):
                found.setdefault(prompt, {}).setdefault(step, {})[run_id] = text
    return {
        "prompts": [
            {"prompt": prompt, "steps": [{"step": step, "texts": steps[step]} for step in sorted(steps)[-most:]]}
            for prompt, steps in found.items()
        ]
    }
