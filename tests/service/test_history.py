"""The list of runs, what people write on them, one opened, several compared; whatever lies in the runs folder."""

import json
import os
import shutil
from pathlib import Path

import pytest

from llm_testing.config.history import RunsQuery
from llm_testing.errors import BadRunId, ConfigError, DamagedRun, NotFound
from llm_testing.service.index import RunIndex
from llm_testing.service.lab import Lab
from llm_testing.service.marks import normal_tags
from llm_testing.store.runs import RunStore
from tests.service.parts import TINY, made, run


def ids(lab: Lab, **query) -> list[str]:
    return [row.run_id[11:15] for row in lab.history.runs(RunsQuery(**query))]


def test_the_list_is_searched_filtered_and_sorted(lab):
    made(lab, 1, name="Alpha", tags=["night", "x"], notes="about the <sea>")
    made(lab, 2, state="failed", config={"learning_rate": 3e-3})
    made(lab, 3, kind="finetune", starred=True)
    made(lab, 4, archived=True)
    assert ids(lab) == ["0003", "0002", "0001"]
    assert ids(lab, archived="only") == ["0004"] and len(ids(lab, archived="all")) == 4
    assert (
        ids(lab, search="SEA alpha") == ["0001"] and ids(lab, search="org/") == ["0003"] and ids(lab, search="zz") == []
    )
    assert ids(lab, kind="finetune") == ["0003"] == ids(lab, starred=True) == ids(lab, model="org/model")
    assert ids(lab, state="failed") == ["0002"] and ids(lab, state="failed,completed", corpus="tiny") == [
        "0002",
        "0001",
    ]
    assert ids(lab, tag="NIGHT") == ["0001"] and ids(lab, corpus="persona") == ["0003"]
    assert ids(lab, sort="learning_rate") == ["0003", "0001", "0002"] == ids(lab, sort="-learning_rate")[::-1]
    # Those without a value come last either way.
    assert ids(lab, sort="corpus")[-1] == "0003" == ids(lab, sort="-corpus")[-1]
    assert ids(lab, limit=2) == ["0003", "0002"]
    with pytest.raises(ConfigError, match="no column '__class__'"):
        ids(lab, sort="__class__")
    assert lab.history.facets()["tags"] == [("night", 1), ("x", 1)]


def test_a_list_reads_again_only_what_has_changed(lab, monkeypatch):
    for number in range(5):
        made(lab, number)
    monkeypatch.setattr("llm_testing.store.rows._SETTLED_NS", 0)
    index, read = RunIndex(RunStore(lab.runs_dir)), []
    real = RunStore.size_bytes
    monkeypatch.setattr(RunStore, "size_bytes", lambda store, run_id: read.append(run_id) or real(store, run_id))
    first = index.rows()
    assert len(read) == 5
    again = index.rows()
    assert all(a is b for a, b in zip(first, again, strict=True)) and len(read) == 5
    read.clear()
    folder = RunStore(lab.runs_dir).open(first[2].run_id)
    folder.update(name="other")
    with RunStore(lab.runs_dir).open(first[3].run_id).journal("metrics") as journal:
        journal.append({"step": 99, "train_loss": 0.5})
    now = {row.run_id: row for row in index.rows()}
    assert now[first[2].run_id].name == "other" and now[first[3].run_id].step == 99
    assert first[0].run_id not in read and first[4].run_id not in read


def test_marks_are_written_in_one_step_and_tags_are_normalised(lab):
    run_id = made(lab, 1)
    marks = lab.history.mark(run_id, {"name": "../<b>", "tags": ["  a  b ", "A B", "é", "é", ""], "starred": True})
    assert marks["tags"] == ["a b", "é"] and marks["name"] == "../<b>" and marks["starred"] is True
    assert lab.history.tag(run_id, add=["c"], remove=["A B"])["tags"] == ["é", "c"]
    assert lab.history.mark(run_id, {"notes": "n" * 20_000, "archived": True})["archived"] is True
    assert lab.history.runs() == [] and lab.history.all_rows()[0].notes.startswith("nnn")
    for wrong in (
        {"name": "x" * 81},
        {"notes": "n" * 20_001},
        {"tags": ["t" * 61]},
        {"tags": [str(n) for n in range(31)]},
    ):
        with pytest.raises(ConfigError):
            lab.history.mark(run_id, wrong)
    assert normal_tags(["a\nb\x00c,d"]) == ["a b c d"]
    assert not [path for path in lab.runs_dir.rglob("*") if path.name == "<b>"]


def test_many_at_once_say_what_was_refused_and_why(lab):
    one, two = made(lab, 1), made(lab, 2, state="running", owner=None)
    done = lab.history.bulk([one, "../x", "20260101-000009-zzzz", one], "archive")
    assert done["done"] == [one] and set(done["refused"]) == {"../x", "20260101-000009-zzzz"}
    size = lab.details(one)["bytes"]
    deleted = lab.history.bulk([one, two], "delete")
    assert deleted["done"] == [one, two] and deleted["bytes"] > size > 0
    assert lab.history.bulk([one], "restore") == {"done": [one], "refused": {}, "bytes": size}
    for runs, action, tags in (([], "star", ()), ([one], "explode", ()), ([one], "tag", ())):
        with pytest.raises(ConfigError):
            lab.history.bulk(runs, action, tags)


HOSTILE = ("..", ".", "", "/etc", "a/b", "20260101-000001-aaaa/../..", "20260101-000001-aaaa\n", "x" * 5000, "nul\0")


