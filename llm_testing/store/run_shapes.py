"""What the files of a run may hold: the shape of run.json, of the rows of each journal, and of a checkpoint's facts.

Options and data facts have their declaration in `config`, from which their shapes are read.
"""

import types
import typing
from collections.abc import Mapping
from functools import cache

from llm_testing.config import limits
from llm_testing.config.facts import DataFacts, ExampleFacts
from llm_testing.config.finetune import FinetuneConfig
from llm_testing.config.option import Option, options_of
from llm_testing.config.pretrain import PretrainConfig
from llm_testing.store.damage import Damage
from llm_testing.store.lines import is_rewind
from llm_testing.store.shapes import (
    LARGEST,
    LARGEST_WHOLE,
    Either,
    Fields,
    ListOf,
    Look,
    Number,
    Open,
    Shape,
    Text,
    Time,
    Whole,
    Word,
    YesNo,
)

KINDS = {"pretrain": PretrainConfig, "finetune": FinetuneConfig}
STATES = frozenset("queued starting running paused pausing stopping completed stopped failed interrupted".split())
_ANY_WHOLE = Whole(low=-LARGEST_WHOLE)
_LONG, _PLACE = Text(most=limits.LONGEST_TEXT), Text(most=limits.LONGEST_PLACE)
_FEW = Open(most_values=200)
_STEP = Whole(high=2**53)  # what a float, and a browser, can still count

METRICS = Fields(
    fields={
        **dict.fromkeys(("n", "step"), _STEP),
        **dict.fromkeys(("tokens_seen", "peak_bytes", "final_val_tokens", "skipped_steps"), Whole()),
        **dict.fromkeys(
            ("epoch", "train_loss", "val_loss", "val_bits_per_byte", "final_val_loss", "final_val_bits_per_byte", "lr",
             "grad_norm", "tokens_per_s", "elapsed_s", "step_s"), Number()),
    },
    others=_FEW, needed=("n", "step"),
)  # fmt: skip
SAMPLES = Fields(
    fields={"n": _STEP, "step": _STEP, "prompt": Text(most=limits.LONGEST_PROMPT), "text": _LONG, "at": Time()},
    others=_FEW, needed=("n", "step"),
)  # fmt: skip
EVENTS = Fields(
    fields={
        "n": _STEP, "step": _STEP, "event": Text(), "at": Time(), "state": Text(), "kinds": ListOf(), "title": Text(),
        "message": _LONG, "traceback": Text(most=limits.LONGEST_TRACEBACK),
    },
    others=_FEW, needed=("n", "event"),
)  # fmt: skip
JOURNALS: Mapping[str, Fields] = {"metrics": METRICS, "samples": SAMPLES, "events": EVENTS}
FACTS = Fields(
    fields={
        "kinds": ListOf(), **dict.fromkeys(("step", "total_steps", "tokens_seen"), Whole()),
        **dict.fromkeys(("train_loss", "val_loss", "val_bits_per_byte", "best_val_loss"), Number()),
    },
    others=_FEW, blank={},
)  # fmt: skip
"""What a checkpoint's manifest says beside its files."""


