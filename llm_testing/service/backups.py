"""Backing runs up to a private dataset of the Hub, and bringing them back: what keeps them where a disk does not last.

A run travels as the zip that a download gives, so what comes back is believed as little as any other zip (archive.py).
A backup forgets nothing: runs that were deleted here stay in it.
"""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from llm_testing.errors import BadRunId, Busy, DataError, NotFound
from llm_testing.hub.backup import Backup
from llm_testing.hub.disk import require_free
from llm_testing.jobs.errands import Errand, Errands
from llm_testing.jobs.progress import Check, Progress, Report
from llm_testing.jobs.threads import Crew
from llm_testing.service.archive import Archive
from llm_testing.store import files
from llm_testing.store.ids import check_run_id
from llm_testing.store.runs import RunStore
from llm_testing.store.staging import size_bytes

What = Literal["backup", "restore"]
_THE_ONE = "backup"


@dataclass(frozen=True)
class Carried:
    """What a backup or a restore has done.

    Args:
        runs: those that were sent or brought back.
        same: how many were there already, as they are.
        skipped: why each of the others was left out, by run id.
        url: of the dataset's page.
    """

    repo: str
    url: str
    runs: tuple[str, ...]
    same: int
    skipped: dict[str, str]


@dataclass(frozen=True)
class BackupJob(Errand):
    """A backup or a restore, and what it has done once it is done."""

    what: What
    carried: Carried | None = None


class Backups:
    """One backup or restore at a time, in a thread that others may watch.

    Args:
        crew: in whose threads it goes on; it is given up when they end.
    """

    def __init__(self, store: RunStore, archive: Archive, crew: Crew):
        self._store, self._archive = store, archive
        self._errands: Errands[BackupJob] = Errands(crew)

    def last(self) -> BackupJob | None:
        """What was begun last, None where nothing was."""
        return self._errands.get(_THE_ONE)

    def start(self, what: What, repo: str | None) -> BackupJob:
        """Begin; how far it is, `last` says.

        Raises:
            Busy: another goes on.
        """
        carry = self.back_up if what == "backup" else self.bring_back
        job, began = self._errands.start(
            _THE_ONE, BackupJob(what), lambda report, check: {"carried": carry(repo, report, check)}
        )
        if not began:
            raise Busy(f"A {job.what} goes on already. Wait until it is done.")
        return job

    def back_up(self, repo: str | None, report: Report, check: Check) -> Carried:
        """Send every whole run that the dataset does not hold as it is.

        Raises:
            DownloadError, NotEnoughDisk, Cancelled: what was sent by then stays there.
        """
        report(Progress("asking the Hub"))
        backup = Backup(repo, make=True, check=check)
        rows = [row for row in self._store.rows() if row.usable]
        sent, same = [], 0
        for number, row in enumerate(rows, 1):
            check()
            report(Progress(f"sending {row.run_id}", number, len(rows), "runs"))
            with suppress(NotFound), self._draft() as draft:  # a run that is deleted meanwhile
                digest = self._zip(row.run_id, draft, check)
                if backup.kept.get(row.run_id) == digest:
                    same += 1
                    continue
                backup.put(row.run_id, draft)
                sent.append(row.run_id)
        return Carried(backup.repo, backup.url, tuple(sent), same, {})

    def bring_back(self, repo: str | None, report: Report, check: Check) -> Carried:
        """Fetch every run of the dataset that is not here; those that are here, or in the trash, stay as they are.

        Raises:
            DownloadError, NotEnoughDisk, Cancelled: what came by then stays here.
        """
        report(Progress("asking the Hub"))
        backup = Backup(repo, make=False, check=check)
        here = {row.run_id for row in (*self._store.rows(), *self._store.trashed())}
        missing = [run_id for run_id in sorted(backup.kept) if run_id not in here]
        restored, skipped = [], {}
        for run_id in missing:
            check()
            try:
                check_run_id(run_id)
                with self._draft() as draft:
                    backup.get(run_id, draft, report, check)
                    came = self._archive.restore(draft)
            except (BadRunId, DataError) as error:
                skipped[ascii(run_id)[1:-1]] = str(error)
            else:
                restored += came.restored
                skipped |= came.skipped
        return Carried(backup.repo, backup.url, tuple(restored), len(backup.kept) - len(missing), skipped)

    def _zip(self, run_id: str, draft: Path, check: Check) -> str:
        """Write a run's zip; its sha256. The same run gives the same bytes."""
        size = size_bytes(self._store.open(run_id).path)
        require_free(self._store.root, size, f"The zip of run {run_id}")

        def write(file: BinaryIO) -> None:
            for piece in self._archive.zipped(run_ids=[run_id]):
                check()
                file.write(piece)

        return files.write_new(draft, write).sha256

    @contextmanager
    def _draft(self) -> Iterator[Path]:
        """A hidden place beside the runs, which is empty again in the end."""
        files.need_folder(self._store.root)
        path = self._store.root / files.draft_name()
        try:
            yield path
        finally:
            for leftover in self._store.root.glob(f"{path.name}*"):
                leftover.unlink(missing_ok=True)
