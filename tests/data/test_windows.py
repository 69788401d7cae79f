import numpy as np
import pytest

from llm_testing.data.windows import TrainWindows, ValWindows

TOKENS = np.arange(1000, dtype=np.uint16)


def epoch(windows, number):
    first = number * windows.steps_per_epoch
    return [b for step in range(first, first + windows.steps_per_epoch) for b in windows.micro_batches(step)]


def test_an_epoch_reads_each_pair_at_most_once_and_leaves_less_than_a_window():
    windows = TrainWindows(TOKENS, 64, 4, 2, seed=1)
    for number in range(3):
        batches = epoch(windows, number)
        inputs = np.concatenate([x.flatten() for x, _ in batches])
        targets = np.concatenate([y.flatten() for _, y in batches])
        assert np.array_equal(targets, inputs + 1)
        assert len(set(inputs)) == len(inputs) == 999 // 64 * 64


def test_the_last_micro_batch_may_be_short_and_is_not_dropped():
    windows = TrainWindows(TOKENS, 64, 4, 2, seed=1)
    shapes = [[x.shape[0] for x, _ in windows.micro_batches(step)] for step in range(windows.steps_per_epoch)]
    assert shapes == [[4, 4], [4, 3]]
    assert windows.epoch_of(0) == 0 and windows.epoch_of(2) == 1.0 and windows.epoch_of(1) == 8 / 15


def test_order_and_phase_are_functions_of_seed_and_epoch_alone():
    def inputs(seed, step, jump_from=None):
        windows = TrainWindows(TOKENS, 64, 4, 2, seed=seed)
        if jump_from is not None:
            windows.micro_batches(jump_from)
        return np.concatenate([x for x, _ in windows.micro_batches(step)])

    assert np.array_equal(inputs(1, 3), inputs(1, 3, jump_from=0))
    assert not np.array_equal(inputs(1, 0), inputs(2, 0))
    first, second = inputs(1, 0), inputs(1, 2)
    assert set(first[:, 0] % 64) != set(second[:, 0] % 64)


@pytest.mark.parametrize("length", [2, 3, 65, 66, 500])
def test_short_texts_are_one_short_window_or_more(length):
    window = min(64, length - 1)
    batches = epoch(TrainWindows(TOKENS[:length], window, 4, 1, seed=0), 0)
    assert sum(x.size for x, _ in batches) == (length - 1) // window * window


def test_whole_validation_covers_every_pair_once():
    batches = list(ValWindows(TOKENS, 64, 4).whole())
    targets = np.concatenate([y.flatten() for _, y in batches])
    assert np.array_equal(targets, np.arange(1, 1000))
    assert [y.shape for _, y in batches][-2:] == [(3, 64), (1, 999 - 15 * 64)]


def test_spread_validation_is_the_same_evenly_spaced_windows_each_time():
    val = ValWindows(TOKENS, 64, 2)
    starts = np.concatenate([x[:, 0] for x, _ in val.spread(2)])
    assert starts.tolist() == [0, 192, 448, 704]
    assert np.array_equal(starts, np.concatenate([x[:, 0] for x, _ in val.spread(2)]))
    assert sum(len(x) for x, _ in val.spread(100)) == 15


def test_very_long_splits_are_sampled_evenly_to_the_limit():
    batches = list(ValWindows(TOKENS, 10, 4).whole(max_tokens=400))
    assert sum(y.size for _, y in batches) == 400
    assert max(x.max() for x, _ in batches) > 900
