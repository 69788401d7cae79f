"""Long curves read before somebody asks for them: of runs that came from elsewhere, where nothing is kept beside."""

import threading
from collections import deque
from collections.abc import Sequence

from llm_testing.jobs.states import ACTIVE
from llm_testing.jobs.threads import Crew
from llm_testing.service.curves import MOST_FILES, CurveStore
from llm_testing.service.views import RunSummary


class Readier:
    """Has the ended runs of a list that is shown kept as numbers, one at a time, each once and no more than fit.

    Args:
        crew: in whose threads it does so; what is left when they end is left to the next process.
    """

    def __init__(self, curves: CurveStore, crew: Crew):
        self._curves, self._crew = curves, crew
        self._guard = threading.Lock()
        self._seen: set[str] = set()
        self._waiting: deque[str] = deque()
        self._works, self._left = False, MOST_FILES

    def see(self, rows: Sequence[RunSummary]) -> None:
        """Take in the runs of a list; returns at once."""
        with self._guard:
            # A run that goes on is kept when it ends.
            new = [row.run_id for row in rows if row.run_id not in self._seen and row.state not in ACTIVE]
            self._seen.update(new)
            self._waiting.extend(new)
            if self._works or not self._waiting or not self._left:
                return
            self._works = True
        self._crew.start("curves", self._work)

    def _work(self) -> None:
        while not self._crew.closing.is_set():
            with self._guard:
                if not self._waiting or not self._left:
                    self._works = False
                    return
                run_id = self._waiting.popleft()
            self._left -= self._curves.keep(run_id)
