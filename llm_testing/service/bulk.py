"""One thing done to many runs: each by itself, so that one that is refused or a crash between two costs no other."""

from collections.abc import Callable, Sequence
from typing import Any

from llm_testing.errors import ConfigError, Problem, UserError

MOST = 10_000
Size = Callable[[str], int]
ACTIONS = ("star", "unstar", "archive", "unarchive", "tag", "untag", "delete", "restore")


def done_to_all(
    acts: dict[str, Callable[[str], Any]], run_ids: Sequence[str], action: str, tags: Sequence[str], size: Size
) -> dict[str, Any]:
    """Do one of ACTIONS to runs.

    Args:
        acts: what does each of them to a run.
        tags: those that tag and untag are about.
        size: bytes of a run that has just been deleted or restored.

    Returns:
        {"done": [run_id], "refused": {run_id: reason}, "bytes": of what was deleted or restored}.

    Raises:
        ConfigError: for an action that there is not, no runs, too many, and no tags where they are needed.
    """
    problems = []
    if action not in ACTIONS:
        problems.append(Problem("action", f"action is one of {', '.join(ACTIONS)}; received {action[:40]!r}."))
    if not 1 <= len(run_ids) <= MOST:
        problems.append(Problem("runs", f"Name 1 to {MOST:,} runs; received {len(run_ids):,}."))
    if action in ("tag", "untag") and not tags:
        problems.append(Problem("tags", f"Name the tags to {action}."))
    if problems:
        raise ConfigError(problems)
    done: list[str] = []
    refused: dict[str, str] = {}
    num_bytes = 0
    for run_id in dict.fromkeys(run_ids):
        try:
            acts[action](run_id)
        except UserError as error:
            refused[str(run_id)[:100]] = str(error)
            continue
        done.append(run_id)
        num_bytes += size(run_id) if action in ("delete", "restore") else 0
    return {"done": done, "refused": refused, "bytes": num_bytes}
