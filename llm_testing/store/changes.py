"""The lock of a store's records, which counts what has been changed."""

import threading


class Changes:
    """Held while something is changed; the thread that holds it may take it again.

    Whoever keeps an answer about the store keeps the count with it: while that is the same, the answer is no older than
    anything that this process has changed. Other processes are not counted.
    """

    def __init__(self):
        self._lock = threading.RLock()
        self.count = 0

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self.count += 1
        self._lock.release()

    def add(self) -> None:
        """Count a change that needed no lock."""
        with self:
            pass
