"""A forked program is told what any program is told, and how it ends comes through."""

import os
import signal
import sys
from pathlib import Path

import pytest

from tests import forked

pytestmark = [pytest.mark.proof, pytest.mark.skipif(sys.platform != "linux", reason="forks on Linux only")]


def said(tmp_path: Path, *args: str, **env: str) -> tuple[int, str]:
    """How a program ended, and what it wrote."""
    out = tmp_path / "out.txt"
    with out.open("wb") as file:
        program = forked.start(list(args), tmp_path, {**os.environ, **env}, stdout=file.fileno(), stderr=file.fileno())
    return program.wait(120), out.read_text(encoding="utf-8")


def test_arguments_folder_environment_and_status_are_its_own(tmp_path):
    code = "import os, sys; print(sys.argv, os.getcwd(), os.environ['OWN'], __name__); sys.exit(3)"
    assert said(tmp_path, "-c", code, "a b", OWN="1") == (3, f"['-c', 'a b'] {tmp_path} 1 __main__\n")
    assert "OWN" not in os.environ


def test_scripts_modules_and_tracebacks_are_as_ever(tmp_path):
    script = tmp_path / "own.py"
    script.write_text("import sys; print(sys.argv[1:], __name__); raise ValueError('so it ends')", encoding="utf-8")
    status, text = said(tmp_path, str(script), "x")
    assert status == 1 and text.startswith("['x'] __main__\n") and "ValueError: so it ends" in text
    status, text = said(tmp_path, "-m", "llm_testing", "no-such-command")
    assert status == 2 and "no-such-command" in text and "Traceback" not in text


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_signal_ends_it(tmp_path, number):
    program = forked.start(["-c", "import threading; threading.Event().wait()"], tmp_path)
    assert program.poll() is None and program.pid != os.getpid()
    program.send_signal(number)
    assert program.wait(120) == -number == program.poll()
