"""New run folders, whose ids are drawn so that the colours of runs that follow one another differ."""

from llm_testing.service.figures import colour_follows
from llm_testing.store.run_folder import RunFolder
from llm_testing.store.runs import RunStore

_SECOND_CHARS = len("20261123-101500")


class NewRuns:
    """Makes the runs of a process; two that are made at the same moment may share a colour."""

    def __init__(self, store: RunStore):
        self._store, self._made = store, ""

    def create(self, record: dict) -> RunFolder:
        """As `RunStore.create`, with the colour after that of the last run."""
        newest = self._store.newest_id() or ""
        # Ids of one second stand in no order, so what was made here last is remembered.
        before = newest if newest[:_SECOND_CHARS] > self._made[:_SECOND_CHARS] else self._made
        folder = self._store.create(record, suits=lambda run_id: not before or colour_follows(run_id, before))
        self._made = folder.run_id
        return folder
