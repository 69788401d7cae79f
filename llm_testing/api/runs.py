"""Runs as REST calls: listed, compared, renamed, deleted and taken away."""

from typing import Any, Literal

from starlette.responses import Response, StreamingResponse

from llm_testing.api.bodies import CompareQuery, ListQuery, RenameRequest, ZipQuery
from llm_testing.api.calls import Asked, Call
from llm_testing.api.earlier import RunDetails, RunRow, run_details, run_row
from llm_testing.api.uploads import received
from llm_testing.errors import ConfigError, Problem
from llm_testing.service.archive import Restored

AT = "/api/pretraining"
MOST_COMPARED = 20


def list_runs(asked: Asked) -> list[dict[str, Any]]:
    """The newest runs, the newest first; a damaged one says why."""
    return [run_row(row) for row in asked.lab.listing(asked.query.limit)]


def show_run(asked: Asked) -> dict[str, Any]:
    """Everything about one run: options, results, curves, sample texts, checkpoints."""
    return run_details(asked.lab, asked.path["run_id"])


def compare(asked: Asked) -> dict[str, Any]:
    """Which options differ between runs, and what each reached."""
    run_ids = [run_id for run_id in asked.query.runs.split(",") if run_id]
    if not 1 <= len(run_ids) <= MOST_COMPARED:
        raise ConfigError([Problem("runs", f"Name 1 to {MOST_COMPARED} runs, with commas between them.")])
    return asked.lab.compare(run_ids)


def rename(asked: Asked) -> dict[str, Any]:
    """Give a run another name."""
    asked.lab.rename(asked.path["run_id"], asked.body.name)
    return {"success": True, "run_id": asked.path["run_id"], "name": asked.body.name}


def delete(asked: Asked) -> dict[str, Any]:
    """Move a run to the trash, from where it can be restored."""
    asked.lab.trash(asked.path["run_id"])
    return {"success": True, "run_id": asked.path["run_id"], "message": "It is in the trash."}


def restore(asked: Asked) -> dict[str, Any]:
    """Bring a run back from the trash."""
    asked.lab.restore(asked.path["run_id"])
    return {"success": True, "run_id": asked.path["run_id"]}


def trash(asked: Asked) -> dict[str, Any]:
    """The runs in the trash."""
    rows = asked.lab.trashed()
    return {"runs": [{"run_id": row.run_id, "name": row.name, "damaged": row.damaged} for row in rows]}


def empty_trash(asked: Asked) -> dict[str, Any]:
    """Remove what is in the trash for good."""
    num_runs, num_bytes = asked.lab.empty_trash()
    return {"deleted_count": num_runs, "deleted_bytes": num_bytes}


def download(asked: Asked) -> StreamingResponse:
    """A run's folder as a zip."""
    run_id = asked.path["run_id"]
    blocks = asked.lab.history.zipped(run_id, asked.query.checkpoints)
    return attachment(blocks, f"{run_id}.zip", "application/zip")


def download_all(asked: Asked) -> StreamingResponse:
    """Every run as one zip, which the call below takes back."""
    return attachment(asked.lab.archive.zipped(asked.query.checkpoints), "llm-testing-runs.zip", "application/zip")


async def restore_all(asked: Asked) -> Restored | Response:
    """Bring runs back from a zip, which is the body; runs that are here already stay as they are."""
    return await received(asked.request, asked.lab.archive.receive())


def metrics_table(asked: Asked) -> StreamingResponse:
    """A run's curves as CSV."""
    return _table(asked, "metrics")


def samples_table(asked: Asked) -> StreamingResponse:
    """A run's sample texts as CSV."""
    return _table(asked, "samples")


def _table(asked: Asked, name: Literal["metrics", "samples"]) -> StreamingResponse:
    """A table; CSV has no place for words, so a header says what of the run is damaged and an empty cell here."""
    run_id, history = asked.path["run_id"], asked.lab.history
    answer = attachment(history.table(run_id, name), f"{run_id}-{name}.csv", "text/csv; charset=utf-8")
    if damaged := history.damage(run_id).in_words():
        answer.headers["x-damaged"] = ascii(damaged)[1:-1]
    return answer


def attachment(blocks: Any, name: str, media_type: str) -> StreamingResponse:
    """Blocks as a file that a browser saves."""
    headers = {"content-disposition": f'attachment; filename="{name}"', "cache-control": "no-store"}
    return StreamingResponse(blocks, media_type=media_type, headers=headers)


_RUN = f"{AT}/runs/{{run_id}}"
RUNS = (
    Call("GET", f"{AT}/runs", "look", list_runs, named="runs", query=ListQuery, answer=list[RunRow]),
    Call("GET", f"{AT}/compare", "look", compare, named="compare", query=CompareQuery),
    Call("GET", _RUN, "look", show_run, named="run", answer=RunDetails),
    Call("DELETE", _RUN, "delete", delete, named="delete_run"),
    Call("POST", f"{_RUN}/rename", "arrange", rename, named="rename_run", body=RenameRequest),
    Call("POST", f"{_RUN}/restore", "delete", restore, named="restore_run"),
    Call("GET", f"{AT}/trash", "look", trash, named="trash"),
    Call("DELETE", f"{AT}/trash", "delete", empty_trash, named="empty_trash"),
    Call("GET", f"{AT}/archive", "download", download_all, query=ZipQuery, media_type="application/zip"),
    Call("POST", f"{AT}/archive", "upload", restore_all, answer=Restored, streams=True),
    Call("GET", f"{_RUN}/download", "download", download, query=ZipQuery, media_type="application/zip"),
    Call("GET", f"{_RUN}/metrics.csv", "download", metrics_table, media_type="text/csv"),
    Call("GET", f"{_RUN}/samples.csv", "download", samples_table, media_type="text/csv"),
)
