"""A dataset of examples made ready for fine-tuning: read, tokenised, split, counted, and what is wrong with it."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np

from llm_testing.config.facts import ExampleFacts
from llm_testing.config.finetune import FinetuneConfig
from llm_testing.data.answers import Tokeniser, Tokenizes, Tokens
from llm_testing.data.batches import ExampleBatches
from llm_testing.data.examples import RowProblem, find_format, to_examples
from llm_testing.data.rows import Row, read_rows
from llm_testing.data.templates import OWN, TemplateProcess
from llm_testing.errors import DataError
from llm_testing.jobs.progress import Check, Progress, Report

PERSONA_FILE = Path(__file__).with_name("persona.jsonl")
MOST_SHOWN = 5
EVERY_ROWS = 256


@dataclass
class Read:
    """Sequences of a dataset, in order, and the rows that gave none.

    Args:
        rows_of: for each sequence the number of its row, counted from 0.
    """

    template: str
    data_format: str
    sequences: list[Tokens] = field(default_factory=list)
    rows_of: list[int] = field(default_factory=list)
    problems: list[RowProblem] = field(default_factory=list)
    num_rows: int = 0
    num_left_out: int = 0


@dataclass(frozen=True)
class PreparedExamples:
    """What a run trains and validates on."""

    facts: ExampleFacts
    train: ExampleBatches
    val: ExampleBatches


def dataset_rows(config: FinetuneConfig, path: Path) -> Iterable[Row]:
    """The rows that a config asks for.

    Args:
        path: where its dataset lies.

    Raises:
        DataError: nothing is there.
    """
    rows = read_rows(path)
    return islice(rows, config.n_examples) if config.n_examples else rows


def read_examples(
    config: FinetuneConfig,
    rows: Iterable[Row],
    tokenizer: Tokenizes,
    model_template: str | None,
    named_tokens: dict[str, str],
    report: Report,
    check: Check,
) -> Read:
    """Every row as sequences, or as a problem; nothing is refused yet.

    Args:
        model_template: Jinja source of the model's own chat template, if it has one.
        named_tokens: what templates may name.

    Raises:
        DataError: the rows are of no known format, or the template cannot be used.
    """
    rows = iter(rows)
    head = list(islice(rows, 1))
    data_format = config.data_format
    if data_format == "auto" and head and head[0].fields is not None:
        data_format = find_format(head[0].fields, config.column_map)
    name = config.chat_template
    if name == "auto":
        name = "model" if model_template else "alpaca"
    found = Read(name, data_format)
    tokens = {"bos_token": "", "eos_token": "", **named_tokens}
    with TemplateProcess(model_template if name == "model" else OWN[name], tokens) as renderer:
        make = Tokeniser(tokenizer, renderer, name == "model", config.answers_only, config.max_seq_length)
        for example in to_examples(_chained(head, rows), data_format, config.column_map, config.system_prompt):
            check()
            number = found.num_rows
            found.num_rows += 1
            if isinstance(example, RowProblem):
                found.problems.append(example)
                continue
            learned = False
            for made in make.sequences(example):
                if isinstance(made, RowProblem):
                    found.problems.append(made)
                    learned = True
                elif made.learned.any():
                    found.sequences.append(made)
                    found.rows_of.append(number)
                    learned = True
            found.num_left_out += not learned
            if found.num_rows % EVERY_ROWS == 0:
                report(Progress("tokenising examples", found.num_rows, None, "rows"))
    return found


def _chained(head: list[Row], rows: Iterable[Row]) -> Iterable[Row]:
    yield from head
    yield from rows


def refuse_problems(found: Read, dataset: str, longest_allowed: int) -> None:
    """Refuse rows that are no examples, and a dataset that teaches nothing.

    Raises:
        DataError: naming the first few rows and how many there are.
    """
    if found.problems:
        first = " ".join(str(problem) for problem in found.problems[:MOST_SHOWN])
        more = len(found.problems) - MOST_SHOWN
        rest = f" And {more:,} more." if more > 0 else ""
        raise DataError(
            f"{len(found.problems):,} of {found.num_rows:,} rows of {dataset} cannot be learned from. {first}{rest} "
            "Mend or remove them, or map their fields with columns."
        )
    if not found.num_rows:
        raise DataError(f"{dataset} has no rows. Choose another dataset or split.")
    if not found.sequences:
        raise DataError(
            f"Nothing of {dataset} would be trained: in none of its {found.num_rows:,} rows is a token left to learn "
            f"within {longest_allowed:,} tokens. Raise max_seq_length, turn answers_only off, or mend the rows."
        )
    if len(set(found.rows_of)) < 2:
        raise DataError(
            f"{dataset} has one row to learn from, but training and held-out rows need at least one each. Add rows."
        )


def split_examples(found: Read, config: FinetuneConfig, pad_id: int) -> PreparedExamples:
    """Hold out a share of the rows, chosen by the seed, and arrange the rest for training."""
    rows = sorted(set(found.rows_of))
    num_val = min(max(1, round(len(rows) * config.val_share)), len(rows) - 1)
    random = np.random.Generator(np.random.PCG64([config.seed, len(rows), 1]))
    held_out = {rows[i] for i in random.permutation(len(rows))[:num_val]}
    parts = [[], []]
    for sequence, row in zip(found.sequences, found.rows_of, strict=True):
        parts[row in held_out].append(sequence)
    batches = [
        ExampleBatches(
            part, config.packs, config.max_seq_length, config.batch_size, config.grad_accum_steps, config.seed, pad_id
        )
        for part in parts
    ]
    return PreparedExamples(_facts(found, config, *parts, *batches), *batches)


def _facts(found: Read, config: FinetuneConfig, train: list, val: list, packed: ExampleBatches, held: ExampleBatches):
    cut = sum(tokens.cut > 0 for tokens in found.sequences)
    warnings = []
    if found.template != "model" and config.chat_template == "auto" and found.data_format != "text":
        warnings.append(f"The model has no chat template of its own, so conversations are written as {found.template}.")
    if cut:
        warnings.append(
            f"{cut:,} of {len(found.sequences):,} sequences are longer than max_seq_length {config.max_seq_length:,} "
            "and lose their end."
        )
    if found.num_left_out:
        warnings.append(
            f"{found.num_left_out:,} of {found.num_rows:,} rows are left out: nothing of their answers fits into "
            f"max_seq_length {config.max_seq_length:,}."
        )
    if config.n_examples and found.num_rows == config.n_examples:
        warnings.append(f"The first {found.num_rows:,} rows are used, as n_examples says; 0 would take all.")
    return ExampleFacts(
        dataset=config.dataset,
        data_format=found.data_format,
        template=found.template,
        num_rows=found.num_rows,
        train_sequences=packed.num_sequences,
        val_sequences=held.num_sequences,
        train_tokens=sum(len(tokens.ids) - 1 for tokens in train),
        val_tokens=sum(len(tokens.ids) - 1 for tokens in val),
        learned_tokens=sum(int(tokens.learned.sum()) for tokens in train),
        num_cut=cut,
        num_left_out=found.num_left_out,
        longest=max(len(tokens.ids) + tokens.cut for tokens in found.sequences),
        fingerprint=_fingerprint(train, val),
        warnings=tuple(warnings),
    )


def _fingerprint(*parts: list[Tokens]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little"))
        for tokens in part:
            digest.update(len(tokens.ids).to_bytes(8, "little") + tokens.ids.tobytes() + tokens.learned.tobytes())
    return digest.hexdigest()
