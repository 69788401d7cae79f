"""A text that no fine-tuning run trains on, to see how much of its English a model keeps."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from llm_testing.data.corpora import open_corpus
from llm_testing.data.windows import Batch
from llm_testing.jobs.progress import Check, Report

CORPUS = "python-docs"
NUM_TOKENS = 2048
LONGEST_WINDOW = 256


def general_windows(
    encode: Callable[[str], tuple[list[int], object]], max_length: int, cache_dir: Path, report: Report, check: Check
) -> list[Batch]:
    """The first pages of a built-in corpus, as windows that stand alone.

    Args:
        encode: a model's tokenizer.
        max_length: longest window in tokens.

    Returns:
        Batches of one window, inputs and targets (1, T) int64.

    Raises:
        DataError: this Python comes without its documentation.
    """
    length, ids = min(max_length, LONGEST_WINDOW), []
    for piece in open_corpus(CORPUS, cache_dir, report, check).pieces():
        ids += encode(piece.text)[0]
        if len(ids) > NUM_TOKENS:
            break
    tokens = np.asarray(ids[: NUM_TOKENS + 1], np.int64)
    starts = range(0, len(tokens) - length, length)
    return [(tokens[None, s : s + length], tokens[None, s + 1 : s + length + 1]) for s in starts]
