"""Run History with a thousand runs, of which twenty have 100,000 steps: list, open, zoom, compare, memory.

    python benchmarks/history.py [--runs 1000] [--long 20] [--steps 100000] [--folder DIR] [--save]

The folders are made by the program's own store, in the real format. "Cold" is a process that has just started; "first
ever" is one that also finds no kept curves beside. The operating system's own cache is warm in all of them. Times are
those of the service and of making the JSON, as the routes do it; the network is left out.
"""

import json
import math
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import mean

from record import ROOT, ForeignLoad, arguments, finish

sys.path.insert(0, str(ROOT))
SPIKE = 250.0
ROUNDS = 75
"""Of looking at 40 runs each: all of a thousand three times."""


def main() -> None:
    options = arguments(__doc__)
    options.add_argument("--runs", type=int, default=1000)
    options.add_argument("--long", type=int, default=20, help="how many of them have many steps")
    options.add_argument("--steps", type=int, default=100_000, help="how many steps those have")
    options.add_argument("--folder", type=Path, help="where the runs are made, or are from an earlier time")
    options.add_argument("--measure", choices=list(MEASURES), help=argparse_hidden())
    args = options.parse_args()
    if args.measure:
        print(json.dumps(MEASURES[args.measure](args.folder)))
        return
    load = ForeignLoad()
    with tempfile.TemporaryDirectory() as name:
        folder = args.folder or Path(name)
        make_runs(folder, args.runs, args.long, args.steps)
        figures = measured(folder)
    figures["foreign_cores"] = round(load.cores(), 2)
    finish("history", {"runs": args.runs, "long": args.long, "steps": args.steps}, figures, args.save)


def argparse_hidden() -> str:
    from argparse import SUPPRESS

    return SUPPRESS


def make_runs(folder: Path, num_runs: int, num_long: int, steps: int) -> None:
    """Run folders through the store; what is there from an earlier time stays."""
    from llm_testing.config.pretrain import PretrainConfig
    from llm_testing.store.runs import RunStore

    store = RunStore(folder / "runs")
    draw = random.Random(1)
    for number in range(num_runs):
        run_id = f"20260101-{number // 3600:02}{number // 60 % 60:02}{number % 60:02}-aaaa"
        if store.has(run_id):
            continue
        rate = 10 ** draw.uniform(-4, -2)
        config = PretrainConfig(learning_rate=rate, seed=number % 7, corpus="python-docs", tokenizer="bpe")
        length = steps if number < num_long else 60
        summary = {"step": length, "total_steps": length, "tokens_seen": length * 1024, "elapsed_s": length * 0.2}
        run = store.create(
            {
                "kind": "pretrain", "name": f"run {number}", "state": "completed", "tags": [f"tag{number % 5}"],
                "config": config.model_dump(mode="json"), "data": {"vocab_size": 4096, "tokenizer": "bpe"},
                "parameters": {"total": 5_850_000, "trainable": 5_850_000}, "summary": summary,
            },
            run_id,
        )  # fmt: skip
        write_curve(run, length, draw)
        with run.journal("events") as journal:
            journal.append({"event": "ended", "state": "completed"})


def write_curve(run, length: int, draw: random.Random) -> None:
    """A curve like a real one, with one spike of a single step."""
    spike = length * 2 // 3 + 1
    with run.journal("metrics") as journal:
        journal._clock = lambda: 0.0  # no fdatasync a second: these rows need not survive a power cut
        for step in range(length + 1):
            loss = 2 + 6 * math.exp(-step / (length / 8)) + draw.gauss(0, 0.05)
            looked = step % 500 == 0
            journal.append({
                "step": step, "epoch": step / 1000, "train_loss": SPIKE if step == spike else loss,
                "val_loss": loss + 0.1 if looked else None, "val_bits_per_byte": loss / 2.5 if looked else None,
                "lr": 1e-3 * (1 - step / (length + 1)), "grad_norm": abs(draw.gauss(1, 0.2)),
                "tokens_seen": step * 1024, "tokens_per_s": draw.gauss(5000, 100), "elapsed_s": step * 0.2,
                "step_s": 0.2, "peak_bytes": 927_739_904,
            })  # fmt: skip


def measured(folder: Path) -> dict:
    """Every figure, each from a process of its own."""
    figures = {}
    order = ("list", True), ("open", False), ("compare", False), ("ready", False), ("compare", True), ("memory", True)
    for name, keep in order:
        if not keep:
            for path in (folder / "cache" / "curves").glob("*"):
                path.unlink()
        command = [sys.executable, __file__, "--folder", str(folder), "--measure", name]
        said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        found = json.loads(said.stdout.splitlines()[-1])
        figures |= {key if keep or name != "compare" else f"{key}_first_ever": value for key, value in found.items()}
    return figures | {"bars": {"list_s": 1, "open_s": 1, "compare_s": 2, "compare_bytes": 2_000_000}}


