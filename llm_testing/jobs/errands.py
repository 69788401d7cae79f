"""Work beside training that somebody starts and others watch: a download, a push, a backup. One thread each."""

import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

from llm_testing.errors import Cancelled, UserError
from llm_testing.jobs.progress import Check, Progress, Report
from llm_testing.jobs.threads import Crew

MOST_KEPT = 20
ENDING = "The app is ending."


@dataclass(frozen=True, kw_only=True)
class Errand:
    """How far one piece of work is.

    Args:
        state: running, done, failed or cancelled.
        total: None where it is not known.
        error: what went wrong, for people; details: where in the program, for a bug report.
    """

    state: str = "running"
    phase: str = ""
    done: int = 0
    total: int | None = None
    unit: str = ""
    error: str | None = None
    details: str | None = None


Kind = TypeVar("Kind", bound=Errand)
Work = Callable[[Report, Check], dict[str, Any]]
"""Does it; gives the fields of its errand that its end sets."""


@dataclass
class _Entry:
    errand: Any
    cancelled: threading.Event = field(default_factory=threading.Event)


class Errands(Generic[Kind]):
    """The errands of one kind, by key, the newest last; at most one of each key goes on. Threads may share it.

    Args:
        crew: in whose threads they go on; they are given up when it ends.
    """

    def __init__(self, crew: Crew):
        self._crew = crew
        self._guard = threading.Lock()
        self._all: dict[str, _Entry] = {}

    def start(self, key: str, errand: Kind, work: Work) -> tuple[Kind, bool]:
        """Begin, unless one of this key goes on; the errand that goes on now, and whether it is the new one."""
        with self._guard:
            known = self._all.pop(key, None)
            if known and known.errand.state == "running":
                self._all[key] = known
                return known.errand, False
            entry = self._all[key] = _Entry(errand)
            for old in [name for name, one in self._all.items() if one.errand.state != "running"][:-MOST_KEPT]:
                del self._all[old]
        if not self._crew.start(f"errand {key[:40]}", lambda: self._work(entry, work)):
            self._change(entry, state="cancelled", error=ENDING)
        return entry.errand, True

    def get(self, key: str) -> Kind | None:
        """The newest of a key."""
        with self._guard:
            entry = self._all.get(key)
            return entry.errand if entry else None

    def all(self) -> list[Kind]:
        """Those that go on and the last ones that ended."""
        with self._guard:
            return [entry.errand for entry in self._all.values()]

    def cancel(self, key: str) -> None:
        """Give one up, if it goes on."""
        with self._guard:
            if entry := self._all.get(key):
                entry.cancelled.set()

    def _work(self, entry: _Entry, work: Work) -> None:
        def report(progress: Progress) -> None:
            self._change(entry, **vars(progress))

        def check() -> None:
            if self._crew.closing.is_set():
                raise Cancelled(ENDING)
            if entry.cancelled.is_set():
                raise Cancelled("It was given up.")

        try:
            found = work(report, check)
        except Cancelled as error:
            self._change(entry, state="cancelled", error=str(error))
        except UserError as error:
            self._change(entry, state="failed", error=str(error))
        except Exception as error:  # noqa: BLE001 a job boundary: whoever watches is told what went wrong
            said = f"An error in the program: {type(error).__name__}: {error}"
            self._change(entry, state="failed", error=said, details=traceback.format_exc())
        else:
            self._change(entry, state="done", **found)

    def _change(self, entry: _Entry, **changes: Any) -> None:
        with self._guard:
            entry.errand = replace(entry.errand, **changes)
