"""A public demo: anybody may queue its one run, nobody chooses what it costs, and its time ends."""

import pytest

from llm_testing.service import demo
from llm_testing.service.places import Place
from tests.api.served import AT, served, told
from tests.api.whole_app import SPACE_HOST, door_of
from tests.service.parts import until

pytestmark = pytest.mark.proof


@pytest.fixture
def guest(lab):
    with served(lab, door_of(Place.DEMO), host=SPACE_HOST) as client:
        yield client


def test_anybody_starts_the_one_run_and_it_ends_in_time(guest, lab, monkeypatch):
    monkeypatch.setattr(demo.start_demo, "__defaults__", (0.0,))
    begun = guest.post(f"{AT}/start", json={})
    assert begun.status_code == 200, begun.text
    run_id = begun.json()["run_id"]
    assert begun.json()["config"]["max_steps"] == demo.VALUES["max_steps"]
    assert told(guest.post(f"{AT}/start", json={}), 409)["run_id"] == run_id
    until(lambda: lab.live() is None, 60)
    assert lab.details(run_id)["state"] == "stopped" and guest.get(f"{AT}/status").json()["state"] == "completed"
    for call in ("pause", "stop", "resume", "checkpoint/save-now"):
        told(guest.post(f"{AT}/{call}", json={"run_id": run_id} if call == "resume" else None), 403)
    told(guest.delete(f"{AT}/runs/{run_id}"), 403)


@pytest.mark.parametrize(
    "body", [{"max_steps": 10**8}, {"config_name": "xlarge"}, {"corpus": "/etc/passwd"}, {"corpus": "https://x/y.txt"}]
)
def test_what_it_costs_is_not_a_guests_to_choose(guest, lab, body):
    refused = told(guest.post(f"{AT}/start", json=body), 422)
    assert [problem["field"] for problem in refused["errors"]] == list(body) and lab.live() is None
