"""Folders and files that a user may not write or read: a sentence, and no traceback.

Each command runs in a copy of this process that has become another user.
"""

import os
import shutil
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from llm_testing.cli.main import main
from llm_testing.estimate.estimator import Estimator
from llm_testing.service import lab as lab_module
from llm_testing.service.lab import Lab
from tests.cli.conftest import SMALL, Said
from tests.service.parts import run

pytestmark = [
    pytest.mark.proof,
    pytest.mark.skipif(
        not hasattr(os, "geteuid") or os.geteuid() != 0, reason="becoming another user than root needs root"
    ),
]
NOBODY = 65534
TRAIN = ("pretrain", *SMALL, "--max-steps", "2")
NO_RIGHT = "(Permission denied). Give this user the right to write there, or use another folder."


@pytest.fixture(scope="module")
def place(cache_dir: Path) -> Iterator[Path]:
    """A folder that every user may enter, with two runs in `runs` that are root's; everything was imported for them."""
    place = Path(tempfile.mkdtemp(dir="/tmp"))
    place.chmod(0o755)
    lab = Lab(place / "runs", place / "cache")
    assert len({run(lab) for _ in range(2)}) == 2
    assert lab.shutdown(60)
    yield place
    shutil.rmtree(place)


@pytest.fixture
def runs(place: Path, tmp_path: Path) -> Iterator[Path]:
    """A copy of the two runs that the other user owns."""
    copy = place / tmp_path.name
    shutil.copytree(place / "runs", copy)
    give(copy)
    yield copy
    shutil.rmtree(copy)


@pytest.fixture
def say_as_other(place: Path) -> Callable[..., Said]:
    """Run a command as another user."""

    def say(*args: str | Path) -> Said:
        out, err = (Path(tempfile.mkstemp(dir=place)[1]) for _ in range(2))
        pid = os.fork()
        if pid == 0:
            status = 99
            # Never back into pytest, whatever happens: this is a copy of it.
            try:
                for number, path in ((1, out), (2, err)):
                    os.dup2(os.open(path, os.O_WRONLY), number)
                sys.stdout = sys.__stdout__ = open(1, "w", closefd=False)
                sys.stderr = open(2, "w", closefd=False)
                lab_module.Estimator = Estimator  # one of its own, and not the one that the tests share
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
                status = main([str(arg) for arg in args])
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(status)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        said = Said(status, out.read_text(encoding="utf-8"), err.read_text(encoding="utf-8"))
        assert "Traceback" not in said.err, said.err
        return said

    return say


def give(path: Path, user: int = NOBODY, mode: int | None = None) -> None:
    """Make a file, or a folder with all that is in it, somebody's."""
    for one in (path, *path.rglob("*")):
        os.chown(one, user, user, follow_symlinks=False)
        if mode is not None and (one == path or one.is_file()):
            one.chmod(mode)


def ids_in(runs: Path) -> list[str]:
    return sorted((path.name for path in runs.iterdir() if path.is_dir()), reverse=True)


def test_a_runs_folder_that_may_not_be_written_or_read_is_one_sentence(place, say_as_other):
    runs = place / "runs"
    newest, oldest = ids_in(runs)
    listed = say_as_other("runs", "list", "--runs-dir", runs)
    assert listed.status == 0 and newest in listed.out and oldest in listed.out
    for status, args in (
        (2, TRAIN),
        (2, ("resume", newest, "--max-steps", "8")),
        (2, ("runs", "rename", newest, "another")),
        (1, ("runs", "delete", newest)),
    ):
        said = say_as_other(*args, "--runs-dir", runs, "--cache-dir", place / "cache")
        assert (said.status, said.out) == (status, "") and said.err.count("\n") == 1, said
        assert said.err.endswith(f"A file cannot be written to {runs} {NO_RIGHT}\n")
    said = say_as_other(*TRAIN, "--runs-dir", place / "new" / "runs")
    assert (said.status, said.out, said.err) == (2, "", f"runs cannot be written to {place / 'new'} {NO_RIGHT}\n")
    said = say_as_other("export", newest, "--to", place / "out", "--runs-dir", runs)
    assert (said.status, said.err) == (2, f"A file cannot be written to {place} {NO_RIGHT}\n")
    runs.chmod(0o700)
    try:
        for command in (("list",), ("show", newest)):
            said = say_as_other("runs", *command, "--runs-dir", runs)
            assert said.status == 1 and "cannot be read" in said.err and "Permission denied" in said.err
    finally:
        runs.chmod(0o755)


def test_a_cache_that_may_not_be_written_fails_the_run_with_one_sentence(place, runs, say_as_other):
    said = say_as_other(*TRAIN, "--runs-dir", runs, "--cache-dir", place / "no cache")
    assert said.status == 2
    assert said.err.splitlines()[-1] == f"tokenizers cannot be written to {place / 'no cache'} {NO_RIGHT}"
    listed = say_as_other("runs", "list", "--runs-dir", runs)
    assert "failed" in listed.out and listed.status == 0


@pytest.mark.parametrize("hidden", ["run.json", "checkpoints", "model.safetensors", "metrics.jsonl", "the run"])
def test_what_of_a_run_may_not_be_read_is_damaged_and_hides_no_other(place, runs, say_as_other, hidden):
    newest, oldest = ids_in(runs)
    path = runs / newest
    paths = {"model.safetensors": [*path.glob("checkpoints/*/model.safetensors")], "the run": [path]}
    for one in paths.get(hidden, [path / hidden]):
        give(one, user=0, mode=0o600)
    listed = say_as_other("runs", "list", "--runs-dir", runs)
    assert listed.status == 0 and newest in listed.out and oldest in listed.out
    if hidden in ("run.json", "checkpoints", "the run"):
        assert "Permission denied" in listed.out + listed.err and f"{newest} is damaged" in listed.out + listed.err
    on = say_as_other("resume", newest, "--max-steps", "8", "--runs-dir", runs, "--cache-dir", place / "cache")
    assert on.status in (1, 2) and on.err.count("\n") <= 2, on
    assert "Permission denied" in on.err and "Free some space" not in on.err and "not a link" not in on.err
    for args in (("runs", "show", newest), ("generate", newest, "--prompt", "The")):
        said = say_as_other(*args, "--runs-dir", runs)
        assert said.status in (0, 1, 2)
    assert say_as_other("runs", "show", oldest, "--runs-dir", runs).status == 0


def test_a_journal_that_may_be_read_and_not_written_fails_the_run_with_one_sentence(place, runs, say_as_other):
    newest = ids_in(runs)[0]
    give(runs / newest / "metrics.jsonl", user=0, mode=0o644)
    on = say_as_other("resume", newest, "--max-steps", "8", "--runs-dir", runs, "--cache-dir", place / "cache")
    assert on.status == 2 and on.err.endswith(f"metrics.jsonl cannot be written to {runs / newest} {NO_RIGHT}\n")
    assert "failed" in say_as_other("runs", "list", "--runs-dir", runs).out
