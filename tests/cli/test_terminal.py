"""Progress for people: one updating line on a terminal, a line every few seconds elsewhere."""

import io
from dataclasses import dataclass

import pytest

from llm_testing.cli.terminal import ProgressLine, duration, progress_line
from llm_testing.jobs.progress import Progress
from tests.control_texts import EVERYTHING, raw_controls


@dataclass
class View:
    run_id: str = "r"
    train_loss: float | None = 2.5
    val_loss: float | None = None
    tokens_per_s: float | None = 3840.4
    eta_s: float | None = 75.0
    warnings: tuple[str, ...] = ()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("progress", "view", "line"),
    [
        (
            Progress("training", 1200, 5000, "steps"),
            View(val_loss=2.25),
            "training  step 1,200/5,000  24%  loss 2.5000  val 2.2500  3,840 tokens/s  ETA 1 min 15 s",
        ),
        (Progress("downloading x", 3 << 20, 6 << 20, "bytes"), None, "downloading x  3.0/6.0 MiB  50%"),
        (Progress("downloading x", 512, None, "bytes"), None, "downloading x  0.5 KiB"),
        (Progress("tokenising", 1000, 4000, "characters"), View(), "tokenising  1,000/4,000 characters  25%"),
        (Progress("building the model"), None, "building the model"),
    ],
)
def test_a_line_says_what_how_far_and_how_long(progress: Progress, view: View | None, line: str):
    assert progress_line(progress, view) == line


def test_a_log_gets_a_line_every_few_seconds_at_most():
    stream, now = io.StringIO(), [0.0]
    line = ProgressLine(stream, lambda: now[0])
    for step in range(1000):
        now[0] = step / 10
        line.report(Progress("training", step, 1000, "steps"))
    assert 15 <= stream.getvalue().count("\n") <= 20
    assert "\r" not in stream.getvalue()


def test_a_terminal_gets_one_line_that_is_written_over():
    stream, now = Terminal(), [0.0]
    line = ProgressLine(stream, lambda: now[0])
    for step in range(10):
        now[0] += 1
        line.report(Progress("training", step, 10, "steps"))
    assert stream.getvalue().count("\n") == 0 and stream.getvalue().count("\r") == 10
    line.say("done")
    assert stream.getvalue().endswith("\ndone\n")


def test_each_note_about_the_run_is_said_once():
    stream, view = io.StringIO(), View()
    line = ProgressLine(stream, lambda: 0.0, lambda: view)
    for warnings in ((), ("one.",), ("one.", "two.")):
        view.warnings = warnings
        line.report(Progress("training", 1, 2, "steps"))
        line.report(Progress("training", 1, 2, "steps"))
    assert [said for said in stream.getvalue().splitlines() if not said.startswith("training")] == [
        "Run r", "Note: one.", "Note: two."
    ]  # fmt: skip


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()], ids=["a log", "a terminal"])
def test_nothing_in_a_phase_or_a_note_acts_on_the_terminal(stream: io.StringIO):
    moments = iter(range(0, 1000, 10))
    line = ProgressLine(stream, lambda: next(moments), lambda: View(run_id="\x1b[8m", warnings=(EVERYTHING,)))
    line.report(Progress(f"downloading {EVERYTHING}", 1, 2, "\x1b[2J"))
    line.say(EVERYTHING)
    said = stream.getvalue()
    assert raw_controls(said, "\n\r") == []
    assert said.count("\r") == stream.isatty() and said.count("\n") == 4, "no line of theirs"


@pytest.mark.parametrize(("seconds", "words"), [(0, "0 s"), (59.4, "59 s"), (60, "1 min 0 s"), (7300, "2 h 1 min")])
def test_durations_are_read_at_a_glance(seconds: float, words: str):
    assert duration(seconds) == words
