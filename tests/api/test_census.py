"""Every route of the app that runs, ours and Gradio's, asked by those who may not: nothing changes, nothing leaks.

The routes and handlers are read from the launched app itself, so that a new one is asked too.
"""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import httpx
import pytest

from llm_testing.api.gate import STARTUP
from llm_testing.api.rest import TABLE
from llm_testing.service.lab import Lab
from llm_testing.service.places import Place
from llm_testing.service.roles import RIGHTS, Role
from tests.api.served import AT, BODY, fingerprint
from tests.api.whole_app import WholeApp, door_of, opened
from tests.service.parts import run

CANARY = b"canary-7f3a"
ENDLESS = re.compile(r"/events$|/queue/data|/heartbeat/|/dev/reload|/upload_progress|/stream/|/monitoring")
CHANGING = ("POST", "PUT", "PATCH", "DELETE")
# Gradio reads its own statistics with words that pandas gives up: https://github.com/gradio-app/gradio/pull/13000
pytestmark = [pytest.mark.proof, pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")]


@pytest.fixture(scope="module")
def lab(tmp_path_factory, cache_dir) -> Lab:
    """A lab with a finished run that holds a file nobody may read."""
    lab = Lab(tmp_path_factory.mktemp("census") / "runs", cache_dir)
    (lab.runs_dir / run(lab) / "secret.txt").write_bytes(CANARY)
    return lab


@pytest.fixture(scope="module")
def app_at(lab) -> Iterator[Callable[..., WholeApp]]:
    """The app of a place, launched once."""
    with ExitStack() as stack:
        apps: dict[tuple, WholeApp] = {}

        def app(place: Place, **changes) -> WholeApp:
            key = (place, *sorted(changes))
            if key not in apps:
                if place == Place.UNKNOWN:  # app.py refuses to start there; the gate is strict by itself too
                    apps[key] = stack.enter_context(opened(lab, door_of(place), checked=False))
                else:
                    apps[key] = stack.enter_context(opened(lab, door_of(place, **changes)))
            return apps[key]

        yield app


def addresses(app: WholeApp, lab: Lab) -> list[tuple[str, str, str]]:
    """Method, path and pattern of every route, with the ids and the secret file of the lab's run put in."""
    run_id, found = lab.rows()[0].run_id, []
    values = {"run_id": run_id, "checkpoint_id": f"{run_id}/step-00000006"}
    secret = str(lab.runs_dir / run_id / "secret.txt")
    for method, pattern in app.routes():
        for other in ("x", secret, f"..{secret}"):
            path = re.sub(r"\{(\w+)(?::\w+)?\}", lambda found, other=other: values.get(found[1], other), pattern)
            found.append((method, path, pattern))
    return sorted(set(found))


def body_for(path: str, run_id: str) -> dict:
    """A body that would act, if it were let in."""
    bodies = {"/start": BODY, "/resume": {"run_id": run_id, "max_steps": 9}, "/rename": {"name": "changed"}}
    return next((body for end, body in bodies.items() if path.endswith(end)), {})


def asked(client: httpx.Client, method: str, path: str, run_id: str, headers: dict[str, str]) -> tuple[int, bytes]:
    """Status and the beginning of the answer."""
    content = {"json": body_for(path, run_id)} if method in CHANGING else {}
    limit = {"timeout": 0.3} if method == "GET" and ENDLESS.search(path) else {}
    said = b""
    try:
        with client.stream(method, path, headers=headers, **content, **limit) as reply:
            status = reply.status_code
            assert may_be_framed_by_few(reply), f"{method} {path} may stand in anybody's frame"
            try:
                for block in reply.iter_bytes():
                    said += block
                    if len(said) > 2**20:
                        break
            except httpx.TimeoutException:
                pass
    except httpx.TimeoutException:
        assert limit, f"{method} {path} did not answer"
        return 200, said
    return status, said


def may_be_framed_by_few(reply: httpx.Response) -> bool:
    """Whether an answer of any kind says whose pages may show it: its own, and on a Space the Hub's."""
    policies = reply.headers.get_list("content-security-policy")
    named = re.findall(r"frame-ancestors ([^;]*)", policies[0]) if len(policies) == 1 else []
    if named == ["'self'"]:
        return reply.headers.get("x-frame-options") == "SAMEORIGIN"
    return named == ["'self' https://huggingface.co"]


def untouched(lab: Lab) -> Callable[[], bool]:
    """Whether the runs are still as they are now, and nothing has begun."""
    before = fingerprint(lab.runs_dir)
    return lambda: fingerprint(lab.runs_dir) == before and lab.live() is None and lab.queued() == []


def refused_everywhere(app: WholeApp, lab: Lab, headers: dict[str, str], status: int) -> None:
    """Whoever asks with these headers gets this status from every route, and nothing has changed."""
    still, run_id, table = untouched(lab), lab.rows()[0].run_id, addresses(app, lab)
    assert len(table) > 150 and len({pattern for *_, pattern in table}) > 80
    with app.client() as client:
        for method, path, _ in table:
            got, said = asked(client, method, path, run_id, headers)
            assert got == status, f"{method} {path} answered {got}"
            assert CANARY not in said and str(lab.runs_dir).encode() not in said
    assert still()


@pytest.mark.parametrize("place", [Place.LAN, Place.SHARE, Place.LOCAL])
def test_without_a_link_there_is_nothing(app_at, lab, place):
    app = app_at(place, require_token=True) if place == Place.LOCAL else app_at(place)
    refused_everywhere(app, lab, {}, 401)
    refused_everywhere(app, lab, {"authorization": "Bearer x", "cookie": "llm_testing_7860=x"}, 401)


def test_in_an_unknown_place_there_is_nothing_for_anybody(app_at, lab):
    app = app_at(Place.UNKNOWN)
    refused_everywhere(app, lab, app.bearer("owner"), 403)


@pytest.mark.parametrize("place", [place for place in Place if place != Place.UNKNOWN])
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": "https://evil.example"}, 403),
        ({"sec-fetch-site": "cross-site", "sec-fetch-dest": "empty"}, 403),
        ({"host": "evil.example"}, 421),
        ({"host": "127.0.0.1.evil.example:PORT"}, 421),
    ],
)
def test_another_site_and_another_name_change_nothing_with_the_owners_token_either(app_at, lab, place, headers, status):
    app = app_at(place)
    port = app.url.rpartition(":")[2]
    told = {name: value.replace("PORT", port) for name, value in headers.items()}
    refused_everywhere(app, lab, {**told, **app.bearer("owner")}, status)


