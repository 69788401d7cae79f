"""What Run History reads while it is open: the list, one run, runs compared, the coach; as ready-made bytes."""

from collections.abc import Callable
from typing import Any

from starlette.requests import Request

from llm_testing.api.live import FRESH_S, LIST_FRESH_S, Answer, LiveRoutes
from llm_testing.config.history import RunsQuery
from llm_testing.config.option import options_of
from llm_testing.config.text import parse_texts

COMPARED_FRESH_S = 5.0
"""Comparing reads every run's whole curve; what is live comes by /live/points."""


class HistoryRoutes(LiveRoutes):
    """More read-only routes under /live."""

    def table(self) -> dict[str, Callable[[Request], Any]]:
        """The handlers by name."""
        return {
            "runs": self.runs,
            "facets": self.facets,
            "run": self.run,
            "coach": self.coach,
            "compare": self.compare,
            "side_by_side": self.side_by_side,
            "scatter": self.scatter,
        }

    async def runs(self, request: Request) -> Answer:
        """{"runs": [...]}: the list with every key of `service.views.RunSummary` and the colour; damaged runs say why.

        Without a query all that are not archived, the newest first; the query is `config.history.RunsQuery`: search,
        kind, state, tag, model, corpus, starred, archived (no, only, all), sort (-column from the greatest), limit.
        """
        query = RunsQuery.build(parse_texts(options_of(RunsQuery), request.query_params.multi_items()))
        return await self._kept(("runs", query), LIST_FRESH_S, lambda: self._runs(query))

    async def facets(self, request: Request) -> Answer:
        """What there is to filter by, with counts: {kinds, states, tags, models, corpora}: [[value, number], ...]."""
        return await self._kept(("facets",), LIST_FRESH_S, self.lab.history.facets)

    async def run(self, request: Request) -> Answer:
        """`?run=`: one run opened: its record, files, memory, repeat (cli, yaml, python), actions with reasons."""
        run_id = request.query_params.get("run", "")
        return await self._kept(("run", run_id), FRESH_S, lambda: self.lab.history.open(run_id))

    async def coach(self, request: Request) -> Answer:
        """`?run=`: {"findings": [{rule, severity, series, from_step, to_step, regions, title, why, action, label,
        changes, step}]}, problems first."""
        run_id = request.query_params.get("run", "")
        return await self._kept(
            ("coach", run_id), COMPARED_FRESH_S, lambda: {"run": run_id, "findings": self.lab.history.coach(run_id)}
        )

    async def compare(self, request: Request) -> Answer:
        """`?runs=a,b,...&x=step|tokens|time|flops`: as `service.comparing.compared` says.

        `&known=a,b,...` leaves out the curves of those runs, which who asks has already.
        """
        run_ids, x = _run_ids(request), request.query_params.get("x", "step")
        known = frozenset(_run_ids(request, "known"))
        question = ("compare", x, known, *run_ids)
        return await self._kept(question, COMPARED_FRESH_S, lambda: self.lab.history.compare(run_ids, x, known))

    async def side_by_side(self, request: Request) -> Answer:
        """`?runs=a,b`: {"prompts": [{prompt, steps: [{step, texts: {run_id: text}}]}]}."""
        run_ids = _run_ids(request)
        question = ("side_by_side", *run_ids)
        return await self._kept(question, COMPARED_FRESH_S, lambda: self.lab.history.side_by_side(run_ids))

    async def scatter(self, request: Request) -> Answer:
        """`?option=learning_rate&result=val_loss[&runs=a,b]`: as `service.scatter.scattered` says."""
        option, result = (request.query_params.get(name, "") for name in ("option", "result"))
        option, result, run_ids = option or "learning_rate", result or "val_loss", _run_ids(request)
        return await self._kept(
            ("scatter", option, result, *run_ids),
            COMPARED_FRESH_S,
            lambda: self.lab.history.scatter(option, result, run_ids),
        )

    async def _kept(self, question: tuple, fresh_s: float, make: Callable[[], Any]) -> Answer:
        """A page asks again after what it has done, and is told the new state whatever was kept just before."""
        return await self.answers.get((*question, self.lab.history.changes()), fresh_s, make)

    def _runs(self, query: RunsQuery) -> dict[str, Any]:
        history = self.lab.history
        rows = history.runs(query)
        history.make_ready(rows)
        return {"runs": [history.shown(row) for row in rows]}


def _run_ids(request: Request, name: str = "runs") -> tuple[str, ...]:
    return tuple(part for part in request.query_params.get(name, "")[:2000].split(",") if part)[:50]
