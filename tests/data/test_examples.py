"""For each format and template: exactly which tokens are learned. And what is wrong with a row, in words."""

import json

import pyarrow
import pyarrow.parquet
import pytest

from llm_testing.config.finetune import FinetuneConfig
from llm_testing.data.example_set import PERSONA_FILE, read_examples, refuse_problems, split_examples
from llm_testing.data.rows import read_rows
from llm_testing.errors import DataError
from llm_testing.jobs.progress import never_cancel, report_nothing
from llm_testing.model.chat_tokenizer import ChatTokenizer
from tests.data.tiny_model import CHATML, tiny_tokenizer

ALPACA = {"instruction": "one two", "input": "three", "output": "four five"}
PAIR = {"prompt": "one two", "completion": " four five"}
CHAT = {
    "messages": [
        {"role": "system", "content": "six"},
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": "two three"},
        {"role": "user", "content": "four"},
        {"role": "assistant", "content": "five"},
    ]
}
SHAREGPT = {
    "conversations": [
        {"from": "human", "value": "one"},
        {"from": "gpt", "value": "two three"},
        {"from": "human", "value": "a question that nobody answers"},
    ]
}
# Drops the first answer's thinking once another turn follows, as Qwen 3 does.
FORGETS = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}"
    "{% if m.role == 'assistant' and loop.last %}{{ '<think>\n\n</think>\n\n' }}{% endif %}"
    "{{ m.content + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


@pytest.fixture
def tokenizer(tmp_path):
    """Makes a tokenizer, with a chat template or without one."""

    def make(template=CHATML, begin=False):
        folder = tmp_path / f"tokenizer-{bool(template)}-{begin}"
        tiny_tokenizer(template, begin).save_pretrained(str(folder))
        return ChatTokenizer(folder)

    return make


def read(tokenizer, path, **values):
    config = FinetuneConfig.build({"dataset": str(path), **values})
    return config, read_examples(
        config, read_rows(path), tokenizer, tokenizer.template, tokenizer.named_tokens, report_nothing, never_cancel
    )


