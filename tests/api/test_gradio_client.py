"""The named endpoints as gradio_client calls them, and the command line: same bodies, options, answers and words."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

from llm_testing.api.rest import TABLE
from llm_testing.cli.main import main
from llm_testing.config.option import options_of
from llm_testing.config.pretrain import PretrainConfig
from llm_testing.service.lab import Lab
from llm_testing.service.places import Place
from tests.api.served import BODY, LONG
from tests.api.test_earlier_clients import BODIES, parent_of_step_1000
from tests.api.test_rest import CHECKPOINT, POINT, ROW, STATUS
from tests.api.whole_app import WholeApp, door_of, opened
from tests.service.parts import run, until

# Gradio reads its own statistics with words that pandas gives up: https://github.com/gradio-app/gradio/pull/13000
pytestmark = [pytest.mark.proof, pytest.mark.filterwarnings("ignore::pandas.errors.Pandas4Warning")]


@pytest.fixture(scope="module")
def lab(tmp_path_factory, cache_dir) -> Iterator[Lab]:
    lab = Lab(tmp_path_factory.mktemp("named") / "runs", cache_dir)
    yield lab
    assert lab.shutdown(60)


@pytest.fixture(scope="module")
def app(lab) -> Iterator[WholeApp]:
    with opened(lab, door_of(Place.LOCAL)) as app:
        yield app


@pytest.fixture(scope="module")
def client(app) -> Iterator[Client]:
    client = Client(app.url, verbose=False, download_files=False)
    yield client
    client.close()


def idle(lab: Lab) -> None:
    until(lambda: lab.live() is None)


@pytest.mark.parametrize("name", BODIES)
def test_every_body_of_an_earlier_client_starts_by_name_what_it_meant(client, lab, stand_ins, name):
    body = BODIES[name]
    parent = parent_of_step_1000(lab) if body.get("resume_from") else None
    status = client.predict(**body, api_name="/start")
    assert set(status) >= STATUS and status["state"] in ("loading", "running")
    given = {key: value for key, value in body.items() if value is not None}
    if parent:
        given["resume_from"] = f"{parent}/step-00001000"
    for option in options_of(PretrainConfig).values():
        default = list(option.default) if isinstance(option.default, tuple) else option.default
        assert status["config"][option.name] == given.get(option.name, default), option.name
    with suppress(AppError):  # without a network it has ended already, as its tokenizer is a download
        client.predict(api_name="/stop")
    idle(lab)


@pytest.mark.parametrize("name", BODIES)
def test_every_body_means_the_same_as_a_config_file_of_the_command_line(lab, stand_ins, tmp_path, capsys, name):
    file = tmp_path / "body.json"
    file.write_text(json.dumps({**BODIES[name], "device": "no-such-device"}), encoding="utf-8")
    if BODIES[name].get("resume_from"):
        parent_of_step_1000(lab)
    folders = ["--runs-dir", str(lab.runs_dir), "--cache-dir", str(lab.cache_dir)]
    assert main(["pretrain", "--preset", "none", "--config", str(file), *folders]) == 2
    said = capsys.readouterr().err
    assert "no-such-device" in said and said.count("\n") == 1  # every other value was understood


def test_a_run_by_name_from_start_to_deletion(client, lab):
    run_id = client.predict(**{**LONG, "request_id": "once"}, api_name="/start")["run_id"]
    assert client.predict(**{**LONG, "request_id": "once"}, api_name="/start")["run_id"] == run_id
    waiting = client.predict(**BODY, queue=True, api_name="/start")
    assert waiting["position"] == 1 and waiting["phase"] == "queued"
    with pytest.raises(AppError, match=run_id):
        client.predict(**LONG, api_name="/start")
    until(lambda: lab.live().step > 2)
    client.predict(run_id=waiting["run_id"], api_name="/stop")
    assert client.predict(api_name="/save_now")["success"]
    client.predict(api_name="/pause")
    until(lambda: client.predict(api_name="/status")["state"] == "paused")
    client.predict(api_name="/resume")
    client.predict(mode="save", api_name="/stop")
    idle(lab)
    assert client.predict(run_id=run_id, api_name="/status")["state"] == "completed"
    points = client.predict(run_id=run_id, api_name="/metrics")
    assert set(points["metrics"][0]) >= POINT
    rest = client.predict(run_id=run_id, after=points["next"], api_name="/metrics")
    assert rest["metrics"] == [] and rest["next"] == points["next"]
    assert set(client.predict(limit=1, api_name="/runs")[0]) >= ROW
    assert set(client.predict(run_id=run_id, api_name="/run")) >= ROW | {"metrics", "generations"}
    (row, *_) = client.predict(config_name="custom", api_name="/checkpoints")
    assert set(row) >= CHECKPOINT and client.predict(checkpoint_id=row["id"], api_name="/checkpoint") == row
    client.predict(run_id=run_id, api_name="/delete_run")
    assert run_id not in {row["run_id"] for row in client.predict(api_name="/runs")}


def test_generate_and_attention_by_name_and_by_rest_are_the_same(client, app, lab):
    run_id = run(lab)
    ask = {"checkpoint_id": run_id, "prompt": "The", "max_tokens": 6, "temperature": 0.0}
    by_name = client.predict(**ask, api_name="/generate")
    look = {"checkpoint_id": run_id, "text": "he boy", "layer": 0}
    with app.client() as rest:
        assert rest.post("/api/pretraining/generate", json=ask).json() == by_name
        same = rest.post("/api/pretraining/analyze/attention", json=look).json()
    assert client.predict(**look, api_name="/attention") == same
    assert set(same) >= {"tokens", "attention_weights", "layer", "head"}
    assert set(client.predict(api_name="/health")) >= {"status", "timestamp", "version", "tracks"}


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"batch_size": "8", "epochs": 0}, ("batch_size", "'8'", "1 to 4,096", "epochs", "received 0")),
        ({"precision": "fp8"}, ("precision", "fp32, bf16, fp16", "fp8")),
        ({"corpus": "<b>no</b>"}, ("corpus", "<b>no</b>", "python-docs")),
        ({"seed": True}, ("seed", "whole number")),
        ({"resume_from": "../../etc"}, ("checkpoint id",)),
    ],
)
def test_bad_input_by_name_is_one_message_with_field_and_what_would_be_accepted(client, lab, values, words):
    with pytest.raises(AppError) as refused:
        client.predict(**values, api_name="/start")
    assert all(word in str(refused.value) for word in words) and lab.live() is None


def test_every_json_call_has_a_name_and_every_name_its_options(client):
    named = client.view_api(return_format="dict", print_info=False)["named_endpoints"]
    for call in TABLE:
        if not call.named:
            continue
        offered = {parameter["parameter_name"] for parameter in named[f"/{call.named}"]["parameters"]}
        body = set(call.names() if call.names else call.body.model_fields)
        path = {part.strip("{}").partition(":")[0] for part in call.address.split("/") if part.startswith("{")}
        assert offered == body | set(call.query.model_fields) | path, call.named
        assert all(parameter["parameter_has_default"] for parameter in named[f"/{call.named}"]["parameters"])
    assert {f"/{call.named}" for call in TABLE if call.named} == set(named)


def test_many_clients_at_once_start_one_run(app, lab):
    with ThreadPoolExecutor(8) as pool:
        clients = list(pool.map(lambda _: Client(app.url, verbose=False, download_files=False), range(4)))

    def start(number: int) -> str | None:
        try:
            return clients[number % 4].predict(**LONG, api_name="/start")["run_id"]
        except AppError as error:
            assert lab.live().run_id in str(error)
            return None

    with ThreadPoolExecutor(8) as pool:
        begun = [run_id for run_id in pool.map(start, range(24)) if run_id]
    for client in clients:
        client.close()
    lab.stop("save")
    idle(lab)
    assert len(begun) == 1 and Path(lab.runs_dir, begun[0]).is_dir()
