"""The real app as a process of its own, as a user starts it."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llm_testing.jobs.states import ACTIVE, TERMINAL
from tests import forked
from tests.ports import free_port

APP = Path(__file__).parent.parent / "app.py"
STARTS_WITHIN_S = 180


@dataclass
class RunningApp:
    """Where it answers, and the process."""

    port: int
    process: subprocess.Popen | forked.Program
    runs_dir: Path
    said_path: Path

    @property
    def said(self) -> str:
        """What it has written to the console."""
        return self.said_path.read_text(encoding="utf-8")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str) -> Any:
        """What a live route answers."""
        with urllib.request.urlopen(self.url + path, timeout=60) as reply:
            return json.load(reply)

    def stop_what_is_on(self) -> None:
        """End the active run, if there is one and the app still answers."""
        if self.process.poll() is not None:
            return
        run = self.get("/live/status")["run"]
        if run and run["state"] in ACTIVE:
            part = "fine-tuning" if run["kind"] == "finetune" else "pretraining"
            stop = urllib.request.Request(f"{self.url}/api/{part}/stop", data=b"", method="POST")
            urllib.request.urlopen(stop, timeout=60).close()
            self.wait_for(*TERMINAL)

    def wait_for(self, *states: str, within_s: float = 180) -> dict:
        """The shown run, once it is in one of these states."""
        end = time.monotonic() + within_s
        while time.monotonic() < end:
            run = self.get("/live/status")["run"]
            if run and run["state"] in states:
                return run
            time.sleep(0.1)
        raise AssertionError(f"no run became {' or '.join(states)}; the last look saw {run}")


@contextmanager
def running_app(root: Path, *args: str, fresh: bool = False, **env: str) -> Iterator[RunningApp]:
    """Start app.py with folders below root; it is ended with SIGTERM, as a service manager does.

    Args:
        args, env: further arguments and variables of the environment.
        fresh: by an interpreter of its own, which takes seconds more; so it is wherever there are variables, since
            libraries read theirs on their import.
    """
    command = [str(APP), "--runs-dir", str(root / "runs"), "--cache-dir", str(root / "cache"), *args]
    said = root / "said.txt"
    with said.open("wb") as out:
        if "--port" not in args and not env:  # a Space's is its own to choose, and so is the default
            command += ["--port", str(free_port())]
        if fresh or env:
            command = [sys.executable, *command]
            process = subprocess.Popen(command, stdout=out, stderr=out, cwd=root, env={**os.environ, **env})
        else:
            process = forked.start(command, root, stdout=out.fileno(), stderr=out.fileno())
    try:
        yield RunningApp(_port(process, said), process, root / "runs", said)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(120)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _port(process: subprocess.Popen | forked.Program, said: Path) -> int:
    end = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < end:
        if found := re.search(r" http://(?:localhost|[\d.]+):(\d+)/", said.read_text(encoding="utf-8")):
            return int(found[1])
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise AssertionError(f"app.py did not start; it said:\n{said.read_text(encoding='utf-8')}")
