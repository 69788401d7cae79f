"""What a run begins from: the checkpoint of a fork, and the options that a resume may change."""

from typing import Any

from llm_testing.config.option import Options, options_of
from llm_testing.errors import BadRunId, ConfigError, NotFound, Problem
from llm_testing.service.kinds import kind_of
from llm_testing.store.ids import checkpoint_id, parse_checkpoint_id
from llm_testing.store.runs import RunStore


def fork_of(config: Options, store: RunStore) -> dict | None:
    """The parent that resume_from names, verified; its weights must fit what is asked for.

    Raises:
        ConfigError: naming what cannot be forked so.
    """
    if not config.resume_from:
        return None
    run_id, step = find_checkpoint(store, config.resume_from, "resume_from")
    record, kind = store.open(run_id).record(), kind_of(config)
    if record["kind"] != kind.name:
        message = f"Run {run_id} is of the kind {record['kind']}; a run of the kind {kind.name} cannot begin from it."
        raise ConfigError([Problem("resume_from", message)])
    if problems := kind.fork_problems(config, record):
        raise ConfigError(problems)
    return {"run_id": run_id, "step": step, "how": "fork"}


def find_checkpoint(store: RunStore, what: str, field_name: str = "checkpoint") -> tuple[str, int]:
    """Run id and step of `<run_id>/step-00001000`, or of a run's newest whole checkpoint.

    Raises:
        ConfigError: for text that is neither, naming field_name.
        NotFound, DamagedRun: for one that is not there, or not whole.
    """
    try:
        if "/" in what:
            run_id, step = parse_checkpoint_id(what)
            store.open(run_id).checkpoints.verify(step)
            return run_id, step
        newest = store.open(what).checkpoints.newest()
    except BadRunId as error:
        raise ConfigError([Problem(field_name, str(error))]) from None
    if newest is None:
        raise NotFound(f"Run {what} has no whole checkpoint. A checkpoint looks like {checkpoint_id(what, 1000)}.")
    return what, newest.step


def changeable(changes: dict[str, Any], config_class: type[Options]) -> dict[str, Any]:
    """Changes that a resume may make.

    Raises:
        ConfigError: naming each option that must stay as it was, or does not exist.
    """
    options = options_of(config_class)
    fixed = [n for n in changes if n in options and options[n].show.resume == "fixed"]
    if fixed:
        free = ", ".join(name for name, option in options.items() if option.show.resume == "change")
        raise ConfigError(
            [
                Problem(
                    n,
                    f"{options[n].show.title} cannot change when a run is resumed; fork it instead. "
                    f"Resuming can change {free}.",
                )
                for n in fixed
            ]
        )
    return changes
