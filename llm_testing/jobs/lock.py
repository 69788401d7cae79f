"""One trainer a device and runs folder, across processes: a lock that the kernel drops when its process dies.

Beside the lock file lies a JSON file about its holder. Only the lock counts; the facts name the holder to people.
"""

import re
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from llm_testing.errors import Busy, DamagedRun
from llm_testing.jobs.owner import is_alive, this_process
from llm_testing.jobs.progress import never_cancel
from llm_testing.store.files import need_folder, read_json, refusal_named, write_json

# The holder writes its facts a moment after it has the lock; somebody's look at `holder` takes the lock for a moment.
_GRACE_S = 0.3
_POLL_S = 0.25


class TrainerLock:
    """The right to train on a device, for one process and one run at a time.

    Keep the object for as long as the run lasts: the lock ends with it.

    Args:
        root: the runs folder.
        device: "cpu", "cuda:0" or the like; each has its own lock.
    """

    def __init__(self, root: Path, device: str):
        name = re.sub(r"[^a-z0-9]+", "-", device.lower())
        self.device = device
        self._root = root
        self._path = root / f".trainer-{name}.lock"
        self._facts = root / f".trainer-{name}.json"
        self._lock = FileLock(self._path, thread_local=False)
        self._mine = threading.Lock()

    def acquire(
        self,
        holder: dict,
        wait: bool = False,
        check: Callable[[], None] = never_cancel,
        poll_s: float = _POLL_S,
    ) -> None:
        """Take the lock, or with wait=True wait for it.

        Args:
            holder: what others are told, such as {"run_id": ..., "state": ...}; the process is added.
            check: called between polls; it raises Cancelled to give up.

        Raises:
            Busy: naming the holder's run and process.
        """
        need_folder(self._root)
        if not self._take():
            self._wait_for_it(wait, check, poll_s)
        try:
            write_json(self._facts, {**holder, "owner": this_process()})
        except BaseException:
            self.release()
            raise

    def tell(self, holder: dict) -> None:
        """Say more about the holder; only whoever holds the lock does."""
        write_json(self._facts, {**holder, "owner": this_process()})

    def release(self) -> None:
        """Give the lock back; without it nothing happens."""
        with self._mine:
            if self._lock.is_locked:
                with suppress(OSError):
                    self._facts.unlink(missing_ok=True)
                self._lock.release()

    def holder(self) -> dict | None:
        """What the holder said about itself, with its "owner", or None if nobody holds the lock."""
        try:
            facts = read_json(self._facts)
        except DamagedRun:
            return None
        owner = facts.get("owner")
        if not isinstance(owner, dict):
            return None
        return facts if is_alive(owner) or is_alive(owner, lock_held=self.is_held()) else None

    def is_held(self) -> bool:
        """Whether anybody holds the lock, this process included."""
        if self._lock.is_locked:
            return True
        if not self._path.exists():
            return False
        probe = FileLock(self._path, thread_local=False)
        try:
            probe.acquire(timeout=0)
        except Timeout:
            return True
        probe.release()
        return False

    def _wait_for_it(self, wait: bool, check: Callable[[], None], poll_s: float) -> None:
        tries_left = 1
        while True:
            # Without facts the lock is held by somebody who looks, or who has just taken it: that is over in a moment.
            if not wait and (self.holder() is not None or tries_left == 0):
                raise self._busy()
            check()
            time.sleep(poll_s if wait else _GRACE_S)
            if self._take():
                return
            tries_left -= 1

    def _take(self) -> bool:
        # The file lock lets its owner in again; a second run of this process must wait like anybody else.
        with self._mine:
            if self._lock.is_locked:
                return False
            try:
                with refusal_named(self._path):
                    self._lock.acquire(timeout=0)
            except Timeout:
                return False
            return True

    def _busy(self) -> Busy:
        holder = self.holder() or {}
        run_id, state = holder.get("run_id"), holder.get("state")
        pid = holder.get("owner", {}).get("pid")
        who = f"run {run_id}" if run_id else "another run"
        where = f" (process {pid})" if pid else ""
        return Busy(
            f"{who[0].upper()}{who[1:]}{where} is training on {self.device}, and one run at a time can. "
            f"Wait until it ends, stop it, or put this run into the queue.",
            run_id,
            state,
        )