@pytest.mark.parametrize("place", [Place.LAN, Place.SHARE, Place.SPACE, Place.DEMO])
def test_one_who_may_only_look_changes_nothing_and_reads_no_file(app_at, lab, place):
    app, still, run_id = app_at(place), untouched(lab), lab.rows()[0].run_id
    role = Role.GUEST if place == Place.DEMO else Role.VIEWER
    needs = {(call.method, call.address): call.needs for call in TABLE}
    with app.client() as client:
        for method, path, pattern in addresses(app, lab):
            got, said = asked(client, method, path, run_id, app.bearer("viewer"))
            where, needed = f"{method} {path} answered {got}", needs.get((method, pattern))
            assert CANARY not in said and str(lab.runs_dir).encode() not in said, where
            if needed not in (None, "anything", *RIGHTS[place][role]):
                assert got == 403, where
            if needed is None and method in CHANGING and not path.endswith(("/queue/join", "/reset")):
                assert got in (403, 405), where
        assert client.get(f"{AT}/status", headers=app.bearer("viewer")).status_code == 200
        got, _ = asked(client, "POST", f"{AT}/start", run_id, app.bearer("viewer"))
        assert got == (422 if place == Place.DEMO else 403)
    assert still()


def called(client: httpx.Client, headers: dict[str, str], index: int, data: list) -> str:
    """How a handler that is called by its number ends: the last message of its queue."""
    session = f"census{index}"
    join = {"fn_index": index, "data": data, "session_hash": session}
    reply = client.post("/gradio_api/queue/join", json=join, headers=headers)
    if reply.status_code != 200:
        return f"refused {reply.status_code}"
    with client.stream("GET", f"/gradio_api/queue/data?session_hash={session}", headers=headers) as stream:
        for line in stream.iter_lines():
            message = json.loads(line.removeprefix("data: ")) if line.startswith("data: ") else {}
            if message.get("msg") in ("process_completed", "unexpected_error"):
                return "done" if message.get("success") else f"refused: {message['output'].get('error')}"
    return "no answer"


