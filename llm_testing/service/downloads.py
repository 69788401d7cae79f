"""What may be taken away: a run as a zip, its curves and its sample texts as CSV; all in pieces, never held whole."""

import csv
import io
import os
import time
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from llm_testing.errors import DamagedRun
from llm_testing.store.files import open_regular
from llm_testing.store.run_folder import RunFolder

BLOCK_BYTES = 1 << 20
_METRICS = (
    "step", "epoch", "train_loss", "val_loss", "val_bits_per_byte", "final_val_loss", "lr", "grad_norm",
    "tokens_seen", "tokens_per_s", "elapsed_s", "step_s", "peak_bytes",
)  # fmt: skip
COLUMNS = {"metrics": _METRICS, "samples": ("step", "prompt", "text", "at")}
"""What a table of each kind has."""
# A spreadsheet runs a cell that begins so as a formula; with some keyboards' settings the wide forms too.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


class Pipe(io.RawIOBase):
    """Where a zip is written; what has come so far is taken out block by block."""

    def __init__(self):
        self._blocks: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._blocks.append(bytes(data))
        return len(data)

    def taken(self) -> bytes:
        blocks, self._blocks = self._blocks, []
        return b"".join(blocks)


def zip_of(folders: Iterable[RunFolder], checkpoints: bool = True) -> Iterator[bytes]:
    """Runs as a zip, each under its id. Hidden files, links and files that vanish meanwhile are left out.

    Args:
        checkpoints: with the weights; without them it is a few kilobytes.
    """
    pipe = Pipe()
    # Weights do not shrink; storing them costs no time.
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_STORED) as archive:
        for folder in folders:
            for path in _files_of(folder.path):
                inside = path.relative_to(folder.path)
                if not checkpoints and inside.parts[0] == "checkpoints":
                    continue
                yield from _added(archive, pipe, path, f"{folder.run_id}/{inside.as_posix()}")
    yield pipe.taken()


def zip_of_folder(folder: Path, called: str) -> Iterator[bytes]:
    """A folder's files as a zip, under a name."""
    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_STORED) as archive:
        for path in _files_of(folder):
            yield from _added(archive, pipe, path, f"{called}/{path.relative_to(folder).as_posix()}")
    yield pipe.taken()


def _added(archive: zipfile.ZipFile, pipe: Pipe, path: Path, name: str) -> Iterator[bytes]:
    """One file put into a zip; what cannot be read any more is left out."""
    try:
        file = open_regular(path)
    except (OSError, DamagedRun):
        return
    with file, archive.open(_entry(name, file), "w", force_zip64=True) as entry:
        while block := file.read(BLOCK_BYTES):
            entry.write(block)
            yield pipe.taken()


def _entry(name: str, file: BinaryIO) -> zipfile.ZipInfo:
    """An entry with its file's own time, so that the same run gives the same zip; a zip knows no time before 1980."""
    changed = time.localtime(os.fstat(file.fileno()).st_mtime)
    return zipfile.ZipInfo(name, max(changed[:6], (1980, 1, 1, 0, 0, 0)))


def csv_of(rows: Iterable[dict], columns: tuple[str, ...]) -> Iterator[bytes]:
    """Rows as CSV in UTF-8; text that a spreadsheet would run as a formula gets a quote in front."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    for row in rows:
        writer.writerow([_cell(row.get(name)) for name in columns])
        if text.tell() > BLOCK_BYTES:
            yield text.getvalue().encode("utf-8", "replace")
            text.seek(0)
            text.truncate()
    yield text.getvalue().encode("utf-8", "replace")


def _cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _files_of(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.is_symlink():
            continue
        if path.is_dir():
            yield from _files_of(path)
        elif path.is_file():
            yield path
