"""Asking the list of runs: search, filters, order."""

from collections.abc import Iterable
from dataclasses import fields
from typing import Any

from llm_testing.config.history import RunsQuery
from llm_testing.errors import ConfigError, Problem
from llm_testing.service.views import RunSummary

SORTABLE = tuple(field.name for field in fields(RunSummary))
DAMAGED = "damaged"
_SEARCHED = ("run_id", "name", "notes", "model", "corpus", "dataset", "kind", "state", "config_name")


def chosen(rows: Iterable[RunSummary], query: RunsQuery) -> list[RunSummary]:
    """The rows that a query asks for, in its order.

    Raises:
        ConfigError: for a column that there is not.
    """
    found = in_order([row for row in rows if _fits(row, query)], query.sort)
    return found[: query.limit]


def in_order(rows: list[RunSummary], sort: str) -> list[RunSummary]:
    """Rows by a column; "-name" from the greatest down. Those without a value come last, equal ones the newest first.

    Raises:
        ConfigError: for a column that there is not.
    """
    column = sort.removeprefix("-")
    if column not in SORTABLE:
        raise ConfigError([Problem("sort", f"There is no column {column[:40]!r}; there are {', '.join(SORTABLE)}.")])
    newest_first = sorted(rows, key=lambda row: row.run_id, reverse=True)
    known = [row for row in newest_first if getattr(row, column) is not None]
    known.sort(key=lambda row: _key(getattr(row, column)), reverse=sort.startswith("-"))
    return known + [row for row in newest_first if getattr(row, column) is None]


def _key(value: Any) -> Any:
    return value.casefold() if isinstance(value, str) else value


def _fits(row: RunSummary, query: RunsQuery) -> bool:
    wanted = {
        "kind": query.kind,
        "starred": query.starred,
    }
    if any(value is not None and getattr(row, name) != value for name, value in wanted.items()):
        return False
    if query.archived != "all" and row.archived != (query.archived == "only"):
        return False
    if query.state is not None and not _states(row) & {word.strip() for word in query.state.split(",")}:
        return False
    if query.tag is not None and query.tag.casefold() not in {tag.casefold() for tag in row.tags}:
        return False
    if query.model is not None and query.model not in (row.model, row.config_name):
        return False
    if query.corpus is not None and query.corpus not in (row.corpus, row.dataset):
        return False
    return _found(row, query.search)


def _states(row: RunSummary) -> set[str]:
    return {row.state or DAMAGED} | ({DAMAGED} if row.damaged else set())


def _found(row: RunSummary, search: str) -> bool:
    if not search.strip():
        return True
    text = " ".join([*(str(getattr(row, name) or "") for name in _SEARCHED), *row.tags]).casefold()
    return all(word in text for word in search.casefold().split())
