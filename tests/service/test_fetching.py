"""Downloads beside the page: one a corpus, watched, given up, and told in words where they fail."""

import threading

import pytest

from llm_testing.errors import DownloadError, NotFound
from llm_testing.jobs.progress import Progress
from llm_testing.jobs.threads import Crew
from llm_testing.service.fetching import Fetching, check_download
from tests.service.parts import until


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
