"""Safetensors from outside: the one place that opens them."""

from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from llm_testing.config.foreign import Format, Refusal, open_file, reading
from llm_testing.errors import DamagedFile

SAFETENSORS = Format((SafetensorError, OSError), "Download or save it again.")


def load_tensors(path: Path, refusal: Refusal = DamagedFile) -> dict[str, Tensor]:
    """All tensors of a file, by name.

    Raises:
        DamagedFile, or the kind that is given: naming the file and its folder.
    """
    with _reading(path, refusal):
        return load_file(path)


@contextmanager
def open_tensors(path: Path) -> Iterator[Any]:
    """A file whose tensors are read one by one, as safetensors gives it; only reading may stand in the block.

    Raises:
        DamagedFile: naming the file and its folder.
    """
    with _reading(path, DamagedFile), safe_open(path, "pt") as file:
        yield file


def num_numbers(path: Path) -> int:
    """How many numbers a file's tensors have, by its header alone.

    Raises:
        DamagedFile: naming the file and its folder.
    """
    with open_tensors(path) as file:
        return sum(prod(file.get_slice(name).get_shape()) for name in file.keys())


@contextmanager
def _reading(path: Path, refusal: Refusal) -> Iterator[None]:
    name = f"{path.name} of {path.parent.name}"
    open_file(path, name, refusal).close()  # safetensors would wait for a pipe
    with reading(name, SAFETENSORS, refusal):
        yield
