"""One run, opened: what it is made of, what it left, how to repeat it, and what can still be done with it."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from llm_testing.errors import ConfigError
from llm_testing.jobs.states import ACTIVE, RunState
from llm_testing.service.copies import copies
from llm_testing.service.figures import colour_of
from llm_testing.service.flops import flops_of
from llm_testing.service.kinds import config_of, kind_named
from llm_testing.service.records import whole_config
from llm_testing.store.checkpoints import CheckpointInfo
from llm_testing.store.run_folder import SCHEMA, RunFolder, schema_problem

MOST_FILES = 500
MOST_DEEP = 6


def opened(
    folder: RunFolder, details: dict[str, Any], busy: str | None, forked: set[int], waiting: list[str]
) -> dict[str, Any]:
    """A run's record and everything about it but its curves and texts.

    Args:
        details: as the reader gives them.
        busy: which run holds the trainer of this process, if any.
        forked: steps that other runs were forked from.
        waiting: the queue.

    Returns:
        The record's own keys, and:
        files: [{path, bytes}] inside the folder; checkpoints: [{id, step, bytes, damaged, kinds, ...}].
        memory: {estimated_bytes, measured_bytes, ratio, terms}; flops: {per_token, formula}.
        repeat: {cli, yaml, python} or {reason}.
        actions: {resume, extend, fork, generate, export, delete: null where it is possible, else the reason}.
        position: its place in the queue, from 1, or null.
    """
    flops = flops_of(details)
    run_id = folder.run_id
    return {
        **details,
        "run_id": run_id,
        "colour": colour_of(run_id),
        "files": list(files_of(folder.path)),
        "memory": _memory(details),
        "flops": vars(flops) if flops else None,
        "repeat": _repeat(details),
        "actions": actions(folder, details, busy, forked),
        "position": waiting.index(run_id) + 1 if run_id in waiting else None,
    }


def files_of(folder: Path, most: int = MOST_FILES) -> Iterator[dict[str, Any]]:
    """Path inside the folder and bytes of its files; links, hidden files and what lies too deep are left out."""
    waiting, given = [folder], 0
    while waiting:
        here = waiting.pop()
        try:
            entries = sorted(os.scandir(here), key=lambda entry: entry.name)
        except OSError:
            continue
        for entry in entries:
            if entry.name.startswith(".") or entry.is_symlink():
                continue
            path = Path(entry.path)
            if entry.is_dir(follow_symlinks=False):
                if len(path.relative_to(folder).parts) < MOST_DEEP:
                    waiting.append(path)
            elif entry.is_file(follow_symlinks=False) and given < most:
                given += 1
                yield {"path": path.relative_to(folder).as_posix(), "bytes": entry.stat().st_size}


def actions(folder: RunFolder, record: dict[str, Any], busy: str | None, forked: set[int]) -> dict[str, str | None]:
    """What can be done with a run: None where it is possible, else why not."""
    newest = folder.checkpoints.newest(verify=False)
    locked = _why_locked(record)
    state = record["state"]
    active = f"It is {state}." if state in ACTIVE else None
    queued = "It waits in the queue." if state == RunState.QUEUED else None
    taken = f"Run {busy} is training, and one run at a time can." if busy and busy != folder.run_id else None
    unsaved = None if newest else _why_unsaved(folder)
    goes_on = locked or active or queued or taken
    return {
        "resume": goes_on or _why_done(record, newest) or (unsaved if _has_damaged(folder) else None),
        "extend": goes_on or unsaved,
        "fork": locked or unsaved,
        "generate": locked or unsaved,
        "export": locked or unsaved,
        "delete": active or (f"Another run was forked from its step {max(forked):,}." if forked else None),
    }


def _why_locked(record: dict[str, Any]) -> str | None:
    """Why a run can only be looked at."""
    if schema_problem(record):
        if record["schema"] > SCHEMA:
            return "A newer version of the program wrote this run; update to go on with it."
        return "Its run.json has no usable schema number."
    if kind_named(record["kind"]) is None:
        return f"Runs of the kind {record['kind']!r} are not known here."
    try:
        whole_config(record)
    except ConfigError as error:
        return f"Its options are damaged: {' '.join(str(error).split())}"
    return None


def _why_done(record: dict[str, Any], newest: CheckpointInfo | None) -> str | None:
    if record["state"] != RunState.COMPLETED:
        return None
    if newest is None:
        return "It has done all of its steps, and no checkpoint of it is here."
    return f"It has done all of its {newest.step:,} steps. Extend it to a larger total."


def _why_unsaved(folder: RunFolder) -> str:
    if _has_damaged(folder):
        return "None of its checkpoints is whole."
    return "It has no checkpoint: nothing was saved, or the weights were left out when it was brought here."


def _has_damaged(folder: RunFolder) -> bool:
    return any(info.damaged for info in folder.checkpoints.list())


def _memory(record: dict[str, Any]) -> dict[str, Any]:
    measured = record["measured"].get("allocated_bytes") or record["measured_peak_bytes"]
    estimated = record["estimated_bytes"]
    ratio = estimated / measured if isinstance(measured, int) and measured > 0 and estimated else None
    return {
        "estimated_bytes": estimated,
        "measured_bytes": measured,
        "ratio": ratio,
        "terms": record["estimate"].get("terms"),
    }


def _repeat(record: dict[str, Any]) -> dict[str, Any]:
    try:
        return copies(config_of(record))
    except ConfigError as error:
        return {"reason": f"This version refuses an option of it: {' '.join(str(error).split())}"}
