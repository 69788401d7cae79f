"""Tuned models to take away: downloads in every form, the way to the Hub, and what repeats a run."""

from typing import Annotated, Any, Literal

from pydantic import Field
from starlette.responses import StreamingResponse

from llm_testing.api.calls import Asked, Call
from llm_testing.api.runs import attachment
from llm_testing.api.tuning_bodies import AdapterName
from llm_testing.config.option import Options, Show
from llm_testing.errors import ConfigError, Problem
from llm_testing.hub.push import check_repo, require_token
from llm_testing.service.adapters import is_adapter_path
from llm_testing.service.pushes import Pushed
from llm_testing.service.roles import check

AT = "/api/fine-tuning"
KIND = "finetune"
Form = Annotated[Literal["adapter", "merged", "gguf"], Show("Form", "Export")]


class ExportQuery(Options):
    """What is taken away."""

    adapter_path: AdapterName = None
    """A run, for its newest checkpoint, or a checkpoint; absent means the newest adapter of all."""
    form: Form = "adapter"
    """adapter is PEFT's folder, merged the whole model in transformers' form, gguf a file for llama.cpp."""


class PushRequest(ExportQuery):
    """What is sent to the Hub, and where."""

    repo: Annotated[str, Field(max_length=200), Show("Repository", "Export")] = ""
    """A repository of yours, as owner/name; it is made where it is not there."""
    private: Annotated[bool, Show("Private", "Export")] = True
    """Whether a new repository is seen by its owner alone."""


class FormsQuery(Options):
    """Of which adapter."""

    adapter_path: AdapterName = None
    """A run, for its newest checkpoint, or a checkpoint; absent means the newest adapter of all."""


def forms(asked: Asked) -> dict[str, Any]:
    """In which forms a tuned model can be taken away from here, and why not in the others."""
    return {"forms": asked.lab.finetuning.exports.forms(_named(asked, asked.query))}


def download(asked: Asked) -> StreamingResponse:
    """A tuned model as a zip: adapter, merged weights or GGUF, with its model card."""
    name, pieces = asked.lab.finetuning.exports.zipped(_named(asked, asked.query), asked.query.form)
    return attachment(pieces, f"{name}.zip", "application/zip")


def push(asked: Asked) -> Pushed:
    """Begin to send a tuned model to the Hub, with the token in this program's environment."""
    body, lab = asked.body, asked.lab.finetuning
    if not body.repo:
        raise ConfigError([Problem("repo", "Name the repository, as owner/name.")])
    what = _named(asked, body)
    require_token()
    check_repo(body.repo)
    lab.exports.find(what)
    return lab.pushes.start(what, body.repo, body.form, body.private)


def pushes(asked: Asked) -> dict[str, Any]:
    """What was sent to the Hub since the program started, and what became of it."""
    return {"pushes": asked.lab.finetuning.pushes.all()}


def repeat(asked: Asked) -> dict[str, Any]:
    """The command line, the YAML file and the Python lines that repeat a run."""
    run_id = asked.path["run_id"]
    config = asked.lab.details(run_id)["config"]  # with it an answer for others is rid of paths
    return {**asked.lab.finetuning.exports.repeat(run_id), "config": config}


def _named(asked: Asked, asks: ExportQuery | FormsQuery) -> str | None:
    if asks.adapter_path and is_adapter_path(asks.adapter_path):
        check(asked.request, "paths")
    return asks.adapter_path


EXPORTS = (
    Call("GET", f"{AT}/exports", "download", forms, named="finetune_exports", query=FormsQuery, kind=KIND),
    Call(
        "GET",
        f"{AT}/download",
        "download",
        download,
        query=ExportQuery,
        media_type="application/zip",
        alone=True,
        kind=KIND,
    ),
    Call("POST", f"{AT}/push", "push", push, named="finetune_push", body=PushRequest, answer=Pushed, kind=KIND),
    Call("GET", f"{AT}/pushes", "look", pushes, named="finetune_pushes", kind=KIND),
    Call("GET", f"{AT}/runs/{{run_id}}/repeat", "look", repeat, named="finetune_repeat", kind=KIND),
)
