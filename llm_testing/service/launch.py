"""Starting sessions: new runs, resumed ones, forks, and the queue. One session at a time in a process."""

import itertools
import threading
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llm_testing.config.option import Options
from llm_testing.errors import Busy, DiskRefused, UserError, WrongState
from llm_testing.jobs.control import Control
from llm_testing.jobs.lock import TrainerLock
from llm_testing.jobs.owner import this_process
from llm_testing.jobs.queue import RunQueue
from llm_testing.jobs.states import ACTIVE, TERMINAL, RunState
from llm_testing.jobs.threads import join, start_thread
from llm_testing.service.between_steps import between_steps
from llm_testing.service.board import Board
from llm_testing.service.curves import CurveStore
from llm_testing.service.estimates import Estimates
from llm_testing.service.extend import refuse_damaged, refuse_finished
from llm_testing.service.job import Job
from llm_testing.service.kinds import config_of, kind_named, kind_of, name_for
from llm_testing.service.new_runs import NewRuns
from llm_testing.service.parents import changeable, find_checkpoint, fork_of
from llm_testing.service.reader import Reader
from llm_testing.service.records import new_record, state_of, whole_config
from llm_testing.service.views import Live, Started
from llm_testing.store.run_folder import RunFolder
from llm_testing.store.runs import RunStore
from llm_testing.train.session import Start

LETTING_GO_S = 10.0
"""Freeing a model's memory takes a fraction of this."""


@dataclass(frozen=True)
class Watcher:
    """Somebody who follows a session in the thread that runs it, like the command line."""

    control: Control
    on_progress: Callable
    on_event: Callable


@dataclass
class _Session:
    job: Job
    lock: TrainerLock
    thread: threading.Thread | None = None
    done: threading.Event = field(default_factory=threading.Event)


