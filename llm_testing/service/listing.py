"""The list of runs with what each was made of and what it reached."""

from contextlib import suppress
from typing import Any

from llm_testing.errors import NotFound
from llm_testing.service.records import looked_at, result_of
from llm_testing.store.rows import RunRow
from llm_testing.store.runs import RunStore

_OF_THE_RECORD = ("name", "kind", "tags", "created_at", "updated_at", "started_at", "completed_at", "config", "parent")


def listing(store: RunStore, limit: int) -> list[dict[str, Any]]:
    """The newest runs, the newest first; a damaged one gives its reason and hides no other."""
    found = []
    for row in store.rows()[:limit]:
        with suppress(NotFound):  # deleted meanwhile
            found.append(_row(store, row))
    return found


def _row(store: RunStore, row: RunRow) -> dict[str, Any]:
    record = row.record
    if record is None:
        return {"run_id": row.run_id, "state": None, "config": None, "damaged": row.damaged}
    last, damage = looked_at(store.open(row.run_id), record)
    total_steps = record["summary"].get("total_steps")
    kept = {name: record[name] for name in _OF_THE_RECORD}
    damaged = damage.in_words() if row.usable else row.damaged
    return {**kept, **result_of(record, last), "total_steps": total_steps, "damaged": damaged}
