"""Run History as REST calls, for runs of both kinds: listed, opened, compared, marked, many at once."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import Field
from starlette.responses import StreamingResponse

from llm_testing.api.calls import Asked, Call
from llm_testing.api.runs import attachment
from llm_testing.config.history import RunsQuery
from llm_testing.config.limits import LONGEST_NAME, LONGEST_NOTES
from llm_testing.config.option import Options, Show
from llm_testing.errors import ConfigError, Problem
from llm_testing.service.bulk import ACTIONS
from llm_testing.service.roles import check

AT = "/api/runs"
_Ids = Annotated[tuple[str, ...], Field(max_length=10_000, strict=False), Show("Runs", "Runs")]
_Tags = Annotated[tuple[str, ...], Field(max_length=100, strict=False), Show("Tags", "Runs")]


class MarkRequest(Options):
    """What people write on a run; what is left out stays as it is."""

    name: Annotated[str | None, Field(max_length=LONGEST_NAME), Show("Name", "Run")] = None
    """What to call it."""
    tags: Annotated[tuple[str, ...] | None, Field(max_length=100, strict=False), Show("Tags", "Run")] = None
    """All of its tags, in place of those it has."""
    notes: Annotated[str | None, Field(max_length=LONGEST_NOTES), Show("Notes", "Run")] = None
    """Free text; empty takes it away."""
    starred: Annotated[bool | None, Show("Star", "Run")] = None
    """Whether it has a star."""
    archived: Annotated[bool | None, Show("Archive", "Run")] = None
    """Whether the list leaves it out."""


class BulkRequest(Options):
    """One thing to do to many runs."""

    runs: _Ids = ()
    """Their ids."""
    action: Annotated[Literal[ACTIONS], Show("Action", "Runs")] = "star"
    """What to do."""
    tags: _Tags = ()
    """For tag and untag."""


class ExportQuery(Options):
    """Which runs to take along."""

    runs: Annotated[str, Field(max_length=20_000), Show("Runs", "Downloads")] = ""
    """Run ids with commas between them."""
    checkpoints: Annotated[bool, Show("Checkpoints", "Downloads")] = True
    """With the weights; without them it is small."""


class ComparedQuery(Options):
    """Which runs to compare, over what."""

    runs: Annotated[str, Field(max_length=2000), Show("Runs", "Looking")] = ""
    """Run ids with commas between them, twenty at most."""
    x: Annotated[Literal["step", "tokens", "time", "flops"], Show("Over", "Looking")] = "step"
    """What seeds of one configuration are averaged over."""


class ScatterQuery(Options):
    """An option against a result."""

    option: Annotated[str, Field(max_length=100), Show("Option", "Looking")] = "learning_rate"
    """The option of the runs along x."""
    result: Annotated[str, Field(max_length=100), Show("Result", "Looking")] = "val_loss"
    """What they reached, along y."""
    runs: Annotated[str, Field(max_length=2000), Show("Runs", "Looking")] = ""
    """Run ids with commas between them; empty takes all that are not archived."""


def list_runs(asked: Asked) -> dict[str, Any]:
    """Every run of both kinds that the query asks for; a damaged one says why and hides no other."""
    return {"runs": [asked.lab.history.shown(row) for row in asked.lab.history.runs(asked.query)]}


def open_run(asked: Asked) -> dict[str, Any]:
    """One run: its record, files, memory, how to repeat it, and what can be done with it."""
    return asked.lab.history.open(asked.path["run_id"])


def mark(asked: Asked) -> dict[str, Any]:
    """Rename a run, tag it, write notes, give it a star, put it away."""
    given = {name: list(value) if isinstance(value, tuple) else value for name, value in asked.given().items()}
    marks = {name: value for name, value in given.items() if value is not None}
    if not marks:
        raise ConfigError([Problem("", "Give at least one of name, tags, notes, starred, archived.")])
    return asked.lab.history.mark(asked.path["run_id"], marks)


def bulk(asked: Asked) -> dict[str, Any]:
    """Do one thing to many runs; those that are refused say why, the others are done."""
    action = asked.body.action
    check(asked.request, "delete" if action in ("delete", "restore") else "arrange")
    return asked.lab.history.bulk(asked.body.runs, action, asked.body.tags)


def compare(asked: Asked) -> dict[str, Any]:
    """What differs between runs, what each reached, their curves thinned, seeds as a band."""
    return asked.lab.history.compare(_ids(asked.query.runs), asked.query.x)


def scatter(asked: Asked) -> dict[str, Any]:
    """Any option against any result."""
    return asked.lab.history.scatter(asked.query.option, asked.query.result, _ids(asked.query.runs))


def coach(asked: Asked) -> dict[str, Any]:
    """What the coach has to say about a run."""
    run_id = asked.path["run_id"]
    return {"run_id": run_id, "findings": [asdict(finding) for finding in asked.lab.history.coach(run_id)]}


def export(asked: Asked) -> StreamingResponse:
    """Several runs as one zip, which imports elsewhere."""
    blocks: Iterator[bytes] = asked.lab.archive.zipped(asked.query.checkpoints, _ids(asked.query.runs))
    return attachment(blocks, "llm-testing-runs.zip", "application/zip")


def _ids(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


HISTORY = (
    Call("GET", AT, "look", list_runs, query=RunsQuery, named="list_runs"),
    Call("GET", f"{AT}/compare", "look", compare, query=ComparedQuery, named="compare_runs"),
    Call("GET", f"{AT}/scatter", "look", scatter, query=ScatterQuery, named="scatter_runs"),
    Call("GET", f"{AT}/export", "download", export, query=ExportQuery, media_type="application/zip"),
    Call("POST", f"{AT}/bulk", "arrange", bulk, body=BulkRequest, named="bulk_runs"),
    Call("GET", f"{AT}/{{run_id}}", "look", open_run, named="open_run"),
    Call("POST", f"{AT}/{{run_id}}/mark", "arrange", mark, body=MarkRequest, named="mark_run"),
    Call("GET", f"{AT}/{{run_id}}/coach", "look", coach, named="coach_run"),
)