@pytest.mark.parametrize("place", [Place.LAN, Place.SPACE, Place.DEMO])
def test_no_handler_of_the_page_acts_for_one_who_may_only_look(app_at, lab, place):
    app, still, run_id = app_at(place), untouched(lab), lab.rows()[0].run_id
    acting = 0
    with app.client() as client:
        for dependency in client.get("/config", headers=app.bearer("viewer")).json()["dependencies"]:
            if not dependency["backend_fn"] or place == Place.DEMO and dependency["api_name"] == "start":
                continue  # the demo's one run, which anybody may start
            inputs = app.page.fns[dependency["id"]].inputs
            data = [run_id if "run" in str(getattr(c, "elem_id", "")) else getattr(c, "value", None) for c in inputs]
            ended = called(client, app.bearer("viewer"), dependency["id"], data)
            if dependency["api_visibility"] == "private" and dependency["targets"][0][1] != "load":
                acting += 1
                assert ended.startswith("refused: You may not"), f"{dependency['targets']} ended {ended}"
                direct = {"fn_index": dependency["id"], "data": data, "session_hash": "census"}
                straight = client.post("/gradio_api/run/predict", json=direct, headers=app.bearer("viewer"))
                assert straight.status_code >= 400, f"{dependency['targets']} answered {straight.text[:200]}"
            assert ended != "no answer"
    assert acting >= 10 and still()


def test_no_handler_of_the_page_reads_a_path_for_an_owner_from_afar(app_at, lab):
    """Whichever form it is in: a field that names a file is refused before its handler runs."""
    app, still = app_at(Place.LAN), untouched(lab)
    fields = {f"lt-{form}option-{name}" for form, name in (
        ("", "corpus"), ("", "val_corpus"), ("tune-", "model_name"), ("tune-", "dataset"))}  # fmt: skip
    refused = set()
    with app.client() as client:
        for dependency in client.get("/config", headers=app.bearer("owner")).json()["dependencies"]:
            function = app.page.fns[dependency["id"]]
            ids = [str(getattr(component, "elem_id", "")) for component in function.inputs]
            if not dependency["backend_fn"] or not dependency["queue"] or not fields & set(ids):
                continue
            for field in fields & set(ids):
                values = [getattr(component, "value", None) for component in function.inputs]
                data = ["/etc/passwd" if i == field else value for i, value in zip(ids, values, strict=True)]
                ended = called(client, app.bearer("owner"), dependency["id"], data)
                assert "You may not use and see paths of this machine" in ended, (dependency["targets"], field, ended)
                refused.add(field)
    assert refused == fields and still()


@pytest.mark.parametrize("place", [Place.LAN, Place.SHARE])
def test_what_the_forms_begin_with_is_nothing_that_an_owner_from_afar_may_not(app_at, lab, place):
    """Empty fields name nothing, so they are no path of this machine's either; only the batch of 0 is wrong here."""
    app, still, buttons = app_at(place), untouched(lab), {"lt-start", "lt-tune-start"}
    with app.client() as client:
        for function in app.page.fns.values():
            pressed = [getattr(app.page.blocks.get(target), "elem_id", None) for target, _ in function.targets]
            if button := next((each for each in pressed if each in buttons), None):
                buttons.remove(button)
                ids = [str(getattr(component, "elem_id", "")) for component in function.inputs]
                values = [getattr(component, "value", None) for component in function.inputs]
                data = [0 if i.endswith("batch_size") else value for i, value in zip(ids, values, strict=True)]
                ended = called(client, app.bearer("owner"), function._id, data)
                assert "You may not" not in ended, (button, ended)
    assert not buttons and still()


