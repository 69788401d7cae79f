import pytest

from llm_testing.jobs.control import Control
from llm_testing.train.events import Logged, Paused, Resumed, Sampled
from llm_testing.train.state import Standing
from tests.train.parts import Recorder, config, training_run


def run(control=None, **values):
    recorder = Recorder()
    session = training_run(config(**values), recorder, control)
    return session, recorder, session.run()


def test_a_run_logs_step_zero_each_step_and_the_whole_split_at_the_end():
    session, recorder, outcome = run(intermediate_val_freq_steps=4)
    points = recorder.of(Logged)
    assert outcome == "completed"
    assert [p.step for p in points] == list(range(9))
    assert points[0].train_loss is not None and points[0].lr is None
    assert [p.step for p in points if p.val_loss is not None] == [0, 4, 8]
    assert [p.final_val_tokens for p in points if p.final_val_loss is not None] == [99]
    assert points[-1].tokens_seen == 8 * 4 * 8
    # Two bytes a token: bits a byte are half the bits a token.
    assert points[-1].val_bits_per_byte == pytest.approx(points[-1].val_loss / 0.6931471805599453 / 2)


def test_the_train_loss_is_the_mean_since_the_last_point():
    _, each, _ = run(intermediate_val_freq_steps=8)
    _, some, _ = run(intermediate_val_freq_steps=8, log_every=4)
    every = [p.train_loss for p in each.of(Logged)]
    assert [p.step for p in some.of(Logged)] == [0, 4, 8]
    assert [p.train_loss for p in some.of(Logged)][1:] == pytest.approx([sum(every[1:5]) / 4, sum(every[5:9]) / 4])


def test_samples_follow_validation_unless_told_otherwise():
    assert [s.step for s in run(intermediate_val_freq_steps=4)[1].of(Sampled)] == [0, 4, 8]
    assert [s.step for s in run(intermediate_val_freq_steps=8, sample_every=3)[1].of(Sampled)] == [0, 3, 6]
    assert run(sample_every=0)[1].of(Sampled) == []


def test_best_periodic_and_final_checkpoints_are_saved():
    _, recorder, _ = run(intermediate_val_freq_steps=8, save_every=3)
    kinds = {snapshot.step: snapshot.kinds for snapshot in recorder.saves}
    assert kinds[3] == kinds[6] == ("periodic",)
    assert "final" in kinds[8]
    assert set(kinds) == {3, 6, 8}


def test_a_rolling_point_is_saved_every_ten_minutes():
    recorder = Recorder()
    ticks = iter(range(0, 10**6, 50))
    training_run(config(intermediate_val_freq_steps=100), recorder, clock=lambda: next(ticks)).run()
    assert ("rolling",) in [snapshot.kinds for snapshot in recorder.saves]


def test_patience_ends_a_run_that_stops_getting_better():
    session, recorder, outcome = run(
        max_steps=200, learning_rate=1.0, intermediate_val_freq_steps=2, patience=3, grad_clip=0.0
    )
    points = recorder.of(Logged)
    assert outcome == "completed" and points[-1].step < 200
    losses = [p.val_loss for p in points if p.val_loss is not None]
    assert min(losses[-3:]) >= min(losses[:-3])
    assert points[-1].final_val_loss is not None and session.standing.ended_early


def test_pause_saves_waits_serves_and_goes_on():
    control, recorder = Control(), Recorder()
    session = training_run(config(), recorder, control)
    answers = []

    def act(event):
        if isinstance(event, Logged) and event.step == 3:
            control.request_pause()
        if isinstance(event, Paused):
            future = control.submit(lambda run: answers.append(run.sample("while paused")))
            future.add_done_callback(lambda done: control.request_resume())

    recorder.on_event = act
    assert session.run() == "completed"
    assert [e.step for e in recorder.of(Paused)] == [e.step for e in recorder.of(Resumed)] == [3]
    assert (3, ("rolling",)) in [(s.step, s.kinds) for s in recorder.saves]
    assert len(answers) == 1 and recorder.of(Sampled)[-1].step == 8
    assert any(s.prompt == "while paused" and s.step == 3 for s in recorder.of(Sampled))


@pytest.mark.parametrize(("mode", "saved"), [("save", [3]), ("signal", [3]), ("discard", [])])
def test_stop_ends_at_the_step_boundary(mode, saved):
    control, recorder = Control(), Recorder()
    session = training_run(config(intermediate_val_freq_steps=100), recorder, control)
    recorder.on_event = lambda e: isinstance(e, Logged) and e.step == 3 and control.request_stop(mode)
    assert session.run() == "stopped"
    assert [s.step for s in recorder.saves] == saved
    assert session.standing.step == 3


def test_a_stop_between_micro_steps_throws_the_half_step_away():
    control, recorder = Control(), Recorder()
    session = training_run(config(grad_accum_steps=3), recorder, control)
    original = session.training.micro_step

    def micro_step(*args):
        original(*args)
        if args[3:5] == (2, 1):
            control.request_stop("save")

    session.training.micro_step = micro_step
    assert session.run() == "stopped"
    assert session.standing.step == 2 and session.standing.tokens_seen == 2 * 3 * 4 * 8
    assert all(p.grad is None for p in session.model.parameters())


def test_a_stop_during_validation_leaves_the_boundary_to_be_done_again():
    control, recorder = Control(), Recorder()
    session = training_run(config(intermediate_val_freq_steps=4), recorder, control)
    report = recorder.progress.append

    def stop_in_validation(progress):
        report(progress)
        if progress.phase == "evaluating" and progress.done == 4:
            control.request_stop("save")

    session.report = stop_in_validation
    assert session.run() == "stopped"
    assert session.standing.step == 4 and not session.standing.boundary_done
    assert [p.step for p in recorder.of(Logged)] == [0, 1, 2, 3]
    assert session.standing.loss_count == 1 and session.standing.loss_sum > 0


def test_a_save_is_served_between_steps():
    control, recorder = Control(), Recorder()
    session = training_run(config(intermediate_val_freq_steps=100), recorder, control)
    recorder.on_event = lambda e: isinstance(e, Logged) and e.step == 5 and control.request_save()
    session.run()
    assert [(s.step, s.kinds) for s in recorder.saves] == [(5, ("rolling",)), (8, ("best", "final"))]


def test_a_session_that_begins_at_the_end_is_complete_at_once():
    recorder = Recorder()
    standing = Standing(step=8, boundary_done=True)
    assert training_run(config(), recorder, standing=standing).run() == "completed"
    assert recorder.events == []


def test_a_run_whose_last_checkpoint_is_given_up_for_a_stop_has_not_completed():
    control, recorder = Control(), Recorder()
    session = training_run(config(intermediate_val_freq_steps=100), recorder, control)
    recorder.disk_is_full = True

    def give_up(snapshot):
        if "final" in snapshot.kinds:
            control.request_stop("signal")
        return False

    session.save = give_up
    assert session.run() == "stopped"
    assert (session.standing.step, recorder.saves) == (8, [])
