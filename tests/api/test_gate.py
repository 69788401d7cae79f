"""The gate in front of everything: who gets in, over every route that the running app has."""

import asyncio
import http.client
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from gradio.routes import App

from llm_testing.api.gate import Gate, judge
from llm_testing.api.routes import routes_of
from llm_testing.service.lab import Lab
from llm_testing.ui.assets import addresses
from llm_testing.ui.page import build_page
from tests.app_process import running_app

PORT = 7860
OWN = {"host": f"127.0.0.1:{PORT}"}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 421),
        ({"host": "evil.example"}, 421),
        ({"host": f"evil.example:{PORT}"}, 421),
        ({"host": "127.0.0.1"}, 421),
        ({"host": "127.0.0.1:9999"}, 421),
        ({"host": f"127.0.0.1.evil.example:{PORT}"}, 421),
        ({"host": f"user@evil.example:{PORT}"}, 421),
        ({"host": "127.0.0.1:port"}, 421),
        ({**OWN, "origin": "https://evil.example"}, 403),
        ({**OWN, "origin": "null"}, 403),
        ({**OWN, "origin": "http://127.0.0.1:9999"}, 403),
        ({**OWN, "origin": f"http://localhost:{PORT}"}, 403),
        ({**OWN, "sec-fetch-site": "cross-site"}, 403),
        ({**OWN, "sec-fetch-site": "same-site"}, 403),
        ({**OWN, "x-forwarded-for": "1.2.3.4"}, 403),
        ({**OWN, "x-forwarded-host": "127.0.0.1"}, 403),
        ({**OWN, "forwarded": "for=1.2.3.4"}, 403),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "OPTIONS"])
def test_strangers_are_refused_with_every_method(method, headers, status):
    assert judge(method, "/gradio_api/queue/join", headers, PORT).status == status


@pytest.mark.parametrize("host", [f"127.0.0.1:{PORT}", f"localhost:{PORT}", f"[::1]:{PORT}", f"LOCALHOST:{PORT}"])
def test_the_owners_browser_and_scripts_come_in(host):
    assert judge("POST", "/gradio_api/queue/join", {"host": host}, PORT) is None
    own_page = {"host": host, "origin": f"http://{host}", "sec-fetch-site": "same-origin"}
    assert judge("POST", "/gradio_api/queue/join", own_page, PORT) is None


def test_a_link_on_another_site_may_open_the_page_and_nothing_else():
    link = {**OWN, "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    assert judge("GET", "/", link, PORT) is None
    assert judge("POST", "/", link, PORT).status == 403
    assert judge("GET", "/live/status", link, PORT).status == 403
    assert judge("GET", "/", {**link, "sec-fetch-dest": "iframe"}, PORT).status == 403


def through(gate: Gate, headers: list[tuple[bytes, bytes]], chunks: list[bytes]) -> tuple[int, dict[bytes, bytes]]:
    """Status and headers of a POST that arrives in chunks."""
    sent = []
    parts = [{"type": "http.request", "body": c, "more_body": i + 1 < len(chunks)} for i, c in enumerate(chunks)]

    async def receive():
        return parts.pop(0)

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/", "server": ("127.0.0.1", PORT), "headers": headers}
    asyncio.run(gate(scope, receive, send))
    return sent[0]["status"], dict(sent[0]["headers"])


async def echo(scope, receive, send):
    """An app that answers 200 with another origin's permission, as Gradio does."""
    await receive()
    headers = [(b"access-control-allow-origin", b"*"), (b"content-type", b"text/plain")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"in"})


HOST = (b"host", f"127.0.0.1:{PORT}".encode())


@pytest.mark.parametrize(
    ("headers", "chunks", "status"),
    [
        ([HOST], [b"x" * 100], 200),
        ([HOST], [b"x" * 60, b"x" * 40], 200),
        ([HOST], [b"x" * 60, b"x" * 60], 413),
        ([HOST, (b"content-length", b"101")], [b""], 413),
        ([HOST, (b"content-length", b"-1")], [b""], 413),
        ([HOST, (b"content-length", b"1e9")], [b""], 413),
        ([HOST, HOST], [b""], 400),
    ],
)
def test_a_body_is_capped_however_it_is_sent(headers, chunks, status):
    assert through(Gate(echo, most_body_bytes=100), headers, chunks)[0] == status


def test_permission_for_other_origins_is_taken_away_and_security_headers_are_added():
    _, headers = through(Gate(echo), [HOST], [b""])
    assert not any(name.startswith(b"access-control") for name in headers)
    assert headers[b"x-content-type-options"] == b"nosniff" and headers[b"referrer-policy"] == b"no-referrer"
    assert b"frame-ancestors 'self'" in headers[b"content-security-policy"]


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Where the real app answers."""
    with running_app(tmp_path_factory.mktemp("app")) as app:
        yield app.port


@pytest.fixture(scope="module")
def routes(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, str]]:
    """Method and path of every route that the app has, ours and Gradio's own."""
    root: Path = tmp_path_factory.mktemp("routes")
    lab = Lab(root / "runs", root / "cache")

    async def build() -> App:  # without a running loop Gradio makes some of its own and never closes them
        return App.create_app(build_page(lab), app_kwargs={"routes": routes_of(lab, addresses())})

    return walked(asyncio.run(build()).routes)


def walked(routes) -> list[tuple[str, str]]:
    """Method and path of every route, those of included routers too, with names put into the paths."""
    found = []
    for route in routes:
        inside = getattr(route, "routes", None) or getattr(getattr(route, "original_router", None), "routes", None)
        if inside:
            found += walked(inside)
        elif getattr(route, "path", None):
            path = "/" + "/".join("x" if part.startswith("{") else part for part in route.path.strip("/").split("/"))
            found += [(method, path) for method in sorted(getattr(route, "methods", None) or ["GET"])]
    return found


def ask(port: int, method: str, path: str, headers: dict[str, str], body: bytes = b"") -> tuple[int, dict, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request(method, path, body, headers)
        reply = connection.getresponse()
        return reply.status, {name.lower(): value for name, value in reply.getheaders()}, reply.read(10_000)
    finally:
        connection.close()


def test_no_route_of_the_running_app_lets_a_stranger_in(port, routes):
    assert len(routes) > 40 and ("GET", "/live/points") in routes
    assert any(method == "POST" and "upload" in path for method, path in routes)
    for method, path in routes:
        for headers, status in [
            ({"Host": "evil.example"}, 421),
            ({"Host": f"127.0.0.1:{port}", "Origin": "https://evil.example"}, 403),
            ({"Host": f"127.0.0.1:{port}", "X-Forwarded-For": "1.2.3.4"}, 403),
        ]:
            got, said, _ = ask(port, method, path, headers)
            assert got == status, f"{method} {path} with {headers} answered {got}"
            assert not any(name.startswith("access-control") for name in said)


def test_the_page_comes_in_with_the_security_headers(port):
    status, headers, body = ask(port, "GET", "/", {})
    assert status == 200 and b"<html" in body.lower()
    assert headers["x-content-type-options"] == "nosniff" and "content-security-policy" in headers
    status, headers, body = ask(port, "GET", "/live/status", {})
    assert status == 200 and headers["content-type"] == "application/json" and json.loads(body)["run"] is None


def test_a_large_body_is_refused_on_every_way_in(port):
    for path in ("/gradio_api/run/predict", "/gradio_api/queue/join", "/gradio_api/upload"):
        assert ask(port, "POST", path, {"Content-Type": "application/json"}, b"x" * 3_000_000)[0] == 413
