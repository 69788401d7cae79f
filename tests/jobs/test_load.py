"""The load of the cores: of the container's where it has a quota, over the time between two looks."""

import pytest

from llm_testing.jobs.load import CpuLoad
from tests.jobs.test_machine import tree, v2


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.mark.parametrize("version", [1, 2])
def test_a_containers_load_is_its_own_seconds_over_its_own_cores(tmp_path, version):
    def spent(seconds):
        if version == 2:
            stat = f"usage_usec {int(seconds * 1e6)}\nuser_usec 1\n"
            return v2(tmp_path, **{"cpu.max": "200000 100000", "cpu.stat": stat})
        files = {"cpu.cfs_quota_us": "200000", "cpu.cfs_period_us": "100000", "cpuacct.usage": str(int(seconds * 1e9))}
        told = {f"sys/fs/cgroup/cpu,cpuacct/box/{name}": text for name, text in files.items()}
        return tree(tmp_path, {"proc/self/cgroup": "4:cpu,cpuacct:/box\n", **told})

    clock = Clock()
    load = CpuLoad(spent(50), cores=2, clock=clock)
    assert load.share() is None
    clock.now += 10
    spent(65)
    assert load.share() == pytest.approx(0.75)
    clock.now += 0.1
    spent(66)
    assert load.share() == pytest.approx(0.75), "two looks at once say nothing new"
    clock.now += 10
    spent(90)
    assert load.share() == 1.0, "a load is never more than all cores"


def test_without_a_quota_the_machines_load_is_shown(tmp_path):
    clock = Clock()
    load = CpuLoad(tmp_path, cores=2, clock=clock)
    clock.now += 1000.0
    assert 0.0 <= load.share() <= 1.0
