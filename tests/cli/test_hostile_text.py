"""Names and texts of foreign runs on the command line: nothing in them acts on the terminal that shows them."""

import ast
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from llm_testing.cli.answer import table
from llm_testing.model.generate import Sampling
from llm_testing.service.lab import Lab
from llm_testing.store.runs import RunStore
from tests.cli.conftest import ROOT, Said
from tests.control_texts import EVERYTHING, HOSTILE, raw_controls
from tests.past_runs import add_run

FOREIGN = f"{EVERYTHING}end"
NAME = "\x1b[201~\nrm -rf ~\n\u202e\x9b31m\x1b]0;owned\x07"
"""As long as a name may be; a longer one is cut where it is read."""
NO_RUN = "20260101-000000-aaaa"


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """A runs folder with two runs edited by hand, one more in the trash and a damaged one; and the ids of the two."""
    store = RunStore(tmp_path_factory.mktemp("foreign") / "runs")
    ids = [_edited(store, f"run {place}", seed=place).run_id for place in range(2)]
    store.trash(_edited(store, "thrown away").run_id)
    broken = store.create({"kind": "pretrain", "name": "broken"})
    (broken.path / "run.json").write_text(json.dumps({"schema": FOREIGN}), encoding="utf-8")
    return store.root, ids


def _edited(store: RunStore, name: str, **options):
    """A run whose every text is hostile, in its files as somebody may write them."""
    folder = add_run(store, name, steps=4, points=4, **options)
    path = folder.path / "run.json"
    record = json.loads(path.read_bytes())
    record |= {"name": NAME, "tags": [FOREIGN], "notes": FOREIGN, "state": "failed", "error": FOREIGN}
    corpus = f"/tmp/{FOREIGN} {options.get('seed')}"
    record["config"] |= {"name": FOREIGN, "corpus": corpus, "sample_prompts": [FOREIGN]}
    record["config"][FOREIGN] = FOREIGN
    record["environment"] |= {FOREIGN: FOREIGN}
    record["data"] |= {"corpus": FOREIGN}
    path.write_text(json.dumps(record), encoding="utf-8")
    for journal, row in (("samples", {"step": 1, "prompt": FOREIGN, "text": FOREIGN}), ("events", {"event": FOREIGN})):
        with folder.journal(journal) as file:
            file.append(row)
    return folder


TEXT_COMMANDS: dict[str, Callable[[list[str], Path], tuple]] = {
    "list": lambda ids, tmp: ("runs", "list"),
    "list by name": lambda ids, tmp: ("runs", "list", "--sort", "name"),
    "list searched": lambda ids, tmp: ("runs", "list", "--search", "\x1b[31m none"),
    "show": lambda ids, tmp: ("runs", "show", ids[0]),
    "compare": lambda ids, tmp: ("runs", "compare", *ids),
    "trash": lambda ids, tmp: ("runs", "trash"),
    "repeat": lambda ids, tmp: ("repeat", ids[0]),
    "html": lambda ids, tmp: ("runs", "export", ids[0], "--form", "html", "--to", tmp / "\x1b]0;x\x07\u202e.html"),
    "csv": lambda ids, tmp: ("runs", "export", ids[0], "--form", "csv", "--to", tmp / "\x9bcsv"),
    "no such run": lambda ids, tmp: ("runs", "show", FOREIGN),
    "no such runs": lambda ids, tmp: ("runs", "star", FOREIGN, NO_RUN),
    "not deleted": lambda ids, tmp: ("runs", "delete", FOREIGN),
    "no such checkpoint": lambda ids, tmp: ("generate", FOREIGN, "--prompt", "x"),
    "no such corpus": lambda ids, tmp: ("corpora", "download", FOREIGN),
    "no such option": lambda ids, tmp: ("pretrain", f"--{FOREIGN}=1"),
    "no such command": lambda ids, tmp: (FOREIGN,),
    "no number": lambda ids, tmp: ("generate", ids[0], "--prompt", "x", "--max-tokens", FOREIGN),
    "no such value": lambda ids, tmp: ("pretrain", "--batch-size", FOREIGN),
    "half a character": lambda ids, tmp: ("runs", "show", "\ud800\udcff"),
    "no such file": lambda ids, tmp: ("runs", "import", tmp / "\x1b[2Jno\udcff.zip"),
    "no such text": lambda ids, tmp: ("pretrain", "--corpus", tmp / "\x1b[2J" / "no.txt"),
    "resume": lambda ids, tmp: ("resume", ids[0]),
    "damaged config": lambda ids, tmp: ("pretrain", "--config", tmp / "own.yaml"),
}