@pytest.mark.parametrize("place", [Place.LAN, Place.SPACE, Place.DEMO])
def test_the_page_opens_without_an_error_for_one_who_may_only_look(app_at, place):
    app = app_at(place)
    with app.client(**app.bearer("viewer")) as client:
        loads = [
            d for d in client.get("/config").json()["dependencies"] if d["targets"] and d["targets"][0][1] == "load"
        ]
        assert loads
        for load in loads:
            inputs = app.page.fns[load["id"]].inputs
            direct = {"fn_index": load["id"], "data": [None] * len(inputs), "session_hash": "opens"}
            reply = client.post("/gradio_api/run/predict", json=direct)
            assert not load["backend_fn"] or reply.status_code == 200, reply.text


def test_a_named_endpoint_asks_for_the_same_right_as_its_rest_call(app_at, lab):
    app, still = app_at(Place.SHARE), untouched(lab)
    rights = RIGHTS[Place.SHARE][Role.VIEWER]
    with app.client() as client:
        for function in app.page.fns.values():
            call = next((call for call in TABLE if call.named and call.named == function.api_name), None)
            if call is not None and call.needs not in ("anything", *rights):
                ended = called(client, app.bearer("viewer"), function._id, [None] * len(function.inputs))
                assert ended.startswith("refused: You may not"), f"{call.named} ended {ended}"
    assert still()


def test_the_owners_link_becomes_a_cookie_and_leaves_the_address(app_at, lab):
    app = app_at(Place.LAN)
    with app.client() as client:
        assert client.get("/").status_code == 401
        assert client.get("/enter?token=x").status_code == 403
        opened_page = client.get(app.door.links("http://x")["owner"].removeprefix("http://x"))
        cookie = opened_page.headers["set-cookie"].lower()
        assert opened_page.status_code == 200 and "httponly" in cookie and "samesite=strict" in cookie
        assert app.door.owner_token not in opened_page.text and opened_page.headers["referrer-policy"] == "no-referrer"
        assert client.get("/").status_code == 200
        assert client.get("/api/place").json()["role"] == "owner"
        assert client.get(f"{AT}/runs/{lab.rows()[0].run_id}/download").content[:2] == b"PK"
        assert client.post("/enter").status_code == 405


def test_gradios_own_first_question_is_answered_once_without_a_token(app_at):
    with app_at(Place.LAN).client() as client:
        assert client.get(STARTUP).status_code == 401  # the launch has asked already


def test_a_spaces_page_may_stand_in_a_frame_of_the_hub_and_nowhere_else(app_at):
    frame = {"sec-fetch-site": "cross-site", "sec-fetch-dest": "iframe"}
    with app_at(Place.SPACE).client() as client:
        reply = client.get("/", headers=frame)
        assert reply.status_code == 200 and "x-frame-options" not in reply.headers
        assert "frame-ancestors 'self' https://huggingface.co" in reply.headers["content-security-policy"]
        assert client.get(f"{AT}/status", headers=frame).status_code == 403
        assert client.get("/", headers={"x-forwarded-for": "1.2.3.4"}).status_code == 200
    app = app_at(Place.LAN)
    with app.client(**app.bearer("owner")) as client:
        assert client.get("/", headers=frame).status_code == 403
        assert client.get("/", headers={"x-forwarded-for": "1.2.3.4"}).status_code == 403


def test_those_who_see_no_paths_see_none(app_at, lab, tmp_path):
    own = tmp_path / "my-notes.txt"
    own.write_text("Some text of mine that is long enough to train on. " * 40)
    run_id = run(lab, corpus=str(own))
    pages = (f"{AT}/runs", f"{AT}/runs/{run_id}", f"{AT}/checkpoints?config_name=all", f"/live/run?run={run_id}")
    try:
        for place, shown in ((Place.LOCAL, True), (Place.LAN, False), (Place.SHARE, False)):
            app = app_at(place)
            with app.client(**app.bearer("owner")) as client:
                for path in (*pages, "/live/status", "/live/runs"):
                    text = client.get(path).text
                    assert str(tmp_path) not in text or shown, (place, path)
                    assert path not in pages or "my-notes.txt" in text, (place, path)
                assert (str(tmp_path) in client.get(pages[1]).text) == shown
    finally:
        lab.trash(run_id)
        lab.empty_trash()
