"""Values that no run writes, in every field of a run folder: every view answers, and shows them as damaged."""

import csv
import io
import json
import random
import zipfile
from types import SimpleNamespace

import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from llm_testing.api.earlier import run_details, run_row, status
from llm_testing.api.gate import Gate
from llm_testing.api.live import answer_of
from llm_testing.api.routes import routes_of
from llm_testing.cli.main import main
from llm_testing.errors import ConfigError, UserError
from llm_testing.service import report
from llm_testing.service.lab import Lab
from tests.damaged_runs import (
    WRONG,
    line,
    new_run,
    places_of,
    record_of,
    rows_of,
    with_every_wrong_row,
    with_raw,
    write_record,
)  # fmt: skip

WIDE = 200_000
"""More bytes than a list of a few runs may have."""


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """A lab with a whole run and one whose rows hold every wrong value, its routes, and how to ask them."""
    root = tmp_path_factory.mktemp("damaged")
    (root / "plotly.js").write_text("// charts")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "plotly_js", lambda: root / "plotly.js")
        good, bad = new_run(root / "runs", 1), with_every_wrong_row(new_run(root / "runs", 2))
        lab = Lab(root / "runs", root / "cache")
        client = TestClient(Gate(Starlette(routes=routes_of(lab, {}))), base_url="http://127.0.0.1:7860")
        yield SimpleNamespace(lab=lab, get=client.get, good=good, bad=bad, runs=root / "runs", root=root)
        assert lab.shutdown(60)


ONE = (
    "/live/run?run={run}", "/live/points?run={run}", "/live/texts?run={run}", "/live/coach?run={run}",
    "/live/compare?runs={run},{other}", "/live/side_by_side?runs={run},{other}", "/live/scatter?runs={run},{other}",
    "/api/pretraining/runs/{run}", "/api/pretraining/status?run_id={run}",
    "/api/pretraining/compare?runs={run},{other}", "/api/pretraining/runs/{run}/metrics.csv",
    "/api/pretraining/runs/{run}/samples.csv", "/api/pretraining/runs/{run}/download",
    "/api/fine-tuning/runs/{run}/repeat", "/api/runs/{run}", "/api/runs/{run}/coach",
    "/api/runs/compare?runs={run},{other}&x=flops", "/api/runs/{run}/report",
    "/api/compare/report?runs={run},{other}", "/api/runs/{run}/tensorboard",
)  # fmt: skip
ALL = (
    "/live/runs", "/live/facets", "/live/status", "/api/pretraining/runs", "/api/runs", "/api/runs?sort=val_loss",
    "/api/runs?state=damaged", "/api/pretraining/status", "/api/pretraining/trash", "/api/sweeps",
    "/api/estimates/accuracy", "/api/pretraining/checkpoints", "/api/pretraining/archive",
)  # fmt: skip
TOLD = ("/live/run?", "/api/runs/{run}", "/api/pretraining/runs/{run}", "/live/compare?runs={run},{other}",
        "/api/pretraining/compare?runs={run},{other}", "/api/runs/{run}/report", "/api/compare/report")  # fmt: skip
"""Views that say which value is damaged."""


def test_every_view_of_a_run_with_every_wrong_value_in_every_field_answers_and_says_so(here):
    for view in ONE:
        answer = here.get(view.format(run=here.bad.name, other=here.good.name))
        refused = view.endswith("/repeat") and answer.status_code == 422
        assert answer.status_code == 200 or refused, (view, answer.text[:300])
        if view.startswith(TOLD) and not view.endswith(("coach", "tensorboard", "csv", "download", "repeat")):
            assert "metrics.jsonl" in answer.text and "train_loss" in answer.text, view
    for view in ALL:
        assert here.get(view).status_code == 200, view
    (row,) = (row for row in here.get("/api/runs").json()["runs"] if row["run_id"] == here.bad.name)
    assert "metrics.jsonl" in row["damaged"] and row["name"] == record_of(here.bad)["name"]
    (row,) = (row for row in here.get("/api/pretraining/runs").json() if row["run_id"] == here.bad.name)
    assert "metrics.jsonl" in row["damaged"] and row["config"]["batch_size"] == 8
    assert here.get("/api/runs/" + here.good.name).json()["damaged"] is None


