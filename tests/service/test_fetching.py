"""Downloads beside the page: one a corpus, watched, given up, and told in words where they fail."""

import threading

import httpx
import pytest

from llm_testing.errors import DownloadError, NotFound
from llm_testing.hub import download
from llm_testing.jobs.progress import Progress
from llm_testing.jobs.threads import Crew
from llm_testing.service.fetching import Fetching, check_download
from tests.hub.stand_in import Answer, FileServer, running
from tests.service.parts import TINY, until

SOON_S = 20


class Slow:
    """A download that goes on until it is let go."""

    def __init__(self):
        self.go, self.calls = threading.Event(), []

    def __call__(self, name, report, check):
        self.calls.append(name)
        report(Progress(f"downloading {name}", 5, 10, "bytes"))
        while not self.go.wait(0.01):
            check()
        if name == "broken":
            raise DownloadError("The host cannot be reached. At hand are python-docs and tiny.")
        if name == "bug":
            raise ZeroDivisionError


def state(fetching, name):
    return next(one for one in fetching.all() if one.name == name)


def test_a_download_is_watched_and_done_and_asking_twice_begins_one():
    slow = Slow()
    fetching = Fetching(slow, Crew())
    fetching.start("verdict")
    until(lambda: state(fetching, "verdict").done == 5)
    assert fetching.start("verdict").state == "running" and slow.calls == ["verdict"]
    shown = state(fetching, "verdict")
    assert (shown.phase, shown.total, shown.unit) == ("downloading verdict", 10, "bytes")
    slow.go.set()
    until(lambda: state(fetching, "verdict").state == "done")


def test_a_download_that_is_given_up_is_cancelled_and_can_begin_again():
    slow = Slow()
    fetching = Fetching(slow, Crew())
    fetching.start("verdict")
    fetching.cancel("verdict")
    until(lambda: state(fetching, "verdict").state == "cancelled")
    slow.go.set()
    fetching.start("verdict")
    until(lambda: state(fetching, "verdict").state == "done")
    fetching.cancel("never asked for")


@pytest.mark.parametrize(("name", "said"), [("broken", "The host cannot be reached"), ("bug", "ZeroDivisionError")])
def test_what_fails_says_why(name, said):
    slow = Slow()
    slow.go.set()
    fetching = Fetching(slow, Crew())
    fetching.start(name)
    until(lambda: state(fetching, name).state == "failed")
    failed = state(fetching, name)
    assert said in failed.error
    assert (failed.details is not None and "raise ZeroDivisionError" in failed.details) == (name == "bug")


def test_what_goes_on_is_given_up_when_the_app_ends_and_nothing_begins_after():
    crew, slow = Crew(), Slow()
    fetching = Fetching(slow, crew)
    fetching.start("verdict")
    assert crew.close(30)
    assert state(fetching, "verdict").state == "cancelled"
    fetching.start("fortunes")
    assert state(fetching, "fortunes").state == "cancelled" and slow.calls == ["verdict"]


def test_what_is_no_download_is_refused_with_what_there_is():
    with pytest.raises(NotFound, match="There is no corpus 'nothing' to download. There are python-docs"):
        check_download("nothing")
    check_download("verdict")
    check_download("https://example.org/a.txt")


def test_cancel_stop_and_discard_are_heard_while_a_server_sends_nothing(lab, monkeypatch):
    monkeypatch.setattr(download, "TIMEOUT", httpx.Timeout(600.0))  # nothing but the command may end it
    with running(FileServer()) as server:
        for number, end in enumerate(("cancel", "save", "discard", "shutdown")):
            server.hangs.clear()
            server.client_hung_up.clear()
            path = f"/{number}.txt"
            server.next_answers[path] = [Answer(b"x" * 999, hang="body", cut_after=99)]
            name = server.url + path
            if end == "cancel":
                lab.fetching.start(name)
            else:
                lab.start({**TINY, "corpus": name})
            assert server.hangs.wait(SOON_S)
            if end == "cancel":
                lab.fetching.cancel(name)
                until(lambda name=name: state(lab.fetching, name).state == "cancelled")
            elif end == "shutdown":
                assert lab.shutdown(SOON_S)
            else:
                lab.stop(end)
            assert server.client_hung_up.wait(SOON_S), end
            until(lambda: lab.live() is None)
    assert lab.last().state == "interrupted"
    assert not any("could not" in warning for warning in lab.last().warnings)