@pytest.mark.parametrize("command", TEXT_COMMANDS)
def test_no_control_character_of_a_foreign_run_reaches_the_terminal(command, foreign, say, tmp_path):
    runs_dir, ids = foreign
    (tmp_path / "own.yaml").write_text(f"{json.dumps(FOREIGN)}: {json.dumps(FOREIGN)}\n", encoding="utf-8")
    said: Said = say(*TEXT_COMMANDS[command](ids, tmp_path), "--runs-dir", runs_dir)
    assert said.out or said.err
    assert raw_controls(said.out) == [] and raw_controls(said.err) == []
    assert "Traceback" not in said.err


def test_a_value_of_one_line_stays_one(foreign, say):
    runs_dir, ids = foreign
    listed = say("runs", "list", "--runs-dir", runs_dir).out.splitlines()
    assert len(listed) == 1 + 3 + 3, "heads, three runs, and what is wrong with each of them"
    assert sum(r"\x1b[201~\nrm -rf ~\n" in line for line in listed) == 2
    assert say("runs", "show", ids[0], "--runs-dir", runs_dir).out.splitlines()[0].endswith(f"({ids[0]}): failed")


def test_a_table_is_as_wide_as_what_it_shows():
    heads, row = table(("", "\x9b"), [["\x1b[0m\n", "x"]])
    assert (heads, row) == (" " * 11 + r"\u009b", r"\x1b[0m\n  x")


@pytest.mark.parametrize("args", [("runs", "list"), ("runs", "show", 0), ("runs", "compare", 0, 1)], ids=lambda a: a[1])
def test_json_is_safe_to_print_and_holds_what_there_is(args, foreign, say):
    runs_dir, ids = foreign
    said = say(*(ids[arg] if isinstance(arg, int) else arg for arg in args), "--runs-dir", runs_dir, "--json")
    assert raw_controls(said.out) == []
    assert any(NAME in text or FOREIGN in text for text in texts_in(said.json()))


def texts_in(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for name, item in value.items():
            yield from (name, *texts_in(item))
    elif isinstance(value, list):
        for item in value:
            yield from texts_in(item)
    elif isinstance(value, str):
        yield value


def written_by_a_model(monkeypatch: pytest.MonkeyPatch, pieces: list[str]) -> None:
    def generate(self: Lab, checkpoint: str, prompt: str, sampling: Sampling) -> Iterator[str]:
        yield from pieces

    monkeypatch.setattr(Lab, "generate", generate)


@pytest.mark.proof
def test_a_models_own_text_keeps_its_lines_and_acts_on_nothing(finished, run_id, say, monkeypatch):
    pieces = ["one\n\ttwo ", *HOSTILE["link"], "\ud800", "می\u200cشود", *EVERYTHING]
    written_by_a_model(monkeypatch, pieces)
    args = ("generate", run_id, "--prompt", "\x1b[31mA\n", "--runs-dir", finished[0])
    said = say(*args)
    assert said.status == 0 and raw_controls(said.out, "\n\t\u200c") == []
    assert said.out.startswith("\\x1b[31mA\none\n\ttwo \\x1b]8;;https") and "می\u200cشود" in said.out
    as_json = say(*args, "--json")
    assert as_json.out.isascii() and raw_controls(as_json.out) == []
    assert as_json.json()["text"] == "".join(pieces) and as_json.json()["prompt"] == "\x1b[31mA\n"


def test_no_command_prints_past_the_door():
    """Commands print by llm_testing.cli.answer; a progress line is given its stream."""
    wrong = []
    for path in sorted((ROOT / "llm_testing" / "cli").glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        given = {
            id(argument)
            for call in ast.walk(tree)
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "ProgressLine"
            for argument in call.args
        }
        for node in ast.walk(tree):
            stream = isinstance(node, ast.Attribute) and ast.unparse(node) in STREAMS and id(node) not in given
            printing = isinstance(node, ast.Call) and ast.unparse(node.func) in ("print", "os.write", "os.system")
            imported = isinstance(node, ast.ImportFrom) and node.module == "sys"
            if (stream or printing or imported) and path.name != "answer.py":
                wrong.append(f"{path.name}:{node.lineno} {ast.unparse(node)}")
    assert wrong == []


STREAMS = [f"sys.{name}" for name in ("stdout", "stderr", "__stdout__", "__stderr__")]


def test_both_programs_escape_what_they_print_from_their_first_line_on():
    for path in (ROOT / "app.py", ROOT / "llm_testing" / "__main__.py"):
        assert "escape_streams()" in path.read_text(encoding="utf-8"), path.name
