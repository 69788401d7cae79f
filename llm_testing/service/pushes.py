"""Models on their way to the Hub: started by a call, watched by others."""

from collections.abc import Callable
from dataclasses import dataclass

from llm_testing.errors import Busy
from llm_testing.jobs.errands import Errand, Errands
from llm_testing.jobs.progress import Check
from llm_testing.jobs.threads import Crew


@dataclass(frozen=True)
class Pushed(Errand):
    """One model on its way; url is its page once it is there."""

    repo: str
    checkpoint: str | None
    form: str
    url: str | None = None


class Pushes:
    """What this process sends to the Hub.

    Args:
        push: sends a checkpoint, in a form, to a repository, private or not; gives the address of its page.
        crew: in whose threads it does so.
    """

    def __init__(self, push: Callable[[str | None, str, str, bool, Check], str], crew: Crew):
        self._push = push
        self._errands: Errands[Pushed] = Errands(crew)

    def start(self, what: str | None, repo: str, form: str, private: bool) -> Pushed:
        """Begin to send a model.

        Raises:
            Busy: one is on its way to the same repository.
        """
        pushed, began = self._errands.start(
            repo, Pushed(repo, what, form), lambda report, check: {"url": self._push(what, repo, form, private, check)}
        )
        if not began:
            raise Busy(f"A model is on its way to {repo} already. Wait until it is there.")
        return pushed

    def all(self) -> list[Pushed]:
        """Everything that was sent by this process, the newest last."""
        return self._errands.all()
