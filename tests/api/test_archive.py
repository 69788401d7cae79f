"""All runs leave as one zip and come back; what is no such zip changes nothing, whatever its entries are called."""

import io
import json
import stat
import zipfile

import pytest

from llm_testing.api import gate
from llm_testing.service.lab import Lab
from llm_testing.store.runs import RunStore
from tests.api.served import AT, fingerprint, served, told
from tests.service.parts import TINY, resume, run

RECORD = json.dumps({"schema": 1, "kind": "pretrain", "state": "completed", "config": {}}).encode()
ID = "20260101-000000-aaaa"
ZIP = {"content-type": "application/zip"}


@pytest.fixture(scope="module")
def full(tmp_path_factory, cache_dir) -> tuple[Lab, bytes]:
    """A lab with two finished runs, and all of it as a zip."""
    lab = Lab(tmp_path_factory.mktemp("full") / "runs", cache_dir)
    for name in ("first", "../<b>second"):
        run(lab, name=name)
    with served(lab) as client:
        reply = client.get(f"{AT}/archive")
    assert reply.headers["content-disposition"] == 'attachment; filename="llm-testing-runs.zip"'
    return lab, reply.content


@pytest.fixture
def client(lab):
    with served(lab) as client:
        yield client


def packed(**entries: bytes) -> bytes:
    """A zip of these entries; `SLASH` in a name stands for a slash."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        for name, data in entries.items():
            archive.writestr(name.replace("SLASH", "/"), data)
    return whole.getvalue()


def test_runs_come_back_bit_for_bit_and_go_on_where_they_were(full, client, lab):
    source, whole = full
    ids = [row.run_id for row in source.rows()]
    reply = client.post(f"{AT}/archive", content=whole, headers=ZIP).json()
    assert sorted(reply["restored"]) == sorted(ids) and reply["skipped"] == {}
    visible = {name: data for name, data in fingerprint(source.runs_dir).items() if not name.startswith(".")}
    assert fingerprint(lab.runs_dir) == visible
    assert {row["name"] for row in client.get(f"{AT}/runs").json()} == {"first", "../<b>second"}
    resume(lab, ids[0], max_steps=TINY["max_steps"] + 2)
    assert lab.result(ids[0])["step"] == TINY["max_steps"] + 2


def test_runs_that_are_here_stay_as_they_are(full, client, lab):
    _, whole = full
    client.post(f"{AT}/archive", content=whole, headers=ZIP)
    first, second = (row.run_id for row in lab.rows())
    lab.rename(first, "mine")
    lab.trash(second)
    again = client.post(f"{AT}/archive", content=whole, headers=ZIP).json()
    assert again["restored"] == [] and set(again["skipped"]) == {first, second}
    assert lab.rows()[0].name == "mine" and "already" in again["skipped"][first]


@pytest.mark.parametrize(
    "name",
    ["../evil", "/etc/evil", f"{ID}/../evil", f"{ID}/../../evil", f"{ID}//evil", f"{ID}/a/./evil", f"{ID}\\..\\evil",
     f"{ID}/C:evil", f"{ID}/.hidden", f".trash/{ID}/run.json", "evil", f"{ID}x/run.json", f"{ID}/a/b/c/d/e/f/g",
     f"{ID}/new\nline"],
)  # fmt: skip
def test_an_entry_outside_of_a_run_refuses_the_whole_zip(client, lab, tmp_path, name):
    before = sorted(tmp_path.parent.rglob("*evil*"))
    body = packed(**{f"{ID}/run.json": RECORD, name: b"x"})
    assert "no file of a run" in told(client.post(f"{AT}/archive", content=body, headers=ZIP), 422)["detail"]
    assert lab.rows() == [] and sorted(tmp_path.parent.rglob("*evil*")) == before
    assert not lab.runs_dir.exists() or list(lab.runs_dir.iterdir()) == []


def test_a_link_in_a_zip_is_refused(client, lab):
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        archive.writestr(f"{ID}/run.json", RECORD)
        link = zipfile.ZipInfo(f"{ID}/link")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, "/etc/passwd")
    told(client.post(f"{AT}/archive", content=whole.getvalue(), headers=ZIP), 422)
    assert lab.rows() == []


@pytest.mark.parametrize("data", [b"", b"PK", b"x" * 5000, packed(), packed(**{f"{ID}/metrics.jsonl": b""})])
def test_what_is_no_zip_of_runs_is_said(client, lab, data):
    assert "Download all" in told(client.post(f"{AT}/archive", content=data, headers=ZIP), 422)["detail"]
    assert lab.rows() == []


def test_a_damaged_run_of_a_zip_is_left_out_and_the_others_come(client, lab):
    other = "20260101-000001-bbbb"
    whole = bytearray(packed(**{f"{ID}/run.json": RECORD, f"{other}/run.json": RECORD, f"{ID}/notes.txt": b"x" * 50}))
    whole[whole.index(b"x" * 50)] ^= 1  # the checksum of that entry is wrong now
    reply = client.post(f"{AT}/archive", content=bytes(whole), headers=ZIP).json()
    assert reply["restored"] == [other] and "CRC" in reply["skipped"][ID]
    broken = packed(**{"20260101-000002-cccc/run.json": b"{"})
    assert list(client.post(f"{AT}/archive", content=broken, headers=ZIP).json()["skipped"]) == ["20260101-000002-cccc"]
    assert [row.run_id for row in RunStore(lab.runs_dir).rows()] == [other]
    assert [path.name for path in lab.runs_dir.iterdir()] == [other]


def test_a_zip_that_claims_more_than_the_disk_holds_is_refused_before_it_is_unpacked(client, lab, monkeypatch):
    monkeypatch.setattr("llm_testing.hub.disk.free_bytes", lambda path: 65 * 2**20)
    body = packed(**{f"{ID}/run.json": RECORD, f"{ID}/big.bin": b"\0" * 2**21})
    assert "MiB are free" in told(client.post(f"{AT}/archive", content=body, headers=ZIP), 422)["detail"]
    assert lab.rows() == []


def test_a_file_is_capped_however_it_is_sent(client, lab, monkeypatch):
    monkeypatch.setattr(gate, "MOST_UPLOAD_BYTES", 1000)
    assert client.post(f"{AT}/archive", content=b"x" * 1001, headers=ZIP).status_code == 413
    assert client.post(f"{AT}/archive", content=(b"x" * 400 for _ in range(3)), headers=ZIP).status_code == 413
    assert not lab.runs_dir.exists() or list(lab.runs_dir.iterdir()) == []
