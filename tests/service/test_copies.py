"""What is copied from the form means the same run again."""

import argparse
import shlex

import pytest

from llm_testing.cli.flags import add_flags, given_values
from llm_testing.config.finetune import FinetuneConfig
from llm_testing.config.option import options_of
from llm_testing.config.pretrain import PretrainConfig
from llm_testing.config.text import read_config_file
from llm_testing.service.copies import copies
from llm_testing.service.finetune_lab import FineTuning
from llm_testing.service.lab import Lab
from tests.service.parts import TINY

HOSTILE = {
    "name": "$(touch x) 'quoted' \"twice\" #no: comment",
    "sample_prompts": ("--steps", "a: b", "- c", "naïve\u2028line", "null", "3e-4", "{x}"),
    "corpus": "/tmp/it's here.txt",
    "val_corpus": "~/-v.txt",
    "learning_rate": 3e-4,
    "tie_embeddings": True,
    "max_steps": 7,
    "resume_from": "20261123-101500-k3f9/step-00001000",
}


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


def test_the_yaml_file_gives_the_same_config(config, tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text(copies(config)["yaml"], encoding="utf-8")
    assert PretrainConfig.build(read_config_file(path)) == config


def test_the_python_lines_start_the_same_run(config, monkeypatch):
    seen = {}
    monkeypatch.setattr(Lab, "run_here", lambda self, values, control: seen.update(values) or "id")
    monkeypatch.setattr(Lab, "result", lambda self, run_id: {})
    exec(compile(copies(config)["python"], "copied", "exec"), {"print": lambda value: None})
    assert PretrainConfig.build(seen) == config


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
