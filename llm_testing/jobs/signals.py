"""SIGTERM and Ctrl-C, turned into a wish to stop.

Without a handler SIGTERM ends Python at once: no finally, no last checkpoint.
"""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_INTERRUPTED = 130


@contextmanager
def on_stop_signals(callback: Callable[[str], object]) -> Iterator[None]:
    """While open, call callback("SIGTERM") or callback("SIGINT") when that signal first arrives; for the main thread.

    A second Ctrl-C ends the process at once with status 130: whoever presses it again does not want to wait. A
    repeated SIGTERM changes nothing, since supervisors send it more than once.

    Args:
        callback: runs in the main thread between two of its instructions, so it only sets a flag; `Control` can be
            called from it.

    Raises:
        ValueError: in any other thread, which cannot receive signals.
    """
    seen: set[int] = set()

    def on_signal(number: int, frame: object) -> None:
        if number not in seen:
            seen.add(number)
            callback(signal.Signals(number).name)
        elif number == signal.SIGINT:
            os._exit(_INTERRUPTED)

    old = {number: signal.signal(number, on_signal) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in old.items():
            # None stands for a handler that was not set from Python and cannot be set again from here.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
