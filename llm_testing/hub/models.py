"""What the Hub says of a model: its config.json, a few kilobytes, without its weights."""

import os
import re
from typing import Any

import httpx

from llm_testing.errors import DownloadError
from llm_testing.hub.datasets import require_hub
from llm_testing.store.strict_json import parse_json

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")
MAX_BYTES = 2**20
TIMEOUT_S = 15.0


def fetch_model_config(hub_id: str) -> dict[str, Any]:
    """The config.json of a model on the Hub.

    Raises:
        DownloadError: unreachable, no such model, gated, or not a model's config.
    """
    if not HUB_ID.fullmatch(hub_id):
        raise DownloadError(f"{hub_id!r} cannot be the name of a model on the Hub. The form is owner/name.")
    address = f"{require_hub(hub_id)}/{hub_id}/resolve/main/config.json"
    token = os.environ.get("HF_TOKEN")
    headers = {"authorization": f"Bearer {token}"} if token else {}
    try:
        with httpx.stream("GET", address, timeout=TIMEOUT_S, follow_redirects=True, headers=headers) as answer:
            content = _first_bytes(answer)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise DownloadError(f"The Hub did not answer for {hub_id} ({error or type(error).__name__}).") from error
    if answer.status_code in (401, 403):
        raise DownloadError(
            f"{hub_id} is not there, or its owner asks for consent: accept its terms on the Hub and set HF_TOKEN."
        )
    if answer.status_code == 404:
        raise DownloadError(f"There is no model {hub_id} with a config.json on the Hub. Check owner and name.")
    if answer.status_code != 200 or len(content) > MAX_BYTES:
        raise DownloadError(f"The Hub answered {answer.status_code} for {hub_id}, and no config.json.")
    try:
        return parse_json(content)
    except ValueError as error:
        raise DownloadError(f"The config.json of {hub_id} cannot be read: {error}.") from None


def _first_bytes(answer: httpx.Response) -> bytes:
    """The body, or a little more than MAX_BYTES of it."""
    content = b""
    for block in answer.iter_bytes(2**16):
        content += block
        if len(content) > MAX_BYTES:
            break
    return content
