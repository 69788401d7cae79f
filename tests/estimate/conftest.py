import pytest

from llm_testing.estimate.estimator import Estimator
from llm_testing.estimate.worker import Worker


@pytest.fixture(scope="session")
def worker():
    """One process that traces, for all tests of a session."""
    with Worker() as worker:
        yield worker


@pytest.fixture(scope="session")
def estimator(worker):
    return Estimator(worker)
