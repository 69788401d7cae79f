"""The folder of a base model, looked at before anything in it is loaded.

Names inside its files can point elsewhere, and some kinds of weights run code when they are read; both are refused
here, whatever the library that loads them would do.
"""

import os
import reprlib
from pathlib import Path
from typing import Any

from llm_testing.config.foreign import printable, read_object
from llm_testing.errors import DataError
from llm_testing.model.tensor_files import num_numbers

MAX_JSON_BYTES = 256 << 20
_MOST_NAME_CHARS = 255
_REMOTE = "which is never run here. Choose a model that transformers knows by itself"


def check_folder(folder: Path) -> dict[str, Any]:
    """The config of a model's folder, once everything in it that will be read is known to be harmless.

    Raises:
        DataError: no config, code of its own, weights that are not safetensors, or names that point out of the folder.
    """
    config = check_settings(folder)
    _check_weights(folder)
    return config


def check_settings(folder: Path) -> dict[str, Any]:
    """The same without its weights, which may not be there yet: config and tokenizer alone.

    Raises:
        DataError: no config, code of its own, or names that point out of the folder.
    """
    if not os.path.isdir(folder):
        raise DataError(f"There is no folder {folder} with a model in it.")
    config = _json(folder, "config.json")
    if config is None:
        raise DataError(f"{folder} holds no model: it has no config.json.")
    tokenizer = _json(folder, "tokenizer_config.json") or {}
    for name, facts in (("config.json", config), ("tokenizer_config.json", tokenizer)):
        if facts.get("auto_map"):
            raise DataError(f"{name} of {folder.name} asks for code of the model's own, {_REMOTE}.")
    for key, value in tokenizer.items():
        if key.endswith("_file") and value is not None:
            _plain(value, folder, f"{key} in tokenizer_config.json")
    templates = tokenizer.get("chat_template")
    for entry in templates if isinstance(templates, list) else ():
        _plain(entry.get("name") if isinstance(entry, dict) else entry, folder, "a chat template's name")
    return config


def num_weights(folder: Path) -> int:
    """Numbers in the safetensors of a model's folder, from their headers alone.

    Raises:
        DataError: a file that is no safetensors.
    """
    return sum(num_numbers(path) for path in folder.glob("*.safetensors"))


def _check_weights(folder: Path) -> None:
    index = _json(folder, "model.safetensors.index.json")
    if index is not None:
        names = index.get("weight_map")
        if not isinstance(names, dict) or not names:
            raise DataError(f"model.safetensors.index.json of {folder.name} names no weights.")
        for name in names.values():
            _plain(name, folder, "model.safetensors.index.json")
        for name in set(names.values()):
            if not (folder / name).is_file():
                raise DataError(f"{folder.name} lacks {name}, a part of its weights. Download the model again.")
        return
    if (folder / "model.safetensors").is_file():
        return
    if any(folder.glob("*.bin")) or any(folder.glob("*.pt")) or any(folder.glob("*.pth")):
        raise DataError(
            f"The weights of {folder.name} are pickles, which can run code when they are read. Only safetensors are "
            "read here; many models have them beside or in another revision."
        )
    raise DataError(f"{folder.name} has no model.safetensors. Only safetensors are read here.")


def _plain(name: Any, folder: Path, where: str) -> None:
    """Refuse a name that is more than the name of a file in the folder."""
    plain = isinstance(name, str) and Path(name).name == name and "\\" not in name and name not in ("", ".", "..")
    if not plain or len(name) > _MOST_NAME_CHARS:
        received = printable(reprlib.repr(name), 80)
        raise DataError(f"{where} of {folder.name} names {received}, which is not a file in its folder.")


def _json(folder: Path, name: str) -> dict[str, Any] | None:
    path = folder / name
    return read_object(path, MAX_JSON_BYTES, f"{name} of {folder.name}") if path.exists() else None
