"""Says which part of the model a step is in, by hooks that allocate nothing."""

from typing import Any

from torch import Tensor, nn

from llm_testing.estimate.recording import NO_LAYER, Section
from llm_testing.estimate.trace_recorder import Recorder


class Marks:
    """Moves a recorder from section to section as the layers and the head run, forwards and backwards.

    Args:
        units: the repeated blocks in order, several to a unit where their kinds repeat.
        head: the module that makes the logits.
    """

    def __init__(self, recorder: Recorder, units: list[list[nn.Module]], head: nn.Module):
        self._recorder = recorder
        self._micro, self._forward = 0, True
        layers = [(index, layer) for index, unit in enumerate(units) for layer in unit]
        for place, (index, layer) in enumerate(layers):
            layer.register_forward_pre_hook(self._before(index, place == 0), with_kwargs=True)
            # Recomputing stops early by an exception, after which only an always_call hook is told.
            layer.register_forward_hook(self._after(index, place == len(layers) - 1), always_call=True)
        head.register_forward_pre_hook(self._before_head)
        head.register_forward_hook(self._after_head)

    def begin(self, micro: int) -> None:
        """A micro-batch starts."""
        self._micro, self._forward = micro, True
        self._enter("embed")

    def end(self) -> None:
        """The last micro-batch is over; the update follows."""
        self._enter("update")

    def _enter(self, stage: str, layer: int = NO_LAYER) -> None:
        self._recorder.enter_section(Section(self._micro, stage, layer))

    def _on_gradient(self, tensor: Any, stage: str, layer: int = NO_LAYER) -> None:
        """Enter a section when the gradient of a tensor is there."""
        if not isinstance(tensor, Tensor) or not tensor.requires_grad:
            return

        def arrived(_: Tensor) -> None:
            self._forward = False
            self._enter(stage, layer)

        tensor.register_hook(arrived)

    def _before(self, index: int, first: bool) -> Any:
        def hook(module: nn.Module, args: tuple, kwargs: dict) -> None:
            if not self._forward:
                self._recorder.recomputing = True
                return
            self._enter("forward", index)
            if first:
                self._on_gradient(args[0] if args else kwargs.get("hidden_states"), "embed_backward")

        return hook

    def _after(self, index: int, last: bool) -> Any:
        def hook(module: nn.Module, args: tuple, output: Any) -> None:
            if self._recorder.recomputing:
                self._recorder.recomputing = False
            elif self._forward:
                self._on_gradient(output[0] if isinstance(output, tuple) else output, "backward", index)
                if last:
                    self._enter("norm")

        return hook

    def _before_head(self, module: nn.Module, args: tuple) -> None:
        self._enter("head")
        self._on_gradient(args[0], "norm_backward")

    def _after_head(self, module: nn.Module, args: tuple, logits: Tensor) -> None:
        self._on_gradient(logits, "head_backward")
