"""Real command lines: in this process where that is enough, in one of their own where signals and streams matter."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from llm_testing.cli.main import main

ROOT = Path(__file__).parents[2]
SMALL = [
    *("--preset", "none", "--corpus", "tiny", "--tokenizer", "char", "--config-name", "custom", "--n-layer", "1"),
    *("--n-head", "2", "--n-embd", "16", "--context-length", "16", "--warmup-steps", "0", "--threads", "1"),
    *("--intermediate-val-freq-steps", "1000", "--sample-every", "0"),
]


@dataclass(frozen=True)
class Said:
    """What a command left behind."""

    status: int
    out: str
    err: str

    def json(self) -> dict:
        """Stdout, which must be exactly one JSON object on one line."""
        assert self.out.count("\n") == 1, self.out
        return json.loads(self.out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def command_line(*args: str | Path) -> list[str]:
    return [sys.executable, "-m", "llm_testing", *map(str, args)]


def environment(cache_dir: Path) -> dict[str, str]:
    return {**os.environ, "LLM_TESTING_CACHE": str(cache_dir), "PYTHONPATH": str(ROOT)}


@pytest.fixture(scope="session")
def cache_dir(shared_cache: Path) -> Path:
    return shared_cache


@pytest.fixture
def say(capfd: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Run a command in this process."""

    def run(*args: str | Path) -> Said:
        capfd.readouterr()
        status = main([str(arg) for arg in args])
        return Said(status, *capfd.readouterr())

    return run


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, cache_dir: Path) -> tuple[Path, Said]:
    """A runs folder with one finished run, and what the process that made it said; tests leave it as it is."""
    runs_dir = tmp_path_factory.mktemp("finished")
    args = ("pretrain", *SMALL, "--max-steps", "12", "--runs-dir", runs_dir, "--json")
    done = subprocess.run(command_line(*args), env=environment(cache_dir), capture_output=True, text=True, timeout=300)
    return runs_dir, Said(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="session")
def run_id(finished: tuple[Path, Said]) -> str:
    return finished[1].json()["run_id"]