def test_a_wrong_value_hides_no_other_and_is_null_where_it_stood(here):
    rows = here.get(f"/api/pretraining/runs/{here.bad.name}").json()["metrics"]
    written = rows_of(here.good, "metrics")
    assert sum(row["train_loss"] == written[1]["train_loss"] for row in rows) > 10
    numbers = ("step", "train_loss", "val_loss", "lr", "grad_norm", "peak_bytes", "elapsed_time", "epochs_done")
    assert all(row[name] is None or type(row[name]) in (int, float) for row in rows for name in numbers)
    assert all(type(row["step"]) is int and row["step"] >= 0 for row in rows)
    points = here.get(f"/live/points?run={here.bad.name}").json()["columns"]
    assert points["step"] == [row["step"] for row in rows] and points["lr"] == [
        row["learning_rate"] if row["learning_rate"] is None else float(f"{row['learning_rate']:.6g}") for row in rows
    ]


def test_a_table_has_an_empty_cell_and_says_so_beside(here):
    answer = here.get(f"/api/pretraining/runs/{here.bad.name}/metrics.csv")
    table = list(csv.DictReader(io.StringIO(answer.text)))
    assert all(row["train_loss"] == "" or float(row["train_loss"]) for row in table)
    assert "damaged" in answer.headers["x-damaged"] or "cannot be used" in answer.headers["x-damaged"]
    assert "x-damaged" not in here.get(f"/api/pretraining/runs/{here.good.name}/metrics.csv").headers


def test_a_zip_keeps_the_bytes_as_they_are(here):
    answer = here.get(f"/api/pretraining/runs/{here.bad.name}/download")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        for path in here.bad.iterdir():
            assert archive.read(f"{here.bad.name}/{path.name}") == path.read_bytes()
    with zipfile.ZipFile(io.BytesIO(here.get("/api/pretraining/archive").content)) as archive:
        assert f"{here.bad.name}/metrics.jsonl" in archive.namelist()


def test_the_command_line_says_it_too(here, capfd):
    def said(*args) -> str:
        capfd.readouterr()
        assert main([*map(str, args), "--runs-dir", str(here.runs)]) == 0, capfd.readouterr().err
        return capfd.readouterr().out

    assert f"{here.bad.name} is damaged: " in said("runs", "list")
    assert "metrics.jsonl, line " in said("runs", "show", here.bad.name)
    assert "metrics.jsonl, line " in said("runs", "compare", here.bad.name, here.good.name)
    for args in (("list",), ("show", here.bad.name), ("compare", here.bad.name, here.good.name)):
        assert "metrics.jsonl" in said("runs", *args, "--json")
    for form in ("html", "csv", "tensorboard", "zip"):
        said("runs", "export", here.bad.name, "--to", here.root / f"exported-{form}", "--form", form)


def test_a_run_whose_options_are_damaged_is_not_gone_on_with(here):
    """A default in place of the lost value would silently be another run."""
    folder = new_run(here.runs, 400)
    (folder / "run.json").write_text(with_raw(record_of(folder), "config", "learning_rate", raw='"fast"'))
    opened = here.get(f"/api/runs/{folder.name}").json()
    assert opened["config"]["learning_rate"] is None and "learning_rate" in opened["damaged"]
    assert "learning_rate" in opened["actions"]["resume"] and "learning_rate" in opened["repeat"]["reason"]
    with pytest.raises(ConfigError, match="learning_rate"):
        here.lab.preview_resume(folder.name, {"max_steps": 900})
    with pytest.raises(ConfigError, match="learning_rate"):
        here.lab.finetuning.exports.repeat(folder.name)


def views(lab: Lab, run_id: str, other: str) -> None:
    """What every view does, without the server around it; only a user's error may come out."""
    made = (
        lambda: lab.history.shown(next(row for row in lab.rows() if row.run_id == run_id)),
        lambda: [run_row(row) for row in lab.listing()], lambda: lab.history.open(run_id),
        lambda: run_details(lab, run_id), lambda: status(lab, run_id), lambda: lab.history.points(run_id),
        lambda: lab.history.coach(run_id), lambda: lab.history.compare([run_id, other], "flops"),
        lambda: lab.history.side_by_side([run_id, other]), lambda: lab.history.scatter("learning_rate", "val_loss"),
        lambda: lab.checkpoints(), lambda: lab.history.facets(), lambda: lab.sweeps.all(),
    )  # fmt: skip
    for act in made:
        try:
            answer_of(act())
        except UserError:
            continue
    for pieces in (
        lambda: lab.reports.page([run_id, other]), lambda: lab.reports.events(run_id),
        lambda: lab.history.table(run_id, "metrics"), lambda: lab.history.table(run_id, "samples"),
    ):  # fmt: skip
        try:
            b"".join(pieces())
        except UserError:
            continue


