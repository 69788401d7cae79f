"""A disk that fills up while a run trains: what was written stays, what waited is written once there is room."""

import errno
import os

import pytest

from llm_testing.store import files
from llm_testing.train.events import Logged
from tests.service.parts import checkpoint_files, curve, run

pytestmark = pytest.mark.proof


def full_disk(*args, **kwargs):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_training_goes_on_and_catches_up_when_there_is_room_again(lab, monkeypatch):
    whole = run(lab)
    original = os.write
    seen = []

    def act(event):
        if isinstance(event, Logged) and event.step == 2:
            seen.append(checkpoint_files(lab, lab.live().run_id))
            monkeypatch.setattr(files.os, "write", full_disk)
        if isinstance(event, Logged) and event.step == 5:
            monkeypatch.setattr(files.os, "write", original)

    run_id = run(lab, on_event=act)
    details = lab.details(run_id)
    assert details["state"] == "completed"
    assert curve(lab, run_id) == curve(lab, whole)
    assert any("could not be saved" in row.get("message", "") for row in lab.events(run_id).rows)
    assert "final" in details["checkpoints"][-1]["kinds"]
