"""What the page's own script reads: live numbers, curves by cursor, texts and the list of runs, as ready-made bytes.

All of these only look. Bytes are made once per version of what they show and then handed to every viewer, so that
fifty open tabs cost the trainer no more than one. Reading files happens in worker threads, never in the event loop.
"""

import asyncio
import json
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import asdict, dataclass, is_dataclass
from hashlib import sha256
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from llm_testing.errors import BadRunId, NotAllowed, NotFound, UserError
from llm_testing.service.discreet import discreet
from llm_testing.service.figures import PANELS, X_AXES, colour_of
from llm_testing.service.lab import Lab
from llm_testing.service.records import EXAMPLE
from llm_testing.service.roles import check, may
from llm_testing.service.views import Live

MOST_TEXTS = 400
FRESH_S = 0.25
"""A trainer may report a thousand times a second; a viewer sees four pictures of that."""
LIST_FRESH_S = 1.0
MACHINE_FRESH_S = 2.5
KEPT_ANSWERS = 64


@dataclass(frozen=True)
class Answer:
    """A ready-made JSON body and the tag that says whether a viewer has it."""

    body: bytes
    tag: str


class Answers:
    """The newest few answers by question; each is made once for all who ask while it is fresh."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, shown: Callable[[Any], Any] = lambda value: value):
        self._clock, self._shown = clock, shown
        self._kept: OrderedDict[tuple, tuple[float, Answer]] = OrderedDict()
        self._making: dict[tuple, asyncio.Task[Answer]] = {}

    async def get(self, question: tuple, fresh_s: float, make: Callable[[], Any]) -> Answer:
        """The kept answer while it is fresh, else a new one; who asks meanwhile waits for the same one."""
        kept = self._kept.get(question)
        if kept is not None and self._clock() - kept[0] < fresh_s:
            return kept[1]
        task = self._making.get(question)
        if task is None:
            task = asyncio.create_task(self._make(question, make))
            self._making[question] = task
            task.add_done_callback(lambda _: self._making.pop(question, None))
        return await asyncio.shield(task)  # one viewer that leaves does not take it from the others

    async def _make(self, question: tuple, make: Callable[[], Any]) -> Answer:
        asked = self._clock()
        answer = await run_in_threadpool(lambda: answer_of(self._shown(make())))
        self._kept[question] = (asked, answer)
        self._kept.move_to_end(question)
        while len(self._kept) > KEPT_ANSWERS:
            self._kept.popitem(last=False)
        return answer


def answer_of(value: Any) -> Answer:
    """JSON bytes that every browser takes: a number that is not finite becomes null, half a surrogate pair a "?"."""
    text = json.dumps(plain(value), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    body = text.encode("utf-8", "replace")
    return Answer(body, f'"{sha256(body).hexdigest()[:16]}"')


def plain(value: Any) -> Any:
    """Dictionaries, lists and finite numbers of any answer."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return plain(asdict(value)) if is_dataclass(value) else value


