"""The runs that wait for the trainer, in order; the order is on disk and survives a restart."""

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from llm_testing.errors import BadRunId, DamagedRun, NotFound
from llm_testing.store.files import lock_file, need_folder, read_json, replace_path, write_json
from llm_testing.store.ids import check_run_id

QUEUE = "queue.json"
MOST_WAITING = 10_000
T = TypeVar("T")


class RunQueue:
    """Run ids in the order in which they will be trained. Threads and processes may share it.

    A queue file that cannot be read is set aside as queue.json.damaged, and the queue goes on empty; `damaged` says so.
    The runs in it are still in their folders, with the state queued.
    """

    def __init__(self, root: Path):
        self._root = root
        self._path = root / QUEUE
        self._lock = threading.RLock()
        self.damaged: str | None = None

    def ids(self) -> list[str]:
        """The waiting runs, the next one first."""
        with self._lock:
            return self._read()[0]

    def add(self, run_id: str) -> int:
        """Put a run at the end and return its position, 0 being next; one that waits already keeps its place."""
        check_run_id(run_id)

        def append(ids: list[str]) -> int:
            if run_id not in ids:
                ids.append(run_id)
            return ids.index(run_id)

        return self._change(append)

    def remove(self, run_id: str) -> bool:
        """Take a run out; returns whether it was waiting."""
        check_run_id(run_id)

        def take_out(ids: list[str]) -> bool:
            waited = run_id in ids
            ids[:] = [other for other in ids if other != run_id]
            return waited

        return self._change(take_out)

    def move(self, run_id: str, position: int) -> int:
        """Put a waiting run at a position, counted from 0; beyond the end means last. Returns where it is now.

        Raises:
            NotFound: if it is not waiting.
        """
        check_run_id(run_id)

        def put(ids: list[str]) -> int:
            if run_id not in ids:
                raise NotFound(f"Run {run_id} is not in the queue, so it cannot be moved there.")
            ids.remove(run_id)
            ids.insert(max(0, position), run_id)
            return ids.index(run_id)

        return self._change(put)

    def _change(self, act: Callable[[list[str]], T]) -> T:
        """Let act edit the list, and save it if it did; readers in other processes see it before or after."""
        need_folder(self._root)
        with self._lock, lock_file(self._root / ".queue.lock"):
            before, problem = self._read()
            if problem:
                replace_path(self._path, self._path.with_name(QUEUE + ".damaged"))
            ids = list(before)
            result = act(ids)
            if ids != before:
                write_json(self._path, {"schema": 1, "run_ids": ids})
            return result

    def _read(self) -> tuple[list[str], str | None]:
        """The list, and what is wrong with the file (then the list is empty)."""
        if not os.path.lexists(self._path):
            return [], None
        try:
            ids = read_json(self._path).get("run_ids")
            if not isinstance(ids, list) or len(ids) > MOST_WAITING:
                raise DamagedRun(f"{self._path} holds no list of at most {MOST_WAITING:,} run ids.")
            return list(dict.fromkeys(check_run_id(run_id) for run_id in ids)), None
        except (DamagedRun, BadRunId) as error:
            self.damaged = f"The queue was damaged and is empty now: {error}"
            return [], self.damaged