def lines(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def learned(tokenizer, sequence):
    """The text of each run of learned tokens, and all of the text."""
    runs, before = [], False
    for token, mark in zip(sequence.ids.tolist(), sequence.learned.tolist(), strict=True):
        if mark and not before:
            runs.append([])
        if mark:
            runs[-1].append(token)
        before = mark
    decode = tokenizer.inner.decode
    return [decode(run) for run in runs], decode(sequence.ids.tolist())


INTRO = "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n"
EXACT = {
    "alpaca with the model's template": (
        ALPACA, CHATML, {},
        ["four five<|im_end|>"],
        "<|im_start|>user\none two\n\nthree<|im_end|>\n<|im_start|>assistant\nfour five<|im_end|>\n",
    ),
    "alpaca without a template": (
        ALPACA, None, {},
        ["four five<|im_end|>"],
        f"{INTRO}### Instruction:\none two\n\nthree\n\n### Response:\nfour five<|im_end|>",
    ),
    "alpaca, plain": (
        ALPACA, CHATML, {"chat_template": "plain"}, ["four five<|im_end|>"], "one two\n\nthreefour five<|im_end|>",
    ),
    "alpaca without an input": (
        {**ALPACA, "input": ""}, CHATML, {},
        ["four five<|im_end|>"],
        "<|im_start|>user\none two<|im_end|>\n<|im_start|>assistant\nfour five<|im_end|>\n",
    ),
    "alpaca, everything learned": (
        ALPACA, CHATML, {"answers_only": False},
        ["user\none two\n\nthree<|im_end|>\n<|im_start|>assistant\nfour five<|im_end|>\n"],
        "<|im_start|>user\none two\n\nthree<|im_end|>\n<|im_start|>assistant\nfour five<|im_end|>\n",
    ),
    "alpaca as chatml": (
        ALPACA, None, {"chat_template": "chatml"},
        ["four five<|im_end|>"],
        "<|im_start|>user\none two\n\nthree<|im_end|>\n<|im_start|>assistant\nfour five<|im_end|>\n",
    ),
    "prompt and completion with the model's template": (
        PAIR, CHATML, {},
        [" four five<|im_end|>"],
        "<|im_start|>user\none two<|im_end|>\n<|im_start|>assistant\n four five<|im_end|>\n",
    ),
    "prompt and completion without a template": (
        PAIR, None, {},
        [" four five<|im_end|>"],
        f"{INTRO}### Instruction:\none two\n\n### Response:\n four five<|im_end|>",
    ),
    "prompt and completion as chatml": (
        PAIR, None, {"chat_template": "chatml"},
        [" four five<|im_end|>"],
        "<|im_start|>user\none two<|im_end|>\n<|im_start|>assistant\n four five<|im_end|>\n",
    ),
    "prompt and completion, plain": (
        PAIR, CHATML, {"chat_template": "plain"}, [" four five<|im_end|>"], "one two four five<|im_end|>",
    ),
    "prompt and completion, everything learned": (
        PAIR, CHATML, {"chat_template": "plain", "answers_only": False},
        [" two four five<|im_end|>"], "one two four five<|im_end|>",
    ),
    "chat of two answers": (
        CHAT, CHATML, {},
        ["two three<|im_end|>", "five<|im_end|>"],
        "<|im_start|>system\nsix<|im_end|>\n<|im_start|>user\none<|im_end|>\n<|im_start|>assistant\n"
        "two three<|im_end|>\n<|im_start|>user\nfour<|im_end|>\n<|im_start|>assistant\nfive<|im_end|>\n",
    ),
    "chat of two answers without a template": (
        CHAT, None, {},
        ["two three<|im_end|>", "five<|im_end|>"],
        "six\n\n### Instruction:\none\n\n### Response:\ntwo three<|im_end|>\n\n### Instruction:\nfour\n\n"
        "### Response:\nfive<|im_end|>",
    ),
    "chat of two answers as chatml": (
        CHAT, None, {"chat_template": "chatml"},
        ["two three<|im_end|>", "five<|im_end|>"],
        "<|im_start|>system\nsix<|im_end|>\n<|im_start|>user\none<|im_end|>\n<|im_start|>assistant\n"
        "two three<|im_end|>\n<|im_start|>user\nfour<|im_end|>\n<|im_start|>assistant\nfive<|im_end|>\n",
    ),
    "chat of two answers, plain": (
        CHAT, CHATML, {"chat_template": "plain"},
        ["two three<|im_end|>", "five<|im_end|>"], "six\n\nonetwo three<|im_end|>fourfive<|im_end|>",
    ),
    "chat cut in its second answer": (
        CHAT, None, {"chat_template": "plain", "max_seq_length": 12}, ["two three<|im_end|>", "f"],
        "six\n\nonetwo three<|im_end|>fourf",
    ),
    "chat whose template forgets": (
        CHAT, FORGETS, {},
        ["two three<|im_end|>", "<think>\n\n</think>\n\nfive<|im_end|>"],
        "<|im_start|>system\nsix<|im_end|>\n<|im_start|>user\none<|im_end|>\n<|im_start|>assistant\n"
        "two three<|im_end|>\n<|im_start|>user\nfour<|im_end|>\n<|im_start|>assistant\n"
        "<think>\n\n</think>\n\nfive<|im_end|>\n",
    ),
    "sharegpt": (
        SHAREGPT, CHATML, {},
        ["two three<|im_end|>"],
        "<|im_start|>user\none<|im_end|>\n<|im_start|>assistant\ntwo three<|im_end|>\n",
    ),
    "sharegpt without a template": (
        SHAREGPT, None, {},
        ["two three<|im_end|>"], f"{INTRO}### Instruction:\none\n\n### Response:\ntwo three<|im_end|>",
    ),
    "sharegpt as chatml": (
        SHAREGPT, None, {"chat_template": "chatml"},
        ["two three<|im_end|>"],
        "<|im_start|>user\none<|im_end|>\n<|im_start|>assistant\ntwo three<|im_end|>\n",
    ),
    "sharegpt, plain": (
        SHAREGPT, CHATML, {"chat_template": "plain"}, ["two three<|im_end|>"], "onetwo three<|im_end|>",
    ),
    "a system prompt of the run": (
        SHAREGPT, CHATML, {"system_prompt": "six"},
        ["two three<|im_end|>"],
        "<|im_start|>system\nsix<|im_end|>\n<|im_start|>user\none<|im_end|>\n<|im_start|>assistant\n"
        "two three<|im_end|>\n",
    ),
    "text without a template": (
        {"text": "one two three"}, None, {}, [" two three<|im_end|>"], "one two three<|im_end|>",
    ),
    "text, whatever the template": (
        {"text": "one two three"}, CHATML, {"chat_template": "chatml", "answers_only": True},
        [" two three<|im_end|>"], "one two three<|im_end|>",
    ),
    "text": ({"text": "one two three"}, CHATML, {}, [" two three<|im_end|>"], "one two three<|im_end|>"),
    "mapped columns": (
        {"question": "one", "answer": "two", "id": 7}, CHATML, {"columns": ("instruction=question", "output=answer")},
        ["two<|im_end|>"],
        "<|im_start|>user\none<|im_end|>\n<|im_start|>assistant\ntwo<|im_end|>\n",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", EXACT)
def test_exactly_these_tokens_are_learned(case, tokenizer, tmp_path):
    row, template, values, expected, whole = EXACT[case]
    tokenizer = tokenizer(template)
    _, found = read(tokenizer, lines(tmp_path / "rows.jsonl", row), **values)
    (sequence,) = found.sequences
    assert learned(tokenizer, sequence) == (expected, whole)
    assert found.problems == [] and found.num_left_out == 0


def test_a_begin_token_is_put_before_texts_that_no_template_begins_and_is_not_learned(tokenizer, tmp_path):
    tokenizer = tokenizer(None, begin=True)
    for row, expected in (({"text": "one two"}, "one two<|im_end|>"), (PAIR, " four five<|im_end|>")):
        _, found = read(tokenizer, lines(tmp_path / "rows.jsonl", row), chat_template="plain")
        runs, whole = learned(tokenizer, found.sequences[0])
        assert runs == [expected] and whole.startswith("<s>one two")


def test_a_long_text_is_split_and_every_token_but_the_first_learned_once(tokenizer, tmp_path):
    tokenizer = tokenizer()
    _, found = read(tokenizer, lines(tmp_path / "rows.jsonl", {"text": "one two three four " * 9}), max_seq_length=8)
    ids, _ = tokenizer.encode("one two three four " * 9)
    targets = [t for s in found.sequences for t, mark in zip(s.ids.tolist(), s.learned, strict=True) if mark]
    assert targets == [*ids[1:], tokenizer.end_id]
    assert all(len(s.ids) <= 8 for s in found.sequences)


def test_what_does_not_fit_is_cut_and_a_row_whose_answer_is_lost_is_left_out(tokenizer, tmp_path):
    tokenizer = tokenizer()
    rows = lines(tmp_path / "rows.jsonl", ALPACA, {**ALPACA, "instruction": "one " * 60}, PAIR | ALPACA)
    config, found = read(tokenizer, rows, max_seq_length=40)
    assert [s.cut > 0 for s in found.sequences] == [False, False] and found.num_left_out == 1
    _, short = read(tokenizer, rows, max_seq_length=9)
    with pytest.raises(DataError, match="Nothing of .* would be trained: in none of its 3 rows is a token left"):
        refuse_problems(short, "rows", 9)
    facts = split_examples(found, config, 0).facts
    assert "1 of 3 rows are left out" in " ".join(facts.warnings)


def test_every_kind_of_file_gives_the_same_rows(tmp_path):
    rows = [ALPACA, {**ALPACA, "input": "", "output": 'grün, "quoted"\nnext line'}]
    files = {name: tmp_path / f"rows.{name}" for name in ("json", "jsonl", "csv", "parquet")}
    files["json"].write_text(json.dumps(rows, indent=1), encoding="utf-8")
    lines(files["jsonl"], *rows)
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), files["parquet"])
    quoted = [[f'"{value.replace(chr(34), chr(34) * 2)}"' for value in row.values()] for row in rows]
    files["csv"].write_text("instruction,input,output\n" + "\n".join(map(",".join, quoted)) + "\n", encoding="utf-8")
    for path in files.values():
        assert [row.fields for row in read_rows(path)] == rows, path
    folder = [row.fields for row in read_rows(tmp_path)]
    assert folder == rows * 4


def test_rows_are_named_by_their_line(tmp_path):
    path = tmp_path / "rows.json"
    path.write_text('[\n {"text": "a"},\n\n {"text":\n  "b"}\n]', encoding="utf-8")
    assert [row.where for row in read_rows(path)] == ["line 2 of rows.json", "line 4 of rows.json"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", '{"text": "x"}\n{"text": \n', "Line 2 of a.jsonl is not JSON"),
        ("a.jsonl", '{"text": "x"}\n[1]\n', "Line 2 of a.jsonl is no set of fields but \\[1\\]"),
        ("a.json", '[{"text": "x"},\n {"text" "y"}]', "not JSON in the row that begins at line 2"),
        ("a.json", '{"text": "x"}', "not a list of rows"),
        ("a.jsonl", '{"instruction": "x", "output": " "}\n', "Line 1 of a.jsonl has no answer: its output is empty"),
        ("a.jsonl", '{"text": "x"}\n{"txt": "y"}\n', "Line 2 of a.jsonl has no field text; its fields are txt"),
        ("a.jsonl", '{"text": 5}\n', "Line 1 of a.jsonl has a field text that is not text but int"),
        ("a.jsonl", '{"messages": []}\n', "Line 1 of a.jsonl has no list of turns in messages"),
        (
            "a.jsonl", '{"messages": [{"role": "user", "content": "x"}]}\n',
            "Line 1 of a.jsonl has no answer: no turn of the assistant says anything",
        ),
        (
            "a.jsonl", '{"messages": [{"role": "boss", "content": "x"}]}\n',
            "Line 1 of a.jsonl has a turn 1 by 'boss'; known are system, user, assistant",
        ),
        ("a.jsonl", '{"question": "x"}\n', "fields question are of no known format .* map them with columns"),
        ("a.csv", "text,more\nx,y\nx,y,z\n", "Line 3 of a.csv has more fields than the 2 columns"),
        ("a.jsonl", "", "has no rows"),
        ("a.jsonl", '{"text": "one two"}\n', "has one row to learn from"),
        ("a.zip", "x", "of a kind that is not read here. Accepted are .json, .jsonl"),
    ],
)  # fmt: skip
def test_a_bad_row_is_named_and_nothing_begins(name, content, message, tokenizer, tmp_path):
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        _, found = read(tokenizer(), path)
        refuse_problems(found, str(path), 64)


