import json
import os
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_testing.errors import BadRunId, DamagedRun, NotFound, WrongState
from llm_testing.store.runs import RunStore

RUN_ID = "20261123-101500-k3f9"


def damage_of(store, run_id):
    return next(row.damaged for row in store.rows() if row.run_id == run_id)


def test_a_created_run_has_every_field_and_is_listed(store):
    run = store.create({"kind": "pretrain", "name": "<b>größer</b>/../x", "tags": ["a"], "config": {"n_layer": 2}})
    record = run.record()
    assert (record["schema"], record["run_id"], record["state"]) == (1, run.run_id, "queued")
    assert record["created_at"] == record["updated_at"] == "2026-01-01T00:00:00.000Z"
    assert (record["parent"], record["owner"], record["summary"]) == (None, None, {})
    (row,) = store.rows()
    assert (row.run_id, row.record, row.damaged) == (run.run_id, record, None)
    assert os.listdir(store.root) == [run.run_id]


def test_an_update_changes_its_fields_and_the_time_and_nothing_else(store):
    run = store.create({"kind": "pretrain"})
    before = run.record()
    run.update(state="running", summary={"loss": 2.5})
    after = store.open(run.run_id).record()
    changed = {key for key in after if after[key] != before[key]}
    assert changed == {"state", "summary", "updated_at"}


def test_an_update_that_no_reader_would_accept_is_refused(store):
    run = store.create({})
    for changes in ({"tags": "a"}, {"summary": None}, {"name": 7}, {"state": ""}):
        with pytest.raises(DamagedRun):
            run.update(**changes)
    with pytest.raises(ValueError, match="not JSON compliant"):
        run.update(summary={"loss": float("nan")})
    assert run.record()["tags"] == []


