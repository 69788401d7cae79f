"""Bodies: not a byte is read before the asker's rights are judged, and what is slow or too large is told so."""

import asyncio
import json

import pytest
from starlette.applications import Starlette

from llm_testing.api import body
from llm_testing.api.gate import Gate
from llm_testing.api.rest import TABLE, rest_routes
from llm_testing.api.turnstile import Turnstile
from llm_testing.service.budgets import BUDGETS
from llm_testing.service.lab import Lab
from llm_testing.service.places import Place
from llm_testing.service.roles import RIGHTS, Role
from tests.api.served import AT
from tests.api.whole_app import SPACE_HOST, door_of

HOSTS = {Place.LAN: "192.168.1.5:7860", Place.SHARE: "0a1b2c.gradio.live", Place.SPACE: SPACE_HOST}


class Asker:
    """A client whose body comes in pieces, as the server hands them on; it counts which were taken.

    Args:
        pieces: of the body; after the last one nothing more comes, although more was announced.
    """

    def __init__(self, app: Gate, who: str, method: str, path: str, pieces=(), **headers: str):
        self.app, door = app, app.door
        token = {"owner": door.owner_token, "viewer": door.viewer_token}.get(who, "x")
        told = {
            "host": HOSTS[door.place],
            "authorization": f"Bearer {token}",
            "content-type": "application/json",
            **headers,
        }
        self.scope = {
            "type": "http", "method": method, "path": path, "raw_path": path.encode(), "query_string": b"",
            "root_path": "", "scheme": "http", "http_version": "1.1", "server": ("127.0.0.1", 7860),
            "client": ("10.0.0.9", 1), "headers": [(k.encode(), v.encode()) for k, v in {**told, **headers}.items()],
        }  # fmt: skip
        self.pieces, self.taken, self.sent = list(pieces), 0, []

    async def _receive(self):
        if self.taken < len(self.pieces):
            self.taken += 1
            return {"type": "http.request", "body": self.pieces[self.taken - 1], "more_body": True}
        self.waits = True
        await asyncio.Event().wait()

    async def _send(self, message):
        self.sent.append(message)

    def asks(self) -> tuple[int, str]:
        asyncio.run(asyncio.wait_for(self.app(self.scope, self._receive, self._send), 20))
        said = b"".join(message.get("body", b"") for message in self.sent)
        return self.sent[0]["status"], said.decode()


@pytest.fixture(scope="module")
def apps(tmp_path_factory, cache_dir) -> dict[Place, Gate]:
    """The calls of one lab behind the gate of each place."""
    routes = rest_routes(Lab(tmp_path_factory.mktemp("bodies") / "runs", cache_dir))
    return {place: Gate(Turnstile(Starlette(routes=routes)), door=door_of(place)) for place in HOSTS}


CHANGING = [call for call in TABLE if call.method != "GET"]


@pytest.mark.parametrize("place", HOSTS)
def test_who_may_not_is_refused_before_a_byte_is_read_on_every_call(apps, place):
    role = Role.VIEWER
    for call in CHANGING:
        path = call.address.replace("{run_id}", "20260101-000000-aaaa").replace("{checkpoint_id:path}", "x")
        if call.needs in RIGHTS[place][role] and call.before is None:
            continue
        asker = Asker(apps[place], "viewer", call.method, path, [b"{"] * 5)
        assert asker.asks()[0] == 403, path
        assert asker.taken == 0, f"{path} read {asker.taken} pieces first"
        if place != Place.SPACE:
            asker = Asker(apps[place], "nobody", call.method, path, [b"{"] * 5)
            assert (asker.asks()[0], asker.taken) == (401, 0), path


def test_a_stranger_is_refused_before_a_byte_is_read_where_gradio_would_read_it(apps):
    for path in ("/gradio_api/queue/join", "/gradio_api/run/predict", "/gradio_api/upload", "/enter"):
        asker = Asker(apps[Place.LAN], "nobody", "POST", path, [b"{"] * 5)
        assert asker.asks()[0] in (401, 405) and asker.taken == 0, path


@pytest.mark.parametrize(("method", "path"), [("POST", f"{AT}/preview"), ("POST", "/api/uploads")])
def test_a_body_that_stops_coming_is_given_up_in_words(apps, monkeypatch, method, path):
    monkeypatch.setattr(body, "BODY_WITHIN_S", 0.2)
    asker = Asker(apps[Place.LAN], "owner", method, path, [b'{"name": '])
    asker.scope["query_string"] = b"name=a.txt" if path.endswith("uploads") else b""
    status, said = asker.asks()
    assert status == 408 and "did not come within" in json.loads(said)["detail"] and asker.taken == 1


@pytest.mark.parametrize("who", ["viewer", "owner"])
def test_each_role_may_send_so_much_and_no_more_is_taken(apps, who):
    most = BUDGETS[Role[who.upper()]].body_bytes
    whole = json.dumps({"checkpoint_id": "x" * (most // 2)}).encode()
    asker = Asker(apps[Place.LAN], who, "POST", f"{AT}/preview", [whole] + [b" " * 4096] * 2000)
    status, said = asker.asks()
    assert status == 413 and f"{most:,}" in json.loads(said)["detail"]
    assert sum(len(piece) for piece in asker.pieces[: asker.taken]) <= most + 4096
    asker = Asker(apps[Place.LAN], who, "POST", f"{AT}/preview", [b"{}"], **{"content-length": str(most + 1)})
    assert asker.asks()[0] == 413 and asker.taken == 0


@pytest.mark.parametrize("length", ["-1", "1e9", "+5", " 5x", "9" * 30, "٣"])
def test_a_length_that_is_no_number_is_refused(apps, length):
    asker = Asker(apps[Place.LAN], "owner", "POST", f"{AT}/preview", [b"{}"])
    asker.scope["headers"].append((b"content-length", length.encode()))
    assert asker.asks()[0] == 413 and asker.taken == 0
