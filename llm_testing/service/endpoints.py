"""A named endpoint as data: what Gradio's clients call by name, made from the same table as the REST calls."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Endpoint:
    """One endpoint.

    Args:
        name: clients call it as "/name".
        about: what it does, for the clients' list of endpoints.
        parameters: the type of each; all may be left out, and None means left out.
        call: does it for a request and the values by name; checks who asks, and raises a UserError.
        alone: one at a time, since it computes.
    """

    name: str
    about: str
    parameters: Mapping[str, Any]
    call: Callable[[Any, dict[str, Any]], Any]
    alone: bool = False
