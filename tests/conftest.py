"""What every test can rely on: one thread, no settings of the user's, lower layers tested before those above."""

import gc
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# A busy machine is no failure, and what is red here is red for whoever looks.
settings.register_profile("here", derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("here")
# Before anything imports torch: two test processes with two spinning threads each slow a small machine several times.
os.environ |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "0"}
os.environ |= {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_DISABLE_TELEMETRY": "1"}
for _name in [name for name in os.environ if name.startswith(("LLM_TESTING_", "GRADIO_SERVER_"))]:
    del os.environ[_name]

ORDER = ("config", "store", "jobs", "hub", "data", "model", "train", "estimate", "service", "cli", "api", "ui")
HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The layer test first, then each layer after those it builds on, what needs a browser last."""

    def place(item: pytest.Item) -> tuple[bool, int]:
        folder = item.path.relative_to(HERE).parts[0]
        return item.get_closest_marker("browser") is not None, ORDER.index(folder) if folder in ORDER else -1

    items.sort(key=place)


def pytest_collection_finish() -> None:
    """Every run ends with a full collection of garbage: what was imported and collected is left out of them."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _no_waiting_for_the_disk() -> Iterator[None]:
    """What is written is seen by later readers of a living machine without fsync, which here only costs time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda fd: None)
        if hasattr(os, "fdatasync"):
            patch.setattr(os, "fdatasync", lambda fd: None)
        yield


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where what was prepared once is found by all tests of a session, those of the other workers too."""
    own = tmp_path_factory.getbasetemp()
    return (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "shared-cache"


@pytest.fixture(autouse=True)
def _own_cache(shared_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or fills the user's cache."""
    monkeypatch.setenv("LLM_TESTING_CACHE", str(shared_cache))


@pytest.fixture(scope="session", autouse=True)
def _one_tracer() -> Iterator[None]:
    """All labs of a session ask one process that traces: each takes seconds to start."""
    lab = sys.modules.get("llm_testing.service.lab")
    if lab is None:
        yield
        return

    class Shared(lab.Estimator):
        def close(self) -> None:
            """It is everybody's."""

    shared = Shared()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lab, "Estimator", lambda: shared)
        yield
    super(Shared, shared).close()


@pytest.fixture(scope="session", autouse=True)
def _few_renderers() -> Iterator[None]:
    """Runs on examples ask the renderers of those before them; tests of renderers themselves do not."""
    users = [sys.modules.get(f"llm_testing.data.{name}") for name in ("example_set", "chats")]
    if None in users:
        yield
        return
    from tests.renderers import Renderers  # noqa: PLC0415  it imports what tests of other layers do without

    renderers = Renderers()
    with pytest.MonkeyPatch.context() as patch:
        for module in users:
            patch.setattr(module, "TemplateProcess", renderers)
        yield
    renderers.close()
