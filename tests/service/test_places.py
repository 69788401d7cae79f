"""Where the page stands: refused where its rules could not be kept, runs in storage where there is one, notices."""

from pathlib import Path

import pytest

from llm_testing.service.places import notices, runs_dir_of, setting_of, why_refused

SPACE = {"SYSTEM": "spaces", "SPACE_ID": "ann/lab", "SPACE_HOST": "ann-lab.hf.space", "SPACE_AUTHOR_NAME": "ann"}
OAUTH = {
    "OAUTH_CLIENT_ID": "i",
    "OAUTH_CLIENT_SECRET": "s",
    "OAUTH_SCOPES": "openid",
    "OPENID_PROVIDER_URL": "https://x",
}
DEMO = {**SPACE, "LLM_TESTING_PROFILE": "public-demo"}


@pytest.mark.parametrize(
    ("environ", "given", "named"),
    [
        ({**SPACE, "LLM_TESTING_PROFILE": "public"}, {}, ("LLM_TESTING_PROFILE", "'public'", "public-demo")),
        ({"LLM_TESTING_PROFILE": "public-demo"}, {"server_name": "0.0.0.0"}, ("belongs to a Space",)),
        ({}, {"share": True, "server_name": "0.0.0.0"}, ("--share", "--server-name", "one of them")),
        ({"GRADIO_SHARE": "1", "GRADIO_SERVER_NAME": "0.0.0.0"}, {}, ("GRADIO_SHARE", "GRADIO_SERVER_NAME")),
        ({**DEMO, "HF_TOKEN": "hf_x"}, {}, ("HF_TOKEN", "Every visitor")),
    ],
)
def test_where_the_rules_could_not_be_kept_it_does_not_start_and_says_why(environ, given, named):
    reason = why_refused(setting_of(environ, **given), environ)
    assert all(word in reason for word in named) and "\n" not in reason and "hf_x" not in reason


@pytest.mark.parametrize(
    ("environ", "given"),
    [
        ({}, {}),
        ({"GRADIO_SERVER_NAME": "127.0.0.1"}, {"share": True}),
        ({}, {"server_name": "0.0.0.0"}),
        ({**SPACE, "HF_TOKEN": "hf_x"}, {}),
        (DEMO, {}),
    ],
)
def test_where_there_are_rules_it_starts(environ, given):
    assert why_refused(setting_of(environ, **given), environ) is None


@pytest.mark.parametrize(
    ("told", "hosts"),
    [
        ("", ()),
        ("Ann-Lab.hf.space", ("ann-lab.hf.space",)),
        ("lab.example.org, ann-lab.hf.space", ("lab.example.org", "ann-lab.hf.space")),
    ],
)
def test_a_space_answers_by_every_name_that_it_has(told, hosts):
    assert setting_of({**SPACE, "SPACE_HOST": told}).hosts == hosts


def test_runs_lie_in_a_spaces_storage_where_it_can_be_written_to(tmp_path):
    here = Path("runs")
    assert runs_dir_of(SPACE, here, tmp_path) == tmp_path / "runs"
    assert runs_dir_of({"SYSTEM": "spaces"}, here, tmp_path) == tmp_path / "runs"
    assert runs_dir_of({}, here, tmp_path) == here
    assert runs_dir_of(SPACE, here, tmp_path / "none") == here
    (tmp_path / "file").write_text("x")
    assert runs_dir_of(SPACE, here, tmp_path / "file") == here


@pytest.mark.parametrize(
    ("environ", "runs_dir", "words"),
    [
        (SPACE | OAUTH, "/data/runs", []),
        (SPACE | OAUTH, "/home/user/app/runs", ["vanish"]),
        (SPACE, "/data/runs", ["hf_oauth: true"]),
        (SPACE | OAUTH | {"SPACES_ZERO_GPU": "true"}, "/data/runs", ["ZeroGPU"]),
        (SPACE | OAUTH | {"SPACES_ZERO_GPU": "false"}, "/data/runs", []),
        (DEMO, "/home/user/app/runs", ["three minutes", "vanish"]),
        ({"SPACES_ZERO_GPU": "true"}, "/home/user/app/runs", []),
    ],
)
def test_what_is_special_about_a_place_is_said(environ, runs_dir, words):
    said = notices(setting_of(environ), environ, Path(runs_dir), Path("/data"))
    assert len(said) == len(words) and all(word in notice for word, notice in zip(words, said, strict=True))
