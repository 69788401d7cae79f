"""What viewers who ask for far more than their share cost: memory, the owner's calls, the server's CPU, the training.

    python benchmarks/flood.py [--pairs 10] [--seconds 12] [--save]

One flood is 1,000 calls of the page's handlers whose answers nobody fetches, 200 event streams that stay open, 1,000
wrong links, and 50 MB of JSON, sent by holders of the viewer's link as fast as they can, from a process of its own that
is pinned to one core. While it comes the owner asks for the status, starts a preview and calls a handler, again and
again; each answer that is no 200 counts as a refusal. In each pair the run trains for one window of time with a flood
and for one without, in alternating order; steps are timed by the run's own clock. Memory and the server's CPU for a
refused request are measured before the run, the latter kind by kind, over requests that are nearly all refused.
"""

import asyncio
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from statistics import mean, median
from typing import Any

import httpx
import psutil
from record import ROOT, ForeignLoad, arguments, finish, rows_of

ADDRESS = "127.0.0.2"
"""Of the loopback range, and not this machine's own name: so it counts as a network, with two links."""
BARS = {"more_memory_mb": 100, "owner_refusals": 0, "cpu_ms_a_refused_request": 1.0, "step_ratio": 1.05}
JOINS, STREAMS, LOGINS, JSON_BYTES, BODY_BYTES = 1_000, 200, 1_000, 50_000_000, 2_000_000
SETTLE_S = 2.0


class App:
    """app.py in a network of one, and the two tokens that it printed."""

    def __init__(self, folder: Path):
        with socket.socket() as probe:
            probe.bind((ADDRESS, 0))
            self.port = probe.getsockname()[1]
        self.url, self.runs_dir = f"http://{ADDRESS}:{self.port}", folder / "runs"
        self.said = said = folder / "said.txt"
        args = ["--server-name", ADDRESS, "--port", str(self.port), "--runs-dir", str(self.runs_dir)]
        with said.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "app.py", *args, "--cache-dir", str(folder / "cache")],
                cwd=ROOT, stderr=out, stdout=out, env={**os.environ, "HF_HUB_OFFLINE": "1"},
            )  # fmt: skip
        while len(tokens := re.findall(r"token=(\S+)", said.read_text(encoding="utf-8"))) < 2:
            if self.process.poll() is not None:
                raise SystemExit(said.read_text(encoding="utf-8"))
            time.sleep(0.1)
        self.owner, self.viewer = ({"authorization": f"Bearer {token}"} for token in tokens[:2])
        self.watched = psutil.Process(self.process.pid)

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        """An answer to the owner."""
        headers = {**self.owner, "content-type": "application/json"}
        ask = urllib.request.Request(self.url + path, json.dumps(body).encode(), headers)
        with urllib.request.urlopen(ask, timeout=60) as reply:
            return json.load(reply)


async def joins(client: httpx.AsyncClient, index: int, num: int) -> list[int]:
    """Calls of a handler by as many sessions, whose streams nobody opens."""

    async def one() -> int:
        body = {"fn_index": index, "data": [], "session_hash": os.urandom(6).hex()}
        return (await client.post("/gradio_api/queue/join", json=body)).status_code

    return await many(one, num)


async def logins(client: httpx.AsyncClient, num: int) -> list[int]:
    """Wrong links."""

    async def one() -> int:
        return (await client.get(f"/enter?token={os.urandom(16).hex()}")).status_code

    return await many(one, num)


