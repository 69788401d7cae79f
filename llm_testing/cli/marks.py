"""`runs rename|tag|note|star|archive`: what people write on their runs."""

import argparse

from llm_testing.cli.answer import FAILED, OK, print_lines
from llm_testing.cli.door import open_lab


def rename(args: argparse.Namespace) -> int:
    """Give a run another name."""
    open_lab(args).rename(args.run_id, args.name)
    return OK


def tag(args: argparse.Namespace) -> int:
    """Put tags on a run, or take them off."""
    words = {"remove" if args.remove else "add": args.tags}
    marks = open_lab(args).history.tag(args.run_id, **words)
    print_lines([f"Tags: {', '.join(marks['tags']) or 'none'}"])
    return OK


def note(args: argparse.Namespace) -> int:
    """Write notes on a run."""
    open_lab(args).history.mark(args.run_id, {"notes": args.notes})
    return OK


def star(args: argparse.Namespace) -> int:
    """Give runs a star."""
    return _to_all(args, "unstar" if args.off else "star")


def archive(args: argparse.Namespace) -> int:
    """Put runs away: the list leaves them out."""
    return _to_all(args, "unarchive" if args.off else "archive")


def _to_all(args: argparse.Namespace, action: str) -> int:
    done = open_lab(args).history.bulk(args.run_ids, action)
    print_lines(f"{run_id}: {reason}" for run_id, reason in done["refused"].items())
    return FAILED if done["refused"] else OK
