import json
import math
import os
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_testing.errors import DamagedRun, NotEnoughDisk
from llm_testing.store.journal import Journal, JournalReader, last_row, read_journal


@pytest.fixture
def path(tmp_path):
    return tmp_path / "metrics.jsonl"


def write_steps(path, *steps):
    with Journal(path) as journal:
        for step in steps:
            journal.append({"step": step, "train_loss": step / 8})


def steps_of(page):
    return [row["step"] for row in page.rows]


def test_rows_come_back_as_they_were_numbered_from_zero(path):
    write_steps(path, 10, 20)
    write_steps(path, 30)
    page = read_journal(path)
    assert page.rows == [{"n": n, "step": 10 * n + 10, "train_loss": (10 * n + 10) / 8} for n in range(3)]
    assert (page.next_n, page.damaged, page.rewound_to) == (2, [], None)


def test_every_line_is_json_that_any_parser_reads(path):
    with Journal(path) as journal:
        journal.append(
            {"step": 1, "text": "größer\nzwei", "loss": math.nan, "by_split": {"val": -math.inf, "x": [1.5]}}
        )
    (line,) = path.read_bytes().splitlines()
    row = json.loads(line, parse_constant=pytest.fail)
    assert row["loss"] is None
    assert row["by_split"] == {"val": None, "x": [1.5]}
    assert row["nonfinite"] == ["loss", "by_split.val"]
    assert read_journal(path).rows[0]["text"] == "größer\nzwei"


@pytest.mark.parametrize("key", ["n", "crc", "nonfinite"])
def test_a_record_cannot_claim_the_journals_own_keys(path, key):
    with Journal(path) as journal, pytest.raises(ValueError, match=key):
        journal.append({key: 1})


def test_a_missing_journal_has_no_rows(path):
    assert read_journal(path).rows == []
    assert read_journal(path, after_n=7).next_n == 7
    assert JournalReader(path).poll() == []
    assert last_row(path) is None


def test_only_what_is_newer_comes_when_asked_with_next_n(path):
    write_steps(path, *range(5))
    page = read_journal(path, after_n=2)
    assert steps_of(page) == [3, 4]
    again = read_journal(path, after_n=page.next_n)
    assert (again.rows, again.next_n) == ([], page.next_n)


@pytest.mark.parametrize("torn", [b"{", b'{"n":3,"step":3,"crc":"00', b"\0" * 70_000, b"x" * 200_000])
def test_a_torn_last_line_is_no_damage_and_the_writer_drops_it(path, torn):
    write_steps(path, 0, 1, 2)
    good = path.read_bytes()
    path.write_bytes(good + torn)
    assert (steps_of(read_journal(path)), read_journal(path).damaged) == ([0, 1, 2], [])
    assert last_row(path)["step"] == 2
    write_steps(path, 3)
    assert path.read_bytes().startswith(good)
    assert [row["n"] for row in read_journal(path).rows] == [0, 1, 2, 3]
    assert path.with_name("metrics.jsonl.torn").read_bytes() == torn + b"\n"


def test_a_cut_anywhere_loses_at_most_the_line_it_hits(path):
    write_steps(path, 0, 1, 2)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert steps_of(read_journal(path)) == list(range(whole[:length].count(b"\n")))
        write_steps(path, 99)
        page = read_journal(path)
        assert (steps_of(page)[-1], page.damaged) == (99, [])