async def bodies(client: httpx.AsyncClient, num_bytes: int) -> list[int]:
    """JSON in pieces of two million bytes, each sent without saying how long it is, and of half of them the length."""
    piece = json.dumps({"prompt": "x" * (BODY_BYTES - 14)}).encode()

    async def one() -> int:
        return (await client.post("/api/pretraining/preview", content=piece, headers=JSON)).status_code

    return await many(one, num_bytes // BODY_BYTES, 4)


JSON = {"content-type": "application/json"}


async def streams(client: httpx.AsyncClient, num: int, until: asyncio.Event) -> list[int]:
    """Event streams that stay open, and read nothing, until an event."""
    opened = []

    async def one() -> int:
        ask = client.build_request("GET", "/api/pretraining/events")
        opened.append(await client.send(ask, stream=True))
        return opened[-1].status_code

    codes = await many(one, num, num)
    await until.wait()
    for reply in opened:
        await reply.aclose()
    return codes


async def many(one: Any, num: int, at_once: int = 50) -> list[int]:
    """The results of calling something num times, so many at once."""
    results, left = [], iter(range(num))

    async def some() -> None:
        for _ in left:
            try:
                results.append(await one())
            except httpx.TransportError:  # it hung up
                results.append(0)

    await asyncio.gather(*(some() for _ in range(at_once)))
    return results


def flood(url: str, token: str, index: int, seconds: float, what: str) -> dict[str, dict[str, int]]:
    """Send one flood, or a part of it, and stay until the time is over; statuses by kind."""
    ended = time.monotonic() + seconds

    async def whole() -> dict[str, list[int]]:
        headers, limits = {"authorization": f"Bearer {token}"}, httpx.Limits(max_connections=None)
        until = asyncio.Event()
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=60, limits=limits) as client:
            kinds = {
                "joins": lambda: joins(client, index, JOINS),
                "streams": lambda: streams(client, STREAMS, until),
                "logins": lambda: logins(client, LOGINS),
                "bodies": lambda: bodies(client, JSON_BYTES),
            }
            tasks = {kind: asyncio.create_task(kinds[kind]()) for kind in (kinds if what == "all" else [what])}
            await asyncio.gather(*(task for kind, task in tasks.items() if kind != "streams"))
            await asyncio.sleep(max(0.0, ended - time.monotonic()))
            until.set()
            return {kind: await task for kind, task in tasks.items()}

    codes = asyncio.run(whole())
    return {kind: {str(code): found.count(code) for code in sorted(set(found))} for kind, found in codes.items()}


def flooding(app: App, index: int, seconds: float, what: str = "all") -> subprocess.Popen:
    """The same in a process of its own, on the last core."""
    token = app.viewer["authorization"].split()[1]
    args = [sys.executable, __file__, "--flood", app.url, token, str(index), str(seconds), what]
    return subprocess.Popen(args, stdout=subprocess.PIPE, text=True)


def owner_asks(app: App, index: int, until: float) -> tuple[list[float], list[str]]:
    """Seconds of each of the owner's calls until a moment, and what was refused."""
    took, refused = [], []
    with httpx.Client(base_url=app.url, headers=app.owner, timeout=60) as client:
        while time.monotonic() < until:
            session = os.urandom(6).hex()
            body = {"fn_index": index, "data": [], "session_hash": session}
            for method, path, content in (
                ("GET", "/live/status", None),
                ("POST", "/api/pretraining/preview", {"preset": "fast"}),
                ("POST", "/gradio_api/queue/join", body),
                ("GET", f"/gradio_api/queue/data?session_hash={session}", None),
            ):
                began = time.monotonic()
                reply = client.request(method, path, json=content)
                took.append(time.monotonic() - began)
                if reply.status_code != 200:
                    refused.append(f"{path} {reply.status_code}")
            time.sleep(0.25)
    return took, refused


def memory_of_a_flood(app: App, index: int) -> tuple[int, int]:
    """Resident bytes before a flood, and the most while it comes and for some seconds after it; nothing trains yet."""
    before = peak = app.watched.memory_info().rss
    sender = flooding(app, index, 8)
    while sender.poll() is None:
        peak = max(peak, app.watched.memory_info().rss)
        time.sleep(0.05)
    return before, peak


