"""Damaged zips are refused in words, whatever is wrong with them, and leave nothing behind."""

import pytest

from llm_testing.errors import DataError
from llm_testing.service import archive
from llm_testing.service.archive import Archive
from llm_testing.store.runs import RunStore
from tests.damage import MANY, at_most_bytes, damaged, outcomes
from tests.service.bad_zips import DEFLATED, ID, STORED, bad_zips, good

BAD = bad_zips()


@pytest.fixture
def take(tmp_path):
    """Brings a zip in; the runs folder is looked at afterwards, and is empty again."""
    store, file = RunStore(tmp_path / "runs"), tmp_path / "a.zip"
    store.root.mkdir()

    def restore(data: bytes) -> archive.Restored:
        file.write_bytes(data)
        try:
            return Archive(store).restore(file)
        finally:
            assert not list(store.root.glob(".[!t]*")), "a draft was left"
            for row in store.rows():
                store.trash(row.run_id)
            store.empty_trash()

    return restore


@pytest.mark.parametrize("name", BAD)
def test_a_damaged_zip_is_refused_and_leaves_nothing(take, name, tmp_path):
    with at_most_bytes(150 * 2**20):
        try:
            given = take(BAD[name])
        except DataError as error:
            message = str(error)
        else:
            assert given.restored == [] and list(given.skipped) == [ID]
            message = given.skipped[ID]
    assert 20 < len(message) < 400 and message.endswith("."), message
    assert [path.name for path in (tmp_path / "runs").iterdir() if path.name != ".trash"] == []


@pytest.mark.parametrize("count", MANY)
@pytest.mark.parametrize("whole", [DEFLATED, STORED, good(zip64=True)], ids=["deflated", "stored", "zip64"])
def test_no_damage_to_a_zip_raises_anything_else(take, whole, count):
    assert take(whole).restored == [ID]

    def take_whole(data: bytes) -> None:
        for reason in take(data).skipped.values():
            raise DataError(reason)

    read_well, refused = outcomes(take_whole, damaged(whole, count), DataError)
    assert read_well and refused > count // 2


def test_as_many_files_as_allowed_are_taken_and_not_one_more(take, monkeypatch):
    monkeypatch.setattr(archive, "MOST_ENTRIES", 2)
    assert take(good()).restored == [ID]
    monkeypatch.setattr(archive, "MOST_ENTRIES", 1)
    with pytest.raises(DataError, match="holds more than 1 files"):
        take(good())
