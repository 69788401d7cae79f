import pytest
import torch

from llm_testing.config.shapes import Shape
from llm_testing.model.generate import Sampling, draw, generate
from llm_testing.model.gpt import build_gpt

SHAPE = Shape(1, 2, 16, 8, 11, False, False)


@pytest.fixture
def model():
    return build_gpt(SHAPE, 1).train()


def test_the_same_seed_gives_the_same_text_beyond_the_context(model):
    texts = [list(generate(model, [1, 2], Sampling(20, seed=s))) for s in (3, 3, 4)]
    assert texts[0] == texts[1] != texts[2]
    assert len(texts[0]) == 20 > SHAPE.context_length


def test_sampling_touches_neither_the_global_random_state_nor_the_mode(model):
    before = torch.get_rng_state()
    list(generate(model, [1], Sampling(5)))
    assert torch.equal(before, torch.get_rng_state())
    assert model.training


def test_temperature_zero_and_top_k_one_take_the_likeliest(model):
    likeliest = list(generate(model, [1], Sampling(6, temperature=0)))
    assert list(generate(model, [1], Sampling(6, top_k=1))) == likeliest
    assert list(generate(model, [1], Sampling(6, top_p=1e-9))) == likeliest


def test_the_end_token_ends_the_text(model):
    first = next(generate(model, [1], Sampling(1, temperature=0)))
    assert list(generate(model, [1], Sampling(9, temperature=0), end_id=first)) == []


def test_top_p_keeps_the_smallest_set_that_has_the_probability():
    logits = torch.tensor([0.5, 0.3, 0.15, 0.05]).log()
    random = torch.Generator().manual_seed(0)
    drawn = {draw(logits, Sampling(temperature=1.0, top_k=None, top_p=0.7), random) for _ in range(300)}
    assert drawn == {0, 1}