class Launcher:
    """Owns the active session of this process and the queue on disk."""

    def __init__(self, store: RunStore, cache_dir: Path, threads: int, estimates: Estimates):
        self.store, self.queue = store, RunQueue(store.root)
        self._cache_dir, self._threads, self._estimates = cache_dir, threads, estimates
        self.reader = Reader(store, cache_dir, lambda work: between_steps(self.active(), work))
        self.guard = threading.RLock()
        """Held while a run is made, started, queued or taken away: whoever decides by what is active holds it."""
        self.make_room: Callable[[], None] = lambda: None
        """Called in a session's thread before it begins, for those who hold memory that a run needs."""
        self._session: _Session | None = None
        self._versions, self._new_runs = itertools.count(1), NewRuns(store)
        # After a restart the queue waits for its owner's click.
        self._queue_runs = False
        self._closing = False

    # Looking.

    def board(self) -> Board | None:
        """The board of the newest session of this process, whether it goes on or has ended."""
        return self._session.job.board if self._session else None

    def active(self) -> Job | None:
        """The session that holds the trainer."""
        session = self._session
        return session.job if session and not session.done.is_set() else None

    def unwritten(self, run_id: str) -> dict[str, Any]:
        """What the disk has not taken of the record of a run that this process trains, or trained last."""
        session = self._session
        return session.job.unwritten if session and session.job.folder.run_id == run_id else {}

    # Starting.

    def start(self, config: Options, queue: bool, request_id: str | None, force: bool = False) -> Started:
        """Start a new run in the background, or put it into the queue."""
        self._see_out()
        with self.guard:
            if request_id and (known := self.with_request(request_id)):
                return known
            device, fork = self.check(config), fork_of(config, self.store)
            self._refuse_closing()
            if self.active():
                if not queue:
                    raise self._busy()
                folder = self._new_runs.create(_record(self.store, config, request_id, fork))
                self._queue_runs = True
                return Started(folder.run_id, self.queue.add(folder.run_id) + 1)
            lock = self._take_lock(device)
            job = self._create_or_release(lock, config, _record(self.store, config, request_id, fork))
            job.force = force
            self._launch(job, lock)
            return Started(job.folder.run_id)

    def run_here(self, config: Options, wait: bool, watcher: Watcher, force: bool = False) -> str:
        """Run a new run in this thread; with wait, once the trainer is free. Returns its id when it has ended."""
        device, fork = self.check(config), fork_of(config, self.store)
        lock = TrainerLock(self.store.root, device)
        lock.acquire({"state": "starting"}, wait=wait, check=watcher.control.check)
        job = self._create_or_release(lock, config, _record(self.store, config, None, fork), watcher)
        job.force = force
        self._run_here(job, lock)
        return job.folder.run_id

    def resume(self, run_id: str, changes: dict[str, Any]) -> Started:
        """Go on with a run in the background, from its newest whole checkpoint."""
        self._see_out()
        with self.guard:
            self._refuse_closing()
            if self.active():
                raise self._busy()
            job = self.resumed_job(run_id, changes)
            self._launch(job, self._take_lock(self.check(job.config)))
            return Started(run_id)

    def resume_here(self, run_id: str, changes: dict[str, Any], watcher: Watcher) -> str:
        """Go on with a run in this thread."""
        job = self.resumed_job(run_id, changes, watcher)
        lock = TrainerLock(self.store.root, self.check(job.config))
        lock.acquire({"run_id": run_id, "state": "starting"})
        self._run_here(job, lock)
        return run_id

    def run_queue(self) -> str | None:
        """Start the next queued run, if the trainer is free; returns its id."""
        with self.guard:
            self._refuse_closing()
            self._queue_runs = True
            return None if self.active() else self._start_next()

    def shutdown(self, timeout_s: float) -> bool:
        """Have the active session saved and wait for it; no other is started. Whether it ended in time."""
        with self.guard:
            self._closing = True
            session = self._session
        if session is None:
            return True
        session.job.control.request_stop("signal")
        return session.thread is None or join(session.thread, timeout_s)

    # Inside.

    def _see_out(self) -> None:
        """Let a session that has said how it ended give the trainer back, so that the next start is not refused."""
        session = self._session
        if session and RunState(session.job.board.view().state) in TERMINAL:
            session.done.wait(LETTING_GO_S)

    def _launch(self, job: Job, lock: TrainerLock) -> None:
        """Start a session in a thread that gives the lock back; a session that cannot even begin has given it back."""
        session = self._begin(job, lock)
        session.thread = start_thread(f"trainer {job.folder.run_id}", lambda: self._work(session))

    def _begin(self, job: Job, lock: TrainerLock) -> _Session:
        try:
            job.begin()
        except BaseException:
            lock.release()
            raise
        self._session = session = _Session(job, lock)
        return session

    def _work(self, session: _Session) -> None:
        try:
            self.make_room()
            session.job.execute()
        finally:
            session.lock.release()
            with self.guard:
                session.done.set()
                if self._queue_runs and not self._closing:
                    with suppress(DiskRefused):  # the queue stays; `run_queue` says why
                        self._start_next()
        CurveStore(self.store, self._cache_dir).keep(session.job.folder.run_id)

    def _run_here(self, job: Job, lock: TrainerLock) -> None:
        session = self._begin(job, lock)
        try:
            job.execute()
        finally:
            lock.release()
            session.done.set()
        CurveStore(self.store, self._cache_dir).keep(job.folder.run_id)

    def _start_next(self) -> str | None:
        """Start the first queued run that can start; one that cannot is marked failed and the next is tried.

        Raises:
            DiskRefused: the disk takes nothing, which is no run's fault; all go on waiting.
        """
        for run_id in self.queue.ids():
            try:
                if self._start_queued(run_id):
                    return run_id
            except Busy:
                return None
            except Exception as error:  # noqa: BLE001 a job boundary: no run may hold up those behind it
                # Also one whose record or parent is damaged or gone.
                self._fail_queued(run_id, error)
        return None

    def _start_queued(self, run_id: str) -> bool:
        """Start a waiting run. It leaves the queue once the trainer is its own, so that no crash before loses it."""
        config = config_of(self.store.open(run_id).record())
        lock = self._take_lock(self.check(config))
        if not self._leaves_queue(run_id, lock):
            return False
        self._launch(self._new_or_release(lock, self.store.open(run_id), config), lock)
        return True

    def _leaves_queue(self, run_id: str, lock: TrainerLock) -> bool:
        """Take a run out of the queue for whoever holds the trainer; where another process has it, let go."""
        with ExitStack() as stack:
            stack.callback(lock.release)
            if taken := self.queue.remove(run_id):
                stack.pop_all()
        return taken

    def _fail_queued(self, run_id: str, error: Exception) -> None:
        if isinstance(error, DiskRefused):
            raise error  # no run's fault: it goes on waiting
        self.queue.remove(run_id)
        said = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        with suppress(UserError):
            self.store.open(run_id).update(state=str(RunState.FAILED), error=said)

    def enqueue(self, records: list[dict], begin: bool = True) -> list[str]:
        """Make runs that wait in the queue, in this order; with begin the first starts where the trainer is free.

        Args:
            records: as `records.new_record` gives them, of configs that were checked.
            begin: False where the caller goes on with `run_queued_here`.
        """
        with self.guard:
            self._refuse_closing()
            run_ids = [self._waits(record) for record in records]
            if begin:
                self.run_queue()
            return run_ids

    def _waits(self, record: dict) -> str:
        run_id = self._new_runs.create(record).run_id
        self.queue.add(run_id)
        return run_id

    def run_queued_here(self, run_id: str, watcher: Watcher) -> bool:
        """Run a waiting run in this thread once the trainer is free; False where another process took it or it failed.

        Its record says how it ended, also where it could not begin.
        """
        try:
            config = config_of(self.store.open(run_id).record())
            lock = TrainerLock(self.store.root, self.check(config))
            lock.acquire({"run_id": run_id, "state": "starting"}, wait=True, check=watcher.control.check)
            if not self._leaves_queue(run_id, lock):
                return False
            job = self._new_or_release(lock, self.store.open(run_id), config, watcher)
        except UserError as error:
            self._fail_queued(run_id, error)
            return False
        self._run_here(job, lock)
        return True

    def _new_job(self, folder: RunFolder, config: Options, watcher: Watcher | None = None) -> Job:
        job = self._job(folder, config, watcher)
        parent = folder.record()["parent"]
        if parent:
            source = self.store.open(parent["run_id"])
            job.start = Start(source.checkpoints.verify(parent["step"]).path, fork=True)
            job.checkpoint_step, job.tokenizer_from = parent["step"], source.path
        return job

    def resumed_job(
        self, run_id: str, changes: dict[str, Any], watcher: Watcher | None = None, keep: bool = True
    ) -> Job:
        """The session that resuming a run would be; with keep, its changed options are written down."""
        folder = self.store.open(run_id)
        record = {**folder.record(), **self.unwritten(run_id)}
        state = state_of(record)
        if RunState(state) in ACTIVE:
            raise WrongState(f"Run {run_id} is {state} already. Pause or stop it first.", run_id, state)
        kind = kind_named(record["kind"])
        if kind is None:
            raise WrongState(
                f"Run {run_id} is of the kind {record['kind']}, which cannot be resumed here.", run_id, state
            )
        config = kind.config.build({**whole_config(record), **changeable(changes, kind.config)})
        checkpoint = folder.checkpoints.newest()
        if checkpoint is None:
            refuse_damaged(folder)
            return self._new_job(folder, config, watcher)  # nothing was saved yet: it begins anew
        if state == RunState.COMPLETED:
            refuse_finished(run_id, config, record, checkpoint.step)
        if keep:
            folder.update(config=config.model_dump(mode="json"))
        job = self._job(folder, config, watcher)
        job.start = Start(checkpoint.path, extend=state == RunState.COMPLETED)
        job.checkpoint_step, job.tokenizer_from = checkpoint.step, folder.path
        return job

    def _job(self, folder: RunFolder, config: Options, watcher: Watcher | None = None) -> Job:
        record = folder.record()
        live = Live(
            version=next(self._versions),
            run_id=folder.run_id,
            name=record["name"],
            kind=record["kind"],
            state="starting",
            config=config.model_dump(mode="json"),
            num_parameters=record["parameters"].get("total"),
            num_trainable=record["parameters"].get("trainable"),
            general_text=record["summary"].get("general_text"),
        )
        job = Job(
            store=self.store,
            folder=folder,
            kind=kind_of(config),
            config=config,
            cache_dir=self._cache_dir,
            usable_cores=self._threads,
            control=watcher.control if watcher else Control(),
            board=Board(live, lambda: next(self._versions)),
            estimates=self._estimates,
            converter=self.reader,
        )
        if watcher:
            job.on_event, job.on_progress = watcher.on_event, watcher.on_progress
        return job

    def find_checkpoint(self, what: str, field_name: str = "checkpoint") -> tuple[str, int]:
        """As `parents.find_checkpoint`, of this store."""
        return find_checkpoint(self.store, what, field_name)

    def check(self, config: Options) -> str:
        """The device of a run that may start, as text; refuses one that may not."""
        return kind_of(config).check(config, self._cache_dir, self._threads)

    def with_request(self, request_id: str) -> Started | None:
        """The run that a request of this name started."""
        for row in self.store.rows():
            if row.record and row.record.get("request_id") == request_id:
                waiting = self.queue.ids()
                return Started(row.run_id, waiting.index(row.run_id) + 1 if row.run_id in waiting else None)
        return None

    def _take_lock(self, device: str) -> TrainerLock:
        lock = TrainerLock(self.store.root, device)
        lock.acquire({"state": "starting"})
        return lock

    def _create_or_release(
        self, lock: TrainerLock, config: Options, record: dict, watcher: Watcher | None = None
    ) -> Job:
        """A new run that starts at once, so nobody ever sees it queued."""
        try:
            folder = self._new_runs.create({**record, "state": str(RunState.STARTING), "owner": this_process()})
            lock.tell({"run_id": folder.run_id, "state": "running"})
        except BaseException:
            lock.release()
            raise
        return self._new_or_release(lock, folder, config, watcher)

    def _new_or_release(
        self, lock: TrainerLock, folder: RunFolder, config: Options, watcher: Watcher | None = None
    ) -> Job:
        try:
            return self._new_job(folder, config, watcher)
        except BaseException:
            lock.release()
            raise

    def _busy(self) -> Busy:
        live = self.board().view()
        return Busy(
            f"Run {live.run_id} ({live.name}) is {live.state}, and one run at a time can train. Wait until it ends, "
            "stop it, or put this run into the queue.", live.run_id, live.state)  # fmt: skip

    def _refuse_closing(self) -> None:
        if self._closing:
            raise WrongState("The application is being closed, so no run is started.")


def _record(store: RunStore, config: Options, request_id: str | None, fork: dict | None) -> dict:
    kind = kind_of(config)
    return new_record(kind.name, name_for(config, store), config, request_id, fork)
