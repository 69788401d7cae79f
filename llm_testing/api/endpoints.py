"""The REST calls once more, as endpoints that gradio_client calls by name: same rights, same options, same answers."""

from typing import Any, Literal

from llm_testing.api.calls import ANYTHING, Asked, Call, in_path, shown_to
from llm_testing.api.live import plain
from llm_testing.api.rest import TABLE
from llm_testing.config.option import Option, options_of
from llm_testing.errors import ConfigError, Problem
from llm_testing.service.endpoints import Endpoint
from llm_testing.service.lab import Lab
from llm_testing.service.roles import check

_TYPES = {"int": int, "float": float, "bool": bool, "text": str, "texts": list[str], "object": dict}


def endpoints_of(lab: Lab) -> list[Endpoint]:
    """An endpoint for each call of the table that has a name."""
    return [_endpoint(call, lab) for call in TABLE if call.named]


def _endpoint(call: Call, lab: Lab) -> Endpoint:
    offered = call.names() if call.names else call.body.model_fields
    options = {**options_of(call.query), **{name: options_of(call.body)[name] for name in offered}}
    parameters = {name: str for name in in_path(call)} | {name: type_of(option) for name, option in options.items()}

    def run(request: Any, values: dict[str, Any]) -> Any:
        if call.needs != ANYTHING:
            check(request, call.needs)
        if call.before:
            call.before(request)
        given = {name: value for name, value in values.items() if value is not None}
        return plain(shown_to(request, call.run(_asked(call, lab, request, given)), lab))

    return Endpoint(call.named, " ".join((call.run.__doc__ or "").split()), parameters, run, call.alone)


def type_of(option: Option) -> Any:
    """The Python type of an option's values."""
    return Literal[option.choices] if option.kind == "choice" else _TYPES[option.kind]


def _asked(call: Call, lab: Lab, request: Any, given: dict[str, Any]) -> Asked:
    missing = [name for name in in_path(call) if not isinstance(given.get(name), str)]
    if missing:
        raise ConfigError([Problem(name, f"{name} must be given, as text.") for name in missing])
    query = {name: given[name] for name in call.query.model_fields if name in given}
    body = {name: tuple(v) if isinstance(v, list) else v for name, v in given.items() if name in call.body.model_fields}
    path = {name: given[name] for name in in_path(call)}
    return Asked(lab, request, path, call.query.build(query), call.body.build(body), call.kind)
