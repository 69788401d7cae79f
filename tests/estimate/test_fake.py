"""What an operation gave once is made anew only where nothing else could come of it."""

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from llm_testing.estimate.trace_fake import QuickFakeMode


def steps():
    """Results of operations of many kinds, some asked for twice."""
    x = torch.empty(4, 6)
    weight = torch.empty(6, 8).t()
    for _ in range(2):
        yield x @ weight.t()
        yield x.t()
        yield x[1:, ::2]
        yield x.expand(3, 4, 6)
        yield torch.native_layer_norm(x, [6], None, None, 1e-5)
        yield x.split(2)
        yield x.sum(0, keepdim=True)
        yield x + 1
        yield x.bool()
        yield x.to(torch.bfloat16)
        yield torch._foreach_mul([x, weight], 2.0)
        yield x.mul_(2)
        yield torch.arange(5)
        yield x.view(2, 12)
        yield x.new_empty(3)
        yield x.new_empty(3, dtype=torch.int64)
        yield torch.empty_like(weight)
        x.unsqueeze_(0).squeeze_(0)
        x.resize_(4, 6)


def facts(mode):
    seen = []
    with mode:
        inputs = {}
        for result in steps():
            for tensor in result if isinstance(result, list | tuple) else [result]:
                storage = tensor.untyped_storage()
                place = inputs.setdefault(storage._cdata, len(inputs))
                seen.append(
                    (tensor.shape, tensor.stride(), tensor.storage_offset(), tensor.dtype, storage.nbytes(), place)
                )
                inputs[("kept", len(inputs))] = storage  # an address that is let go of would be given out again
    return seen


def test_results_are_those_of_torchs_own_mode_with_the_same_sharing():
    memory = {}
    assert facts(QuickFakeMode(memory)) == facts(FakeTensorMode())
    assert len(memory) > 12
    assert facts(QuickFakeMode(memory)) == facts(FakeTensorMode())


@pytest.mark.parametrize(("one", "other"), [((2,), (2.0,)), ((1,), (True,))])
def test_numbers_that_are_equal_but_of_another_type_are_told_apart(one, other):
    memory = {}
    with QuickFakeMode(memory):
        x = torch.empty(3, dtype=torch.int64)
        first, second = x.mul(*one), x.mul(*other)
        assert (first.dtype, second.dtype) == (torch.int64, torch.float32 if other == (2.0,) else torch.int64)


def test_the_value_of_a_tensor_is_never_remembered():
    with QuickFakeMode({}), pytest.raises(Exception, match="item|data-dependent|_local_scalar"):
        torch.empty(1).item()
