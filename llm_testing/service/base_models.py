"""The config.json of the model that a fine-tuning run starts from, without its weights."""

from pathlib import Path
from typing import Any

from llm_testing.config.models import known_config, known_models
from llm_testing.errors import ConfigError, DownloadError, Problem
from llm_testing.hub.models import fetch_model_config
from llm_testing.store.strict_json import parse_json


def model_config(name: str) -> dict[str, Any]:
    """A model's config: of the table of known ones, of a folder here, or of the Hub.

    Raises:
        ConfigError: naming what is at hand, where it is none of them.
    """
    if (known := known_config(name)) is not None:
        return known
    if is_folder(name):
        return _of_folder(Path(name))
    try:
        return fetch_model_config(name)
    except DownloadError as error:
        at_hand = ", ".join(model.hf_id for model in known_models())
        raise ConfigError([Problem("model_name", f"{error} Known without the Hub: {at_hand}.")]) from None


def is_folder(name: str) -> bool:
    """Whether a name means a folder of this machine."""
    return name.startswith((".", "/", "~")) or "\\" in name or Path(name).is_dir()


def _of_folder(folder: Path) -> dict[str, Any]:
    file = folder.expanduser() / "config.json"
    try:
        return parse_json(file.read_bytes())
    except OSError:
        raise ConfigError([Problem("model_name", f"There is no {file}: a model's folder has a config.json.")]) from None
    except ValueError as error:
        raise ConfigError([Problem("model_name", f"{file} cannot be read: {error}.")]) from None
