"""A text dataset of the Hugging Face Hub as one JSON lines file; no code of the dataset is ever run."""

from dataclasses import dataclass
from pathlib import Path

from llm_testing.jobs.progress import Check, Report


@dataclass(frozen=True)
class Rows:
    """What came."""

    url: str
    sha256: str
    num_bytes: int
    num_rows: int


def fetch_text_dataset(
    repo: str, config: str | None, split: str, column: str, to: Path, report: Report, check: Check
) -> Rows:
    """Write column of a split as {"text": ...} lines into the file `to`."""
    raise NotImplementedError
