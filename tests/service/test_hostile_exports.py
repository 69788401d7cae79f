"""Runs of others, taken along: nothing in their names and texts changes what holds them."""

import csv
import io
import json
import re

import pytest
import yaml

from llm_testing.service.bases import Base
from llm_testing.service.cards import model_card
from llm_testing.service.downloads import COLUMNS, csv_of
from llm_testing.service.lab import Lab
from llm_testing.service.markdown import markdown_block, markdown_text
from tests.api.served import AT, served
from tests.control_texts import EVERYTHING, raw_controls
from tests.past_runs import add_run
from tests.service.test_reports import fields, records

MARKUP = (
    "![i](https://evil.example/i.png) <img src=x> | [a](javascript:x) `` ``` \n\n# Heading\n---\nlicense: mit\n|x|\n"
)
FOREIGN = f"{EVERYTHING}{MARKUP}"


@pytest.fixture(scope="module")
def lab(tmp_path_factory) -> Lab:
    """A lab with one run, which somebody edited by hand."""
    lab = Lab(tmp_path_factory.mktemp("foreign") / "runs", tmp_path_factory.mktemp("cache"))
    folder = add_run(lab._store, "foreign", steps=4, points=4)
    path = folder.path / "run.json"
    record = json.loads(path.read_bytes())
    record |= {"name": FOREIGN, "tags": [FOREIGN], "notes": FOREIGN, "error": FOREIGN}
    record["config"] |= {"name": FOREIGN, "corpus": FOREIGN, FOREIGN: FOREIGN}
    path.write_text(json.dumps(record), encoding="utf-8")
    with folder.journal("samples") as journal:
        journal.append({"step": 1, "prompt": FOREIGN, "text": FOREIGN})
    return lab


@pytest.fixture
def run_id(lab) -> str:
    return lab.rows()[0].run_id


def event_texts(data: bytes) -> list[tuple[str, str]]:
    """Tag and text of every text in an event file."""
    values = [value for event in list(records(data))[1:] for value in fields(event[5][0]).get(1, [])]
    parts = [fields(value) for value in values]
    return [(part[1][0].decode(), fields(part[8][0])[8][0].decode()) for part in parts if 8 in part]


def test_in_tensorboard_a_runs_texts_are_text(lab, run_id):
    plugin = pytest.importorskip("tensorboard.plugin_util", reason="no tensorboard here")
    texts = event_texts(b"".join(lab.reports.events(run_id)))
    assert {tag for tag, _ in texts} == {"settings", "samples", "damaged"}
    for _, text in texts:
        assert raw_controls(text, "\n") == []
        page = plugin.markdown_to_safe_html(text)
        assert "<img" not in page and "<a " not in page and "<h1" not in page, page
    settings = plugin.markdown_to_safe_html(dict(texts)["settings"])
    assert settings.count("<table>") == 1 and "<hr" not in settings
    assert all(row.count("<td>") == 2 for row in re.findall(r"<tr>(.*?)</tr>", settings, re.S)[1:])
    assert "https://evil.example/i.png" in dict(texts)["samples"], "it is shown all the same"


def test_a_block_holds_any_text_and_a_line_is_one_line():
    assert markdown_block("a\n````\nb") == "`````\na\n````\nb\n`````"
    assert "\n" not in markdown_text("a\nb | c") and markdown_text("plain-name_1 (2)") == "plain-name_1 (2)"


