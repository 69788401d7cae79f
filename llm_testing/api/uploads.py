"""Files from somebody's own computer, as calls: a text or examples are sent, listed and removed."""

from typing import Annotated, Any, TypeVar

from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from llm_testing.api.calls import Asked, Call
from llm_testing.config.option import Options, Show
from llm_testing.data import rows, textfiles
from llm_testing.data.uploads import Uploaded
from llm_testing.errors import ConfigError, DataError, Problem
from llm_testing.service.incoming import Incoming
from llm_testing.service.roles import may, most_uploaded

AT = "/api/uploads"
T = TypeVar("T")


class UploadQuery(Options):
    """Which file."""

    name: Annotated[str, Field(min_length=1, max_length=4096), Show("Name", "Data")] = "text.txt"
    """What it is called where it comes from, with its ending; for one that is here, upload:NAME."""


async def send(asked: Asked) -> Uploaded | Response:
    """Bring a text or a file of examples, which is the body; its name is what a corpus or dataset is called by."""
    try:
        incoming = asked.lab.uploads.receive(asked.query.name)
        return await received(asked.request, incoming, most_uploaded(asked.request))
    except DataError as error:
        raise ConfigError([Problem("name", str(error))]) from None


def listed(asked: Asked) -> dict[str, Any]:
    """The files that were brought here; whether you may bring more, how large, and of which kinds."""
    return {
        "uploads": asked.lab.uploads.all(),
        "may_upload": may(asked.request, "upload"),
        "most_bytes": most_uploaded(asked.request),
        "texts": (*textfiles.SUFFIXES, ".gz"),
        "examples": rows.SUFFIXES,
    }


def remove(asked: Asked) -> Uploaded:
    """Delete a file that was brought here; what learned from it stays."""
    return asked.lab.uploads.remove(asked.query.name)


async def received(request: Request, incoming: Incoming[T], most_bytes: int | None = None) -> T | Response:
    """What a file that is a request's body gives once it has come, or the refusal of one that has not.

    Args:
        most_bytes: of the file; None leaves it to the gate.
    """
    taken = 0
    with incoming:
        try:
            async for block in request.stream():
                taken += len(block)
                if most_bytes is not None and taken > most_bytes:
                    return Response(f"A file may hold {most_bytes:,} bytes at most here.", 413)
                await run_in_threadpool(incoming.write, block)
        except ClientDisconnect:
            return Response("The file did not come whole, or is too large.", 413)
        return await run_in_threadpool(incoming.whole)


UPLOADS = (
    Call("GET", AT, "start", listed, named="uploads"),
    Call("POST", AT, "upload", send, query=UploadQuery, answer=Uploaded, streams=True),
    Call("DELETE", AT, "upload", remove, query=UploadQuery, answer=Uploaded, named="delete_upload"),
)
