"""Coming in by a token link, and what is closed to those who may only look, before Gradio sees a request.

The owner's and the viewer's link carry a token once. It becomes a cookie that scripts cannot read, and the address that
stays in the browser holds none.
"""

from typing import Any
from urllib.parse import parse_qs

from starlette.responses import HTMLResponse, PlainTextResponse, Response

from llm_testing.service.budgets import client_of
from llm_testing.service.doors import ENTRY, TokenDoor
from llm_testing.service.places import Place
from llm_testing.service.roles import Role

OPENED = """<!doctype html><meta charset="utf-8"><title>LLM-Testing</title>
<p><a href="/">Open the page</a></p><script>location.replace("/")</script>
"""
UNKNOWN = "Open the link that the program printed when it started; scripts send its token as a bearer header."
GRADIO = "/gradio_api/"
VIEWER_READS = ("queue/data", "queue/status", "info", "openapi.json", "startup-events", "app_id", "theme.css",
                "login_check", "user", "heartbeat/")  # fmt: skip
"""Of Gradio's own routes what its page needs to be shown; none of them gives a file."""
VIEWER_POSTS = ("/gradio_api/queue/join", "/gradio_api/run/predict", "/gradio_api/reset")
"""The two ways to a handler, which checks the role itself, and the page's own tidying."""
OURS = "/api/"
"""Our own calls check the role themselves."""


def entering(door: TokenDoor, scope: Any, secure: bool) -> Response | None:
    """The answer to a request that goes no further, or None for one that does."""
    place, method, path = door.place, scope["method"], scope["path"]
    if door.setting.has_tokens:
        if path == ENTRY:
            return _enter(door, scope, secure) if method == "GET" else PlainTextResponse("A link is opened.", 405)
        role = door.role_of(scope)
        if role == Role.NOBODY:
            return PlainTextResponse(UNKNOWN, 401, {"www-authenticate": "Bearer", "cache-control": "no-store"})
        limited = role == Role.VIEWER
    else:
        # Who a Space's visitor is becomes known behind Gradio's session, so these limits hold for all of them.
        limited = place != Place.LOCAL
    if limited and not viewer_may(method, path):
        return PlainTextResponse("The owner's page alone may ask this.", 403)
    return None


def viewer_may(method: str, path: str) -> bool:
    """Whether a request is one that a page needs which is only looked at."""
    if path.startswith(OURS):
        return True
    if method not in ("GET", "HEAD"):
        return path in VIEWER_POSTS
    if path.startswith(GRADIO):
        rest = path.removeprefix(GRADIO)
        return any(rest == name or name.endswith("/") and rest.startswith(name) for name in VIEWER_READS)
    return not path.startswith(("/monitoring", "/proxy", "/file"))


def _enter(door: TokenDoor, scope: Any, secure: bool) -> Response:
    token = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token", [""])[0]
    if door.role_of_token(token) == Role.NOBODY:
        # Only a wrong token is ever told to wait, so nobody can lock the owner out by trying.
        if wait_s := door.logins.wrong(client_of(scope, door.place)):
            return PlainTextResponse(f"Too many wrong links. Wait {wait_s} s.", 429, {"retry-after": str(wait_s)})
        return PlainTextResponse("This link is not valid any more. " + UNKNOWN, 403, {"cache-control": "no-store"})
    # A page, not a redirect: after one that began on another site the browser would hold a strict cookie back.
    answer = HTMLResponse(OPENED, headers={"cache-control": "no-store"})
    answer.set_cookie(door.cookie_name(scope), token, httponly=True, samesite="strict", secure=secure, path="/")
    return answer
