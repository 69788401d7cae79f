"""The playground: text and attention of checkpoints and of the model that is being trained."""

import pytest

from llm_testing.errors import Busy, ConfigError, NotEnoughMemory, NotFound, WrongState
from llm_testing.model.generate import Sampling
from llm_testing.service import playground as playground_module
from tests.service.parts import TINY, curve, final_weights, run, until

GREEDY = Sampling(max_tokens=12, temperature=0.0)
LONG = {**TINY, "max_steps": 100_000, "log_every": 1}


def test_a_checkpoint_writes_what_the_command_line_writes(lab):
    run_id = run(lab)
    playground = lab.playground
    opened = playground.open(run_id)
    assert opened.step == 6 and opened.name == f"{run_id}/step-00000006"
    text = "".join(playground.write(opened, "The", GREEDY))
    assert text == "".join(lab.generate(run_id, "The", GREEDY)) and len(text) == 12
    assert playground.complete(run_id, "The", GREEDY).text == "The" + text
    assert playground.open(None) is opened, "the model stays open for the next question"


def test_heads_are_the_weights_of_the_manual_path_and_rows_sum_to_one(lab):
    run_id = run(lab)
    shown = lab.playground.heads(run_id, "the cat", 0)
    assert shown.num_heads == len(shown.weights) == 2 and shown.tokens == list("the cat")
    for head, rows in enumerate(shown.weights):
        alone = lab.playground.attention(run_id, "the cat", 0, head).attention_weights
        for t, row in enumerate(rows):
            assert sum(row) == pytest.approx(1, abs=1e-3) and all(weight == 0 for weight in row[t + 1 :])
            assert row == pytest.approx(alone[t], abs=1e-4)


def test_a_text_longer_than_the_model_or_a_missing_layer_is_refused_by_name(lab):
    run_id = run(lab)
    with pytest.raises(ConfigError, match="text: The text must have 1 to 16 tokens; received 17"):
        lab.playground.attention(run_id, "e" * 17, 0)
    shown = lab.playground.heads(run_id, "e" * 17, 0)
    assert len(shown.tokens) == len(shown.weights[0]) == 16 and shown.left_out == 1
    with pytest.raises(ConfigError, match="layer: The model has the layers 0 to 0; received 3"):
        lab.playground.heads(run_id, "The", 3)


def test_without_a_run_there_is_no_live_model(lab):
    with pytest.raises(WrongState, match="no live model. Choose a checkpoint"):
        lab.playground.open("live")
    with pytest.raises(NotFound, match="no checkpoint yet"):
        lab.playground.open(None)


def test_the_live_model_answers_while_it_trains_and_while_it_is_paused(lab):
    run_id = lab.start(LONG).run_id
    until(lambda: lab.live() and lab.live().step > 2)
    training = lab.playground.open("live")
    seen = lab.live().step
    assert training.run_id == run_id and training.step >= 2
    assert len("".join(lab.playground.write(training, "The", GREEDY))) == 12
    until(lambda: lab.live().step > seen)
    lab.pause()
    until(lambda: lab.live().state == "paused")
    paused, again = lab.playground.open("live"), lab.playground.open("live")
    assert paused.step == again.step > training.step
    # The rolling checkpoint of the pause holds the same weights, so both write the same.
    saved = lab.playground.open(f"{run_id}/step-{paused.step:08d}")
    texts = {"".join(lab.playground.write(opened, "The", GREEDY)) for opened in (paused, again, saved)}
    assert len(texts) == 1
    assert lab.playground.heads("live", "The", 0).step == paused.step
    lab.stop("save")
    until(lambda: lab.live() is None)


def test_asking_the_live_model_changes_nothing_of_the_training(lab):
    alone = run(lab, max_steps=12, dropout=0.3)
    asked_run = lab.start({**TINY, "max_steps": 12, "dropout": 0.3}).run_id
    asked = 0
    while lab.live() is not None:
        try:
            opened = lab.playground.open("live")
            "".join(lab.playground.write(opened, "The", GREEDY))
            asked += 1
        except WrongState:
            continue
    assert lab.details(asked_run)["state"] == "completed"
    assert curve(lab, asked_run) == curve(lab, alone) and final_weights(lab, asked_run) == final_weights(lab, alone)


def test_one_text_at_a_time_and_who_leaves_makes_room(lab, monkeypatch):
    opened = lab.playground.open(run(lab))
    first = lab.playground.write(opened, "The", Sampling(max_tokens=1000))
    next(first)
    with pytest.raises(Busy, match="Another text is being written"):
        next(lab.playground.write(opened, "A", GREEDY, turn_within_s=0.01))
    first.close()
    assert "".join(lab.playground.write(opened, "A", GREEDY, turn_within_s=0.01))


def test_a_copy_that_would_fill_the_memory_is_refused(lab, monkeypatch):
    lab.start(LONG)
    until(lambda: lab.live() and lab.live().step > 0)
    monkeypatch.setattr(playground_module, "usable_memory_bytes", lambda: type("M", (), {"available_bytes": 1000})())
    with pytest.raises(NotEnoughMemory, match="A copy of the live model takes"):
        lab.playground.open("live")
    monkeypatch.undo()
    lab.stop("save")
    until(lambda: lab.live() is None)
