"""Runs on a disk that nobody may write, over REST and on the command line: all is seen, and every change is refused."""

import shutil

from llm_testing.cli.main import main
from llm_testing.service.lab import Lab
from tests.api.served import AT, BODY, served, told
from tests.service.parts import run
from tests.small_disk import make_read_only, small_disk


def test_on_a_read_only_disk_runs_are_seen_and_every_change_is_refused_in_words(lab, tmp_path, cache_dir, capfd):
    first = run(lab, max_steps=2)
    with small_disk(tmp_path / "disk", "6m") as disk:
        runs = disk / "runs"
        shutil.copytree(lab.runs_dir, runs)
        make_read_only(disk)
        client = served(Lab(runs, cache_dir))
        (row,) = client.get(f"{AT}/runs").json()
        assert row["run_id"] == first
        assert client.get(f"{AT}/runs/{first}").status_code == 200
        assert client.get(f"{AT}/status?run_id={first}").json()["phase"] == "completed"
        changes = (
            ("POST", f"{AT}/start", BODY),
            ("POST", f"{AT}/start", {**BODY, "queue": True}),
            ("POST", f"{AT}/resume", {"run_id": first, "max_steps": 4}),
            ("POST", f"{AT}/runs/{first}/rename", {"name": "another"}),
            ("DELETE", f"{AT}/runs/{first}", None),
            ("DELETE", f"{AT}/checkpoints/{first}/step-00000002", None),
        )
        for method, address, body in changes:
            detail = told(client.request(method, address, json=body), 422)["detail"]
            assert detail.startswith("A file cannot be written to") and "Read-only file system" in detail, address
        for command in (("resume", first, "--max-steps", "4"), ("runs", "rename", first, "another")):
            assert main([*command, "--runs-dir", str(runs), "--cache-dir", str(cache_dir)]) == 2
            assert "Read-only file system" in capfd.readouterr().err
