"""app.py in a process of its own and a headless Chromium in front of it, for the benchmarks of the page."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from record import ROOT

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
POINTS = """() => [...document.querySelectorAll('.js-plotly-plot')]
  .some((chart) => (chart.data || []).some((trace) => trace.x && trace.x.length > 0))"""
"""True once any chart of the page holds a point."""
READY = "() => document.querySelector('#lt-start:not(:disabled)')"
"""True once the form is there with its draft."""


@dataclass
class Served:
    """A page that answers.

    Args:
        answered_s: seconds from starting app.py to the first 200.
    """

    url: str
    runs_dir: Path
    cache_dir: Path
    process: subprocess.Popen
    answered_s: float

    def run_folder(self) -> Path | None:
        """The newest run's folder."""
        found = sorted(path.parent for path in self.runs_dir.glob("[0-9]*/run.json"))
        return found[-1] if found else None

    def stop(self) -> None:
        """SIGTERM: the active run is saved, and the process ends."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(60)


@contextmanager
def served(folder: Path) -> Iterator[Served]:
    """Start app.py with empty runs and cache folders, and wait until it answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    runs_dir, cache_dir = folder / "runs", folder / "cache"
    args = ["--port", str(port), "--runs-dir", str(runs_dir), "--cache-dir", str(cache_dir)]
    began, url = time.monotonic(), f"http://127.0.0.1:{port}/"
    process = subprocess.Popen([sys.executable, "app.py", *args], cwd=ROOT, env={**os.environ, "HF_HUB_OFFLINE": "1"})
    try:
        while not answers(url):
            if process.poll() is not None:
                sys.exit(f"app.py ended with status {process.returncode}")
            time.sleep(0.02)
        yield Served(url, runs_dir, cache_dir, process, time.monotonic() - began)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def answers(url: str) -> bool:
    """Whether a GET is answered with 200."""
    try:
        with urllib.request.urlopen(url, timeout=5) as reply:
            return reply.status == 200
    except OSError:
        return False


def press_start(app: Served, page: Any, max_steps: int | None = None) -> float:
    """Open the page, press Start, wait for the first point of the chart; seconds from the press to the point."""
    page.goto(app.url)
    page.wait_for_function(READY, polling=100, timeout=60_000)
    if max_steps:
        page.fill("#lt-option-max_steps input", str(max_steps))
    page.click("#lt-start")
    began = time.monotonic()
    while not app.run_folder():
        if time.monotonic() - began > 20:
            sys.exit(f"Start was pressed and no run began. The page says: {page.inner_text('body')[:2000]}")
        page.wait_for_timeout(50)
    page.wait_for_function(POINTS, polling=100, timeout=120_000)
    return time.monotonic() - began


@contextmanager
def browser_page() -> Iterator[Any]:
    """A page of a headless Chromium, the system's where there is one."""
    from playwright.sync_api import sync_playwright

    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        try:
            yield browser.new_page()
        finally:
            browser.close()
