from datetime import UTC, datetime, timedelta, timezone

import pytest

from llm_testing.errors import BadRunId, NotFound, UserError
from llm_testing.store.ids import check_run_id, checkpoint_id, new_run_id, parse_checkpoint_id

RUN_ID = "20261123-101500-k3f9"
HOSTILE = [
    "../../etc",
    "..",
    ".",
    "",
    "/etc/passwd",
    "C:\\Windows\\win.ini",
    "\\\\host\\share",
    "a%2f..%2fb",
    "a%252f..%252fb",
    "a\n",
    RUN_ID + "\n",
    "\n" + RUN_ID,
    "a\0b",
    RUN_ID + "\0",
    "x" * 5000,
    "CON",
    "nul.json",
    "\u202e" + RUN_ID,
    "20261123-101500-к3f9",
    "２0261123-101500-k3f9",
    ".trash",
    ".new-1-0123456789ab",
    ".trash-20261123-101500-k3f9",
    RUN_ID.upper(),
    RUN_ID + "/..",
    RUN_ID + "/",
    None,
    7,
    b"20261123-101500-k3f9",
    ["20261123-101500-k3f9"],
]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: ascii(text)[:30])
def test_hostile_run_ids_are_refused_before_they_touch_a_path(store, text):
    store.create({})
    for act in (check_run_id, store.open, store.trash, store.restore, store.size_bytes):
        with pytest.raises(BadRunId, match="is not a run id") as caught:
            act(text)
        assert str(caught.value).isascii()
        assert len(str(caught.value)) < 400
    assert len(store.rows()) == 1


@pytest.mark.parametrize("text", [*HOSTILE, RUN_ID, RUN_ID + "/step-1", RUN_ID + "/step-00001000/..", RUN_ID + "/../x"])
def test_hostile_checkpoint_ids_are_refused(text):
    with pytest.raises(BadRunId, match="is not a checkpoint id"):
        parse_checkpoint_id(text)


def test_new_ids_are_valid_sort_by_time_and_use_utc():
    at = datetime(2026, 11, 23, 10, 15, tzinfo=UTC)
    assert check_run_id(new_run_id(at)).startswith("20261123-101500-")
    assert new_run_id(at.astimezone(timezone(timedelta(hours=-8)))).startswith("20261123-101500-")
    assert new_run_id(at) < new_run_id(at + timedelta(seconds=1))
    assert len({new_run_id(at) for _ in range(50)}) > 45
    with pytest.raises(ValueError, match="zone"):
        new_run_id(datetime(2026, 11, 23))


@pytest.mark.parametrize("step", [0, 1000, 99_999_999, 100_000_000, 10**12 - 1])
def test_checkpoint_ids_go_there_and_back(step):
    assert parse_checkpoint_id(checkpoint_id(RUN_ID, step)) == (RUN_ID, step)


@pytest.mark.parametrize("step", [-1, True, 1.0, "1", None, 10**12])
def test_what_is_no_step_has_no_checkpoint_id(step):
    with pytest.raises(BadRunId, match="is not a step"):
        checkpoint_id(RUN_ID, step)


def test_an_id_that_could_be_one_is_not_found_and_that_is_another_error(store):
    with pytest.raises(NotFound, match=f"There is no run {RUN_ID}") as caught:
        store.open(RUN_ID)
    assert not isinstance(caught.value, BadRunId)
    assert isinstance(caught.value, UserError)