@pytest.mark.parametrize("kind", ["pretrain", "finetune"])
def test_a_model_cards_header_says_what_we_say_and_its_text_is_text(kind):
    config = {"dataset": f"owner/{MARKUP}", "adapter": FOREIGN, "corpus": FOREIGN, "learning_rate": FOREIGN, "seed": 1}
    record = {
        "name": FOREIGN, "kind": kind, "config": config, "parameters": {"total": 5},
        "data": {"train_tokens": 1, "num_rows": 2, "learned_tokens": 3, "data_format": FOREIGN, "template": FOREIGN},
    }  # fmt: skip
    base = Base(f"owner/{FOREIGN}", None, "hub", None) if kind == "finetune" else None
    card = model_card(record, {"step": 3, "train_loss": 1.0}, base, "merged")
    assert raw_controls(card, "\n") == []
    _, header, text = card.split("---\n", 2)
    told = yaml.safe_load(header)
    assert set(told) <= {"library_name", "pipeline_tag", "base_model", "datasets", "tags"} and len(told["tags"]) == 2
    if base is not None:
        assert (told["base_model"], told["datasets"]) == (base.name, [config["dataset"]])
    assert len(re.findall(r"^#", text, re.M)) == 1 and "---\n" not in text.replace("| --- | --- |\n", "")
    assert not re.search(r"(?<!\\)\[|<|(?<!\\)`", text)
    assert all(len(re.findall(r"(?<!\\)\|", line)) == 3 for line in text.splitlines() if line.startswith("| "))


def test_a_plain_model_cards_header_stays_as_it_was():
    config = {"dataset": "yahma/alpaca-cleaned", "adapter": "lora"}
    data = {"train_tokens": 1, "num_rows": 2, "learned_tokens": 3, "data_format": "alpaca", "template": "model"}
    record = {"name": "My run", "kind": "finetune", "config": config, "parameters": {"total": 5}, "data": data}
    card = model_card(record, {"step": 3}, Base("Qwen/Qwen2.5-0.5B", None, "hub", None), "adapter")
    assert (
        "\nbase_model: Qwen/Qwen2.5-0.5B\ndatasets:\n- yahma/alpaca-cleaned\ntags:\n- llm-testing\n- lora\n---" in card
    )
    assert "# My run\n" in card


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"])
def test_no_cell_of_a_table_is_a_formula(start):
    data = b"".join(csv_of([{"step": 1, "prompt": f"{start}1+1", "text": "x"}], COLUMNS["samples"])).decode()
    (_, row) = list(csv.reader(io.StringIO(data, newline="")))
    assert row[1] == f"'{start}1+1"


def test_a_report_shows_what_would_act_and_keeps_the_blanks_of_all_scripts(lab, run_id):
    page = b"".join(lab.reports.page([run_id])).decode()
    ours = re.sub(r"<script>.*?</script>", "", page, flags=re.S, count=1)
    assert raw_controls(ours) == [] and r"\u202egpj.exe" in ours and "<img" not in ours
    renamed = add_run(lab._store, "中文\u3000字 1\u00a0000", steps=4, points=4).run_id
    try:
        assert "<h1>中文\u3000字 1\u00a0000</h1>" in b"".join(lab.reports.page([renamed])).decode()
    finally:
        lab.trash(renamed)


HEADER = "x%0d%0aset-cookie:%20a=b%22;%20filename=%22evil.exe%E2%80%AE"


def test_a_download_is_named_by_checked_ids_alone(lab, run_id):
    """No text of a run and none of an address gets into a header."""
    run = f"{AT}/runs/{{}}"
    one = [f"{run}/download", f"{run}/metrics.csv", f"{run}/samples.csv", "/api/runs/{}/report",
           "/api/runs/{}/tensorboard"]  # fmt: skip
    several = ["/api/compare/report?runs={}", "/api/runs/tensorboard?runs={}", "/api/runs/archive?runs={}",
               "/api/fine-tuning/download?adapter_path={}"]  # fmt: skip
    with served(lab) as client:
        for address in (*one, *several):
            for wrong in (HEADER, f"{run_id}{HEADER}", f"{run_id},{HEADER}"):
                reply = client.get(address.format(wrong))
                assert 400 <= reply.status_code < 500 and "set-cookie" not in reply.headers, (address, reply.text)
                assert "content-disposition" not in reply.headers
        for address in (*one, *several[:2]):
            named = client.get(address.format(run_id)).headers["content-disposition"]
            assert re.fullmatch(r'attachment; filename="[\w.-]+"', named, re.ASCII), named
