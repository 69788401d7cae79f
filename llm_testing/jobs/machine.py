"""What this process may really use of the machine: a container's limits, not the host's figures.

Limits come from control groups, version 1 or 2, of which each parent may be tighter than the group itself.
Sources: https://docs.kernel.org/admin-guide/cgroup-v2.html and cgroup-v1/memory.html there.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

_CGROUPS = Path("sys/fs/cgroup")


@dataclass(frozen=True)
class MemoryFacts:
    """Main memory in bytes, and who says so: "cgroup v2", "cgroup v1" or "machine"."""

    total_bytes: int
    available_bytes: int
    source: str


def usable_cores(root: Path = Path("/"), affinity: int | None = None) -> int:
    """How many threads can compute at once: the affinity mask and the CPU quota, rounded down, at least 1.

    Args:
        root: where proc and sys are found.
        affinity: the number of cores the process may be scheduled on; None asks the system.
    """
    cores = float(_affinity() if affinity is None else affinity)
    for group in _groups_v2(root):
        cores = min(cores, _quota(*(_text(group / "cpu.max").split() or ["max"])))
    for group in _groups_v1(root, "cpu"):
        cores = min(cores, _quota(_text(group / "cpu.cfs_quota_us"), _text(group / "cpu.cfs_period_us")))
    return max(1, int(cores))


def usable_memory_bytes(root: Path = Path("/")) -> MemoryFacts:
    """How much memory this process may use, and how much of that is free now.

    Files that the kernel caches for the group count as used there, but the inactive ones are given up on demand, so
    they are available.
    """
    host = psutil.virtual_memory()
    facts = MemoryFacts(host.total, host.available, "machine")
    for group in _groups_v2(root):
        limit, used = _number(group / "memory.max"), _number(group / "memory.current")
        facts = _tighter(facts, limit, used, _stat(group, "inactive_file"), "cgroup v2")
    for group in _groups_v1(root, "memory"):
        limit, used = _number(group / "memory.limit_in_bytes"), _number(group / "memory.usage_in_bytes")
        facts = _tighter(facts, limit, used, _stat(group, "total_inactive_file"), "cgroup v1")
    return facts


def cpu_seconds_of_group(root: Path = Path("/")) -> float | None:
    """Seconds that all cores have computed for the group whose CPU quota holds here; None where none has a quota."""
    for group in _groups_v2(root):
        if _quota(*(_text(group / "cpu.max").split() or ["max"])) < float("inf"):
            return _stat(group, "usage_usec", "cpu.stat") / 1e6
    for group in _groups_v1(root, "cpu"):
        if _quota(_text(group / "cpu.cfs_quota_us"), _text(group / "cpu.cfs_period_us")) < float("inf"):
            for accounting in (group, *_groups_v1(root, "cpuacct")):
                if (nanoseconds := _number(accounting / "cpuacct.usage")) is not None:
                    return nanoseconds / 1e9
    return None


def _tighter(facts: MemoryFacts, limit: int | None, used: int | None, inactive: int, source: str) -> MemoryFacts:
    if limit is None:
        return facts
    # A wider parent may have less left than its child, where other groups fill it.
    total = min(facts.total_bytes, limit)
    available = min(facts.available_bytes, max(0, limit - max(0, (used or 0) - inactive)))
    tighter = (total, available) != (facts.total_bytes, facts.available_bytes)
    return MemoryFacts(total, available, source if tighter else facts.source)


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _groups_v2(root: Path) -> Iterator[Path]:
    """This process's group and its parents, in the unified hierarchy."""
    for hierarchy, controllers, path in _memberships(root):
        if hierarchy == "0" and not controllers:
            # Beside version 1 groups the unified hierarchy is mounted one level down.
            for mount in (root / _CGROUPS, root / _CGROUPS / "unified"):
                if (mount / "cgroup.controllers").exists():
                    yield from _with_parents(mount, path)


def _groups_v1(root: Path, controller: str) -> Iterator[Path]:
    for _, controllers, path in _memberships(root):
        if controller in controllers.split(","):
            for mount in {root / _CGROUPS / controllers, root / _CGROUPS / controller}:
                yield from _with_parents(mount, path)


def _memberships(root: Path) -> Iterator[tuple[str, str, str]]:
    """(hierarchy, controllers, path) for each line of /proc/self/cgroup."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        hierarchy, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if path.startswith("/"):
            yield hierarchy, controllers, path


def _with_parents(mount: Path, path: str) -> Iterator[Path]:
    # In a container the path may be the host's, of which only the mount's own folder can be seen.
    parts = [part for part in path.split("/") if part and part != ".."]
    for depth in range(len(parts), -1, -1):
        yield mount.joinpath(*parts[:depth])


def _quota(quota_us: str, period_us: str = "100000") -> float:
    """Cores' worth of time a period; infinity if there is no limit ("max", -1, or no such file)."""
    with suppress(ValueError, ZeroDivisionError):
        if (quota := int(quota_us)) > 0:
            return quota / int(period_us)
    return float("inf")


def _stat(group: Path, key: str, file: str = "memory.stat") -> int:
    for line in _text(group / file).splitlines():
        name, _, value = line.partition(" ")
        if name == key and value.strip().isdigit():
            return int(value)
    return 0


def _number(path: Path) -> int | None:
    text = _text(path)
    return int(text) if text.isdigit() else None


def _text(path: Path) -> str:
    with suppress(OSError, UnicodeError):
        return path.read_text().strip()
    return ""
