"""Every route that is served beside the page's own."""

from collections.abc import Mapping
from pathlib import Path

from starlette.routing import Route

from llm_testing.api.files import file_routes
from llm_testing.api.live import LiveRoutes
from llm_testing.api.live_history import HistoryRoutes
from llm_testing.api.rest import rest_routes
from llm_testing.service.lab import Lab


def routes_of(lab: Lab, files: Mapping[str, Path]) -> list[Route]:
    """The REST calls and live routes of a lab, and the files that the page's browser loads, by address."""
    return [*rest_routes(lab), *LiveRoutes(lab).routes(), *HistoryRoutes(lab).routes(), *file_routes(files)]
