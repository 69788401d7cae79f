"""What 50 people who look on cost: the trainer's steps with them against without, and the server's CPU for each.

    python benchmarks/viewers.py [--viewers 50] [--pairs 20] [--seconds 12] [--compared 0] [--save]

One run goes on throughout. In each pair the viewers ask for one window of time, as the page's script does with a tab in
view (feed.js), and are silent for another, in alternating order. Steps are timed by the run's own clock. The server's
CPU is that of the process's threads that do not train: those that used less than a tenth of a core while nobody looked.
With --compared, Run History is in view instead: the live run is compared with so many ended ones, and beside the news
each viewer asks for the list, and for the comparison again whenever a validation is new.

The viewers are sockets without a browser, in this process. Real ones sit elsewhere; here they run at the lowest
priority, so that what is measured is the server's work for them, as far as a small machine can tell the two apart.
"""

import asyncio
import json
import os
import tempfile
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, median
from urllib.parse import urlsplit

import psutil
from history import make_runs
from record import ForeignLoad, arguments, finish, rows_of
from served import Served, served

BUSY_S, MACHINE_S = 2.0, 6.0  # feed.js, where the run is on the CPU
LIST_S = 8.0  # history.js, where there are few runs
SETTLE_S = 3.0
BARS = {"step_ratio": 1.03, "server_ms_a_viewer_a_second": 1.0}
TRAINS = 0.1
"""Cores that a thread uses which takes part in the training."""


@dataclass
class Viewer:
    """One page: a connection that stays open, the newest tag and the cursors."""

    host: str
    port: int
    run_id: str
    compared: tuple[str, ...] = ()
    tag: str = ""
    list_tag: str = ""
    validated: float | None = None
    drawn_to: int = -1
    cursors: dict[str, int] = field(default_factory=lambda: {"points": -1, "samples": -1, "events": -1})
    replies: int = 0

    async def look_on(self, first_s: float, until: float) -> None:
        """Ask as feed.js does until a moment of the monotonic clock."""
        await asyncio.sleep(first_s)
        reader, self._writer = await asyncio.open_connection(self.host, self.port)
        self._reader, machine_at, list_at = reader, 0.0, 0.0
        try:
            while (now := time.monotonic()) < until:
                if now - machine_at > MACHINE_S:
                    machine_at = now
                    await self._ask("machine")
                await self._news()
                if self.compared and now - list_at > LIST_S:
                    list_at = now
                    await self._ask("runs?archived=all", tag=self.list_tag)
                await asyncio.sleep(BUSY_S)
        finally:
            self._writer.close()
            await self._writer.wait_closed()

    async def _news(self) -> None:
        seen = {"points": self.drawn_to} if self.compared else self.cursors
        query = "&".join(f"{name}={cursor}" for name, cursor in seen.items())
        news = await self._ask(f"status?run={self.run_id}&{query}", tag=self.tag)
        if news is not None and self.compared:
            await self._compare(news)
        elif news is not None:
            texts = news["texts"]
            seen["points"] = news["points"]["next"]
            seen["samples"], seen["events"] = texts["samples"]["next"], texts["events"]["next"]

    async def _compare(self, news: dict) -> None:
        """As compare.js does when the feed has told something new of a run that it shows."""
        together, first = ",".join((self.run_id, *self.compared)), self.drawn_to < 0
        self.drawn_to = news["points"]["next"]
        if first or news["run"]["val_loss"] != self.validated:
            self.validated = news["run"]["val_loss"]
            await self._ask(f"compare?runs={together}&known={'' if first else together}")
            await self._ask(f"side_by_side?runs={together}")

    async def _ask(self, name: str, tag: str = "") -> dict | None:
        """The answer of a live route, None where nothing is new."""
        held = f"If-None-Match: {tag}\r\n" if tag else ""
        self._writer.write(f"GET /live/{name} HTTP/1.1\r\nHost: {self.host}:{self.port}\r\n{held}\r\n".encode())
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        status, headers = head[0].split()[1], dict(line.lower().split(": ", 1) for line in head[1:] if line)
        self.replies += 1
        if status == "304":
            return None
        body = await self._reader.readexactly(int(headers["content-length"]))
        if status != "200":
            raise SystemExit(f"/live/{name} answered {status}: {body[:200]!r}")
        if name.startswith("status"):
            self.tag = headers["etag"]
        elif name.startswith("runs"):
            self.list_tag = headers["etag"]
        return json.loads(body)


