"""Opening the page on this machine, with Gradio's own extras off."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from llm_testing.store.places import default_cache_dir
from llm_testing.ui.assets import page_head
from llm_testing.ui.theme import theme

ADDRESS = "127.0.0.1"
OWN_SWITCHES = ("GRADIO_MCP_SERVER", "GRADIO_SSR_MODE", "GRADIO_VIBE_MODE", "GRADIO_NUM_WORKERS", "GRADIO_SHARE",
                "GRADIO_SERVER_NAME", "GRADIO_ROOT_PATH", "GRADIO_ALLOWED_PATHS")  # fmt: skip
"""Variables by which Gradio would open more than this page offers."""


def arguments(root: Path) -> argparse.Namespace:
    """What `python app.py` was asked for; folders are the project's own unless said otherwise."""
    parser = argparse.ArgumentParser("app.py", description="Train GPTs on this machine, from a web page.")
    parser.add_argument("--port", type=int, help="default 7860, or the next one that is free")
    parser.add_argument("--runs-dir", type=Path, default=root / "runs", help="where runs are kept (default: runs)")
    # The command line's folder, so that what one of the two downloaded is at hand for the other.
    cache_dir = default_cache_dir(os.environ, sys.platform, Path.home())
    parser.add_argument(
        "--cache-dir", type=Path, default=cache_dir, help=f"where downloads and tokens are kept (default: {cache_dir})"
    )
    parser.add_argument("--server-name", help="not offered yet: the page answers on 127.0.0.1 only")
    parser.add_argument("--share", action="store_true", help="not offered yet: a public link")
    return parser.parse_args()


def open_page(page: gr.Blocks, port: int | None, routes: Sequence[Any], lifespan: Callable[..., Any]) -> str:
    """Start serving a page in the background.

    Args:
        port: None takes 7860, or the next one that is free.
        routes: what is served beside the page, in front of Gradio's own routes.
        lifespan: puts the request gate in front of everything; see api.gate.

    Returns:
        The address to open.

    Raises:
        OSError: where the port is taken.
    """
    for name in OWN_SWITCHES:
        os.environ.pop(name, None)
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    page.queue(max_size=64, api_open=False)
    _, url, _ = page.launch(
        server_name=ADDRESS,
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
    return url
