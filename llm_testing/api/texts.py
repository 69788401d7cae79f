"""Corpora to disk, as calls: a download is started, watched and given up."""

from typing import Annotated, Any

from pydantic import Field

from llm_testing.api.calls import Asked, Call
from llm_testing.config.option import Options, Show
from llm_testing.errors import ConfigError, NotFound, Problem
from llm_testing.service.fetching import Fetched, check_download
from llm_testing.service.roles import check_corpora

AT = "/api/corpora"


class FetchRequest(Options):
    """Which corpus to bring to disk."""

    name: Annotated[str, Field(max_length=4096), Show("Corpus", "Data")] = ""
    """A download by name, an address, or hf:owner/name."""


def fetch(asked: Asked) -> Fetched:
    """Begin to download a corpus; one that is on its way goes on."""
    name = asked.body.name
    if not name:
        raise ConfigError([Problem("name", "Name the corpus that should be downloaded.")])
    check_corpora(asked.request, {"corpus": name})
    try:
        check_download(name)
    except NotFound as error:
        raise ConfigError([Problem("name", str(error))]) from None
    return asked.lab.fetching.start(name)


def cancel(asked: Asked) -> dict[str, Any]:
    """Give a download up; what has come is kept."""
    asked.lab.fetching.cancel(asked.body.name)
    return {"success": True}


def watch(asked: Asked) -> dict[str, Any]:
    """The downloads since the program started, and how far they are."""
    return {"downloads": asked.lab.fetching.all()}


TEXTS = (
    Call("POST", f"{AT}/download", "start", fetch, body=FetchRequest, answer=Fetched),
    Call("POST", f"{AT}/download/cancel", "start", cancel, body=FetchRequest),
    Call("GET", f"{AT}/downloads", "look", watch),
)
