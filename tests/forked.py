"""Python programs forked from a process that has imported torch, Gradio and the app already: seconds saved for each.

`start` takes what would stand after `python` on a command line. What depends on a fresh interpreter is not shown this
way: what happens before torch is imported, and what a library reads from the environment on its import (HF_ENDPOINT,
GRADIO_*). For each entry of the product there is a test that starts one.

A program's process that traces is forked too, before the program runs, and stands by until it is asked for.

The server imports and nothing more, with no thread beside its own, since of a process with threads only one survives a
fork, and a lock that another one held stays locked.
"""

import atexit
import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import threading
from functools import cache
from pathlib import Path
from typing import Any

from llm_testing.estimate import trace_worker, worker

ROOT = Path(__file__).parent.parent
IMPORTED = (
    *("app", "llm_testing.cli.main", "llm_testing.estimate.trace_jobs", "torch._dynamo"),
    *("llm_testing.train.tuning", "bitsandbytes", "peft", "transformers.models.llama.modeling_llama"),
)
NUMBER_BYTES = 8
"""Of each number on a line: a length, a process id, a status."""


class Program:
    """A forked program; the part of subprocess.Popen that the tests use."""

    def __init__(self, pid: int, ends: socket.socket):
        self.pid = pid
        self.returncode: int | None = None
        self._ends = ends

    def poll(self) -> int | None:
        """How it ended, negative for a signal; None while it runs."""
        return self._looked(0)

    def wait(self, timeout: float | None = None) -> int:
        """How it ended.

        Raises:
            subprocess.TimeoutExpired: it still runs.
        """
        status = self._looked(timeout)
        if status is None:
            raise subprocess.TimeoutExpired(f"program {self.pid}", timeout)
        return status

    def send_signal(self, number: int) -> None:
        """Send a signal, if it still runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def _looked(self, timeout_s: float | None) -> int | None:
        if self.returncode is None:
            self._ends.settimeout(timeout_s)
            try:
                said = self._ends.recv(NUMBER_BYTES)
            except (BlockingIOError, TimeoutError):
                return None
            assert said, "the server that forks has ended"
            self.returncode = int(said)
            self._ends.close()
        return self.returncode


def start(
    args: list[str], cwd: Path | None = None, env: dict[str, str] | None = None, stdout: int = 1, stderr: int = 2
) -> "Program | subprocess.Popen":
    """A program, started as `python *args`: a script, -m and a module, or -c and code.

    Args:
        stdout, stderr: open file descriptors.
    """
    if sys.platform != "linux":  # a Mac's own libraries do not bear a fork, Windows has none
        return subprocess.Popen([sys.executable, *args], cwd=cwd, env=env, stdout=stdout, stderr=stderr)
    ours, theirs = socket.socketpair()
    with theirs:
        request = {"args": args, "cwd": str(cwd or Path.cwd()), "env": dict(os.environ if env is None else env)}
        message = json.dumps(request).encode()
        socket.send_fds(_server(), [number_line(len(message))], [stdout, stderr, theirs.fileno()])
        _server().sendall(message)
    return Program(int(ours.recv(NUMBER_BYTES, socket.MSG_WAITALL)), ours)


def number_line(number: int) -> bytes:
    """A number as it is sent."""
    return str(number).rjust(NUMBER_BYTES).encode()


@cache
def _server() -> socket.socket:
    """The line to the server, which is started when it is first needed and ends with this process."""
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.forked", str(theirs.fileno())],
            pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, cwd=ROOT,
            # Of the two libraries one would make a pool of threads on its import, the other one that tidies up.
            env={**os.environ, "OMP_NUM_THREADS": "1", "JE_ARROW_MALLOC_CONF": "background_thread:false"},
        )  # fmt: skip

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


def serve(line: socket.socket) -> dict:
    """Fork a program for each request until the other end closes.

    Returns:
        In the forked process alone: what to run.
    """
    woken, wake = socket.socketpair()
    woken.setblocking(False)
    wake.setblocking(False)
    signal.set_wakeup_fd(wake.fileno())
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the tests' process decides
    running: dict[int, socket.socket] = {}
    with selectors.DefaultSelector() as selector:
        selector.register(line, selectors.EVENT_READ)
        selector.register(woken, selectors.EVENT_READ)
        while True:
            ready = {key.fileobj for key, _ in selector.select()}
            if woken in ready:
                woken.recv(4096)
                _tell_ended(running)
            if line not in ready:
                continue
            head, fds, _, _ = socket.recv_fds(line, NUMBER_BYTES, 3)
            if not head:
                for pid in running:
                    os.kill(pid, signal.SIGKILL)
                sys.exit()
            request = json.loads(line.recv(int(head), socket.MSG_WAITALL))
            ends = socket.socket(fileno=fds[2])
            if pid := os.fork():
                running[pid] = ends
                ends.send(number_line(pid))
                os.close(fds[0])
                os.close(fds[1])
            else:
                break
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number, fd in enumerate(fds[:2], 1):
        os.dup2(fd, number)
        os.close(fd)
    for each in (line, woken, wake, ends, *running.values()):
        each.close()
    return request


def _tell_ended(running: dict[int, socket.socket]) -> None:
    for pid in list(running):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            with running.pop(pid) as ends:
                ends.send(number_line(os.waitstatus_to_exitcode(status)))


class Tracer:
    """The process that traces, forked from a program before that has threads; the part of Popen that Worker uses."""

    def __init__(self) -> None:
        asked, answered = os.pipe(), os.pipe()
        self.returncode: int | None = None
        self.pid = os.fork()
        if not self.pid:
            os.dup2(asked[0], 0)
            os.dup2(answered[1], 1)
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, 2)
            for fd in (*asked, *answered, nowhere):
                os.close(fd)
            trace_worker.main()
            os._exit(0)
        os.close(asked[0])
        os.close(answered[1])
        self.stdin, self.stdout = os.fdopen(asked[1], "wb"), os.fdopen(answered[0], "rb")

    def poll(self) -> int | None:
        """How it ended; None while it runs."""
        return self._ended(os.WNOHANG)

    def wait(self) -> int | None:
        """How it ended."""
        return self._ended(0)

    def kill(self) -> None:
        """End it at once."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)

    def _ended(self, options: int) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, options)
            self.returncode = os.waitstatus_to_exitcode(status) if pid else None
        return self.returncode


