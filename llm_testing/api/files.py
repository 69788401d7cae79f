"""The page's own scripts, styles and plotly.min.js, read once and served with a tag; nothing comes from afar."""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

KINDS = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


def file_routes(files: Mapping[str, Path]) -> list[Route]:
    """A route for each address; only these files, whatever else lies beside them."""
    return [_route(address, path) for address, path in files.items()]


def _route(address: str, path: Path) -> Route:
    body = path.read_bytes()
    tag = f'"{sha256(body).hexdigest()[:16]}"'
    # A browser asks again after an upgrade of the program, and gets an empty 304 while nothing has changed.
    headers = {"etag": tag, "cache-control": "no-cache"}

    async def send(request: Request) -> Response:
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(body, headers=headers, media_type=KINDS[path.suffix])

    return Route(address, send, methods=["GET"])