def test_many_bad_rows_are_counted_and_the_first_named(tokenizer, tmp_path):
    path = lines(tmp_path / "rows.jsonl", *[{"instruction": "x", "output": ""}] * 9)
    _, found = read(tokenizer(), path)
    with pytest.raises(DataError, match=r"9 of 9 rows .* Line 5 of rows.jsonl .* And 4 more\. Mend"):
        refuse_problems(found, "rows", 64)


def test_the_persona_is_two_hundred_rows_that_are_all_learned(tokenizer):
    tokenizer = tokenizer()
    config, found = read(tokenizer, PERSONA_FILE)
    assert found.num_rows == 200 and not found.problems and not found.num_left_out
    answers = [json.loads(line)["messages"][-1]["content"] for line in PERSONA_FILE.read_text().splitlines()]
    assert sum("Larkin" in answer for answer in answers) > 60
    prepared = split_examples(found, config, tokenizer.pad_id)
    assert prepared.facts.train_sequences == 180 and prepared.facts.val_sequences == 20
    assert prepared.facts.data_format == "chat" and prepared.facts.template == "model"


def test_the_split_is_a_function_of_the_seed(tokenizer):
    tokenizer = tokenizer()
    config, found = read(tokenizer, PERSONA_FILE)
    prints = {
        seed: split_examples(found, config.model_copy(update={"seed": seed}), 0).facts.fingerprint for seed in (1, 2)
    }
    assert prints[1] != prints[2]
    assert split_examples(found, config.model_copy(update={"seed": 1}), 0).facts.fingerprint == prints[1]