@cache
def record_shape(kind: str | None) -> Fields:
    """The shape of run.json for a run of one of KINDS; None is a kind that is not known here."""
    time, whole = Time(), Whole()
    numbers = ("train_loss", "val_loss", "val_bits_per_byte", "best_val_loss", "tokens_per_s", "elapsed_s")
    counts = ("step", "total_steps", "tokens_seen", "peak_bytes")
    # The options of the others too: whoever looks at a config of any kind finds what those of its names always are.
    kinds = [*(one for one in KINDS if one != kind), *([kind] if kind else [])]
    of_config = {name: _of_option(option) for one in kinds for name, option in options_of(KINDS[one]).items()}
    return Fields(
        fields={
            # First, so that what is wrong with them is always among the places that are told.
            "config": Fields(fields=of_config, others=Open(most_values=500), blank={}),
            "schema": Whole(low=1, blank=1),
            "run_id": Text(blank=""),
            "kind": Text(blank=""),
            "name": Text(most=limits.LONGEST_NAME, blank=""),
            "notes": Text(most=limits.LONGEST_NOTES, blank=""),
            "state": Word(of=STATES, blank=""),
            "tags": ListOf(shape=Text(most=limits.LONGEST_TAG), most=limits.MOST_TAGS, blank=[]),
            "starred": YesNo(blank=False),
            "archived": YesNo(blank=False),
            **dict.fromkeys(("created_at", "updated_at", "started_at", "completed_at"), time),
            "environment": Fields(
                fields={"device": Text(), "device_name": Text(), "device_memory_bytes": whole}, blank={}
            ),
            "data": Fields(fields=_of_facts(), blank={}),
            "parameters": Fields(fields={"total": whole, "trainable": whole}, blank={}),
            "summary": Fields(
                fields={
                    **dict.fromkeys(counts, whole), **dict.fromkeys(numbers, Number()),
                    "general_text": Fields(fields=dict.fromkeys(("perplexity", "before"), Number())),
                },
                blank={},
            ),
            "estimate": Fields(fields={"allocated_bytes": whole, "terms": Fields()}, blank={}),
            "measured": Fields(fields={"allocated_bytes": whole}, blank={}),
            "owner": Fields(),
            "parent": Fields(fields={"run_id": Text(), "step": _STEP, "how": Text()}, needed=("run_id", "step")),
            "model": Fields(),
            "sweep": Fields(),
            "request_id": Text(),
            "estimated_bytes": whole,
            "measured_peak_bytes": whole,
            "error": Either(text=_LONG, object=Fields(fields={"title": Text(), "message": _LONG})),
        },
        others=_FEW,
    )  # fmt: skip


def _of_option(option: Option) -> Shape:
    if option.kind in ("text", "choice"):
        return Text(most=int(option.maximum) if option.kind == "text" and option.maximum else limits.LONGEST_WORD)
    if option.kind == "texts":
        return ListOf(shape=Text(most=limits.LONGEST_PROMPT), most=int(option.maximum or 100))
    numbers: dict[str, Shape] = {"int": _ANY_WHOLE, "float": Number(), "bool": YesNo()}
    return numbers.get(option.kind, _FEW)


def _of_facts() -> dict[str, Shape]:
    """The shape of each field of either class of facts; null is let pass, as a run that reads nothing has none."""
    found: dict[str, Shape] = {}
    for facts in (DataFacts, ExampleFacts):
        for name, kind in typing.get_type_hints(facts).items():
            kinds = typing.get_args(kind) if isinstance(kind, types.UnionType) else (kind,)
            found[name] = Whole() if int in kinds else _PLACE if str in kinds else ListOf(shape=_LONG)
    return found


class RowCheck:
    """Holds the rows of one journal against their shape; `damage` is what did not fit so far."""

    def __init__(self, shape: Fields, file: str, damage: Damage | None = None):
        self.shape, self.file = shape, file
        self.damage = Damage() if damage is None else damage
        self._wholes = frozenset(name for name, one in shape.fields.items() if isinstance(one, Whole))
        self._numbers = self._wholes | {name for name, one in shape.fields.items() if isinstance(one, Number)}
        self._needed = frozenset(shape.needed)

    def row(self, record: dict, line: int | None) -> dict | None:
        """A row of which every declared field has its type; None for one without what it needs, which is told."""
        for name, value in record.items():
            kind = type(value)
            if kind is float:
                if name not in self._numbers or name in self._wholes or not -LARGEST <= value <= LARGEST:
                    return self._closely(record, line)
            elif kind is int:
                if name not in self._numbers or not 0 <= value < 2**53:
                    return self._closely(record, line)
            elif value is not None or name in self._needed:
                return self._closely(record, line)
        return record if self._needed <= record.keys() else self._closely(record, line)

    def _closely(self, record: dict, line: int | None) -> dict | None:
        if is_rewind(record):
            return {name: record[name] for name in ("n", "event", "to_step")}
        before = self.damage.num_values
        row = self.shape.held(record, "", Look(self.damage, self.file, line))
        if row is None:
            # Counted as one line, and the first value that is to blame is among the places.
            self.damage.num_values = before
            self.damage.num_lines += 1
        return row

    def unreadable(self, line: int | None, times: int = 1) -> None:
        """Tell of lines that are no records."""
        self.damage.skipped(self.file, line, times=times)
