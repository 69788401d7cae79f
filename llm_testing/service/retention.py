"""Which checkpoints of a run stay: the newest whole one, the best, the last, the newest periodic ones, and whatever
somebody still needs. Everything else goes after the next save."""

from collections.abc import Collection, Iterable

from llm_testing.errors import NotFound
from llm_testing.store.checkpoints import CheckpointInfo, Checkpoints
from llm_testing.store.runs import RunRow, RunStore

ALWAYS_ONE = ("best", "final")


def steps_to_delete(infos: list[CheckpointInfo], keep_periodic: int, protected: Collection[int]) -> list[int]:
    """Steps that nobody needs any more.

    Args:
        infos: all checkpoints of the run, oldest first; damaged ones are left to the user.
        keep_periodic: how many of the kept ones stay.
        protected: steps that stay whatever they are: where the session began, parents of forks.
    """
    whole = [info for info in infos if info.damaged is None]
    keep = set(protected)
    if whole:
        keep.add(whole[-1].step)
    for kind in ALWAYS_ONE:
        keep.update([info.step for info in whole if kind in info.facts.get("kinds", [])][-1:])
    keep.update([info.step for info in whole if "periodic" in info.facts.get("kinds", [])][-keep_periodic:])
    return [info.step for info in whole if info.step not in keep]


def tidy(checkpoints: Checkpoints, keep_periodic: int, protected: Collection[int]) -> list[int]:
    """Delete what nobody needs; returns the deleted steps."""
    gone = steps_to_delete(checkpoints.list(), keep_periodic, protected)
    for step in gone:
        try:
            checkpoints.delete(step, protect=protected)
        except NotFound:
            continue
    return gone


def forked_steps(store: RunStore, run_id: str) -> set[int]:
    """Steps of a run that other runs were forked from: their parents stay."""
    return parents_of_forks(store.rows()).get(run_id, set())


def parents_of_forks(rows: Iterable[RunRow]) -> dict[str, set[int]]:
    """For each run that others were forked from, the steps where."""
    found: dict[str, set[int]] = {}
    for row in rows:
        parent = (row.record or {}).get("parent") or {}
        if parent.get("how") == "fork":
            found.setdefault(parent["run_id"], set()).add(parent["step"])
    return found
