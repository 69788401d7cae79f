"""One thing done to many runs: each by itself, so that one that is refused or a crash between two costs no other."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from llm_testing.errors import ConfigError, Problem, UserError
from llm_testing.store.staging import size_bytes

if TYPE_CHECKING:
    from llm_testing.service.lab import Lab

MOST = 10_000
ACTIONS = ("star", "unstar", "archive", "unarchive", "tag", "untag", "delete", "restore")


def done_to_all(lab: "Lab", run_ids: Sequence[str], action: str, tags: Sequence[str] = ()) -> dict[str, Any]:
    """Do one of ACTIONS to runs.

    Args:
        tags: for tag and untag.

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
    acts: dict[str, Callable[[str], Any]] = {
        "star": lambda run_id: lab.history.mark(run_id, {"starred": True}),
        "unstar": lambda run_id: lab.history.mark(run_id, {"starred": False}),
        "archive": lambda run_id: lab.history.mark(run_id, {"archived": True}),
        "unarchive": lambda run_id: lab.history.mark(run_id, {"archived": False}),
        "tag": lambda run_id: lab.history.tag(run_id, add=tags),
        "untag": lambda run_id: lab.history.tag(run_id, remove=tags),
        "delete": lab.trash,
        "restore": lab.restore,
    }
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
        if action in ("delete", "restore"):
            num_bytes += size_bytes(lab.runs_dir / (".trash" if action == "delete" else "") / run_id)
    return {"done": done, "refused": refused, "bytes": num_bytes}
