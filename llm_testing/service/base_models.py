"""The config.json of the model that a fine-tuning run starts from, without its weights."""

import os
import threading
import time
from pathlib import Path
from typing import Any

from llm_testing.config.foreign import JSON, read_bytes, reading, typed_path
from llm_testing.config.models import find_model, known_config, known_models
from llm_testing.config.pretrain import PretrainConfig
from llm_testing.config.resolve import shape_of
from llm_testing.errors import ConfigError, DownloadError, NotFound, Problem
from llm_testing.hub.models import fetch_model_config
from llm_testing.model.export import gpt2_config
from llm_testing.service.bases import is_path, is_run, model_of_package
from llm_testing.service.records import whole_config
from llm_testing.store.files import MAX_JSON_BYTES
from llm_testing.store.runs import RunStore
from llm_testing.store.strict_json import parse_json

ASKED_AGAIN_S = 60.0
"""A Hub that did not answer is asked again after this: forms ask with every change."""


class BaseModels:
    """Configs of base models, asked for again and again while somebody fills in a form; threads may share it.

    Args:
        models_dir: where downloaded models lie; None looks at none.
    """

    def __init__(self, store: RunStore, models_dir: Path | None = None):
        self._store, self._models_dir = store, models_dir
        self._guard = threading.Lock()
        self._asked: dict[str, tuple[float, dict[str, Any] | str]] = {}

    def config(self, name: str) -> dict[str, Any]:
        """A model's config: of a run, of the table of known ones, of a folder here, or of the Hub.

        Raises:
            ConfigError: naming what is at hand, where it is none of them.
        """
        return self.at_hand(name) or self._of_hub(name)

    def at_hand(self, name: str) -> dict[str, Any] | None:
        """The same without asking the Hub; None for a model that was not fetched from there yet.

        Raises:
            ConfigError: for a run or folder without a model.
        """
        if is_run(name):
            return self._of_run(name)
        if (known := known_config(model_of_package(name) or name)) is not None:
            return known
        if name.lower().endswith(".gguf"):
            message = "What is in a GGUF file is known once it has been read: start the run, or give a folder."
            raise ConfigError([Problem("model_name", message)])
        if is_path(name):
            return config_of_folder(typed_path(name))
        return self._downloaded(name)

    def _of_run(self, name: str) -> dict[str, Any]:
        try:
            record = self._store.open(name.partition("/")[0]).record()
        except NotFound as error:
            raise ConfigError([Problem("model_name", str(error))]) from None
        if record["kind"] == "finetune":
            if base := whole_config(record).get("model_name"):
                return self.config(base)
            raise ConfigError([Problem("model_name", f"Run {name} does not say which model it tuned.")])
        vocab_size = (record.get("data") or {}).get("vocab_size")
        if not isinstance(vocab_size, int):
            raise ConfigError([Problem("model_name", f"Run {name} has no model yet. Choose one that has trained.")])
        config = PretrainConfig.build(whole_config(record))
        return {"model_type": "gpt2", **gpt2_config(shape_of(config, vocab_size), config.dropout)}

    def _of_hub(self, name: str) -> dict[str, Any]:
        with self._guard:
            when, found = self._asked.get(name, (0.0, ""))
        if isinstance(found, str) and time.monotonic() - when > ASKED_AGAIN_S or not found:
            try:
                found = fetch_model_config(name)
            except DownloadError as error:
                found = str(error)
            with self._guard:
                self._asked[name] = (time.monotonic(), found)
        if isinstance(found, str):
            at_hand = ", ".join(model.hf_id for model in known_models())
            raise ConfigError([Problem("model_name", f"{found} Known without the Hub: {at_hand}.")])
        return found

    def _downloaded(self, name: str) -> dict[str, Any] | None:
        known = find_model(name)
        repo = (known.hf_id if known else name).replace("/", "--")
        if self._models_dir is None or not repo.strip("."):
            return None
        files = sorted(self._models_dir.glob(f"{repo}/*/config.json"))
        return config_of_folder(files[-1].parent) if files else None


def config_of_folder(folder: Path) -> dict[str, Any]:
    """What a model's folder says of it.

    Raises:
        ConfigError: where it has no config.json, or one that cannot be read.
    """
    file = folder / "config.json"
    if not os.path.lexists(file):
        raise _refused(f"There is no {file}: a model's folder has a config.json.")
    with reading(file, JSON, _refused):
        return parse_json(read_bytes(file, MAX_JSON_BYTES, refusal=_refused))


def _refused(message: str) -> ConfigError:
    return ConfigError([Problem("model_name", message)])
