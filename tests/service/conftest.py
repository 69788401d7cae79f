import os
from pathlib import Path

import pytest

from llm_testing.service.lab import Lab


@pytest.fixture
def lab(tmp_path):
    lab = Lab(tmp_path / "runs", Path(os.environ["LLM_TESTING_CACHE"]))
    yield lab
    assert lab.shutdown(60), "a run outlived its test"
