"""One session of one run, from its folder to its end: prepare, build, train, save, and say how it ended.

This is the job boundary: whatever happens inside, the run's record says so afterwards, the memory is given back and the
process lives on.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from llm_testing.config.option import Options
from llm_testing.errors import Cancelled, DiskRefused, UserError, WrongState
from llm_testing.jobs.control import Control
from llm_testing.jobs.owner import this_process
from llm_testing.jobs.progress import Progress
from llm_testing.jobs.states import RunState
from llm_testing.service.bases import Converter
from llm_testing.service.board import Board
from llm_testing.service.estimates import Estimates
from llm_testing.service.extend import jump_in_words
from llm_testing.service.failures import failure_of
from llm_testing.service.journals import Journals
from llm_testing.service.kinds import Kind
from llm_testing.service.last_writes import LastWrites, resumes_from
from llm_testing.service.memory_check import ask_memory, judge_memory
from llm_testing.service.records import summary_of
from llm_testing.service.retention import forked_steps, tidy
from llm_testing.store.reserve import Reserve
from llm_testing.store.run_folder import RunFolder
from llm_testing.store.runs import RunStore
from llm_testing.store.times import utc_now, utc_text
from llm_testing.train.events import Event, Measured, Paused, Resumed
from llm_testing.train.memory import free_memory, measured_peaks
from llm_testing.train.session import Start, Surroundings, surroundings
from llm_testing.train.state import Snapshot

ENDED = {"completed": RunState.COMPLETED, "save": RunState.STOPPED, "signal": RunState.INTERRUPTED}


@dataclass
class Job:
    """A session that is to be run.

    Args:
        kind: what sort of run it is; the config is of its class.
        start: the checkpoint it begins from, if any.
        checkpoint_step: the step of that checkpoint, which stays until the session ends.
        unwritten: what of its record the disk has not taken yet.
        force: start on a card also what is estimated to exceed it.
        on_event, on_progress: for a caller who watches, like the command line.
    """

    store: RunStore
    folder: RunFolder
    kind: Kind
    config: Options
    cache_dir: Path
    usable_cores: int
    control: Control
    board: Board
    estimates: Estimates
    converter: Converter
    start: Start = field(default_factory=Start)
    checkpoint_step: int | None = None
    tokenizer_from: Path | None = None
    force: bool = False
    on_event: Callable[[Event], None] = lambda event: None
    on_progress: Callable[[Progress], None] = lambda progress: None
    _thread: int | None = field(default=None, init=False)

    @property
    def resumes(self) -> bool:
        """Whether the run had a session before."""
        return self.start.checkpoint is not None and not self.start.fork

    def is_executed_here(self) -> bool:
        """Whether this thread is the one that trains."""
        return self._thread == threading.get_ident()

    def begin(self) -> None:
        """Write down that this process works on the run; whoever makes the session does so before anybody sees it."""
        facts = {"owner": this_process(), "started_at": utc_text(utc_now()), "error": None}
        self.update(state=str(RunState.STARTING), **facts)

    # What its owner commands. Command and state change together, so that the trainer, which changes the state too, sees
    # both or neither.

    def pause(self) -> None:
        """Pause at the next step; while it is still starting, at the first.

        Raises:
            WrongState: if it is paused, or ends.
        """
        with self._changing:
            if self.board.view().state != RunState.STARTING:
                self._enter(RunState.PAUSING)
            self.control.request_pause()

    def go_on(self) -> None:
        """Go on after a pause, or forget one that has not begun.

        Raises:
            WrongState: if it was not asked to pause.
        """
        with self._changing:
            if self.board.view().state != RunState.STARTING:
                self._enter(RunState.RUNNING)
            self.control.request_resume()

    def stop(self, mode: Literal["save", "discard"]) -> None:
        """End at the next step, or where the work can be given up at once.

        Raises:
            WrongState: if it has ended.
        """
        with self._changing:
            stopping = self.board.view().state == RunState.STOPPING
            if not stopping:
                self.board.check(RunState.STOPPING)
            # Before the record is written, which a damaged one refuses: the run is to end all the same.
            self.control.request_stop(mode)
            if not stopping:
                self._enter(RunState.STOPPING)

    # The session itself.

    def execute(self) -> None:
        """Do the session. Returns when the run has ended, however it ended; never raises for what a run can do."""
        self._thread = threading.get_ident()
        self._reserve = Reserve(self.folder.path)
        self._last = LastWrites(self.folder, self.control, self.board, self._event, self.progress, self.warn)
        try:
            try:
                self._journals = Journals(self.folder)
                self._place = surroundings(self.config, self.usable_cores, self._earlier_environment())
                self._session(self._place)
            except Cancelled:
                self._ended_by_stop(None)
        except Exception as error:  # noqa: BLE001 the job boundary: the one place that takes anything
            self._failed(error)
        finally:
            self._last.run = None
            self._reserve.release()
            self._close_journals()
            self.control.close()
            if self._place:
                free_memory(self._place.device)

    def _session(self, place: Surroundings) -> None:
        # It takes seconds to come up, in which the data is prepared.
        self.estimates.begin_warm_up()
        ready = self.kind.ready(self, place)
        self._expected = judge_memory(self, ask_memory(self, place, ready), through_pause=False)
        self._advance(
            RunState.RUNNING,
            environment=place.record,
            data=ready.data,
            parameters={"total": ready.num_parameters, "trainable": ready.num_trainable},
            **ready.record,
        )
        self.board.change(
            num_parameters=ready.num_parameters,
            num_trainable=ready.num_trainable,
            total_steps=ready.total_steps,
        )
        run, notes = ready.open(self._event, self._save)
        self._last.run = run
        jump = ()
        if self.resumes:
            jump = jump_in_words(self.folder, self.config, self.checkpoint_step, ready.total_steps)
        for note in (*ready.warnings, *place.warnings, *notes, *jump):
            self.warn(note)
        done = run.standing.step if run.standing.boundary_done else run.standing.step - 1
        if self.folder.last_row("metrics"):
            self._journals.rewind(done)
        self._event_row("session", how=self._how(), step=run.standing.step, total_steps=run.total_steps)
        outcome = run.run()
        finishes = outcome == "completed" or self.control.stop_mode == "save"
        if finishes and not self._last.write(lambda: ready.finish(run), "the finished model"):
            self.warn(
                "The finished model was not written, since the disk did not take it. "
                "Export it from the newest checkpoint, or resume the run."
            )
            outcome = "stopped"
        if outcome == "completed":
            self._end(RunState.COMPLETED, ended_early=run.standing.ended_early)
        else:
            self._ended_by_stop(run.standing.step)

    def longer_fork(self, total_steps: int) -> int | None:
        """The length of a fork whose parent is as far as the whole run was to go; None where the length stands."""
        step = self.checkpoint_step or 0
        if not self.start.fork or total_steps > step:
            return None
        self.warn(
            f"The checkpoint is at step {step:,} already, so the {total_steps:,} steps asked for come "
            f"on top: this run ends at step {step + total_steps:,}."
        )
        return step + total_steps

    def _earlier_environment(self) -> dict | None:
        return (self.folder.record()["environment"] or None) if self.resumes else None

    def _how(self) -> str:
        return "fork" if self.start.fork else "resume" if self.resumes else "start"

    # What the loop tells and asks.

    def _event(self, event: Event) -> None:
        self._journals.write(event)
        if isinstance(event, Paused):
            self._paused()
        elif isinstance(event, Resumed):
            self._expected = judge_memory(self, self._expected, through_pause=True)
            self._resumed()
        elif isinstance(event, Measured):
            self.update(measured={"allocated_bytes": event.allocated_bytes})
        self.board.event(event)
        self.on_event(event)

    def _paused(self) -> None:
        with self._changing:
            if not self.control.pause_requested:
                return  # somebody had it go on meanwhile, and it does so at once
            if self.board.view().state == RunState.RUNNING:
                self._enter(RunState.PAUSING)  # asked for before there was a step to pause at, or by the loop itself
            self._advance(RunState.PAUSED)

    def _resumed(self) -> None:
        with self._changing:
            if not self.control.pause_requested:  # else it pauses again after its next step
                self._advance(RunState.RUNNING)

    def progress(self, progress: Progress) -> None:
        """Tell what the run is doing."""
        self.board.progress(progress)
        self.on_progress(progress)

    def _save(self, snapshot: Snapshot) -> bool:
        """Write a checkpoint; on a full disk say so, keep what is there and go on, but after the last step wait."""
        if "final" in snapshot.kinds:
            return self._last.write(lambda: self._write_checkpoint(snapshot), f"step {snapshot.step:,}")
        try:
            self._write_checkpoint(snapshot)
        except DiskRefused as error:
            if not self._refused:  # once, until there is room again: a run may save a thousand times meanwhile
                self.warn(f"Step {snapshot.step:,} could not be saved: {error}")
            self._refused = True
            return False
        self._refused = False
        return True

    def _write_checkpoint(self, snapshot: Snapshot) -> None:
        self._journals.sync()
        checkpoints, step = self.folder.checkpoints, snapshot.step
        there = next((info for info in checkpoints.list() if info.step == step and info.damaged is None), None)
        if there and step == self._saved_step:
            # Nothing was trained since it was written: only the reasons to keep it have grown.
            kinds = sorted({*there.facts.get("kinds", []), *snapshot.kinds})
            newer = {name: value for name, value in snapshot.facts.items() if name != "step"}
            checkpoints.update_facts(step, **newer, kinds=kinds)
        else:
            facts = {**snapshot.facts, "kinds": list(snapshot.kinds), "train_loss": self.board.view().train_loss}
            checkpoints.write(step, snapshot.files, facts)
            self._saved_step = step
        protected = forked_steps(self.store, self.folder.run_id)
        if self.resumes:
            protected.add(self.checkpoint_step)
        tidy(checkpoints, self.config.keep_checkpoints, protected)
        self._event_row("saved", step=step, kinds=list(snapshot.kinds))
        self.update(summary=summary_of(self.board.view()))

    _saved_step: int | None = None
    _refused: bool = False
    _journals: Journals | None = None
    _place: Surroundings | None = None
    _expected: Future | None = None
    unwritten: dict = field(default_factory=dict)
    _changing: threading.RLock = field(default_factory=threading.RLock)

    # How it ends.

    def _ended_by_stop(self, step: int | None) -> None:
        mode = self.control.stop_mode or "save"
        if mode == "discard":
            self._discard()
        else:
            self._end(ENDED[mode] if self._is_saved(step) else RunState.INTERRUPTED, step=step)

    def _is_saved(self, step: int | None) -> bool:
        """Whether what was reached is on disk; says so where it is not."""
        newest = self.folder.checkpoints.newest(verify=False)
        if not step or (newest and newest.step >= step):
            return True
        self.warn(f"Step {step:,} was not saved, since the disk did not take it: {resumes_from(self.folder)}")
        return False

    def _discard(self) -> None:
        """Drop what this session added, and nothing else."""
        if not self.resumes:
            self._end(RunState.STOPPED, discarded=True)
            self._close_journals()
            self.store.trash(self.folder.run_id)
            return
        for info in self.folder.checkpoints.list():
            if info.step > self.checkpoint_step:
                self.folder.checkpoints.delete(info.step)
        self._journals.rewind(self.checkpoint_step)
        last = self.folder.last_row("metrics") or {}
        reached = {
            **self.folder.record()["summary"],
            **{k: v for k, v in last.items() if k in summary_of(self.board.view())},
        }
        self._end(RunState.STOPPED, summary=reached, discarded_to=self.checkpoint_step)

    def _failed(self, error: Exception) -> None:
        failure = failure_of(error, self.config)
        # The frames of the traceback hold the tensors; only text may outlive this.
        error.__traceback__ = None
        self._event_row("failed", **asdict(failure))
        self._end(RunState.FAILED, error=failure.message)
        self.board.change(error=failure)

    def _end(self, state: RunState, summary: dict | None = None, error: str | None = None, **facts: object) -> None:
        view = self.board.view()
        peaks = measured_peaks(self._place.device) if self._place else {}
        ended = {
            "state": str(state),
            "completed_at": utc_text(utc_now()),
            "summary": summary or summary_of(view),
            "measured_peak_bytes": view.peak_bytes,
            "error": error,
            **({"measured": peaks} if peaks else {}),
            **({"owner": None} if state != RunState.INTERRUPTED else {}),
        }
        self._sync()
        self._reserve.release()
        with self._changing:
            try:
                self.update(**ended)
            except (UserError, OSError) as damaged:  # the run has ended all the same, and whoever watches is told
                self.board.change(warnings=(*view.warnings, f"How the run ended could not be recorded: {damaged}"))
            self.board.change(state=str(state))
        self._event_row("ended", state=str(state), **facts)
        self._sync()
        self.board.change(phase="")

    def _close_journals(self) -> None:
        if self._journals:
            self._journals.close()
        self._journals = None

    def _sync(self) -> None:
        if self._journals:
            self._journals.sync()

    def _enter(self, state: RunState, **changes: object) -> None:
        """Change the state, on disk first: what the board shows, a reader of the record finds too.

        Raises:
            WrongState: if it may not follow the present one; nothing was changed.
        """
        with self._changing:
            self.board.check(state)
            self.update(state=str(state), **changes)
            self.board.enter(state)

    def _advance(self, state: RunState, **changes: object) -> None:
        """Change the state as the work goes on; where somebody asked to stop meanwhile, that stands."""
        with self._changing:
            try:
                self._enter(state, **changes)
            except WrongState:
                self.update(**changes)

    def update(self, **changes: object) -> None:
        """Change the record; what a full disk does not take is written with the next change."""
        with self._changing:
            self.unwritten |= changes
            try:
                self.folder.update(**self.unwritten)
            except DiskRefused:
                return  # tried again with the next change; the board shows it meanwhile
            self.unwritten = {}

    def warn(self, message: str) -> None:
        """Tell the run's user something, once."""
        self._event_row("warning", message=message)
        view = self.board.view()
        if message not in view.warnings:
            self.board.change(warnings=(*view.warnings, message))

    def _event_row(self, event: str, **facts: object) -> None:
        if self._journals:
            self._journals.append("events", {"event": event, "at": utc_text(utc_now()), **facts})