def lab_of(folder: Path):
    from llm_testing.service.lab import Lab

    return Lab(folder / "runs", folder / "cache")


def body_of(value) -> bytes:
    from llm_testing.api.live import answer_of

    return answer_of(value).body


def timed(act) -> tuple[float, object]:
    began = time.perf_counter()
    value = act()
    return round(time.perf_counter() - began, 4), value


def measure_list(folder: Path) -> dict:
    """The list: cold, again, and after one run has changed."""
    history = lab_of(folder).history
    listed = lambda: body_of({"runs": [history.shown(row) for row in history.runs()]})  # noqa: E731
    cold, body = timed(listed)
    warm, _ = timed(listed)
    history.mark(json.loads(body)["runs"][5]["run_id"], {"notes": "changed"})
    changed, _ = timed(listed)
    return {"list_cold_s": cold, "list_warm_s": warm, "list_after_a_change_s": changed, "list_bytes": len(body)}


def measure_open(folder: Path) -> dict:
    """A long run opened: its facts and its curve, then zooms around the spike."""
    history = lab_of(folder).history
    run_id = history.runs()[-1].run_id
    cold, _ = timed(lambda: (body_of(history.open(run_id)), body_of(history.points(run_id))))
    warm, _ = timed(lambda: (body_of(history.open(run_id)), body_of(history.points(run_id))))
    curve = history.points(run_id)["columns"]
    at = curve["step"][curve["train_loss"].index(SPIKE)]
    zooms = [history.points(run_id, x="step", from_x=at - width, to_x=at + width) for width in (30_000, 3_000, 300, 3)]
    seen = [max(zoom["columns"]["train_loss"]) == SPIKE for zoom in zooms]
    coach, _ = timed(lambda: history.coach(run_id))
    return {"open_first_ever_s": cold, "open_warm_s": warm, "spike_at_every_zoom": all(seen), "coach_s": coach}


def measure_ready(folder: Path) -> dict:
    """How soon after the list is shown the curves of all of its long runs are kept beside, in the background."""
    lab = lab_of(folder)
    rows = lab.history.runs()
    num_long = sum(row.total_steps is not None and row.total_steps > 10_000 for row in rows)
    lab.history.make_ready(rows)
    began = time.perf_counter()
    while len(list((folder / "cache" / "curves").glob("*.columns"))) < num_long:
        time.sleep(0.01)
    ready = round(time.perf_counter() - began, 4)
    lab.shutdown()
    return {"long_runs": num_long, "long_runs_ready_s": ready}


def measure_compare(folder: Path) -> dict:
    """Ten long runs beside one another."""
    import gzip

    history = lab_of(folder).history
    run_ids = [row.run_id for row in history.runs()][-10:]
    seconds, body = timed(lambda: body_of(history.compare(run_ids)))
    again, _ = timed(lambda: body_of(history.compare(run_ids)))
    curves = json.loads(body)["curves"].values()
    whole = all(SPIKE in curve["columns"]["train_loss"] for curve in curves)
    return {
        "compare_s": seconds, "compare_warm_s": again, "compare_bytes": len(body),
        "compare_gzip_bytes": len(gzip.compress(body)), "compare_keeps_spikes": whole,
    }  # fmt: skip


def measure_memory(folder: Path) -> dict:
    """Resident memory while everything is looked at again and again; flat means that later looks add nothing."""
    import psutil

    history, process = lab_of(folder).history, psutil.Process()
    run_ids = [row.run_id for row in history.runs()]
    at = [process.memory_info().rss >> 20]
    for number in range(ROUNDS):
        body_of({"runs": [history.shown(row) for row in history.runs()]})
        body_of(history.compare(run_ids[-20:][number % 10 :][:10]))
        first = number * 40 % len(run_ids)
        for run_id in run_ids[first : first + 40]:
            body_of((history.open(run_id), history.points(run_id)))
        at.append(process.memory_info().rss >> 20)
    third = ROUNDS // 3
    middle, last = mean(at[third : 2 * third]), mean(at[2 * third :])
    return {
        "rss_before_mib": at[0],
        "rss_by_round_mib": at[1::5],
        "rss_last_third_over_middle": round(last / middle, 4),
    }


MEASURES = {
    "list": measure_list, "open": measure_open, "compare": measure_compare, "ready": measure_ready,
    "memory": measure_memory,
}  # fmt: skip


if __name__ == "__main__":
    main()
