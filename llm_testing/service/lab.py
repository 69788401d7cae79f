"""`Lab`: everything that page, REST, command line and agents can do, as plain functions over one runs folder."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

from llm_testing.config.presets import filled, preset_values
from llm_testing.config.pretrain import PretrainConfig
from llm_testing.data import corpora as corpora_module
from llm_testing.errors import BadRunId, ConfigError, Problem, WrongState
from llm_testing.estimate.estimator import Estimator
from llm_testing.jobs.control import Control
from llm_testing.jobs.machine import usable_cores
from llm_testing.jobs.process import spare_what_was_imported
from llm_testing.jobs.progress import Check, Progress, Report, never_cancel, report_nothing
from llm_testing.jobs.states import ACTIVE, RunState
from llm_testing.jobs.threads import Crew
from llm_testing.model.generate import Sampling
from llm_testing.service import checkpoints as checkpoints_module
from llm_testing.service import records
from llm_testing.service.archive import Archive
from llm_testing.service.backups import Backups
from llm_testing.service.checkpoints import CheckpointRow, Deleted
from llm_testing.service.demo import start_demo
from llm_testing.service.estimates import Estimates
from llm_testing.service.fetching import Fetching, check_download
from llm_testing.service.finetune_lab import FineTuning
from llm_testing.service.forecast import preview_of, preview_resume_of
from llm_testing.service.history import History
from llm_testing.service.launch import Launcher, Watcher
from llm_testing.service.listing import listing
from llm_testing.service.machine import ThisMachine
from llm_testing.service.monitor import Monitor
from llm_testing.service.playground import Playground
from llm_testing.service.reports import Reports
from llm_testing.service.retention import forked_steps
from llm_testing.service.sweeps import Sweeps
from llm_testing.service.uploads import Uploads
from llm_testing.service.views import Live, MachineView, Points, Preview, RunSummary, Started
from llm_testing.store.runs import RunStore
from llm_testing.train.events import Event
from llm_testing.train.optim import warm_up


class Lab:
    """One runs folder and the trainer of this process.

    Args:
        runs_dir: where runs are kept; it is made with the first.
        cache_dir: where downloads, tokenizers and token files are kept.
        leave_a_core: leave one core to others where there are more than two, as the page does.
        root: where proc and sys are found, whose limits hold.
    """

    def __init__(self, runs_dir: Path, cache_dir: Path, *, leave_a_core: bool = False, root: Path = Path("/")):
        self.runs_dir, self.cache_dir = runs_dir.absolute(), cache_dir.absolute()
        self._store = RunStore(self.runs_dir)
        cores = usable_cores(root)
        threads = cores - 1 if leave_a_core and cores > 2 else cores
        self._machine = ThisMachine(cores, threads, root)
        self.crew, self.demo_turn = Crew(), threading.Lock()
        self.estimates = Estimates(Estimator(), self._store, threads, self.crew, self.cache_dir / "models")
        self._launcher = Launcher(self._store, self.cache_dir, threads, self.estimates)
        self._reader = self._launcher.reader
        self.finetuning = FineTuning(
            self._launcher, self._store, self.cache_dir, self._machine.probe, self.estimates, self.crew
        )
        self.playground = Playground(self._store, self._reader, self._launcher.active)
        self.archive = Archive(self._store)
        self.backups = Backups(self._store, self.archive, self.crew)
        self.history = History(self._store, self._reader, self._launcher, self.cache_dir, self.trash, self.crew)
        self.fetching, self.uploads = Fetching(self.download_corpus, self.crew), Uploads(self.cache_dir)
        self.sweeps, self.reports = Sweeps(self, self._launcher, self._store), Reports(self, self._store)
        self.monitor = Monitor(self.machine, self.runs_dir, root)

    def warm_up(self) -> None:
        """Import in the background what the first run needs, while its owner still looks at the form."""
        self.crew.start("warm-up", lambda: (warm_up(), self.estimates.warm_up(), spare_what_was_imported()))

    # Before a run.

    def machine(self) -> MachineView:
        """The machine as this process may use it."""
        return self._machine.view()

    def private_roots(self) -> tuple[Path, ...]:
        """Folders whose place on this machine is its owner's business."""
        return (self.runs_dir, self.cache_dir, Path(__file__).parents[2], Path(sys.prefix), Path.home())

    def preset_values(self, preset: str) -> dict[str, Any]:
        """What a preset sets on this machine."""
        return preset_values(preset, self._machine.probe(), PretrainConfig)

    def config(self, values: dict[str, Any], preset: str | None = None) -> PretrainConfig:
        """The whole config of given values on top of a preset, or of a parent's options where resume_from names one.

        Raises:
            ConfigError: naming every option that was refused.
        """
        given = {name: value for name, value in values.items() if value is not None}
        if isinstance(given.get("resume_from"), str):
            given["resume_from"] = self._named_as_now(given["resume_from"])
            run_id, _ = self._launcher.find_checkpoint(given["resume_from"], "resume_from")
            return PretrainConfig.build({**records.whole_config(self._store.open(run_id).record()), **given})
        return PretrainConfig.build(filled(preset, given, self._machine.probe(), PretrainConfig))

    def preview(self, values: dict[str, Any], preset: str | None = None) -> Preview:
        """What a draft means, without reading its corpus; problems are part of the answer, not raised."""
        try:
            config = self.config(values, preset)
        except ConfigError as error:
            return Preview(problems=tuple(error.problems))
        return preview_of(config, self._store)

    # Commanding.

    def start(
        self,
        values: dict[str, Any],
        *,
        preset: str | None = None,
        queue: bool = False,
        request_id: str | None = None,
        force: bool = False,
    ) -> Started:
        """Start a pretraining run in the background; while one is active, with queue, put it into the queue.

        Args:
            request_id: a repeat with the same one answers the same run and starts nothing.
            force: start on a card also what is estimated to exceed its memory.

        Raises:
            ConfigError: naming every option that was refused.
            Busy: while another run holds the trainer.
        """
        return self._launcher.start(self.config(values, preset), queue, request_id, force)

    def start_demo(self, values: dict[str, Any]) -> Started:
        """Start or queue the one capped run of a public demo."""
        return start_demo(self, values)

    def run_here(
        self,
        values: dict[str, Any],
        *,
        preset: str | None = None,
        queue: bool = False,
        force: bool = False,
        control: Control,
        report: Report = report_nothing,
        on_event: Callable[[Event], None] = lambda event: None,
    ) -> str:
        """Run in the calling thread until the run has ended; with queue, wait for the trainer first. Gives its id."""
        return self._launcher.run_here(self.config(values, preset), queue, Watcher(control, report, on_event), force)

    def resume(self, run_id: str | None = None, changes: dict[str, Any] | None = None) -> Started:
        """Let a paused run go on; or resume one that has ended, from its newest whole checkpoint, in the background.

        Args:
            run_id: None means the paused run.
            changes: options that may differ; a larger max_steps extends the run.
        """
        job = self._launcher.active()
        if job and run_id in (None, job.folder.run_id):
            if changes:
                raise WrongState(
                    f"Run {job.folder.run_id} is {job.board.view().state}; options change only when a run "
                    "is resumed after it was stopped.",
                    job.folder.run_id,
                    job.board.view().state,
                )
            job.go_on()
            return Started(job.folder.run_id)
        if run_id is None:
            raise WrongState("There is no paused run. Name the run that should go on.")
        return self._launcher.resume(run_id, changes or {})

    def preview_resume(self, run_id: str, changes: dict[str, Any] | None = None) -> tuple[str, ...]:
        """What resuming a run with changes will do, in sentences.

        Raises:
            ConfigError, WrongState: where it would be refused.
        """
        return preview_resume_of(self._launcher.resumed_job(run_id, changes or {}, keep=False))

    def resume_here(
        self,
        run_id: str,
        changes: dict[str, Any],
        *,
        control: Control,
        report: Report = report_nothing,
        on_event: Callable[[Event], None] = lambda event: None,
    ) -> str:
        """Go on with a run in the calling thread, until it has ended."""
        return self._launcher.resume_here(run_id, changes, Watcher(control, report, on_event))

    def pause(self, run_id: str | None = None) -> None:
        """Pause the active run at its next step; it keeps its memory and the trainer."""
        self._active(run_id).pause()

    def stop(self, mode: Literal["save", "discard"] = "save", run_id: str | None = None) -> None:
        """Stop the active run at its next step: "save" keeps everything, "discard" drops what this session added."""
        with self._launcher.guard:
            if run_id and run_id in self._launcher.queue.ids():
                self._launcher.queue.remove(run_id)
                self._store.open(run_id).update(state=str(RunState.STOPPED))
                return
        self._active(run_id).stop(mode)

    def save_now(self, run_id: str | None = None) -> None:
        """Write a checkpoint at the next step."""
        self._active(run_id).control.request_save()

    def sample_now(self, prompt: str, run_id: str | None = None) -> None:
        """Have the live model continue a prompt between two steps; the text appears among the run's samples."""
        self._active(run_id).control.request_sample(prompt)

    def run_queue(self) -> str | None:
        """Go on with the queue, as its owner's click after a restart; the run that was started, if any."""
        return self._launcher.run_queue()

    def queued(self) -> list[str]:
        """Run ids that wait for the trainer, the next one first."""
        return self._launcher.queue.ids()

    def move_queued(self, run_id: str, position: int) -> int:
        """Put a waiting run at a position, 1 being next; returns where it is now."""
        return self._launcher.queue.move(run_id, position - 1) + 1

    def shutdown(self, timeout_s: float = 60.0) -> bool:
        """Save and end the active run, start no other, leave no thread or process behind; whether all ended in time."""
        end = time.monotonic() + timeout_s
        in_time = self._launcher.shutdown(timeout_s)
        self.estimates.close()
        return self.crew.close(max(0.0, end - time.monotonic())) and in_time

    # Looking.

    def live(self) -> Live | None:
        """The active run of this process."""
        job = self._launcher.active()
        return job.board.view() if job else None

    def last(self) -> Live | None:
        """The newest run of this process, whether it goes on or has ended."""
        board = self._launcher.board()
        return board.view() if board else None

    def rows(self) -> list[RunSummary]:
        """Every run folder, newest first; a damaged one says why and hides no other."""
        return self.history.all_rows()

    def listing(self, limit: int = 50) -> list[dict[str, Any]]:
        """The newest runs with their config, times and results."""
        return listing(self._store, limit)

    def details(self, run_id: str) -> dict[str, Any]:
        """Everything about one run but its curves."""
        return self.history.details(run_id)

    def points(self, run_id: str, after: int = -1) -> Points:
        """A run's curve after a cursor."""
        return self._reader.after(run_id, "metrics", after)

    def samples(self, run_id: str, after: int = -1) -> Points:
        """A run's sample texts after a cursor."""
        return self._reader.after(run_id, "samples", after)

    def events(self, run_id: str, after: int = -1) -> Points:
        """A run's events after a cursor."""
        return self._reader.after(run_id, "events", after)

    def result(self, run_id: str) -> dict[str, Any]:
        """A run's result with the keys of the command line's contract."""
        return records.result(self._store.open(run_id), self._launcher.unwritten(run_id))

    def compare(self, run_ids: list[str]) -> dict[str, Any]:
        """Which options differ between runs, and what each reached."""
        return self.history.compare_settings(run_ids)

    def checkpoints(
        self, config_name: str | None = None, run_id: str | None = None, corpus: str | None = None
    ) -> list[CheckpointRow]:
        """The checkpoints of all runs that fit, newest first."""
        return checkpoints_module.checkpoint_rows(self._store, config_name, run_id, corpus)

    def checkpoint(self, what: str) -> CheckpointRow:
        """One checkpoint, by its id of any form."""
        return checkpoints_module.find_checkpoint(self._store, what)

    def delete_checkpoint(self, what: str) -> Deleted:
        """Delete one checkpoint, unless its run is active or another run was forked from it."""
        with self._launcher.guard:
            return checkpoints_module.delete_one(self._store, what)

    def delete_checkpoints(
        self, config_name: str | None = None, keep_latest: bool = True, kind: str | None = None
    ) -> Deleted:
        """Delete the checkpoints of a model size, or of all; what is needed stays."""
        with self._launcher.guard:
            return checkpoints_module.delete_many(self._store, config_name, keep_latest, kind)

    def rename(self, run_id: str, name: str) -> None:
        """Give a run another name; names are data and never paths."""
        self.history.mark(run_id, {"name": name})

    def trash(self, run_id: str) -> None:
        """Move a run to the trash, from where `restore` brings it back."""
        with self._launcher.guard:
            job = self._launcher.active()
            if job and job.folder.run_id == run_id or self._is_active_elsewhere(run_id):
                raise WrongState(f"Run {run_id} is active, so it is not deleted. Stop it first.", run_id)
            if steps := forked_steps(self._store, run_id):
                raise WrongState(
                    f"Run {run_id} is not deleted: another run was forked from its step {max(steps):,}. "
                    "Delete that one first.",
                    run_id,
                )
            self._launcher.queue.remove(run_id)
            self._store.trash(run_id)

    def restore(self, run_id: str) -> None:
        """Bring a run back from the trash."""
        self._store.restore(run_id)

    def trashed(self) -> list[RunSummary]:
        """The runs in the trash."""
        rows = self._store.trashed()
        return [RunSummary(row.run_id, name=(row.record or {}).get("name"), damaged=row.damaged) for row in rows]

    def empty_trash(self) -> tuple[int, int]:
        """Remove what is in the trash for good: how many runs and bytes."""
        return self._store.empty_trash()

    def generate(self, what: str, prompt: str, sampling: Sampling) -> Iterator[str]:
        """Continue a prompt with a run's newest checkpoint or with a named one, piece by piece."""
        run_id, step = self._launcher.find_checkpoint(what)
        return self._reader.generate(run_id, step, prompt, sampling)

    def export(self, what: str, to: Path) -> Path:
        """Write a checkpoint as a folder that transformers loads."""
        run_id, step = self._launcher.find_checkpoint(what)
        return self._reader.export(run_id, step, to)

    def corpora(self) -> list[corpora_module.CorpusState]:
        """Every named corpus, and which are at hand."""
        return corpora_module.corpora(self.cache_dir)

    def preview_corpus(self, name: str) -> corpora_module.Preview:
        """The beginning of a corpus and its size; downloads nothing."""
        return corpora_module.preview(name, self.cache_dir)

    def download_corpus(
        self, name: str, report: Callable[[Progress], None] = report_nothing, check: Check = never_cancel
    ) -> None:
        """Bring a corpus to disk; `fetching` does it beside everything else."""
        check_download(name)
        corpora_module.download(name, self.cache_dir, report, check)

    def _named_as_now(self, what: str) -> str:
        """The present id of a checkpoint that is named in an earlier form; anything else as it is."""
        if "/" in what or what[:8].isdigit():
            return what
        try:
            return self.checkpoint(what).id
        except BadRunId as error:
            raise ConfigError([Problem("resume_from", str(error))]) from None

    def _active(self, run_id: str | None):
        job = self._launcher.active()
        if job is None or run_id not in (None, job.folder.run_id):
            who = f"Run {run_id}" if run_id else "No run"
            raise WrongState(f"{who} is {'not ' if run_id else ''}active here, so there is nothing to command.", run_id)
        return job

    def _is_active_elsewhere(self, run_id: str) -> bool:
        record = next((row.record for row in self._store.rows() if row.run_id == run_id), None)
        return bool(record) and records.state_of(record) in ACTIVE
