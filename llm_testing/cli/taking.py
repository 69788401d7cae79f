"""`runs export` and `runs import`: taking runs along, and bringing them in."""

import argparse
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

from llm_testing.cli.answer import FAILED, OK, print_json, print_lines
from llm_testing.cli.door import open_lab
from llm_testing.errors import ConfigError, NotFound, Problem
from llm_testing.store.files import write_with

FORMS = ("zip", "csv")
_BLOCK_BYTES = 1 << 20


def export(args: argparse.Namespace) -> int:
    """Write runs into one file: a zip that imports elsewhere, or one run's curves as CSV."""
    if args.to.exists():
        raise ConfigError([Problem("", f"{args.to} exists already. Give a file that does not exist yet.")])
    lab = open_lab(args)
    if args.form == "zip":
        blocks = lab.archive.zipped(not args.no_checkpoints, args.run_ids)
    else:
        if len(args.run_ids) != 1:
            raise ConfigError([Problem("", f"A CSV file holds one run; received {len(args.run_ids)}.")])
        blocks = lab.table(args.run_ids[0], "metrics")
    _write(args.to, blocks)
    print_lines([f"Wrote {args.to}, {args.to.stat().st_size:,} bytes."])
    return OK


def import_runs(args: argparse.Namespace) -> int:
    """Bring runs in from a zip; runs that are here already stay as they are."""
    if not args.file.is_file():
        raise NotFound(f"There is no file {args.file}.")
    with args.file.open("rb") as file, open_lab(args).archive.receive() as upload:
        while block := file.read(_BLOCK_BYTES):
            upload.write(block)
        came = upload.restore()
    if args.json:
        print_json(asdict(came))
    else:
        print_lines(f"Brought in {run_id}." for run_id in came.restored)
        print_lines(f"Left out {run_id}: {reason}" for run_id, reason in came.skipped.items())
    return OK if came.restored or not came.skipped else FAILED


def _write(path: Path, blocks: Iterable[bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_with(path, lambda file: [file.write(block) for block in blocks])
