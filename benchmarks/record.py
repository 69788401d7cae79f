"""What every benchmark shares: the surroundings it records, the command line, and one JSON object at the end."""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).resolve().parent / "results"
PACKAGES = ("torch", "numpy", "gradio", "bitsandbytes")
sys.path.insert(0, str(ROOT))


def arguments(about: str) -> argparse.ArgumentParser:
    """A parser with the flag that every benchmark has."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/NAME.json too")
    return parser


def finish(
    name: str, config: dict[str, Any], figures: dict[str, Any], save: bool, more_packages: tuple[str, ...] = ()
) -> None:
    """Print the result as one JSON object, and keep it where that was asked for."""
    about = surroundings(more_packages)
    text = json.dumps({"benchmark": name, **about, "config": config, "figures": figures}, indent=2)
    print(text)
    if save:
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def surroundings(more_packages: tuple[str, ...] = ()) -> dict[str, Any]:
    """Date, device and versions: without them a figure means nothing."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "device": cpu_name(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in (*PACKAGES, *more_packages)},
    }


def cpu_name() -> str:
    """The processor's model."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


class ForeignLoad:
    """How many cores other processes kept busy since it was made; figures taken beside much of it are void."""

    def __init__(self) -> None:
        self._began, self._busy, self._own = time.monotonic(), busy_s(), own_s()

    def cores(self) -> float:
        """Mean number of cores that others used; ask once every process that was started here has ended."""
        return max(0.0, (busy_s() - self._busy - (own_s() - self._own)) / (time.monotonic() - self._began))


def busy_s() -> float:
    """CPU seconds of the whole machine so far; 0 where the system does not say."""
    try:
        user, nice, system, *_ = map(int, Path("/proc/stat").read_text(encoding="utf-8").split("\n", 1)[0].split()[1:])
    except OSError:
        return 0.0
    return (user + nice + system) / os.sysconf("SC_CLK_TCK")


def own_s() -> float:
    """CPU seconds of this process and its ended children."""
    return sum(os.times()[:4])


def command_line(*args: object) -> list[str]:
    """`python -m llm_testing ...`."""
    return [sys.executable, "-m", "llm_testing", *map(str, args)]


def run_command(*args: object) -> dict[str, Any]:
    """Run a command with --json and give its object; its progress goes to our stderr."""
    done = subprocess.run(command_line(*args, "--json"), cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def rows_of(run_folder: Path) -> list[dict[str, Any]]:
    """The metrics lines of a run that may still be going on: a torn last line is left out."""
    try:
        lines = (run_folder / "metrics.jsonl").read_bytes().split(b"\n")[:-1]
    except OSError:
        return []
    return [row for line in lines if "step" in (row := json.loads(line))]
