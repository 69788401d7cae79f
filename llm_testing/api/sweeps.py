"""Sweeps as REST calls: what one would make, starting it, and what became of it."""

from typing import Annotated, Any, Literal

from pydantic import Field

from llm_testing.api.calls import Asked, Call
from llm_testing.config.option import Options, Show
from llm_testing.errors import ConfigError, Problem
from llm_testing.service.names import check_names
from llm_testing.service.roles import check_corpora
from llm_testing.service.sweeps import Planned

AT = "/api/sweeps"
_NO_OPTIONS = ("preset", "queue", "request_id", "force")


class SweepRequest(Options):
    """Several values of up to three options, on top of what all runs share."""

    kind: Annotated[Literal["pretrain", "finetune"], Show("Kind", "Sweep")] = "pretrain"
    """What sort of run is made."""
    config: Annotated[dict[str, Any], Show("Config", "Sweep")] = Field(default_factory=dict)
    """The options that all runs share, by name."""
    options: Annotated[dict[str, list[Any]], Show("Options", "Sweep")] = Field(default_factory=dict)
    """The values of each option that the sweep goes over."""
    mode: Annotated[Literal["grid", "list"], Show("Mode", "Sweep")] = "grid"
    """grid combines every value with every other; list takes the first with the first, the second with the second."""
    tag: Annotated[str | None, Field(max_length=60), Show("Tag", "Sweep")] = None
    """The sweep's name, by which its runs are tagged; absent it is made of its options."""
    preset: Annotated[str | None, Field(max_length=40), Show("Preset", "Sweep")] = None
    """Values for what is left out; absent means the defaults."""


def preview(asked: Asked) -> dict[str, Any]:
    """What a sweep would make; every combination is checked, and nothing is made."""
    planned = _planned(asked)
    return {"num_runs": len(planned.records), "tag": f"sweep:{planned.name}", "sentences": planned.sentences()}


def start(asked: Asked) -> dict[str, Any]:
    """Queue a run for each combination, once all of them are checked; they train one after the other."""
    planned = _planned(asked)
    return {"run_ids": asked.lab.sweeps.start(planned), "tag": f"sweep:{planned.name}"}


def sweeps(asked: Asked) -> dict[str, Any]:
    """Every sweep, the newest first: its options, the states of its runs, and which is best."""
    return {"sweeps": asked.lab.sweeps.all()}


def summary(asked: Asked) -> dict[str, Any]:
    """A sweep's runs with their values and results, the best first."""
    return asked.lab.sweeps.summary(asked.path["name"])


def _planned(asked: Asked) -> Planned:
    body = asked.body
    shared = {name: value for name, value in body.config.items() if value is not None}
    if extra := [name for name in shared if name in _NO_OPTIONS]:
        raise ConfigError([Problem("config", f"config takes options of a run; {extra[0]} stands beside it.")])
    check_named = check_names if body.kind == "finetune" else check_corpora
    check_named(asked.request, shared)
    for name, values in body.options.items():
        for value in values:
            check_named(asked.request, {name: value})
    how = {"mode": body.mode, "name": body.tag, "preset": body.preset}
    return asked.lab.sweeps.plan(body.kind, _tuples(shared), body.options, **how)


def _tuples(values: dict[str, Any]) -> dict[str, Any]:
    """Options that are several texts, as a config takes them."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}


SWEEPS = (
    Call("POST", f"{AT}/preview", "start", preview, named="preview_sweep", body=SweepRequest),
    Call("POST", AT, "start", start, named="start_sweep", body=SweepRequest),
    Call("GET", AT, "look", sweeps, named="sweeps"),
    Call("GET", f"{AT}/{{name}}", "look", summary, named="sweep"),
)
