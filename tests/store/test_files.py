import hashlib
import json
import os
import resource

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_testing.errors import DamagedRun, NotEnoughDisk
from llm_testing.store import files
from llm_testing.store.strict_json import parse_json


def test_what_was_written_is_read_back(tmp_path):
    value = {"name": "größer ☃ 漢字", "loss": 1.25, "none": None, "steps": [1, 2**62], "note": "a\u2028b\x00c"}
    files.write_json(tmp_path / "run.json", value)
    assert files.read_json(tmp_path / "run.json") == value


def test_half_a_surrogate_pair_from_a_web_form_does_not_stop_the_writer(tmp_path):
    files.write_json(tmp_path / "run.json", {"name": "a\ud800b"})
    assert files.read_json(tmp_path / "run.json") == {"name": "a?b"}


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_numbers_json_has_no_word_for_are_refused(tmp_path, value):
    files.write_json(tmp_path / "run.json", {"loss": 1.0})
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(tmp_path / "run.json", {"loss": value})
    assert files.read_json(tmp_path / "run.json") == {"loss": 1.0}


def test_a_writer_that_fails_leaves_the_old_file_and_no_draft(tmp_path):
    files.write_bytes(tmp_path / "model.bin", b"old")

    def write(file):
        file.write(b"new" * 10**6)
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        files.write_with(tmp_path / "model.bin", write)
    assert (tmp_path / "model.bin").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["model.bin"]


def test_the_sum_is_of_what_the_writer_gave(tmp_path):
    written = files.write_with(tmp_path / "x", lambda file: [file.write(b"ab"), file.write(b"c" * 3 * 2**20)])
    data = b"ab" + b"c" * 3 * 2**20
    assert written == files.Written(len(data), hashlib.sha256(data).hexdigest())
    assert (tmp_path / "x").read_bytes() == data


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "it is not JSON"),
        (b'{"a": 1', "it is not JSON"),
        (b'{"a": 1}\0\0\0\0', "it is not JSON"),
        (b"\0" * 4096, "it is not JSON"),
        (b"[1]", "holds a JSON list where an object is expected"),
        (b'"text"', "holds a JSON str"),
        (b"null", "holds a JSON NoneType"),
        (b'{"a": "\xff"}', "it is not UTF-8"),
        (b"\xef\xbb\xbf{}", "it is not JSON"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (b'{"a": ' + b"9" * 5000 + b"}", "does not fit 64 bits"),
        (b'{"a": 9223372036854775808}', "does not fit 64 bits"),
        (b'{"a": 1e400}', "is not finite"),
        (b'{"a": -1e+400}', "is not finite"),
        (b'{"a": NaN}', "is not finite"),
        (b'{"a": -Infinity}', "is not finite"),
        (b'{"a": "\\ud800"}', "surrogates not allowed"),
        (b'{"\\uDFFFa": 1}', "surrogates not allowed"),
    ],
)
def test_whatever_is_wrong_with_a_json_file_it_is_damage_with_file_and_reason(tmp_path, data, reason):
    path = tmp_path / "run.json"
    path.write_bytes(data)
    with pytest.raises(DamagedRun, match="run.json") as caught:
        files.read_json(path)
    assert reason in str(caught.value)


@pytest.mark.parametrize("text", ["9223372036854775807", "0.12345678901234567890123", "1e300", '"\\ud83d\\ude00"'])
def test_the_strict_parse_lets_ordinary_values_pass(text):
    assert parse_json(f'{{"a": {text}}}'.encode()) == {"a": json.loads(text)}


def test_things_that_are_no_regular_file_are_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/etc/hostname")
    (tmp_path / "device").symlink_to("/dev/zero")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "link", "device", "folder", "nul\0byte"):
        with pytest.raises(DamagedRun):
            files.read_json(tmp_path / name)
    with pytest.raises(DamagedRun, match="is missing"):
        files.read_json(tmp_path / "absent")
    for name in ("pipe", "link", "folder"):
        with pytest.raises(DamagedRun, match="nothing is appended"):
            files.open_append(tmp_path / name)


def test_a_file_too_large_to_be_a_record_is_not_read_into_memory(tmp_path):
    with (tmp_path / "run.json").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(DamagedRun, match="larger than"):
        files.read_json(tmp_path / "run.json")


@settings(max_examples=300)
@given(st.binary(max_size=60) | st.text(alphabet='{}[]":,0123456789eE+-.naNIfity\\ud8', max_size=40).map(str.encode))
def test_no_bytes_make_the_parser_raise_anything_but_its_own_error(data):
    try:
        value = parse_json(data)
    except ValueError:
        return
    json.dumps(value, allow_nan=False, ensure_ascii=False).encode()


def test_a_full_disk_is_told_with_folder_and_bytes_and_the_old_file_stays(small_disk):
    path = small_disk / "model.bin"
    files.write_bytes(path, b"old" * 1000)
    with pytest.raises(NotEnoughDisk, match=r"[\d,]+ bytes of .* could not be written to .*small"):
        files.write_bytes(path, b"x" * 2 * 2**20)
    assert path.read_bytes() == b"old" * 1000
    assert os.listdir(small_disk) == ["model.bin"]


def test_a_writer_in_cplusplus_that_hides_the_reason_does_not_hide_it_from_the_user(small_disk):
    def write(file):
        try:
            for _ in range(40):
                file.write(b"x" * 10**5)
        except Exception:
            raise RuntimeError("inline_container.cc: unexpected pos") from None

    with pytest.raises(NotEnoughDisk, match="The disk is full"):
        files.write_with(small_disk / "state.pt", write)
    assert os.listdir(small_disk) == []


def test_a_limit_on_file_sizes_is_a_full_disk_too(tmp_path):
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, old[1]))
    try:
        with pytest.raises(NotEnoughDisk):
            files.write_bytes(tmp_path / "x", b"x" * 20_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    assert os.listdir(tmp_path) == []


def test_free_bytes_can_be_asked_of_a_folder_that_is_not_there_yet(tmp_path):
    assert files.free_bytes(tmp_path / "not" / "yet") > 0
