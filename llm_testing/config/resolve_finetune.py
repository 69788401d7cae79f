"""What follows from a fine-tuning config and its examples: the length of the run, and what to say before Start."""

from dataclasses import dataclass
from math import ceil

from llm_testing.config.facts import ExampleFacts
from llm_testing.config.finetune import FinetuneConfig
from llm_testing.errors import Problem


@dataclass(frozen=True)
class TuningResolved:
    """The run that a config means.

    Args:
        effective_batch: sequences an update.
        steps_per_epoch, total_steps, total_tokens: None before the examples were read; tokens without padding.
        warnings: sentences to show before Start.
    """

    effective_batch: int
    steps_per_epoch: int | None
    total_steps: int | None
    total_tokens: int | None
    warnings: tuple[str, ...]


def length_problems(config: FinetuneConfig, context_length: int | None) -> list[Problem]:
    """What is wrong with a sequence length for a model that looks back so far; None is not known."""
    if context_length is None or config.max_seq_length <= context_length:
        return []
    message = (
        f"This model looks back {context_length:,} tokens; received {config.max_seq_length:,}. "
        f"Take {context_length:,} or less."
    )
    return [Problem("max_seq_length", message)]


def resolve_finetune(config: FinetuneConfig, facts: ExampleFacts | None = None) -> TuningResolved:
    """Say what a config means for given examples, or, with no facts, as much as can be said before reading them."""
    batch = config.batch_size * config.gradient_accumulation
    steps, total, tokens, warnings = None, config.max_steps, None, []
    if facts:
        steps = ceil(facts.train_sequences / batch)
        total = config.max_steps or config.num_epochs * steps
        tokens = round(facts.train_tokens * total / steps)
        warnings += facts.warnings
        if facts.train_sequences < batch:
            warnings.append(
                f"An update takes up to {batch:,} sequences, but there are only {facts.train_sequences:,} to train "
                "on, so each update reads all of them."
            )
    return TuningResolved(batch, steps, total, tokens, tuple(warnings))
