import os

import psutil
import pytest

from llm_testing.jobs.machine import usable_cores, usable_memory_bytes

MIB = 2**20


def tree(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def v2(root, group="", **files):
    return tree(
        root,
        {
            "proc/self/cgroup": f"0::/{group}\n",
            "sys/fs/cgroup/cgroup.controllers": "cpu memory\n",
            **{f"sys/fs/cgroup/{name}": text for name, text in files.items()},
        },
    )


@pytest.mark.parametrize(
    ("cpu_max", "cores"),
    [
        ("max 100000", 16), ("200000 100000", 2), ("250000 100000", 2), ("50000 100000", 1),
        ("3200000 100000", 16), ("150000 50000", 3), ("", 16), ("nonsense", 16), ("100000 0", 16),
    ],
)  # fmt: skip
def test_a_v2_quota_is_rounded_down_to_whole_cores_and_at_least_one(tmp_path, cpu_max, cores):
    assert usable_cores(v2(tmp_path, **{"cpu.max": cpu_max + "\n"}), affinity=16) == cores


def test_a_parent_groups_tighter_quota_counts(tmp_path):
    v2(tmp_path, "user/app", **{"user/app/cpu.max": "800000 100000", "user/cpu.max": "300000 100000"})
    assert usable_cores(tmp_path, affinity=16) == 3


def test_a_container_that_sees_the_hosts_path_but_only_its_own_mount_finds_its_quota(tmp_path):
    v2(tmp_path, "docker/0123abc", **{"cpu.max": "400000 100000", "memory.max": str(100 * MIB), "memory.current": "0"})
    assert usable_cores(tmp_path, affinity=16) == 4
    assert usable_memory_bytes(tmp_path).total_bytes == 100 * MIB


@pytest.mark.parametrize(("quota", "cores"), [("-1", 16), ("200000", 2), ("20000", 1)])
@pytest.mark.parametrize("controllers", ["cpu", "cpu,cpuacct"])
def test_a_v1_quota_counts(tmp_path, controllers, quota, cores):
    tree(
        tmp_path,
        {
            "proc/self/cgroup": f"5:memory:/\n4:{controllers}:/box\n1:name=systemd:/x\n",
            f"sys/fs/cgroup/{controllers}/box/cpu.cfs_quota_us": quota,
            f"sys/fs/cgroup/{controllers}/box/cpu.cfs_period_us": "100000",
        },
    )
    assert usable_cores(tmp_path, affinity=16) == cores


def test_without_control_groups_the_affinity_counts(tmp_path):
    assert usable_cores(tmp_path, affinity=7) == 7
    assert 1 <= usable_cores() <= (os.cpu_count() or 1)
    facts = usable_memory_bytes(tmp_path)
    assert (facts.source, facts.total_bytes) == ("machine", psutil.virtual_memory().total)
    assert 0 < facts.available_bytes <= facts.total_bytes


def test_a_v2_memory_limit_counts_and_inactive_file_cache_is_available(tmp_path):
    v2(
        tmp_path,
        **{
            "memory.max": str(512 * MIB),
            "memory.current": str(300 * MIB),
            "memory.stat": f"anon 1\nactive_file {50 * MIB}\ninactive_file {100 * MIB}\n",
        },
    )
    facts = usable_memory_bytes(tmp_path)
    assert (facts.total_bytes, facts.available_bytes, facts.source) == (512 * MIB, 312 * MIB, "cgroup v2")


def test_a_full_parent_leaves_its_child_no_more_than_it_has(tmp_path):
    v2(
        tmp_path,
        "a/b",
        **{
            "a/b/memory.max": str(400 * MIB),
            "a/b/memory.current": str(10 * MIB),
            "a/memory.max": str(800 * MIB),
            "a/memory.current": str(790 * MIB),
        },
    )
    facts = usable_memory_bytes(tmp_path)
    assert (facts.total_bytes, facts.available_bytes) == (400 * MIB, 10 * MIB)


def test_a_v1_memory_limit_counts_and_its_word_for_none_does_not(tmp_path):
    box = "sys/fs/cgroup/memory/box"
    files = {
        "proc/self/cgroup": "4:memory:/box\n",
        f"{box}/memory.limit_in_bytes": str(256 * MIB),
        f"{box}/memory.usage_in_bytes": str(200 * MIB),
        f"{box}/memory.stat": f"inactive_file 1\ntotal_inactive_file {60 * MIB}\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
        "sys/fs/cgroup/memory/memory.usage_in_bytes": str(2000 * MIB),
    }
    facts = usable_memory_bytes(tree(tmp_path, files))
    assert (facts.total_bytes, facts.available_bytes, facts.source) == (256 * MIB, 116 * MIB, "cgroup v1")
    tree(tmp_path, {f"{box}/memory.limit_in_bytes": "9223372036854771712"})
    assert usable_memory_bytes(tmp_path).source == "machine"


def test_a_limit_of_max_and_use_beyond_the_limit(tmp_path):
    assert usable_memory_bytes(v2(tmp_path / "a", **{"memory.max": "max\n"})).source == "machine"
    over = v2(tmp_path / "b", **{"memory.max": str(100 * MIB), "memory.current": str(120 * MIB)})
    assert usable_memory_bytes(over).available_bytes == 0


def test_a_cgroup_path_cannot_lead_out_of_its_mount(tmp_path):
    v2(tmp_path, "../../../etc", **{"cpu.max": "200000 100000"})
    assert usable_cores(tmp_path, affinity=16) == 2
