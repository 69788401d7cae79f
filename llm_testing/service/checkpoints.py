"""The checkpoints of all runs: listed, found by every form of id, and deleted where nobody needs them."""

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil
from typing import Any

from llm_testing.config.finetune import FinetuneConfig
from llm_testing.config.pretrain import PretrainConfig
from llm_testing.config.resolve import resolve
from llm_testing.config.resolve_finetune import resolve_finetune
from llm_testing.config.shapes import SIZES
from llm_testing.errors import BadRunId, ConfigError, DamagedRun, NotFound, WrongState
from llm_testing.jobs.states import ACTIVE
from llm_testing.service.records import example_facts, facts_of, state_of, whole_config
from llm_testing.service.retention import ALWAYS_ONE, forked_steps, parents_of_forks
from llm_testing.store.checkpoints import CheckpointInfo
from llm_testing.store.ids import check_run_id, checkpoint_id, parse_checkpoint_id
from llm_testing.store.runs import RunStore
from llm_testing.store.times import utc_text

_SIZE = "(?P<config_name>nano|small|medium|large|xlarge|custom)"
# Clients of the earlier project name a checkpoint by what it was trained with, in three forms.
_EARLIER = re.compile(
    rf"{_SIZE}(?:_(?P<corpus>\w[\w-]{{0,79}}?)_b(?P<batch_size>\d{{1,5}})_ctx(?P<context_length>\d{{1,6}}))?"
    r"_step(?P<step>\d{1,12})",
    re.ASCII,
)
_OLDEST = re.compile(rf"{_SIZE}_(?P<step>\d{{1,12}})", re.ASCII)
FORMS = "20261123-101500-k3f9/step-00001000, nano_verdict_b4_ctx256_step1000, nano_step1000 or nano_1000"


@dataclass(frozen=True)
class CheckpointRow:
    """One checkpoint as lists show it.

    Args:
        epoch: the pass over the data that it was saved in, counted from 1; 0 before the first step.
        kind: of its run: pretrain or finetune; the options of the other kind are None.
        kinds: why it was saved: best, final, periodic, rolling.
        needed: why it is not deleted now, or None.
        damaged: why it cannot be used, or None.
    """

    id: str
    run_id: str
    run_name: str
    path: str
    step: int
    epoch: int
    train_loss: float | None
    val_loss: float | None
    timestamp: str | None
    config_name: str | None
    corpus: str | None
    batch_size: int | None
    context_length: int | None
    optimizer: str | None
    precision: str | None
    attention_impl: str | None
    tokenizer: str | None
    tokens_seen: int | None
    kind: str
    model_name: str | None
    dataset: str | None
    adapter: str | None
    bytes: int
    kinds: tuple[str, ...]
    needed: str | None
    damaged: str | None


@dataclass(frozen=True)
class Deleted:
    """What a deletion removed."""

    ids: tuple[str, ...]
    bytes: int


def checkpoint_rows(
    store: RunStore,
    config_name: str | None = None,
    run_id: str | None = None,
    corpus: str | None = None,
    kind: str | None = None,
) -> list[CheckpointRow]:
    """The checkpoints of all runs that fit, the newest run and step first; None fits everything."""
    rows: list[CheckpointRow] = []
    runs = store.rows()
    forked = parents_of_forks(runs)
    for run in runs:
        if run.record is None or run_id not in (None, run.run_id):
            continue
        if kind not in (None, run.record["kind"]):
            continue
        config = run.record["config"]
        if config_name in (None, config.get("config_name")) and corpus in (None, config.get("corpus")):
            with suppress(NotFound, DamagedRun):  # deleted meanwhile, or not this user's to read
                rows += _rows_of(store, run.run_id, run.record, forked.get(run.run_id, set()))
    return rows


def find_checkpoint(store: RunStore, text: str) -> CheckpointRow:
    """The checkpoint that an id of any form names; of an earlier form the newest that fits.

    Raises:
        BadRunId: for text of no such form.
        NotFound: for one that is not there.
    """
    if not isinstance(text, str) or "/" in text:
        run_id, step = parse_checkpoint_id(text)
        wanted: dict[str, Any] = {"step": step}
        candidates = _rows_of(store, run_id, store.open(run_id).record(), forked_steps(store, run_id))
    else:
        wanted = _earlier_id(text)
        candidates = [row for row in checkpoint_rows(store, wanted["config_name"]) if row.damaged is None]
    fitting = [row for row in candidates if all(getattr(row, name) == value for name, value in wanted.items())]
    if fitting:
        # Runs of the same second are in no order of time by their ids; when they were saved says it.
        return max(fitting, key=lambda row: row.timestamp or "")
    raise NotFound(f"There is no checkpoint {text}. The list of checkpoints shows what there is.")


def find_weights(store: RunStore, text: str | None, kind: str | None = None) -> tuple[str, int]:
    """Run id and step of a checkpoint's id, of a run's newest whole checkpoint, or, for None, of the newest of all.

    Raises:
        BadRunId, NotFound: as `find_checkpoint`.
    """
    if text is None:
        newest = next((row for row in checkpoint_rows(store, kind=kind) if row.damaged is None), None)
        if newest is None:
            raise NotFound("There is no checkpoint yet. Train a run first.")
        return newest.run_id, newest.step
    if not _is_run_id(text):
        row = find_checkpoint(store, text)
        return row.run_id, row.step
    info = store.open(text).checkpoints.newest()
    if info is None:
        raise NotFound(f"Run {text} has no whole checkpoint yet.")
    return text, info.step


