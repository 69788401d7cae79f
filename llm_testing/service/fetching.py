"""Corpora that are downloaded while the page is used: started, watched and given up."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from llm_testing.data.corpora import CORPORA, find_corpus
from llm_testing.errors import NotFound
from llm_testing.jobs.errands import Errand, Errands
from llm_testing.jobs.progress import Check, Report
from llm_testing.jobs.threads import Crew


@dataclass(frozen=True)
class Fetched(Errand):
    """One download, by the name of its corpus."""

    name: str


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
        self._download = download
        self._errands: Errands[Fetched] = Errands(crew)

    def start(self, name: str) -> Fetched:
        """Begin to download a corpus; one that is on its way goes on."""

        def work(report: Report, check: Check) -> dict[str, Any]:
            self._download(name, report, check)
            return {}

        return self._errands.start(name, Fetched(name), work)[0]

    def cancel(self, name: str) -> None:
        """Give a download up; what has come is kept, so that it goes on from there another time."""
        self._errands.cancel(name)

    def all(self) -> list[Fetched]:
        """Every download of this process, the newest last."""
        return self._errands.all()
