"""Who may call the page's handlers: every one of them is guarded here, after the page is laid out.

Hiding a button is no guard, as a handler can be called by its number. So nobody needs to remember anything: what is not
said to be for all who look is for the owner alone.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any

import gradio as gr

from llm_testing.errors import UserError
from llm_testing.service.names import check_names
from llm_testing.service.roles import check, check_corpora
from llm_testing.ui.messages import as_text

FOR_ALL = ("load", "tick")
"""Events that a page brings about by being open."""
ACTS = "start"
"""What everything else needs: only an owner has it, in every place."""
CHECKS_ITSELF = "checks_itself"
"""Marks a handler that asks for its own right, as the named endpoints do."""
_SOURCES = {
    "lt-option-corpus": "corpus",
    "lt-option-val_corpus": "val_corpus",
    "lt-tune-option-model_name": "model_name",
    "lt-tune-option-dataset": "dataset",
}
"""Fields that name a text, model or dataset, by the ids of their controls."""


def guard_handlers(page: gr.Blocks) -> None:
    """Put the check of who asks in front of every handler of a page."""
    for function in page.fns.values():
        if function.fn is not None and not getattr(function.fn, CHECKS_ITSELF, False):
            function.fn = _guarded(function)


def _guarded(function: Any) -> Callable[..., Any]:
    handler = function.fn
    if inspect.isgeneratorfunction(handler) or inspect.iscoroutinefunction(handler):
        raise TypeError(f"{handler.__name__} is no plain function, and no others are guarded.")
    events = {event for _, event in function.targets}
    action = "look" if events and events <= set(FOR_ALL) else ACTS
    named = [_SOURCES.get(getattr(component, "elem_id", None)) for component in function.inputs]
    # The form's sentences open no text; whoever types a path may go on typing until Start.
    reads_sources = bool(function.queue) and any(named)

    @functools.wraps(handler)
    def guarded(guard_request: gr.Request, *values: Any) -> Any:
        try:
            check(guard_request, action)
            if reads_sources:
                contents = values[-len(named) :]  # what Gradio puts in by type comes before a handler's own inputs
                # An empty field names nothing, and no path of this machine either.
                given = {name: value for name, value in zip(named, contents, strict=True) if name and value}
                check_corpora(guard_request, given)
                check_names(guard_request, given)
        except UserError as error:
            raise gr.Error(as_text(str(error)), print_exception=False) from None
        return handler(*values)

    own = inspect.signature(handler)
    first = inspect.Parameter("guard_request", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=gr.Request)
    guarded.__signature__ = own.replace(parameters=[first, *own.parameters.values()])
    guarded.__annotations__ = {"guard_request": gr.Request, **getattr(handler, "__annotations__", {})}
    return guarded
