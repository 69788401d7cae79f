"""The routes of a lab behind the gate, as a client of any place sees them, without Gradio around them."""

import json
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.testclient import TestClient

from llm_testing.api.gate import Gate
from llm_testing.api.rest import rest_routes
from llm_testing.api.turnstile import Turnstile
from llm_testing.service.doors import TokenDoor
from llm_testing.service.lab import Lab
from tests.service.parts import TINY

PORT = 7860
AT = "/api/pretraining"
BODY = json.loads(json.dumps(TINY))
"""A run of a second, as JSON has it."""
LONG = {**BODY, "max_steps": 100_000, "learning_rate": 1e-4, "intermediate_val_freq_steps": 50_000}
"""A run that goes on until it is stopped."""


def served(lab: Lab, door: TokenDoor | None = None, host: str = f"127.0.0.1:{PORT}", **headers: str) -> TestClient:
    """A client that asks as `host`, with these headers."""
    app = Gate(Turnstile(Starlette(routes=rest_routes(lab))), door=door)
    scheme = "http" if host.rpartition(":")[2].isdigit() else "https"
    client = TestClient(app, base_url=f"{scheme}://{host}")
    client.headers.update({name.replace("_", "-"): value for name, value in headers.items()})
    return client


def fingerprint(root: Path) -> dict[str, bytes]:
    """Every file below a folder with its content: what nobody may have changed."""
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def told(reply: Any, status: int) -> dict[str, Any]:
    """A refusal's body, after a look at its status."""
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/json"
    return reply.json()