def test_threads_that_update_one_run_lose_no_change(store):
    run_id = store.create({}).run_id
    folders = [store.open(run_id) for _ in range(4)]
    threads = [
        threading.Thread(target=lambda at=at: [folders[at].update(**{f"field_{at}": i}) for i in range(20)])
        for at in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    record = store.open(run_id).record()
    assert [record[f"field_{at}"] for at in range(4)] == [19] * 4


def test_two_runs_never_share_a_folder(tmp_path):
    stores = [RunStore(tmp_path / "runs") for _ in range(4)]
    outcomes, barrier = [], threading.Barrier(4)

    def create(store):
        barrier.wait()
        for run_id in [None] * 10 + [RUN_ID]:
            try:
                outcomes.append(store.create({}, run_id).run_id)
            except WrongState as error:
                outcomes.append(str(error))

    threads = [threading.Thread(target=create, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    made = [outcome for outcome in outcomes if "There is a run" not in outcome]
    assert len(made) == len(set(made)) == 41
    assert made.count(RUN_ID) == 1
    assert sorted(os.listdir(tmp_path / "runs")) == sorted(made)


def test_runs_are_listed_newest_first_and_a_missing_root_is_empty(store):
    assert store.rows() == []
    ids = [store.create({}).run_id for _ in range(3)]
    assert [row.run_id for row in store.rows()] == ids[::-1]


def test_journals_and_checkpoints_are_where_they_belong(store):
    run = store.create({})
    with run.journal("metrics") as journal:
        journal.append({"step": 1})
    assert run.metrics.exists()
    assert run.read("metrics").rows == [{"n": 0, "step": 1}] == run.reader("metrics").poll()
    assert run.last_row("metrics") == {"n": 0, "step": 1}
    assert run.read("events").rows == []
    run.checkpoints.write(1, {"x": lambda file: file.write(b"12345")}, {})
    assert (run.path / "checkpoints" / "step-00000001").is_dir()
    assert store.size_bytes(run.run_id) > 5
    with pytest.raises(ValueError, match="metrics, samples, events"):
        run.read("../metrics")


def test_a_deleted_run_waits_in_the_trash_until_it_is_emptied(store):
    kept, gone = store.create({"name": "kept"}), store.create({"name": "gone"})
    size = store.size_bytes(gone.run_id)
    store.trash(gone.run_id)
    assert [row.run_id for row in store.rows()] == [kept.run_id]
    assert [row.record["name"] for row in store.trashed()] == ["gone"]
    with pytest.raises(NotFound):
        store.open(gone.run_id)
    assert store.restore(gone.run_id).record()["name"] == "gone"
    store.trash(gone.run_id)
    assert store.empty_trash() == (1, size)
    assert store.empty_trash() == (0, 0)
    with pytest.raises(NotFound, match="in the trash"):
        store.restore(gone.run_id)
    assert [row.run_id for row in store.rows()] == [kept.run_id]


def test_a_restored_run_does_not_replace_another(store):
    store.create({"name": "first"}, RUN_ID)
    store.trash(RUN_ID)
    store.create({"name": "second"}, RUN_ID)
    for act in (store.restore, store.trash):
        with pytest.raises(WrongState, match="exists already"):
            act(RUN_ID)
    assert store.open(RUN_ID).record()["name"] == "second"
    assert store.trashed()[0].record["name"] == "first"


def test_emptying_the_trash_follows_no_link(store, tmp_path):
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("x")
    run = store.create({})
    (run.path / "link").symlink_to(precious)
    store.trash(run.run_id)
    (store.root / ".trash" / RUN_ID).symlink_to(precious)
    store.empty_trash()
    assert (precious / "file").exists()


def test_a_link_in_place_of_a_run_is_shown_as_bad_and_never_opened(store):
    store.create({"name": "good"})
    (store.root / RUN_ID).symlink_to("/")
    assert "is a link" in damage_of(store, RUN_ID)
    for act in (store.open, store.trash, store.size_bytes):
        with pytest.raises(NotFound):
            act(RUN_ID)
    assert [row.damaged for row in store.rows()].count(None) == 1


def make_pipe(folder):
    os.mkfifo(folder / "run.json")


def make_link(folder):
    (folder / "run.json").symlink_to("/etc/passwd")


def make_folder(folder):
    (folder / "run.json").mkdir()


def make_nothing(folder):
    pass


@pytest.mark.parametrize("make", [make_pipe, make_link, make_folder, make_nothing])
def test_hostile_records_do_not_hang_the_list_or_hide_a_run(store, make):
    good = store.create({"name": "good"})
    folder = store.root / RUN_ID
    folder.mkdir()
    make(folder)
    rows = {row.run_id: row for row in store.rows()}
    assert rows[good.run_id].damaged is None
    assert rows[RUN_ID].record is None
    assert "run.json" in rows[RUN_ID].damaged
    with pytest.raises(DamagedRun, match="run.json"):
        store.open(RUN_ID).record()


def test_other_peoples_files_are_not_listed_but_a_renamed_run_is(store):
    run = store.create({})
    (store.root / "README.md").write_text("hello")
    (store.root / "queue.json").write_text("{}")
    (store.root / "corpora").mkdir()
    (store.root / ".trainer-cpu.lock").write_text("")
    os.mkdir(os.fsencode(store.root) + b"/\xff\xfe")
    os.replace(run.path, store.root / "my best run")
    (row,) = store.rows()
    assert (row.run_id, row.record) == ("my best run", None)
    assert "not named like a run" in row.damaged
    with pytest.raises(BadRunId):
        store.open(row.run_id)


def test_a_run_of_a_newer_version_is_shown_with_a_reason_and_left_alone(store):
    run = store.create({"name": "from the future"})
    path = run.path / "run.json"
    path.write_text(json.dumps({**run.record(), "schema": 2, "new_field": [1]}))
    content = path.read_bytes()
    (row,) = store.rows()
    assert row.record["name"] == "from the future"
    assert "newer version (schema 2; this version knows 1)" in row.damaged
    with pytest.raises(DamagedRun, match="newer version"):
        run.update(state="failed")
    assert path.read_bytes() == content
    path.write_text(json.dumps({"schema": 2, "state": {"word": "running"}}))
    assert store.rows()[0].record is None
    assert "newer version" in store.rows()[0].damaged


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("schema", None), ("schema", 0), ("schema", True), ("schema", "1"), ("schema", 1.0), ("state", []),
        ("state", ""), ("name", 7), ("tags", "a"), ("tags", [1]), ("summary", None), ("config", []),
        ("owner", "me"), ("parent", []), ("created_at", 5), ("estimated_bytes", "x"),
    ],
)  # fmt: skip
def test_a_field_of_the_wrong_type_is_damage_that_names_it(store, key, value):
    run = store.create({})
    (run.path / "run.json").write_text(json.dumps({**run.record(), key: value}))
    assert key in store.rows()[0].damaged
    assert "run.json" in store.rows()[0].damaged


def test_a_record_that_lacks_newer_fields_is_filled_in(store):
    run = store.create({})
    (run.path / "run.json").write_text('{"schema": 1, "state": "completed", "run_id": "../.."}')
    record = store.rows()[0].record
    assert (record["run_id"], record["tags"], record["summary"]) == (run.run_id, [], {})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@pytest.fixture(scope="module")
def two_runs(tmp_path_factory):
    """A good run, a run to harm, and the harmless content of its record."""
    store = RunStore(tmp_path_factory.mktemp("runs"))
    store.create({"name": "good"}, "20260101-000000-aaaa")
    path = store.create({"name": "bad"}, RUN_ID).path / "run.json"
    return store, path, path.read_bytes()


@settings(max_examples=350)
@given(data=st.data())
def test_no_run_file_whatever_it_holds_hides_the_other_runs(two_runs, data):
    store, path, whole = two_runs
    how = data.draw(st.sampled_from(["cut", "flip", "bytes", "field", "value"]))
    if how == "cut":
        mutated = whole[: data.draw(st.integers(0, len(whole)))]
    elif how == "flip":
        at = data.draw(st.integers(0, len(whole) - 1))
        mutated = whole[:at] + bytes([whole[at] ^ data.draw(st.integers(1, 255))]) + whole[at + 1 :]
    elif how == "bytes":
        mutated = data.draw(st.binary(max_size=200))
    else:
        value = data.draw(JSON)
        key = data.draw(st.sampled_from(sorted(json.loads(whole))))
        mutated = json.dumps({**json.loads(whole), key: value} if how == "field" else value).encode()
    path.write_bytes(mutated)
    bad, good = store.rows()
    assert (good.run_id, good.damaged, good.record["name"]) == ("20260101-000000-aaaa", None, "good")
    assert bad.run_id == RUN_ID
    assert bad.record is not None or "run.json" in bad.damaged
    json.dumps([bad.record, bad.damaged], allow_nan=False, ensure_ascii=False).encode()
