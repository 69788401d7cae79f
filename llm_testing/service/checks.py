"""What is refused before a run gets a folder: options that this machine cannot serve, and text that is not there."""

from pathlib import Path

from llm_testing.config.pretrain import PretrainConfig
from llm_testing.data.corpora import find_corpus, open_corpus
from llm_testing.data.sources import parse_address
from llm_testing.errors import ConfigError, DataError, Problem
from llm_testing.jobs.progress import never_cancel, report_nothing
from llm_testing.train.session import check_device


def check_start(config: PretrainConfig, cache_dir: Path, usable_cores: int) -> str:
    """The device of a run that may start, as text.

    Downloads are not tried here: a run whose corpus must be fetched starts, and ends in words where it cannot be.

    Raises:
        ConfigError: naming every option that was refused.
    """
    problems = []
    if config.threads and config.threads > usable_cores:
        problems.append(
            Problem("threads", f"This process may use {usable_cores} cores for a run; received {config.threads}.")
        )
    for field in ("corpus", "val_corpus"):
        value = getattr(config, field)
        if value is None or find_corpus(value):
            continue
        try:
            if parse_address(value) is None:
                next(iter(open_corpus(value, cache_dir, report_nothing, never_cancel).pieces()))
        except DataError as error:
            problems.append(Problem(field, str(error)))
    try:
        device = str(check_device(config))
    except ConfigError as error:
        problems += error.problems
    if problems:
        raise ConfigError(problems)
    return device
