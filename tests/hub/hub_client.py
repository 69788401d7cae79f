"""Fetches datasets from the address in HF_ENDPOINT and prints what came or went wrong as one JSON object.

Run as a process of its own, since the Hub's client reads HF_ENDPOINT once, when it is imported.
"""

import json
import sys
import time
from pathlib import Path

from llm_testing.errors import Cancelled, UserError
from llm_testing.hub import datasets
from llm_testing.jobs.progress import Progress


class StopAfter:
    """A check that asks for a stop once so many rows were reported."""

    def __init__(self, rows: int | None):
        self.rows = rows
        self.seen: list[Progress] = []

    def report(self, progress: Progress) -> None:
        self.seen.append(progress)

    def check(self) -> None:
        if self.rows is not None and any(progress.done >= self.rows for progress in self.seen):
            raise Cancelled


def main(folder: Path, calls: list[dict]) -> None:
    results = []
    for number, call in enumerate(calls):
        stop = StopAfter(call.pop("stop_after", None))
        to = folder / call.pop("to", f"{number}.jsonl")
        datasets.NOTE_EVERY_S = call.pop("note_every_s", datasets.NOTE_EVERY_S)
        started_s = time.monotonic()
        result = {}
        try:
            arguments = {"config": None, "split": "train", "column": "text", **call}
            rows = datasets.fetch_text_dataset(**arguments, to=to, report=stop.report, check=stop.check)
            texts = [json.loads(line)["text"] for line in to.read_text(encoding="utf-8").splitlines()]
            result = {
                "rows": rows.num_rows,
                "bytes": rows.num_bytes,
                "texts": texts[:5] + texts[-1:],
                "kept": len(texts),
            }
        except (UserError, Cancelled) as error:
            result = {"error": type(error).__name__, "message": str(error)}
        result |= {
            "first_done": [progress.done for progress in stop.seen[:3]],
            "left": sorted(f.name for f in folder.iterdir()),
        }
        results.append(result | {"seconds": time.monotonic() - started_s})
    print(json.dumps(results))  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]))
