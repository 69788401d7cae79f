"""What somebody meets who starts the app on a fresh machine without a network, and presses Start at once.

    python benchmarks/page_defaults.py [--seconds 180] [--save]

Seconds until the page answers; seconds from Start to the first point in the chart with nothing cached; held-out bits a
byte three minutes after Start; different words in ten samples of the model as it is then. The cores must be idle
otherwise: foreign_cores says whether they were. Runs app.py and presses the button in a headless Chromium.
"""

import re
import tempfile
from pathlib import Path

from record import ForeignLoad, arguments, finish, rows_of
from served import browser_page, press_start, served

BARS = {"answered_s": 8.0, "first_point_s": 15.0, "val_bits_per_byte": 2.3, "different_words": 60}


def main() -> None:
    options = arguments(__doc__)
    options.add_argument("--seconds", type=float, default=180, help="how long after Start to look")
    args = options.parse_args()
    load = ForeignLoad()
    with tempfile.TemporaryDirectory() as name, served(Path(name)) as app:
        with browser_page() as page:
            first_point_s = press_start(app, page)
            # The page stays open, as it would.
            page.wait_for_timeout(max(0.0, args.seconds - first_point_s) * 1e3)
            folder = app.run_folder()
            rows = rows_of(folder)
        app.stop()
        words, samples = different_words(app.runs_dir, app.cache_dir, folder.name)
    validated = [row for row in rows if row.get("val_bits_per_byte") is not None]
    figures = {
        "answered_s": round(app.answered_s, 2),
        "first_point_s": round(first_point_s, 2),
        "val_bits_per_byte": validated[-1]["val_bits_per_byte"],
        "at_step": validated[-1]["step"],
        "steps": rows[-1]["step"],
        "tokens_seen": rows[-1]["tokens_seen"],
        "different_words": words,
        "bars": BARS,
        "foreign_cores": round(load.cores(), 2),
        "samples": samples,
    }
    finish("page_defaults", {"seconds": args.seconds, "preset": "recommended"}, figures, args.save)


def different_words(runs_dir: Path, cache_dir: Path, run_id: str) -> tuple[int, list[str]]:
    """Different words in ten samples of 64 tokens, and the samples."""
    from llm_testing.model.generate import Sampling
    from llm_testing.service.lab import Lab

    lab = Lab(runs_dir, cache_dir)
    prompts = ("The", "Return") * 5
    texts = ["".join(lab.generate(run_id, prompt, Sampling(seed=seed))) for seed, prompt in enumerate(prompts)]
    return len(set(re.findall(r"[a-z]{2,}", " ".join(texts).lower()))), texts


if __name__ == "__main__":
    main()
