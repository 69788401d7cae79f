"""Open models of every family: packed examples do not see each other, and the loss is the same whole or in pieces."""

from unittest.mock import patch

import pytest
import torch
from transformers import AutoModelForCausalLM

from llm_testing.config.finetune import FinetuneConfig
from llm_testing.config.models import TARGETS
from llm_testing.model.generate import Sampling, generate
from llm_testing.model.open_model import PIECE, attention_of, read_config, tuned
from llm_testing.train.step import on_device
from tests.estimate.open_parts import MODELS

FAMILIES = [name for name in MODELS if name != "mixtral"]


def model(family, **values):
    options = FinetuneConfig.build({"adapter": "lora", "lora_r": 4, "precision": "fp32", **values})
    config = read_config(MODELS[family])
    config._attn_implementation = attention_of(options)
    torch.manual_seed(1)
    made = tuned(AutoModelForCausalLM.from_config(config), options)
    for name, weight in made.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.1)
    return made.eval()


@pytest.mark.parametrize("fast", [False, True], ids=["plain", "fast"])
@pytest.mark.parametrize("family", FAMILIES)
def test_packed_examples_do_not_see_each_other(family, fast):
    made = model(family, fast_mode=fast)
    x = torch.randint(3, 500, (2, 30), generator=torch.Generator().manual_seed(2))
    positions = torch.tensor([[*range(12), *range(18)]] * 2)
    with torch.no_grad():
        packed = made(torch.stack([x, positions]))
        alone = torch.cat([made(x[:, :12]), made(x[:, 12:])], 1)
        torch.testing.assert_close(packed, alone, rtol=1e-4, atol=1e-4)
        x[:, 3] = 501
        assert torch.equal(made(torch.stack([x, positions]))[:, 12:], packed[:, 12:])


@pytest.mark.parametrize("family", FAMILIES)
def test_the_loss_and_its_gradient_are_the_same_whole_and_in_pieces(family):
    made = model(family, fast_mode=True, lora_dropout=0.0)
    x = torch.randint(3, 500, (PIECE // 64 + 3, 64), generator=torch.Generator().manual_seed(2))
    y = torch.where(torch.rand(x.shape, generator=torch.Generator().manual_seed(3)) < 0.3, x, -100)
    found = {}
    for chunked in (True, False):
        made.chunked_loss = chunked
        made.zero_grad()
        loss = made.loss_sum(x, y)
        loss.backward()
        found[chunked] = loss.detach(), [p.grad.clone() for p in made.parameters() if p.grad is not None]
    torch.testing.assert_close(found[True][0], found[False][0], rtol=1e-5, atol=0)
    for one, other in zip(found[True][1], found[False][1], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("learned", [0, 1, 40, 128])
def test_the_loss_and_its_gradient_are_the_same_when_only_what_is_learned_gets_logits(learned):
    made = model("llama", fast_mode=True, lora_dropout=0.0)
    x = torch.randint(3, 500, (2, 64), generator=torch.Generator().manual_seed(2))
    kept = torch.randperm(128, generator=torch.Generator().manual_seed(3))[:learned]
    y = torch.full((128,), -100).index_copy(0, kept, torch.roll(x, -1).flatten()[kept]).view(2, 64)
    x_BT, y_BT, at_N = on_device(x.numpy(), y.numpy(), torch.device("cpu"))
    assert at_N is None if learned == 128 else sorted(kept.tolist()) == at_N.tolist()
    found = []
    with patch.object(made.head, "forward", wraps=made.head.forward) as head:
        for at in (None, at_N):
            made.zero_grad()
            loss = made.loss_sum(x_BT, y_BT, at)
            loss.backward()
            found.append((loss.detach(), *(p.grad.clone() for p in made.parameters() if p.requires_grad)))
    # Twice for each way, since the backward pass makes the logits anew.
    assert [call.args[0].size(0) for call in head.call_args_list] == [128, 128, learned, learned]
    torch.testing.assert_close(found[1], found[0], rtol=1e-5, atol=1e-6)


def test_padding_at_the_end_changes_nothing_that_counts():
    made = model("llama")
    x = torch.randint(3, 500, (1, 12), generator=torch.Generator().manual_seed(2))
    y = torch.roll(x, -1, 1)
    padded_x, padded_y = (torch.nn.functional.pad(t, (0, 9), value=v) for t, v in ((x, 2), (y, -100)))
    with torch.no_grad():
        torch.testing.assert_close(made.loss_sum(padded_x, padded_y), made.loss_sum(x, y), rtol=1e-6, atol=0)


@pytest.mark.parametrize("family", [name for name in TARGETS if name != "gemma3_text"])
def test_the_known_layers_of_a_family_are_all_there_are(family):
    made = model(family)
    adapted = {name.split(".lora_A")[0].rsplit(".", 1)[1] for name, _ in made.named_parameters() if ".lora_A" in name}
    assert adapted == set(TARGETS[family])


def test_writing_with_a_memory_is_writing_without_one():
    made = model("llama")
    remembered = list(generate(made, [5, 6, 7], Sampling(12, temperature=0)))
    tokens = [5, 6, 7]
    for _ in range(12):
        tokens.append(int(made.logits_after(tokens, {}).argmax()))
    assert tokens[3:] == remembered
