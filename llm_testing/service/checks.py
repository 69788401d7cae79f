"""What is refused before a run gets a folder: options that this machine cannot serve, and text that is not there."""

from pathlib import Path

from llm_testing.config.finetune import FinetuneConfig
from llm_testing.config.pretrain import PretrainConfig
from llm_testing.data.corpora import find_corpus, open_corpus
from llm_testing.data.rows import list_row_files
from llm_testing.data.sources import parse_address
from llm_testing.errors import ConfigError, DataError, NotEnoughMemory, Problem
from llm_testing.estimate.budget import CPU_SHARE, GIB
from llm_testing.estimate.result import Estimate
from llm_testing.jobs.progress import never_cancel, report_nothing
from llm_testing.service.bases import problems_of_names, rows_at_hand
from llm_testing.train.memory import to_make_it_fit
from llm_testing.train.session import check_device


def check_start(config: PretrainConfig, cache_dir: Path, usable_cores: int) -> str:
    """The device of a run that may start, as text.

    Downloads are not tried here: a run whose corpus must be fetched starts, and ends in words where it cannot be.

    Raises:
        ConfigError: naming every option that was refused.
    """
    problems = _thread_problems(config, usable_cores)
    for field in ("corpus", "val_corpus"):
        value = getattr(config, field)
        if value is None or find_corpus(value):
            continue
        try:
            if parse_address(value) is None:
                next(iter(open_corpus(value, cache_dir, report_nothing, never_cancel).pieces()))
        except DataError as error:
            problems.append(Problem(field, str(error)))
    return _device(config, problems)


def check_finetune(config: FinetuneConfig, cache_dir: Path, usable_cores: int) -> str:
    """The device of a fine-tuning run that may start, as text; models and datasets of the Hub are not asked for yet.

    Raises:
        ConfigError: naming every option that was refused.
    """
    problems = _thread_problems(config, usable_cores) + problems_of_names(config)
    try:
        if (rows := rows_at_hand(config.dataset, cache_dir)) is not None:
            list_row_files(rows)
    except DataError as error:
        problems.append(Problem("dataset", str(error)))
    if config.adapter == "qlora" and config.device == "mps":
        problems.append(Problem("adapter", "4-bit weights do not run on Apple GPUs. Choose lora, or the device cpu."))
    return _device(config, problems)


def refuse_what_exceeds(estimate: Estimate, config: PretrainConfig, force: bool) -> None:
    """Refuse a run whose step needs more memory than there is.

    On the CPU always: running out there is a SIGKILL, which takes page and run along without a word. On a card it is
    an error that the run survives in what it saved, so `force` tries it.

    Raises:
        NotEnoughMemory: saying how much is needed, how much there is, and what to change.
    """
    budget = estimate.budget
    if estimate.verdict != "exceeds" or (force and budget.device == "cuda"):
        return
    need, there = estimate.minimum_bytes + budget.context_bytes, f"{budget.free_bytes / GIB:.1f} GiB"
    largest = sorted(estimate.terms.items(), key=lambda entry: -entry[1])[:3]
    terms = ", ".join(f"{name.replace('_', ' ')} {num_bytes / GIB:.1f}" for name, num_bytes in largest)
    limit = f"this process may still use {there}, and takes {CPU_SHARE:.0%} of that at most"
    if budget.device == "cuda":
        limit = f"{budget.name} has {there} free. To try it all the same, give force"
    raise NotEnoughMemory(
        f"This run needs about {need / GIB:.1f} GiB at its peak ({terms}), but {limit}. {to_make_it_fit(config)}"
    )


def _thread_problems(config: PretrainConfig | FinetuneConfig, usable_cores: int) -> list[Problem]:
    if not config.threads or config.threads <= usable_cores:
        return []
    return [Problem("threads", f"This process may use {usable_cores} cores for a run; received {config.threads}.")]


def _device(config: PretrainConfig | FinetuneConfig, problems: list[Problem]) -> str:
    """The device of a config without other problems; all of them are told together."""
    try:
        device = str(check_device(config))
    except ConfigError as error:
        problems = [*problems, *error.problems]
    if problems:
        raise ConfigError(problems)
    return device
