"""What an open page costs: steps a second with the page open and polling against without, in alternating windows.

    python benchmarks/page_polling.py [--pairs 6] [--seconds 20] [--save]

One run goes on throughout. In each pair the page is open for one window of time and closed for another, in alternating
order; steps are timed by the run's own clock, which leaves out validation and saving. The browser draws on the same
machine, as it does for somebody who trains at home; the seconds in which it loads the page are not counted.
"""

import tempfile
import time
from pathlib import Path
from statistics import mean, median

from record import ForeignLoad, arguments, finish, rows_of
from served import browser_page, press_start, served

SETTLE_S = 8.0


def main() -> None:
    options = arguments(__doc__)
    options.add_argument("--pairs", type=int, default=6)
    options.add_argument("--seconds", type=float, default=20, help="length of a window")
    args = options.parse_args()
    load, pairs = ForeignLoad(), []
    with tempfile.TemporaryDirectory() as name, served(Path(name)) as app, browser_page() as page:
        press_start(app, page, max_steps=100_000)
        folder = app.run_folder()
        for number in range(args.pairs):
            pair = {}
            for side in ("open", "closed") if number % 2 else ("closed", "open"):
                page.goto(app.url if side == "open" else "about:blank")
                page.wait_for_timeout(SETTLE_S * 1e3)
                pair[side] = window(folder, args.seconds, page)
            pairs.append(pair)
        app.stop()
    ratios = [pair["open"] / pair["closed"] for pair in pairs]
    figures = {
        "median_ratio": median(ratios),
        "bar": 1.03,
        "ratios": [round(ratio, 4) for ratio in ratios],
        "step_ms": {side: 1e3 * median(pair[side] for pair in pairs) for side in ("open", "closed")},
        "foreign_cores": round(load.cores(), 2),
    }
    finish("page_polling", {"pairs": args.pairs, "seconds": args.seconds, "preset": "recommended"}, figures, args.save)


def window(folder: Path, seconds: float, page) -> float:
    """Mean seconds a step in a window of time that begins now."""
    first = len(rows_of(folder))
    began = time.monotonic()
    page.wait_for_timeout(seconds * 1e3)
    rows = [row for row in rows_of(folder)[first:] if row.get("step_s") is not None]
    if not rows:
        raise SystemExit(f"No step was logged within {time.monotonic() - began:.0f} s; take longer windows.")
    return mean(row["step_s"] for row in rows)


if __name__ == "__main__":
    main()
