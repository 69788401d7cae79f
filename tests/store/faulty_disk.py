"""Work on a run that uses every kind of write there is, and a disk that fails at the n-th of its operations."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

from llm_testing.store.journal import JournalReader
from llm_testing.store.run_folder import RunFolder
from llm_testing.store.runs import RunStore

RUN_ID = "20260101-000000-aaaa"
OPERATIONS = ("open", "write", "fsync", "fdatasync", "replace", "mkdir", "ftruncate")


class FaultyOs:
    """Stands in for the os module of store.files; calls fail(operation) in place of, or before, the n-th operation."""

    def __init__(self, nth: int, fail: Callable[[str, tuple], object]):
        self.nth, self.fail = nth, fail
        self.num_done = 0
        self.done: list[str] = []

    def __getattr__(self, name: str):
        real = getattr(os, name)
        if name not in OPERATIONS:
            return real

        def counted(*args):
            if name == "open" and not args[1] & (os.O_WRONLY | os.O_DIRECTORY):
                return real(*args)  # opened to be read
            self.num_done += 1
            self.done.append(name)
            return self.fail(name, args) if self.num_done == self.nth else real(*args)

        return counted


def raising(number: int) -> Callable[[str, tuple], object]:
    """An operation that fails with an errno."""

    def fail(name: str, args: tuple) -> object:
        raise OSError(number, os.strerror(number))

    return fail


def short_write(name: str, args: tuple) -> object:
    """A write that takes half; other operations are done as usual."""
    if name != "write":
        return getattr(os, name)(*args)
    return os.write(args[0], args[1][: len(args[1]) // 2])


def kill_before(name: str, args: tuple) -> object:
    """The process dies, and the operation is not done."""
    os.kill(os.getpid(), signal.SIGKILL)


def kill_halfway(name: str, args: tuple) -> object:
    """The process dies when a write has taken half; other operations are done first."""
    short_write(name, args)
    os.kill(os.getpid(), signal.SIGKILL)


class Oracle:
    """What was promised: acked(line) is called when a write has returned."""

    def __init__(self):
        self.rows: list[int] = []
        self.steps: list[int] = []
        self.created = False
        self.state = None
        self.deleted: list[int] = []

    def note(self, line: str) -> None:
        what, _, value = line.partition(" ")
        if what == "row":
            self.rows.append(int(value))
        elif what == "step":
            self.steps.append(int(value))
        elif what == "state":
            self.state = value
        elif what == "deleting":
            self.deleted.append(int(value))
        elif what == "created":
            self.created = True


def work(root: Path, ack: Callable[[str], object]) -> None:
    """Create a run, log, update, save, save the same step again, mark it, delete."""
    ticks = iter(range(0, 10**6, 2))
    store = RunStore(root, clock=lambda: next(ticks))
    run = store.create({"name": "under test"}, RUN_ID)
    ack("created")
    with run.journal("metrics") as journal:
        for step in (1, 2, 2):
            ack(f"row {journal.append({'step': step, 'train_loss': 1.0})}")
            run.update(state="running", summary={"step": step})
            ack("state running")
            journal.sync()
            save(run, step)
            ack(f"step {step}")
        run.checkpoints.update_facts(2, kind=["best"])
        ack("deleting 1")
        run.checkpoints.delete(1)
        ack(f"row {journal.append({'step': 3})}")
    run.update(state="completed")
    ack("state completed")


def save(run: RunFolder, step: int) -> None:
    run.checkpoints.write(
        step, {"model": lambda file: file.write(b"m" * 500), "state": lambda file: file.write(b"s")}, {}
    )


def check_promises(root: Path, oracle: Oracle) -> None:
    """Nothing that was promised is lost, everything that is there can be read, and work can go on at once."""
    store = RunStore(root)
    assert [row.damaged for row in store.rows()] in ([], [None])
    assert bool(store.rows()) >= oracle.created
    if store.rows():
        run = store.open(RUN_ID)
        reader = JournalReader(run.metrics)
        assert {row["n"] for row in reader.poll()} >= set(oracle.rows)
        assert not reader.damage and run.read("metrics").damaged == []
        if oracle.state:
            assert run.record()["state"] in (oracle.state, "running", "completed")
        newest = run.checkpoints.newest()
        promised = set(oracle.steps) - set(oracle.deleted)
        assert {info.step for info in run.checkpoints.list() if not info.damaged} >= promised
        assert newest is not None or not promised
        assert all(info.damaged is None for info in run.checkpoints.list())
    else:
        run = store.create({}, RUN_ID)
    check_that_work_goes_on(run)


def check_that_work_goes_on(run: RunFolder) -> None:
    with run.journal("metrics") as journal:
        journal.rewind(1)
        n = journal.append({"step": 7})
    page = run.read("metrics")
    assert (page.rows[-1], page.damaged) == ({"n": n, "step": 7}, [])
    steps = [row["step"] for row in page.rows]
    assert steps == sorted(set(steps))
    run.update(state="interrupted")
    save(run, 2)
    assert run.checkpoints.newest().step == 2
