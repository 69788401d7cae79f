"""Every call that only looks, read from the tables that the app serves, and a way to make thousands of them."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from starlette.applications import Starlette

from llm_testing.api.gate import Gate
from llm_testing.api.live import LiveRoutes
from llm_testing.api.live_history import HistoryRoutes
from llm_testing.api.rest import TABLE
from llm_testing.api.routes import routes_of
from llm_testing.service.doors import TokenDoor
from llm_testing.service.lab import Lab
from llm_testing.service.places import Place, Setting
from tests.api.served import PORT

WHO = ("owner", "viewer")
STREAM = "text/event-stream"
REFUSED_STARTS = {
    "/api/pretraining/start": {
        "config_name": "custom", "n_layer": 1, "n_head": 2, "n_embd": 16, "context_length": 16, "corpus": "tiny",
        "tokenizer": "char", "attention_impl": "sdpa", "sdpa_kernel": "cudnn", "dropout": 0.1, "device": "cpu",
    }
}  # fmt: skip
"""A start checks by itself who asks; this one is refused to its owner too, after a look at the kernels."""


@dataclass(frozen=True)
class Look:
    """One call that only looks."""

    method: str
    address: str
    query: dict[str, str]
    body: dict[str, Any] | None = None
    streams: bool = False


def looks_at(run_id: str, ended: str, checkpoint: str) -> list[Look]:
    """Every call of the tables that a viewer may make, about a run that goes on and one that has ended."""
    values = {"run_id": run_id, "run": run_id, "runs": f"{run_id},{ended}", "name": "tiny"}
    found = []
    for call in TABLE:
        if call.needs not in ("look", "anything"):
            continue
        places = {"run_id": run_id, "checkpoint_id:path": checkpoint, "name": "none"}
        address = call.address
        for name, value in places.items():
            address = address.replace(f"{{{name}}}", value)
        query = {name: value for name, value in values.items() if name in call.query.model_fields}
        body = None
        if call.method == "POST":
            body = REFUSED_STARTS.get(address, {"run_id": ended} if "run_id" in call.body.model_fields else {})
        found.append(Look(call.method, address, query, body, call.media_type == STREAM))
    for table in (LiveRoutes, HistoryRoutes):
        for name in table.table(table.__new__(table)):
            query = {} if name == "runs" else {"run": run_id, "runs": f"{run_id},{ended}"}
            found.append(Look("GET", f"/live/{name}", query))
    return found


class Onlookers:
    """An owner and a viewer of a lab's own routes, behind the gate."""

    def __init__(self, lab: Lab):
        self._door = TokenDoor(Setting(Place.LAN))
        self._app = Gate(Starlette(routes=routes_of(lab, {})), door=self._door)

    def look(self, looks: list[Look], times: int, at_once: int = 4) -> Counter[tuple[str, str, int]]:
        """Each look so often by each of them, several at once: how many had which status."""
        return asyncio.run(self._all(looks, times, at_once))

    async def _all(self, looks: list[Look], times: int, at_once: int) -> Counter[tuple[str, str, int]]:
        answers: Counter[tuple[str, str, int]] = Counter()
        turns: Iterator[tuple[Look, str]] = ((look, who) for _ in range(times) for look in looks for who in WHO)

        async def one_after_the_other() -> None:
            for look, who in turns:
                answers[who, f"{look.method} {look.address}", await self._ask(look, who)] += 1

        await asyncio.gather(*(one_after_the_other() for _ in range(at_once)))
        return answers

    async def _ask(self, look: Look, who: str) -> int:
        token = {"owner": self._door.owner_token, "viewer": self._door.viewer_token}[who]
        body = b"" if look.body is None else json.dumps(look.body).encode()
        headers = {"host": f"127.0.0.1:{PORT}", "authorization": f"Bearer {token}", "content-type": "application/json"}
        scope = {
            "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1",
            "method": look.method, "scheme": "http", "path": look.address, "raw_path": look.address.encode(),
            "query_string": urlencode(look.query).encode(), "root_path": "",
            "headers": [(k.encode(), v.encode()) for k, v in [*headers.items(), ("content-length", str(len(body)))]],
            "client": ("127.0.0.1", 50_000), "server": ("127.0.0.1", PORT),
        }  # fmt: skip
        given, enough, status, chunks = False, asyncio.Event(), 0, 0

        async def receive() -> dict[str, Any]:
            nonlocal given
            if not given:
                given = True
                return {"type": "http.request", "body": body, "more_body": False}
            await enough.wait()
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            nonlocal status, chunks
            status = message.get("status", status)
            chunks += message["type"] == "http.response.body"
            if not look.streams or chunks == 2:  # the first says when to come again, the second has looked
                enough.set()

        await self._app(scope, receive, send)
        return status
