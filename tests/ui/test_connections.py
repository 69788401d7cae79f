"""Connections of a real server that send their headers slowly, or without end, or read nothing."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import uvicorn

from llm_testing.ui import connections
from llm_testing.ui.connections import limit_connections
from tests.service.parts import until

pytestmark = pytest.mark.alone
PATIENCE_S = 0.3
LONGER_S = 1.5
"""For those who are to be answered first, however busy the machine is."""


async def app(scope, receive, send):
    """Answers every request without reading its body; /large with more than a socket holds."""
    body = b"x" * (64 * 2**20 if scope["path"] == "/large" else 2)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


@contextmanager
def serving(http: str, patience_s: float, most_silent: int = 5) -> Iterator[tuple[int, uvicorn.Server]]:
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical", lifespan="off", http=http))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()))
    thread.start()
    until(lambda: server.started)
    limit_connections(server, patience_s, most_silent)
    try:
        yield server.servers[0].sockets[0].getsockname()[1], server
    finally:
        server.should_exit = server.force_exit = True
        thread.join(20)


@pytest.fixture(scope="module", params=["httptools", "h11"])
def port(request) -> Iterator[int]:
    """Where a server of each kind of parser answers."""
    with serving(request.param, PATIENCE_S) as (port, _):
        yield port


@pytest.fixture(scope="module", params=["httptools", "h11"])
def patient(request) -> Iterator[int]:
    """The same, with more patience."""
    with serving(request.param, LONGER_S) as (port, _):
        yield port


async def closed(reader: asyncio.StreamReader) -> bytes:
    """What the server still said before it closed the connection."""
    said = b""
    try:
        while block := await asyncio.wait_for(reader.read(65_536), 20):
            said += block
    except ConnectionError:
        pass
    return said


def talk(port: int, story) -> None:
    async def told() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            await story(reader, writer)
        finally:
            writer.close()

    asyncio.run(told())


GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.mark.parametrize("beginning", [b"", b"GET / HTTP/1.1\r\nHost: x\r\n"])
def test_headers_that_do_not_come_end_the_connection(port, beginning):
    async def story(reader, writer):
        writer.write(beginning)
        assert await closed(reader) == b""

    talk(port, story)


def test_headers_that_drip_end_it_too_although_something_always_comes(port):
    async def story(reader, writer):
        ended = asyncio.create_task(closed(reader))
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n")
        while not ended.done():
            writer.write(b"a: b\r\n")
            await asyncio.sleep(PATIENCE_S / 10)
        assert await ended == b""

    talk(port, story)


def test_the_second_request_of_a_connection_has_no_more_time_than_the_first(patient):
    async def story(reader, writer):
        writer.write(GET)
        assert b"200" in await reader.readuntil(b"\r\n\r\nxx")
        writer.write(b"GET / HTTP/1.1\r\n")
        assert await closed(reader) == b""

    talk(patient, story)


def test_headers_without_end_are_not_gathered(port):
    async def story(reader, writer):
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n" + b"a: " + b"b" * 200_000)
        assert b"200" not in await closed(reader)

    talk(port, story)


def test_requests_that_come_in_time_are_answered_one_after_another(patient):
    async def story(reader, writer):
        for _ in range(5):
            writer.write(GET)
            assert b"200" in await reader.readuntil(b"\r\n\r\nxx")
            await asyncio.sleep(LONGER_S / 4)  # together longer than one may take
        writer.write(GET * 3)
        for _ in range(3):
            assert b"200" in await reader.readuntil(b"\r\n\r\nxx")

    talk(patient, story)


def test_who_sends_a_body_that_nobody_reads_hears_the_answer_and_cannot_go_on_for_ever(patient, monkeypatch):
    monkeypatch.setattr(connections, "MOST_LEFT_OVER_BYTES", 2**20)
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n"

    async def story(reader, writer):
        writer.write(head + b"x" * 100_000)
        assert b"200" in await reader.readuntil(b"\r\n\r\nxx")
        ended = asyncio.create_task(closed(reader))
        sent = 0
        while not ended.done():
            writer.write(b"x" * 65_536)
            sent += 65_536
            await asyncio.sleep(0.001)
        assert sent < 100_000_000

    talk(patient, story)


def test_a_connection_goes_on_after_a_body_that_nobody_read(patient):
    async def story(reader, writer):
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 200000\r\n\r\n")
        assert b"200" in await reader.readuntil(b"\r\n\r\nxx")
        writer.write(b"x" * 200_000)
        for _ in range(2):
            writer.write(GET)
            assert b"200" in await reader.readuntil(b"\r\n\r\nxx")

    talk(patient, story)


def test_who_reads_nothing_of_an_answer_is_let_go(patient, monkeypatch):
    monkeypatch.setattr(connections, "READS_WITHIN_S", 0.2)

    async def story(reader, writer):
        writer.transport.pause_reading()
        writer.write(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
        await asyncio.sleep(0.6)
        writer.transport.resume_reading()
        assert len(await closed(reader)) < 64 * 2**20

    talk(patient, story)


@pytest.mark.parametrize("http", ["httptools", "h11"])
def test_a_newcomer_gets_in_however_many_connections_are_silent(http):
    async def story(port: int, server: uvicorn.Server) -> None:
        silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(40)]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(GET)
        assert b"200" in await reader.readuntil(b"\r\n\r\nxx")
        assert len(server.server_state.connections) <= 6
        for _, each in (*silent, (reader, writer)):
            each.close()

    with serving(http, 30) as (port, server):
        asyncio.run(story(port, server))
