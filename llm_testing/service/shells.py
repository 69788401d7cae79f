"""A run's base model with a place for its adapter, read to be talked to: on a card that is free, else in main memory.

A card is used while no run trains in this process, and given back before one does (`Shell.leave`).
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from llm_testing.config.finetune import FinetuneConfig
from llm_testing.data.chats import Chat
from llm_testing.errors import ConfigError, NotEnoughMemory
from llm_testing.estimate.budget import CPU_SHARE, GIB
from llm_testing.jobs.machine import usable_memory_bytes
from llm_testing.model.device import CardIsFull, Device, card_memory, find_device
from llm_testing.model.generate import Writes
from llm_testing.service.bases import Base
from llm_testing.service.records import whole_config
from llm_testing.service.tuned import chat_of
from llm_testing.train.memory import free_memory

_BESIDE_BYTES = GIB
"""Left free on a card for what a conversation and the kernels take."""
_BYTES_OF = {"fp32": 4, "bf16": 2, "fp16": 2}


@dataclass
class Shell:
    """A run's base with a place for its adapter.

    Args:
        base: what answers as the base does; None for a run that was tuned whole, until somebody asks.
        holds: whose weights are in it now.
        left: set once it has to be let go; an answer that is being written ends.
    """

    run_id: str
    config: FinetuneConfig
    folder: Path
    model: Any
    chat: Chat
    base: Writes | None
    num_bytes: int
    device: Device
    holds: Any = None
    left: threading.Event = field(default_factory=threading.Event)

    @property
    def on_card(self) -> bool:
        return self.device.type == "cuda"

    def leave(self) -> None:
        """Let go of the models, and give a card's memory back; whoever asks still gets nothing more."""
        self.left.set()
        self.model = self.base = self.holds = None
        free_memory(self.device)


def read_shell(run_id: str, record: dict[str, Any], base: Base, card_is_free: bool) -> Shell:
    """The base of a run, with a fresh adapter.

    Raises:
        NotEnoughMemory: it fits nowhere.
        DataError: it cannot be loaded.
    """
    from llm_testing.model.adapters import WithoutAdapter  # noqa: PLC0415  (imports transformers)

    config = FinetuneConfig.build(whole_config(record))
    need = _num_bytes(config, base)
    model, device = _loaded(base.folder, config, base.name, need, card_is_free)
    without = None if config.adapter == "full" else WithoutAdapter(model)
    return Shell(run_id, config, base.folder, model, chat_of(record, base), without, need, device)


def read_whole_base(shell: Shell) -> Writes:
    """The base of a run that was tuned whole, as a second model.

    Raises:
        NotEnoughMemory, DataError: as `read_shell`.
    """
    model, _ = _loaded(shell.folder, shell.config, "The base model", shell.num_bytes, shell.on_card)
    return model


@contextmanager
def full_card_told() -> Iterator[None]:
    """A card that runs full while a model writes, in words."""
    try:
        yield
    except CardIsFull:
        raise NotEnoughMemory(
            "The card has no memory left for a conversation of this length. Begin a new one, or ask for less text."
        ) from None


def _loaded(folder: Path, config: FinetuneConfig, name: str, need: int, card_is_free: bool) -> tuple[Any, Device]:
    from llm_testing.model.base_model import load_tuned  # noqa: PLC0415

    card = _card_for(config, need) if card_is_free else None
    if card is not None:
        try:
            return load_tuned(folder, config, card).eval(), card
        except CardIsFull:  # somebody else was quicker
            pass
        free_memory(card)
    return _loaded_here(folder, config, name, need)


def _loaded_here(folder: Path, config: FinetuneConfig, name: str, need: int) -> tuple[Any, Device]:
    from llm_testing.model.base_model import load_tuned  # noqa: PLC0415

    free = usable_memory_bytes().available_bytes
    if need > CPU_SHARE * free:
        raise NotEnoughMemory(
            f"{name} takes {need / GIB:.1f} GiB of main memory to talk to, and {free / GIB:.1f} GiB are free. "
            "Stop what runs, or export the adapter and load it where there is more."
        )
    cpu = find_device("cpu")
    return load_tuned(folder, config, cpu).eval(), cpu


def _card_for(config: FinetuneConfig, need: int) -> Device | None:
    """The card that a run trained on, or the first one, where a model fits into what is free there."""
    try:
        device = find_device(config.device)
    except ConfigError:  # trained elsewhere
        device = find_device("auto")
    if device.type != "cuda":
        return None
    return device if need + _BESIDE_BYTES <= card_memory(device)[1] else None


def _num_bytes(config: FinetuneConfig, base: Base) -> int:
    """What a base takes in memory, from the headers of its files; a quarter byte more a number for 4 bits' scales and
    for the layers that stay whole."""
    from llm_testing.model.base_files import num_weights  # noqa: PLC0415

    each = 0.75 if config.adapter == "qlora" else _BYTES_OF[config.weights_dtype]
    return int(num_weights(base.folder) * each)