@pytest.mark.parametrize("what", WRONG)
def test_every_view_answers_where_every_field_of_a_record_is_wrong(here, what):
    folder = new_run(here.runs, 100 + list(WRONG).index(what))
    record = record_of(folder)
    text = "{" + ",".join(f"{json.dumps(key)}:{1 if key == 'schema' else WRONG[what]}" for key in record) + "}"
    (folder / "run.json").write_text(text)
    views(here.lab, folder.name, here.good.name)
    assert "run.json" in next(row.damaged for row in here.lab.rows() if row.run_id == folder.name)
    inner = {**record, **{key: dict.fromkeys(value) for key, value in record.items() if isinstance(value, dict)}}
    filled = json.dumps(inner).replace("null", WRONG[what])
    (folder / "run.json").write_text(filled)
    views(here.lab, folder.name, here.good.name)
    answer = here.get(f"/api/runs/{folder.name}/report")
    assert answer.status_code == 200 or "is larger than" in answer.json()["detail"]


def test_each_field_of_a_record_with_each_wrong_value_is_damage_that_names_it_and_leaves_the_rest(here):
    folder = new_run(here.runs, 200)
    record, unseen = record_of(folder), []
    fits = {"object", "text", "digits as text", "NaN as text", "null", "negative", "fraction", "yes"}
    for place in places_of(record):
        for what, raw in WRONG.items():
            (folder / "run.json").write_text(with_raw(record, *place, raw=raw))
            (row,) = (row for row in here.lab.rows() if row.run_id == folder.name)
            answer_of(here.lab.history.shown(row))
            if place != ("run_id",) and not row.damaged and what not in fits:
                unseen.append((place, what))
            elif row.damaged and place[-1] not in row.damaged:
                unseen.append((place, what, row.damaged))
            if place[0] not in ("config", "kind"):
                assert row.learning_rate == 0.003, (place, what)
    open_fields = {"request_id", "owner", "estimate", "measured", "starred", "archived", "packages", "sdpa_kernels"}
    assert not [found for found in unseen if not {*found[0]} & {*open_fields, "environment"}]


def marked(record: dict, place: tuple[str, ...], mark: str) -> dict:
    """The record with a mark in place of one value."""
    name, *rest = place
    return {**record, name: marked(record[name], tuple(rest), mark) if rest else mark}


def test_no_mutation_of_a_run_makes_a_view_raise(here, tmp_path):
    """Seeded: the same few hundred mutations at every run of this test."""
    draw, folder = random.Random(57), new_run(tmp_path / "runs", 1, num_points=6)
    other, lab = new_run(tmp_path / "runs", 2, num_points=6), Lab(tmp_path / "runs", tmp_path / "cache")
    wrong = [raw for what, raw in WRONG.items() if what != "megabyte"]
    whole = {path.name: path.read_bytes() for path in folder.iterdir()}
    pieces = [b'"', b"{", b"}", b"[", b",", b"1e9", b"-", b"null", b"\xff", b"\\ud800", b"true", b"1" * 30, b"\n"]
    for _ in range(90):
        for name, data in whole.items():
            (folder / name).write_bytes(data)
        name = draw.choice(["run.json", "run.json", "metrics.jsonl", "samples.jsonl", "events.jsonl"])
        if name == "run.json" and draw.random() < 0.6:
            record = record_of(folder)
            places = draw.sample(list(places_of(record)), 3)
            for number, place in enumerate(places):
                if place[0] in record and (len(place) == 1 or isinstance(record[place[0]], dict)):
                    record = marked(record, place, f"<{number}>")
            text = json.dumps(record)
            for number in range(3):
                text = text.replace(f'"<{number}>"', draw.choice(wrong))
            (folder / name).write_text(text)
        elif name == "run.json":
            at, end = sorted(draw.sample(range(len(whole[name])), 2))
            cut = whole[name][:at] + draw.choice(pieces) + whole[name][draw.choice([at, at + 1, end]) :]
            (folder / name).write_bytes(cut)
        else:
            rows = rows_of(folder, name.removesuffix(".jsonl"))
            for row in draw.sample(rows, min(4, len(rows))):
                field = draw.choice(list(row)[1:] + ["event", "to_step", "step"])
                row["raw"] = (field, draw.choice([*wrong, '"rewind"', "3"]))
            lines = [line({k: v for k, v in row.items() if k != "raw"}, *row.get("raw", ())) for row in rows]
            (folder / name).write_bytes(b"".join(lines))
        views(lab, folder.name, other.name)
    assert lab.shutdown(60)


