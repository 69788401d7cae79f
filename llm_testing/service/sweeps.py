"""`Lab.sweeps`: several values of up to three options, every combination of them a run that waits in the queue."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llm_testing.config.option import Options, options_of
from llm_testing.errors import ConfigError, NotFound, Problem
from llm_testing.jobs.control import Control
from llm_testing.jobs.progress import Report, report_nothing
from llm_testing.service.kinds import kind_named, name_for
from llm_testing.service.launch import Launcher, Watcher
from llm_testing.service.parents import fork_of
from llm_testing.service.records import RESULT_KEYS, new_record, result, state_of
from llm_testing.store.runs import RunStore
from llm_testing.train.events import Event

if TYPE_CHECKING:
    from llm_testing.service.lab import Lab

TAG = "sweep:"
MOST_OPTIONS = 3
MOST_RUNS = 64
LONGEST_NAME = 40
_NAME = re.compile(r"[\w.,=+-][\w .,=+-]*")
_NOT_SWEPT = ("name", "resume_from")


@dataclass(frozen=True)
class Planned:
    """What a sweep would make: a checked config, its swept values and the record, for each run."""

    name: str
    joins: int
    configs: tuple[Options, ...]
    records: tuple[dict[str, Any], ...]

    def sentences(self) -> tuple[str, ...]:
        """What will happen, for people."""
        first, last = self.records[0]["name"], self.records[-1]["name"]
        names = f"Their names go from “{first}” to “{last}”." if len(self.records) > 1 else f"It is called “{first}”."
        joins = f"{self.joins} runs carry the tag {TAG}{self.name} already; these join them." if self.joins else None
        return tuple(filter(None, (f"They train one after the other. {names}", joins)))


class Sweeps:
    """Plans, starts and sums up sweeps over a lab."""

    def __init__(self, lab: Lab, launcher: Launcher, store: RunStore):
        self._lab, self._launcher, self._store = lab, launcher, store

    def plan(
        self,
        kind: str,
        values: dict[str, Any],
        over: dict[str, list[Any]],
        *,
        mode: str = "grid",
        name: str | None = None,
        preset: str | None = None,
    ) -> Planned:
        """Check every combination, before any run is made.

        Args:
            kind: pretrain or finetune.
            values: the options that all runs share.
            over: the values of each swept option.
            mode: grid combines every value with every other, list the first with the first.
            name: of the sweep; absent it is made of its options.

        Raises:
            ConfigError: naming option and value, the first combination that each refusal was met in.
        """
        track = kind_named(kind)
        self._check_axes(options_of(track.config), over)
        combinations = _combined(over, mode)
        configs = self._configs(kind, values, combinations, preset)
        name = self._named(name, over)
        swept = list(over)
        records = tuple(
            {
                **new_record(kind, _run_name(name_for(config, self._store), found), config, None, parent),
                "tags": [TAG + name],
                "sweep": {"name": name, "options": swept},
            }
            for (config, parent), found in zip(configs, combinations, strict=True)
        )
        return Planned(name, len(self._rows_of(name)), tuple(config for config, _ in configs), records)

    def start(self, planned: Planned) -> list[str]:
        """Queue the runs of a plan; the first begins where the trainer is free. Gives their ids."""
        return self._launcher.enqueue(list(planned.records))

    def run_here(
        self,
        planned: Planned,
        on_run: Callable[[str, int, int], None],
        *,
        control: Control,
        report: Report = report_nothing,
        on_event: Callable[[Event], None] = lambda event: None,
    ) -> list[str]:
        """Queue the runs of a plan and train them here, one after the other; a stop leaves the others in the queue.

        Args:
            on_run: told of each run before it begins: its id, which one it is from 1, how many there are.
        """
        run_ids = self._launcher.enqueue(list(planned.records), begin=False)
        for place, run_id in enumerate(run_ids, start=1):
            if control.stop_mode:
                break
            on_run(run_id, place, len(run_ids))
            self._launcher.run_queued_here(run_id, Watcher(control, report, on_event))
        return run_ids

    def all(self) -> list[dict[str, Any]]:
        """Every sweep, the newest first: its options, the states of its runs, and which run is best."""
        names = dict.fromkeys(name for row in self._lab.rows() for name in _names_in(row.tags))
        return [
            {
                **{key: value for key, value in summary.items() if key != "runs"},
                "num_runs": len(summary["runs"]),
                "states": Counter(str(run["state"]) for run in summary["runs"]),
                "best": next((run["run_id"] for run in summary["runs"] if run[summary["by"]] is not None), None),
            }
            for summary in map(self.summary, names)
        ]

    def summary(self, name: str) -> dict[str, Any]:
        """The runs of a sweep as a table, the best first; those without a result yet come last.

        Returns:
            name, tag, kind, options (those that it goes over), by (the result that orders it) and runs: id, name,
            state, the values of the options and the results of each.

        Raises:
            NotFound: no run carries its tag.
        """
        run_ids = self._rows_of(name)
        if not run_ids:
            raise NotFound(f"There is no sweep {name[:80]!r}. GET /api/sweeps lists those that there are.")
        folders = [self._store.open(run_id) for run_id in run_ids]
        records = [folder.record() for folder in folders]
        options = _options_of(records)
        runs = [
            {
                **{key: reached[key] for key in RESULT_KEYS},
                "run_id": folder.run_id,
                "name": record["name"],
                "state": state_of(record),
                "error": record["error"],
                "values": {option: record["config"].get(option) for option in options},
            }
            for folder, record, reached in zip(folders, records, map(result, folders), strict=True)
        ]
        known = [run for run in runs if run["val_loss"] is not None]
        by = "val_bits_per_byte" if known and all(run["val_bits_per_byte"] is not None for run in known) else "val_loss"
        runs.sort(key=lambda run: (run[by] is None, run[by] or 0.0, run["run_id"]))
        kind = records[0]["kind"]
        return {"name": name, "tag": TAG + name, "kind": kind, "options": options, "by": by, "runs": runs}

    # Inside.

    def _check_axes(self, options: dict, over: dict[str, list[Any]]) -> None:
        if not 1 <= len(over) <= MOST_OPTIONS:
            raise ConfigError([Problem("", f"A sweep goes over 1 to {MOST_OPTIONS} options; received {len(over)}.")])
        problems = []
        for name, values in over.items():
            if name in _NOT_SWEPT or name not in options or options[name].kind in ("texts", "rows", "object"):
                near = ", ".join(n for n in ("learning_rate", "batch_size", "seed") if n in options)
                problems.append(Problem(name, f"A sweep cannot go over {name[:60]!r}. Choose an option like {near}."))
            elif not values:
                problems.append(Problem(name, f"{options[name].show.title}: give at least one value."))
            elif len({repr(value) for value in values}) < len(values):
                problems.append(Problem(name, f"{options[name].show.title}: a value was given twice."))
        if problems:
            raise ConfigError(problems)

    def _configs(
        self, kind: str, values: dict[str, Any], combinations: list[dict[str, Any]], preset: str | None
    ) -> list[tuple[Options, dict | None]]:
        """The config and parent of each combination; every different refusal is told, with where it was met first."""
        lab, found, problems = self._lab, [], {}
        check = lab.finetuning.checked if kind == "finetune" else self._checked
        for combination in combinations:
            try:
                config = check({**values, **combination}, preset)
                found.append((config, fork_of(config, self._store)))
            except ConfigError as error:
                for problem in error.problems:
                    problems.setdefault((problem.field, problem.message), combination)
        if problems:
            raise ConfigError([Problem(field, _where(field, said, at)) for (field, said), at in problems.items()])
        return found

    def _checked(self, values: dict[str, Any], preset: str | None) -> Options:
        config = self._lab.config(values, preset)
        self._launcher.check(config)
        return config

    def _named(self, name: str | None, over: dict[str, list[Any]]) -> str:
        if name:
            name = name.strip().removeprefix(TAG)
            if not _NAME.fullmatch(name) or len(name) > LONGEST_NAME:
                message = (
                    f"A sweep's name has 1 to {LONGEST_NAME} letters, digits, spaces and . , = + - _; "
                    f"received {name[:60]!r}."
                )
                raise ConfigError([Problem("tag", message)])
            return name
        base = "-".join(over)[: LONGEST_NAME - 4].rstrip("-")
        taken = {other for row in self._lab.rows() for other in _names_in(row.tags)}
        return next(n for i in itertools.count(1) if (n := base if i == 1 else f"{base}-{i}") not in taken)

    def _rows_of(self, name: str) -> list[str]:
        return [row.run_id for row in self._lab.rows() if row.usable and TAG + name in row.tags]


def _combined(over: dict[str, list[Any]], mode: str) -> list[dict[str, Any]]:
    lengths = {name: len(values) for name, values in over.items()}
    if mode == "list" and len(set(lengths.values())) > 1:
        counts = ", ".join(f"{name} has {count}" for name, count in lengths.items())
        raise ConfigError([Problem("mode", f"Side by side every option needs as many values as the others: {counts}.")])
    pairs = zip(*over.values(), strict=True) if mode == "list" else itertools.product(*over.values())
    combinations = [dict(zip(over, values, strict=True)) for values in itertools.islice(pairs, MOST_RUNS + 1)]
    if len(combinations) > MOST_RUNS:
        raise ConfigError([Problem("", f"A sweep makes at most {MOST_RUNS} runs; these values make more.")])
    return combinations


def _where(field: str, message: str, combination: dict[str, Any]) -> str:
    """A refusal with the values that it was met with, where it does not say them itself."""
    if field in combination:
        return message
    return f"{message} (With {', '.join(f'{name} {value}' for name, value in combination.items())}.)"


def _run_name(base: str, combination: dict[str, Any]) -> str:
    """ "docs-nano, learning_rate 0.001, seed 2": the values are whole, the base gives way."""
    said = "".join(f", {name} {_short(value)}" for name, value in combination.items())[-76:]
    return f"{base[: 80 - len(said)]}{said}"


def _short(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)[:24]


def _names_in(tags: tuple[str, ...]) -> list[str]:
    return [tag.removeprefix(TAG) for tag in tags if tag.startswith(TAG) and tag != TAG]


def _options_of(records: list[dict]) -> list[str]:
    """The options that a sweep was made over, also where runs were added to it later."""
    kept = [record.get("sweep") for record in records]
    named = [sweep.get("options") for sweep in kept if isinstance(sweep, dict)]
    return list(dict.fromkeys(str(name) for names in named if isinstance(names, list) for name in names))
