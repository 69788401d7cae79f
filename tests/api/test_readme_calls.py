"""The README's examples for scripts do what they say: each is taken from it and run against the launched app."""

import json
import re
import shlex
from collections.abc import Iterator

import httpx
import pytest

from llm_testing.service.lab import Lab
from llm_testing.service.places import Place
from tests.api.whole_app import WholeApp, door_of, opened
from tests.cli.conftest import ROOT
from tests.data.tiny_model import tiny_model, write_rows
from tests.service.parts import until

README = (ROOT / "README.md").read_text(encoding="utf-8")
THERE = "http://127.0.0.1:7860"
FILES = {"@notes.txt": "Notes of my own. " * 50}
"""What curl would send of files."""
# Gradio reads its own statistics with words that pandas gives up: https://github.com/gradio-app/gradio/pull/13000
pytestmark = [pytest.mark.proof, pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")]


def block(name: str) -> str:
    (found,) = re.findall(rf"<!-- {name}:begin -->\n```\w*\n(.*?)```\n<!-- {name}:end -->", README, re.DOTALL)
    return found


@pytest.fixture
def app(lab: Lab) -> Iterator[WholeApp]:
    with opened(lab, door_of(Place.LOCAL)) as app:
        yield app


def called(client: httpx.Client, line: str) -> tuple[str, httpx.Response]:
    """What a line of curl asks for, and the answer."""
    words = shlex.split(line)
    assert words[:2] == ["curl", "-s"] and " ".join(words).count(THERE) == 1, line
    (address,) = [word for word in words if word.startswith(THERE)]
    body = words[words.index("-d") + 1] if "-d" in words else FILES.get(words[-1])
    headers = dict([words[words.index("-H") + 1].split(": ")]) if "-H" in words else {}
    method = words[words.index("-X") + 1] if "-X" in words else "GET"
    reply = client.request(method, address.removeprefix(THERE), content=body, headers=headers)
    assert reply.status_code == 200, f"{line} answered {reply.status_code}: {reply.text}"
    return address.removeprefix(f"{THERE}/api/").partition("?")[0], reply


def test_the_rest_examples_run_one_after_another(app, lab):
    asked = {}
    with app.client() as client:
        for line in block("rest").splitlines():
            name, reply = called(client, line)
            asked[name] = reply.json()
            if name.endswith("/start") or name == "sweeps":
                until(lambda: lab.live() is None and not lab.queued())
    assert asked["pretraining/start"]["config"]["corpus"] == "tiny" and len(asked["pretraining/runs"]) == 1
    assert [run["state"] for run in asked["sweeps/rates"]["runs"]] == ["completed", "completed"]
    assert asked["pretraining/status"]["state"] == "completed" and asked["pretraining/status"]["current_step"] == 20
    assert asked["pretraining/generate"]["text"].startswith("The") and asked["pretraining/checkpoints"]
    assert len(asked["pretraining/analyze/attention"]["attention_weights"]) == len("The ")
    assert asked["uploads"] == {"name": "upload:notes.txt", "bytes": len(FILES["@notes.txt"])}, "as removed again"
    json.dumps(asked)


def test_the_examples_of_fine_tuning_run_one_after_another(app, lab, tmp_path):
    said = [{"prompt": f"one {word}", "completion": "two"} for word in ("three", "four", "five")]
    own = {
        "./my-model": str(tiny_model(tmp_path / "m")),
        "./my-rows.jsonl": str(write_rows(tmp_path / "r.jsonl", said)),
    }
    asked = {}
    with app.client() as client:
        for line in block("rest-tuning").splitlines():
            for name, instead in {**own, "RUN_ID": asked.get("fine-tuning/start", {}).get("run_id", "")}.items():
                line = line.replace(name, instead)
            name, reply = called(client, line)
            text = reply.headers["content-type"].startswith("application/json")
            asked[name] = reply.json() if text else reply.content
            if name.endswith("/start"):
                until(lambda: lab.live() is None)
    assert asked["fine-tuning/status"]["state"] == "completed", asked["fine-tuning/status"]["error"]
    assert asked["fine-tuning/status"]["current_step"] == 10 and asked["fine-tuning/checkpoints"]
    assert asked["fine-tuning/examples"]["sequences"] and asked["fine-tuning/preview"]["problems"] == []
    assert asked["fine-tuning/chat"].splitlines()[-1] == b'{"done": true}'
    assert asked["fine-tuning/download"][:2] == b"PK" and asked["fine-tuning/generate"]["tokens_generated"] >= 0


def test_the_clients_example_runs(app, lab, capsys):
    code = block("client").replace(THERE, app.url)
    names: dict = {}
    exec(compile(code, "README.md", "exec"), names)
    until(lambda: lab.live() is None)
    names["client"].close()
    assert names["run"]["run_id"] in capsys.readouterr().out
    assert lab.result(names["run"]["run_id"])["step"] == 20
