"""Damaged files on the command line: one line that names the file, and a status that is not 0."""

import pytest

from tests.service.bad_zips import ID, bad_zips

BAD = bad_zips()


@pytest.fixture(scope="module")
def runs_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("damaged") / "runs"


@pytest.mark.parametrize("name", BAD)
def test_a_damaged_zip_is_one_line(say, runs_dir, tmp_path, name):
    file = tmp_path / "given.zip"
    file.write_bytes(BAD[name])
    said = say("runs", "import", file, "--runs-dir", runs_dir)
    words = said.out + said.err
    assert said.status in (1, 2) and words.count("\n") == 1 and "Traceback" not in words, words
    assert "given.zip" in words or ID in words, words
    assert not runs_dir.exists() or [path.name for path in runs_dir.iterdir()] == []
