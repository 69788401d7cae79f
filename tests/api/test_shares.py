"""Viewers of a running app ask for more than their share: they are told to wait, and the owner notices nothing."""

import asyncio
import threading
from types import SimpleNamespace

import httpx
import pytest

from llm_testing.api import turnstile
from llm_testing.service import demo
from llm_testing.service.budgets import BUDGETS, LOGINS_A_MINUTE, Kind
from llm_testing.service.lab import Lab
from llm_testing.service.places import Place
from llm_testing.service.roles import Role
from tests.api.test_census import called
from tests.api.whole_app import door_of, opened
from tests.service.parts import until

pytestmark = pytest.mark.proof
JOINS = BUDGETS[Role.VIEWER].shares[Kind.JOINS]


@pytest.fixture(scope="module")
def app(tmp_path_factory, cache_dir):
    """An app in a network."""
    with opened(Lab(tmp_path_factory.mktemp("shares") / "runs", cache_dir), door_of(Place.LAN)) as app:
        yield app


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    """Refusals are not waited for, but where that is looked at."""
    monkeypatch.setattr(turnstile, "REFUSED_AFTER_S", 0.0)


def by_name(app, name: str) -> int:
    return next(function._id for function in app.page.fns.values() if function.api_name == name)


async def flood(app, num: int, path, body, **headers: str) -> list[httpx.Response]:
    """The answers to many requests that are sent side by side."""
    async with httpx.AsyncClient(base_url=app.url, headers=headers, timeout=60) as client:
        return await asyncio.gather(*(client.post(path, json=body(number)) for number in range(num)))


def test_calls_whose_answers_nobody_fetches_keep_no_owner_out_and_are_thrown_away(app):
    index, queue = by_name(app, "health"), app.page._queue
    joins = queue.push.__self__

    def orphan(number: int) -> dict:
        return {"fn_index": index, "data": [], "session_hash": f"orphan{number}"}

    replies = asyncio.run(flood(app, 300, "/gradio_api/queue/join", orphan, **app.bearer("viewer")))
    codes = [reply.status_code for reply in replies]
    assert codes.count(200) == JOINS.a_client and codes.count(429) == 300 - JOINS.a_client
    refused = next(reply for reply in replies if reply.status_code == 429)
    assert int(refused.headers["retry-after"]) >= 1 and "handlers" in refused.json()["detail"]
    with app.client() as client:
        assert called(client, app.bearer("owner"), index, []) == "done"
        joins.fetched_within_s = 0
        until(lambda: not any(session.startswith("orphan") for session in queue.pending_messages_per_session), 30)
        assert not any(session.startswith("orphan") for session in queue.pending_event_ids_session)
        assert queue.event_ids_to_events == {} and queue.event_analytics == {}
        joins.fetched_within_s = 15
        for _ in range(3 * JOINS.a_client):  # a share comes back as soon as an answer was fetched
            assert called(client, app.bearer("viewer"), index, []) == "done"


def test_an_answer_that_is_waited_for_is_not_thrown_away(app):
    """The stream is open before the call, as a page's is, and it is open while others' orphans are swept."""
    index, joins = by_name(app, "health"), app.page._queue.push.__self__
    joins.fetched_within_s = 0
    try:
        with app.client(**app.bearer("viewer")) as client:
            for _ in range(5):
                assert called(client, {}, index, []) == "done"
    finally:
        joins.fetched_within_s = 15


def test_the_way_in_for_curl_counts_as_one_into_the_queue(app):
    with app.client(**app.bearer("owner")) as client:
        reply = client.post("/gradio_api/call/health", json={"data": []})
        assert reply.status_code == 200 and app.door.budgets.taken(Kind.JOINS, Role.OWNER) == 1
        said = client.get(f"/gradio_api/call/health/{reply.json()['event_id']}").text
        assert "event: complete" in said and app.door.budgets.taken(Kind.JOINS, Role.OWNER) == 0


def test_wrong_links_are_told_to_wait_and_the_right_one_opens_all_the_same(app):
    with app.client() as client:
        codes = [client.get(f"/enter?token=x{number}").status_code for number in range(3 * LOGINS_A_MINUTE)]
        assert codes == [403] * LOGINS_A_MINUTE + [429] * (2 * LOGINS_A_MINUTE)
        assert int(client.get("/enter?token=x").headers["retry-after"]) >= 1
        for who in ("viewer", "owner"):
            assert client.get(app.door.links("http://x")[who].removeprefix("http://x")).status_code == 200
        assert client.get("/api/place").json()["role"] == "owner"


def test_who_asks_for_too_much_waits_to_hear_of_it_and_nobody_else_does(app, monkeypatch):
    waits = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr(turnstile, "REFUSED_AFTER_S", 7.0)
    monkeypatch.setattr("llm_testing.api.body.asyncio", SimpleNamespace(sleep=sleep, timeout=asyncio.timeout))
    share = BUDGETS[Role.VIEWER].shares[Kind.PAGES].a_client
    held = [app.door.budgets.take(Kind.PAGES, Role.VIEWER, "127.0.0.1") for _ in range(share)]
    with app.client(**app.bearer("viewer")) as client:
        assert client.get("/gradio_api/heartbeat/p").status_code == 429 and waits == [7.0]
        assert client.get("/live/status").status_code == 200 and waits == [7.0]
    for slot in held:
        slot.release()


def test_open_pages_have_a_share_of_their_own(app):
    most = BUDGETS[Role.VIEWER].shares[Kind.PAGES].a_client

    async def story() -> None:
        async with httpx.AsyncClient(base_url=app.url, timeout=60, limits=httpx.Limits(max_connections=None)) as client:
            codes, open_ones = [], []
            for number in range(most + 5):
                ask = client.build_request("GET", f"/gradio_api/heartbeat/p{number}", headers=app.bearer("viewer"))
                open_ones.append(await client.send(ask, stream=True))
                codes.append(open_ones[-1].status_code)
            assert codes == [200] * most + [429] * 5
            looks = await client.get("/live/status", headers=app.bearer("viewer"))
            ask = client.build_request("GET", "/gradio_api/heartbeat/own", headers=app.bearer("owner"))
            open_ones.append(await client.send(ask, stream=True))
            assert (looks.status_code, open_ones[-1].status_code) == (200, 200)
            for reply in open_ones:
                await reply.aclose()

    asyncio.run(story())
    until(lambda: app.door.budgets.taken(Kind.PAGES, Role.VIEWER) == 0, 30)


def test_two_guests_at_once_start_one_run(tmp_path, cache_dir, monkeypatch):
    lab = Lab(tmp_path / "runs", cache_dir)
    looked, rows = threading.Barrier(2), lab.rows

    def slow_rows():
        """Both have looked before either goes on, where nothing keeps them apart."""
        found = rows()
        try:
            looked.wait(1)
        except threading.BrokenBarrierError:
            pass
        return found

    monkeypatch.setattr(lab, "rows", slow_rows)
    monkeypatch.setattr(demo.start_demo, "__defaults__", (0.0,))
    said = []

    def guest() -> None:
        try:
            said.append(demo.start_demo(lab, {}).run_id)
        except demo.Busy as error:
            said.append(error)

    guests = [threading.Thread(target=guest) for _ in range(2)]
    for thread in guests:
        thread.start()
    for thread in guests:
        thread.join()
    started = [one for one in said if isinstance(one, str)]
    assert len(started) == 1, said
    assert [one.run_id for one in said if isinstance(one, demo.Busy)] == started
    until(lambda: lab.live() is None, 60)
    assert lab.shutdown(60)
