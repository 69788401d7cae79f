"""Curves that are read before they are asked for."""

import pytest

from llm_testing.jobs.owner import this_process
from llm_testing.service.lab import Lab
from llm_testing.store.runs import RunStore
from tests.service.parts import made, until


@pytest.fixture
def lab(tmp_path):
    """With a cache of its own: what is kept in it is looked at."""
    lab = Lab(tmp_path / "runs", tmp_path / "cache")
    yield lab
    assert lab.shutdown(60)


@pytest.fixture
def long_is_short(monkeypatch):
    """Curves of a kilobyte are worth keeping."""
    monkeypatch.setattr("llm_testing.service.curves._WORTH_KEEPING", 1000)


def write(lab, run_id: str) -> None:
    with RunStore(lab.runs_dir).open(run_id).journal("metrics") as journal:
        for step in range(200):
            journal.append({"step": step, "train_loss": 1.0})


def kept(lab) -> set[str]:
    return {path.name[:20] for path in (lab.cache_dir / "curves").glob("*.columns")}


def test_the_curves_of_listed_runs_are_made_ready_once(lab, long_is_short):
    ended, active = made(lab, 1), made(lab, 2, state="running", owner=this_process())
    short = made(lab, 3)
    for run_id in (ended, active):
        write(lab, run_id)
    lab.history.make_ready(lab.history.runs())
    until(lambda: kept(lab) == {ended})
    came_later = made(lab, 4)
    write(lab, came_later)
    lab.history.make_ready(lab.history.runs())
    until(lambda: kept(lab) == {ended, came_later})
    assert not lab.history.curves.keep(ended) and short not in kept(lab)


def test_no_more_are_read_than_are_kept(tmp_path, long_is_short, monkeypatch):
    monkeypatch.setattr("llm_testing.service.readier.MOST_FILES", 2)
    lab = Lab(tmp_path / "runs", tmp_path / "cache")
    ids = [made(lab, number) for number in range(1, 5)]
    for run_id in ids:
        write(lab, run_id)
    lab.history.make_ready(lab.history.runs())
    until(lambda: kept(lab) == set(ids[2:]))
    assert lab.shutdown(30) and kept(lab) == set(ids[2:]), "the newest ones, and no others"
