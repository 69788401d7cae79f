"""Damaged files through the REST calls that read them: 422 and a sentence, never a 500."""

import pytest

from tests.api.served import AT, served, told
from tests.service.bad_zips import ID, bad_zips, good

BAD = bad_zips()


@pytest.fixture
def client(lab):
    with served(lab) as client:
        yield client


def restore(client, data):
    return client.post(f"{AT}/archive", content=data, headers={"content-type": "application/zip"})


def test_every_damaged_zip_is_refused_and_a_good_one_comes_afterwards(client, lab):
    for name, data in BAD.items():
        reply = restore(client, data)
        if reply.status_code == 200:
            answer = reply.json()
            assert answer["restored"] == [] and list(answer["skipped"]) == [ID], name
        else:
            assert len(told(reply, 422)["detail"]) > 20, name
        assert list(lab.runs_dir.iterdir()) == [], name
    assert restore(client, good()).json() == {"restored": [ID], "skipped": {}}
