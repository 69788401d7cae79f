"""The description of all REST calls in OpenAPI 3.1, read from the same table and options that serve them."""

import re
from collections.abc import Sequence
from typing import Any

from pydantic import TypeAdapter

import llm_testing
from llm_testing.api.calls import ANYTHING, Call, Nothing
from llm_testing.config.option import Options, options_of
from llm_testing.service.roles import ACTIONS

REFUSALS = {
    "400": "An id that cannot be one.",
    "401": "Nothing is known of who asks.",
    "403": "Who asks may not do that here.",
    "404": "There is no such run, checkpoint or corpus.",
    "409": "Another run is active, or the run is in another state; names both.",
    "422": "Wrong input; names every field.",
}
_SCHEMAS = "#/components/schemas/"
_IN_PATH = re.compile(r"\{(\w+)(?::\w+)?\}")


def description_of(table: Sequence[Call]) -> dict[str, Any]:
    """The OpenAPI document of a table of calls."""
    schemas: dict[str, Any] = {"Refusal": _refusal()}
    paths: dict[str, Any] = {}
    for call in table:
        address = _IN_PATH.sub(r"{\1}", call.address)
        paths.setdefault(address, {})[call.method.lower()] = _operation(call, schemas)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "LLM-Testing",
            "version": llm_testing.__version__,
            "description": "Train GPTs on one machine.",
        },
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(call: Call, schemas: dict[str, Any]) -> dict[str, Any]:
    words = " ".join((call.run.__doc__ or "").split())
    may = "Anybody may ask." if call.needs == ANYTHING else f"Who asks needs the right to {ACTIONS[call.needs]}."
    operation: dict[str, Any] = {
        "summary": words,
        "description": may,
        "operationId": f"{call.method.lower()}_{re.sub(r'[^a-z]+', '_', call.address.removeprefix('/api/'))}".strip(
            "_"
        ),
        "parameters": [*_path_parameters(call), *_query_parameters(call.query)],
        "responses": {
            "200": {"description": "Done.", "content": {call.media_type: {"schema": _answer(call, schemas)}}},
            **{status: _refused(words) for status, words in REFUSALS.items()},
        },
    }
    if call.needs != ANYTHING:
        operation["security"] = [{}, {"token": []}]
    if call.body is not Nothing:
        schemas[call.body.__name__] = body_schema(call)
        content = {"application/json": {"schema": {"$ref": _SCHEMAS + call.body.__name__}}}
        operation["requestBody"] = {"required": False, "content": content}
    return operation


def body_schema(call: Call) -> dict[str, Any]:
    """The JSON schema of a call's body, with the titles and defaults of its options."""
    schema = call.body.model_json_schema()
    names = set(call.names() if call.names else call.body.model_fields)
    schema["properties"] = {name: value for name, value in schema["properties"].items() if name in names}
    for name, option in options_of(call.body).items():
        if name in names:
            schema["properties"][name]["title"] = option.show.title
    return schema


def _path_parameters(call: Call) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _IN_PATH.findall(call.address)
    ]


def _query_parameters(query: type[Options]) -> list[dict[str, Any]]:
    schemas = query.model_json_schema().get("properties", {})
    return [
        {"name": name, "in": "query", "required": False, "description": option.help, "schema": schemas[name]}
        for name, option in options_of(query).items()
    ]


def _answer(call: Call, schemas: dict[str, Any]) -> dict[str, Any]:
    if call.media_type != "application/json":
        return {"type": "string"}
    schema = TypeAdapter(call.answer).json_schema(ref_template=_SCHEMAS + "{model}", mode="serialization")
    schemas.update(schema.pop("$defs", {}))
    return schema


def _refused(words: str) -> dict[str, Any]:
    return {"description": words, "content": {"application/json": {"schema": {"$ref": _SCHEMAS + "Refusal"}}}}


def _refusal() -> dict[str, Any]:
    text = {"type": "string"}
    problem = {"type": "object", "properties": {"field": text, "message": text}, "required": ["field", "message"]}
    known = {"detail": text, "errors": {"type": "array", "items": problem}, "run_id": text, "phase": text}
    return {"type": "object", "properties": known, "required": ["detail"]}
