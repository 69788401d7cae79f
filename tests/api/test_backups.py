"""Runs to a private dataset of the Hub and back, against a stand-in on this machine."""

import threading

import pytest

from llm_testing.errors import Busy, DownloadError
from llm_testing.hub import backup as hub_backup
from llm_testing.jobs.progress import never_cancel, report_nothing
from llm_testing.service.lab import Lab
from tests.api.served import fingerprint, served
from tests.hub.stand_in import writable_hub
from tests.service.parts import TINY, resume, run, until

# The Hub's client sends files in a way that httpx gives up: https://github.com/huggingface/huggingface_hub
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
TOKEN = "hf_canary7f3a"
REPO = "ann/my-runs"
QUIET = (report_nothing, never_cancel)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    with writable_hub(tmp_path / "hub", TOKEN, monkeypatch) as server:
        yield server


@pytest.fixture(scope="module")
def full(tmp_path_factory, cache_dir) -> Lab:
    lab = Lab(tmp_path_factory.mktemp("full") / "runs", cache_dir)
    for name in ("first", "../<b>second"):
        run(lab, name=name)
    return lab


@pytest.fixture
def empty(tmp_path, cache_dir) -> Lab:
    """The Space after a restart."""
    return Lab(tmp_path / "anew" / "runs", cache_dir)


def visible(lab: Lab) -> dict:
    return {name: data for name, data in fingerprint(lab.runs_dir).items() if not name.startswith(".")}


def hidden(lab: Lab) -> list[str]:
    return [path.name for path in lab.runs_dir.glob(".new-*")]


def test_a_space_that_starts_anew_gets_its_runs_back_and_they_go_on(hub, full, empty):
    sent = full.backups.back_up(REPO, *QUIET)
    ids = {row.run_id for row in full.rows()}
    assert set(sent.runs) == ids and sent.same == 0 and hub.private == {REPO: True}
    assert {path.stem for path in (hub.root / REPO / "runs").iterdir()} == ids

    came = empty.backups.bring_back(REPO, *QUIET)
    assert set(came.runs) == ids and came.skipped == {} and visible(empty) == visible(full)
    assert hidden(full) == hidden(empty) == []
    again = empty.backups.back_up(REPO, *QUIET)
    assert again.runs == () and again.same == 2, "what came back is the same, so nothing is sent again"

    run_id = min(ids)
    resume(empty, run_id, max_steps=TINY["max_steps"] + 2)
    assert empty.backups.back_up(REPO, *QUIET).runs == (run_id,)
    once_more = empty.backups.bring_back(REPO, *QUIET)
    assert once_more.runs == () and once_more.same == 2


def test_what_lies_in_the_dataset_is_not_believed(hub, full, empty, tmp_path):
    full.backups.back_up(REPO, *QUIET)
    folder = hub.root / REPO / "runs"
    good, bad = sorted(folder.iterdir())
    bad.write_bytes(b"no zip at all")
    (folder / "..%2f..%2fevil.zip").write_bytes(good.read_bytes())
    (folder / "20200101-000000-ffff.zip").write_bytes(good.read_bytes())  # another run under a name of its own
    came = empty.backups.bring_back(REPO, *QUIET)
    assert came.runs == (good.stem,) and "not a zip" in came.skipped[bad.stem]
    assert "evil" in " ".join(came.skipped) and [row.run_id for row in empty.rows()] == [good.stem]
    assert not (tmp_path / "evil").exists() and hidden(empty) == []


def test_a_public_dataset_a_foreign_token_and_none_are_refused(hub, full, monkeypatch):
    hub.private[REPO] = False
    (hub.root / REPO).mkdir(parents=True)
    with pytest.raises(DownloadError, match="ann/my-runs is public, so everybody could read your runs"):
        full.backups.back_up(REPO, *QUIET)
    assert list((hub.root / REPO).iterdir()) == []
    with pytest.raises(DownloadError, match="There is no ann/nowhere on the Hub that this token may see"):
        full.backups.bring_back("ann/nowhere", *QUIET)
    monkeypatch.setenv("HF_TOKEN", "hf_other")
    with pytest.raises(DownloadError, match="does not let this token write to ann/other") as refused:
        full.backups.back_up("ann/other", *QUIET)
    assert "hf_other" not in str(refused.value)
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(DownloadError, match="set HF_TOKEN"):
        full.backups.back_up(REPO, *QUIET)


def test_the_dataset_has_a_name_that_a_restarted_space_finds_again(hub, monkeypatch):
    monkeypatch.setenv("SPACE_ID", "ann/lab")
    assert hub_backup.Backup(None, make=True).repo == "ann/lab-runs"
    monkeypatch.delenv("SPACE_ID")
    assert hub_backup.Backup(None, make=True).repo == "ann/llm-testing-runs"


def test_it_is_asked_for_and_watched_by_rest(hub, full, monkeypatch):
    with served(full) as client:
        assert client.get("/api/backup").json() == {"job": None}
        refused = client.post("/api/backup", json={"repo": "no name"})
        assert refused.status_code == 422 and "owner/name" in refused.json()["detail"]
        assert client.post("/api/backup", json={"repo": REPO}).json()["state"] == "running"
        job = until_done(client)
        assert job["state"] == "done" and job["what"] == "backup" and len(job["carried"]["runs"]) == 2
        assert client.post("/api/backup/restore", json={"repo": REPO}).status_code == 200
        job = until_done(client)
        assert job["carried"] == {**job["carried"], "runs": [], "same": 2, "skipped": {}}
        assert TOKEN not in client.get("/api/backup").text


def test_one_at_a_time_and_given_up_as_the_app_ends(hub, full, cache_dir, monkeypatch):
    lab = Lab(full.runs_dir, cache_dir)
    sends, sending = [], threading.Event()

    def slow(self, run_id, path):
        sends.append(run_id)
        sending.set()
        lab.crew.closing.wait(20)

    monkeypatch.setattr(hub_backup.Backup, "put", slow)
    lab.backups.start("backup", REPO)
    with pytest.raises(Busy, match="A backup goes on already"):
        lab.backups.start("restore", REPO)
    assert sending.wait(20)
    assert lab.crew.close(20)
    assert lab.backups.last().state == "cancelled" and len(sends) == 1 and hidden(lab) == []


def until_done(client) -> dict:
    until(lambda: client.get("/api/backup").json()["job"]["state"] != "running")
    return client.get("/api/backup").json()["job"]
