"""Every option is a flag: it exists, takes its own default, and refuses in its own words."""

import argparse
import subprocess
import sys

import pytest

from llm_testing.cli.flags import given_values, problem_lines
from llm_testing.cli.main import build_parser, main
from llm_testing.cli.training import chosen
from llm_testing.config.option import Option, options_of
from llm_testing.config.pretrain import PretrainConfig
from llm_testing.errors import ConfigError
from tests.cli.conftest import ROOT

OPTIONS = options_of(PretrainConfig)
EVERY = pytest.mark.parametrize("option", OPTIONS.values(), ids=OPTIONS)


def parsed(*args: str, command: str = "pretrain") -> argparse.Namespace:
    return build_parser().parse_args([command, *args])


@EVERY
def test_a_flag_takes_its_options_default(option: Option):
    default = option.default
    if option.kind == "bool":
        args = [option.flag if default else f"--no-{option.flag[2:]}"]
    elif option.kind == "texts":
        args = [f"{option.flag}={text}" for text in default]
    else:
        args = [f"{option.flag}={'' if default is None else default}"]
    values = given_values(parsed(*args), OPTIONS)
    assert values == {option.name: default}
    assert PretrainConfig.build(values) == PretrainConfig()


@EVERY
def test_a_value_out_of_range_is_refused_in_the_options_own_words(option: Option):
    if option.kind == "bool":
        with pytest.raises(SystemExit) as end:
            parsed(f"{option.flag}=maybe")
        assert end.value.code == 2
        return
    wrong = {"texts": ["x"] * 9, "choice": ["nonsense"], "text": ["x" * 5000], "float": ["-1e9"], "int": ["-5"]}
    args = [part for text in wrong[option.kind] for part in (option.flag, text)]
    with pytest.raises(ConfigError) as caught:
        PretrainConfig.build(given_values(parsed("--config-name", "custom", *args), OPTIONS))
    (line,) = problem_lines(caught.value, OPTIONS)
    assert line.startswith(f"{option.flag}: {option.show.title} takes {option.accepts()}")


@pytest.mark.parametrize("option", [o for o in OPTIONS.values() if o.kind in ("int", "float")], ids=lambda o: o.name)
@pytest.mark.parametrize("text", ["nan", "-inf", "many", "1,5"])
def test_what_is_no_number_is_refused(option: Option, text: str):
    with pytest.raises(ConfigError) as caught:
        PretrainConfig.build(given_values(parsed("--config-name", "custom", option.flag, text), OPTIONS))
    (line,) = problem_lines(caught.value, OPTIONS)
    assert line.startswith(f"{option.flag}: {option.show.title} takes")


@EVERY
def test_resume_offers_what_may_change_and_nothing_else(option: Option):
    flags = {flag for action in _parser_of("resume")._actions for flag in action.option_strings}
    assert (option.flag in flags) == (option.show.resume == "change")


@EVERY
def test_help_names_the_option_its_default_and_its_range(option: Option):
    (action,) = [action for action in _parser_of("pretrain")._actions if option.flag in action.option_strings]
    assert action.help.startswith(option.help) and "default" in action.help


def _parser_of(command: str) -> argparse.ArgumentParser:
    (commands,) = [a for a in build_parser()._actions if isinstance(a, argparse._SubParsersAction)]
    return commands.choices[command]


def test_what_was_not_given_is_not_a_value():
    assert given_values(parsed(), OPTIONS) == {}


def test_flags_win_over_the_file_which_wins_over_the_preset(tmp_path):
    file = tmp_path / "run.yaml"
    file.write_text("learning_rate: 3e-4\nbatch-size: 2\npreset: fast\n", encoding="utf-8")
    values, preset = chosen(parsed("--config", str(file), "--batch-size", "6"))
    assert (values, preset) == ({"learning_rate": 3e-4, "batch_size": 6}, "fast")
    assert chosen(parsed("--config", str(file), "--preset", "none"))[1] == "none"
    assert chosen(parsed()) == ({}, "recommended")


@pytest.mark.parametrize(
    ("args", "line"),
    [
        (["pretrain", "--corpsu", "tiny"], "There is no option --corpsu. Did you mean --corpus?"),
        (["pretrain", "--corp", "tiny"], "There is no option --corp. Did you mean --corpus?"),
        (["runs", "list", "--jsn"], "There is no option --jsn. Did you mean --json?"),
        (["pretrain", "tiny"], "There is nothing that 'tiny' could mean here. --help lists what there is."),
    ],
)
def test_an_unknown_flag_is_named_with_the_nearest_one(args, line, capsys):
    assert main(args) == 2
    assert capsys.readouterr() == ("", line + "\n")


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ([], "the following arguments are required: COMMAND"),
        (["train"], "invalid choice: 'train'"),
        (["generate", "x"], "the following arguments are required: --prompt"),
        (["generate", "x", "--prompt", "a", "--top-p", "2"], "--top-p: takes a number from 1e-06 to 1; received '2'"),
        (["generate", "x", "--prompt", "a", "--temperature", "-1"], "--temperature: takes a number from 0 to 100"),
        (["generate", "x", "--prompt", "a", "--temperature", "nan"], "--temperature: takes a number from 0 to 100"),
    ],
)
def test_wrong_use_is_one_line_and_status_2(args, says, capsys):
    assert main(args) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and says in err


def test_help_needs_no_torch():
    code = (
        "import sys\nfrom llm_testing.cli.main import main\nstatus = main(['pretrain', '--help'])\n"
        "heavy = {'torch', 'gradio', 'transformers', 'datasets', 'plotly'} & sys.modules.keys()\n"
        "sys.exit(f'imported {heavy}' if heavy else status)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert all(option.flag in done.stdout for option in OPTIONS.values())


@pytest.mark.parametrize("own", [{}, {"OMP_WAIT_POLICY": "active", "GOMP_SPINCOUNT": "7"}])
def test_the_entry_point_lets_threads_sleep_unless_the_user_says_otherwise(own, monkeypatch):
    code = (
        "import os, runpy, sys\nimport llm_testing.cli.main as m\n"
        "m.main = lambda argv: sys.stdout.write(os.environ['OMP_WAIT_POLICY'] + os.environ['GOMP_SPINCOUNT']) and 0\n"
        "runpy.run_module('llm_testing', run_name='__main__')"
    )
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"):
        monkeypatch.delenv(name, raising=False)
    for name, value in own.items():
        monkeypatch.setenv(name, value)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == ("active7" if own else "passive0"), done.stderr
