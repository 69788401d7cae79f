"""The tracer's other end: starts the process when it is first needed, asks it, and replaces it when it has died."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from llm_testing.errors import ConfigError
from llm_testing.estimate.trace_worker import read, write

TIMEOUT_S = 120.0
"""A trace that takes longer has gone wrong: the largest full one took 13 s."""
_PACKAGE_ROOT = Path(__file__).parent.parent.parent


class TraceFailed(Exception):
    """A step that could not be traced; its text says why, in one line."""


class Worker:
    """A process that traces, one job at a time; safe to call from several threads."""

    def __init__(self, timeout_s: float = TIMEOUT_S):
        self._timeout_s = timeout_s
        self._turns = threading.Condition()
        self._busy, self._urgent = False, 0
        # Around what `close` changes while a job may be on its way.
        self._guard = threading.Lock()
        self._process: subprocess.Popen | None = None
        self._closed = False

    def trace(self, job: object, background: bool = False) -> Any:
        """Have a job traced; a process that died meanwhile is replaced, for the next job too.

        Args:
            background: let every job go first for which somebody waits.

        Returns:
            What `trace_jobs.run` gives: a Recording of a step's job, the facts of a question about a model.

        Raises:
            ConfigError: for options that do not suit the model.
            TraceFailed: if the job cannot be traced, or ended the process.
        """
        with self._turn(background):
            answer = self._ask(job)
        if self._closed:
            raise TraceFailed("The app is ending.")
        if answer is None:
            raise TraceFailed("The process that traces ended without an answer; the next estimate starts another.")
        outcome, value = answer
        if outcome == "refused":
            raise ConfigError(value)
        if outcome == "failed":
            raise TraceFailed(str(value))
        return value

    def close(self) -> None:
        """End the process, for good: a job that is on its way is given up, and leaves no other process behind."""
        with self._guard:
            self._closed = True
            if self._process is not None:
                self._process.kill()
        with self._turn(background=False):
            self._end()

    @contextmanager
    def _turn(self, background: bool) -> Iterator[None]:
        """Be the only one at the pipes."""
        with self._turns:
            self._urgent += not background
            self._turns.wait_for(lambda: not self._busy and (not background or not self._urgent))
            self._urgent -= not background
            self._busy = True
        try:
            yield
        finally:
            with self._turns:
                self._busy = False
                self._turns.notify_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """Of the process that is running, if one is."""
        process = self._process
        return process.pid if process and process.poll() is None else None

    def _ask(self, job: object) -> tuple[str, object] | None:
        if self.pid is None and not self._start():
            return None
        try:
            write(self._process.stdin, (job, self._timeout_s))
            answer = read(self._process.stdout)
        except OSError:
            answer = None
        if answer is None:
            self._end()
        return answer

    def _start(self) -> bool:
        self._end()
        with self._guard:
            if self._closed:
                return False
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "llm_testing.estimate.trace_worker"],
                    cwd=_PACKAGE_ROOT,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                )
            except OSError:  # no more processes, or a Python that this user may not start
                return False
            return True

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            process.stdin.close()
            process.stdout.close()
