"""The list of runs with what each was made of and what it reached."""

from contextlib import suppress
from typing import Any

from llm_testing.errors import NotFound
from llm_testing.service.records import result
from llm_testing.store.runs import RunStore

_OF_THE_RECORD = ("name", "kind", "tags", "created_at", "updated_at", "started_at", "completed_at", "config", "parent")


def listing(store: RunStore, limit: int) -> list[dict[str, Any]]:
    """The newest runs, the newest first; a damaged one gives its reason and hides no other."""
    found = []
    for row in store.rows()[:limit]:
        with suppress(NotFound):  # deleted meanwhile
            found.append(_row(store, row.run_id, row.record, row.damaged))
    return found


def _row(store: RunStore, run_id: str, record: dict | None, damaged: str | None) -> dict[str, Any]:
    if record is None:
        return {"run_id": run_id, "state": None, "config": None, "damaged": damaged}
    try:
        reached = result(store.open(run_id))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        reason = f"Its run.json has an entry that cannot be used: {error!r}."
        return {"run_id": run_id, "state": None, "config": None, "damaged": reason}
    total_steps = record["summary"].get("total_steps")
    kept = {name: record[name] for name in _OF_THE_RECORD}
    return {**kept, **reached, "total_steps": total_steps, "damaged": damaged}
