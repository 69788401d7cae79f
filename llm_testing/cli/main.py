"""The commands and their flags, and how what they raise becomes one line and an exit status."""

import argparse
import contextlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from llm_testing.cli import estimates, sweeps, texts, training
from llm_testing.cli.answer import (
    FAILED,
    INTERRUPTED,
    WRONG_USE,
    close_stdout,
    print_lines,
    stdout_for_json,
)
from llm_testing.cli.flags import add_flags, problem_lines, refuse_unknown
from llm_testing.cli.run_commands import RUN_COMMANDS
from llm_testing.config.escapes import escape_controls
from llm_testing.config.finetune import FinetuneConfig
from llm_testing.config.history import RunsQuery
from llm_testing.config.option import options_of
from llm_testing.config.presets import PRESETS
from llm_testing.config.presets_finetune import FINETUNE_PRESETS
from llm_testing.config.pretrain import PretrainConfig
from llm_testing.errors import (
    BadRunId,
    Cancelled,
    ConfigError,
    DataError,
    DiskRefused,
    DownloadError,
    NotEnoughMemory,
    NotFound,
    UserError,
)
from llm_testing.jobs.streams import streams_escaped
from llm_testing.store.places import RUNS

PROGRAM = "python -m llm_testing"
WRONG_INPUT = (ConfigError, DataError, DownloadError, DiskRefused, NotEnoughMemory, BadRunId, NotFound)


class _Parser(argparse.ArgumentParser):
    """An argparse that says what is wrong in one line, without a page of usage before it."""

    def __init__(self, **settings: Any):
        super().__init__(**{"allow_abbrev": False, **settings})
        # Before Python 3.14 argparse takes -1e-3 for a flag, and not for a number that the option can refuse.
        self._negative_number_matcher = re.compile(r"-(\d|\.\d|inf$|nan$)")

    def error(self, message: str) -> None:
        self.exit(WRONG_USE, f"{self.prog}: {escape_controls(message)}. --help lists what there is.\n")


def main(argv: list[str]) -> int:
    """Run one command; its exit status."""
    with streams_escaped():
        return _status(argv)


def _status(argv: list[str]) -> int:
    try:
        args, unknown = build_parser().parse_known_args(argv)
        refuse_unknown(unknown, args.known_flags)
        with stdout_for_json() if args.json else contextlib.nullcontext():
            return args.command(args)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else FAILED
    except ConfigError as error:
        _say(*problem_lines(error, options_of(RunsQuery) | options_of(FinetuneConfig) | options_of(PretrainConfig)))
        return WRONG_USE
    except UserError as error:
        _say(" ".join(str(error).split()))
        return WRONG_USE if isinstance(error, WRONG_INPUT) else FAILED
    except (Cancelled, KeyboardInterrupt):
        _say("Interrupted.")
        return INTERRUPTED
    except BrokenPipeError:
        close_stdout()
        return FAILED


def build_parser() -> argparse.ArgumentParser:
    """Every command with its flags."""
    parser = _Parser(prog=PROGRAM, description="Train GPTs on one machine, and compare what happened.")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_training(commands)
    _add_sweeps(commands)
    _add_estimates(commands)
    _add_texts(commands)
    _add_runs(commands)
    return parser


def _add_training(commands: Any) -> None:
    for name, act, config, there in (
        ("pretrain", training.pretrain, PretrainConfig, PRESETS),
        ("finetune", training.finetune, FinetuneConfig, FINETUNE_PRESETS),
    ):
        presets = "; ".join(f"{preset_name}: {preset.about}" for preset_name, preset in there.items())
        train = _command(
            commands, name, act,
            usage=f"{PROGRAM} {name} [--preset NAME] [--config FILE] [any option] [--runs-dir DIR] [--json]",
            epilog=f"Presets fill what is not given. {presets} The defaults shown are those of --preset none.",
        )  # fmt: skip
        train.add_argument("--preset", metavar="NAME", help=f"{', '.join(there)} or none [default recommended]")
        train.add_argument("--config", metavar="FILE", type=Path, help="options in YAML or JSON; flags win over it")
        train.add_argument("--queue", action="store_true", help="wait while another run holds the trainer")
        train.add_argument("--force", action="store_true", help="try a card that the run is estimated to exceed")
        add_flags(train, options_of(config).values())
        _known(train, json=True)

    again = _command(
        commands, "resume", training.resume, usage=f"{PROGRAM} resume RUN_ID [--max-steps N] [options that may change]"
    )
    again.add_argument("run_id", metavar="RUN_ID")
    add_flags(again, training.changeable_options().values())
    _known(again, json=True)


