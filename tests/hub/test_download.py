import hashlib
import socket
import time

import httpx
import pytest

from llm_testing.errors import Cancelled, DownloadError, NotEnoughDisk
from llm_testing.hub import disk, download
from llm_testing.hub.download import download_file
from llm_testing.jobs.progress import never_cancel, report_nothing
from tests.hub.stand_in import Answer, FileServer, running

BODY = bytes(range(256)) * 4096  # 1 MiB
TAG = f'"{hashlib.sha1(BODY).hexdigest()}"'


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(download, "BACKOFF_S", 0.001)
    with running(FileServer({"/a/book.txt": BODY})) as server:
        yield server


def fetch(server, to, path="/a/book.txt", report=report_nothing, check=never_cancel, **more):
    return download_file(server.url + path, to, report, check, **more)


def test_a_file_comes_whole_and_is_described(server, tmp_path):
    got = fetch(server, tmp_path / "new" / "book.txt")
    assert (tmp_path / "new" / "book.txt").read_bytes() == BODY
    assert (got.num_bytes, got.sha256) == (len(BODY), hashlib.sha256(BODY).hexdigest())
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["book.txt"]


def test_progress_ends_at_the_size_in_bytes(server, tmp_path):
    seen = []
    fetch(server, tmp_path / "book.txt", report=seen.append, name="a book")
    downloading = [progress for progress in seen if progress.phase == "downloading a book"]
    assert downloading[0].done == 0
    assert (downloading[-1].done, downloading[-1].total, downloading[-1].unit) == (len(BODY), len(BODY), "bytes")


def test_a_cut_connection_is_gone_on_with_where_it_broke(server, tmp_path):
    server.cuts["/a/book.txt"] = [300_000, 200_000]
    fetch(server, tmp_path / "book.txt", sha256=hashlib.sha256(BODY).hexdigest())
    assert (tmp_path / "book.txt").read_bytes() == BODY
    assert [asked for _, _, asked in server.log] == [None, "bytes=300000-", "bytes=500000-"]


def test_a_stop_keeps_the_part_and_the_next_call_goes_on_from_it(server, tmp_path, monkeypatch):
    monkeypatch.setattr("llm_testing.hub.pace.INTERVAL_S", 0.0)
    seen = []

    def stop():
        if seen and seen[-1].done >= 200_000:
            raise Cancelled

    with pytest.raises(Cancelled):
        fetch(server, tmp_path / "book.txt", report=seen.append, check=stop)
    assert not (tmp_path / "book.txt").exists()
    kept = (tmp_path / "book.txt.part").stat().st_size
    assert kept >= 200_000
    fetch(server, tmp_path / "book.txt")
    assert server.log[-1][2] == f"bytes={kept}-"
    assert (tmp_path / "book.txt").read_bytes() == BODY


@pytest.mark.parametrize("hang", ["headers", "body"])
def test_a_stop_is_heard_while_the_server_sends_nothing_and_hangs_up(server, tmp_path, monkeypatch, hang):
    monkeypatch.setattr(download, "TIMEOUT", httpx.Timeout(600.0))  # nothing but the stop may end it
    server.next_answers["/a/book.txt"] = [Answer(BODY, hang=hang, cut_after=300_000, headers={"ETag": TAG})]
    with pytest.raises(Cancelled):
        fetch(server, tmp_path / "book.txt", check=server.stop_once_it_hangs)
    assert server.client_hung_up.wait(20)
    fetch(server, tmp_path / "book.txt")
    assert (tmp_path / "book.txt").read_bytes() == BODY


def test_a_file_that_changed_since_the_stop_is_fetched_anew(server, tmp_path):
    server.cuts["/a/book.txt"] = [300_000] + [0] * download.ATTEMPTS
    with pytest.raises(DownloadError, match="300,000 bytes are kept"):
        fetch(server, tmp_path / "book.txt")
    server.cuts.clear()
    server.files["/a/book.txt"] = BODY[::-1]
    fetch(server, tmp_path / "book.txt")
    assert (tmp_path / "book.txt").read_bytes() == BODY[::-1]


