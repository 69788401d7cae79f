"""The only place that starts threads."""

import threading
from collections.abc import Callable


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
