"""Where a tuned model is talked to: on a card that is free, which it leaves before a run begins; else in main memory.

The card is this machine's memory under another name: what is decided and let go is what is tested.
"""

import gc
import weakref
from collections.abc import Callable

import pytest
import torch

from llm_testing.errors import Busy, ConfigError, NotEnoughMemory, Problem
from llm_testing.model import base_model
from llm_testing.model.generate import Sampling
from llm_testing.service import shells
from llm_testing.service.lab import Lab
from tests.api.tuning_parts import body_at
from tests.service.parts import until

pytestmark = pytest.mark.proof
CARD, LONG = torch.device("cuda:0"), Sampling(max_tokens=100_000, temperature=1.0)


class FakeCard:
    """A card with some free bytes; models are really read into main memory."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, load: Callable):
        self.free_bytes, self.is_full, self.loaded, self.freed = 64 << 30, False, [], 0
        self._load = load
        monkeypatch.setattr(shells, "find_device", self.find)
        monkeypatch.setattr(shells, "card_memory", lambda found: ("A card", self.free_bytes, True, (8, 0)))
        monkeypatch.setattr(base_model, "load_tuned", self.load)
        monkeypatch.setattr(shells, "free_memory", self.free)

    def find(self, name: str) -> torch.device:
        if name == "cuda:3":
            raise ConfigError([Problem("device", "There is no cuda:3 here.")])
        return CARD if name == "auto" else torch.device(name)

    def load(self, folder, config, where):
        if where == CARD and self.is_full:
            raise torch.OutOfMemoryError("CUDA out of memory")
        self.loaded.append(where.type)
        return self._load(folder, config, torch.device("cpu"))

    def free(self, where):
        gc.collect()
        self.freed += where == CARD


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("tuned")


@pytest.fixture(scope="module")
def body(root):
    """A run of a second, of which each lab tunes its own."""
    return body_at(root, sample_prompts=[])


@pytest.fixture
def lab(tmp_path, root, body):
    lab = Lab(tmp_path / "runs", root / "cache")
    lab.finetuning.start(body)
    until(lambda: lab.live() is None)
    assert lab.last().state == "completed", lab.last().error
    yield lab
    assert lab.shutdown(60), "a run outlived its test"


@pytest.fixture
def card(monkeypatch, lab) -> FakeCard:
    return FakeCard(monkeypatch, base_model.load_tuned)


def answer(lab: Lab, what: str | None = None, sampling: Sampling | None = None):
    chats = lab.finetuning.chats
    opened = chats.open(what)
    prompt = chats.prompt(opened, [{"role": "user", "content": "one"}])
    return chats.answer(opened, {"base": prompt, "adapter": prompt}, sampling or Sampling(max_tokens=2))


def test_a_free_card_is_used_and_the_model_stays_there(lab, card):
    pieces = list(answer(lab))
    assert [piece.side for piece in pieces if piece.done] == ["base", "adapter"]
    list(answer(lab))
    assert card.loaded == ["cuda"] and card.freed == 0


@pytest.mark.parametrize("why", ["no room", "somebody was quicker"])
def test_a_card_without_room_leaves_it_to_main_memory(lab, card, why):
    if why == "no room":
        card.free_bytes = 1 << 20
    else:
        card.is_full = True
    assert list(answer(lab))[-1].done
    assert card.loaded == ["cpu"] and card.freed == (why != "no room")


def test_a_run_of_another_machines_card_is_talked_to_on_this_ones(lab, card):
    folder = lab._store.open(lab.rows()[0].run_id)
    folder.update(config={**folder.record()["config"], "device": "cuda:3"})
    list(answer(lab))
    assert card.loaded == ["cuda"]


def test_a_run_that_starts_gets_the_whole_card_and_an_answer_that_is_being_written_ends(lab, card, body):
    writing = answer(lab, sampling=LONG)
    next(writing)
    model, left = weakref.ref(lab.finetuning.chats._kept.model), lab.finetuning.chats._kept.left
    lab.finetuning.start({**body, "seed": 2, "max_steps": 100_000, "eval_steps": 50_000})
    assert left.wait(60)
    with pytest.raises(Busy, match="the card is its own now"):
        list(writing)
    until(lambda: lab.live() and lab.live().step > 0)
    assert card.freed == 1 and model() is None, "nothing of the model is left"
    assert list(answer(lab, "live"))[-1].done
    assert card.loaded == ["cuda", "cpu"], "beside a run it is main memory"
    lab.stop("discard")
    until(lambda: lab.live() is None)


def test_an_answer_that_nobody_reads_does_not_hold_a_run_up(lab, card, body, monkeypatch):
    monkeypatch.setattr("llm_testing.service.chats.LEAVES_WITHIN_S", 0.1)
    writing = answer(lab, sampling=LONG)
    next(writing)
    lab.finetuning.start({**body, "seed": 3})
    until(lambda: lab.live() is None)
    assert lab.last().state == "completed" and card.freed == 1
    with pytest.raises(Busy, match="the card is its own now"):
        list(writing)


def test_a_card_that_runs_full_while_a_model_writes_is_told_in_words(lab, card, monkeypatch):
    writing = answer(lab, sampling=LONG)
    next(writing)
    kept = lab.finetuning.chats._kept

    def full(tokens, remembered):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(kept.model, "logits_after", full)
    with pytest.raises(NotEnoughMemory, match="no memory left for a conversation"):
        list(writing)
    monkeypatch.undo()
    assert list(answer(lab))[-1].done, "the next one is answered"
