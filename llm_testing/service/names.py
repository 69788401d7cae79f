"""What models and texts are named by: who may name which, and what people call them.

A path reads this machine, an id of the Hub brings what is behind it.
"""

from typing import Any

from llm_testing.config.finetune import PERSONA, FinetuneConfig
from llm_testing.config.models import known_config
from llm_testing.data import rows, textfiles
from llm_testing.data.uploads import UPLOAD, is_upload
from llm_testing.errors import ConfigError, Problem
from llm_testing.service.bases import PACKAGES, is_path, is_run
from llm_testing.service.roles import ACTIONS, may

USUAL_DATASET = FinetuneConfig.model_fields["dataset"].default
_ENDINGS = (*textfiles.SUFFIXES, *rows.SUFFIXES, ".gguf")


def last_part(name: str) -> str:
    """The end of a path, id, address or upload: what people call it."""
    return name.removeprefix(UPLOAD).rstrip("/\\").replace("\\", "/").rpartition("/")[2]


def without_ending(name: str) -> str:
    """`last_part` without the ending of a file; the dots of a version stay."""
    last = last_part(name).removesuffix(".gz")
    ending = next((ending for ending in _ENDINGS if last.lower().endswith(ending)), "")
    return last[: len(last) - len(ending)] or name


def check_names(request: Any, values: dict[str, Any]) -> None:
    """Refuse models and datasets that who asks may not name here, all at once.

    Raises:
        ConfigError: naming each option.
    """
    problems = []
    for name, needed, instead in (
        ("model_name", needs_of_model(values.get("model_name")), "Choose a model of the list, or a run."),
        ("dataset", needs_of_dataset(values.get("dataset")), "Choose persona or yahma/alpaca-cleaned."),
    ):
        if needed is not None and not may(request, needed):
            problems.append(Problem(name, f"You may not {ACTIONS[needed]} here. {instead}"))
    if problems:
        raise ConfigError(problems)


def needs_of_model(name: Any) -> str | None:
    """The action that naming a model needs: paths or hub; None for one of the list, of a package, and for a run."""
    if not isinstance(name, str) or known_config(name) or name in PACKAGES or is_run(name):
        return None
    return "paths" if is_path(name) or name.lower().endswith(".gguf") else "hub"


def needs_of_dataset(name: Any) -> str | None:
    """The action that naming a dataset needs; None for the two that are offered, and for an upload."""
    if not isinstance(name, str) or name in (PERSONA, USUAL_DATASET) or is_upload(name):
        return None
    return "paths" if is_path(name) else "hub"
