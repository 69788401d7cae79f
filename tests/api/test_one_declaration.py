"""Every option is declared once: form, flags, REST, named endpoints, saved config and README say the same of it."""

import asyncio
import re

import pytest
from gradio import Blocks

from llm_testing.api.endpoints import endpoints_of, type_of
from llm_testing.api.openapi import description_of
from llm_testing.api.rest import TABLE
from llm_testing.cli.main import build_parser
from llm_testing.config.option import options_of
from llm_testing.config.pretrain import PretrainConfig
from llm_testing.service.lab import Lab
from llm_testing.ui.page import build_page
from tests.cli.conftest import ROOT
from tests.service.parts import run

OPTIONS = options_of(PretrainConfig)


@pytest.fixture(scope="module")
def lab(tmp_path_factory, cache_dir) -> Lab:
    return Lab(tmp_path_factory.mktemp("declared") / "runs", cache_dir)


def flags_of_pretrain() -> dict[str, str]:
    """Help by flag, as the command line prints it."""
    (commands,) = [action for action in build_parser()._actions if action.choices and "pretrain" in action.choices]
    parser = commands.choices["pretrain"]
    return {flag: action.help or "" for action in parser._actions for flag in action.option_strings}


def test_form_flags_rest_names_config_and_readme_have_the_same_options(lab):
    async def build() -> Blocks:  # without a running loop Gradio makes some of its own and never closes them
        return build_page(lab, endpoints_of(lab))

    page = asyncio.run(build())
    form = {
        component.elem_id.removeprefix("lt-option-"): component
        for component in page.blocks.values()
        if str(getattr(component, "elem_id", "")).startswith("lt-option-")
    }
    flags = flags_of_pretrain()
    start = description_of(TABLE)["components"]["schemas"]["StartRequest"]["properties"]
    (endpoint,) = [endpoint for endpoint in endpoints_of(lab) if endpoint.name == "start"]
    saved = lab.details(run(lab))["config"]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = dict(
        re.findall(
            r"^\| `(\w+)` \| (.*) \|$",
            readme.partition("<!-- options:begin -->")[2].partition("<!-- options:end -->")[0],
            re.MULTILINE,
        )
    )

    how = {"preset", "queue", "request_id", "force"}
    assert set(form) == set(saved) == set(rows) == set(OPTIONS)
    assert set(start) == set(endpoint.parameters) == set(OPTIONS) | how
    for name, option in OPTIONS.items():
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
