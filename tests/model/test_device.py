import pytest
import torch

from llm_testing.errors import ConfigError
from llm_testing.model.device import environment, find_device, has_fast_bf16, probe_machine

CPU = torch.device("cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what a machine without a GPU answers")
def test_a_card_that_is_not_there_is_refused_with_what_is():
    with pytest.raises(ConfigError, match="There is no cuda:3 here.*There is cpu"):
        find_device("cuda:3")


def test_the_machine_is_described_for_presets_and_records():
    machine = probe_machine(2, 10**9)
    assert machine.fast_bf16 is has_fast_bf16(find_device("auto"))
    record = environment(CPU, 2)
    assert record["packages"]["torch"] == torch.__version__ or record["packages"]["torch"] in torch.__version__
    assert record["threads"] == 2
