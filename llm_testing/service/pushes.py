"""Models on their way to the Hub: started by a call, watched by others, one thread each."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from llm_testing.errors import Busy, UserError
from llm_testing.jobs.threads import start_thread

MOST_KEPT = 20


@dataclass(frozen=True)
class Pushed:
    """One model on its way: `state` is running, done or failed; url is its page once it is there."""

    repo: str
    checkpoint: str | None
    form: str
    state: str = "running"
    url: str | None = None
    error: str | None = None


class Pushes:
    """What this process sends to the Hub.

    Args:
        push: sends a checkpoint, in a form, to a repository, private or not; gives the address of its page.
    """

    def __init__(self, push: Callable[[str | None, str, str, bool], str]):
        self._push = push
        self._guard = threading.Lock()
        self._all: dict[str, Pushed] = {}

    def start(self, what: str | None, repo: str, form: str, private: bool) -> Pushed:
        """Begin to send a model.

        Raises:
            Busy: one is on its way to the same repository.
        """
        with self._guard:
            known = self._all.pop(repo, None)
            if known and known.state == "running":
                self._all[repo] = known
                raise Busy(f"A model is on its way to {repo} already. Wait until it is there.")
            pushed = self._all[repo] = Pushed(repo, what, form)
            for old in [name for name, one in self._all.items() if one.state != "running"][:-MOST_KEPT]:
                del self._all[old]
        start_thread(f"push to {repo[:40]}", lambda: self._work(what, repo, form, private))
        return pushed

    def all(self) -> list[Pushed]:
        """Everything that was sent by this process, the newest last."""
        with self._guard:
            return list(self._all.values())

    def _work(self, what: str | None, repo: str, form: str, private: bool) -> None:
        try:
            url = self._push(what, repo, form, private)
        except UserError as error:
            self._change(repo, state="failed", error=str(error))
        except Exception as error:  # noqa: BLE001 the thread's boundary: whoever watches is told what went wrong
            self._change(repo, state="failed", error=f"An error in the program: {type(error).__name__}: {error}")
        else:
            self._change(repo, state="done", url=url)

    def _change(self, repo: str, **changes: Any) -> None:
        with self._guard:
            self._all[repo] = replace(self._all[repo], **changes)
