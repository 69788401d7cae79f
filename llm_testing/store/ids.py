"""Run ids and checkpoint ids: made here, and checked before they touch a path.

A run id is `20261123-101500-k3f9`: when the run was created, in UTC, and four random characters. It sorts by time and
needs no quoting anywhere. Names and tags are the user's words; they are data and never part of a path.
"""

import re
import secrets
from collections.abc import Callable
from datetime import UTC, datetime

from llm_testing.errors import BadRunId

# Crockford's base 32: no i, l, o, u, which are misread or spell words.
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_RUN_ID = re.compile(r"[0-9]{8}-[0-9]{6}-[0-9a-z]{4}")
_STEP_FOLDER = re.compile(r"step-([0-9]{8,12})")
MAX_STEP = 10**12 - 1


def new_run_id(now: datetime, suits: Callable[[str], bool] = lambda run_id: True) -> str:
    """A new id that sorts after those of earlier seconds.

    Args:
        now: with its time zone.
        suits: whether an id will do; one in some must.
    """
    if now.tzinfo is None:
        raise ValueError("new_run_id needs a time with its zone, such as datetime.now(UTC).")
    while True:
        run_id = f"{now.astimezone(UTC):%Y%m%d-%H%M%S}-" + "".join(secrets.choice(_ALPHABET) for _ in range(4))
        if suits(run_id):
            return run_id


def check_run_id(text: str) -> str:
    """Return text if it is a run id.

    Raises:
        BadRunId: for anything else, of any type, whether or not such a folder exists.
    """
    if not isinstance(text, str) or not _RUN_ID.fullmatch(text):
        raise BadRunId(
            f"{_quoted(text)} is not a run id. A run id looks like 20261123-101500-k3f9; the list of runs shows them."
        )
    return text


def step_folder(step: int) -> str:
    """The folder name of a step's checkpoint: `step-00001000`."""
    if isinstance(step, bool) or not isinstance(step, int) or not 0 <= step <= MAX_STEP:
        raise BadRunId(f"{_quoted(step)} is not a step. A step is a whole number from 0 to {MAX_STEP}.")
    return f"step-{step:08d}"


def step_of_folder(name: str) -> int | None:
    """The step that a folder name stands for, or None if it is not one that `step_folder` makes."""
    match = _STEP_FOLDER.fullmatch(name)
    return int(match[1]) if match and step_folder(int(match[1])) == name else None


def checkpoint_id(run_id: str, step: int) -> str:
    """`20261123-101500-k3f9/step-00001000`."""
    return f"{check_run_id(run_id)}/{step_folder(step)}"


def parse_checkpoint_id(text: str) -> tuple[str, int]:
    """The run id and step of a checkpoint id.

    Raises:
        BadRunId: for anything else.
    """
    run_id, slash, folder = text.partition("/") if isinstance(text, str) else ("", "", "")
    step = step_of_folder(folder)
    if not slash or step is None or not _RUN_ID.fullmatch(run_id):
        raise BadRunId(
            f"{_quoted(text)} is not a checkpoint id. It looks like 20261123-101500-k3f9/step-00001000; "
            f"a run's page lists its checkpoints."
        )
    return run_id, step


def _quoted(value: object) -> str:
    """Show hostile text harmlessly: ASCII, in quotes, at most 40 characters."""
    shown = ascii(value if len(value) <= 40 else value[:40] + "...") if isinstance(value, str) else ascii(value)
    return shown if len(shown) <= 200 else shown[:200] + "..."
