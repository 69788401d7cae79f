"""The real app on a real small disk: a run whose last save finds no room, seen over HTTP and ended by SIGTERM."""

import json
import signal
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.app_process import RunningApp, running_app
from tests.service.parts import TINY, until
from tests.small_disk import fill, small_disk

pytestmark = pytest.mark.proof


def post(app: RunningApp, path: str, body: dict | None = None) -> Any:
    data = json.dumps(body).encode() if body is not None else b""
    asked = urllib.request.Request(app.url + path, data, {"Content-Type": "application/json"}, method="POST")
    with urllib.request.urlopen(asked, timeout=30) as reply:
        return json.load(reply)


def test_the_page_says_what_a_run_waits_for_and_both_stop_and_sigterm_end_it_with_the_truth(tmp_path: Path):
    with small_disk(tmp_path / "runs", "6m") as disk, running_app(tmp_path) as app:
        fill(disk, 200_000)

        def waits() -> bool:
            run = app.get("/live/status")["run"]
            return run is not None and run["phase"] == "waiting for disk space"

        run_id = post(app, "/api/pretraining/start", {**TINY, "n_embd": 64})["run_id"]
        until(waits)
        status = app.get("/api/pretraining/status")
        doing = status["doing"]
        assert (status["state"], status["phase"], doing["unit"]) == ("paused", "paused", "bytes")
        assert doing["done"] <= 200_000 < 700_000 < doing["total"]
        (said,) = [one for one in status["warnings"] if one.startswith("Waiting for disk space to save step 6.")]
        assert f"{doing['total']:,} bytes" in said and str(disk / run_id / "checkpoints") in said
        post(app, "/api/pretraining/stop")
        assert app.wait_for("interrupted")["warnings"][-1].startswith("Step 6 was not saved")
        status = app.get(f"/api/pretraining/status?run_id={run_id}")
        assert (status["state"], status["phase"]) == ("error", "interrupted")

        post(app, "/api/pretraining/resume", {"run_id": run_id})
        until(waits)
        app.process.send_signal(signal.SIGTERM)
        assert app.process.wait(20) == 0
        record = json.loads((disk / run_id / "run.json").read_bytes())
        assert (record["state"], record["summary"]["step"]) == ("interrupted", 6)
        assert "Traceback" not in app.said