def refused_cost(app: App, index: int) -> dict[str, dict[str, Any]]:
    """CPU of the whole server for each request, kind by kind, where nearly all are refused."""
    costs = {}
    for kind in ("joins", "logins", "bodies"):
        rest(app)
        before = cpu_s(app)
        said = json.loads(flooding(app, index, 0, kind).communicate()[0])[kind]
        spent, num = cpu_s(app) - before, sum(said.values())
        costs[kind] = {"cpu_ms": round(1e3 * spent / num, 3), "statuses": said}
    return costs


def rest(app: App) -> None:
    """Wait until the app has warmed up and does nothing."""
    busy = 1.0
    while busy > 0.1:
        before = cpu_s(app)
        time.sleep(1)
        busy = cpu_s(app) - before


def cpu_s(app: App) -> float:
    return sum(app.watched.cpu_times()[:2])


def main() -> None:
    options = arguments(__doc__)
    options.add_argument("--pairs", type=int, default=10)
    options.add_argument("--seconds", type=float, default=12, help="length of a window")
    options.add_argument("--flood", nargs=5, help="send one flood: address, token, handler, seconds, what")
    args = options.parse_args()
    if args.flood:
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
        url, token, index, seconds, what = args.flood
        return print(json.dumps(flood(url, token, int(index), float(seconds), what)))
    load = ForeignLoad()
    with tempfile.TemporaryDirectory() as name:
        app = App(Path(name))
        try:
            figures = measured(app, args.pairs, args.seconds)
        except Exception:
            print(app.said.read_text(encoding="utf-8")[-4000:], file=sys.stderr)
            raise
        finally:
            app.process.terminate()
            app.process.wait(60)
    figures |= {"bars": BARS, "foreign_cores": round(load.cores(), 2)}
    finish("flood", {"pairs": args.pairs, "seconds": args.seconds, "preset": "recommended"}, figures, args.save)


def measured(app: App, pairs: int, seconds: float) -> dict[str, Any]:
    with urllib.request.urlopen(urllib.request.Request(f"{app.url}/config", headers=app.owner), timeout=60) as reply:
        dependencies = json.load(reply)["dependencies"]
    index = next(each["id"] for each in dependencies if each["api_name"] == "health")
    owner_asks(app, index, time.monotonic() + 3)  # what is imported at the first call is no cost of a flood
    rest(app)
    before, peak = memory_of_a_flood(app, index)
    costs = refused_cost(app, index)
    rest(app)
    run_id = app.post("/api/pretraining/start", preset="recommended", max_steps=1_000_000, threads=1)["run_id"]
    folder = app.runs_dir / run_id
    while not any(row["step"] > 5 for row in rows_of(folder)):
        time.sleep(0.2)
    took, refused, ratios, statuses = [], [], [], {}
    for number in range(pairs):
        step_s = {}
        for side in ("flood", "calm") if number % 2 else ("calm", "flood"):
            first, until = len(rows_of(folder)), time.monotonic() + seconds
            sender = flooding(app, index, seconds - 1) if side == "flood" else None
            latencies, refusals = owner_asks(app, index, until)
            step_s[side] = mean(row["step_s"] for row in rows_of(folder)[first:] if row.get("step_s"))
            if sender:
                statuses = json.loads(sender.communicate()[0])
                took, refused = took + latencies, refused + refusals
            time.sleep(SETTLE_S)
        ratios.append(step_s["flood"] / step_s["calm"])
    return {
        "more_memory_mb": round((peak - before) / 1e6, 1),
        "memory_mb": [round(before / 1e6), round(peak / 1e6)],
        "owner_calls": len(took),
        "owner_refusals": len(refused),
        "owner_refused": refused[:5],
        "owner_ms": {"median": round(1e3 * median(took), 1), "worst": round(1e3 * max(took), 1)},
        "refused_requests": costs,
        "step_ratio": round(median(ratios), 4),
        "step_ratios": [round(ratio, 4) for ratio in ratios],
        "statuses_of_one_flood": statuses,
    }


if __name__ == "__main__":
    main()
