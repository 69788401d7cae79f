"""What leaves: an HTML page that escapes everything, and event files that a reader of their own takes apart."""

import io
import json
import re
import struct
import zipfile

import pytest

from llm_testing.errors import NotFound
from llm_testing.service.lab import Lab
from llm_testing.service.tensorboard import SCALARS, crc32c, masked_crc
from tests.service.parts import run

HOSTILE = "<img src=x onerror=alert(1)></script><!--\u202e"


@pytest.fixture(scope="module")
def lab(tmp_path_factory) -> Lab:
    lab = Lab(tmp_path_factory.mktemp("reports") / "runs", tmp_path_factory.mktemp("cache"))
    run(lab, name=HOSTILE, sample_prompts=(HOSTILE,))
    run(lab, name="second", seed=2)
    return lab


@pytest.fixture
def hostile(lab) -> str:
    """The run whose name and samples are hostile: by its name, as ids of one second stand in no order."""
    return next(row.run_id for row in lab.rows() if row.name != "second")


def test_a_page_holds_everything_asks_nobody_and_lets_no_text_out_of_its_place(lab, hostile):
    first, second = hostile, next(row.run_id for row in lab.rows() if row.name == "second")
    page = b"".join(lab.reports.page([first, second])).decode()
    ours = re.sub(r"<script>.*?</script>", "", page, flags=re.S, count=1)  # plotly's own
    assert "<img" not in ours and "<!--" not in ours and "\u202e" not in ours
    assert page.count("</script>") == 2, "plotly's and ours"
    assert not re.search(r"(?:src|href)=[\"']?(?:https?:)?//", ours)
    assert "--seed=2" in page and ">seed<" in ours and "Comparison of 2 runs" in ours
    data = json.loads(re.search(r"const REPORT = (\{.*?\});\n", ours, re.S)[1])
    assert [entry["columns"]["step"][-1] for entry in data["runs"]] == [6, 6]
    single = b"".join(lab.reports.page([first])).decode()
    assert "What differs" not in single and "Samples" in single
    with pytest.raises(NotFound):
        lab.reports.page(["20260101-000000-aaaa"])


def test_a_page_for_others_says_no_path(lab, tmp_path):
    own = tmp_path / "my-notes.txt"
    own.write_text("Some text of mine that is long enough to train on. " * 40)
    run_id = run(lab, corpus=str(own))
    try:
        assert str(tmp_path).encode() in b"".join(lab.reports.page([run_id]))
        hidden = b"".join(lab.reports.page([run_id], hide_paths=True))
        assert str(tmp_path).encode() not in hidden and b"my-notes.txt" in hidden
    finally:
        lab.trash(run_id)


def test_the_check_sum_is_that_of_the_standard():
    assert crc32c(b"123456789") == 0xE3069283  # RFC 3720's check value, as every CRC catalogue has it
    assert crc32c(bytes(32)) == 0x8A9136AA  # RFC 3720, appendix B.4


def test_event_files_hold_every_point_and_text(lab, hostile):
    with zipfile.ZipFile(io.BytesIO(b"".join(lab.reports.tensorboard([hostile])))) as archive:
        (name,) = archive.namelist()
        assert name.startswith(f"{hostile}/events.out.tfevents.")
        events = list(records(archive.read(name)))
    scalars, texts = {}, []
    for event in events[1:]:
        step = event.get(2, [0])[0]
        for value in fields(event[5][0]).get(1, []):
            parts = fields(value)
            if 2 in parts:
                scalars[parts[1][0].decode(), step] = parts[2][0]
            else:
                texts.append((parts[1][0].decode(), step, fields(parts[8][0])[8][0].decode()))
    assert fields_of_version(events[0]) == b"brain.Event:2"
    expected = {
        (tag, row["step"]): row[column]
        for row in lab.points(hostile).rows
        for tag, column in SCALARS.items()
        if row.get(column) is not None
    }
    assert scalars.keys() == expected.keys()
    assert all(scalars[key] == pytest.approx(value, rel=1e-6) for key, value in expected.items())
    assert texts[0][0] == "settings"
    assert any(tag == "samples" and HOSTILE.replace("\u202e", "\\u202e") in text for tag, _, text in texts)


def test_tensorboard_itself_reads_them(lab, hostile, tmp_path):
    loader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator", reason="no tensorboard here")
    (tmp_path / "events.out.tfevents.0.x").write_bytes(b"".join(lab.reports.events(hostile)))
    seen = loader.EventAccumulator(str(tmp_path), size_guidance={"scalars": 0, "tensors": 0})
    seen.Reload()
    losses = {row["step"]: row["train_loss"] for row in lab.points(hostile).rows}
    assert {event.step: pytest.approx(event.value) for event in seen.Scalars("loss/train")} == losses
    assert "samples" in seen.Tags()["tensors"]


def records(data: bytes):
    """Every event of a file, its check sums looked at."""
    while data:
        head, (length,) = data[:8], struct.unpack("<Q", data[:8])
        assert struct.unpack("<I", data[8:12])[0] == masked_crc(head)
        event, (crc,) = data[12 : 12 + length], struct.unpack("<I", data[12 + length : 16 + length])
        assert crc == masked_crc(event)
        yield fields(event)
        data = data[16 + length :]


def fields(data: bytes) -> dict[int, list]:
    """A protocol buffer's fields by number, read after the format's own description."""
    found, at = {}, 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at, value, shift = at + 1, value | (byte & 0x7F) << shift, shift + 7
            if byte < 0x80:
                return value

    while at < len(data):
        key = varint()
        if key & 7 == 0:
            value = varint()
        elif key & 7 == 2:
            length = varint()
            value, at = data[at : at + length], at + length
        else:
            form, width = ("<d", 8) if key & 7 == 1 else ("<f", 4)
            value, at = struct.unpack(form, data[at : at + width])[0], at + width
        found.setdefault(key >> 3, []).append(value)
    return found


def fields_of_version(event: dict[int, list]) -> bytes:
    return event[3][0]
