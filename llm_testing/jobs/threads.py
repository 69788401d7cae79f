"""The only place that starts threads."""

import threading
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from queue import Empty, Full, Queue
from typing import Any, TypeVar

from llm_testing.errors import Cancelled
from llm_testing.jobs.progress import Check

Item, Found = TypeVar("Item"), TypeVar("Found")


HEARD_S = 0.2
"""How long a stop may stay unheard while something else is waited for."""
_AHEAD = 8


def start_thread(name: str, work: Callable[[], object]) -> threading.Thread:
    """Start work in a thread of its own and return it. What work raises is work's to catch: this is no boundary.

    The thread does not keep the process alive, so whoever ends the process stops it and joins it first: a thread that
    is inside torch when the interpreter ends aborts the process.
    """
    thread = threading.Thread(target=work, name=name, daemon=True)
    thread.start()
    return thread


def join(thread: threading.Thread, timeout_s: float | None = None) -> bool:
    """Wait until a thread has ended, for at most timeout_s; returns whether it has."""
    thread.join(timeout_s)
    return not thread.is_alive()


def two_at_a_time(items: Sequence[Item], work: Callable[[Item], Found]) -> list[Found]:
    """What work gives for each item, in their order. It is worth it where work leaves Python's lock to others.

    Raises:
        Whatever work raised first in the order of the items.
    """
    if len(items) < 2:
        return [work(item) for item in items]
    with ThreadPoolExecutor(2, "side by side") as pool:
        return list(pool.map(work, items))


def pulled(
    items: Callable[[], Generator[Item, None, None]], check: Check, hang_up: Callable[[], object] = lambda: None
) -> Generator[Item, None, None]:
    """The items of a generator that a thread of its own runs, so that a stop is heard while nothing comes.

    For what waits for others and cannot be woken, such as a server that sends nothing. Whoever takes the items does
    with them what must not go on after a stop: the thread is left behind with what it waits for.

    Args:
        items: makes the generator; it must change nothing that others use.
        check: raises where a stop was asked for.
        hang_up: ends what the thread waits for; called when no more items are taken, for whatever reason.

    Raises:
        What check or the generator raises.
    """
    came: Queue[tuple[str, Any]] = Queue(_AHEAD)
    left = threading.Event()

    def put(*message: Any) -> bool:
        while not left.is_set():
            try:
                came.put(message, timeout=HEARD_S)
                return True
            except Full:
                continue
        return False

    def follow() -> None:
        try:
            with closing(items()) as there:
                for item in there:
                    if not put("item", item):
                        return
        except BaseException as error:  # noqa: BLE001 it is raised where the items are taken
            put("error", error)
        else:
            put("end", None)

    start_thread("pulled", follow)
    try:
        while True:
            try:
                what, value = came.get(timeout=HEARD_S)
            except Empty:
                check()
                continue
            if what == "error":
                raise value
            if what == "end":
                return
            yield value
    finally:
        left.set()
        hang_up()


def answered(work: Callable[[], Found], check: Check) -> Found:
    """What work returns or raises, with a stop heard meanwhile; see `pulled`."""

    def once() -> Generator[Found, None, None]:
        yield work()

    with closing(pulled(once, check)) as found:
        return next(found)


class Crew:
    """The threads of one owner, who waits for them before it is gone. Threads may share it."""

    def __init__(self):
        self.closing = threading.Event()
        """Set once the owner ends: work that waits for something looks at it."""
        self._guard = threading.Lock()
        self._threads: list[threading.Thread] = []

    def start(self, name: str, work: Callable[[], object]) -> bool:
        """Start work in a thread of its own. Once the owner ends nothing is started any more; whether it was."""
        with self._guard:
            if self.closing.is_set():
                return False
            self._threads = [thread for thread in self._threads if thread.is_alive()]
            self._threads.append(start_thread(name, work))
            return True

    def ask(self, name: str, work: Callable[[], Any]) -> Future:
        """Have something found out in a thread of its own: a Future of what work returns or raises.

        Whoever waits for it may give up; the work itself goes on. Once the owner ends the answer is Cancelled.
        """
        answer: Future = Future()

        def find_out() -> None:
            try:
                found = work()
            except BaseException as error:  # noqa: BLE001 it is told to whoever asked
                answer.set_exception(error)
            else:
                answer.set_result(found)

        if not self.start(name, find_out):
            answer.set_exception(Cancelled("The app is ending."))
        return answer

    def close(self, timeout_s: float) -> bool:
        """Start no more and wait for those that run, for at most timeout_s; whether all have ended."""
        with self._guard:
            self.closing.set()
            threads = self._threads
        end = time.monotonic() + timeout_s
        return all([join(thread, max(0.0, end - time.monotonic())) for thread in threads])
