"""`runs export`, `runs import` and `runs backup`: runs as files to take along or to keep on the Hub, and back."""

import argparse
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

from llm_testing.cli.answer import FAILED, OK, print_json, print_lines
from llm_testing.cli.door import open_lab
from llm_testing.cli.terminal import ProgressLine
from llm_testing.config.foreign import PLAIN, open_file, reading
from llm_testing.errors import ConfigError, Problem, WrongState
from llm_testing.jobs.control import Control
from llm_testing.jobs.signals import on_stop_signals
from llm_testing.store.files import write_with

FORMS = ("zip", "html", "csv", "tensorboard")
BLOCK_BYTES = 1 << 20


def export(args: argparse.Namespace) -> int:
    """Write runs as one zip, as one HTML page, as CSV, or as TensorBoard's event files."""
    lab, to = open_lab(args), args.to
    if args.form == "zip":
        written = [_write(to, lab.archive.zipped(not args.no_checkpoints, args.run_ids))]
    elif args.form == "html":
        written = [_write(to, lab.reports.page(args.run_ids))]
    elif args.form == "csv":
        written = [
            _write(to / f"{run_id}-{name}.csv", lab.history.table(run_id, name))
            for run_id in args.run_ids
            for name in ("metrics", "samples")
        ]
    else:
        written = [
            _write(to / run_id / "events.out.tfevents.0000000000.llm-testing", lab.reports.events(run_id))
            for run_id in args.run_ids
        ]
    print_lines(f"Written: {path}" for path in written)
    told = {run_id: lab.history.damage(run_id).in_words() for run_id in args.run_ids}
    print_lines(f"{run_id} is damaged: {said}" for run_id, said in told.items() if said)
    return OK


def import_runs(args: argparse.Namespace) -> int:
    """Bring runs in from a zip; runs that are here already stay as they are."""
    lab = open_lab(args)
    with lab.archive.receive(args.file.name) as incoming:
        for block in _blocks(args.file):
            incoming.write(block)
        restored = incoming.whole()
    if args.json:
        print_json(asdict(restored))
    else:
        print_lines(f"Brought in {run_id}." for run_id in restored.restored)
        print_lines(f"Left out {run_id}: {reason}" for run_id, reason in restored.skipped.items())
    return OK if restored.restored or not restored.skipped else FAILED


def backup(args: argparse.Namespace) -> int:
    """Send all runs to a private dataset of the Hub, with the token in HF_TOKEN, or bring them back from it."""
    lab, control, line = open_lab(args), Control(), ProgressLine(sys.stderr, time.monotonic)
    carry = lab.backups.bring_back if args.restore else lab.backups.back_up
    try:
        with on_stop_signals(lambda name: control.request_stop("signal")):
            carried = carry(args.repo, line.report, control.check)
    finally:
        line.close()
    if args.json:
        print_json(asdict(carried))
    else:
        done = "Brought back" if args.restore else "Sent"
        print_lines(f"{done} {run_id}." for run_id in carried.runs)
        print_lines(f"Left out {run_id}: {reason}" for run_id, reason in carried.skipped.items())
        print_lines([f"{carried.same} there already. {carried.url}"])
    return FAILED if carried.skipped else OK


def _blocks(path: Path) -> Iterator[bytes]:
    with open_file(path) as file, reading(path, PLAIN):
        while block := file.read(BLOCK_BYTES):
            yield block


def _write(path: Path, pieces: Iterable[bytes]) -> Path:
    """A new file, which appears under its name when it is whole."""
    if path.exists():
        raise WrongState(f"{path} exists already. Give a place where nothing is.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError([Problem("", f"--to: {path.parent} cannot be made: {error.strerror or error}.")]) from None
    write_with(path, lambda file: [file.write(piece) for piece in pieces])
    return path
