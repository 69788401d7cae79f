"""The endpoints that Gradio's clients call by name, put on the page."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import gradio as gr

from llm_testing.errors import UserError
from llm_testing.service.endpoints import Endpoint
from llm_testing.ui.guard import CHECKS_ITSELF

COMPUTING = "compute"


def add_endpoints(endpoints: Sequence[Endpoint]) -> None:
    """Put endpoints on the page that is being laid out."""
    for endpoint in endpoints:
        gr.api(
            _function(endpoint),
            api_name=endpoint.name,
            api_description=endpoint.about,
            concurrency_limit=1 if endpoint.alone else None,
            concurrency_id=COMPUTING if endpoint.alone else None,
        )


def _function(endpoint: Endpoint) -> Callable[..., Any]:
    """A function with a parameter for each of the endpoint's, as Gradio reads signatures."""
    names = list(endpoint.parameters)

    def call(request: gr.Request, *values: Any) -> Any:
        try:
            return endpoint.call(request, dict(zip(names, values, strict=True)))
        except UserError as error:
            raise gr.Error(str(error), print_exception=False) from None

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    types: dict[str, Any] = {name: given | None for name, given in endpoint.parameters.items()}
    parameters = [inspect.Parameter(name, kind, default=None, annotation=types[name]) for name in names]
    first = inspect.Parameter("request", kind, annotation=gr.Request)
    call.__name__, call.__doc__ = endpoint.name, endpoint.about
    call.__signature__ = inspect.Signature([first, *parameters], return_annotation=Any)
    call.__annotations__ = {"request": gr.Request, **types, "return": Any}
    setattr(call, CHECKS_ITSELF, True)
    return call
