"""The README says what is so: its tables are generated, its commands exist, its header fits the pins."""

import re
import shlex

import pytest
import yaml

from llm_testing.api.body import BODY_WITHIN_S
from llm_testing.cli.main import build_parser, main
from llm_testing.cli.tables import rewrite
from llm_testing.config.finetune import FinetuneConfig
from llm_testing.config.option import options_of
from llm_testing.config.presets import PRESETS
from llm_testing.config.presets_finetune import FINETUNE_PRESETS
from llm_testing.config.pretrain import PretrainConfig
from llm_testing.errors import NotFound
from llm_testing.service.budgets import ABOUT, BUDGETS, LOGINS_A_MINUTE
from llm_testing.service.roles import Role
from llm_testing.ui.connections import HEADERS_WITHIN_S, MOST_HEADER_BYTES, MOST_SILENT, READS_WITHIN_S
from tests.cli.conftest import ROOT
from tests.cli.test_training import KEYS

README = (ROOT / "README.md").read_text(encoding="utf-8")
PINS = (ROOT / "requirements.txt").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^python -m llm_testing (.+)$", README, re.MULTILINE)


def between(name: str) -> str:
    (found,) = re.findall(rf"<!-- {name}:begin -->\n(.*?)<!-- {name}:end -->", README, re.DOTALL)
    return found


def test_the_option_tables_are_what_the_command_prints(capsys):
    assert main(["options", "--markdown"]) == 0
    assert between("options") == capsys.readouterr().out, "run `make docs`"
    assert main(["options", "--finetune", "--markdown"]) == 0
    assert between("finetune-options") == capsys.readouterr().out, "run `make docs`"


def test_every_option_and_preset_stands_in_the_tables():
    for name, option in options_of(PretrainConfig).items():
        (row,) = re.findall(rf"^\| `{name}` \|.*$", between("options"), re.MULTILINE)
        assert option.help in row
    for name, option in options_of(FinetuneConfig).items():
        (row,) = re.findall(rf"^\| `{name}` \|.*$", between("finetune-options"), re.MULTILINE)
        assert option.help in row
    for presets, table in ((PRESETS, "presets"), (FINETUNE_PRESETS, "finetune-presets")):
        for name, preset in presets.items():
            assert f"| {preset.title} | `{name}` | {preset.about} |" in between(table)


@pytest.mark.parametrize("name", ["README.md", "SECURITY.md"])
def test_make_docs_changes_nothing_more(tmp_path, capsys, name):
    copy, text = tmp_path / name, (ROOT / name).read_text(encoding="utf-8")
    copy.write_text(text, encoding="utf-8")
    assert main(["options", "--into", str(copy)]) == 0
    assert "up to date" in capsys.readouterr().out, "run `make docs`"
    assert copy.read_text(encoding="utf-8") == text


def test_the_limits_that_security_promises_are_those_of_the_code():
    said = " ".join(_security().split())
    assert f"within {HEADERS_WITHIN_S:.0f} s and in {MOST_HEADER_BYTES // 1024} KiB" in said
    assert f"late for more than {BODY_WITHIN_S:.0f} s" in said and f"for {READS_WITHIN_S:.0f} s is let go" in said
    assert f"more than {MOST_SILENT:,} connections" in said and f"{LOGINS_A_MINUTE} wrong links a minute" in said
    budgets, (table,) = BUDGETS, re.findall(r"budgets:begin -->\n(.*?)<!--", _security(), re.DOTALL)
    for role in (Role.OWNER, Role.VIEWER):
        for kind, share in budgets[role].shares.items():
            (row,) = [line for line in table.splitlines() if line.startswith(f"| {ABOUT[kind]} |")]
            assert f" {share.together}" in row, (role, kind)


def _security() -> str:
    return (ROOT / "SECURITY.md").read_text(encoding="utf-8")


def test_a_file_without_markers_is_left_alone(tmp_path):
    file = tmp_path / "x.md"
    file.write_text("nothing\n", encoding="utf-8")
    with pytest.raises(NotFound, match="has no lines <!-- options:begin -->"):
        rewrite(file, {"options": "table\n"})
    assert file.read_text(encoding="utf-8") == "nothing\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_in_the_readme_is_understood(command: str):
    args, unknown = build_parser().parse_known_args(shlex.split(command))
    assert unknown == [] and callable(args.command)


def test_there_is_an_example_of_every_command():
    assert {command.split()[0] for command in COMMANDS} == {
        "pretrain", "finetune", "resume", "sweep", "estimate", "fit", "generate", "export", "push", "repeat",
        "models", "runs", "corpora", "options"
    }  # fmt: skip


def test_the_keys_of_the_json_contract_stand_in_the_readme():
    assert ", ".join(KEYS) in " ".join(README.split())


def test_the_space_header_fits_the_pins():
    _, header, _ = README.split("---\n", 2)
    said = yaml.safe_load(header)
    assert said["sdk"] == "gradio" and (ROOT / said["app_file"]).exists()
    assert f"\ngradio=={said['sdk_version']} " in PINS
    assert said["python_version"] == "3.11"


def test_every_requirement_is_pinned_and_has_a_reason():
    lines = [line for line in PINS.splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9_-]+==[0-9.]+ +# .+", line) for line in lines)
