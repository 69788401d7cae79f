"""Every REST call, and the routes that serve them."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from llm_testing.api.adapters import ADAPTERS
from llm_testing.api.backups import BACKUPS
from llm_testing.api.calls import Calls
from llm_testing.api.checkpoints import CHECKPOINTS
from llm_testing.api.estimates import ESTIMATES
from llm_testing.api.exports import EXPORTS
from llm_testing.api.finetuning import TUNING
from llm_testing.api.general import GENERAL
from llm_testing.api.history import HISTORY
from llm_testing.api.live import answer_of
from llm_testing.api.openapi import description_of
from llm_testing.api.playground import PLAYGROUND
from llm_testing.api.pretraining import COMMANDS
from llm_testing.api.reports import REPORTS
from llm_testing.api.runs import RUNS
from llm_testing.api.sweeps import SWEEPS
from llm_testing.api.texts import TEXTS
from llm_testing.api.uploads import UPLOADS
from llm_testing.service.lab import Lab

TABLE = (
    *GENERAL,
    *COMMANDS,
    *RUNS,
    *BACKUPS,
    *REPORTS,
    *HISTORY,
    *SWEEPS,
    *CHECKPOINTS,
    *PLAYGROUND,
    *TEXTS,
    *UPLOADS,
    *TUNING,
    *ADAPTERS,
    *EXPORTS,
    *ESTIMATES,
)
DESCRIBED_AT = ("/openapi.json", "/api/openapi.json")


def rest_routes(lab: Lab) -> list[Route]:
    """The routes of all calls over a lab, and their description."""
    body = answer_of(description_of(TABLE)).body

    async def describe(request: Request) -> Response:
        return Response(body, media_type="application/json")

    return [*Calls(lab, TABLE).routes(), *(Route(address, describe, methods=["GET"]) for address in DESCRIBED_AT)]
