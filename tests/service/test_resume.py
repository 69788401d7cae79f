"""Resume, extend, fork, discard: what is kept is bit for bit what an uninterrupted run would have had."""

import json
import random
import textwrap

import pytest

from llm_testing.errors import ConfigError, WrongState
from llm_testing.jobs.control import Control
from llm_testing.train.events import Logged
from tests import forked
from tests.service.parts import TINY, checkpoint_files, curve, final_weights, resume, run, until

pytestmark = pytest.mark.proof

KILLED = textwrap.dedent(
    """
    import json, sys
    from pathlib import Path
    from llm_testing.jobs.control import Control
    from llm_testing.service.lab import Lab

    lab = Lab(Path(sys.argv[1]), Path(sys.argv[2]))
    lab.run_here(json.loads(sys.argv[3]), control=Control())
    """
)

# Every pair of values stands in one of these rows.
PAIRS = [
    # precision, accumulation, attention, tied, dropout, checkpointing, optimizer
    ("fp32", 1, "manual", True, 0.0, False, "adamw"),
    ("fp32", 4, "sdpa", False, 0.1, True, "adamw_8bit"),
    ("bf16", 1, "sdpa", True, 0.1, False, "adamw_8bit"),
    ("bf16", 4, "manual", False, 0.0, True, "adamw"),
    ("fp16", 1, "manual", False, 0.1, False, "adamw_8bit"),
    ("fp16", 4, "sdpa", True, 0.0, True, "adamw"),
    ("fp32", 1, "sdpa", False, 0.0, False, "adamw"),
    ("bf16", 1, "manual", True, 0.1, True, "adamw"),
    ("fp16", 1, "sdpa", True, 0.0, True, "adamw_8bit"),
    ("fp32", 4, "manual", True, 0.1, False, "adamw"),
]
NAMES = (
    "precision",
    "grad_accum_steps",
    "attention_impl",
    "tie_embeddings",
    "dropout",
    "gradient_checkpointing",
    "optimizer",
)


def stop_at(step, control, mode="save"):
    return lambda event: isinstance(event, Logged) and event.step == step and control.request_stop(mode)


def test_every_pair_of_settings_is_covered():
    for i in range(len(NAMES)):
        for j in range(i):
            values = [{row[k] for row in PAIRS} for k in (i, j)]
            assert {(row[i], row[j]) for row in PAIRS} == {(a, b) for a in values[0] for b in values[1]}, (
                NAMES[i],
                NAMES[j],
            )


@pytest.mark.parametrize("row", PAIRS, ids=lambda row: "-".join(str(v) for v in row))
def test_a_killed_run_resumes_bit_for_bit(lab, row):
    """SIGKILL at a random point of a real process, then resume: the same curve and the same weights."""
    values = {**TINY, **dict(zip(NAMES, row, strict=True)), "save_every": 2, "max_steps": 12, "keep_checkpoints": 9}
    whole = run(lab, **values)
    before = {r.run_id for r in lab.rows()}
    process = forked.start(["-c", KILLED, str(lab.runs_dir), str(lab.cache_dir), json.dumps(values)])
    try:
        until(lambda: {r.run_id for r in lab.rows()} - before or process.poll() is not None)
        (killed,) = {r.run_id for r in lab.rows()} - before
        kill_after = random.Random(str(row)).randint(2, 11)
        metrics = lab.runs_dir / killed / "metrics.jsonl"
        until(lambda: process.poll() is not None or metrics.exists() and metrics.read_bytes().count(b"\n") > kill_after)
    finally:
        process.kill()
        process.wait()
    assert lab.details(killed)["state"] in ("interrupted", "completed")
    if lab.details(killed)["state"] == "interrupted":
        resume(lab, killed)
    assert lab.details(killed)["state"] == "completed", lab.details(killed)["error"]
    assert curve(lab, killed) == curve(lab, whole)
    assert final_weights(lab, killed) == final_weights(lab, whole)


def test_twenty_resumes_in_a_chain_change_nothing(lab):
    values = {"max_steps": 21, "dropout": 0.1, "intermediate_val_freq_steps": 5}
    whole = run(lab, **values)
    control = Control()
    chained = run(lab, control=control, on_event=stop_at(1, control), **values)
    for step in range(2, 21):
        control = Control()
        resume(lab, chained, control=control, on_event=stop_at(step, control))
        assert lab.details(chained)["state"] == "stopped" and lab.result(chained)["step"] == step
    resume(lab, chained)
    assert curve(lab, chained) == curve(lab, whole)
    assert final_weights(lab, chained) == final_weights(lab, whole)
    assert "final" in lab.details(chained)["checkpoints"][-1]["kinds"]


def test_a_stop_in_the_middle_of_a_validation_changes_nothing(lab):
    whole, control = run(lab), Control()

    class StopAtThirdStep:
        def __call__(self, progress):
            if progress.phase == "evaluating" and progress.done == 3:
                control.request_stop("save")

    stopped = lab.run_here(TINY, control=control, report=StopAtThirdStep())
    assert lab.result(stopped)["step"] == 3 or lab.points(stopped).rows[-1]["step"] == 2
    resume(lab, stopped)
    assert curve(lab, stopped) == curve(lab, whole)


