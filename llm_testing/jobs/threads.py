"""The only place that starts threads."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from llm_testing.errors import Cancelled

Item, Found = TypeVar("Item"), TypeVar("Found")


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
