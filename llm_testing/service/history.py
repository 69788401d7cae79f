"""`Lab.history`: what came of all runs. The list and its marks, one run opened, runs compared, the coach."""

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from llm_testing.config.history import RunsQuery
from llm_testing.errors import ConfigError, DamagedRun, Problem
from llm_testing.jobs.machine import usable_memory_bytes
from llm_testing.jobs.threads import Crew
from llm_testing.service import downloads
from llm_testing.service import opened as opened_module
from llm_testing.service.bulk import done_to_all
from llm_testing.service.coach import Finding, Seen, findings
from llm_testing.service.comparing import MOST_COMPARED, X_AXES, compared, compared_settings, texts_by_step
from llm_testing.service.curves import CurveStore, columns_of, thinned, within
from llm_testing.service.figures import colour_of
from llm_testing.service.index import RunIndex
from llm_testing.service.launch import Launcher
from llm_testing.service.marks import MARKS, checked_marks, normal_tags
from llm_testing.service.query import chosen
from llm_testing.service.reader import Reader
from llm_testing.service.readier import Readier
from llm_testing.service.records import damage_of, state_of
from llm_testing.service.retention import forked_steps
from llm_testing.service.scatter import scattered
from llm_testing.service.views import RunSummary
from llm_testing.store.damage import Damage
from llm_testing.store.ids import check_run_id
from llm_testing.store.runs import RunStore

MOST_POINTS = 1200
MOST_SCATTERED = 5000


