"""The README says what is so: its tables are generated, its commands exist, its header fits the pins."""

import re
import shlex

import pytest
import yaml

from llm_testing.cli.main import build_parser, main
from llm_testing.cli.tables import rewrite
from llm_testing.config.finetune import FinetuneConfig
from llm_testing.config.option import options_of
from llm_testing.config.presets import PRESETS
from llm_testing.config.presets_finetune import FINETUNE_PRESETS
from llm_testing.config.pretrain import PretrainConfig
from llm_testing.errors import NotFound
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


def test_make_docs_changes_nothing_more(tmp_path, capsys):
    copy = tmp_path / "README.md"
    copy.write_text(README, encoding="utf-8")
    assert main(["options", "--into", str(copy)]) == 0
    assert "up to date" in capsys.readouterr().out
    assert copy.read_text(encoding="utf-8") == README


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
