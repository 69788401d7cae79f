"""`Lab.reports`: runs to take along as one HTML page, or as TensorBoard's event files."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from llm_testing.errors import ConfigError
from llm_testing.service.copies import copies
from llm_testing.service.discreet import discreet
from llm_testing.service.downloads import Pipe
from llm_testing.service.kinds import config_of
from llm_testing.service.report import report_page
from llm_testing.service.tensorboard import event_file
from llm_testing.store.runs import RunStore

if TYPE_CHECKING:
    from llm_testing.service.lab import Lab

_TENSORBOARD_FILE = "events.out.tfevents.0000000000.llm-testing"
MOST_POINTS = 3000


class Reports:
    """Makes what leaves; everything in pieces, never held whole."""

    def __init__(self, lab: Lab, store: RunStore):
        self._lab, self._store = lab, store

    def page(self, run_ids: list[str], hide_paths: bool = False) -> Iterator[bytes]:
        """A run, or a comparison of several, as one HTML page.

        Args:
            hide_paths: leave out where things lie on this machine.

        Raises:
            NotFound, DamagedRun: before the first piece.
        """
        facts = {"runs": [self._facts(run_id) for run_id in run_ids], "compared": self._lab.compare(run_ids)}
        if hide_paths:
            facts = discreet(facts, self._lab.private_roots())
        return report_page(facts["runs"], facts["compared"]["differing"])

    def tensorboard(self, run_ids: list[str]) -> Iterator[bytes]:
        """Runs as event files, each in a folder of its id, as a zip.

        Raises:
            NotFound, DamagedRun: before the first piece.
        """
        return self._tensorboard_zip([(run_id, self.events(run_id)) for run_id in run_ids])

    def events(self, run_id: str) -> Iterator[bytes]:
        """A run's TensorBoard event file."""
        record = self._store.open(run_id).record()
        damaged = self._lab.history.damage(run_id).in_words()
        return event_file(record, self._lab.points(run_id).rows, self._lab.samples(run_id).rows, damaged)

    def _tensorboard_zip(self, files: list[tuple[str, Iterator[bytes]]]) -> Iterator[bytes]:
        pipe = Pipe()
        with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
            for run_id, blocks in files:
                with archive.open(f"{run_id}/{_TENSORBOARD_FILE}", "w", force_zip64=True) as entry:
                    for block in blocks:
                        entry.write(block)
                        yield pipe.taken()
        yield pipe.taken()

    def _facts(self, run_id: str) -> dict[str, Any]:
        record = self._lab.details(run_id)
        try:
            command = copies(config_of(record))["cli"]
        except ConfigError as error:
            command = f"It cannot be repeated by this version: {error}"
        return {
            "run_id": run_id,
            "record": record,
            "damaged": record["damaged"],
            "result": self._lab.result(run_id),
            "columns": self._lab.history.points(run_id, most=MOST_POINTS)["columns"],
            "samples": self._lab.samples(run_id).rows,
            "events": self._lab.events(run_id).rows,
            "command": command,
            # Beside the command, so that an own file's path in it is known as one.
            "config": record["config"],
        }
