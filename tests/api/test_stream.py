"""The event stream of a real server: live numbers as they come, nothing twice after a break."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette

from llm_testing.api.gate import Gate
from llm_testing.api.rest import rest_routes
from llm_testing.api.turnstile import Turnstile
from llm_testing.service.budgets import BUDGETS, Kind
from llm_testing.service.roles import Role
from tests.api.served import AT, BODY
from tests.api.tuning_parts import body_at
from tests.service.parts import run, until


@pytest.fixture
def url(lab) -> Iterator[str]:
    """Where a lab's calls are served."""
    app = Gate(Turnstile(Starlette(routes=rest_routes(lab))))
    config = uvicorn.Config(app, port=0, log_level="warning", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()))
    thread.start()
    until(lambda: server.started)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = server.force_exit = True
    thread.join(20)


@contextmanager
def followed(url: str, query: str = "", **headers: str) -> Iterator[Iterator[dict]]:
    """The events of a stream, each with event, data and perhaps id."""
    with httpx.stream("GET", f"{url}{AT}/events{query}", headers=headers, timeout=60) as reply:
        assert reply.status_code == 200 and reply.headers["content-type"].startswith("text/event-stream")
        yield _events(reply.iter_lines())


def _events(lines: Iterator[str]) -> Iterator[dict]:
    event: dict = {}
    for line in lines:
        name, _, value = line.partition(": ")
        if name in ("event", "id", "data"):
            event[name] = json.loads(value) if name == "data" else value
        elif not line and "event" in event:
            yield event
            event = {}


def steps(events: list[dict]) -> list[int]:
    return [point["step"] for event in events if event["event"] == "metrics" for point in event["data"]]


def test_a_whole_run_is_followed_from_its_start_to_its_end(url, lab):
    seen = []
    with followed(url) as events:
        assert next(events)["data"]["state"] == "idle"
        assert httpx.post(f"{url}{AT}/start", json=BODY).status_code == 200
        for event in events:
            seen.append(event)
            if event["event"] == "status" and event["data"]["state"] == "completed":
                break
    assert steps(seen) == [0, 1, 2, 3, 4, 5, 6]
    assert {event["event"] for event in seen} == {"status", "metrics", "sample", "log"}
    assert seen[-1]["id"].startswith(seen[-1]["data"]["run_id"] + ":")


def test_a_reader_that_comes_back_misses_nothing_and_gets_nothing_twice(url, lab):
    run_id = run(lab)
    with followed(url, f"?run_id={run_id}") as events:
        whole = []
        for event in events:
            whole.append(event)
            if "id" in event:
                break
    assert steps(whole) == [0, 1, 2, 3, 4, 5, 6]
    numbers = [point["n"] for event in whole if event["event"] == "metrics" for point in event["data"]]
    _, metrics, samples, log = whole[-1]["id"].split(":")
    mark = f"{run_id}:{numbers[3]}:{samples}:{log}"
    with followed(url, f"?run_id={run_id}", **{"Last-Event-ID": mark}) as events:
        rest = [next(events), next(events)]
    assert steps(rest) == [4, 5, 6] and rest[1]["event"] == "status" and rest[1]["id"] == whole[-1]["id"]


@pytest.mark.parametrize("mark", ["x", "../../etc:1:1:1", "20260101-000000-aaaa:9:9:9", "\u0663:1:1:1".encode("utf-8")])
def test_a_mark_of_another_run_or_of_no_form_begins_anew(url, lab, mark):
    run_id = run(lab)
    with followed(url, f"?run_id={run_id}", **{"Last-Event-ID": mark}) as events:
        assert steps([next(events)]) == [0, 1, 2, 3, 4, 5, 6]


def test_a_run_that_there_is_not_is_refused_before_the_stream_begins(url):
    assert httpx.get(f"{url}{AT}/events?run_id=20260101-000000-aaaa").status_code == 404
    assert httpx.get(f"{url}{AT}/events?run_id=..").status_code == 400


def test_of_300_streams_that_are_opened_at_once_exactly_the_cap_is_served_and_a_leaver_makes_room(url):
    cap = BUDGETS[Role.OWNER].shares[Kind.STREAMS].together

    async def flood() -> None:
        limits = httpx.Limits(max_connections=None)
        async with httpx.AsyncClient(base_url=url, timeout=60, limits=limits) as client, AsyncExitStack() as open_ones:

            async def opened() -> httpx.Response:
                return await open_ones.enter_async_context(client.stream("GET", f"{AT}/events"))

            replies = await asyncio.gather(*(opened() for _ in range(300)))
            codes = [reply.status_code for reply in replies]
            assert codes.count(200) == cap == 64 and codes.count(429) == 300 - cap
            refused = next(reply for reply in replies if reply.status_code == 429)
            assert "event streams" in (await refused.aread()).decode() and int(refused.headers["retry-after"]) >= 1
            assert (await client.get("/api/health")).status_code == 200
            await next(reply for reply in replies if reply.status_code == 200).aclose()
            async with asyncio.timeout(30):
                while (await opened()).status_code != 200:
                    await asyncio.sleep(0.05)  # the server hears of a leaver at its next word to it
            assert (await opened()).status_code == 429

    asyncio.run(flood())


def test_a_stream_of_fine_tuning_is_silent_about_pretraining(url, lab, tmp_path):
    with httpx.stream("GET", f"{url}/api/fine-tuning/events", timeout=60) as reply:
        events = _events(reply.iter_lines())
        first = next(events)["data"]
        assert first["state"] == "idle" and first["eval_loss"] is None
        run(lab)
        started = httpx.post(f"{url}/api/fine-tuning/start", json=body_at(tmp_path, max_steps=2), timeout=60).json()
        seen = []
        for event in events:
            seen.append(event)
            if event["event"] == "status" and event["data"]["state"] in ("completed", "error"):
                break
    assert {event["data"]["run_id"] for event in seen if event["event"] == "status"} == {started["run_id"]}
    assert seen[-1]["data"]["state"] == "completed" and steps(seen) == [0, 1, 2]
