"""Optimizers by name, with weight decay on matrices only."""

import torch
from torch import nn

from llm_testing.config.recipe import Recipe


def parameter_groups(model: nn.Module, weight_decay: float) -> list[dict]:
    """Two groups: what decays and what does not, each in the order of the model's parameters."""
    trained = [p for p in model.parameters() if p.requires_grad]
    # Norm gains and biases skip weight decay: pulling a gain toward 0 shrinks the whole layer.
    return [
        {"params": [p for p in trained if p.dim() >= 2], "weight_decay": weight_decay},
        {"params": [p for p in trained if p.dim() < 2], "weight_decay": 0.0},
    ]


def build_optimizer(model: nn.Module, config: Recipe) -> torch.optim.Optimizer:
    """The optimizer that the config names, over the model's trainable parameters on their device."""
    groups = parameter_groups(model, config.weight_decay)
    settings = {"lr": config.learning_rate, "betas": (config.beta1, config.beta2), "eps": 1e-8}
    if config.optimizer == "adamw":
        device = next(model.parameters()).device.type
        return torch.optim.AdamW(groups, **settings, fused=device in ("cpu", "cuda", "mps"))
    import bitsandbytes  # noqa: PLC0415 an optional GPU package in spirit: slow to import, needed by two options

    kind = {"adamw_8bit": bitsandbytes.optim.AdamW8bit, "paged_adamw_8bit": bitsandbytes.optim.PagedAdamW8bit}
    optimizer = kind[config.optimizer](groups, **settings)
    # Its remark that paging does nothing on a CPU is a run's own warning here (`train.session`). To hush it around each
    # step would change Python's warning filters, which are the whole process's, beside whatever else goes on.
    optimizer._cpu_paged_warned = True
    return optimizer


def warm_up() -> None:
    """Make a first optimizer, which costs a second because torch then imports its compiler, before somebody waits."""
    torch.optim.AdamW([torch.zeros(1, requires_grad=True)])


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Give every parameter group the learning rate of the coming update."""
    for group in optimizer.param_groups:
        group["lr"] = lr
