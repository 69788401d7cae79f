"""Runs to take along as REST calls: as an HTML page, as TensorBoard's event files."""

from typing import Annotated

from pydantic import Field
from starlette.responses import StreamingResponse

from llm_testing.api.bodies import CompareQuery
from llm_testing.api.calls import Asked, Call
from llm_testing.api.runs import MOST_COMPARED, attachment
from llm_testing.config.option import Options, Show
from llm_testing.errors import ConfigError, Problem
from llm_testing.service.roles import may

HTML, ZIP = "text/html", "application/zip"


class RunsQuery(Options):
    """Which runs are taken along."""

    runs: Annotated[str, Field(min_length=1, max_length=30_000), Show("Runs", "Downloads")] = ""
    """Run ids with commas between them."""


def report(asked: Asked) -> StreamingResponse:
    """A run as one HTML page that opens without a network: settings, results, charts, texts, events."""
    run_id = asked.path["run_id"]
    return _page(asked, [run_id], f"{run_id}.html")


def compare_report(asked: Asked) -> StreamingResponse:
    """Several runs compared, as one HTML page that opens without a network."""
    run_ids = _named(asked)
    if len(run_ids) > MOST_COMPARED:
        raise ConfigError([Problem("runs", f"Name 1 to {MOST_COMPARED} runs; received {len(run_ids)}.")])
    return _page(asked, run_ids, f"compare-{run_ids[0]}.html")


def tensorboard(asked: Asked) -> StreamingResponse:
    """A run's curves, texts and settings as TensorBoard's event file, in a zip."""
    run_id = asked.path["run_id"]
    return attachment(asked.lab.reports.tensorboard([run_id]), f"{run_id}-tensorboard.zip", ZIP)


def tensorboards(asked: Asked) -> StreamingResponse:
    """Several runs as TensorBoard's event files, in a zip: unpack it and point --logdir at the folder."""
    return attachment(asked.lab.reports.tensorboard(_named(asked)), "llm-testing-tensorboard.zip", ZIP)


def _page(asked: Asked, run_ids: list[str], name: str) -> StreamingResponse:
    pieces = asked.lab.reports.page(run_ids, hide_paths=not may(asked.request, "paths"))
    return attachment(pieces, name, f"{HTML}; charset=utf-8")


def _named(asked: Asked) -> list[str]:
    run_ids = list(dict.fromkeys(run_id for run_id in asked.query.runs.split(",") if run_id))
    if not run_ids:
        raise ConfigError([Problem("runs", "Name at least one run; several have commas between them.")])
    return run_ids


REPORTS = (
    Call("GET", "/api/compare/report", "download", compare_report, query=CompareQuery, media_type=HTML),
    Call("GET", "/api/runs/tensorboard", "download", tensorboards, query=RunsQuery, media_type=ZIP),
    Call("GET", "/api/runs/{run_id}/report", "download", report, media_type=HTML),
    Call("GET", "/api/runs/{run_id}/tensorboard", "download", tensorboard, media_type=ZIP),
)
