"""Runs one training step of a model on tensors without data, and records it."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import DataDependentOutputException

from llm_testing.estimate.recording import NO_LAYER, Recording, Section
from llm_testing.estimate.trace_fake import Memory, QuickFakeMode
from llm_testing.estimate.trace_marks import Marks
from llm_testing.estimate.trace_recorder import NotTraceable, Recorder
from llm_testing.estimate.trace_semantics import Semantics
from llm_testing.train.step import TrainingStep

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Stage:
    """What a step is run with.

    Args:
        training: the step to trace, over a model of tensors without data.
        layers: names of the repeated blocks, in order.
        head: the module that makes the logits.
        tokens, targets: make the inputs and the targets of a micro-batch.
        num_micro: micro-batches in the step.
        period: layers that count as one, as their kinds repeat; what is left over belongs to the last.
    """

    training: TrainingStep
    layers: tuple[str, ...]
    head: nn.Module
    tokens: Callable[[], Tensor]
    targets: Callable[[], Tensor]
    num_micro: int
    period: int = 1

    def units(self) -> tuple[tuple[str, ...], ...]:
        """The layers' names, period by period."""
        last = max(len(self.layers) // self.period, 1) - 1
        starts = [index * self.period for index in range(last + 1)]
        return tuple(self.layers[s : None if i == last else s + self.period] for i, s in enumerate(starts))


def record_step(build: Callable[[], Stage], semantics: Semantics, memory: Memory) -> Recording:
    """Trace the second step of a run: the optimizer's state is there already.

    Args:
        build: makes the stage; called where every tensor made is one without data.
        memory: of what operations give, from earlier traces.

    Raises:
        NotTraceable: for a step that needs the value of a tensor.
    """
    with QuickFakeMode(memory) as fake, semantics.active():
        stage = build()
        recorder = Recorder(fake, semantics.scratch, semantics.rewrites())
        semantics.adapt(stage.training.optimizer, recorder)
        model, units = stage.training.model, stage.units()
        marks = Marks(recorder, [[model.get_submodule(name) for name in unit] for unit in units], stage.head)
        tensors = dict([*model.named_parameters(), *model.named_buffers()])
        owners = {name: layer_of(name, units) for name in tensors}
        try:
            with recorder, semantics.watching(recorder):
                for name, tensor in tensors.items():
                    recorder.watch(tensor, "weights")
                    recorder.label(tensor, "weights", owners[name])
                _create_states(recorder, stage.training, owners)
                _step(recorder, marks, stage, semantics, owners)
                recorder.close()
        except DataDependentOutputException as error:
            raise NotTraceable(f"The step asks for the value of a tensor ({error.func}).") from error
    return recorder.recording(len(units), model)


def _create_states(recorder: Recorder, training: TrainingStep, owners: dict[str, int]) -> None:
    """One update with made-up gradients, so that what the optimizer keeps is there before the step."""
    recorder.enter_section(Section(0, "states", NO_LAYER))
    training.scaler.scale(training.loss)
    trained = [(name, p) for name, p in training.model.named_parameters() if p.requires_grad]
    for name, parameter in trained:
        parameter.grad = torch.empty_like(parameter)
        recorder.label(parameter.grad, "gradients", owners[name])
    training.update(1e-3)
    for name, parameter in trained:
        for value in training.optimizer.state[parameter].values():
            if isinstance(value, Tensor):
                recorder.watch(value, "state")
                recorder.label(value, "optimizer", owners[name])


def _step(recorder: Recorder, marks: Marks, stage: Stage, semantics: Semantics, owners: dict[str, int]) -> None:
    training = stage.training
    named = list(training.model.named_parameters())
    marks.begin(0)
    training.begin()
    for micro in range(stage.num_micro):
        marks.begin(micro)
        # As in the loop, the next batch comes before the last one goes.
        x_BT, y_BT = (semantics.place(recorder, tokens) for tokens in (stage.tokens, stage.targets))
        for tokens_BT in (x_BT, y_BT):
            recorder.label(tokens_BT, "activations")
        training.micro_step(x_BT, y_BT, y_BT.numel() * stage.num_micro, 0, micro)
        for name, parameter in named:
            if parameter.grad is not None:
                recorder.label(parameter.grad, "gradients", owners[name])
    marks.end()
    training.update(1e-3)


def layer_of(name: str, units: tuple[tuple[str, ...], ...]) -> int:
    """Which unit a tensor belongs to: 2 for `blocks.2.mlp_in.weight`, where each block is one."""
    found = (i for i, layers in enumerate(units) if any(name.startswith(f"{layer}.") for layer in layers))
    return next(found, NO_LAYER)