MEGABYTE = "x" * 2**20


def large_record(record: dict) -> dict:
    """The record with a megabyte in each text, and many tags."""

    def large(value, key=""):
        if isinstance(value, dict):
            return {name: large(item, name) for name, item in value.items()}
        return MEGABYTE if isinstance(value, str) and key not in ("state", "kind", "run_id", "schema") else value

    record = large(record)
    return {**record, "notes": MEGABYTE, "tags": [MEGABYTE, *(f"tag {n}" for n in range(10_000))], "error": MEGABYTE,
            "parent": {"run_id": MEGABYTE, "step": 3, "how": "fork"}, "sample": MEGABYTE}  # fmt: skip


def test_a_run_with_a_megabyte_in_each_text_is_listed_in_little_and_says_what_was_cut(tmp_path):
    folder = new_run(tmp_path / "runs", 1)
    write_record(folder, large_record(record_of(folder)))
    for name in ("samples", "events"):
        rows = [{k: MEGABYTE if isinstance(v, str) else v for k, v in row.items()} for row in rows_of(folder, name)]
        (folder / f"{name}.jsonl").write_bytes(b"".join(map(line, rows)))
    lab = Lab(tmp_path / "runs", tmp_path / "cache")
    client = TestClient(Gate(Starlette(routes=routes_of(lab, {}))), base_url="http://127.0.0.1:7860")
    for view in ("/live/runs", "/api/runs", "/api/pretraining/runs", "/live/facets", "/live/status",
                 f"/live/run?run={folder.name}", f"/api/runs/{folder.name}", f"/api/pretraining/runs/{folder.name}",
                 f"/live/compare?runs={folder.name}", f"/live/texts?run={folder.name}",
                 f"/api/pretraining/runs/{folder.name}/samples.csv"):  # fmt: skip
        answer = client.get(view)
        assert answer.status_code == 200 and len(answer.content) < WIDE, (view, len(answer.content))
    (row,) = client.get("/api/runs").json()["runs"]
    assert row["notes"].endswith("… (cut, 1,048,576 characters)") and row["notes"].startswith("xxx")
    assert "cut" in row["damaged"] and "notes" in row["damaged"] and len(row["tags"]) <= 30
    assert lab.shutdown(60)


def test_fifty_such_runs_stay_small_in_every_list(tmp_path, capfd):
    record = large_record(record_of(new_run(tmp_path / "one", 1)))
    text = json.dumps(record).replace("x" * 2**20, "x" * 2**17)
    for number in range(50):
        (new_run(tmp_path / "runs", number, num_points=2) / "run.json").write_text(text)
    lab = Lab(tmp_path / "runs", tmp_path / "cache")
    assert len(answer_of({"runs": [lab.history.shown(row) for row in lab.rows()]}).body) < 50 * 12_000
    assert len(answer_of([run_row(row) for row in lab.listing()]).body) < 50 * 12_000
    assert main(["runs", "list", "--runs-dir", str(tmp_path / "runs")]) == 0
    assert len(capfd.readouterr().out) < 50 * 4000
    assert lab.shutdown(60)


def test_files_beyond_all_measure_are_not_read_into_memory(tmp_path):
    folder = new_run(tmp_path / "runs", 1)
    with (folder / "run.json").open("r+b") as file:
        file.truncate(2**30)  # a hole: it takes no room on the disk
    other = new_run(tmp_path / "runs", 2)
    with (other / "metrics.jsonl").open("r+b") as file:
        file.truncate(2**29)
    lab = Lab(tmp_path / "runs", tmp_path / "cache")
    large, long = sorted(lab.rows(), key=lambda row: row.run_id)
    assert "larger than" in large.damaged
    views(lab, other.name, other.name)
    assert lab.shutdown(60)
