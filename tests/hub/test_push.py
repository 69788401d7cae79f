"""A folder to the Hub, against a stand-in on this machine: one commit, with a token that is kept nowhere."""

import pytest

from llm_testing.errors import Cancelled, DownloadError
from llm_testing.hub.push import push_folder
from tests.hub.stand_in import Answer, writable_hub

# The Hub's client sends files in a way that httpx gives up: https://github.com/huggingface/huggingface_hub
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
TOKEN = "hf_canary7f3a"
WEIGHTS = bytes(range(256)) * 4000


@pytest.fixture
def hub(tmp_path, monkeypatch):
    with writable_hub(tmp_path / "hub", TOKEN, monkeypatch) as server:
        yield server


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "model"
    made.mkdir()
    (made / "README.md").write_text("a card")
    (made / "adapter_model.safetensors").write_bytes(WEIGHTS)
    return made


def test_every_file_arrives_in_one_commit_of_a_repository_that_is_made(hub, folder):
    url = push_folder(folder, "ann/tuned", private=True, message="A run.")
    there = hub.root / "ann" / "tuned"
    assert url == f"{hub.url}/ann/tuned" and hub.private == {"ann/tuned": True} and hub.messages == ["A run."]
    assert {file.name: file.read_bytes() for file in there.iterdir()} == {
        file.name: file.read_bytes() for file in folder.iterdir()
    }
    (folder / "README.md").write_text("another card")
    push_folder(folder, "ann/tuned", private=True, message="Again.")
    assert (there / "README.md").read_text() == "another card" and len(hub.messages) == 2


def test_without_a_token_and_with_a_wrong_one_nothing_is_sent(hub, folder, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_other")
    with pytest.raises(DownloadError, match="does not let this token write to ann/tuned") as refused:
        push_folder(folder, "ann/tuned", private=True, message="A run.")
    assert "hf_other" not in str(refused.value)
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(DownloadError, match="needs a token that may write: set HF_TOKEN"):
        push_folder(folder, "ann/tuned", private=True, message="A run.")
    assert not (hub.root / "ann").exists()


def test_a_name_that_is_none_is_refused(hub, folder):
    with pytest.raises(DownloadError, match=r"'\.\./x' cannot be the name of a repository"):
        push_folder(folder, "../x", private=True, message="A run.")


def test_a_stop_is_heard_while_the_hub_says_nothing(hub, folder, monkeypatch):
    monkeypatch.setattr(hub, "accept", lambda *request: Answer(hang="headers"))
    with pytest.raises(Cancelled):
        push_folder(folder, "ann/tuned", private=True, message="A run.", check=hub.stop_once_it_hangs)
    assert not hub.client_hung_up.is_set(), "it was given up by itself"
