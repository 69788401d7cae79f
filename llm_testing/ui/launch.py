"""Opening the page where it was asked for, with Gradio's own extras off, and saying how to come in."""

import argparse
import os
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import gradio as gr
import psutil

from llm_testing.service.doors import TokenDoor
from llm_testing.service.places import Place, notices, runs_dir_of, setting_of, why_refused
from llm_testing.store.places import default_cache_dir
from llm_testing.ui.assets import page_head
from llm_testing.ui.connections import limit_connections
from llm_testing.ui.joins import limit_joins
from llm_testing.ui.share import LASTS, NoLink, close_tunnels, open_tunnel
from llm_testing.ui.theme import theme

__all__ = ["arguments", "close_tunnels", "open_page", "way_in"]

EVERYWHERE = ("0.0.0.0", "::")
OWN_SWITCHES = ("GRADIO_MCP_SERVER", "GRADIO_SSR_MODE", "GRADIO_VIBE_MODE", "GRADIO_NUM_WORKERS", "GRADIO_SHARE",
                "GRADIO_SERVER_NAME", "GRADIO_ROOT_PATH", "GRADIO_ALLOWED_PATHS")  # fmt: skip
"""Variables by which Gradio would open more than this page offers."""


def arguments(root: Path) -> argparse.Namespace:
    """What `python app.py` was asked for, and as `door` who may come in; folders are the project's own by default.

    Where the rules of a place could not be kept, the process ends here with the reason.
    """
    parser = argparse.ArgumentParser("app.py", description="Train GPTs on this machine, from a web page.")
    parser.add_argument("--port", type=int, help="default 7860, or the next one that is free")
    # On a Space they are kept in its storage, if it has any.
    runs_dir = runs_dir_of(os.environ, root / "runs")
    parser.add_argument("--runs-dir", type=Path, default=runs_dir, help="where runs are kept (default: runs)")
    # The command line's folder, so that what one of the two downloaded is at hand for the other.
    cache_dir = default_cache_dir(os.environ, sys.platform, Path.home())
    parser.add_argument(
        "--cache-dir", type=Path, default=cache_dir, help=f"where downloads and tokens are kept (default: {cache_dir})"
    )
    parser.add_argument(
        "--server-name", help="listen on this address too, such as 0.0.0.0 for the whole network; prints two links"
    )
    parser.add_argument(
        "--share", action="store_true", help="ask for a public address for a week at most; prints two links"
    )
    parser.add_argument("--require-token", action="store_true", help="ask for the owner's link on this machine too")
    given = parser.parse_args()
    given.door = _door(given, os.environ)
    if reason := why_refused(given.door.setting, os.environ):
        parser.exit(2, reason + "\n")
    return given


def _door(given: argparse.Namespace, environ: Mapping[str, str]) -> TokenDoor:
    setting = setting_of(
        environ,
        share=given.share,
        server_name=given.server_name,
        require_token=given.require_token,
        machine_names=[socket.gethostname()],
    )
    return TokenDoor(replace(setting, notices=notices(setting, environ, given.runs_dir)))


def open_page(
    page: gr.Blocks, address: str, port: int | None, routes: Sequence[Any], lifespan: Callable[..., Any]
) -> str:
    """Start serving a page in the background.

    Args:
        address: to listen on.
        port: None takes 7860, or the next one that is free.
        routes: what is served beside the page, in front of Gradio's own routes.
        lifespan: puts the request gate in front of everything; see api.gate.

    Returns:
        The address to open on this machine.

    Raises:
        SystemExit: where the address is not this machine's or the port is taken; says so.
    """
    for name in OWN_SWITCHES:
        os.environ.pop(name, None)
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    page.queue(api_open=False)
    limit_joins(page._queue)
    try:
        _, url, _ = _launched(page, address, port, routes, lifespan)
    except OSError as error:
        sys.exit(f"The page could not be opened at {address}: {error} Give another --port or --server-name.")
    limit_connections(page.server)
    return url


def _launched(page: gr.Blocks, address: str, port: int | None, routes: Sequence[Any], lifespan: Any) -> Any:
    return page.launch(
        server_name=address,
        server_port=port,
        app_kwargs={"routes": list(routes), "lifespan": lifespan},
        share=False,
        ssr_mode=False,
        run_history=False,
        enable_monitoring=False,
        mcp_server=False,
        prevent_thread_lock=True,
        quiet=True,
        inbrowser=False,
        footer_links=[],
        max_file_size="1mb",
        state_session_capacity=200,
        theme=theme(),
        head=page_head(),
    )


def way_in(door: TokenDoor, url: str) -> str:
    """What to open, by whom, and what to know about the place; a share link is asked for here.

    Args:
        url: of the page on this machine.
    """
    return "".join([_way_in(door, url), *(f"{notice}\n" for notice in door.setting.notices)])


def _way_in(door: TokenDoor, url: str) -> str:
    place, port = door.place, urlsplit(url).port or 80
    if place == Place.SHARE:
        try:
            shared = open_tunnel(port, door.viewer_token)
        except NoLink as error:
            here = door.links(url)["owner"]
            return f"There is no share link: {error}. The page stays on this machine: {here}\n"
        return _links(door, [shared, url]) + LASTS + "\n"
    if place == Place.LAN:
        return _links(door, _addresses(door.setting.server_name, port))
    if door.setting.has_tokens:
        return _links(door, [url])
    return f"LLM-Testing is at {url} (Ctrl-C ends it)\n"


def _links(door: TokenDoor, urls: Sequence[str]) -> str:
    about = {"owner": "The owner's link, for you alone", "viewer": "The viewer's link, to look and nothing else"}
    said = ["LLM-Testing is open (Ctrl-C ends it)."]
    for who, words in about.items():
        said += [f"{words}:", *(f"  {door.links(url)[who]}" for url in urls)]
    return "\n".join(said) + "\n"


def _addresses(server_name: str, port: int) -> list[str]:
    """The page's addresses in the network."""
    if server_name not in EVERYWHERE:
        return [f"http://{f'[{server_name}]' if ':' in server_name else server_name}:{port}"]
    every = [address for addresses in psutil.net_if_addrs().values() for address in addresses]
    found = [a.address for a in every if a.family == socket.AF_INET and not a.address.startswith("127.")]
    return [f"http://{address}:{port}" for address in found or ["127.0.0.1"]]
