import threading
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor

import pytest

from llm_testing.errors import Busy, Cancelled, WrongState
from llm_testing.jobs.control import Control
from llm_testing.jobs.threads import answered, join, pulled, start_thread

SOON_S = 60


@pytest.fixture
def control():
    return Control()


class Paused:
    """A trainer that pauses as soon as it starts, and serves what it is asked for meanwhile."""

    def __init__(self, control, serve=True):
        self.control, self.serve = control, serve
        self.num_idle = 0
        self.saves = 0
        control.request_pause()
        self.thread = start_thread("paused", lambda: control.wait_while_paused(self.on_idle))

    def on_idle(self):
        self.num_idle += 1
        if self.serve:
            self.saves += self.control.take_save()
            for order in self.control.take_orders():
                order("live model")


def test_nothing_is_asked_of_a_new_job(control):
    control.check()
    assert (control.stop_mode, control.pause_requested, control.take_save(), control.take_orders()) == (
        None,
        False,
        False,
        [],
    )
    control.wait_while_paused(pytest.fail)


def test_check_gives_up_on_a_stop_and_not_on_a_pause(control):
    control.request_pause()
    control.check()
    control.request_stop("save")
    with pytest.raises(Cancelled):
        control.check()


@pytest.mark.parametrize(
    ("modes", "expected"),
    [
        (["save"], "save"),
        (["save", "discard"], "discard"),
        (["discard", "save"], "save"),
        (["discard", "signal"], "discard"),
        (["signal", "save"], "save"),
        (["signal"], "signal"),
    ],
)
def test_the_last_wish_of_a_person_counts_and_a_signal_overrides_none(control, modes, expected):
    for mode in modes:
        control.request_stop(mode)
    assert control.stop_mode == expected
    with pytest.raises(ValueError, match="save, discard, signal"):
        control.request_stop("maybe")


def test_a_stop_comes_before_a_pause(control):
    control.request_pause()
    control.request_stop()
    assert not control.pause_requested
    control.wait_while_paused(pytest.fail)


@pytest.mark.parametrize("end", [Control.request_resume, Control.request_stop])
def test_a_pause_ends_with_resume_or_stop(control, end):
    paused = Paused(control)
    assert control.submit(lambda live: live).result(SOON_S) == "live model"
    assert paused.thread.is_alive()
    end(control)
    assert join(paused.thread, SOON_S)


def test_a_pause_ends_also_where_another_was_asked_for_before_the_trainer_woke(control):
    def at_once(live):
        control.request_resume()
        control.request_pause()

    paused = Paused(control)
    control.submit(at_once).result(SOON_S)
    assert join(paused.thread, SOON_S), "nobody would ever tell of the second pause"
    assert control.pause_requested


def test_an_answer_is_waited_for_until_a_stop_or_a_pause(control):
    there, late = Future(), Future()
    there.set_result(1)
    assert control.wait_for(there)
    with ThreadPoolExecutor(1) as pool:
        waits = pool.submit(control.wait_for, late)
        control.request_pause()
        assert waits.result(SOON_S) is False
        through = pool.submit(control.wait_for, late, through_pause=True)
        late.set_result(1)
        assert through.result(SOON_S) is True
        never = pool.submit(control.wait_for, Future(), through_pause=True)
        control.request_stop()
        with pytest.raises(Cancelled):
            never.result(SOON_S)


def test_a_pause_looks_around_every_so_often_where_it_is_told_to(control):
    def look():
        looks.append(1)
        if len(looks) == 3:
            control.request_resume()

    looks = []
    control.request_pause()
    control.wait_while_paused(look, every_s=0.01)
    assert len(looks) == 3


def test_orders_and_saves_are_served_while_paused(control):
    paused = Paused(control)
    answers = [control.submit(lambda live, i=i: i).result(SOON_S) for i in range(3)]
    assert answers == [0, 1, 2]
    control.request_save()
    control.submit(lambda live: None).result(SOON_S)
    assert paused.saves == 1
    control.request_resume()
    assert join(paused.thread, SOON_S)


def test_waiting_does_not_spin_even_if_nobody_takes_the_order(control):
    future = control.submit(lambda live: live)
    paused = Paused(control, serve=False)
    for _ in range(5):
        control.request_save()
    control.request_resume()
    assert join(paused.thread, SOON_S)
    assert paused.num_idle <= 7
    control.close()
    with pytest.raises(WrongState):
        future.result(0)


