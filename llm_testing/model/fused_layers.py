"""Liger's fused layers in a model of transformers, for fast mode on NVIDIA cards where liger-kernel is installed."""

import importlib.util
import sys

from torch import nn

PACKAGE = "liger_kernel"
# What of Liger is left out: its losses, since ours holds no logits either, and its rotation of queries and keys, which
# it puts into transformers itself and so into every other model of the process, those on the CPU too.
LEFT_OUT = {"rope": False, "cross_entropy": False, "fused_linear_cross_entropy": False}


def fuse_layers(model: nn.Module) -> bool:
    """Let a model's norms and gated layers run as one kernel each; whether Liger is there and knows the model.

    Source: liger-kernel 0.8.5, transformers/monkey_patch.py.
    """
    if importlib.util.find_spec(PACKAGE) is None:
        return False
    from liger_kernel.transformers import monkey_patch  # noqa: PLC0415  (an optional package; needs Triton)

    if model.config.model_type not in monkey_patch.MODEL_TYPE_TO_APPLY_LIGER_FN:
        return False
    home = vars(sys.modules[type(model).__module__])
    kept = dict(home)
    try:
        monkey_patch._apply_liger_kernel_to_instance(model, **LEFT_OUT)
    finally:
        # It exchanges the classes that later models are made of, too; this model's own layers stay changed.
        home.update(kept)
    return True
