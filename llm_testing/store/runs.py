"""The runs under one root: created whole, listed whatever is in them, moved to a trash folder before they are removed.

A damaged run is listed with the reason and hides no other. Nothing outside the root is touched: run ids are checked
before they become a path, and links are not followed.
"""

import os
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from llm_testing.errors import BadRunId, DamagedRun, NotFound, WrongState
from llm_testing.store import files, staging
from llm_testing.store.changes import Changes
from llm_testing.store.ids import check_run_id, new_run_id
from llm_testing.store.rows import RunRow, RunRows, is_run_id
from llm_testing.store.run_folder import RECORD, SCHEMA, RunFolder, blank_record, read_record, schema_problem, writable
from llm_testing.store.times import utc_now, utc_text

TRASH = ".trash"


class RunStore:
    """All runs of one root. The root is made with the first run; threads may share the store.

    Args:
        now: the wall clock, with a time zone, for ids and times.
        clock: the monotonic clock of the journals.
    """

    def __init__(
        self,
        root: Path,
        now: Callable[[], datetime] = utc_now,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.root = root
        self._now, self._clock = now, clock
        self.changes = Changes()
        """Counts what this process has done to records, checkpoints and the list of runs."""
        self._rows, self._trashed = RunRows(root), RunRows(root / TRASH)

    def create(
        self, record: dict, run_id: str | None = None, suits: Callable[[str], bool] = lambda run_id: True
    ) -> RunFolder:
        """Make a run's folder; it appears under its name only when its record is in it.

        Args:
            record: any fields of run.json; state is "queued" unless it is given, missing fields are filled in.
            run_id: an id to use, for a run that comes from elsewhere.
            suits: whether a new id will do; others are drawn until one does.

        Raises:
            WrongState: if run_id is taken.
            NotEnoughDisk: nothing is left behind.
        """
        if run_id is not None:
            check_run_id(run_id)
        moment = self._now()
        stamp = utc_text(moment)
        full = {**blank_record(), "state": "queued", "created_at": stamp, "updated_at": stamp, **record}
        files.need_folder(self.root)
        staging.clear_leftovers(self.root)
        draft = staging.new_staging(self.root)
        try:
            while True:
                path = self.root / (run_id or new_run_id(moment, suits))
                full |= {"run_id": path.name, "schema": blank_record()["schema"]}
                files.write_json(draft / RECORD, writable(full, full["kind"], path / RECORD))
                if self._take_name(draft, path):
                    return self._folder(path)
                if run_id is not None:
                    raise WrongState(f"There is a run {run_id} already, so no other can have this id.", run_id)
        except BaseException:
            staging.remove_tree(draft)
            raise

    def adopt(self, run_id: str, fill: Callable[[Path], object]) -> RunFolder:
        """Take in a run that comes from elsewhere; it appears under its id when its folder is whole.

        Args:
            fill: puts the run's files into the empty folder that it gets.

        Raises:
            WrongState: if there is a run of that id already, here or in the trash.
            DamagedRun: if the record is missing or cannot be read. Nothing is left behind.
        """
        path = self.root / check_run_id(run_id)
        if os.path.lexists(path) or os.path.lexists(self.root / TRASH / run_id):
            raise WrongState(f"There is a run {run_id} already, here or in the trash; it stays as it is.", run_id)
        files.need_folder(self.root)
        staging.clear_leftovers(self.root)
        draft = staging.new_staging(self.root)
        try:
            fill(draft)
            if (record := read_record(draft))["schema"] == SCHEMA and (reason := schema_problem(record)):
                raise DamagedRun(f"Its {RECORD} {reason}")
            if not self._take_name(draft, path):
                raise WrongState(f"There is a run {run_id} already; it stays as it is.", run_id)
        except BaseException:
            staging.remove_tree(draft)
            raise
        return self._folder(path)

    def open(self, run_id: str) -> RunFolder:
        """A run by its id; it need not be whole: `RunFolder.record` says what is wrong with it.

        Raises:
            BadRunId: if run_id cannot be one.
            NotFound: if there is no such folder, or a link stands in its place.
            DamagedRun: if this user may not look into the runs folder.
        """
        return self._folder(self._existing(self.root, run_id))

    def has(self, run_id: str) -> bool:
        """Whether `open` would find it."""
        try:
            self._existing(self.root, run_id)
        except (NotFound, BadRunId, DamagedRun):
            return False
        return True

    def newest_id(self) -> str | None:
        """The id of the newest folder that has a run's name; of one second's runs it may be any."""
        names = os.listdir(self.root) if self.root.is_dir() else []
        return max(filter(is_run_id, names), default=None)

    def rows(self) -> list[RunRow]:
        """Every run, the newest first: what cannot be read has a reason in its row.

        Folders that have neither a run's name nor a record are somebody else's, and not listed. A row that has not
        changed is the same object as before; nobody changes what is in it.

        Raises:
            DamagedRun: if this user may not read the runs folder itself.
        """
        return self._rows.now()

    def trash(self, run_id: str) -> None:
        """Move a run to the trash folder, from where `restore` brings it back.

        Raises:
            NotFound, WrongState: if it is not there, or the trash holds one of that id.
        """
        self._move(self._existing(self.root, run_id), self.root / TRASH / run_id)

    def restore(self, run_id: str) -> RunFolder:
        """Bring a run back from the trash.

        Raises:
            NotFound, WrongState: if it is not there, or its id has been taken meanwhile.
        """
        self._move(self._existing(self.root / TRASH, run_id), self.root / run_id)
        return self.open(run_id)

    def trashed(self) -> list[RunRow]:
        """The runs in the trash, the newest first."""
        return self._trashed.now()

    def empty_trash(self) -> tuple[int, int]:
        """Remove what is in the trash for good; returns how many runs and how many bytes that were."""
        trash = self.root / TRASH
        num_runs = num_bytes = 0
        if trash.is_symlink() or not trash.is_dir():
            return 0, 0
        with self.changes:
            for path in list(trash.iterdir()):
                size = staging.size_bytes(path)
                staging.remove_tree(path)
                if not os.path.lexists(path):
                    num_runs += is_run_id(path.name)
                    num_bytes += size
        return num_runs, num_bytes

    def size_bytes(self, run_id: str) -> int:
        """Bytes of all files of a run."""
        return staging.size_bytes(self._existing(self.root, run_id))

    def trashed_bytes(self, run_id: str) -> int:
        """Bytes of all files of a run in the trash."""
        return staging.size_bytes(self._existing(self.root / TRASH, run_id))

    def _folder(self, path: Path) -> RunFolder:
        return RunFolder(path, self._now, self._clock, self.changes)

    def _existing(self, parent: Path, run_id: str) -> Path:
        path = parent / check_run_id(run_id)
        try:
            # A link would let a folder of the list stand for any place on the disk.
            strange = parent.is_symlink() and parent != self.root or path.is_symlink() or not path.is_dir()
        except OSError as error:
            raise files.unreadable(path, error) from error
        if strange:
            where = "in the trash" if parent.name == TRASH else f"in {parent}"
            raise NotFound(f"There is no run {run_id} {where}. The list of runs shows what there is.")
        return path

    def _move(self, old: Path, new: Path) -> None:
        with self.changes:
            files.need_folder(new.parent)
            if not self._take_name(old, new):
                raise WrongState(f"{new} exists already, so run {new.name} cannot be moved there.", new.name)
            files.sync_folder(old.parent)

    def _take_name(self, old: Path, new: Path) -> bool:
        """Rename a folder to a name that nobody has; False if somebody does.

        A run's folder is never empty, and renaming onto a folder that is not empty fails: so of two processes that
        try the same name, one gets it.
        """
        if os.path.lexists(new):
            return False
        try:
            with self.changes:
                files.replace_path(old, new)
        except OSError:
            if os.path.lexists(new):
                return False
            raise
        files.sync_folder(new.parent)
        return True