def _add_sweeps(commands: Any) -> None:
    kinds = _group(commands, "sweep", "several values of up to three options, trained one after the other")
    for kind, act, config in (
        ("pretrain", sweeps.sweep_pretrain, PretrainConfig),
        ("finetune", sweeps.sweep_finetune, FinetuneConfig),
    ):
        command = _command(
            kinds, kind, act, usage=f"{PROGRAM} sweep {kind} --over OPTION=VALUE,VALUE [--over ...] [any option]"
        )
        command.add_argument(
            "--over", action="append", required=True, metavar="OPTION=VALUES", help="values with commas between them"
        )
        command.add_argument("--list", action="store_true", help="the first with the first, instead of every pair")
        command.add_argument("--sweep-name", metavar="NAME", help="of the sweep, by which its runs are tagged")
        command.add_argument("--preset", metavar="NAME", help="as for a single run [default recommended]")
        command.add_argument("--config", metavar="FILE", type=Path, help="options in YAML or JSON; flags win over it")
        add_flags(command, options_of(config).values())
        _known(command, json=True)


def _add_estimates(commands: Any) -> None:
    for name, about, acts in (
        ("estimate", "what a run takes in memory", (estimates.estimate_pretrain, estimates.estimate_finetune)),
        ("fit", "what to change so that a run fits", (estimates.fit_pretrain, estimates.fit_finetune)),
    ):
        kinds = _group(commands, name, about)
        for kind, config, act in zip(("pretrain", "finetune"), (PretrainConfig, FinetuneConfig), acts, strict=True):
            usage = f"{PROGRAM} {name} {kind} [--preset NAME] [any option] [--gpu-memory-gb N]"
            command = _command(kinds, kind, act, usage=usage)
            command.add_argument("--preset", metavar="NAME", help=f"as for {kind} [default recommended]")
            command.add_argument("--config", metavar="FILE", type=Path, help="options in YAML or JSON; flags win")
            card = command.add_mutually_exclusive_group()
            card.add_argument(
                "--gpu-memory-gb", type=_number(float, 1, 10_000), metavar="N", help="the card, by its size"
            )
            card.add_argument("--card", metavar="NAME", help='the card, by its name, like "RTX 4080"')
            if name == "fit":
                command.add_argument(
                    "--largest", metavar="OPTION", help="instead: the largest batch_size, context or size"
                )
            add_flags(command, options_of(config).values())
            _known(command, json=True)


