"""The routes of a lab behind the gate, as a client of any place sees them, without Gradio around them."""

from pathlib import Path

from starlette.applications import Starlette
from starlette.testclient import TestClient

from llm_testing.api.gate import Gate
from llm_testing.api.rest import rest_routes
from llm_testing.service.doors import TokenDoor
from llm_testing.service.lab import Lab
from llm_testing.service.places import Place, Setting

PORT = 7860
LOCAL = Setting(Place.LOCAL)
AT = "/api/pretraining"


def served(lab: Lab, door: TokenDoor | None = None, host: str = f"127.0.0.1:{PORT}", **headers: str) -> TestClient:
    """A client that asks as `host`, with these headers."""
    app = Gate(Starlette(routes=rest_routes(lab)), door=door)
    scheme = "https" if ":" not in host else "http"
    client = TestClient(app, base_url=f"{scheme}://{host}", raise_server_exceptions=True)
    client.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    return client


def new_lab(root: Path, cache: Path) -> Lab:
    """A lab over empty folders."""
    return Lab(root / "runs", cache)
