"""What a run ends with, its last checkpoint and its finished model, and the wait where the disk does not take it."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from llm_testing.errors import DiskRefused, NotEnoughDisk
from llm_testing.jobs.control import Control
from llm_testing.jobs.progress import Progress, Report
from llm_testing.service.board import Board
from llm_testing.store.run_folder import RunFolder
from llm_testing.train.events import Event, Paused, Resumed
from llm_testing.train.loop import TrainingRun

EVERY_S = 1.0
"""How often a run that waits looks whether there is room."""


@dataclass
class LastWrites:
    """The last writes of one session.

    Args:
        run: what is trained, once it is open; its orders are served meanwhile.
    """

    folder: RunFolder
    control: Control
    board: Board
    emit: Callable[[Event], None]
    report: Report
    warn: Callable[[str], None]
    run: TrainingRun | None = None

    def write(self, write: Callable[[], None], what: str) -> bool:
        """Write what a run ends with; where the disk does not take it, say so, and try again until it does.

        The run is paused meanwhile. It is tried every second, and at once when its owner asks to save or to go on.

        Returns:
            False where a stop came first.
        """
        started = time.monotonic()
        error = _refusal(write)
        every_s = max(EVERY_S, 10 * (time.monotonic() - started))
        if error and self.control.stop_mode is None:
            self.warn(self._in_words(what, error))

        def again() -> None:
            nonlocal error
            self.control.take_save()  # is this
            self.run.serve()
            error = _refusal(write)
            if error:
                self._waits(error)
            else:
                self.control.request_resume()

        while error and self.control.stop_mode is None:
            step = self.run.standing.step
            self.control.request_pause()
            self.emit(Paused(step))
            self._waits(error)
            self.control.wait_while_paused(again, every_s)
            if self.control.stop_mode is None:
                self.emit(Resumed(step))
                error = error and _refusal(write)
        return error is None

    def _waits(self, error: DiskRefused) -> None:
        progress = Progress("waiting for the disk")
        if isinstance(error, NotEnoughDisk):
            progress = Progress("waiting for disk space")
            if error.needed_bytes:
                progress = Progress(progress.phase, error.free_bytes, error.needed_bytes, "bytes")
        view = self.board.view()
        if (view.phase, view.done, view.total) != (progress.phase, progress.done, progress.total):
            self.report(progress)

    def _in_words(self, what: str, error: DiskRefused) -> str:
        disk = "disk space" if isinstance(error, NotEnoughDisk) else "the disk"
        return (
            f"Waiting for {disk} to save {what}. {error} It is saved as soon as that is possible. To end the run "
            f"without, stop it, on the command line with Ctrl-C; {resumes_from(self.folder)}"
        )


def resumes_from(folder: RunFolder) -> str:
    """Where a run would go on, as the end of a sentence."""
    newest = folder.checkpoints.newest(verify=False)
    return f"resume then goes on from step {newest.step:,}." if newest else "resume then begins anew."


def _refusal(write: Callable[[], None]) -> DiskRefused | None:
    """Why the disk did not take something; None where it did."""
    try:
        write()
    except DiskRefused as error:
        return error
    return None
