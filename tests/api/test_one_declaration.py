"""Every option is declared once: form, flags, REST, named endpoints, saved config and README say the same of it."""

import asyncio
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from gradio import Blocks

from llm_testing.api.endpoints import endpoints_of, type_of
from llm_testing.api.openapi import description_of
from llm_testing.api.rest import TABLE
from llm_testing.cli.main import build_parser
from llm_testing.config.finetune import FinetuneConfig
from llm_testing.config.option import Options, options_of
from llm_testing.config.pretrain import PretrainConfig
from llm_testing.jobs.control import Control
from llm_testing.service.lab import Lab
from llm_testing.ui.page import build_page
from tests.api.tuning_parts import body_at
from tests.cli.conftest import ROOT
from tests.service.parts import run


@dataclass(frozen=True)
class Where:
    """Where the options of a kind of run are told."""

    config: type[Options]
    command: str
    body: str
    endpoint: str
    field: str
    marker: str


KINDS = (
    Where(PretrainConfig, "pretrain", "StartRequest", "start", "lt-option-", "options"),
    Where(FinetuneConfig, "finetune", "TuneStartRequest", "finetune_start", "lt-tune-option-", "finetune-options"),
)


@pytest.fixture(scope="module")
def lab(tmp_path_factory, cache_dir) -> Lab:
    return Lab(tmp_path_factory.mktemp("declared") / "runs", cache_dir)


@pytest.fixture(scope="module")
def page(lab) -> Blocks:
    async def build() -> Blocks:  # without a running loop Gradio makes some of its own and never closes them
        return build_page(lab, endpoints_of(lab))

    return asyncio.run(build())


def flags_of(command: str) -> dict[str, str]:
    """Help by flag, as the command line prints it."""
    (commands,) = [action for action in build_parser()._actions if action.choices and command in action.choices]
    parser = commands.choices[command]
    return {flag: action.help or "" for action in parser._actions for flag in action.option_strings}


def saved_config(lab: Lab, root: Path, command: str) -> dict:
    if command == "pretrain":
        return lab.details(run(lab))["config"]
    run_id = lab.finetuning.run_here(body_at(root, max_steps=1), control=Control())
    return lab.details(run_id)["config"]


@pytest.mark.parametrize("where", KINDS, ids=lambda where: where.command)
def test_form_flags_rest_names_config_and_readme_have_the_same_options(lab, page, tmp_path, where):
    options = options_of(where.config)
    form = {
        component.elem_id.removeprefix(where.field): component
        for component in page.blocks.values()
        if str(getattr(component, "elem_id", "")).removeprefix(where.field) in options
        and str(component.elem_id).startswith(where.field)
    }
    flags = flags_of(where.command)
    start = description_of(TABLE)["components"]["schemas"][where.body]["properties"]
    (endpoint,) = [endpoint for endpoint in endpoints_of(lab) if endpoint.name == where.endpoint]
    saved = saved_config(lab, tmp_path, where.command)
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    begin, end = f"<!-- {where.marker}:begin -->", f"<!-- {where.marker}:end -->"
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*) \|$", readme.partition(begin)[2].partition(end)[0], re.MULTILINE))

    how = {"preset", "queue", "request_id", "force"}
    assert set(form) == set(saved) == set(rows) == set(options)
    assert set(start) == set(endpoint.parameters) == set(options) | how
    for name, option in options.items():
        unit = f" ({option.show.unit})" if option.show.unit else ""
        assert form[name].label == option.show.title + unit and form[name].info == option.help, name
        assert option.flag in flags and option.help.rstrip(".").split(";")[0] in flags[option.flag].replace("%%", "%")
        assert start[name]["title"] == option.show.title and start[name]["description"] == option.help, name
        kinds = str(start[name])
        for word in option.choices:
            assert repr(word) in kinds, name
        for bound in (option.minimum, option.maximum):
            assert bound is None or str(bound) in kinds or str(int(bound)) in kinds, name
        assert endpoint.parameters[name] == type_of(option)
        assert option.help in rows[name] and all(word in rows[name] for word in option.choices), name
