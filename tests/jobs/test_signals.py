import os
import signal
import subprocess
import sys
import threading

import pytest

from llm_testing.jobs.control import Control
from llm_testing.jobs.signals import on_stop_signals

WAIT = """
import signal, threading
signal.signal(signal.SIGINT, signal.default_int_handler)
from llm_testing.jobs.control import Control
from llm_testing.jobs.signals import on_stop_signals
control, stopped = Control(), threading.Event()
def on_signal(name):
    print(name, flush=True)
    control.request_stop("signal")
with on_stop_signals(on_signal):
    print("ready", flush=True)
    if {obey}:
        control.request_pause()
        control.wait_while_paused(lambda: None)
        print(control.stop_mode, flush=True)
    else:
        stopped.wait()
"""


def start(obey):
    return subprocess.Popen([sys.executable, "-c", WAIT.format(obey=obey)], stdout=subprocess.PIPE, text=True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_becomes_a_stop_and_the_process_ends_by_itself(number):
    with start(obey=True) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        assert process.stdout.read().split() == [number.name, "signal"]
        assert process.wait(60) == 0


def test_a_second_ctrl_c_ends_a_process_that_does_not_obey(tmp_path):
    with start(obey=False) as process:
        assert process.stdout.readline() == "ready\n"
        for number in (signal.SIGTERM, signal.SIGINT):
            process.send_signal(number)
            assert process.stdout.readline() == number.name + "\n"
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130


def test_the_old_handlers_come_back_and_a_repeated_sigterm_is_told_once():
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    names = []
    with on_stop_signals(names.append):
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
    assert names == ["SIGTERM", "SIGINT"]
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before


def test_a_signal_in_the_middle_of_a_command_does_not_deadlock():
    control = Control()
    with on_stop_signals(lambda name: control.request_stop("signal")), control._changed:
        os.kill(os.getpid(), signal.SIGTERM)
        assert control.stop_mode == "signal"


def test_other_threads_are_refused_since_they_receive_no_signals():
    refused = []

    def enter():
        try:
            with on_stop_signals(lambda name: None):
                pass
        except ValueError as error:
            refused.append(error)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert refused