class Subprocesses:
    """Stands in for the module subprocess of estimate.worker: the first process that traces is the one standing by."""

    def __init__(self) -> None:
        self.standing_by: list[Tracer] = [Tracer()]

    def Popen(self, *args: Any, **settings: Any) -> Any:  # noqa: N802
        """A process that traces."""
        return self.standing_by.pop() if self.standing_by else subprocess.Popen(*args, **settings)

    def __getattr__(self, name: str) -> Any:
        return getattr(subprocess, name)


def run(args: list[str]) -> None:
    """What the interpreter does with its command line."""
    if args[0] == "-c":
        sys.argv = ["-c", *args[2:]]
        exec(compile(args[1], "<string>", "exec"), {"__name__": "__main__"})  # noqa: S102
    elif args[0] == "-m":
        sys.argv = [args[1], *args[2:]]
        runpy.run_module(args[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = list(args)
        runpy.run_path(args[0], run_name="__main__")


def main() -> None:
    """Import, serve, and in a forked process run the program; the interpreter ends it as any other."""
    line = socket.socket(fileno=int(sys.argv[1]))
    for name in IMPORTED:
        importlib.import_module(name)
    assert threading.active_count() == len(os.listdir("/proc/self/task")) == 1
    gc.collect()
    gc.freeze()
    request = serve(line)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    worker.subprocess = Subprocesses()
    run(request["args"])


if __name__ == "__main__":
    main()
