"""`runs ...`: what is in the runs folder, and acting on it."""

import argparse
from dataclasses import asdict
from typing import Any

from llm_testing.cli.answer import FAILED, OK, print_json, print_lines, print_text, table
from llm_testing.cli.door import open_lab
from llm_testing.cli.flags import given_values
from llm_testing.cli.terminal import duration
from llm_testing.config.history import RunsQuery
from llm_testing.config.option import options_of

_PLACE = ("file", "line", "field", "found", "count")
LISTED = ("run_id", "kind", "name", "state", "step", "train_loss", "val_loss", "damaged")


def list_runs(args: argparse.Namespace) -> int:
    """The runs that are asked for; without a question all that are not archived, the newest first."""
    query = RunsQuery.build(given_values(args, options_of(RunsQuery)))
    history = open_lab(args).history
    rows = [asdict(row) for row in history.runs(query)]
    if args.json:
        print_json({"runs": [{key: row[key] for key in LISTED} for row in rows]})
        return OK
    if not rows:
        print_lines([f"There are no {'such ' if history.all_rows() else ''}runs in {args.runs_dir}."])
        return OK
    shown = ["run_id", "name", "state", "step", "train_loss", "val_loss", "val_bits_per_byte"]
    shown += [name for name in (query.sort.removeprefix("-"),) if name not in (*shown, "created_at")]
    print_lines(table([name.replace("_", " ") for name in shown], ([row[name] for name in shown] for row in rows)))
    print_lines(f"{row['run_id']} is damaged: {row['damaged']}" for row in rows if row["damaged"])
    return OK


def show(args: argparse.Namespace) -> int:
    """Everything about one run but its curves."""
    lab = open_lab(args)
    details = lab.history.open(args.run_id)
    if args.json:
        print_json(details)
        return OK
    result = lab.result(args.run_id)
    lines = [f"{details['name']} ({args.run_id}): {details['state']}"]
    if details.get("error"):
        lines.append(str(details["error"]))
    lines += told_damage(details)
    lines += ["", *table(("result", ""), ((name.replace("_", " "), value) for name, value in result.items()))]
    if result["elapsed_s"] is not None:
        lines.append(f"time in the run: {duration(result['elapsed_s'])}")
    lines += ["", *table(("option", "value"), details["config"].items())]
    lines += ["", *_what_can_be_done(details)]
    print_lines(lines)
    # A text of an option may have line breaks, which belong to the command.
    print_text(f"\n{details['repeat'].get('cli') or details['repeat']['reason']}\n")
    checkpoints = [(point["id"], ", ".join(point.get("kinds", [])), point["bytes"]) for point in details["checkpoints"]]
    if checkpoints:
        print_lines(["", *table(("checkpoint", "kept as", "bytes"), checkpoints)])
    return OK


def told_damage(details: dict[str, Any]) -> list[str]:
    """What of a run's files is damaged, place by place."""
    if not details["damaged"]:
        return []
    heads = ("file", "first line", "field", "what was found first", "times")
    places = details["damage"]["places"]
    return ["", f"damaged: {details['damaged']}", *table(heads, ([place[name] for name in _PLACE] for place in places))]


def _what_can_be_done(details: dict[str, Any]) -> list[str]:
    possible = [name for name, reason in details["actions"].items() if reason is None]
    lines = [f"can: {', '.join(possible) or 'nothing'}"]
    return lines + [f"cannot {name}: {reason}" for name, reason in details["actions"].items() if reason is not None]


def compare(args: argparse.Namespace) -> int:
    """Which options differ between runs, and what each reached."""
    compared = open_lab(args).compare(args.run_ids)
    if args.json:
        print_json(compared)
        return OK
    heads = ["", *args.run_ids]
    differing = [[name, *(values[run_id] for run_id in args.run_ids)] for name, values in compared["differing"].items()]
    results = [
        [name.replace("_", " "), *(compared["results"][run_id][name] for run_id in args.run_ids)]
        for name in ("state", "step", "train_loss", "val_loss", "val_bits_per_byte", "num_parameters", "tokens_per_s")
    ]
    print_lines(table(heads, [*differing, *results]))
    print_lines([compared["why"]] if compared["why"] else [])
    print_lines(f"{run_id} is damaged: {said}" for run_id, said in compared["damaged"].items() if said)
    return OK


def delete(args: argparse.Namespace) -> int:
    """Move runs to the trash."""
    done = open_lab(args).history.bulk(args.run_ids, "delete")
    for run_id in done["done"]:
        print_lines([f"Run {run_id} is in the trash. Bring it back with: runs restore {run_id}"])
    if done["done"]:
        print_lines([f"{done['bytes'] / 2**20:.1f} MiB, which are free once the trash is emptied."])
    return _say_refused(done)


def restore(args: argparse.Namespace) -> int:
    """Bring runs back from the trash."""
    return _say_refused(open_lab(args).history.bulk(args.run_ids, "restore"))


def _say_refused(done: dict[str, Any]) -> int:
    print_lines((f"{run_id}: {' '.join(reason.split())}" for run_id, reason in done["refused"].items()), error=True)
    return FAILED if done["refused"] else OK


def trash(args: argparse.Namespace) -> int:
    """What is in the trash; with --empty it is removed for good."""
    lab = open_lab(args)
    if args.empty:
        num_runs, num_bytes = lab.empty_trash()
        print_lines([f"Removed {num_runs} runs, {num_bytes / 2**20:.1f} MiB."])
        return OK
    rows = [(row.run_id, row.name) for row in lab.trashed()]
    print_lines(table(("run id", "name"), rows) if rows else ["The trash is empty."])
    return OK
