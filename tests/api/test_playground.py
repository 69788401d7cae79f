"""The playground's calls: a text in JSON lines as it is written, all heads at once, refusals before the first byte."""

import json

import pytest

from llm_testing.service.lab import Lab
from tests.api.served import AT, served
from tests.service.parts import run

ASKED = {"prompt": "The", "max_tokens": 5, "temperature": 0}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    root = tmp_path_factory.mktemp("playground")
    lab = Lab(root / "runs", root / "cache")
    return lab, run(lab)


def test_a_text_comes_piece_by_piece_and_says_how_long_it_took(trained):
    lab, run_id = trained
    client = served(lab)
    reply = client.post(f"{AT}/generate/stream", json={**ASKED, "checkpoint_id": run_id})
    first, *pieces, last = [json.loads(line) for line in reply.text.splitlines()]
    assert reply.headers["content-type"].startswith("application/x-ndjson")
    assert first == {"checkpoint_id": f"{run_id}/step-00000006", "run_id": run_id, "step": 6}
    assert last["done"] is True and last["tokens_generated"] == 5 and last["seconds"] >= 0
    whole = client.post(f"{AT}/generate", json={**ASKED, "checkpoint_id": run_id}).json()["text"]
    assert "The" + "".join(piece["text"] for piece in pieces) == whole


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"checkpoint_id": "live"}, 409, "no live model"),
        ({"checkpoint_id": "20260101-000000-aaaa"}, 404, "20260101-000000-aaaa"),
        ({"checkpoint_id": "../../etc"}, 400, "not a checkpoint id"),
        ({"temperature": -1}, 422, "temperature"),
        ({"max_tokens": 0}, 422, "max_tokens"),
    ],
)
def test_what_cannot_be_written_is_refused_before_the_answer_begins(trained, body, status, said):
    reply = served(trained[0]).post(f"{AT}/generate/stream", json={**ASKED, **body})
    assert reply.status_code == status and said in reply.json()["detail"]


def test_heads_of_a_layer_come_together(trained):
    lab, run_id = trained
    reply = served(lab).post(f"{AT}/analyze/heads", json={"checkpoint_id": run_id, "text": "the"}).json()
    assert reply["tokens"] == ["t", "h", "e"] and len(reply["weights"]) == reply["num_heads"] == 2
    assert reply["weights"][0][0] == [1.0, 0.0, 0.0]
