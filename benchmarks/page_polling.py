"""What an open page costs: steps a second with the page open and polling against without, in alternating windows.

    python benchmarks/page_polling.py [--pairs 30] [--seconds 12] [--save]

One run goes on throughout. In each pair the page is open for one window of time; for the other its browser is stopped
by a signal, so that it asks nothing and draws nothing, and has nothing to load when it goes on. Steps are timed by the
run's own clock, which leaves out validation and saving. The browser draws on the same machine, as it does for somebody
who trains at home. Other programs of the machine disturb single windows by a tenth; hence many short pairs and their
median.
"""

import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import mean, median

import psutil
from record import ForeignLoad, arguments, finish, rows_of
from served import browser_page, press_start, served

SETTLE_S = 20.0
STEADY_S = 1.0


def main() -> None:
    options = arguments(__doc__)
    options.add_argument("--pairs", type=int, default=30)
    options.add_argument("--seconds", type=float, default=12, help="length of a window")
    args = options.parse_args()
    load, pairs = ForeignLoad(), []
    with tempfile.TemporaryDirectory() as name, served(Path(name)) as app, browser_page() as page:
        press_start(app, page, max_steps=100_000)
        page.goto(app.url)
        page.wait_for_timeout(SETTLE_S * 1e3)
        folder = app.run_folder()
        for number in range(args.pairs):
            pair = {}
            for side in ("open", "closed") if number % 2 else ("closed", "open"):
                if side == "closed":
                    with browser_stopped():
                        pair[side] = window(folder, args.seconds)
                else:
                    pair[side] = window(folder, args.seconds)
            pairs.append(pair)
        app.stop()
    ratios = [pair["open"] / pair["closed"] for pair in pairs]
    figures = {
        "median_ratio": median(ratios),
        "mean_ratio": mean(ratios),
        "bar": 1.03,
        "ratios": [round(ratio, 4) for ratio in ratios],
        "step_ms": {side: 1e3 * median(pair[side] for pair in pairs) for side in ("open", "closed")},
        "foreign_cores": round(load.cores(), 2),
    }
    finish("page_polling", {"pairs": args.pairs, "seconds": args.seconds, "preset": "recommended"}, figures, args.save)


@contextmanager
def browser_stopped() -> Iterator[None]:
    """Every process of the browser stands still meanwhile."""
    processes = [one for one in psutil.Process().children(recursive=True) if "chrom" in one.name().lower()]
    if not processes:
        raise SystemExit("No process of the browser was found, so nothing could be compared.")
    for process in processes:
        process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            process.send_signal(signal.SIGCONT)


def window(folder: Path, seconds: float) -> float:
    """Mean seconds a step in a window of time that begins soon."""
    time.sleep(STEADY_S)
    first = len(rows_of(folder))
    time.sleep(seconds)
    rows = [row for row in rows_of(folder)[first:] if row.get("step_s") is not None]
    if not rows:
        raise SystemExit(f"No step was logged within {seconds:.0f} s; take longer windows.")
    return mean(row["step_s"] for row in rows)


if __name__ == "__main__":
    main()
