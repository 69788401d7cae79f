"""Watches every tensor storage that the operations of a step make, fake or real, until it is gone.

Operations whose kernels allocate something that no tensor shows are given a `scratch` rule; operations that a kernel
writes in terms of others are given those others as a `rewrite`. Both belong to a device's semantics, not to this file.
"""

import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from llm_testing.estimate.recording import BACKWARD, FORWARD, NO_LAYER, TERMS, Recording, Section

Scratch = Callable[[tuple, dict], Iterable[int]]
Rewrite = Callable[..., Any]

_DEVICE_QUERY = torch.ops.prim.device.default
_READ = torch.ops.aten._local_scalar_dense.default
_COPY = torch.ops.aten._to_copy.default
_FAKE = torch._C._TorchDispatchModeKey.FAKE


UNSEEN = -1


class NotTraceable(Exception):
    """A step that asks for the value of a tensor, which a tensor without data does not have."""


class Recorder(TorchDispatchMode):
    """Collects events while it is entered.

    Args:
        fake: the mode that is entered around this one, which makes the tensors without data.
        scratch: bytes that an operation's kernel holds while it runs, by operation.
        rewrites: what to run in place of an operation.
    """

    def __init__(self, fake: FakeTensorMode, scratch: Mapping[Any, Scratch], rewrites: Mapping[Any, Rewrite]):
        super().__init__()
        self._fake, self._scratch, self._rewrites = fake, scratch, rewrites
        self._live: dict[int, tuple[int, weakref.ref, int]] = {}
        self._away = False
        self._unseen: dict[int, torch.UntypedStorage] = {}
        self._closed = False
        self._sections: list[Section] = []
        self._section_index: dict[Section, int] = {}
        self._events: list[tuple[int, bool, int]] = []
        self._bytes: list[int] = []
        self._alloc_section: list[int] = []
        self._layer: list[int] = []
        self._op: list[str] = []
        self._term: list[int | None] = []
        self._recomputed: list[bool] = []
        self.recomputing = False
        self.enter_section(Section(0, "weights", NO_LAYER))

    # What the tracer tells the recorder.

    def enter_section(self, section: Section) -> None:
        """Events from here on belong to it."""
        if section not in self._section_index:
            self._section_index[section] = len(self._sections)
            self._sections.append(section)
        self.section = section
        self._now = self._section_index[section]

    def watch(self, tensor: Tensor, op: str = "given", layer: int | None = None) -> int:
        """Follow a tensor's storage, if it is not followed yet; the number of its allocation, or UNSEEN."""
        storage = tensor.untyped_storage()
        key, size = storage._cdata, storage.nbytes()
        if self._away:
            self._unseen[key] = storage
        if key in self._unseen:
            return UNSEEN
        known = self._live.get(key)
        if known is not None:
            if known[2] == size:
                return known[0]
            self._event(known[0], True)
        number = self._begin(size, op, self.section.layer if layer is None else layer)

        def ended(_: weakref.ref, key: int = key, number: int = number) -> None:
            entry = self._live.get(key)
            # A resized storage is a new allocation under the old key; its first reference tells nothing more.
            if entry is not None and entry[0] == number:
                del self._live[key]
                if not self._closed:
                    self._event(number, True)

        self._live[key] = (number, weakref.ref(storage, ended), size)
        return number

    @contextmanager
    def looking_away(self) -> Iterator[None]:
        """Leave out what is made meanwhile: it lies in memory of another kind."""
        self._away = True
        try:
            yield
        finally:
            self._away = False

    def label(self, tensor: Tensor, term: str, layer: int = NO_LAYER) -> None:
        """Say what a tensor's storage is for, from its beginning on, and to which layer it belongs."""
        known = self._live.get(tensor.untyped_storage()._cdata)
        if known is not None:
            self._term[known[0]], self._layer[known[0]] = TERMS.index(term), layer

    def close(self) -> None:
        """Stop listening: what ends later is the tracer tidying up."""
        self._closed = True

    # What torch tells the recorder.

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = kwargs or {}
        if func is _DEVICE_QUERY:
            # Twice as frequent as everything else together, and no operation.
            return args[0].fake_device if isinstance(args[0], FakeTensor) else func(*args, **kwargs)
        if func is _READ:
            return self._read(args[0])
        rewrite = self._rewrites.get(func)
        if rewrite is not None:
            with self:
                return rewrite(*args, **kwargs)
        rule = self._scratch.get(func)
        result = self._run(func, types, args, kwargs)
        self._made(func, result, args)
        if rule is not None:
            # A kernel's outputs exist while it works: they came first.
            sizes = [size for size in rule(args, kwargs) if size > 0]
            for number in [self._begin(size, f"{func} scratch", self.section.layer) for size in sizes]:
                self._event(number, True)
        return result

    def _run(self, func: Any, types: Any, args: tuple, kwargs: dict) -> Any:
        # Straight to the mode below: by way of torch's dispatcher it would cost a tenth more.
        fake = torch._C._unset_dispatch_mode(_FAKE)
        if fake is not self._fake:
            # Made while that mode was left for a while: real tensors.
            if fake is not None:
                torch._C._set_dispatch_mode(fake)
            return func(*args, **kwargs)
        try:
            result = fake.dispatch(func, types, args, kwargs)
        finally:
            torch._C._set_dispatch_mode(fake)
        return func(*args, **kwargs) if result is NotImplemented else result

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # Nothing is compiled here, and guarding each operation against it costs a twentieth of a trace.
        return False

    def _read(self, tensor: Tensor) -> bool | float:
        # TrainingStep's guard and GradScaler ask whether a gradient is not finite: in an estimate it never is.
        if self.section.stage in ("states", "update"):
            return False if tensor.dtype is torch.bool else 0.0
        raise NotTraceable("The step asks for the value of a tensor, which cannot be known without running it.")

    def _made(self, func: Any, result: Any, args: tuple) -> None:
        if isinstance(result, Tensor):
            self._output(func, result, args)
        elif isinstance(result, list | tuple):
            outputs = [t for t in tree_leaves(result) if isinstance(t, Tensor)]
            # A list in, a list out: each output belongs to the layer of its own input.
            lists = [a for a in args if isinstance(a, list | tuple) and len(a) == len(outputs)]
            for index, output in enumerate(outputs):
                self._output(func, output, tuple(a[index] for a in lists) if lists else args)

    def _output(self, func: Any, output: Tensor, inputs: tuple) -> None:
        before = len(self._bytes)
        inside = self.section.stage in FORWARD or self.section.stage in BACKWARD
        number = self.watch(output, str(func), self.section.layer if inside else self._layer_of(inputs))
        if func is _COPY and number >= before and self._is_weight(inputs[0]):
            self._term[number] = TERMS.index("activations")

    def _layer_of(self, inputs: tuple) -> int:
        """The layer whose tensors an operation works on, where those that belong to one belong to the same."""
        known = [self._live.get(t.untyped_storage()._cdata) for t in tree_leaves(inputs) if isinstance(t, Tensor)]
        layers = {self._layer[entry[0]] for entry in known if entry} - {NO_LAYER}
        return layers.pop() if len(layers) == 1 else NO_LAYER

    def _is_weight(self, tensor: Any) -> bool:
        known = self._live.get(tensor.untyped_storage()._cdata) if isinstance(tensor, Tensor) else None
        return known is not None and self._term[known[0]] == TERMS.index("weights")

    def _begin(self, size: int, op: str, layer: int) -> int:
        number = len(self._bytes)
        self._bytes.append(size)
        self._alloc_section.append(self._now)
        self._layer.append(layer)
        self._op.append(op)
        self._term.append(None)
        self._recomputed.append(self.recomputing)
        self._event(number, False)
        return number

    def _event(self, number: int, is_free: bool) -> None:
        self._events.append((number, is_free, self._now))

    # What comes of it.

    def recording(self, num_layers: int, model: nn.Module) -> Recording:
        """Everything seen so far, with a term for each allocation."""
        events = _in_order(np.array(self._events, dtype=np.int64).reshape(-1, 3))
        parameters = list(model.parameters())
        return Recording(
            num_layers=num_layers,
            sections=tuple(self._sections),
            allocation=events[:, 0],
            is_free=events[:, 1].astype(bool),
            event_section=events[:, 2],
            num_bytes=np.array(self._bytes, dtype=np.int64),
            alloc_section=np.array(self._alloc_section, dtype=np.int64),
            alloc_layer=np.array(self._layer, dtype=np.int64),
            term=np.array(self._terms(events), dtype=np.int64),
            op=tuple(self._op),
            # Weights of 4 bits are held two to a byte.
            num_parameters=sum(p.numel() * (2 if p.dtype is torch.uint8 else 1) for p in parameters),
            num_trainable=sum(p.numel() for p in parameters if p.requires_grad),
        )

    def _terms(self, events: np.ndarray) -> list[int]:
        ends = {int(number): self._sections[section] for number, free, section in events if free}
        names = []
        for number, term in enumerate(self._term):
            begun = self._sections[self._alloc_section[number]]
            names.append(TERMS[term] if term is not None else self._guess(number, begun, ends.get(number)))
        return [TERMS.index(name) for name in names]

    def _guess(self, number: int, begun: Section, ended: Section | None) -> str:
        """The term of an allocation that nobody labelled, from where it begins and ends."""
        if begun.stage in ("head", "head_backward"):
            return "logits_and_loss"
        kept = ended is None or ended.stage not in FORWARD
        if (begun.stage in FORWARD and kept) or self._recomputed[number]:
            return "activations"
        return "temporaries"


def _in_order(events: np.ndarray) -> np.ndarray:
    """Sort what ends together by its beginning: a cache that is emptied lets go of its entries in any order."""
    number, is_free, section = events.T
    # A stretch of ends within a section is one place; each beginning is a place of its own.
    apart = (is_free[1:] == 0) | (is_free[:-1] == 0) | (section[1:] != section[:-1])
    place = np.concatenate([[0], np.cumsum(apart)])
    return events[np.lexsort((number, place))]