def _add_texts(commands: Any) -> None:
    write = _command(commands, "generate", texts.generate)
    write.add_argument("what", metavar="RUN_ID|CHECKPOINT", help="a run's newest checkpoint, or RUN_ID/step-00001000")
    write.add_argument(
        "--prompt", required=True, metavar="TEXT", help="what the model continues; a tuned model answers it"
    )
    write.add_argument("--base", action="store_true", help="have the base of a tuned model answer, for comparison")
    write.add_argument("--max-tokens", type=_number(int, 1, 1_000_000), metavar="N", help="how much to write")
    write.add_argument("--temperature", type=_number(float, 0, 100), metavar="X", help="0 takes the likeliest token")
    write.add_argument("--top-k", type=_number(int, 1, 1_000_000), metavar="N", help="draw from the N likeliest only")
    write.add_argument("--top-p", type=_number(float, 1e-6, 1), metavar="X", help="draw from the likeliest share only")
    write.add_argument("--seed", type=_number(int, 0, 2**63 - 1), metavar="N", help="the same seed gives the same text")
    _known(write, json=True)

    out = _command(commands, "export", texts.export)
    out.add_argument("what", metavar="RUN_ID|CHECKPOINT")
    out.add_argument("--to", required=True, type=Path, metavar="DIR", help="a folder that does not exist yet")
    _add_form(out)
    _known(out)
    send = _command(commands, "push", texts.push)
    send.add_argument("what", metavar="RUN_ID|CHECKPOINT")
    send.add_argument("--repo", required=True, metavar="OWNER/NAME", help="made where it is not there")
    send.add_argument("--public", action="store_true", help="let everybody see a repository that is made")
    _add_form(send)
    _known(send)
    again = _command(commands, "repeat", texts.repeat)
    again.add_argument("run_id", metavar="RUN_ID")
    again.add_argument("--form", choices=("cli", "yaml", "python"), default="cli", help="[default %(default)s]")
    _known(again)
    _known(
        _command(_group(commands, "models", "the open models there are to tune"), "list", texts.list_models), json=True
    )

    kinds = _group(commands, "corpora", "the texts there are to train on")
    _known(_command(kinds, "list", texts.list_corpora), json=True)
    bring = _command(kinds, "download", texts.download)
    bring.add_argument("name", metavar="NAME", help="a corpus by name, an address, or hf:owner/name")
    _known(bring)

    tables = _command(commands, "options", texts.options)
    tables.add_argument("--finetune", action="store_true", help="those of fine-tuning")
    tables.add_argument("--markdown", action="store_true", help="as Markdown, as in the README")
    tables.add_argument("--into", type=Path, metavar="FILE", help="rewrite the tables between a file's markers")
    _known(tables)


def _add_form(command: Any) -> None:
    command.add_argument(
        "--form", choices=("merged", "adapter", "gguf"), default="merged",
        help="merged: the whole model; adapter: PEFT's folder; gguf: for llama.cpp [default %(default)s]",
    )  # fmt: skip


def _add_runs(commands: Any) -> None:
    kinds = _group(commands, "runs", "what is in the runs folder")
    for name, act, add_arguments, gives_json in RUN_COMMANDS:
        command = _command(kinds, name, act)
        add_arguments(command)
        _known(command, json=gives_json)


def _group(commands: Any, name: str, about: str) -> Any:
    group = commands.add_parser(name, help=about, description=about[0].upper() + about[1:] + ".")
    return group.add_subparsers(title="commands", metavar="COMMAND", required=True)


def _command(commands: Any, name: str, act: Callable[[argparse.Namespace], int], **settings: Any) -> _Parser:
    about = (act.__doc__ or "").strip()
    parser = commands.add_parser(name, help=about, description=about, **settings)
    parser.set_defaults(command=act, json=False)
    return parser


def _known(parser: _Parser, json: bool = False) -> None:
    """Add the flags of every command, and keep all of its flags, to name the nearest to a wrong one."""
    parser.add_argument(
        "--runs-dir", type=Path, default=RUNS, metavar="DIR", help="where runs are kept [default %(default)s]"
    )
    parser.add_argument("--cache-dir", type=Path, metavar="DIR", help="where downloads and prepared texts are kept")
    if json:
        parser.add_argument("--json", action="store_true", help="print one JSON object on stdout, all else on stderr")
    parser.set_defaults(known_flags=[flag for action in parser._actions for flag in action.option_strings])


def _number(kind: type, least: float, most: float) -> Callable[[str], Any]:
    """An argparse type that takes a number in a range, and says which."""
    words = f"takes {'a whole number' if kind is int else 'a number'} from {least:,} to {most:,}"

    def read(text: str) -> Any:
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not least <= value <= most:
            raise argparse.ArgumentTypeError(f"{words}; received {text!r}")
        return value

    return read


def _say(*lines: str) -> None:
    print_lines(lines, error=True)
