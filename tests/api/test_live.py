"""The live routes: ready-made bytes by cursor, made once for all who look, and words for what is wrong."""

import asyncio
import json
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from starlette.applications import Starlette

from llm_testing.api.gate import Gate
from llm_testing.api.live import Answers, answer_of
from llm_testing.api.routes import routes_of
from llm_testing.jobs.control import Control
from llm_testing.service.lab import Lab
from llm_testing.ui.assets import addresses

SMALL = {
    "name": "</script><img src=x>", "corpus": "tiny", "tokenizer": "char", "config_name": "custom", "n_layer": 1,
    "n_head": 1, "n_embd": 8, "context_length": 8, "batch_size": 2, "max_steps": 12, "warmup_steps": 2, "threads": 1,
    "intermediate_val_freq_steps": 5, "sample_tokens": 2,
}  # fmt: skip


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A lab with one finished run, and its routes without a server."""
    root: Path = tmp_path_factory.mktemp("live")
    lab = Lab(root / "runs", root / "cache")
    run_id = lab.run_here(SMALL, control=Control())
    return SimpleNamespace(lab=lab, run_id=run_id, app=Gate(Starlette(routes=routes_of(lab, addresses()))))


def get(trained: SimpleNamespace, path: str, **headers: str) -> httpx.Response:
    async def asked() -> httpx.Response:
        transport = httpx.ASGITransport(app=trained.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:7860") as client:
            return await client.get(path, headers=headers)

    return asyncio.run(asked())


def test_points_come_as_columns_and_a_cursor_brings_only_what_is_new(trained):
    first = get(trained, f"/live/points?run={trained.run_id}&after=-1").json()
    assert first["columns"]["step"] == sorted(first["columns"]["step"])
    assert first["columns"]["step"][0] == 0 and first["columns"]["step"][-1] == 12
    assert len({len(values) for values in first["columns"].values()}) == 1
    assert sum(value is not None for value in first["columns"]["val_loss"]) >= 3
    rest = get(trained, f"/live/points?run={trained.run_id}&after={first['next']}").json()
    assert rest["columns"]["step"] == [] and rest["next"] == first["next"]


def test_who_has_the_answer_gets_an_empty_304(trained):
    reply = get(trained, "/live/status")
    assert reply.json()["run"]["run_id"] == trained.run_id and reply.json()["run"]["state"] == "completed"
    again = get(trained, "/live/status", **{"if-none-match": reply.headers["etag"]})
    assert again.status_code == 304 and again.content == b""


def test_a_status_without_a_run_of_this_process_shows_the_newest_of_the_folder(trained):
    later = Lab(trained.lab.runs_dir, trained.lab.cache_dir)
    app = SimpleNamespace(app=Gate(Starlette(routes=routes_of(later, {}))))
    said = get(app, "/live/status").json()
    assert said["here"] is False and said["run"]["run_id"] == trained.run_id and said["run"]["colour"].startswith("#")


@pytest.mark.parametrize("name", ["run", "points", "texts"])
@pytest.mark.parametrize("run_id", ["..", "../../etc", "%2e%2e%2fetc", "a%00b", "", "x" * 5000])
def test_what_is_no_run_id_is_400(trained, name, run_id):
    reply = get(trained, f"/live/{name}?run={run_id}")
    assert reply.status_code == 400 and "error" in reply.json()


def test_a_run_that_is_gone_is_said_so(trained):
    assert "20260101-000000-aaaa" in get(trained, "/live/run?run=20260101-000000-aaaa").json()["gone"]


@pytest.mark.parametrize("cursor", ["x", "1.5", "", "1e3", "9" * 40, "--1"])
def test_a_cursor_is_a_whole_number(trained, cursor):
    reply = get(trained, f"/live/points?run={trained.run_id}&after={cursor}")
    assert reply.status_code == 422 and "whole number" in reply.json()["error"]


def test_a_hostile_name_stays_data(trained):
    reply = get(trained, "/live/runs")
    assert reply.headers["content-type"] == "application/json"
    assert reply.json()["runs"][0]["name"] == SMALL["name"]


def test_files_of_the_page_are_served_and_nothing_beside_them(trained):
    assert get(trained, "/live/static/main.js").headers["content-type"].startswith("text/javascript")
    assert len(get(trained, "/live/plotly.min.js").content) > 1_000_000
    for path in ("/live/static/../theme.py", "/live/static/%2e%2e/theme.py", "/live/static/", "/live/static/none.js"):
        assert get(trained, path).status_code == 404


def test_fifty_viewers_cost_one_answer():
    made = []

    async def viewers() -> list:
        answers = Answers()
        asking = [answers.get(("status",), 60, lambda: made.append(1) or {"a": 1}) for _ in range(50)]
        return await asyncio.gather(*asking)

    assert len({answer.body for answer in asyncio.run(viewers())}) == 1
    assert len(made) == 1


def test_numbers_that_json_lacks_become_null():
    assert json.loads(answer_of({"a": float("nan"), "b": [float("inf")]}).body) == {"a": None, "b": [None]}
