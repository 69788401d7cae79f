"""`generate`, `export`, `corpora` and `options`: text out of a model, text into it, and words about the options."""

import argparse
import sys
import time

from llm_testing.cli.answer import OK, print_json, print_lines, print_text, table
from llm_testing.cli.door import new_sampling, open_lab, security_tables
from llm_testing.cli.tables import (
    markdown_tables,
    plain_tables,
    preset_table,
    rewrite,
)
from llm_testing.cli.terminal import ProgressLine
from llm_testing.config.finetune import FinetuneConfig
from llm_testing.config.models import known_models
from llm_testing.config.option import options_of
from llm_testing.config.presets import PRESETS
from llm_testing.config.presets_finetune import FINETUNE_PRESETS
from llm_testing.config.pretrain import PretrainConfig
from llm_testing.jobs.control import Control
from llm_testing.jobs.signals import on_stop_signals


def generate(args: argparse.Namespace) -> int:
    """Continue a prompt, as it is written."""
    sampling = new_sampling(
        max_tokens=args.max_tokens,
        temperature=args.temperature,
        top_k=args.top_k,
        top_p=args.top_p,
        seed=args.seed,
    )
    lab = open_lab(args)
    answers, chats = args.base or lab.finetuning.adapters.has(args.what), lab.finetuning.chats
    if answers:
        opened = chats.open(args.what)
        prompt = chats.prompt(opened, [{"role": "user", "content": args.prompt}])
        pieces = (piece.text for piece in chats.answer(opened, {"base" if args.base else "adapter": prompt}, sampling))
    else:
        pieces = lab.generate(lab.finetuning.exports.named(args.what), args.prompt, sampling)
    if args.json:
        print_json({"checkpoint": args.what, "prompt": args.prompt, "text": "".join(pieces)})
        return OK
    if not answers:
        print_text(args.prompt)  # an answer stands alone, a continuation does not
    for piece in pieces:
        print_text(piece)
    print_text("\n")
    return OK


def export(args: argparse.Namespace) -> int:
    """Write a checkpoint as a folder: merged for transformers, the adapter alone, or a GGUF file."""
    print_lines([f"Exported to {open_lab(args).finetuning.exports.write(args.what, args.form, args.to)}"])
    return OK


def push(args: argparse.Namespace) -> int:
    """Send a checkpoint to a repository on the Hub, with the token in HF_TOKEN."""
    url = open_lab(args).finetuning.exports.push(args.what, args.repo, args.form, not args.public)
    print_lines([f"It is at {url}"])
    return OK


def list_models(args: argparse.Namespace) -> int:
    """The open models that are known by name, with the length and rank that suit each."""
    models = known_models()
    if args.json:
        keys = ("name", "hf_id", "family", "params_billion", "recommended_max_seq", "recommended_lora_r", "tags")
        print_json({"models": [{key: getattr(model, key) for key in keys} for model in models]})
        return OK
    heads = ("name", "Hub id", "parameters", "length", "rank", "tags")
    print_lines(
        table(
            heads,
            (
                (m.name, m.hf_id, m.num_parameters, m.recommended_max_seq, m.recommended_lora_r, ", ".join(m.tags))
                for m in models
            ),
        )
    )
    return OK


def repeat(args: argparse.Namespace) -> int:
    """What repeats a run: its command line, or a file for --config, or lines of Python."""
    print_text(open_lab(args).finetuning.exports.repeat(args.run_id)[args.form] + "\n")
    return OK


def list_corpora(args: argparse.Namespace) -> int:
    """The named corpora, and which are at hand."""
    states = open_lab(args).corpora()
    if args.json:
        keys = ("name", "title", "kind", "about", "approx_bytes", "licence")
        rows = [{key: getattr(state.corpus, key) for key in keys} for state in states]
        print_json({"corpora": [row | {"at_hand": s.at_hand} for row, s in zip(rows, states, strict=True)]})
        return OK
    print_lines(
        table(
            ("name", "at hand", "about bytes", "what it is"),
            (
                (s.corpus.name, "yes" if s.at_hand else "download", s.corpus.approx_bytes, s.corpus.about)
                for s in states
            ),
        )
    )
    return OK


def download(args: argparse.Namespace) -> int:
    """Bring a corpus to disk; interrupted, it goes on where it was."""
    control, line = Control(), ProgressLine(sys.stderr, time.monotonic)
    lab = open_lab(args)
    try:
        with on_stop_signals(lambda name: control.request_stop("signal")):
            lab.download_corpus(args.name, line.report, control.check)
    finally:
        line.close()
    print_lines([f"{args.name} is at hand."])
    return OK


def options(args: argparse.Namespace) -> int:
    """The option tables."""
    declared = options_of(FinetuneConfig if args.finetune else PretrainConfig)
    if args.into:
        tables = {
            "presets": preset_table(PRESETS),
            "options": markdown_tables(options_of(PretrainConfig)),
            "finetune-presets": preset_table(FINETUNE_PRESETS),
            "finetune-options": markdown_tables(options_of(FinetuneConfig)),
            **security_tables(),
        }
        changed = rewrite(args.into, tables)
        print_lines([f"{args.into} is {'rewritten' if changed else 'up to date'}."])
    else:
        print_text(markdown_tables(declared) if args.markdown else plain_tables(declared))
    return OK
