"""One session of one run, from its folder to its end: prepare, build, train, save, and say how it ended.

This is the job boundary: whatever happens inside, the run's record says so afterwards, the memory is given back and the
process lives on.
"""

import threading
import traceback
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from llm_testing.config.option import Options
from llm_testing.errors import Cancelled, NotEnoughDisk, NotEnoughMemory, UserError, WrongState
from llm_testing.jobs.control import Control
from llm_testing.jobs.owner import this_process
from llm_testing.jobs.progress import Progress
from llm_testing.jobs.states import RunState
from llm_testing.service.bases import Converter
from llm_testing.service.board import Board
from llm_testing.service.checks import refuse_what_exceeds
from llm_testing.service.estimates import Estimates, NoEstimate
from llm_testing.service.extend import jump_in_words
from llm_testing.service.journals import Journals
from llm_testing.service.kinds import Kind
from llm_testing.service.ready import Ready
from llm_testing.service.records import summary_of
from llm_testing.service.retention import forked_steps, tidy
from llm_testing.service.views import Failure
from llm_testing.store.run_folder import RunFolder
from llm_testing.store.runs import RunStore
from llm_testing.store.times import utc_now, utc_text
from llm_testing.train.events import Event, Measured, Paused, Resumed
from llm_testing.train.memory import (
    free_memory,
    is_out_of_memory,
    measured_peaks,
    out_of_memory_in_words,
)
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
        self._update(state=str(RunState.STARTING), **facts)

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
        device, self._thread = None, threading.get_ident()
        try:
            with Journals(self.folder) as self._journals:
                try:
                    place = surroundings(self.config, self.usable_cores, self._earlier_environment())
                    self._place, device = place, place.device
                    self._session(place)
                except Cancelled:
                    self._ended_by_stop(None)
                except Exception as error:  # noqa: BLE001 the job boundary: the one place that takes anything
                    self._failed(error)
        finally:
            self.control.close()
            if device is not None:
                free_memory(device)

    def _session(self, place: Surroundings) -> None:
        # It takes seconds to come up, in which the data is prepared.
        self.estimates.begin_warm_up()
        ready = self.kind.ready(self, place)
        self._look_at_memory(place, ready)
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
        if outcome == "completed":
            ready.finish(run)
            self._end(RunState.COMPLETED, ended_early=run.standing.ended_early)
        else:
            if self.control.stop_mode == "save":
                ready.finish(run)
            self._ended_by_stop(run.standing.step)

    def _look_at_memory(self, place: Surroundings, ready: Ready) -> None:
        """Refuse what cannot fit, and write down what the step is estimated to take."""
        if place.device.type == "mps":
            return
        budget = self.estimates.where_it_runs(str(place.device), ready.held_bytes)
        if budget.device == "cpu":
            # Certain without a trace, and at once.
            ready.refuse(budget.free_bytes)
        if ready.estimate is not None:
            self.progress(Progress("estimating the memory"))
            self._expected = self.estimates.ask(lambda: ready.estimate(budget))
            self._judge_memory(through_pause=False)

    def _judge_memory(self, through_pause: bool) -> None:
        """Wait for the estimate and refuse what exceeds the memory.

        A stop ends the wait. So does a pause, unless through_pause: nothing is trained before the run goes on, and then
        it is judged.
        """
        if self._expected is None or not self.control.wait_for(self._expected, through_pause):
            return
        answer, self._expected = self._expected, None
        try:
            estimate = answer.result()
        except NoEstimate as error:
            self.warn(str(error))
            return
        self._update(estimated_bytes=estimate.allocated_bytes, estimate=estimate.as_record())
        refuse_what_exceeds(estimate, self.config, self.force)

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
            self._judge_memory(through_pause=True)
            self._resumed()
        elif isinstance(event, Measured):
            self._update(measured={"allocated_bytes": event.allocated_bytes})
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
        """Write a checkpoint; on a full disk say so, keep what is there and go on."""
        try:
            self._write_checkpoint(snapshot)
        except NotEnoughDisk as error:
            self.warn(f"Step {snapshot.step:,} could not be saved: {error}")
            return False
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
        self._update(summary=summary_of(self.board.view()))

    _saved_step: int | None = None
    _place: Surroundings | None = None
    _expected: Future | None = None
    _unwritten: dict = field(default_factory=dict)
    _changing: threading.RLock = field(default_factory=threading.RLock)

    # How it ends.

    def _ended_by_stop(self, step: int | None) -> None:
        mode = self.control.stop_mode or "save"
        if mode == "discard":
            self._discard()
        else:
            self._end(ENDED[mode], step=step)

    def _discard(self) -> None:
        """Drop what this session added, and nothing else."""
        if not self.resumes:
            self._end(RunState.STOPPED, discarded=True)
            self._journals.close()
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
        if is_out_of_memory(error):
            failure = Failure("Out of memory", out_of_memory_in_words(self.config), traceback.format_exc())
        elif isinstance(error, NotEnoughMemory):
            failure = Failure("Not enough memory", str(error))
        elif isinstance(error, UserError):
            failure = Failure("The run could not go on", str(error))
        else:
            said = f"{type(error).__name__}: {error}"
            failure = Failure("An error in the program", f"{said}. What was saved is kept.", traceback.format_exc())
        # The frames of the traceback hold the tensors; only text may outlive this.
        error.__traceback__ = None
        self._event_row("failed", **asdict(failure))
        self._end(RunState.FAILED, error=failure.message)
        self.board.change(error=failure)

    def _end(self, state: RunState, summary: dict | None = None, error: str | None = None, **facts: object) -> None:
        view = self.board.view()
        peaks = measured_peaks(self._place.device) if self._place else {}
        self._journals.sync()
        with self._changing:
            self._update(
                state=str(state),
                completed_at=utc_text(utc_now()),
                summary=summary or summary_of(view),
                measured_peak_bytes=view.peak_bytes,
                error=error,
                **({"measured": peaks} if peaks else {}),
                **({"owner": None} if state != RunState.INTERRUPTED else {}),
            )
            self.board.change(state=str(state))
        self._event_row("ended", state=str(state), **facts)
        self.board.change(phase="")

    def _enter(self, state: RunState, **changes: object) -> None:
        """Change the state, on disk first: what the board shows, a reader of the record finds too.

        Raises:
            WrongState: if it may not follow the present one; nothing was changed.
        """
        with self._changing:
            self.board.check(state)
            self._update(state=str(state), **changes)
            self.board.enter(state)

    def _advance(self, state: RunState, **changes: object) -> None:
        """Change the state as the work goes on; where somebody asked to stop meanwhile, that stands."""
        with self._changing:
            try:
                self._enter(state, **changes)
            except WrongState:
                self._update(**changes)

    def _update(self, **changes: object) -> None:
        with self._changing:
            self._unwritten |= changes
            try:
                self.folder.update(**self._unwritten)
            except NotEnoughDisk:
                return  # tried again with the next change; the board shows it meanwhile
            self._unwritten = {}

    def warn(self, message: str) -> None:
        """Tell the run's user something, once."""
        self._event_row("warning", message=message)
        view = self.board.view()
        if message not in view.warnings:
            self.board.change(warnings=(*view.warnings, message))

    def _event_row(self, event: str, **facts: object) -> None:
        self._journals.append("events", {"event": event, "at": utc_text(utc_now()), **facts})
