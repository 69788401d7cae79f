"""One optimizer step: the code that trains, and that the estimator traces.

A step's loss is the sum over its tokens divided by their count over all its micro-batches, so accumulation equals one
large batch. Shapes: B sequences, T tokens, V vocabulary.
"""

from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from llm_testing.config.recipe import Recipe
from llm_testing.errors import TrainingDiverged
from llm_testing.model.device import dtype_of
from llm_testing.train.optim import set_lr

MAX_SKIPS_IN_A_ROW = 20


def autocast(device: torch.device, precision: str) -> AbstractContextManager:
    """Run the heavy operations in bf16 or fp16; fp32 is left exactly as it is."""
    if precision == "fp32":
        return nullcontext()
    return torch.autocast(device.type, dtype=dtype_of(precision))


def on_device(x: np.ndarray, y: np.ndarray, device: torch.device) -> tuple[Tensor, Tensor, Tensor | None]:
    """A batch on the device, with the places in the flat targets that count; None where all of them do.

    They are looked up here, before the copy, since counting them on a GPU would wait for it.
    """
    learned = np.flatnonzero(y >= 0)
    parts = (x, y) if learned.size == y.size else (x, y, learned)
    x_BT, y_BT, *at_N = (torch.from_numpy(part).to(device, non_blocking=True) for part in parts)
    return x_BT, y_BT, at_N[0] if at_N else None


def loss_sum(model: nn.Module, x_BT: Tensor, y_BT: Tensor, at_N: Tensor | None = None) -> Tensor:
    """Summed cross-entropy in nats over all targets that are not left out, as a 0-dim tensor.

    A model that has a cheaper way to it than all its logits is asked for that.

    Args:
        at_N: where in the flat targets those are that count, for a model that computes no others.
    """
    if hasattr(model, "loss_sum"):
        return model.loss_sum(x_BT, y_BT, at_N)
    logits_BTV = model(x_BT)
    return F.cross_entropy(logits_BTV.flatten(0, 1), y_BT.flatten(), reduction="sum")


class TrainingStep:
    """Gradients from micro-batches, then one guarded update.

    Nothing here waits for the device: the guard against non-finite gradients works on the device and is read when a
    step is logged. Only the 8-bit optimizers, which cannot skip an update there, are asked each time.
    """

    def __init__(self, model: nn.Module, optimizer: torch.optim.Optimizer, config: Recipe, device: torch.device):
        self.model, self.optimizer, self.device = model, optimizer, device
        self._precision, self._clip, self._seed = config.precision, config.grad_clip, config.seed
        # An open model may have dropout of its own beside the adapter's.
        self._draws = config.dropout > 0 or any(isinstance(m, nn.Dropout) and m.p > 0 for m in model.modules())
        self._parameters = [p for p in model.parameters() if p.requires_grad]
        self.scaler = torch.amp.GradScaler(device.type, enabled=config.precision == "fp16")
        self._skips_on_device = getattr(optimizer, "_step_supports_amp_scaling", False)
        self.loss = torch.zeros((), device=device)
        self.grad_norm = torch.zeros((), device=device)
        self._skipped = torch.zeros((), device=device)
        self._skipped_in_a_row = torch.zeros((), device=device)

    def begin(self) -> None:
        """Forget the gradients of an unfinished step."""
        self.optimizer.zero_grad(set_to_none=True)
        self.loss = torch.zeros((), device=self.device)

    def micro_step(
        self, x_BT: Tensor, y_BT: Tensor, num_targets: int, step: int, micro: int, at_N: Tensor | None = None
    ) -> None:
        """Add one micro-batch's share of the step's gradient.

        Args:
            num_targets: targets in the whole step, over all its micro-batches.
            step, micro: which one this is; dropout masks are a function of them and the seed, so resume is exact
                without a saved random state.
            at_N: as `on_device` gives it.
        """
        if self._draws:
            torch.manual_seed(int(np.random.SeedSequence([self._seed, step, micro]).generate_state(1, np.uint64)[0]))
        with autocast(self.device, self._precision):
            loss = loss_sum(self.model, x_BT, y_BT, at_N) / num_targets
        self.scaler.scale(loss).backward()
        self.loss += loss.detach()

    def update(self, lr: float) -> None:
        """Clip, then update the weights once, unless a gradient is not finite."""
        set_lr(self.optimizer, lr)
        self.scaler.unscale_(self.optimizer)
        self.grad_norm = nn.utils.get_total_norm([p.grad for p in self._parameters if p.grad is not None])
        if self._clip > 0:
            nn.utils.clip_grads_with_norm_(self._parameters, self._clip, self.grad_norm)
        bad = ~(torch.isfinite(self.grad_norm) & torch.isfinite(self.loss))
        self._skipped += bad
        self._skipped_in_a_row = torch.where(bad, self._skipped_in_a_row + 1, 0.0)
        if self.scaler.is_enabled():
            self.scaler.step(self.optimizer)
            self.scaler.update()
        elif self._skips_on_device:
            # The same attribute through which GradScaler tells a fused optimizer to leave the weights alone.
            self.optimizer.found_inf = bad.float()
            self.optimizer.step()
            del self.optimizer.found_inf
        elif not bad.item():
            self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def check_finite(self, step: int) -> int:
        """Read the guard: the number of updates skipped so far.

        Raises:
            TrainingDiverged: in fp32 and bf16 for any skipped update, in fp16 for 20 in a row.
        """
        skipped, in_a_row = int(self._skipped), int(self._skipped_in_a_row)
        if self.scaler.is_enabled():
            if in_a_row >= MAX_SKIPS_IN_A_ROW:
                raise TrainingDiverged(
                    f"{in_a_row} updates in a row overflowed fp16, the last at step {step}; the weights were not "
                    "touched by them. Use bf16 or fp32, or a smaller learning_rate."
                )
        elif skipped:
            raise TrainingDiverged(
                f"The loss or gradient is not a finite number at step {step}; the weights were not touched by it. "
                "Go on from the last checkpoint with a smaller learning_rate, more warmup_steps, or precision fp32."
            )
        return skipped

    def state(self) -> dict:
        """What a checkpoint keeps of this object: plain numbers and the scaler's state."""
        return {
            "scaler": self.scaler.state_dict(),
            # A session that was stopped before it could log its last step logs it when it is resumed.
            "grad_norm": float(self.grad_norm),
            "skipped": int(self._skipped),
            "skipped_in_a_row": int(self._skipped_in_a_row),
        }

    def load_state(self, state: dict) -> None:
        """Continue from what `state` gave."""
        if self.scaler.is_enabled() and state["scaler"]:
            self.scaler.load_state_dict(state["scaler"])
        self.grad_norm = torch.tensor(state["grad_norm"], device=self.device)
        self._skipped += state["skipped"]
        self._skipped_in_a_row += state["skipped_in_a_row"]
