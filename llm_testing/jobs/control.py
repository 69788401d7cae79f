"""Commands to one running job: any thread gives them, the trainer looks at them between steps.

Nothing here reaches into the trainer. It asks `check` in phases that can only be given up (download, tokenise), and
`stop_mode`, `pause_requested`, `take_save` and `take_orders` at its step boundaries. An order is work that must see the
live model while no step is under way, such as a sample: the trainer calls it, whoever submitted it waits on a Future.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Literal

from llm_testing.errors import Busy, Cancelled, WrongState

StopMode = Literal["save", "discard", "signal"]
_STOP_MODES = ("save", "discard", "signal")
MAX_ORDERS = 16


class Control:
    """The commands to one job. All methods may be called from any thread, also from a signal handler."""

    def __init__(self, max_orders: int = MAX_ORDERS):
        # Its lock is reentrant: a signal handler may run in the middle of a call of the same thread.
        self._changed = threading.Condition(threading.RLock())
        self._max_orders = max_orders
        self._num_commands = self._num_resumes = 0
        self._stop_mode: StopMode | None = None
        self._pause = False
        self._save = False
        self._closed = False
        self._orders: list[Order] = []

    def request_stop(self, mode: StopMode = "save") -> None:
        """Stop at the next step boundary. A later "save" or "discard" replaces an earlier wish; a signal does not.

        Args:
            mode: "save" keeps everything; "discard" drops what this session added; "signal" saves, because the process
                is asked to end and nobody decided about the run.
        """
        if mode not in _STOP_MODES:
            raise ValueError(f"A stop is one of {', '.join(_STOP_MODES)}, not {mode!r}.")
        with self._changed:
            if mode != "signal" or self._stop_mode is None:
                self._stop_mode = mode
            self._tell()

    def request_pause(self) -> None:
        """Pause at the next step boundary."""
        with self._changed:
            self._pause = True
            self._tell()

    def request_resume(self) -> None:
        """Go on, or forget a pause that has not begun."""
        with self._changed:
            self._pause = False
            self._num_resumes += 1
            self._tell()

    def request_save(self) -> None:
        """Save a checkpoint at the next step boundary; several wishes before it make one save."""
        with self._changed:
            self._save = True
            self._tell()

    def submit(self, work: Callable[..., Any]) -> Future:
        """Have work done by the trainer's thread between two steps.

        Args:
            work: takes what the trainer passes to its orders (its live view of the model).

        Returns:
            A Future of what work returns or raises. If the job ends first it fails with a WrongState that says so.

        Raises:
            Busy: if too many orders wait already.
        """
        order = Order(work)
        with self._changed:
            waiting = [old for old in self._orders if not old.future.cancelled()]
            if self._closed:
                order.fail()
            elif len(waiting) >= self._max_orders:
                raise Busy(f"{len(waiting)} requests wait for this run already. Try again when they are answered.")
            else:
                self._orders = [*waiting, order]
                self._tell()
        return order.future

    def request_sample(self, prompt: str, **settings: Any) -> Future:
        """Have the trainer's `live.sample(prompt, **settings)` called between two steps; a Future of its answer."""
        return self.submit(lambda live: live.sample(prompt, **settings))

    def check(self) -> None:
        """Raise Cancelled if a stop was asked for; a pause does not matter here."""
        if self._stop_mode is not None:
            raise Cancelled("A stop was asked for before training began.")

    @property
    def stop_mode(self) -> StopMode | None:
        """How to stop, or None while nobody asked for it."""
        return self._stop_mode

    @property
    def pause_requested(self) -> bool:
        """Whether to pause; a stop comes first."""
        return self._pause and self._stop_mode is None

    def wait_for(self, answer: Future, through_pause: bool = False) -> bool:
        """Block until somebody's answer is there, or until a pause is asked for; whether the answer is there.

        Args:
            through_pause: go on waiting while a pause is asked for.

        Raises:
            Cancelled: as soon as a stop is asked for.
        """
        answer.add_done_callback(lambda _: self._wake())
        with self._changed:
            self._changed.wait_for(
                lambda: answer.done() or self._stop_mode is not None or (self._pause and not through_pause)
            )
        self.check()
        return answer.done()

    def wait_while_paused(self, on_idle: Callable[[], object], every_s: float | None = None) -> None:
        """Block until the job may go on or must stop. Costs nothing while it waits.

        A pause that follows a resume before this thread has woken is a new pause: it has to be told of, so this ends.

        Args:
            on_idle: called in this thread for each order or save that arrives meanwhile; it takes them.
            every_s: call it also when nothing has arrived for so many seconds.
        """
        with self._changed:
            seen, resumes = self._num_commands, self._num_resumes
        due = False
        while self.pause_requested and self._num_resumes == resumes:
            if due or self._save or self._orders:
                on_idle()
            with self._changed:
                # A command that came during on_idle has changed the number already, so none is slept over.
                due = not self._changed.wait_for(lambda seen=seen: self._num_commands != seen, every_s)
                seen = self._num_commands

    def take_save(self) -> bool:
        """Whether a save was asked for since the last call."""
        with self._changed:
            wanted, self._save = self._save, False
            return wanted

    def take_orders(self) -> list["Order"]:
        """The orders since the last call; the caller calls each, and none of them raises."""
        with self._changed:
            orders, self._orders = self._orders, []
            return orders

    def close(self) -> None:
        """The job has ended: fail what still waits, and what comes later. More than once does no harm."""
        with self._changed:
            self._closed = True
            for order in self.take_orders():
                order.fail()
            self._tell()

    def _tell(self) -> None:
        self._num_commands += 1
        self._changed.notify_all()

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()


class Order:
    """Work that waits for the trainer. Calling it does the work and settles its Future; it raises nothing."""

    def __init__(self, work: Callable[..., Any]):
        self.future: Future = Future()
        self._work = work

    def __call__(self, *live: Any) -> None:
        """Do the work with what the trainer passes, unless whoever wanted it has given up."""
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            result = self._work(*live)
        except Exception as error:  # the boundary of the order: its failure is its submitter's, not the run's
            self.future.set_exception(error)
        else:
            self.future.set_result(result)

    def fail(self) -> None:
        """Tell whoever waits that nobody will do this any more."""
        if self.future.set_running_or_notify_cancel():
            self.future.set_exception(WrongState("The run ended before this was done. Use one of its checkpoints."))
