import pytest
import torch
from tokenizers import Tokenizer, models
from transformers import AutoModelForCausalLM, AutoTokenizer

from llm_testing.config.shapes import Shape
from llm_testing.model.export import export_gpt2
from llm_testing.model.gpt import build_gpt

pytestmark = [pytest.mark.proof, pytest.mark.filterwarnings("ignore::DeprecationWarning")]


def some_tokenizer():
    words = {f"w{i}": i for i in range(22)} | {"<|endoftext|>": 22}
    return Tokenizer(models.WordLevel(words, unk_token="w0")).to_str()


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("qkv_bias", [True, False])
def test_transformers_loads_an_export_and_gives_our_logits(tmp_path, tied, qkv_bias):

    model = build_gpt(Shape(2, 2, 16, 12, 23, tied, qkv_bias), 1).eval()
    export_gpt2(model, some_tokenizer(), 22, tmp_path)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path).eval()
    tokens = torch.randint(0, 23, (2, 12), generator=torch.Generator().manual_seed(1))
    assert torch.allclose(model(tokens), theirs(tokens).logits, atol=1e-5)
    assert theirs.config.architectures == ["GPT2LMHeadModel"]
    assert AutoTokenizer.from_pretrained(tmp_path).eos_token_id == 22