class LiveRoutes:
    """The read-only routes under /live.

    Args:
        hides_paths: answers as those get them who may not see this machine's paths; kept apart from the others.
    """

    def __init__(self, lab: Lab, hides_paths: bool = False):
        self.lab = lab
        roots = lab.private_roots()
        self.answers = Answers(shown=lambda value: discreet(plain(value), roots)) if hides_paths else Answers()

    def routes(self) -> list[Route]:
        """Every route, to be put on the app behind the gate."""
        hidden = type(self)(self.lab, hides_paths=True)
        return [
            Route(f"/live/{name}", in_words(handler, getattr(hidden, handler.__name__)), methods=["GET"])
            for name, handler in self.table().items()
        ]

    def table(self) -> dict[str, Callable[[Request], Any]]:
        """The handlers by name."""
        return {
            "status": self.status,
            "machine": self.machine,
            "points": self.points,
            "texts": self.texts,
            "figures": self.figures,
        }

    async def status(self, request: Request) -> Answer:
        """The run that is active or ended last; the strip shows it on every tab.

        Who follows it names it with a cursor of its points, and gets the news of its curves in the same answer; with
        cursors of samples and events also the news of those: a request a second costs a third of what three do.
        """
        run_id = request.query_params.get("run", "")
        if not run_id:
            return await self.answers.get(("status",), FRESH_S, self._status)
        after = [whole_number(request, "points", -1)]
        if "samples" in request.query_params:
            after += [whole_number(request, name, -1) for name in ("samples", "events")]
        return await self.answers.get(("status", run_id, *after), FRESH_S, lambda: self._followed(run_id, *after))

    async def machine(self, request: Request) -> Answer:
        """Device, cores, memory, disk and cards as this process may use them, and how busy they are."""
        return await self.answers.get(("machine",), MACHINE_FRESH_S, self.lab.monitor.now)

    async def points(self, request: Request) -> Answer:
        """New points of a run's curves after a cursor, as columns; everything, thinned, where there is no cursor.

        `from_x`, `to_x` and `x` (step, tokens, time) ask for one stretch in all its detail instead.
        """
        run_id, after = request.query_params.get("run", ""), whole_number(request, "after", -1)
        x = request.query_params.get("x", "step")
        from_x, to_x = number(request, "from_x"), number(request, "to_x")
        question = ("points", run_id, after, x, from_x, to_x)
        return await self.answers.get(
            question, FRESH_S, lambda: self.lab.history.points(run_id, after, x, from_x, to_x)
        )

    async def texts(self, request: Request) -> Answer:
        """New samples and events of a run after two cursors."""
        run_id = request.query_params.get("run", "")
        samples, events = whole_number(request, "samples", -1), whole_number(request, "events", -1)
        question = ("texts", run_id, samples, events)
        return await self.answers.get(question, FRESH_S, lambda: self._texts(run_id, samples, events))

    async def figures(self, request: Request) -> Answer:
        """What is drawn in which panel."""
        return await self.answers.get(("figures",), math.inf, lambda: {"panels": PANELS, "x_axes": X_AXES})

    def _status(self) -> dict[str, Any]:
        last = self.lab.live() or self._still_there(self.lab.last())
        run = None if last is None else {**asdict(last), "colour": colour_of(last.run_id)}
        return {"run": run or self._newest(), "here": last is not None, "queued": self.lab.queued()}

    def _followed(self, run_id: str, points: int, *texts: int) -> dict[str, Any]:
        told = self._status()
        if not told["run"] or told["run"]["run_id"] != run_id:
            return told
        told["points"] = self.lab.history.points(run_id, points)
        return {**told, "texts": self._texts(run_id, *texts)} if texts else told

    def _still_there(self, ended: Live | None) -> Live | None:
        """A run that has ended, unless it was discarded or deleted since."""
        return ended if ended is not None and self.lab.history.is_here(ended.run_id) else None

    def _newest(self) -> dict[str, Any] | None:
        """The newest whole run of the folder, for a page that was opened before any run of this process; no example."""
        row = next((row for row in self.lab.rows() if row.usable and EXAMPLE not in row.tags), None)
        if row is None:
            return None
        error = self.lab.details(row.run_id).get("error")
        return {**asdict(row), "colour": colour_of(row.run_id), "error": error, "warnings": []}

    def _texts(self, run_id: str, samples: int, events: int) -> dict[str, Any]:
        said, happened = self.lab.samples(run_id, samples), self.lab.events(run_id, events)
        return {
            name: {"rows": news.rows[-MOST_TEXTS:], "from": after, "next": news.next, "rewound_to": news.rewound_to}
            for name, after, news in (("samples", samples, said), ("events", events, happened))
        } | {"run": run_id}


def whole_number(request: Request, name: str, default: int) -> int:
    """A cursor of the query, or its default.

    Raises:
        UserError: where it is not a whole number.
    """
    text = request.query_params.get(name, str(default))
    digits = text.removeprefix("-")
    if not digits.isascii() or not digits.isdigit() or len(digits) > 15:
        raise UserError(f"{name} is a whole number; received {text[:60]!r}.")
    return int(text)


def number(request: Request, name: str) -> float | None:
    """A finite number of the query; None where it is not given.

    Raises:
        UserError: where it is not a number.
    """
    text = request.query_params.get(name)
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UserError(f"{name} is a number; received {text[:60]!r}.")
    return value


def in_words(handler: Callable[[Request], Any], hidden: Callable[[Request], Any]) -> Callable[[Request], Any]:
    """A route of a handler: 304 where the viewer has the answer already, a status and a sentence for a user's error.

    Args:
        hidden: the same for those who may not see this machine's paths.
    """

    async def route(request: Request) -> Response:
        try:
            check(request, "look")
            answer = await (handler if may(request, "paths") else hidden)(request)
        except NotAllowed as error:
            status = 401 if error.unknown else 403
            return Response(answer_of({"error": str(error)}).body, status, media_type="application/json")
        except NotFound as error:
            # A run that is deleted while a page looks at it is no fault of the page, whose console a 404 would fill.
            answer = answer_of({"gone": str(error)})
        except UserError as error:
            status = 400 if isinstance(error, BadRunId) else 422
            return Response(answer_of({"error": str(error)}).body, status, media_type="application/json")
        headers = {"etag": answer.tag, "cache-control": "no-cache"}
        if request.headers.get("if-none-match") == answer.tag:
            return Response(status_code=304, headers=headers)
        return Response(answer.body, headers=headers, media_type="application/json")

    return route
