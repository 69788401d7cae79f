"""A model of the Hub, from a stand-in on this machine: whole, of one commit, gone on with after a cut."""

import errno
import hashlib
import io
import json
import socket
from pathlib import Path

import huggingface_hub.constants
import pytest

from llm_testing.errors import Cancelled, DataError, DownloadError, NotEnoughDisk
from llm_testing.hub import disk
from llm_testing.hub.model_files import WHOLE, fetch_model
from llm_testing.jobs.progress import never_cancel, report_nothing
from tests.hub.stand_in import Answer, FileServer, running

REPO, COMMIT = "owner/tiny", "c" * 40
WEIGHTS = bytes(range(256)) * 4000


@pytest.fixture
def hub(monkeypatch):
    """A Hub with one model; `files` are what it serves."""
    with running(FileServer()) as server:
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", server.url)
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
        serve(
            server, {"config.json": b"{}", "model.safetensors": WEIGHTS, "pytorch_model.bin": b"x", "README.md": b"y"}
        )
        yield server


def serve(server, files):
    siblings = []
    for name, content in files.items():
        server.files[f"/{REPO}/resolve/{COMMIT}/{name}"] = content
        entry = {"rfilename": name, "size": len(content), "blobId": "b"}
        if name.endswith(".safetensors"):
            digest = hashlib.sha256(content).hexdigest()
            entry["lfs"] = {"sha256": digest, "size": len(content), "pointerSize": 1}
        siblings.append(entry)
    server.files[f"/api/models/{REPO}"] = json.dumps({"id": REPO, "sha": COMMIT, "siblings": siblings}).encode()


def fetch(root, repo=REPO, commit=None, **more):
    seen = []
    return (*fetch_model(repo, commit, root, seen.append, never_cancel, **more), seen)


def test_config_and_safetensors_come_with_progress_and_nothing_else(hub, tmp_path):
    folder, commit, seen = fetch(tmp_path)
    assert commit == COMMIT and {f.name for f in folder.iterdir()} == {"config.json", "model.safetensors", WHOLE}
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert any("model.safetensors (2 of 2)" in p.phase and p.done == len(WEIGHTS) for p in seen)


def test_what_is_here_needs_no_hub_any_more(hub, tmp_path):
    folder, commit, _ = fetch(tmp_path)
    hub.files.clear()
    asked = len(hub.log)
    assert fetch(tmp_path)[:2] == (folder, commit) == fetch(tmp_path, commit=COMMIT)[:2]
    assert len(hub.log) == asked


def test_a_cut_connection_is_gone_on_with(hub, tmp_path):
    hub.cuts[f"/{REPO}/resolve/{COMMIT}/model.safetensors"] = [300_000]
    folder, _, _ = fetch(tmp_path)
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert any(range_asked for _, path, range_asked in hub.log if path.endswith("model.safetensors"))


def test_a_look_at_the_tokenizer_brings_no_weights(hub, tmp_path):
    folder, _, _ = fetch(tmp_path, weights=False)
    assert {f.name for f in folder.iterdir()} == {"config.json"}
    assert (fetch(tmp_path)[0] / "model.safetensors").exists()


def test_weights_that_were_changed_on_the_way_are_refused(hub, tmp_path):
    hub.files[f"/{REPO}/resolve/{COMMIT}/model.safetensors"] = b"y" * len(WEIGHTS)
    with pytest.raises(DownloadError, match="is not the expected file"):
        fetch(tmp_path)


def test_missing_gated_and_pickled_models_and_names_that_cannot_be_are_told_apart(hub, tmp_path):
    def answers(code, status):
        at = f"/api/models/{REPO}"
        hub.next_answers[at] = [Answer(b"{}", status, {"X-Error-Code": code, "Content-Type": "application/json"})]

    answers("RepoNotFound", 404)
    with pytest.raises(DownloadError, match="There is no model owner/tiny on the Hub, or it is private"):
        fetch(tmp_path)
    answers("GatedRepo", 403)
    with pytest.raises(DownloadError, match="asks to accept its terms .* set HF_TOKEN"):
        fetch(tmp_path)
    hub.files.clear()
    serve(hub, {"config.json": b"{}", "pytorch_model.bin": b"x"})
    with pytest.raises(DataError, match="only pickles, which can run code"):
        fetch(tmp_path)
    with pytest.raises(DownloadError, match="cannot be the name of a model"):
        fetch(tmp_path, repo="../etc")


def test_offline_is_said_at_once_and_in_words(hub, tmp_path, monkeypatch):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", f"http://127.0.0.1:{unused.getsockname()[1]}")
        with pytest.raises(DownloadError, match="owner/tiny"):
            fetch(tmp_path)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(DownloadError, match="owner/tiny"):
        fetch(tmp_path)
    assert hub.log == []


def test_a_disk_that_is_too_small_is_known_before_the_first_byte(hub, tmp_path, monkeypatch):
    monkeypatch.setattr(disk, "free_bytes", lambda path: 1000)
    with pytest.raises(NotEnoughDisk, match="The model owner/tiny needs about"):
        fetch(tmp_path)
    assert not any("/resolve/" in path for _, path, _ in hub.log)


def test_a_disk_that_fills_up_on_the_way_leaves_a_part_to_go_on_from(hub, tmp_path, monkeypatch):
    real = Path.open

    class Full(io.FileIO):
        def write(self, data):
            if self.tell() > 200_000:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(data)

    def opens(self, mode="r", *more, **named):
        return Full(self, mode) if self.name == "model.safetensors.part" and "b" in mode else real(self, mode, *more)

    monkeypatch.setattr(Path, "open", opens)
    with pytest.raises(NotEnoughDisk):
        fetch(tmp_path)
    monkeypatch.setattr(Path, "open", real)
    folder, _, _ = fetch(tmp_path)
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS
    assert hub.log[-1][2] is not None  # gone on with


@pytest.mark.parametrize("path", [f"/api/models/{REPO}", f"/{REPO}/resolve/{COMMIT}/model.safetensors"])
def test_a_stop_is_heard_while_the_hub_says_nothing(hub, tmp_path, path):
    hub.next_answers[path] = [Answer(hang="headers")]
    with pytest.raises(Cancelled):
        fetch_model(REPO, None, tmp_path, report_nothing, hub.stop_once_it_hangs)
    assert not hub.client_hung_up.is_set() or path.endswith(".safetensors"), "it was given up by itself"
    fetch(tmp_path)
