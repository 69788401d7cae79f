"""Every `runs ...` command: its name, what does it, its arguments, and whether it can answer in JSON."""

from argparse import ArgumentParser
from pathlib import Path

from llm_testing.cli import folders, marks, taking
from llm_testing.cli.flags import add_flags
from llm_testing.config.history import RunsQuery
from llm_testing.config.option import options_of


def _one(parser: ArgumentParser) -> None:
    parser.add_argument("run_id", metavar="RUN_ID")


def _many(parser: ArgumentParser) -> None:
    parser.add_argument("run_ids", metavar="RUN_ID", nargs="+")


def _query(parser: ArgumentParser) -> None:
    add_flags(parser, options_of(RunsQuery).values())


def _rename(parser: ArgumentParser) -> None:
    _one(parser)
    parser.add_argument("name", metavar="NAME")


def _tag(parser: ArgumentParser) -> None:
    _one(parser)
    parser.add_argument("tags", metavar="TAG", nargs="+")
    parser.add_argument("--remove", action="store_true", help="take these tags off")


def _note(parser: ArgumentParser) -> None:
    _one(parser)
    parser.add_argument("notes", metavar="TEXT", help="in place of what was written before")


def _off(parser: ArgumentParser) -> None:
    _many(parser)
    parser.add_argument("--off", action="store_true", help="undo it")


def _export(parser: ArgumentParser) -> None:
    _many(parser)
    parser.add_argument(
        "--to", required=True, type=Path, metavar="PATH", help="a new file; for csv and tensorboard a folder"
    )
    parser.add_argument(
        "--form",
        choices=taking.FORMS,
        default="zip",
        help="zip imports elsewhere, html opens without a network [default zip]",
    )
    parser.add_argument("--no-checkpoints", action="store_true", help="leave the weights out of a zip")


def _import(parser: ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help="a zip that export or Download all wrote")


def _backup(parser: ArgumentParser) -> None:
    parser.add_argument("--repo", metavar="OWNER/NAME", help="a private dataset [default YOU/llm-testing-runs]")
    parser.add_argument("--restore", action="store_true", help="bring back what is not here")


def _trash(parser: ArgumentParser) -> None:
    parser.add_argument("--empty", action="store_true", help="remove for good what is in it")


RUN_COMMANDS = (
    ("list", folders.list_runs, _query, True),
    ("show", folders.show, _one, True),
    ("compare", folders.compare, _many, True),
    ("rename", marks.rename, _rename, False),
    ("tag", marks.tag, _tag, False),
    ("note", marks.note, _note, False),
    ("star", marks.star, _off, False),
    ("archive", marks.archive, _off, False),
    ("delete", folders.delete, _many, False),
    ("restore", folders.restore, _many, False),
    ("trash", folders.trash, _trash, False),
    ("export", taking.export, _export, False),
    ("import", taking.import_runs, _import, True),
    ("backup", taking.backup, _backup, True),
)
