"""Sweeps and what is taken along, as REST calls: refused in words, done as the service does it."""

import io
import zipfile

import pytest

from llm_testing.service.lab import Lab
from tests.api.served import AT, served, told
from tests.service.parts import TINY, run, until

AXES = {"learning_rate": [1e-3, 3e-2], "seed": [1, 2]}
SHARED = {name: list(value) if isinstance(value, tuple) else value for name, value in TINY.items()}


@pytest.fixture
def client(lab):
    with served(lab) as client:
        yield client


@pytest.fixture(scope="module")
def kept(tmp_path_factory, cache_dir) -> tuple[Lab, list[str]]:
    """A lab with two finished runs of hostile and plain names."""
    lab = Lab(tmp_path_factory.mktemp("kept") / "runs", cache_dir)
    return lab, [run(lab, name=name) for name in ("</script><img src=x>", "plain")]


def test_a_sweep_is_looked_at_started_and_summed_up(client, lab):
    asked = {"config": SHARED, "options": AXES, "tag": "rates"}
    seen = client.post("/api/sweeps/preview", json=asked).json()
    assert seen["num_runs"] == 4 and seen["tag"] == "sweep:rates" and seen["sentences"] and lab.rows() == []
    made = client.post("/api/sweeps", json=asked).json()
    assert len(made["run_ids"]) == 4 and made["tag"] == "sweep:rates"
    until(lambda: all(row.state == "completed" for row in lab.rows()))
    summed = client.get("/api/sweeps/rates").json()
    assert {entry["run_id"] for entry in summed["runs"]} == set(made["run_ids"])
    values = {(entry["values"]["learning_rate"], entry["values"]["seed"]) for entry in summed["runs"]}
    assert values == {(rate, seed) for rate in AXES["learning_rate"] for seed in AXES["seed"]}
    (listed,) = client.get("/api/sweeps").json()["sweeps"]
    assert listed["states"] == {"completed": 4} and listed["best"] == summed["runs"][0]["run_id"]
    side_by_side = client.post("/api/sweeps/preview", json={**asked, "mode": "list"}).json()
    assert side_by_side["num_runs"] == 2


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"options": {}}, "option"),
        ({"options": {"learning_rate": []}}, "learning_rate"),
        ({"options": {"learning_rate": ["nine"]}}, "nine"),
        ({"options": {"no_such": [1]}}, "no_such"),
        ({"options": {"n_head": [3]}, "config": {**SHARED, "n_embd": 16}}, "head"),
        ({"options": {**AXES, "batch_size": [1, 2], "dropout": [0, 0.1]}}, "1 to 3 options"),
        ({"options": {"learning_rate": [1e-3, 2e-3], "seed": [1]}, "mode": "list"}, "as many values"),
        ({"config": {**SHARED, "queue": True}}, "queue"),
        ({"mode": "random"}, "random"),
    ],
)
def test_a_sweep_that_cannot_be_is_refused_before_any_run_is_made(client, lab, changes, said):
    for address in ("/api/sweeps/preview", "/api/sweeps"):
        refused = told(client.post(address, json={"config": SHARED, "options": AXES, **changes}), 422)
        assert said in refused["detail"].lower() or said in str(refused["errors"]).lower(), refused
    assert lab.rows() == []


def test_runs_leave_as_a_page_as_event_files_and_as_zips(kept):
    lab, run_ids = kept
    with served(lab) as client:
        page = client.get(f"/api/runs/{run_ids[0]}/report")
        assert (
            page.headers["content-type"].startswith("text/html") and "attachment" in page.headers["content-disposition"]
        )
        assert "<img src=x>" not in page.text
        both = client.get("/api/compare/report", params={"runs": ",".join(run_ids)})
        assert all(run_id in both.text for run_id in run_ids) and str(lab.runs_dir) not in both.text
        for address, holds in (("/api/runs/tensorboard", "tfevents"), ("/api/runs/export", "run.json")):
            reply = client.get(address, params={"runs": ",".join(run_ids)})
            with zipfile.ZipFile(io.BytesIO(reply.content)) as packed:
                assert {name.split("/")[0] for name in packed.namelist() if holds in name} == set(run_ids)
        for address in ("/api/compare/report", "/api/runs/tensorboard", "/api/runs/export"):
            assert told(client.get(address, params={"runs": "20200101-000000-ffff"}), 404)["detail"]
            assert told(client.get(address, params={"runs": "../x"}), 400)["detail"]
            if address != "/api/runs/export":  # that takes all runs where none is named
                assert told(client.get(address), 422)["detail"]
        assert told(client.get(f"{AT}/runs/20200101-000000-ffff/download"), 404)