class History:
    """The runs of a store as something to look through and to arrange; threads may share it.

    Args:
        trash: moves a run to the trash, unless it is needed.
        crew: in whose threads curves are made ready.
    """

    def __init__(
        self,
        store: RunStore,
        reader: Reader,
        launcher: Launcher,
        cache_dir: Path,
        trash: Callable[[str], None],
        crew: Crew,
    ):
        self._store, self._reader, self._launcher, self._trash = store, reader, launcher, trash
        self._index, self.curves = RunIndex(store), CurveStore(store, cache_dir)
        self._readier = Readier(self.curves, crew)

    # The list.

    def all_rows(self) -> list[RunSummary]:
        """Every run folder, the newest first; a damaged one says why and hides no other."""
        return self._index.rows()

    def runs(self, query: RunsQuery | None = None) -> list[RunSummary]:
        """The runs that a query asks for, in its order; without one all that are not archived, the newest first.

        Raises:
            ConfigError: for a column to sort by that there is not.
        """
        return chosen(self._index.rows(), query or RunsQuery())

    def make_ready(self, rows: Sequence[RunSummary]) -> None:
        """Have the curves of what somebody sees listed read in the background: they may compare it next."""
        self._readier.see(rows)

    def facets(self) -> dict[str, Any]:
        """What there is to filter by: {kinds, states, tags, models, corpora}, each as [[value, how many], ...]."""
        found: dict[str, dict[str, int]] = {name: {} for name in ("kinds", "states", "tags", "models", "corpora")}
        for row in self._index.rows():
            values = (
                ("kinds", row.kind), ("states", row.state or "damaged"), ("models", row.model),
                ("corpora", row.corpus or row.dataset), *(("tags", tag) for tag in row.tags),
            )  # fmt: skip
            for name, value in values:
                if value:
                    found[name][value] = found[name].get(value, 0) + 1
        return {name: sorted(counts.items(), key=lambda item: (-item[1], item[0])) for name, counts in found.items()}

    def changes(self) -> int:
        """How often this process has changed something here: while it is the same, an answer is as good as a new one,
        but for what other processes do and for points that a run writes."""
        return self._store.changes.count

    def is_here(self, run_id: str) -> bool:
        """Whether there is such a run."""
        return self._store.has(run_id)

    # Taking away.

    def zipped(self, run_id: str, with_checkpoints: bool = True) -> Iterator[bytes]:
        """A run's folder as a zip, in pieces."""
        return downloads.zip_of([self._store.open(run_id)], with_checkpoints)

    def table(self, run_id: str, name: Literal["metrics", "samples"]) -> Iterator[bytes]:
        """A run's curves or sample texts as CSV, in pieces."""
        return downloads.csv_of(self._reader.after(run_id, name, -1).rows, downloads.COLUMNS[name])

    # Marks.

    def mark(self, run_id: str, marks: dict[str, Any]) -> dict[str, Any]:
        """Change what people write on a run, in one step.

        Args:
            marks: some of name, tags, notes, starred, archived.

        Returns:
            {run_id, name, tags, notes, starred, archived} as they are now.

        Raises:
            ConfigError: naming each that was refused.
            DamagedRun: for a run that this version must not change.
        """
        record = self._store.open(run_id).update(**checked_marks(marks))
        return {"run_id": run_id, **{name: record[name] for name in MARKS}}

    def tag(self, run_id: str, add: Sequence[str] = (), remove: Sequence[str] = ()) -> dict[str, Any]:
        """Add tags to a run and take others off, whatever their case."""
        folder = self._store.open(run_id)
        gone = {tag.casefold() for tag in normal_tags(remove)}
        kept = [tag for tag in folder.record()["tags"] if tag.casefold() not in gone]
        return self.mark(run_id, {"tags": [*kept, *add]})

    def bulk(self, run_ids: Sequence[str], action: str, tags: Sequence[str] = ()) -> dict[str, Any]:
        """Do one of `bulk.ACTIONS` to many runs; each by itself, so that one that is refused costs no other.

        Returns:
            {"done": [run_id], "refused": {run_id: reason}, "bytes": of what was deleted or restored}.

        Raises:
            ConfigError: for an action that there is not, no runs, too many, and no tags where they are needed.
        """
        acts: dict[str, Callable[[str], Any]] = {
            "star": lambda run_id: self.mark(run_id, {"starred": True}),
            "unstar": lambda run_id: self.mark(run_id, {"starred": False}),
            "archive": lambda run_id: self.mark(run_id, {"archived": True}),
            "unarchive": lambda run_id: self.mark(run_id, {"archived": False}),
            "tag": lambda run_id: self.tag(run_id, add=tags),
            "untag": lambda run_id: self.tag(run_id, remove=tags),
            "delete": self._trash,
            "restore": self._store.restore,
        }
        size = self._store.trashed_bytes if action == "delete" else self._store.size_bytes
        return done_to_all(acts, run_ids, action, tags, size)

    # One run.

    def details(self, run_id: str) -> dict[str, Any]:
        """A run's record, state and checkpoints; damaged is a sentence about all of its files, damage the places."""
        damage = self.damage(run_id)
        found = self._reader.details(run_id)
        return {**found, "damaged": damage.in_words(), "damage": damage.as_record() if damage else None}

    def damage(self, run_id: str) -> Damage:
        """Everything that is damaged in a run's record, manifests and journals.

        Raises:
            NotFound, DamagedRun: where nothing of the run can be read.
        """
        folder = self._store.open(run_id)
        parts = [info.wrong for info in folder.checkpoints.list()]
        try:
            parts.append(self.curves.of(run_id).damage)
        except DamagedRun:
            parts.append(Damage())
            parts[-1].wrong(folder.metrics.name, None, "", None, "a file that can be read")
        parts += [self._reader.damage(run_id, name) for name in ("samples", "events")]
        parts.append(self._reader.left_out(run_id, "metrics"))
        return damage_of(folder.record()).with_others(parts)

    def open(self, run_id: str) -> dict[str, Any]:
        """Everything about a run but its curves and texts; keys as `service.opened.opened` says.

        Raises:
            NotFound, DamagedRun: with the reason.
        """
        active = self._launcher.active()
        return opened_module.opened(
            self._store.open(run_id),
            self.details(run_id),
            active.folder.run_id if active else None,
            forked_steps(self._store, run_id),
            self._launcher.queue.ids(),
        )

    def points(
        self,
        run_id: str,
        after: int = -1,
        x: str = "step",
        from_x: float | None = None,
        to_x: float | None = None,
        most: int = MOST_POINTS,
    ) -> dict[str, Any]:
        """A run's curves as columns, thinned so that every stretch keeps its least and greatest values.

        Args:
            after: a cursor, the `next` of the last answer; -1 gives everything.
            x, from_x, to_x: only the stretch of step, tokens or time (seconds) between two values, with one point more
                at either side: zooming in asks for it, and sees every spike that lies there.

        Returns:
            {run, from, next, rewound_to, thinned, columns: {step, train_loss, ...}}.
        """
        curve = self.curves.of(run_id)
        rows = within(curve.after(after), curve.names, x, from_x, to_x)
        shown = thinned(rows, curve.names, most)
        return {
            "run": run_id,
            "from": after,
            "next": curve.next_n,
            "rewound_to": curve.rewound_to(after) if after >= 0 else None,
            "thinned": len(shown) < len(rows),
            "damaged_lines": curve.num_damaged,
            "columns": columns_of(shown, curve.names),
        }

    def coach(self, run_id: str) -> list[Finding]:
        """What the coach has to say about a run, live or ended; problems first."""
        folder = self._store.open(run_id)
        record = folder.record()
        device = record["environment"]
        limit = device.get("device_memory_bytes")
        if limit is None and record["state"] in ("running", "paused") and device.get("device") == "cpu":
            limit = usable_memory_bytes().total_bytes
        steps = tuple(info.step for info in folder.checkpoints.list() if info.damaged is None)
        seen = Seen(self.curves.of(run_id), {**record, "state": state_of(record)}, limit, steps)
        return findings(seen)

    # Several.

    def compare(self, run_ids: Sequence[str], x: str = "step", known: Collection[str] = ()) -> dict[str, Any]:
        """Several runs side by side; keys as `service.comparing.compared` says, and damaged: {run_id: sentence}.

        Args:
            known: runs whose curves are left out of the answer.

        Raises:
            ConfigError: for no run or too many, and for an x that there is not.
            NotFound, DamagedRun: naming the run.
        """
        if x not in X_AXES:
            raise ConfigError([Problem("x", f"x is one of {', '.join(X_AXES)}; received {x[:40]!r}.")])
        folders = [self._store.open(run_id) for run_id in _named(run_ids)]
        damaged = {folder.run_id: self.damage(folder.run_id).in_words() for folder in folders}
        return {**compared(folders, self.curves, x, known), "damaged": damaged}

    def compare_settings(self, run_ids: Sequence[str]) -> dict[str, Any]:
        """What differs between runs' options and what each reached, without their curves."""
        return compared_settings([self._store.open(run_id) for run_id in run_ids])

    def side_by_side(self, run_ids: Sequence[str]) -> dict[str, Any]:
        """The sample texts of several runs by prompt and step."""
        return texts_by_step({run_id: self._reader.after(run_id, "samples", -1).rows for run_id in _named(run_ids)})

    def scatter(self, option: str, result: str, run_ids: Sequence[str] = ()) -> dict[str, Any]:
        """Any option against any result, over some runs or, where none is named, over all that are not archived."""
        wanted = set(_named(run_ids)) if run_ids else None
        records = {row.run_id: row.record for row in self._store.rows() if row.record and row.usable}
        lines = [line for line in self.runs(RunsQuery(archived="all" if wanted else "no")) if line.usable]
        picked = [line for line in lines if line.run_id in records and (wanted is None or line.run_id in wanted)]
        return scattered([(line, records[line.run_id]) for line in picked[:MOST_SCATTERED]], option, result)

    def shown(self, row: RunSummary) -> dict[str, Any]:
        """A line of the list with the run's colour."""
        return {**asdict(row), "colour": colour_of(row.run_id)}


def _named(run_ids: Sequence[str]) -> list[str]:
    """Run ids that may be compared, each once.

    Raises:
        ConfigError: for none or too many.
        BadRunId: for what cannot be one.
    """
    found = list(dict.fromkeys(check_run_id(run_id) for run_id in run_ids if run_id))
    if not 1 <= len(found) <= MOST_COMPARED:
        raise ConfigError([Problem("runs", f"Name 1 to {MOST_COMPARED} runs, with commas between them.")])
    return found