def delete_one(store: RunStore, text: str) -> Deleted:
    """Delete a checkpoint.

    Raises:
        WrongState: where somebody needs it; says who.
    """
    row = find_checkpoint(store, text)
    if row.needed in (_ACTIVE, _FORKED):
        raise WrongState(f"Checkpoint {row.id} is not deleted: {row.needed}.", row.run_id)
    return _delete(store, [row])


def delete_many(store: RunStore, config_name: str | None, keep_latest: bool, kind: str | None = None) -> Deleted:
    """Delete all checkpoints of a model size, or of all, but those of active runs and parents of forks.

    Args:
        keep_latest: keep each run's newest and best ones too.
    """
    kept = (_ACTIVE, _FORKED, _NEWEST, _BEST) if keep_latest else (_ACTIVE, _FORKED)
    rows = checkpoint_rows(store, config_name, kind=kind)
    return _delete(store, [row for row in rows if row.needed not in kept])


_ABOUT = (
    "config_name", "corpus", "batch_size", "optimizer", "precision", "attention_impl", "tokenizer", "model_name",
    "dataset", "adapter",
)  # fmt: skip
"""Options that tell checkpoints apart in a list."""
_ACTIVE, _FORKED = "its run is active", "another run was forked from it"
_NEWEST, _BEST = "it is the newest of its run", "it is the best of its run"


def _rows_of(store: RunStore, run_id: str, record: dict, forked: set[int]) -> list[CheckpointRow]:
    infos = store.open(run_id).checkpoints.list()
    if not infos:
        return []
    whole = [info for info in infos if info.damaged is None]
    newest = whole[-1].step if whole else None
    best = [info.step for info in whole if "best" in info.facts.get("kinds", [])][-1:]
    active = state_of(record) in ACTIVE
    about = _about(record)
    rows = []
    for info in reversed(infos):
        needed = (
            _ACTIVE if active
            else _FORKED if info.step in forked
            else _NEWEST if info.step == newest
            else _BEST if info.step in best
            else None
        )  # fmt: skip
        rows.append(_row(run_id, record["name"], info, about, needed))
    return rows


def _row(run_id: str, name: str, info: CheckpointInfo, about: dict[str, Any], needed: str | None) -> CheckpointRow:
    facts, each = info.facts, about["steps_per_epoch"]
    return CheckpointRow(
        id=checkpoint_id(run_id, info.step),
        run_id=run_id,
        run_name=name,
        path=str(info.path),
        step=info.step,
        epoch=ceil(info.step / each) if each else 0,
        train_loss=facts.get("train_loss"),
        val_loss=facts.get("val_loss"),
        timestamp=_saved_at(info),
        tokens_seen=facts.get("tokens_seen"),
        bytes=info.bytes,
        kind=about["kind"],
        kinds=tuple(kind for kind in facts.get("kinds", []) if kind in (*ALWAYS_ONE, "periodic", "rolling")),
        needed=needed,
        damaged=info.damaged,
        **about["config"],
    )


def _about(record: dict) -> dict[str, Any]:
    """What a run's config says about all of its checkpoints; a record that this version cannot read says less."""
    config, tunes = record["config"], record["kind"] == "finetune"
    known = {name: config.get(name) for name in _ABOUT}
    if tunes:
        known |= {"optimizer": config.get("optim"), "context_length": config.get("max_seq_length")}
    else:
        size = SIZES.get(config.get("config_name") or "", SIZES["nano"])
        known["context_length"] = config.get("context_length") or size.context_length
    try:
        if tunes:
            each = resolve_finetune(FinetuneConfig.build(whole_config(record)), example_facts(record)).steps_per_epoch
        else:
            each = resolve(PretrainConfig.build(whole_config(record)), facts_of(record)).steps_per_epoch
    except (ConfigError, DamagedRun, ZeroDivisionError):
        each = None
    return {"config": known, "steps_per_epoch": each, "kind": record["kind"]}


def _saved_at(info: CheckpointInfo) -> str | None:
    try:
        return utc_text(datetime.fromtimestamp((info.path / "manifest.json").stat().st_mtime, UTC))
    except OSError:
        return None


def _earlier_id(text: str) -> dict[str, Any]:
    """What an id of an earlier form asks for."""
    found = _EARLIER.fullmatch(text) or _OLDEST.fullmatch(text)
    if found is None:
        shown = ascii(text if len(text) <= 60 else text[:57] + "...")
        raise BadRunId(f"{shown} is not a checkpoint id. It looks like {FORMS}.")
    numbers = ("step", "batch_size", "context_length")
    return {name: int(value) if name in numbers else value for name, value in found.groupdict().items() if value}


def _delete(store: RunStore, rows: list[CheckpointRow]) -> Deleted:
    gone, size = [], 0
    for row in rows:
        try:
            store.open(row.run_id).checkpoints.delete(row.step)
        except (NotFound, DamagedRun):
            continue
        gone.append(row.id)
        size += row.bytes
    return Deleted(tuple(gone), size)


def _is_run_id(text: str) -> bool:
    try:
        return check_run_id(text) == text
    except BadRunId:
        return False
