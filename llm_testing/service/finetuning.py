"""Making a fine-tuning session ready: base model, examples as tokens, length; and what is written at its end."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict
from typing import TYPE_CHECKING

from llm_testing.config.finetune import FinetuneConfig
from llm_testing.config.resolve_finetune import TuningResolved, resolve_finetune
from llm_testing.data.chats import Chat
from llm_testing.data.example_set import (
    PreparedExamples,
    dataset_rows,
    read_examples,
    refuse_problems,
    split_examples,
)
from llm_testing.data.general_text import general_windows
from llm_testing.errors import UserError, WrongState
from llm_testing.jobs.machine import usable_memory_bytes
from llm_testing.jobs.progress import Progress
from llm_testing.service.bases import Base, bring_base, bring_rows, is_run
from llm_testing.service.names import without_ending
from llm_testing.service.outcome import write_outcome
from llm_testing.service.ready import Ready
from llm_testing.service.records import example_facts
from llm_testing.store.runs import RunStore
from llm_testing.train.measure import bytes_of
from llm_testing.train.memory import refuse_tuning_that_cannot_fit
from llm_testing.train.session import Surroundings

if TYPE_CHECKING:
    from llm_testing.model.chat_tokenizer import ChatTokenizer
    from llm_testing.service.job import Job


def finetune_name(config: FinetuneConfig, store: RunStore) -> str:
    """A name for a run that was given none: its model, or what the run is called that it tunes, and its dataset."""
    model = config.model_name
    if is_run(model):
        with suppress(UserError):
            model = store.open(model.partition("/")[0]).record()["name"] or model
    model, data = without_ending(model), without_ending(config.dataset)
    return f"{model[:40]}-{data[:30]}"


def ready_finetuning(job: Job, place: Surroundings) -> Ready:
    """Bring the model and the examples of a job, and say what its run is."""
    # transformers and peft take seconds to import.
    from llm_testing.model.adapters import counts  # noqa: PLC0415
    from llm_testing.model.base_files import num_weights  # noqa: PLC0415
    from llm_testing.model.chat_tokenizer import ChatTokenizer  # noqa: PLC0415
    from llm_testing.train.tuning import open_tuning, tuned_model  # noqa: PLC0415

    config: FinetuneConfig = job.config
    base = base_of(job)
    if place.device.type == "cpu":
        refuse_tuning_that_cannot_fit(config, num_weights(base.folder), usable_memory_bytes().available_bytes)
    job.progress(Progress("reading the tokenizer"))
    tokenizer = ChatTokenizer(base.folder)
    data = _examples(job, tokenizer)
    resolved = _resolve(job, data)
    job.progress(Progress("loading the model"))
    model = tuned_model(config, base.folder, place, job.start)
    total, trained = counts(model)
    template = "text" if data.facts.data_format == "text" else data.facts.template
    chat = Chat(tokenizer, template, config.system_prompt)

    general = ()
    if config.measure_forgetting:
        general = general_windows(
            tokenizer.encode, config.max_seq_length, job.cache_dir, job.progress, job.control.check
        )

    def open_it(emit, save):
        return open_tuning(
            config, resolved.total_steps, model, data, chat, tokenizer.byte_lengths(), place, job.start, job.control,
            emit, job.progress, save, general=general,
        )  # fmt: skip

    def estimate(budget):
        return job.estimates.of_tuning(config, base.folder, data.train.largest, budget, place.threads)

    return Ready(
        data={**asdict(data.facts), "warnings": list(data.facts.warnings)},
        num_parameters=total,
        num_trainable=trained,
        total_steps=resolved.total_steps,
        warnings=resolved.warnings,
        open=open_it,
        estimate=estimate,
        held_bytes=bytes_of([*model.parameters(), *model.buffers()]),
        record={"model": base.record()},
        finish=lambda run: write_outcome(job, run.model, base, tokenizer),
    )


def base_of(job: Job) -> Base:
    """The base model of a job's run, the same one in each of its sessions."""
    earlier = job.folder.record().get("model") or {}
    revision = earlier.get("revision") if job.resumes else None
    return bring_base(job.config.model_name, revision, job.cache_dir, job.converter, job.progress, job.control.check)


def _examples(job: Job, tokenizer: ChatTokenizer) -> PreparedExamples:
    config = job.config
    rows = bring_rows(config, job.cache_dir, job.progress, job.control.check)
    job.progress(Progress("tokenising examples"))
    found = read_examples(
        config, dataset_rows(config, rows), tokenizer, tokenizer.template, tokenizer.named_tokens, job.progress,
        job.control.check,
    )  # fmt: skip
    refuse_problems(found, config.dataset, config.max_seq_length)
    data = split_examples(found, config, tokenizer.pad_id)
    earlier = example_facts(job.folder.record())
    if job.resumes and earlier and earlier.fingerprint != data.facts.fingerprint:
        raise WrongState(
            f"The examples of {config.dataset} are not what this run was trained on any more, so going on would not "
            "be the same run. Bring the old rows back, or fork a new run from its checkpoint.",
            job.folder.run_id,
        )
    return data


def _resolve(job: Job, data: PreparedExamples) -> TuningResolved:
    resolved = resolve_finetune(job.config, data.facts)
    longer = job.longer_fork(resolved.total_steps)
    if not longer:
        return resolved
    return resolve_finetune(job.config.model_copy(update={"max_steps": longer}), data.facts)
