"""Every route of the app that runs, ours and Gradio's, asked by those who may not: nothing changes, nothing leaks.

The routes are read from the app itself, so that a new one is asked too.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from gradio.routes import App
from starlette.testclient import TestClient

from llm_testing.api.gate import gate_of
from llm_testing.api.rest import TABLE
from llm_testing.api.routes import routes_of
from llm_testing.service.doors import TokenDoor
from llm_testing.service.lab import Lab
from llm_testing.service.places import Place, Setting
from llm_testing.service.roles import RIGHTS, Role
from llm_testing.ui.assets import addresses
from llm_testing.ui.page import build_page
from tests.api.served import AT, BODY, fingerprint
from tests.api.test_gate import walked
from tests.service.parts import run

CANARY = b"canary-7f3a"
HOSTS = {
    Place.LOCAL: "127.0.0.1:7860",
    Place.LAN: "192.168.1.5:7860",
    Place.SHARE: "0a1b2c.gradio.live",
    Place.SPACE: "ann-lab.hf.space",
    Place.DEMO: "ann-lab.hf.space",
    Place.UNKNOWN: "127.0.0.1:7860",
}
ENDLESS = ("/events", "/queue/data", "/heartbeat/", "/dev/reload", "/upload_progress", "/startup-events")


@pytest.fixture(scope="module")
def lab(tmp_path_factory, cache_dir) -> Lab:
    """A lab with a finished run that holds a file nobody may read."""
    lab = Lab(tmp_path_factory.mktemp("census") / "runs", cache_dir)
    (lab.runs_dir / run(lab) / "secret.txt").write_bytes(CANARY)
    return lab


def door_of(place: Place) -> TokenDoor:
    hosts = ("ann-lab.hf.space",) if place in (Place.SPACE, Place.DEMO) else ()
    return TokenDoor(Setting(place, hosts=hosts, owner_ids=frozenset({"ann"}), signs_in=True))


@contextmanager
def app_at(lab: Lab, door: TokenDoor) -> Iterator[tuple[TestClient, list[tuple[str, str]]]]:
    """The app of a place, and method and path of each of its routes, with the ids of the lab's run in them."""
    kwargs = {"routes": routes_of(lab, addresses()), "lifespan": gate_of(door)}
    app = App.create_app(build_page(lab), app_kwargs=kwargs)
    run_id = lab.rows()[0].run_id
    ours = {(c.method, c.address.replace("{run_id}", run_id).replace("{checkpoint_id:path}", f"{run_id}/step-00000006"))
            for c in TABLE}  # fmt: skip
    table = sorted({(method, path) for method, path in walked(app.routes) if "{" not in path} | ours)
    host = HOSTS[door.place]
    scheme = "http" if host.endswith(":7860") else "https"
    with TestClient(app, base_url=f"{scheme}://{host}", raise_server_exceptions=False) as client:
        yield client, table


def body_for(path: str, run_id: str) -> dict:
    """A body that would act, if it were let in."""
    bodies = {"/start": BODY, "/resume": {"run_id": run_id, "max_steps": 9}, "/rename": {"name": "changed"}}
    return next((body for end, body in bodies.items() if path.endswith(end)), {})


def asked(client: TestClient, method: str, path: str, run_id: str, headers: dict[str, str]):
    content = {"json": body_for(path, run_id)} if method in ("POST", "PUT", "PATCH", "DELETE") else {}
    return client.request(method, path, headers=headers, follow_redirects=False, **content)


def refused_everywhere(lab: Lab, place: Place, headers: dict[str, str], status: int) -> None:
    """Whoever asks with these headers gets this status from every route, and nothing has changed."""
    door, before = door_of(place), fingerprint(lab.runs_dir)
    told = {name: value.replace("OWNER", door.owner_token) for name, value in headers.items()}
    with app_at(lab, door) as (client, table):
        assert len(table) > 80
        for method, path in table:
            reply = asked(client, method, path, lab.rows()[0].run_id, told)
            assert reply.status_code == status, f"{method} {path} answered {reply.status_code}"
            assert CANARY not in reply.content and str(lab.runs_dir).encode() not in reply.content
    assert fingerprint(lab.runs_dir) == before and lab.live() is None and lab.queued() == []


@pytest.mark.parametrize("place", [Place.LAN, Place.SHARE])
def test_without_a_link_there_is_nothing(lab, place):
    refused_everywhere(lab, place, {}, 401)
    refused_everywhere(lab, place, {"authorization": "Bearer x", "cookie": "llm_testing_7860=x"}, 401)


def test_in_an_unknown_place_there_is_nothing_for_anybody(lab):
    refused_everywhere(lab, Place.UNKNOWN, {"authorization": "Bearer OWNER"}, 403)


