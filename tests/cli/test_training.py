"""Runs through the command line: what comes out, how they end, and how they go on."""

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.cli.conftest import SMALL, Said, command_line, environment

pytestmark = pytest.mark.proof

KEYS = [
    "run_id", "state", "step", "train_loss", "val_loss", "val_bits_per_byte", "best_val_loss", "num_parameters",
    "num_trainable", "tokens_seen", "tokens_per_s", "elapsed_s", "peak_bytes", "estimated_bytes",
]  # fmt: skip


def test_json_is_one_object_with_the_keys_of_the_contract_and_nothing_else(finished: tuple[Path, Said]):
    said = finished[1]
    result = said.json()
    assert said.status == 0
    assert list(result) == KEYS
    assert (result["state"], result["step"]) == ("completed", 12)
    missing = {key for key, value in result.items() if value is None}
    assert missing <= {"estimated_bytes"}


def test_progress_goes_to_stderr_with_phase_step_and_loss(finished: tuple[Path, Said], run_id: str):
    err = finished[1].err
    assert err.startswith(f"Run {run_id}\n")
    assert "reading tiny" in err and "is completed at step 12" in err
    assert "Traceback" not in err and "Warning" not in err


def test_the_saved_config_is_what_the_flags_said(finished: tuple[Path, Said], run_id: str):
    config = json.loads((finished[0] / run_id / "run.json").read_text(encoding="utf-8"))["config"]
    assert (config["corpus"], config["tokenizer"], config["n_embd"], config["max_steps"]) == ("tiny", "char", 16, 12)


def test_a_finished_run_is_extended_by_a_larger_total(tmp_path: Path, say):
    first = say("pretrain", *SMALL, "--max-steps", "4", "--runs-dir", tmp_path, "--json").json()
    refused = say("resume", first["run_id"], "--runs-dir", tmp_path)
    assert refused.status == 1 and "give a larger total" in refused.err and refused.out == ""
    longer = say("resume", first["run_id"], "--max-steps", "7", "--runs-dir", tmp_path, "--json")
    assert longer.status == 0
    assert (longer.json()["run_id"], longer.json()["step"]) == (first["run_id"], 7)


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)])
def test_a_signal_saves_and_ends_with_130_and_resume_goes_on(tmp_path: Path, cache_dir: Path, say, number: int):
    args = command_line("pretrain", *SMALL, "--max-steps", "1000000", "--runs-dir", tmp_path, "--json")
    process = subprocess.Popen(
        args, env=environment(cache_dir), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        _wait_for_steps(process, tmp_path)
        process.send_signal(number)
        out, err = process.communicate(timeout=120)
    finally:
        process.kill()
    said = Said(process.returncode, out, err)
    assert said.status == 130, said.err
    stopped = said.json()
    assert stopped["state"] == "interrupted" and stopped["step"] >= 3
    assert "Traceback" not in said.err
    total = stopped["step"] + 2
    on = say("resume", stopped["run_id"], "--max-steps", str(total), "--runs-dir", tmp_path, "--json")
    assert on.status == 0, on.err
    assert (on.json()["state"], on.json()["step"]) == ("completed", total)


def _wait_for_steps(process: subprocess.Popen, runs_dir: Path) -> None:
    deadline = time.monotonic() + 180
    while sum(len(path.read_bytes().splitlines()) for path in runs_dir.glob("*/metrics.jsonl")) < 4:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("args", "lines"),
    [
        (["--n-layer", "0"], ["--n-layer: Layers takes a whole number from 1 to 128, or nothing; received 0."]),
        (["--n-head", "3"], ["--n-head: Heads must divide the width 16; received 3. 1, 2, 4, 8 would do."]),
        (
            ["--learning-rate", "nan"],
            ["--learning-rate: Learning rate takes a number from 1e-08 to 1.0; received nan."],
        ),
        (
            ["--learning-rate", "-1e-3"],
            ["--learning-rate: Learning rate takes a number from 1e-08 to 1.0; received -0.001."],
        ),
        (
            ["--preset", "quick"],
            ["--preset: There is no preset 'quick'. There are recommended, learning, fast, 16gb, none."],
        ),
        (
            ["--batch-size", "0", "--dropout", "2"],
            [
                "--dropout: Dropout takes a number from 0 to 0.9; received 2.0.",
                "--batch-size: Batch size takes a whole number from 1 to 4,096; received 0.",
            ],
        ),
    ],
)
def test_a_bad_value_is_one_line_that_names_its_flag(args: list[str], lines: list[str], tmp_path: Path, say):
    said = say("pretrain", *SMALL, *args, "--runs-dir", tmp_path / "runs", "--json")
    assert (said.status, said.out, said.err.splitlines()) == (2, "", lines)
    assert not (tmp_path / "runs").exists(), "a run that cannot start leaves nothing behind"


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("corpsu: tiny\n", "--config: There is no option 'corpsu'. Did you mean corpus?"),
        ("batch_size: 2.5\n", "--batch-size: Batch size takes a whole number from 1 to 4,096; received 2.5."),
        ("learning_rate: .nan\n", "--learning-rate: Learning rate takes a number from 1e-08 to 1.0; received nan."),
        ("- a\n", "--config: The file {file} holds list, but takes option names and values."),
        (
            None,
            "--config: The file {file} cannot be read: No such file or directory. Check that the file is there, and "
            "its rights.",
        ),
    ],
)
def test_a_bad_config_file_is_one_line(content: str | None, line: str, tmp_path: Path, say):
    file = tmp_path / "run.yaml"
    if content is not None:
        file.write_text(content, encoding="utf-8")
    said = say("pretrain", *SMALL, "--config", file, "--runs-dir", tmp_path / "runs")
    assert (said.status, said.out, said.err) == (2, "", line.format(file=file) + "\n")


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"", "holds no text"), (bytes(range(256)) * 9, "is binary, not text"), (None, "There is no corpus and no file")],
)
def test_a_corpus_that_cannot_be_read_is_said_in_one_line(content: bytes | None, says: str, tmp_path: Path, say):
    file = tmp_path / "own.txt"
    if content is not None:
        file.write_bytes(content)
    said = say("pretrain", *SMALL, "--corpus", file, "--max-steps", "2", "--runs-dir", tmp_path / "runs")
    assert said.status == 2 and said.out == ""
    last = said.err.splitlines()[-1]
    assert says in last and "own.txt" in last and "Traceback" not in said.err