def test_a_flipped_bit_in_the_middle_costs_that_line_and_is_reported(path):
    write_steps(path, *range(4))
    whole = path.read_bytes()
    second = whole.index(b"\n") + 1
    for at in range(second, whole.index(b"\n", second)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        page = read_journal(path)
        assert steps_of(page) == [0, 2, 3], whole[at : at + 1]
        assert page.damaged[0] == "Line 2 of metrics.jsonl is damaged and was skipped."


def test_numbers_never_repeat_behind_damaged_lines(path):
    write_steps(path, 0, 1)
    with path.open("ab") as file:
        file.write(b"garbage\nmore garbage\n")
    write_steps(path, 2)
    assert [row["n"] for row in read_journal(path).rows] == [0, 1, 4]


def test_thousands_of_damaged_lines_are_counted_not_listed(path):
    path.write_bytes(b"garbage\n" * 5000)
    damaged = read_journal(path).damaged
    assert len(damaged) == 21
    assert damaged[-1].startswith("4980 more lines")


def test_a_rewind_hides_the_rows_that_training_took_back(path):
    with Journal(path) as journal:
        journal.append({"event": "note without a step"})
        for step in (1, 2, 3, 4):
            journal.append({"step": step, "life": 1})
        journal.rewind(2)
        for step in (3, 4):
            journal.append({"step": step, "life": 2})
    page = read_journal(path)
    assert [(row["step"], row["life"]) for row in page.rows[1:]] == [(1, 1), (2, 1), (3, 2), (4, 2)]
    assert page.rows[0]["event"] == "note without a step"
    assert page.rewound_to == 2


def test_whoever_kept_rows_from_before_a_rewind_is_told(path):
    write_steps(path, 1, 2, 3)
    kept = read_journal(path)
    with Journal(path) as journal:
        journal.rewind(1)
        journal.append({"step": 2})
        journal.rewind(0)
        journal.append({"step": 1})
    page = read_journal(path, after_n=kept.next_n)
    assert (steps_of(page), page.rewound_to) == ([1], 0)


def test_the_last_row_is_the_last_visible_one(path):
    write_steps(path, *range(2000))
    assert last_row(path)["step"] == 1999
    with Journal(path) as journal:
        journal.rewind(3)
    assert last_row(path)["step"] == 3
    with Journal(path) as journal:
        journal.rewind(-1)
    assert last_row(path) is None


def test_a_follower_gets_each_record_once_and_only_whole_ones(path):
    reader = JournalReader(path)
    assert reader.poll() == []
    with Journal(path) as journal:
        journal.append({"step": 1})
        assert [row["step"] for row in reader.poll()] == [1]
        assert reader.poll() == []
        with path.open("ab") as file:
            file.write(b'{"n":1,"st')
        assert reader.poll() == []
        journal.append({"step": 2})
        journal.rewind(1)
        records = reader.poll()
    assert [record["n"] for record in records] == [1, 2]
    assert records[1]["event"] == "rewind"
    assert not reader.damage


def test_a_follower_starts_again_when_the_file_was_replaced(path):
    write_steps(path, 1, 2, 3)
    reader = JournalReader(path)
    reader.poll()
    path.unlink()
    write_steps(path, 7)
    assert [row["step"] for row in reader.poll()] == [7]


def test_threads_that_share_a_journal_lose_and_mix_nothing(path):
    with Journal(path) as journal:
        threads = [
            threading.Thread(target=lambda who=who: [journal.append({"who": who, "i": i}) for i in range(100)])
            for who in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    rows = read_journal(path).rows
    assert [row["n"] for row in rows] == list(range(400))
    for who in range(4):
        assert [row["i"] for row in rows if row["who"] == who] == list(range(100))


def test_records_are_durable_at_the_latest_with_the_first_append_a_second_later(path, monkeypatch):
    synced, now = [], [0.0]
    monkeypatch.setattr("llm_testing.store.files.sync_data", lambda fd, path: synced.append(os.fstat(fd).st_size))
    journal = Journal(path, clock=lambda: now[0])
    journal.append({"step": 1})
    now[0] = 0.9
    journal.append({"step": 2})
    assert synced == []
    now[0] = 1.0
    journal.append({"step": 3})
    assert synced == [path.stat().st_size]
    journal.append({"step": 4})
    journal.sync()
    journal.close()
    journal.close()
    assert synced[1:] == [path.stat().st_size]


def test_a_full_disk_leaves_no_stump_and_the_same_journal_goes_on_when_there_is_room(small_disk):
    path = small_disk / "metrics.jsonl"
    filler = small_disk / "filler"
    with Journal(path) as journal:
        filler.write_bytes(b"x" * (2**20 - 40_000))
        committed = 0
        with pytest.raises(NotEnoughDisk, match="The disk is full"):
            while True:
                journal.append({"step": committed, "pad": "x" * 700})
                committed += 1
        assert committed > 10
        size = path.stat().st_size
        assert path.read_bytes().endswith(b"\n")
        with pytest.raises(NotEnoughDisk):
            journal.append({"step": committed, "pad": "x" * 5000})
        assert path.stat().st_size == size
        filler.unlink()
        journal.append({"step": committed})
    page = read_journal(path)
    assert steps_of(page) == list(range(committed + 1))
    assert (page.damaged, page.next_n) == ([], committed)


def test_a_pipe_or_link_in_place_of_a_journal_is_reported_and_never_hangs(tmp_path):
    os.mkfifo(tmp_path / "pipe.jsonl")
    (tmp_path / "link.jsonl").symlink_to("/etc/passwd")
    for name in ("pipe.jsonl", "link.jsonl"):
        assert read_journal(tmp_path / name).damaged
        assert JournalReader(tmp_path / name).poll() == []
        assert last_row(tmp_path / name) is None
        with pytest.raises(DamagedRun):
            Journal(tmp_path / name)


def test_a_line_of_many_megabytes_costs_neither_memory_nor_the_other_rows(path):
    write_steps(path, 1)
    with path.open("r+b") as file:
        file.seek(0, os.SEEK_END)
        file.truncate(file.tell() + 40 * 2**20)
        file.seek(0, os.SEEK_END)
        file.write(b"\n")
    write_steps(path, 2)
    assert steps_of(read_journal(path)) == [1, 2]
    assert last_row(path)["step"] == 2
    reader = JournalReader(path)
    assert [row["step"] for _ in range(5) for row in reader.poll()] == [1, 2]


@settings(max_examples=80)
@given(data=st.data())
def test_no_content_makes_a_reader_raise(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("journal") / "m.jsonl"
    write_steps(path, 1, 2, 3)
    good = path.read_bytes()
    at = data.draw(st.integers(0, len(good)))
    until = data.draw(st.integers(at, len(good)))
    path.write_bytes(good[:at] + data.draw(st.binary(max_size=80)) + good[until:])
    page = read_journal(path)
    assert {row["step"] for row in page.rows} <= {1, 2, 3}
    JournalReader(path).poll()
    last_row(path)
    write_steps(path, 4)
    assert read_journal(path).rows[-1]["step"] == 4


def test_valid_sums_on_senseless_records_do_not_raise_either(path):
    with Journal(path) as journal:
        journal.append({"step": "seven", "to_step": []})
        journal.append({"event": "rewind", "to_step": "x"})
        journal.append({"event": "rewind", "to_step": True})
        journal.append({"event": ["rewind"], "step": None})
        journal.rewind(0)
    assert len(read_journal(path).rows) == 4
    assert last_row(path)["n"] == 3
