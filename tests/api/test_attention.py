"""The attention call answers the checkpoint's real weights."""

import pytest
import torch
from safetensors.torch import load_file

from llm_testing.data.tokenizers import load_tokenizer
from llm_testing.model.gpt import attention_weights
from llm_testing.service.lab import Lab
from tests.api.served import AT, served, told
from tests.service.parts import run

TEXT = "he boy an"


@pytest.fixture(scope="module")
def trained(tmp_path_factory, cache_dir):
    """A client over a lab with a finished run of two heads, and the run's id."""
    lab = Lab(tmp_path_factory.mktemp("attention") / "runs", cache_dir)
    run_id = run(lab)
    with served(lab) as client:
        yield client, lab, run_id


def by_hand(lab: Lab, run_id: str) -> torch.Tensor:
    """The weights of layer 0 from the file alone, (H, T, T)."""
    folder = lab.runs_dir / run_id
    weights = load_file(folder / "checkpoints" / "step-00000006" / "model.safetensors")
    tokens = load_tokenizer(folder).encode(TEXT)
    x_TC = weights["token_embedding.weight"][tokens] + weights["position_embedding.weight"][: len(tokens)]
    x_TC = torch.nn.functional.layer_norm(
        x_TC, (16,), weights["blocks.0.norm_1.weight"], weights["blocks.0.norm_1.bias"]
    )
    q, k, _ = (x_TC @ weights["blocks.0.attention.qkv.weight"].T).split(16, dim=1)
    split = [part.view(1, len(tokens), 2, 8).transpose(1, 2) for part in (q, k)]
    return attention_weights(*split)[0]


def test_a_head_is_answered_as_the_weights_on_disk_give_it(trained):
    client, lab, run_id = trained
    expected = by_hand(lab, run_id)
    for head in (0, 1):
        body = {"checkpoint_id": f"{run_id}/step-00000006", "text": TEXT, "layer": 0, "head": head}
        reply = client.post(f"{AT}/analyze/attention", json=body).json()
        assert set(reply) >= {"tokens", "attention_weights", "layer", "head"} and reply["head"] == head
        assert "".join(reply["tokens"]) == TEXT and len(reply["attention_weights"]) == len(TEXT)
        assert torch.allclose(torch.tensor(reply["attention_weights"]), expected[head], atol=1e-5)


def test_without_a_head_it_is_the_mean_over_them(trained):
    client, lab, run_id = trained
    reply = client.post(f"{AT}/analyze/attention", json={"checkpoint_id": run_id, "text": TEXT}).json()
    assert reply["head"] is None and reply["layer"] == 0 and reply["num_heads"] == 2
    assert torch.allclose(torch.tensor(reply["attention_weights"]), by_hand(lab, run_id).mean(0), atol=1e-5)


def test_layers_heads_and_texts_that_there_are_not_are_named_all_at_once(trained):
    client, _, _ = trained
    refused = told(client.post(f"{AT}/analyze/attention", json={"text": TEXT * 9, "layer": 1, "head": 2}), 422)
    assert {problem["field"] for problem in refused["errors"]} == {"text", "layer", "head"}
    assert told(client.post(f"{AT}/analyze/attention", json={}), 422)["errors"][0]["field"] == "text"
