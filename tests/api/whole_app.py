"""The whole app of a place, as it is launched: Gradio, our routes, the gate and the door, behind a real socket."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import gradio as gr
import httpx
import pytest

from llm_testing.api.endpoints import endpoints_of
from llm_testing.api.gate import gate_of
from llm_testing.api.routes import routes_of
from llm_testing.service.doors import TokenDoor
from llm_testing.service.lab import Lab
from llm_testing.service.places import Place, Setting
from llm_testing.ui.assets import addresses
from llm_testing.ui.launch import open_page
from llm_testing.ui.page import build_page
from tests.ports import free_port

SPACE_HOST = "ann-lab.hf.space"
PUBLIC = {Place.SHARE: "0a1b2c.gradio.live", Place.SPACE: SPACE_HOST, Place.DEMO: SPACE_HOST}
"""By which names the places are reached that have one."""


@dataclass(frozen=True)
class WholeApp:
    """A launched app."""

    page: gr.Blocks
    door: TokenDoor
    url: str

    @property
    def host(self) -> str:
        """What a browser in this place sends as Host."""
        return PUBLIC.get(self.door.place, urlsplit(self.url).netloc)

    def client(self, **headers: str) -> httpx.Client:
        """A client that asks as a browser of the place does."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx.Client(base_url=self.url, headers={"host": self.host, **named}, timeout=60)

    def bearer(self, who: str) -> dict[str, str]:
        """The header of owner, viewer or nobody."""
        tokens = {"owner": self.door.owner_token, "viewer": self.door.viewer_token}
        return {"authorization": f"Bearer {tokens[who]}"} if who in tokens else {}

    def routes(self) -> list[tuple[str, str]]:
        """Method and path of every route that it has, ours and Gradio's own."""
        return walked(self.page.app.routes)


def walked(routes: Any) -> list[tuple[str, str]]:
    """Method and path of every route, those of included routers too."""
    found = []
    for route in routes:
        inside = getattr(route, "routes", None) or getattr(getattr(route, "original_router", None), "routes", None)
        if inside:
            found += walked(inside)
        elif getattr(route, "path", None):
            found += [(method, route.path) for method in sorted(getattr(route, "methods", None) or ["GET"])]
    return found


def door_of(place: Place, **changes: Any) -> TokenDoor:
    """The door of a place whose owner on a Space is ann."""
    hosts = (SPACE_HOST,) if place in (Place.SPACE, Place.DEMO) else ()
    return TokenDoor(Setting(place, **{"hosts": hosts, "owner_ids": frozenset({"ann"}), **changes}))


@contextmanager
def opened(lab: Lab, door: TokenDoor, checked: bool = True) -> Iterator[WholeApp]:
    """Launch the app of a lab; it is closed in the end.

    Args:
        checked: let Gradio look whether its page answers; a door that lets nobody in does not let it in either.
    """

    async def launch() -> tuple[gr.Blocks, str]:  # without a running loop Gradio makes some of its own, never closed
        page = build_page(lab, endpoints_of(lab), door.setting.signs_in)
        # Gradio, looking for a free port itself, leaves open those that it tried.
        return page, open_page(page, "127.0.0.1", free_port(), routes_of(lab, addresses()), gate_of(door))

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRADIO_ANALYTICS_ENABLED", "False")
        if not checked:
            patch.setattr("gradio.networking.url_ok", lambda url: True)
            patch.setattr("gradio.blocks.httpx.get", lambda *_, **__: httpx.Response(200))
        page, url = asyncio.run(launch())
        try:
            yield WholeApp(page, door, url.rstrip("/"))
        finally:
            page.close(verbose=False)