def test_one_save_answers_several_wishes(control):
    control.request_save()
    control.request_save()
    assert control.take_save()
    assert not control.take_save()


def test_an_order_that_fails_fails_for_its_submitter_only(control):
    bad, good = control.submit(lambda live: 1 / 0), control.submit(lambda live: live + 1)
    for order in control.take_orders():
        order(41)
    with pytest.raises(ZeroDivisionError):
        bad.result(0)
    assert good.result(0) == 42
    assert control.take_orders() == []


def test_an_order_whose_submitter_gave_up_is_not_done(control):
    future = control.submit(pytest.fail)
    assert future.cancel()
    for order in control.take_orders():
        order("live")
    with pytest.raises(CancelledError):
        future.result(0)


def test_a_sample_asks_the_live_model_with_its_settings(control):
    class Live:
        def sample(self, prompt, **settings):
            return prompt, settings

    future = control.request_sample("Once", temperature=0.5)
    (order,) = control.take_orders()
    order(Live())
    assert future.result(0) == ("Once", {"temperature": 0.5})


def test_what_still_waits_when_the_job_ends_is_told_so(control):
    early = control.submit(lambda live: live)
    given_up = control.submit(lambda live: live)
    given_up.cancel()
    control.close()
    control.close()
    for future in (early, control.submit(lambda live: live)):
        with pytest.raises(WrongState, match="The run ended before this was done"):
            future.result(0)
    assert control.take_orders() == []


def test_a_flood_of_orders_is_refused_and_given_up_ones_make_room():
    control = Control(max_orders=3)
    futures = [control.submit(lambda live: live) for _ in range(3)]
    with pytest.raises(Busy, match="3 requests wait"):
        control.submit(lambda live: live)
    futures[1].cancel()
    control.submit(lambda live: live)


def test_no_command_of_many_threads_is_lost_and_no_pause_is_slept_over(control):
    """2,000 orders and 200 pauses by 5 threads: each order is answered once, and the trainer ends."""
    answered, control = [], Control(max_orders=10_000)

    def train():
        while control.stop_mode is None:
            control.wait_while_paused(serve)
            serve()

    def serve():
        control.take_save()
        for order in control.take_orders():
            order()

    def order_many(who):
        futures = [control.submit(lambda i=i: (who, i)) for i in range(500)]
        answered.extend(future.result(SOON_S) for future in futures)

    def pause_often():
        for _ in range(200):
            control.request_pause()
            control.submit(lambda: None).result(SOON_S)
            control.request_resume()

    trainer = start_thread("trainer", train)
    others = [start_thread(f"orders {who}", lambda who=who: order_many(who)) for who in range(4)]
    others.append(start_thread("pauses", pause_often))
    assert all(join(thread, 2 * SOON_S) for thread in others)
    control.request_stop()
    assert join(trainer, SOON_S)
    assert sorted(answered) == [(who, i) for who in range(4) for i in range(500)]


def test_threads_are_named_and_do_not_keep_the_process():
    gate = threading.Event()
    thread = start_thread("waiter", gate.wait)
    assert (thread.name, thread.daemon, join(thread, 0.01)) == ("waiter", True, False)
    gate.set()
    assert join(thread, SOON_S)


def test_a_stop_is_heard_while_something_hangs_and_what_it_hangs_on_is_ended():
    hangs, ended, given = threading.Event(), threading.Event(), []

    def items():
        yield "first"
        hangs.set()
        ended.wait(SOON_S)
        yield "never taken"

    def check():
        if hangs.is_set():
            raise Cancelled

    with pytest.raises(Cancelled):
        given.extend(pulled(items, check, ended.set))
    assert given == ["first"] and ended.is_set()


def test_what_hangs_gives_its_answer_or_its_error_once_there_is_one():
    assert list(pulled(lambda: (n for n in range(40)), pytest.fail)) == list(range(40))
    assert answered(lambda: "an answer", lambda: None) == "an answer"
    with pytest.raises(Busy, match="no"):
        answered(lambda: (_ for _ in ()).throw(Busy("no")), lambda: None)