def test_without_a_mark_of_the_file_a_cut_begins_again(server, tmp_path):
    server.send_etag = False
    server.cuts["/a/book.txt"] = [300_000]
    fetch(server, tmp_path / "book.txt")
    assert [asked for _, _, asked in server.log] == [None, None]
    assert (tmp_path / "book.txt").read_bytes() == BODY


def test_a_file_of_unknown_length_comes_too(server, tmp_path):
    server.send_length = False
    seen = []
    fetch(server, tmp_path / "book.txt", report=seen.append)
    assert (tmp_path / "book.txt").read_bytes() == BODY
    assert seen[0].total is None


def test_a_busy_server_is_asked_again(server, tmp_path):
    server.next_answers["/a/book.txt"] = [Answer(b"", 503), Answer(b"", 429)]
    fetch(server, tmp_path / "book.txt")
    assert len(server.log) == 3


def test_a_server_that_stays_busy_is_given_up(server, tmp_path):
    server.next_answers["/a/book.txt"] = [Answer(b"", 503)] * 50
    with pytest.raises(DownloadError, match="broke off again and again .the server answered 503"):
        fetch(server, tmp_path / "book.txt")
    assert len(server.log) == download.ATTEMPTS


@pytest.mark.parametrize(
    ("status", "message"),
    [(404, "There is no file at"), (403, "does not permit"), (401, "may ask for a login"), (418, "with status 418")],
)
def test_a_refusal_is_said_in_words_and_not_repeated(server, tmp_path, status, message):
    server.next_answers["/a/book.txt"] = [Answer(b"no", status)]
    with pytest.raises(DownloadError, match=message):
        fetch(server, tmp_path / "book.txt")
    assert len(server.log) == 1
    assert list(tmp_path.glob("book.txt*")) == []


def test_other_content_than_expected_is_removed(server, tmp_path):
    with pytest.raises(DownloadError, match="is not the expected file: its sha256 is"):
        fetch(server, tmp_path / "book.txt", sha256="0" * 64)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("send_length", [True, False])
def test_a_file_that_is_too_large_is_refused(server, tmp_path, send_length):
    server.send_length = send_length
    with pytest.raises(DownloadError, match="larger than the 1,000 bytes"):
        fetch(server, tmp_path / "book.txt", max_bytes=1000)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_is_too_small_is_known_before_the_first_byte(server, tmp_path, monkeypatch):
    monkeypatch.setattr(disk, "free_bytes", lambda path: 1000)
    with pytest.raises(NotEnoughDisk, match="needs about 1 MiB .* only 0 MiB are free"):
        fetch(server, tmp_path / "book.txt")


def test_a_redirect_is_followed_but_not_out_of_http(server, tmp_path):
    server.next_answers["/moved"] = [Answer(b"", 302, {"Location": "/a/book.txt"})]
    fetch(server, tmp_path / "book.txt", "/moved")
    assert (tmp_path / "book.txt").read_bytes() == BODY
    server.next_answers["/moved"] = [Answer(b"", 302, {"Location": "file:///etc/hostname"})]
    with pytest.raises(DownloadError, match="could not be reached"):
        fetch(server, tmp_path / "other.txt", "/moved")


@pytest.mark.alone
def test_being_offline_is_known_at_once(tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/book.txt"
        started_s = time.monotonic()
        with pytest.raises(DownloadError, match=r"127\.0\.0\.1 could not be reached for book\.txt"):
            download_file(url, tmp_path / "book.txt", report_nothing, never_cancel)
    assert time.monotonic() - started_s < 5


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://host/file", "book.txt", ""])
def test_only_http_and_https_are_fetched(tmp_path, url):
    with pytest.raises(DownloadError, match="Accepted are addresses that begin with http"):
        download_file(url, tmp_path / "book.txt", report_nothing, never_cancel)


@pytest.mark.parametrize("url", ["http://", "http://[::1/x", "http://a b/c", "https://host:notaport/x"])
def test_an_address_that_is_none_is_refused_in_words(tmp_path, url):
    with pytest.raises(DownloadError):
        download_file(url, tmp_path / "book.txt", report_nothing, never_cancel)