def test_extending_a_finished_run_goes_on_from_its_last_step(lab):
    run_id = run(lab)
    with pytest.raises(WrongState, match="is completed.*max_steps above 6"):
        resume(lab, run_id)
    sentences = lab.preview_resume(run_id, {"max_steps": 9})
    assert sentences[0] == "Goes on at step 6 of 9."
    assert "from 6 to 9 steps" in sentences[1] and "from 0.001 to" in sentences[1]
    resume(lab, run_id, max_steps=9)
    assert sentences[1] in [row.get("message") for row in lab.events(run_id).rows]
    steps = [row["step"] for row in lab.points(run_id).rows]
    assert steps == list(range(10)) and lab.result(run_id)["step"] == 9
    assert lab.details(run_id)["config"]["max_steps"] == 9


def test_extending_an_early_end_forgets_it(lab):
    run_id = run(lab, max_steps=50, learning_rate=1.0, grad_clip=0.0, intermediate_val_freq_steps=1, patience=1)
    step = lab.result(run_id)["step"]
    resume(lab, run_id, max_steps=60, patience=50)
    assert lab.result(run_id)["step"] == 60 > step


def test_a_fixed_option_cannot_change_on_resume(lab):
    control = Control()
    run_id = run(lab, control=control, on_event=stop_at(2, control))
    with pytest.raises(
        ConfigError, match="batch_size: Batch size cannot change when a run is resumed; fork it"
    ) as caught:
        resume(lab, run_id, batch_size=8, no_such=1)
    assert "batch_size" in {p.field for p in caught.value.problems}


def test_a_fork_keeps_weights_step_and_optimizer_and_may_change_the_rest(lab):
    parent = run(lab)
    fork = run(lab, resume_from=f"{parent}/step-00000006", max_steps=9, batch_size=4, seed=5)
    details = lab.details(fork)
    assert details["parent"] == {"run_id": parent, "step": 6, "how": "fork"}
    rows = lab.points(fork).rows
    assert [row["step"] for row in rows] == [6, 7, 8, 9]
    # Its first validation is that of the parent's last step: the same weights on the same windows, batched otherwise.
    assert rows[0]["val_loss"] == pytest.approx(lab.points(parent).rows[-1]["val_loss"], abs=0.2)
    assert [row["event"] for row in lab.events(fork).rows].count("warning") == 0
    with pytest.raises(WrongState, match="another run was forked from its step 6"):
        lab.trash(parent)


def test_a_fork_with_another_optimizer_says_that_it_starts_afresh(lab):
    parent = run(lab)
    fork = run(lab, resume_from=parent, max_steps=8, optimizer="adamw_8bit")
    assert any("optimizer starts afresh" in row.get("message", "") for row in lab.events(fork).rows)


def test_a_fork_whose_total_is_reached_already_adds_its_steps(lab):
    parent = run(lab)
    fork = run(lab, resume_from=parent, max_steps=4)
    assert lab.result(fork)["step"] == 10
    assert any("come on top" in row.get("message", "") for row in lab.events(fork).rows)


def test_a_fork_of_another_shape_or_tokenizer_is_refused_in_words(lab):
    parent = run(lab)
    with pytest.raises(ConfigError, match="keeps its parent's tokenizer, char"):
        run(lab, resume_from=parent, tokenizer="bpe")
    fork = run(lab, resume_from=parent, n_embd=32)
    assert "do not fit this model" in lab.details(fork)["error"]


def test_discarding_a_new_run_moves_it_to_the_trash(lab):
    control = Control()
    run_id = run(lab, control=control, on_event=stop_at(2, control, "discard"))
    assert lab.rows() == [] and [row.run_id for row in lab.trashed()] == [run_id]


def test_discarding_a_resumed_session_drops_only_what_it_added(lab):
    control = Control()
    run_id = run(lab, control=control, on_event=stop_at(3, control), save_every=1)
    before, files = curve(lab, run_id), checkpoint_files(lab, run_id)
    control = Control()
    resume(lab, run_id, control=control, on_event=stop_at(5, control, "discard"))
    assert curve(lab, run_id) == before
    assert [p for p in checkpoint_files(lab, run_id) if "step-00000003" in str(p)] == [
        p for p in files if "step-00000003" in str(p)
    ]
    assert lab.result(run_id)["step"] == 3 and lab.details(run_id)["state"] == "stopped"
    resume(lab, run_id)
    assert lab.result(run_id)["step"] == 6


def test_a_damaged_newest_checkpoint_is_passed_over(lab):
    control = Control()
    run_id = run(lab, control=control, on_event=stop_at(5, control), save_every=2)
    newest = lab.details(run_id)["checkpoints"][-1]["step"]
    weights = lab.runs_dir / run_id / "checkpoints" / f"step-{newest:08d}" / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(bytes(data))
    resume(lab, run_id)
    whole = run(lab, save_every=2)
    assert curve(lab, run_id) == curve(lab, whole)


def test_changed_text_is_refused_on_resume(lab, tmp_path):
    text = tmp_path / "own.txt"
    text.write_text("One two three four. " * 60)
    control = Control()
    run_id = run(lab, corpus=str(text), control=control, on_event=stop_at(2, control))
    text.write_text("Four three two one. " * 60)
    resume(lab, run_id)
    assert "is not what this run was trained on" in lab.details(run_id)["error"]


def test_another_thread_count_is_said_not_to_be_bit_exact(lab):
    control = Control()
    run_id = run(lab, control=control, on_event=stop_at(2, control))
    record = lab.details(run_id)["environment"]
    lab._store.open(run_id).update(environment={**record, "threads": 64})
    resume(lab, run_id)
    assert any("Not bit-exact: threads was 64" in row.get("message", "") for row in lab.events(run_id).rows)
