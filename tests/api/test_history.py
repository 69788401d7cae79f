"""Run History over REST and for the page: both kinds listed, opened, compared, marked; nothing is ever a 500."""

import asyncio
import io
import json
import re
import zipfile
from types import SimpleNamespace

import httpx
import pytest
from starlette.applications import Starlette

from llm_testing.api.gate import Gate
from llm_testing.api.rest import TABLE
from llm_testing.api.routes import routes_of
from tests.api.served import served, told
from tests.service.parts import made, run
from tests.service.test_history import HOSTILE, WAYS, damage

AT = "/api/runs"


def looked(lab, *paths: str) -> list[SimpleNamespace]:
    """Answers of the live routes, as the page asks."""
    app = Gate(Starlette(routes=routes_of(lab, {})))

    async def asked() -> list[httpx.Response]:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:7860") as client:
            return [await client.get(path) for path in paths]

    return asyncio.run(asked())


def test_the_list_takes_its_questions_in_words_and_refuses_others(lab):
    one, two = made(lab, 1, tags=["a b"]), made(lab, 2, kind="finetune", starred=True)
    api = served(lab)
    assert [row["run_id"] for row in api.get(AT).json()["runs"]] == [two, one]
    asked = {"tag=a+b": [one], "starred=true": [two], "starred=false": [one], "kind=pretrain": [one],
             "state=failed": [], "sort=learning_rate&limit=1": [two], "search=RUN+000001": [one]}  # fmt: skip
    for query, found in asked.items():
        assert [row["run_id"] for row in api.get(f"{AT}?{query}").json()["runs"]] == found, query
        (live,) = looked(lab, f"/live/runs?{query}")
        assert [row["run_id"] for row in live.json()["runs"]] == found
    for query, field in (("sort=x", "sort"), ("kind=x", "kind"), ("limit=0", "limit"), ("nothing=1", "nothing")):
        assert told(api.get(f"{AT}?{query}"), 422)["errors"][0]["field"] == field
    row = api.get(AT).json()["runs"][0]
    assert {"colour", "model", "dataset", "bytes", "peak_bytes", "notes", "archived", "final_val_loss"} <= set(row)


def test_marks_are_set_one_by_one_and_many_at_once(lab):
    one, two = made(lab, 1), made(lab, 2)
    api = served(lab)
    marked = api.post(f"{AT}/{one}/mark", json={"tags": ["x", " X "], "notes": "n", "starred": True}).json()
    assert marked == {"run_id": one, "name": "run 1", "tags": ["x"], "notes": "n", "starred": True, "archived": False}
    assert api.post(f"{AT}/{one}/mark", json={"notes": ""}).json()["notes"] == ""
    assert told(api.post(f"{AT}/{one}/mark", json={}), 422)
    assert told(api.post(f"{AT}/{one}/mark", json={"state": "failed"}), 422)["errors"][0]["field"] == "state"
    done = api.post(f"{AT}/bulk", json={"runs": [one, two, "../x"], "action": "tag", "tags": ["both"]}).json()
    assert done["done"] == [one, two] and list(done["refused"]) == ["../x"]
    deleted = api.post(f"{AT}/bulk", json={"runs": [one], "action": "delete"}).json()
    assert deleted["bytes"] > 0 and [row["run_id"] for row in api.get(AT).json()["runs"]] == [two]
    assert api.post(f"{AT}/bulk", json={"runs": [one], "action": "restore"}).json()["done"] == [one]
    assert told(api.post(f"{AT}/bulk", json={"runs": [one], "action": "explode"}), 422)


def test_who_asks_again_after_a_change_is_told_of_it(lab):
    """What is kept for fifty viewers is not what was before."""
    one, two = made(lab, 1), made(lab, 2)
    app = Gate(Starlette(routes=routes_of(lab, {})))
    changes = (
        (f"{AT}/{one}/mark", {"name": "a newer name", "tags": ["newer"]}),
        (f"{AT}/bulk", {"runs": [two], "action": "delete"}),
        (f"{AT}/bulk", {"runs": [two], "action": "restore"}),
    )

    async def asked() -> list[list[dict]]:
        transport, seen = httpx.ASGITransport(app=app), []
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:7860") as client:
            for address, body in (("", {}), *changes):
                assert not address or (await client.post(address, json=body)).status_code == 200
                paths = ("/live/runs", "/live/facets", f"/live/run?run={one}", f"/live/compare?runs={one},{two}")
                seen.append([(await client.get(path)).json() for path in paths])
        return seen

    before, marked, deleted, restored = asyncio.run(asked())
    names = [[row["name"] for row in look[0]["runs"]] for look in (before, marked, deleted, restored)]
    assert names == [
        ["run 2", "run 1"], ["run 2", "a newer name"], ["a newer name"], ["run 2", "a newer name"]]  # fmt: skip
    assert marked[1]["tags"] == [["newer", 1]] and deleted[1]["kinds"] == [["pretrain", 1]]
    assert all("a newer name" not in str(answer) for answer in before) and "gone" in deleted[3]
    assert "a newer name" in str(marked[2]) and "a newer name" in str(marked[3]) and two in str(restored[3])


