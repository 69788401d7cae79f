"""The monitor, the threads and the Recommended preset follow a container's limits; a CPU-only torch is told."""

import os
from pathlib import Path

import pytest
import torch

from llm_testing.jobs.gpus import Gpus
from llm_testing.service.lab import Lab
from tests.jobs.test_gpus import Driver
from tests.jobs.test_machine import tree, v2

GIB = 2**30


def boxed(root: Path, version: int, cores: int, memory: int) -> Path:
    """A container of that many cores and bytes, half of its memory in use."""
    if version == 2:
        files = {"cpu.max": f"{cores}00000 100000", "memory.max": str(memory), "memory.current": str(memory // 2)}
        return v2(root, **{**files, "memory.stat": "inactive_file 0\n"})
    group = {
        "cpu/cpu.cfs_quota_us": f"{cores}00000",
        "cpu/cpu.cfs_period_us": "100000",
        "memory/memory.limit_in_bytes": str(memory),
        "memory/memory.usage_in_bytes": str(memory // 2),
    }
    cgroup = "3:cpu:/\n2:memory:/\n"
    return tree(root, {"proc/self/cgroup": cgroup, **{f"sys/fs/cgroup/{name}": text for name, text in group.items()}})


@pytest.mark.parametrize("version", [1, 2])
def test_threads_monitor_and_recommended_follow_the_containers_limits(tmp_path, monkeypatch, version):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(16)), raising=False)
    labs = {}
    for name, cores, memory in (("small", 1, GIB // 4), ("large", 8, GIB)):
        root = boxed(tmp_path / name, version, cores, memory)
        labs[name] = Lab(tmp_path / "runs", tmp_path / "cache", leave_a_core=True, root=root)
    small, large = (lab.monitor.now() for lab in labs.values())
    assert (small["cores"], small["threads"], large["cores"], large["threads"]) == (1, 1, 8, 7)
    assert small["memory_total_bytes"] == GIB // 4 and small["memory_source"] == f"cgroup v{version}"
    assert small["memory_available_bytes"] <= GIB // 8
    assert 0 < small["disk_free_bytes"] <= small["disk_total_bytes"]
    if large["device"] == "cpu":
        assert labs["small"].preset_values("recommended") != labs["large"].preset_values("recommended")


def test_a_card_that_this_torch_cannot_use_is_told_with_the_command_that_mends_it(lab, monkeypatch):
    lab.monitor._gpus = Gpus(Driver())
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", None)
    said = lab.monitor.now()
    assert said["gpus"][0]["temperature_c"] == 71
    assert "NVIDIA GeForce RTX 5060 Ti" in said["advice"] and "CPUs only" in said["advice"]
    release = torch.__version__.partition("+")[0]
    assert f"pip install --force-reinstall torch=={release} --index-url https://download" in said["advice"]
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    assert "its driver (version 580.95) is probably too old" in lab.monitor.now()["advice"]


def test_without_a_card_there_is_no_advice(lab):
    lab.monitor._gpus = Gpus(type("None", (), {"nvmlInit_v2": lambda self: 1})())
    said = lab.monitor.now()
    assert said["gpus"] == [] and said["advice"] is None