@pytest.mark.parametrize("run_id", HOSTILE)
def test_no_id_leaves_the_runs_folder(lab, run_id):
    made(lab, 1)
    outside = sorted(path.name for path in lab.runs_dir.parent.iterdir())
    for act in (
        lambda: lab.history.mark(run_id, {"name": "x"}), lambda: lab.history.open(run_id), lambda: lab.trash(run_id),
        lambda: lab.history.points(run_id), lambda: lab.history.compare([run_id]), lambda: lab.restore(run_id),
    ):  # fmt: skip
        with pytest.raises((BadRunId, ConfigError)):
            act()
    assert sorted(path.name for path in lab.runs_dir.parent.iterdir()) == outside


def test_a_link_in_place_of_a_run_is_never_followed(lab, tmp_path):
    precious = tmp_path / "precious"
    shutil.copytree(lab.runs_dir / made(lab, 1), precious)
    link = lab.runs_dir / "20260101-000002-aaaa"
    link.symlink_to(precious)
    for act in ("star", "archive", "delete"):
        assert link.name in lab.history.bulk([link.name], act)["refused"]
    with pytest.raises(NotFound):
        lab.history.open(link.name)
    assert json.loads((precious / "run.json").read_text())["starred"] is False


TEXT = "</script><img src=x onerror=alert(1)>\u202e{{7*7}}"
EDITED = {
    "future": {"schema": 99, "kind": ["x"], "config": "?"},
    "future, alike": {"schema": 99},
    "types": {"summary": {"step": "many", "val_loss": {}}, "parameters": {"total": "x"}},
    "config": {"config": {"model_name": 7, "batch_size": "x", "learning_rate": []}},
    "hostile": {"name": TEXT, "notes": TEXT, "tags": [TEXT], "state": TEXT, "kind": TEXT},
}


def damage(folder: Path, how: str) -> None:
    """Make a good run's folder a bad one."""
    record, metrics = folder / "run.json", folder / "metrics.jsonl"
    values = json.loads(record.read_text())
    if how in EDITED:
        record.write_text(json.dumps({**values, **EDITED[how]}))
    elif how == "half":
        record.write_bytes(record.read_bytes()[:200])
    elif how == "empty":
        record.write_bytes(b"")
    elif how == "missing":
        record.unlink()
    elif how == "pipe":
        record.unlink()
        os.mkfifo(record)
    elif how == "foreign":
        record.write_text(json.dumps({"model": "somebody else's"}))
    elif how == "metrics":
        metrics.write_bytes(b"\x00\xff" * 5000 + b"\n{}\n")
    elif how == "metrics folder":
        metrics.unlink()
        metrics.mkdir()


WAYS = ("half", "empty", "missing", "future", "future, alike", "pipe", "foreign", "types", "config", "metrics",
        "metrics folder", "hostile")  # fmt: skip


@pytest.mark.parametrize("how", WAYS)
def test_a_folder_that_is_not_as_it_should_be_is_listed_with_the_reason_and_hides_no_other(lab, how):
    bad, good = made(lab, 1), made(lab, 2)
    damage(lab.runs_dir / bad, how)
    rows = {row.run_id: row for row in lab.history.runs(RunsQuery(archived="all", sort="-val_loss"))}
    assert set(rows) == {bad, good} and (rows[good].damaged, rows[good].step) == (None, 2)
    assert rows[bad].damaged, how
    assert rows[bad].usable == (how in ("types", "config", "metrics", "metrics folder", "hostile"))
    assert ids(lab, state="damaged") == ["0001"]
    for act in (
        lambda: lab.history.open(bad), lambda: lab.history.compare([bad, good]), lambda: lab.history.coach(bad),
        lambda: lab.history.points(bad), lambda: lab.history.mark(bad, {"starred": True}), lambda: lab.history.facets(),
        lambda: lab.history.scatter("learning_rate", "val_loss"), lambda: lab.history.side_by_side([bad, good]),
    ):  # fmt: skip
        try:
            json.dumps(act(), default=vars)
        except (DamagedRun, ConfigError):
            pass
    if how.startswith("future"):
        assert json.loads((lab.runs_dir / bad / "run.json").read_text())["schema"] == 99
        assert "newer version" in rows[bad].damaged


def test_an_opened_run_says_what_can_be_done_with_it_and_how_to_repeat_it(lab):
    run_id = run(lab)
    opened = lab.history.open(run_id)
    assert opened["actions"]["resume"].startswith("It has done all of its 6 steps")
    assert all(opened["actions"][name] is None for name in ("extend", "fork", "generate", "export", "delete"))
    assert {"run.json", "metrics.jsonl", "checkpoints/step-00000006/model.safetensors"} <= {
        f["path"] for f in opened["files"]
    }
    assert sum(f["bytes"] for f in opened["files"]) == opened["bytes"]
    assert opened["memory"]["measured_bytes"] > 0 and opened["flops"]["per_token"] > 0
    assert f"--n-embd={TINY['n_embd']}" in opened["repeat"]["cli"]
    forked = run(lab, resume_from=run_id, max_steps=8)
    assert "forked from its step 6" in lab.history.open(run_id)["actions"]["delete"]
    shutil.rmtree(lab.runs_dir / forked / "checkpoints")
    reasons = lab.history.open(forked)["actions"]
    assert "no checkpoint" in reasons["fork"] and "no checkpoint" in reasons["resume"]
    texts = lab.history.side_by_side([run_id, forked])["prompts"][0]
    assert texts["prompt"] == "The" and {run_id} <= set().union(*(step["texts"] for step in texts["steps"]))
