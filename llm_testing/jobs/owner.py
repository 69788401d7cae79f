"""Who works on a run: which process, and whether it still lives.

A process number alone proves nothing, since numbers are given out again. With the time the process started, counted
from the machine's boot, and the boot itself, a number means one process, also when the wall clock was set meanwhile.
"""

import os
import platform
from contextlib import suppress
from pathlib import Path

import psutil

from llm_testing.jobs.states import ACTIVE, RunState

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
# psutil derives start times from the wall clock where there is no /proc; they wobble a little.
_SLACK_S = 1.0


def this_process() -> dict:
    """The facts run.json keeps about the process that works on a run."""
    pid = os.getpid()
    return {"pid": pid, "start_time": _start_time_s(pid), "boot_id": _boot_id(), "host": platform.node()}


def is_alive(owner: dict, lock_held: bool = False) -> bool:
    """Whether the process that `this_process` described still lives.

    Args:
        owner: those facts, as run.json gives them; anything malformed is not alive.
        lock_held: whether the trainer's lock is held. It decides for owners on another host (another container on the
            same disk), whose processes cannot be seen from here.
    """
    pid, start_time_s = owner.get("pid"), owner.get("start_time")
    if isinstance(pid, bool) or not isinstance(pid, int) or not isinstance(start_time_s, int | float) or pid <= 0:
        return False
    if owner.get("boot_id") == _boot_id():
        now_s = _start_time_s(pid)
        if now_s is not None and abs(now_s - start_time_s) <= _SLACK_S:
            return True
    return lock_held and owner.get("host") != platform.node()


def effective_state(record: dict, lock_held: bool = False) -> RunState:
    """The state to show for a run: what its record says, but interrupted if whoever worked on it is gone.

    A queued run has no owner and stays queued. A word that is no state of ours counts as interrupted.
    """
    try:
        state = RunState(record.get("state"))
    except ValueError:
        return RunState.INTERRUPTED
    if state not in ACTIVE:
        return state
    owner = record.get("owner")
    return state if isinstance(owner, dict) and is_alive(owner, lock_held) else RunState.INTERRUPTED


def _start_time_s(pid: int) -> float | None:
    """When a process started, or None if it is not there (a zombie is not); only comparable with itself."""
    try:
        # The name in parentheses may hold anything, also parentheses. Fields: proc_pid_stat(5).
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        return None if fields[0] in "ZXx" else int(fields[19]) / os.sysconf("SC_CLK_TCK")
    except FileNotFoundError:
        if Path("/proc/self/stat").exists():
            return None
    except (OSError, IndexError, ValueError):
        pass
    with suppress(psutil.Error, OverflowError):
        process = psutil.Process(pid)
        return None if process.status() == psutil.STATUS_ZOMBIE else process.create_time()
    return None


def _boot_id() -> str:
    """The kernel's name for this boot; "" where it has none (then start times tell boots apart)."""
    with suppress(OSError):
        return _BOOT_ID.read_text().strip()
    return ""
