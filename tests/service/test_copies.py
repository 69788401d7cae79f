"""What is copied from the form means the same run again."""

import argparse
import os
import shlex
import shutil
import subprocess

import pytest

from llm_testing.cli.flags import add_flags, given_values
from llm_testing.config.finetune import FinetuneConfig
from llm_testing.config.option import options_of
from llm_testing.config.pretrain import PretrainConfig
from llm_testing.config.text import read_config_file
from llm_testing.service.copies import copies
from llm_testing.service.finetune_lab import FineTuning
from llm_testing.service.lab import Lab
from tests.control_texts import EVERYTHING, raw_controls
from tests.service.parts import TINY

HOSTILE = {
    "name": "$(touch x) 'quoted' \"twice\" #no: comment",
    "sample_prompts": ("--steps", "a: b", "- c", "naïve 😀 line", "two\nlines\t'", "null", "3e-4", "{x}"),
    "corpus": "/tmp/it's here.txt",
    "val_corpus": "~/-v.txt",
    "learning_rate": 3e-4,
    "tie_embeddings": True,
    "max_steps": 7,
    "resume_from": "20261123-101500-k3f9/step-00001000",
}


CONTROLS = {
    "name": "\x1b[201~\n\x03rm -rf ~\n#'\\\u202e",
    "sample_prompts": (EVERYTHING, "\u2028", "\uffff", "\x9b1m$(x)`y`"),
}
"""What a terminal would act on while somebody pastes it: ^C ends the quoted line, ESC[201~ the paste."""


@pytest.fixture(params=[{}, HOSTILE, TINY], ids=["defaults", "hostile", "tiny"])
def config(request):
    return PretrainConfig.build(request.param)


def test_the_command_line_gives_the_same_config(config):
    words = shlex.split(copies(config)["cli"])
    assert words[:4] == ["python", "-m", "llm_testing", "pretrain"] and words[4:6] == ["--preset", "none"]
    parser = argparse.ArgumentParser()
    options = options_of(PretrainConfig)
    add_flags(parser, options.values())
    assert PretrainConfig.build(given_values(parser.parse_args(words[6:]), options)) == config


@pytest.mark.parametrize("values", [HOSTILE, CONTROLS], ids=["hostile", "controls"])
def test_a_shell_takes_the_command_line_apart_and_runs_nothing_of_it(values, tmp_path):
    if (bash := shutil.which("bash")) is None:
        pytest.skip("there is no bash here")
    config = PretrainConfig.build(values)
    line = copies(config)["cli"]
    assert raw_controls(line) == [], "pasted, it would act on the terminal"
    script = line.replace("python -m llm_testing pretrain --preset none", "printf '%s\\0'", 1)
    ran = subprocess.run([bash, "-c", script], cwd=tmp_path, capture_output=True, env={**os.environ, "LC_ALL": "C"})
    assert (ran.returncode, ran.stderr, list(tmp_path.iterdir())) == (0, b"", [])
    assert subprocess.run(["sh", "-n", "-c", line]).returncode == 0
    parser = argparse.ArgumentParser()
    options = options_of(PretrainConfig)
    add_flags(parser, options.values())
    words = ran.stdout.decode().split("\0")[:-1]
    assert PretrainConfig.build(given_values(parser.parse_args(words), options)) == config


def test_control_characters_are_spelt_out_in_every_copy(tmp_path, monkeypatch):
    config = PretrainConfig.build(CONTROLS)
    told = copies(config)
    assert [raw_controls(text) for text in told.values()] == [[], [], []]
    (tmp_path / "run.yaml").write_text(told["yaml"], encoding="utf-8")
    assert PretrainConfig.build(read_config_file(tmp_path / "run.yaml")) == config
    assert seen_in_python(told["python"], monkeypatch) == config


def test_the_yaml_file_gives_the_same_config(config, tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text(copies(config)["yaml"], encoding="utf-8")
    assert PretrainConfig.build(read_config_file(path)) == config


def test_the_python_lines_start_the_same_run(config, monkeypatch):
    assert seen_in_python(copies(config)["python"], monkeypatch) == config


def seen_in_python(lines: str, monkeypatch) -> PretrainConfig:
    seen = {}
    monkeypatch.setattr(Lab, "run_here", lambda self, values, control: seen.update(values) or "id")
    monkeypatch.setattr(Lab, "result", lambda self, run_id: {})
    exec(compile(lines, "copied", "exec"), {"print": lambda value: None})
    return PretrainConfig.build(seen)


TUNING = {
    "name": "$(touch x) it's",
    "model_name": "/tmp/a model",
    "dataset": "-rows.jsonl",
    "columns": ("instruction=the question", "output=- answer"),
    "target_modules": ("q_proj",),
    "system_prompt": "You are: 'Larkin'.\n#1",
    "use_dora": True,
    "save_adapter": False,
    "packing": False,
    "learning_rate": 3e-4,
}


@pytest.mark.parametrize("values", [{}, TUNING], ids=["defaults", "hostile"])
def test_a_fine_tuning_run_is_repeated_by_all_three(values, tmp_path, monkeypatch):
    config, options = FinetuneConfig.build(values), options_of(FinetuneConfig)
    told = copies(config)
    words = shlex.split(told["cli"])
    assert words[:6] == ["python", "-m", "llm_testing", "finetune", "--preset", "none"]
    parser = argparse.ArgumentParser()
    add_flags(parser, options.values())
    assert FinetuneConfig.build(given_values(parser.parse_args(words[6:]), options)) == config
    path = tmp_path / "run.yaml"
    path.write_text(told["yaml"], encoding="utf-8")
    assert FinetuneConfig.build(read_config_file(path)) == config
    seen = {}
    monkeypatch.setattr(FineTuning, "run_here", lambda self, values, control: seen.update(values) or "id")
    monkeypatch.setattr(Lab, "result", lambda self, run_id: {})
    exec(compile(told["python"], "copied", "exec"), {"print": lambda value: None})
    assert FinetuneConfig.build(seen) == config