def test_no_address_is_hidden_behind_one_that_takes_any_id():
    seen: list[tuple[str, str]] = []
    for call in TABLE:
        for method, earlier in seen:
            pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(earlier))
            assert method != call.method or not re.fullmatch(pattern, call.address), (
                f"{call.address} is behind {earlier}"
            )
        seen.append((call.method, call.address))


@pytest.mark.parametrize("run_id", HOSTILE)
def test_what_is_no_run_id_is_400_or_404(lab, run_id):
    real = made(lab, 1)
    api = served(lab)
    quoted = "".join(f"%{byte:02x}" for byte in run_id.encode())
    for reply in (
        api.get(f"{AT}/{quoted}"), api.post(f"{AT}/{quoted}/mark", json={"starred": True}),
        api.get(f"{AT}/{quoted}/coach"), api.get(f"{AT}/compare?runs={quoted}"), api.get(f"{AT}/export?runs={quoted}"),
    ):  # fmt: skip
        # An empty id is the address of the list, and one with slashes is no address at all.
        # Around the ids of a list spaces mean nothing.
        assert reply.status_code in (400, 404, 405, 422) or run_id.strip() in ("", ".", "..", real), reply.text
    for reply in looked(
        lab, *(f"/live/{name}={quoted}" for name in ("run?run", "points?run", "coach?run", "compare?runs"))
    ):
        assert reply.status_code in (400, 422)


@pytest.mark.parametrize("how", WAYS)
def test_no_damage_is_a_500(lab, how):
    bad, good = made(lab, 1), made(lab, 2)
    damage(lab.runs_dir / bad, how)
    paths = (
        "/live/runs?archived=all", "/live/facets", "/live/status", f"/live/run?run={bad}", f"/live/points?run={bad}",
        f"/live/points?run={bad}&from_x=0&to_x=2", f"/live/texts?run={bad}", f"/live/coach?run={bad}",
        f"/live/compare?runs={bad},{good}", f"/live/side_by_side?runs={bad},{good}", "/live/scatter",
    )  # fmt: skip
    for path, reply in zip(paths, looked(lab, *paths), strict=True):
        assert reply.status_code in (200, 422), (path, reply.text)
        json.loads(reply.content, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    api = served(lab)
    assert good in {row["run_id"] for row in api.get(AT).json()["runs"]}
    for reply in (
        api.get(f"{AT}/{bad}"), api.get(f"{AT}/{bad}/coach"), api.get(f"{AT}/compare?runs={bad},{good}"),
        api.post(f"{AT}/bulk", json={"runs": [bad, good], "action": "archive"}), api.get("/api/pretraining/runs"),
        api.post(f"{AT}/bulk", json={"runs": [bad], "action": "delete"}),
    ):  # fmt: skip
        assert reply.status_code in (200, 404, 409, 422), reply.text
    assert api.get(f"{AT}/export?runs={good}").status_code == 200


def test_a_run_is_opened_compared_and_taken_along(lab):
    run_id = run(lab)
    api = served(lab)
    opened = api.get(f"{AT}/{run_id}").json()
    assert opened["actions"]["extend"] is None and opened["repeat"]["cli"].startswith("python -m llm_testing pretrain")
    assert api.get(f"{AT}/compare?runs={run_id}&x=flops").json()["curves"][run_id]["columns"]["flops"][-1] > 0
    assert api.get(f"{AT}/{run_id}/coach").json()["run_id"] == run_id
    (zoomed,) = looked(lab, f"/live/points?run={run_id}&x=step&from_x=2&to_x=4")
    assert zoomed.json()["columns"]["step"] == [1, 2, 3, 4, 5]
    (wrong,) = looked(lab, f"/live/points?run={run_id}&from_x=nan")
    assert wrong.status_code == 422
    packed = api.get(f"{AT}/export?runs={run_id}&checkpoints=false").content
    assert f"{run_id}/run.json" in zipfile.ZipFile(io.BytesIO(packed)).namelist()
    lab.trash(run_id)
    lab.empty_trash()
    assert api.post("/api/pretraining/archive", content=packed).json()["restored"] == [run_id]
    assert "no checkpoint" in api.get(f"{AT}/{run_id}").json()["actions"]["fork"]
