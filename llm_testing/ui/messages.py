"""How a handler tells the user what happened: a sentence of ours, and never markup of theirs."""

import functools
from collections.abc import Callable
from html import escape
from typing import Any

import gradio as gr

from llm_testing.errors import UserError

_ERROR_S = 15
_NOTE_S = 5


def tells_user(handler: Callable[..., Any]) -> Callable[..., Any]:
    """Show a user's error as a message with its whole sentence; the page stays as it was."""

    @functools.wraps(handler)
    def telling(*values: Any) -> Any:
        try:
            return handler(*values)
        except UserError as error:
            raise gr.Error(as_text(str(error)), duration=_ERROR_S, print_exception=False) from None

    return telling


def note(text: str) -> None:
    """Say in passing that something was done."""
    gr.Info(as_text(text), duration=_NOTE_S)


def as_text(text: str) -> str:
    """Text for a message box, which would read markup: a run's name is a name, whatever it holds."""
    return escape(text).replace("\n", "<br>")
