"""A first look at a fine-tuning draft's model and rows: what is shown before Start, and what is refused by it.

What is on this machine already is looked at before a run gets a folder, so that a wrong row costs no download and no
loading. What the Hub has is looked at when the run has brought it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from llm_testing.config.finetune import PERSONA, FinetuneConfig
from llm_testing.config.foreign import typed_path
from llm_testing.data.example_set import Read, dataset_rows, read_examples, refuse_problems
from llm_testing.data.examples import RowProblem, to_examples
from llm_testing.errors import ConfigError, DataError, Problem
from llm_testing.jobs.machine import usable_memory_bytes
from llm_testing.jobs.progress import Check, Report, never_cancel, report_nothing
from llm_testing.model.device import find_device
from llm_testing.service.bases import Converter, bring_base, bring_rows, is_path, is_run, rows_at_hand
from llm_testing.train.memory import refuse_tuning_that_cannot_fit

if TYPE_CHECKING:
    from llm_testing.model.chat_tokenizer import ChatTokenizer

MOST_ROWS = 2000
"""Rows that are looked at before Start; the run looks at all of them."""


def look(
    config: FinetuneConfig, cache_dir: Path, converter: Converter, report: Report, check: Check
) -> tuple[Read, ChatTokenizer]:
    """The first rows as the model would see them, and its tokenizer; a Hub model's weights stay where they are.

    Raises:
        ConfigError, DataError, DownloadError: there is nothing to look at.
    """
    # transformers takes seconds to import.
    from llm_testing.model.base_files import check_settings  # noqa: PLC0415
    from llm_testing.model.chat_tokenizer import ChatTokenizer  # noqa: PLC0415

    base = bring_base(config.model_name, None, cache_dir, converter, report, check, weights=False)
    check_settings(base.folder)
    tokenizer = ChatTokenizer(base.folder)
    rows = islice(dataset_rows(config, bring_rows(config, cache_dir, report, check)), MOST_ROWS)
    found = read_examples(config, rows, tokenizer, tokenizer.template, tokenizer.named_tokens, report, check)
    return found, tokenizer


def refuse_what_is_seen(config: FinetuneConfig, cache_dir: Path, converter: Converter) -> None:
    """Refuse a draft that what is on this machine already shows to be impossible.

    Raises:
        ConfigError: a model that may not be loaded, or rows that cannot be learned from; names the option.
        NotEnoughMemory: the model alone exceeds this machine's memory.
    """
    folder = typed_path(config.model_name)
    model_here = is_path(config.model_name) and os.path.isdir(folder)
    if model_here:
        from llm_testing.model.base_files import check_folder, num_weights  # noqa: PLC0415  (imports safetensors)

        with _told_at("model_name"):
            check_folder(folder)
        if find_device(config.device).type == "cpu":
            refuse_tuning_that_cannot_fit(config, num_weights(folder), usable_memory_bytes().available_bytes)
    with _told_at("dataset"):
        rows = rows_at_hand(config.dataset, cache_dir)
        if rows is None:
            return
        if model_here or is_run(config.model_name):
            found, _ = look(config, cache_dir, converter, report_nothing, never_cancel)
            refuse_problems(found, config.dataset, config.max_seq_length)
        elif config.dataset != PERSONA:
            found = _rows_alone(config, rows)
            if found.problems or not found.num_rows:
                refuse_problems(found, config.dataset, config.max_seq_length)


@contextmanager
def _told_at(field: str) -> Iterator[None]:
    """Data that cannot be used as a problem of the option that named it."""
    try:
        yield
    except DataError as error:
        raise ConfigError([Problem(field, str(error))]) from None


def _rows_alone(config: FinetuneConfig, path: Path) -> Read:
    """What is wrong with the first rows, whichever model they are for."""
    rows = islice(dataset_rows(config, path), MOST_ROWS)
    found = Read("", config.data_format)
    for example in to_examples(rows, config.data_format, config.column_map, config.system_prompt):
        found.num_rows += 1
        if isinstance(example, RowProblem):
            found.problems.append(example)
    return found
