"""Prepares a text of about 1 GB in a process of its own and prints its peak memory.

    python benchmarks/prepare_memory.py [--mib 1024] [--tokenizer char|bpe] [--lines]

The text is one file without any document border, of words that are drawn from 50,000 made-up ones and repeated every
4 MiB; --lines gives JSON lines with a short document each instead.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("RAYON_NUM_THREADS", "2")

MIB = 1 << 20


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--mib", type=int, default=1024, help="size of the text")
    options.add_argument("--tokenizer", default="bpe", choices=["bpe", "char"])
    options.add_argument("--lines", action="store_true", help="many short documents instead of a single long one")
    options.add_argument("--measure", nargs=2, metavar=("FILE", "CACHE"), help=argparse.SUPPRESS)
    args = options.parse_args()
    if args.measure:
        return measure(*map(Path, args.measure), args.tokenizer)
    with tempfile.TemporaryDirectory() as folder:
        text = Path(folder, "text.jsonl" if args.lines else "text.txt")
        write_text(text, args.mib * MIB, args.lines)
        own = [sys.executable, __file__, "--tokenizer", args.tokenizer, "--measure", str(text), f"{folder}/cache"]
        subprocess.run(own, check=True)


def write_text(path: Path, num_bytes: int, lines: bool) -> None:
    import numpy as np

    random = np.random.default_rng(0)
    letters = np.array(list("etaoinshrdlucmfwypvbgk"))
    words = np.array(["".join(letters[random.integers(0, len(letters), n)]) for n in random.integers(1, 11, 50_000)])
    # Zipf: the k-th word is about 1/k as frequent as the first, as in natural text.
    frequency = 1 / np.arange(1, len(words) + 1)
    drawn = random.choice(words, (3500, 200), p=frequency / frequency.sum())
    block = "".join(json.dumps({"text": line}) + "\n" if lines else line + ".\n" for line in map(" ".join, drawn))
    with path.open("w", encoding="utf-8") as file:
        for _ in range(-(-num_bytes // len(block))):
            file.write(block)


def measure(text: Path, cache_dir: Path, tokenizer: str) -> None:
    from llm_testing.data.prepare import prepare
    from llm_testing.jobs.progress import Progress

    started_s = time.monotonic()
    phases: dict[str, float] = {}
    gaps_s: list[float] = [0.0]
    checked_s = started_s

    def report(progress: Progress) -> None:
        phases.setdefault(progress.phase, round(time.monotonic() - started_s, 1))

    def check() -> None:
        nonlocal checked_s
        gaps_s.append(time.monotonic() - checked_s)
        checked_s = time.monotonic()

    data = prepare(str(text), None, tokenizer, 4096, cache_dir, report, check)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # KiB on Linux
    result = {
        "text_mib": round(text.stat().st_size / MIB, 1),
        "tokenizer": tokenizer,
        "tokens": data.facts.train_tokens + data.facts.val_tokens,
        "documents": data.facts.train_documents + data.facts.val_documents,
        "peak_mib": round(peak / (MIB if sys.platform == "darwin" else 1024), 1),
        "seconds": round(time.monotonic() - started_s, 1),
        "phases_start_s": phases,
        "longest_between_checks_s": round(max(gaps_s), 2),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