@pytest.mark.parametrize("place", list(Place))
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "cross-site", "sec-fetch-dest": "empty"}, 403),
        ({"host": "evil.example"}, 421),
        ({"host": "127.0.0.1.evil.example:7860"}, 421),
    ],
)
def test_another_site_and_another_name_change_nothing_with_the_owners_token_either(lab, place, headers, status):
    expected = 403 if place == Place.UNKNOWN else status
    refused_everywhere(lab, place, {**headers, "authorization": "Bearer OWNER"}, expected)


@pytest.mark.parametrize("place", [Place.LAN, Place.SHARE, Place.SPACE, Place.DEMO])
def test_one_who_may_only_look_changes_nothing_and_reads_no_file(lab, place):
    door, before, run_id = door_of(place), fingerprint(lab.runs_dir), lab.rows()[0].run_id
    headers = {"authorization": f"Bearer {door.viewer_token}"}
    role = Role.GUEST if place == Place.DEMO else Role.VIEWER
    needs = {(call.method, call.address): call.needs for call in TABLE}
    with app_at(lab, door) as (client, table):
        for method, path in table:
            if method == "GET" and any(part in path for part in ENDLESS):
                continue
            reply = asked(client, method, path, run_id, headers)
            pattern = path.replace(f"{run_id}/step-00000006", "{checkpoint_id:path}").replace(run_id, "{run_id}")
            needed = needs.get((method, pattern))
            assert CANARY not in reply.content and str(lab.runs_dir).encode() not in reply.content, f"{method} {path}"
            if needed and needed != "anything" and needed not in RIGHTS[place][role]:
                assert reply.status_code == 403, f"{method} {path} answered {reply.status_code}"
            if path.endswith(("/upload", "/component_server", "/run/x", "/call/x", "/api/x")):
                assert reply.status_code == 403, f"{method} {path} answered {reply.status_code}"
        assert client.get(f"{AT}/status", headers=headers).status_code == 200
        started = asked(client, "POST", f"{AT}/start", run_id, headers)
        assert started.status_code == (422 if place == Place.DEMO else 403)
    assert fingerprint(lab.runs_dir) == before and lab.live() is None and lab.queued() == []


def test_the_owners_link_becomes_a_cookie_and_leaves_the_address(lab):
    door = door_of(Place.LAN)
    with app_at(lab, door) as (client, _):
        assert client.get("/").status_code == 401
        assert client.get("/enter?token=x").status_code == 403
        link = door.links(f"http://{HOSTS[Place.LAN]}")["owner"]
        opened = client.get(link)
        cookie = opened.headers["set-cookie"].lower()
        assert opened.status_code == 200 and "httponly" in cookie and "samesite=strict" in cookie
        assert door.owner_token not in opened.text and opened.headers["referrer-policy"] == "no-referrer"
        assert client.get("/").status_code == 200
        assert client.get("/api/health").json()["role"] == "owner"
        assert client.get(f"{AT}/runs/{lab.rows()[0].run_id}/download").content[:2] == b"PK"
        assert client.post("/enter").status_code == 405


def test_a_spaces_page_may_stand_in_a_frame_of_the_hub_and_nowhere_else(lab):
    frame = {"sec-fetch-site": "cross-site", "sec-fetch-dest": "iframe"}
    with app_at(lab, door_of(Place.SPACE)) as (client, _):
        reply = client.get("/", headers=frame)
        assert reply.status_code == 200 and "x-frame-options" not in reply.headers
        assert "frame-ancestors 'self' https://huggingface.co" in reply.headers["content-security-policy"]
        assert client.get(f"{AT}/status", headers=frame).status_code == 403
        assert client.get("/", headers={"x-forwarded-for": "1.2.3.4"}).status_code == 200
    with app_at(lab, door_of(Place.LAN)) as (client, _):
        assert client.get("/", headers=frame).status_code == 403
        assert client.get("/", headers={"x-forwarded-for": "1.2.3.4"}).status_code == 403


def test_those_who_see_no_paths_see_none(lab, tmp_path):
    own = tmp_path / "my-notes.txt"
    own.write_text("Some text of mine that is long enough to train on. " * 40)
    run_id = run(lab, corpus=str(own))
    try:
        for place, shown in ((Place.LOCAL, True), (Place.LAN, False), (Place.SHARE, False)):
            door = door_of(place)
            headers = {"authorization": f"Bearer {door.owner_token}"}
            with app_at(lab, door) as (client, _):
                for path in (f"{AT}/runs", f"{AT}/runs/{run_id}", f"{AT}/checkpoints?config_name=all"):
                    text = client.get(path, headers=headers).text
                    assert ("/my-notes.txt" in text) == shown and "my-notes.txt" in text, (place, path)
    finally:
        lab.trash(run_id)
        lab.empty_trash()
