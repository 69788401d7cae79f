"""How long a step takes relative to others, to rank them: counted from its trace, priced by round figures.

The prices order candidates for the same model, nothing more; no time is shown to anyone.
"""

import numpy as np

from llm_testing.estimate.recording import BACKWARD, FORWARD
from llm_testing.estimate.step import Step

FLOPS = {"fp32": 20e12, "fp16": 80e12, "bf16": 80e12}
"""Products and sums a second on a consumer card of 16 GB, by precision. Assumed: half of what data sheets of an
RTX 4080 say for CUDA cores and tensor cores."""
BYTES_PER_S = 500e9
"""Memory traffic of the same card. Assumed: two thirds of its data sheet's 717 GB/s."""
TRAFFIC = 3
"""Times that a byte which an operation makes crosses the bus: written, and read in forward and backward. Assumed."""
LAUNCH_S = 8e-6
"""Time a small kernel takes at least, launch included. Assumed."""
PAGED_BYTES_PER_S = 20e9
"""Traffic of paged optimizer states over PCIe. Assumed: PCIe 4.0 x16 at two thirds of 32 GB/s."""


def relative_seconds(
    step: Step, precision: str, tokens: int, num_micro: int, optimizer: str, recomputes: bool
) -> float:
    """Seconds of one update, for comparing with others of the same model and effective batch.

    Args:
        tokens: of a micro-batch.
        num_micro: micro-batches an update.
        recomputes: the forward pass runs twice.
    """
    recording = step.recording
    stages = np.array([s.stage in FORWARD or s.stage in BACKWARD for s in recording.sections])
    first_micro = np.array([s.micro == 0 for s in recording.sections])
    made = (stages & first_micro)[recording.alloc_section]
    # 2 a parameter and token forward, 4 backward. Kaplan et al. 2020, section 2.1, https://arxiv.org/abs/2001.08361
    products = (8 if recomputes else 6) * recording.num_parameters * tokens / FLOPS[precision]
    traffic = float(step.sizes[made].sum()) * TRAFFIC / BYTES_PER_S
    launches = int(made.sum()) * LAUNCH_S
    update = recording.num_trainable * 4 * TRAFFIC * 2 / BYTES_PER_S
    if optimizer == "paged_adamw_8bit":
        update += recording.num_trainable * 2 * 2 / PAGED_BYTES_PER_S
    return num_micro * (products + traffic + launches) + update
