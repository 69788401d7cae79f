"""A REST call as data: its address, who may make it, what it takes and answers. Routes, guard and OpenAPI read it.

Every call goes the same way: who asks is checked first, then query and body are read strictly, then the service acts
in a worker thread. Whatever a user can do wrong is answered with a status and a sentence.
"""

import asyncio
import inspect
import re
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from llm_testing.api.body import Receive, Scope, Send
from llm_testing.api.live import answer_of, plain
from llm_testing.api.turnstile import share_of
from llm_testing.config.option import Options, options_of
from llm_testing.config.text import parse_texts
from llm_testing.errors import BadRunId, ConfigError, NotAllowed, NotFound, Problem, TooMany, UserError, WrongState
from llm_testing.service.budgets import Kind
from llm_testing.service.discreet import discreet
from llm_testing.service.lab import Lab
from llm_testing.service.roles import ACTIONS, check, may
from llm_testing.store.strict_json import parse_json


class Nothing(Options):
    """A query or body that takes nothing."""


@dataclass(frozen=True)
class Asked:
    """One call as its function gets it.

    Args:
        path: what stands in the address.
        query, body: checked values; what was left out has its default.
        kind: of run that the call is about, as run.json calls it.
    """

    lab: Lab
    request: Request
    path: dict[str, str]
    query: Any
    body: Any
    kind: str = "pretrain"

    def given(self) -> dict[str, Any]:
        """The body's values that were really given; null counts as not given."""
        return {name: getattr(self.body, name) for name in self.body.model_fields_set}


@dataclass(frozen=True)
class Call:
    """One REST call.

    Args:
        needs: an action of service.roles.ACTIONS, or "" for what checks by itself.
        run: does it; its docstring is the description. A coroutine function runs in the event loop.
        answer: the type of the answer, for OpenAPI.
        names: the options of the body that are offered; None offers all.
        alone: one at a time, since it computes.
        streams: the body is the call's own to read, piece by piece; it may be as large as the gate lets in.
        before: refuses an asker whom `needs` alone lets pass, before the body is read.
        named: its name among the endpoints of Gradio's clients, or "" for none.
        kind: of run that it is about where no run is named: pretrain or finetune.
    """

    method: str
    address: str
    needs: str
    run: Callable[[Asked], Any]
    query: type[Options] = Nothing
    body: type[Options] = Nothing
    answer: Any = dict
    names: Callable[[], Iterable[str]] | None = None
    alone: bool = False
    media_type: str = "application/json"
    streams: bool = False
    before: Callable[[Request], None] | None = None
    named: str = ""
    kind: str = "pretrain"

    def __post_init__(self):
        if self.needs not in ACTIONS and self.needs != "anything":
            raise ValueError(f"{self.method} {self.address} needs {self.needs!r}, which is no action.")

    @property
    def takes(self) -> Kind | None:
        """Of which share of its asker's it needs one until its last byte is sent, instead of a turn; None for none."""
        if self.streams:
            return Kind.UPLOADS
        if self.media_type == EVENT_STREAM:
            return Kind.STREAMS
        return Kind.DOWNLOADS if self.needs == "download" and self.media_type != "application/json" else None


EVENT_STREAM = "text/event-stream"
_IN_PATH = re.compile(r"\{(\w+)(?::\w+)?\}")


def in_path(call: Call) -> list[str]:
    """The names of what stands in a call's address."""
    return _IN_PATH.findall(call.address)


ANYTHING = "anything"
"""For calls that tell nothing and change nothing, or check by themselves what they need."""


@dataclass
class Calls:
    """The routes of a table of calls over one lab."""

    lab: Lab
    table: tuple[Call, ...]
    one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)

    def routes(self) -> list[Route]:
        """A route for each call, in the order of the table."""
        return [Route(call.address, _Endpoint(self, call), methods=[call.method]) for call in self.table]

    async def answer(self, call: Call, request: Request, share: ExitStack) -> Response:
        """A call's answer, or a refusal of it; what it takes is given back when `share` ends."""
        try:
            if call.needs != ANYTHING:
                check(request, call.needs)
            if call.before:
                call.before(request)
            if call.takes:
                share.enter_context(share_of(request, call.takes))
            query, body = query_of(request, call), await body_of(request, call)
            return await self._answer(call, Asked(self.lab, request, dict(request.path_params), query, body, call.kind))
        except UserError as error:
            return refusal(error, request, self.lab)

    async def _answer(self, call: Call, asked: Asked) -> Response:
        if inspect.iscoroutinefunction(call.run):
            answer = await call.run(asked)
        elif call.alone:
            async with self.one_at_a_time:
                answer = await run_in_threadpool(call.run, asked)
        else:
            answer = await run_in_threadpool(call.run, asked)
        if isinstance(answer, Response):
            return answer
        body = await run_in_threadpool(lambda: answer_of(shown_to(asked.request, answer, self.lab)).body)
        return Response(body, media_type="application/json", headers={"cache-control": "no-store"})


@dataclass(frozen=True)
class _Endpoint:
    """A call as an ASGI app: what it takes is held until its answer is sent, or its reader has gone."""

    calls: Calls
    call: Call

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with ExitStack() as share:
            response = await self.calls.answer(self.call, Request(scope, receive, send), share)
            await response(scope, receive, send)


def shown_to(request: Request, answer: Any, lab: Lab) -> Any:
    """An answer without this machine's paths, for those who may not see them."""
    if may(request, "paths"):
        return answer
    return discreet(plain(answer), lab.private_roots())


def query_of(request: Request, call: Call) -> Options:
    """The query's values, parsed to their types first."""
    options = options_of(call.query)
    return call.query.build(parse_texts(options, _grouped(request.query_params.multi_items())))


def _grouped(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Pairs by name; a name that comes twice would hide one of its values.

    Raises:
        ConfigError: naming it.
    """
    pairs, names = list(pairs), [name for name, _ in pairs]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ConfigError([Problem(name, f"{name} was given more than once.") for name in twice])
    return pairs


async def body_of(request: Request, call: Call) -> Options:
    """The body's values: a JSON object, or nothing at all."""
    if call.streams:
        return call.body.build({})
    data = await request.body()
    if not data.strip():
        return call.body.build({})
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise ConfigError([Problem("", f"A body is application/json; received {kind[:60] or 'no content type'!r}.")])
    try:
        values = parse_json(data)
    except ValueError as error:
        raise ConfigError([Problem("", f"The body cannot be read: {error}.")]) from None
    return call.body.build(values)


def refusal(error: UserError, request: Request, lab: Lab) -> Response:
    """What a user's error is answered with; `detail` is the sentence, as earlier clients expect."""
    answer: dict[str, Any] = {"detail": str(error)}
    if isinstance(error, ConfigError):
        answer["errors"] = [{"field": problem.field, "message": problem.message} for problem in error.problems]
    if isinstance(error, WrongState):
        answer |= {"run_id": error.run_id, "phase": error.state}
    headers = {"cache-control": "no-store"}
    status = status_of(error)
    if status == 401:
        headers["www-authenticate"] = "Bearer"
    if isinstance(error, TooMany):
        headers["retry-after"] = str(error.retry_after_s)
    return Response(answer_of(shown_to(request, answer, lab)).body, status, headers, "application/json")


def status_of(error: UserError) -> int:
    """The HTTP status of a user's error."""
    if isinstance(error, NotAllowed):
        return 401 if error.unknown else 403
    kinds = ((BadRunId, 400), (NotFound, 404), (WrongState, 409), (TooMany, 429))
    return next((status for kind, status in kinds if isinstance(error, kind)), 422)
