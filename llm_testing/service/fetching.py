"""Corpora that are downloaded while the page is used: started, watched and given up, one thread each."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from llm_testing.data.corpora import CORPORA, find_corpus
from llm_testing.errors import Cancelled, NotFound, UserError
from llm_testing.jobs.control import Control
from llm_testing.jobs.progress import Progress
from llm_testing.jobs.threads import Crew

MOST_KEPT = 20


@dataclass(frozen=True)
class Fetched:
    """One download: `state` is running, done, failed or cancelled; total is None where it is not known."""

    name: str
    state: str = "running"
    phase: str = ""
    done: int = 0
    total: int | None = None
    unit: str = ""
    error: str | None = None


def check_download(name: str) -> None:
    """Refuse what is no download.

    Raises:
        NotFound: naming what there is.
    """
    if find_corpus(name) is None and not name.startswith(("http://", "https://", "hf:")):
        names = ", ".join(corpus.name for corpus in CORPORA)
        raise NotFound(f"There is no corpus {name!r} to download. There are {names}.")


class Fetching:
    """The downloads of this process.

    Args:
        download: brings a corpus to disk; takes its name, a Report and a Check.
        crew: in whose threads it does so.
    """

    def __init__(self, download: Callable[..., Any], crew: Crew):
        self._download, self._crew = download, crew
        self._guard = threading.Lock()
        self._all: dict[str, tuple[Fetched, Control]] = {}

    def start(self, name: str) -> Fetched:
        """Begin to download a corpus; one that is on its way goes on."""
        with self._guard:
            known = self._all.pop(name, None)
            if known and known[0].state == "running":
                self._all[name] = known
                return known[0]
            fetched, control = Fetched(name), Control()
            self._all[name] = (fetched, control)
            for old in [old for old, (one, _) in self._all.items() if one.state != "running"][:-MOST_KEPT]:
                del self._all[old]
        self._crew.start(f"download of {name[:40]}", lambda: self._work(name, control))
        return fetched

    def cancel(self, name: str) -> None:
        """Give a download up; what has come is kept, so that it goes on from there another time."""
        with self._guard:
            known = self._all.get(name)
        if known:
            known[1].request_stop()

    def close(self) -> None:
        """Give every download up, as the app ends."""
        with self._guard:
            controls = [control for _, control in self._all.values()]
        for control in controls:
            control.request_stop()

    def all(self) -> list[Fetched]:
        """Every download of this process, the newest last."""
        with self._guard:
            return [fetched for fetched, _ in self._all.values()]

    def _work(self, name: str, control: Control) -> None:
        try:
            self._download(name, lambda progress: self._told(name, progress), control.check)
        except Cancelled:
            self._change(name, state="cancelled")
        except UserError as error:
            self._change(name, state="failed", error=str(error))
        except Exception as error:  # noqa: BLE001 the thread's boundary: the page says what went wrong
            self._change(name, state="failed", error=f"An error in the program: {type(error).__name__}: {error}")
        else:
            self._change(name, state="done")

    def _told(self, name: str, progress: Progress) -> None:
        self._change(name, phase=progress.phase, done=progress.done, total=progress.total, unit=progress.unit)

    def _change(self, name: str, **changes: Any) -> None:
        with self._guard:
            fetched, control = self._all[name]
            self._all[name] = (replace(fetched, **changes), control)
