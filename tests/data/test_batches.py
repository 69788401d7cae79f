"""Batches of examples: what is packed, padded, counted, and in which order."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from llm_testing.data.answers import Tokens
from llm_testing.data.batches import IGNORED, ExampleBatches, as_batch, pack


def example(*ids, learned=None):
    return Tokens("", np.array(ids, np.int32), np.array(learned or [False] + [True] * (len(ids) - 1)))


def examples(lengths):
    return [example(*range(100 * n, 100 * n + length)) for n, length in enumerate(lengths, 1)]


def test_a_padded_batch_is_these_numbers():
    short, long = example(5, 6, 7, learned=[False, False, True]), example(1, 2, 3, 4)
    x, y = as_batch([(short,), (long,)], packing=False, pad_id=9)
    assert x.tolist() == [[5, 6, 9], [1, 2, 3]]
    assert y.tolist() == [[IGNORED, 7, IGNORED], [2, 3, 4]]


def test_a_packed_batch_is_these_numbers():
    short, long = example(5, 6, 7, learned=[False, False, True]), example(1, 2, 3, 4)
    x, y = as_batch([(short, long), (short,)], packing=True, pad_id=9)
    assert x[0].tolist() == [[5, 6, 1, 2, 3], [5, 6, 9, 9, 9]]
    assert x[1].tolist() == [[0, 1, 0, 1, 2], [0, 1, 0, 1, 2]]
    assert y.tolist() == [[IGNORED, 7, 2, 3, 4], [IGNORED, 7, IGNORED, IGNORED, IGNORED]]


@given(st.lists(st.integers(2, 17), min_size=1, max_size=60))
def test_packing_keeps_every_example_whole_and_once(lengths):
    given_examples = examples(lengths)
    units = pack(given_examples, 16)
    assert sorted(t.ids[0] for unit in units for t in unit) == sorted(t.ids[0] for t in given_examples)
    assert all(sum(len(t.ids) - 1 for t in unit) <= 16 for unit in units)
    # Best fit leaves no two sequences that would fit into one together.
    filled = sorted(sum(len(t.ids) - 1 for t in unit) for unit in units)
    assert len(filled) < 2 or filled[0] + filled[1] > 16


def test_an_epoch_reads_each_example_once_in_an_order_of_the_seed():
    batches = ExampleBatches(examples([3] * 10), False, 16, 2, 2, seed=1, pad_id=0)
    assert batches.steps_per_epoch == 3

    def read(source, epoch):
        steps = range(epoch * 3, epoch * 3 + 3)
        return [int(row[0]) for step in steps for x, _ in source.micro_batches(step) for row in x]

    first, second = read(batches, 0), read(batches, 1)
    assert sorted(first) == sorted(second) == [100 * n for n in range(1, 11)] and first != second
    again = ExampleBatches(examples([3] * 10), False, 16, 2, 2, seed=1, pad_id=0)
    assert read(again, 1) == second
    assert read(ExampleBatches(examples([3] * 10), False, 16, 2, 2, seed=2, pad_id=0), 0) != first
    assert [batches.epoch_of(step) for step in (0, 1, 3)] == [0, 0.4, 1]


def test_tokens_are_counted_without_padding():
    for packing in (False, True):
        batches = ExampleBatches(examples([3, 5, 2, 9]), packing, 10, 2, 1, seed=1, pad_id=0)
        assert sum(batches.num_tokens(step) for step in range(batches.steps_per_epoch)) == 2 + 4 + 1 + 8


def test_validation_looks_at_the_same_sequences_each_time_and_at_all_in_the_end():
    batches = ExampleBatches(examples([3] * 10), False, 16, 2, 2, seed=1, pad_id=0)
    spread = [x[:, 0].tolist() for x, _ in batches.spread(2)]
    assert spread == [[100, 300], [600, 800]] == [x[:, 0].tolist() for x, _ in batches.spread(2)]
    assert [n for x, _ in batches.whole() for n in x[:, 0].tolist()] == [100 * n for n in range(1, 11)]
