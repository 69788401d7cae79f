import pytest
import torch
from torch.nn import functional as F

from llm_testing.config.shapes import SIZES, Shape
from llm_testing.model.gpt import GPT, attention_weights, build_gpt

SMALL = Shape(n_layer=2, n_head=2, n_embd=16, context_length=12, vocab_size=23, tie_embeddings=False, qkv_bias=True)


@pytest.fixture
def tokens():
    return torch.randint(0, SMALL.vocab_size, (3, 12), generator=torch.Generator().manual_seed(5))


def loss_and_grads(model, tokens):
    model.zero_grad()
    loss = F.cross_entropy(model(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())
    loss.backward()
    return loss, [p.grad.clone() for p in model.parameters()]


def test_sdpa_and_manual_attention_agree_in_loss_and_gradients(tokens):
    manual, manual_grads = loss_and_grads(build_gpt(SMALL, 1, attention_impl="manual"), tokens)
    fused, fused_grads = loss_and_grads(build_gpt(SMALL, 1, attention_impl="sdpa"), tokens)
    assert torch.allclose(manual, fused, atol=1e-5)
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(manual_grads, fused_grads, strict=True))


@pytest.mark.parametrize("impl", ["manual", "sdpa"])
def test_a_later_token_leaves_earlier_logits_unchanged(impl, tokens):
    model = build_gpt(SMALL, 1, attention_impl=impl).eval()
    before = model(tokens)
    tokens[:, 7] = (tokens[:, 7] + 1) % SMALL.vocab_size
    after = model(tokens)
    assert torch.equal(before[:, :7], after[:, :7])
    assert not torch.equal(before[:, 7:], after[:, 7:])


def test_attention_weights_are_rows_of_shares_without_the_future():
    q, k = torch.randn(2, 1, 3, 5, 8).unbind(0)
    weights = attention_weights(q, k)
    assert torch.allclose(weights.sum(-1), torch.ones(1, 3, 5))
    assert torch.equal(weights.triu(1), torch.zeros_like(weights))


@pytest.mark.parametrize("impl", ["manual", "sdpa"])
def test_dropout_acts_in_training_only_and_is_reproducible_there(impl, tokens):
    model = build_gpt(SMALL, 1, attention_impl=impl, dropout=0.2)

    def trained(seed):
        torch.manual_seed(seed)
        return model.train()(tokens)

    assert torch.equal(trained(3), trained(3))
    assert not torch.equal(trained(3), trained(4))
    assert torch.equal(model.eval()(tokens), model(tokens))


def test_both_paths_agree_in_evaluation_under_dropout(tokens):
    manual, fused = (build_gpt(SMALL, 1, attention_impl=i, dropout=0.2).eval()(tokens) for i in ("manual", "sdpa"))
    assert torch.allclose(manual, fused, atol=1e-5)


@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_checkpointing_gives_the_identical_loss_and_gradients(dropout, tokens):
    results = []
    for checkpointing in (False, True):
        torch.manual_seed(11)
        model = build_gpt(SMALL, 1, dropout=dropout, gradient_checkpointing=checkpointing)
        torch.manual_seed(12)
        results.append(loss_and_grads(model, tokens))
    (plain, plain_grads), (saved, saved_grads) = results
    assert torch.equal(plain, saved)
    assert all(torch.equal(a, b) for a, b in zip(plain_grads, saved_grads, strict=True))


@pytest.mark.parametrize("name", SIZES)
@pytest.mark.parametrize("tied", [False, True])
def test_the_formula_counts_what_torch_counts(name, tied):
    size = SIZES[name]
    shape = Shape(size.n_layer, size.n_head, size.n_embd, size.context_length, 4096, tied, name == "small")
    with torch.device("meta"):
        model = GPT(shape)
    assert shape.num_parameters == sum(p.numel() for p in model.parameters())


def test_tying_removes_exactly_vocabulary_times_width():
    counts = [
        sum(p.numel() for p in build_gpt(s, 1).parameters())
        for s in (SMALL, SMALL.__class__(2, 2, 16, 12, 23, True, True))
    ]
    assert counts[0] - counts[1] == SMALL.vocab_size * SMALL.n_embd


def test_starting_weights_depend_on_the_seed_alone():
    torch.manual_seed(1)
    first = build_gpt(SMALL, 7)
    torch.manual_seed(2)
    again, other = build_gpt(SMALL, 7), build_gpt(SMALL, 8)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    assert not torch.equal(first.token_embedding.weight, other.token_embedding.weight)


def test_more_tokens_than_the_context_are_refused():
    with pytest.raises(ValueError, match="looks back 12 tokens, but received 13"):
        build_gpt(SMALL, 1)(torch.zeros(1, 13, dtype=torch.long))
