"""Making a pretraining session ready: its text as tokens, its shape, its length."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llm_testing.config.resolve import Resolved, resolve
from llm_testing.data.prepare import PreparedData, prepare
from llm_testing.data.tokenizers import FILE_NAME, Tokenizer, load_tokenizer
from llm_testing.errors import WrongState
from llm_testing.jobs.progress import Progress
from llm_testing.service.ready import Ready
from llm_testing.service.records import data_record, facts_of
from llm_testing.store.files import write_bytes
from llm_testing.train.memory import refuse_what_cannot_fit
from llm_testing.train.session import Surroundings, open_run

if TYPE_CHECKING:
    from llm_testing.service.job import Job


def ready_pretraining(job: Job, place: Surroundings) -> Ready:
    """Prepare the text of a job and say what its run is."""
    data = _prepare(job)
    resolved = _resolve(job, data)
    num = resolved.num_parameters

    def open_it(emit, save):
        return open_run(job.config, resolved, data, place, job.start, job.control, emit, job.progress, save)

    return Ready(
        data=data_record(data.facts),
        num_parameters=num,
        num_trainable=num,
        total_steps=resolved.total_steps,
        warnings=resolved.warnings,
        open=open_it,
        refuse=lambda free_bytes: refuse_what_cannot_fit(job.config, num, free_bytes),
        estimate=lambda budget: job.estimates.of_run(job.config, resolved, budget, place.threads),
    )


def _prepare(job: Job) -> PreparedData:
    tokenizer: Tokenizer | None = load_tokenizer(job.tokenizer_from) if job.tokenizer_from else None
    config = job.config
    data = prepare(
        config.corpus, config.val_corpus, config.tokenizer, config.vocab_size, job.cache_dir,
        job.progress, job.control.check, reuse_tokenizer=tokenizer,
    )  # fmt: skip
    earlier = facts_of(job.folder.record())
    if job.resumes and earlier and earlier.fingerprint != data.facts.fingerprint:
        raise WrongState(
            f"The text of {config.corpus} is not what this run was trained on any more, so going on would not be "
            "the same run. Bring the old text back, or fork a new run from its checkpoint.",
            job.folder.run_id,
        )
    if not (job.folder.path / FILE_NAME).exists():
        data.tokenizer.save(job.folder.path, write_bytes)
    job.progress(Progress("building the model"))
    return data


def _resolve(job: Job, data: PreparedData) -> Resolved:
    resolved = resolve(job.config, data.facts)
    longer = job.longer_fork(resolved.total_steps)
    return resolve(job.config.model_copy(update={"max_steps": longer}), data.facts) if longer else resolved
