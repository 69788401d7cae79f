"""What a draft will do, in sentences, before Start."""

from llm_testing.config.finetune import FinetuneConfig
from llm_testing.config.pretrain import PretrainConfig
from llm_testing.config.resolve import Resolved, resolve
from llm_testing.config.resolve_finetune import resolve_finetune
from llm_testing.service.expect import expected
from llm_testing.service.extend import jump_in_words
from llm_testing.service.job import Job
from llm_testing.service.records import example_facts, facts_of, known_facts
from llm_testing.service.views import Preview
from llm_testing.store.runs import RunStore


def preview_of(config: PretrainConfig, store: RunStore) -> Preview:
    """A draft's meaning; its data is known where an earlier run here prepared the same."""
    facts = known_facts(config, store)
    resolved = resolve(config, facts)
    sentences = tuple(_sentences(config, resolved))
    ahead = expected(config, resolved, store, facts)
    return Preview(config=config, resolved=resolved, sentences=sentences, expected=ahead)


def preview_resume_of(job: Job) -> tuple[str, ...]:
    """Where a resumed run goes on, to where, and what happens to its learning rate."""
    total = _total_steps(job)
    if job.checkpoint_step is None or total is None:
        return ("Nothing was saved yet, so the run begins anew.",)
    said = [f"Goes on at step {job.checkpoint_step:,} of {total:,}."]
    return (*said, *jump_in_words(job.folder, job.config, job.checkpoint_step, total))


def _total_steps(job: Job) -> int | None:
    record = job.folder.record()
    if isinstance(job.config, FinetuneConfig):
        return resolve_finetune(job.config, example_facts(record)).total_steps
    return resolve(job.config, facts_of(record)).total_steps


def _sentences(config: PretrainConfig, resolved: Resolved) -> list[str]:
    shape = resolved.shape
    said = [
        f"{resolved.num_parameters:,} parameters: {shape.n_layer} blocks, {shape.n_embd} wide, {shape.n_head} heads, "
        f"{shape.vocab_size:,} tokens" + (" (before reading the corpus)" if resolved.before_reading else "") + ".",
        f"Each update sees {resolved.effective_batch:,} sequences of {resolved.window:,} tokens: "
        f"{resolved.tokens_per_step:,} tokens.",
    ]
    if resolved.total_tokens is not None:
        said.append(
            f"{resolved.total_steps:,} steps read {resolved.total_tokens:,} tokens, "
            f"{resolved.total_tokens / resolved.num_parameters:.1f} for each parameter."
        )
    elif resolved.total_steps is not None:
        said.append(
            f"{resolved.total_steps:,} steps read about {resolved.total_steps * resolved.tokens_per_step:,} tokens."
        )
    else:
        said.append(f"{config.epochs:,} passes over the text; how many steps that is is known once it has been read.")
    return [*said, *resolved.warnings]