def main() -> None:
    options = arguments(__doc__)
    options.add_argument("--viewers", type=int, default=50)
    options.add_argument("--pairs", type=int, default=20)
    options.add_argument("--seconds", type=float, default=12, help="length of a window")
    options.add_argument("--compared", type=int, default=0, help="ended runs beside the live one, in Run History")
    args = options.parse_args()
    load, pairs = ForeignLoad(), []
    with tempfile.TemporaryDirectory() as name, served(Path(name)) as app:
        os.nice(19)  # this thread's alone, and the server has begun without it
        make_runs(Path(name), args.compared, 0, 0)
        compared = tuple(sorted(path.name for path in app.runs_dir.glob("2026*")))
        run_id = begin(app)
        for number in range(args.pairs):
            pair = {}
            for side in ("seen", "unseen") if number % 2 else ("unseen", "seen"):
                pair[side] = window(app, run_id, args.viewers if side == "seen" else 0, args.seconds, compared)
            pairs.append(pair)
        app.stop()
    ratios = [pair["seen"]["step_s"] / pair["unseen"]["step_s"] for pair in pairs]
    costs = [1e3 * server_s(pair) / args.viewers / args.seconds for pair in pairs]
    figures = {
        "step_ratio": median(ratios),
        "mean_step_ratio": mean(ratios),
        "server_ms_a_viewer_a_second": median(costs),
        "bars": BARS,
        "step_ratios": [round(ratio, 4) for ratio in ratios],
        "server_ms": [round(cost, 3) for cost in costs],
        "replies_a_viewer_a_second": mean(pair["seen"]["replies"] for pair in pairs) / args.viewers / args.seconds,
        "step_ms": {side: 1e3 * median(pair[side]["step_s"] for pair in pairs) for side in ("seen", "unseen")},
        "foreign_cores": round(load.cores(), 2),
    }
    config = {"viewers": args.viewers, "pairs": args.pairs, "seconds": args.seconds, "preset": "recommended"}
    if args.compared:
        config["compared"] = args.compared
    finish("viewers_compared" if args.compared else "viewers", config, figures, args.save)


def begin(app: Served) -> str:
    """Start a run that outlasts the benchmark, and wait until it trains; its id."""
    body = json.dumps({"preset": "recommended", "max_steps": 1_000_000, "request_id": "viewers"}).encode()
    ask = urllib.request.Request(f"{app.url}api/pretraining/start", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(ask, timeout=30) as reply:
        run_id = json.load(reply)["run_id"]
    while not any(row["step"] > 5 for row in rows_of(app.runs_dir / run_id)):
        time.sleep(0.2)
    return run_id


def window(app: Served, run_id: str, num_viewers: int, seconds: float, compared: tuple[str, ...]) -> dict:
    """Mean seconds a step, CPU seconds of each thread and replies, in a window of time that begins soon."""
    return asyncio.run(_window(app, run_id, num_viewers, seconds, compared))


async def _window(app: Served, run_id: str, num_viewers: int, seconds: float, compared: tuple[str, ...]) -> dict:
    until = time.monotonic() + SETTLE_S + seconds
    at = urlsplit(app.url)
    viewers = [Viewer(at.hostname, at.port, run_id, compared) for _ in range(num_viewers)]
    # Pages were opened at different moments, so they do not ask all at once.
    looking = [
        asyncio.create_task(viewer.look_on(BUSY_S * i / max(1, num_viewers), until)) for i, viewer in enumerate(viewers)
    ]
    await asyncio.sleep(SETTLE_S)
    folder, process = app.runs_dir / run_id, psutil.Process(app.process.pid)
    first, replies, before = len(rows_of(folder)), sum(viewer.replies for viewer in viewers), cpu_s(process)
    await asyncio.sleep(max(0.0, until - time.monotonic()))
    after, asked = cpu_s(process), sum(viewer.replies for viewer in viewers) - replies
    await asyncio.gather(*looking)
    steps = [row["step_s"] for row in rows_of(folder)[first:] if row.get("step_s") is not None]
    if not steps:
        raise SystemExit("No step was logged within a window; take longer ones.")
    spent = {thread: spent_s - before.get(thread, 0.0) for thread, spent_s in after.items()}
    return {"step_s": mean(steps), "threads": spent, "replies": asked, "seconds": seconds}


def cpu_s(process: psutil.Process) -> dict[int, float]:
    """CPU seconds of each thread of a process."""
    return {thread.id: thread.user_time + thread.system_time for thread in process.threads()}


def server_s(pair: dict) -> float:
    """CPU seconds that the threads which do not train used more with viewers than without."""
    seen, unseen = pair["seen"]["threads"], pair["unseen"]["threads"]
    training = {thread for thread, spent_s in unseen.items() if spent_s > TRAINS * pair["unseen"]["seconds"]}
    return sum(s for t, s in seen.items() if t not in training) - sum(s for t, s in unseen.items() if t not in training)


if __name__ == "__main__":
    main()
