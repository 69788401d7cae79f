"""Checkpoints: folders renamed into place when they are whole, each with a manifest of sizes and SHA-256 sums.

    checkpoints/step-00001000/   model.safetensors  state.pt  manifest.json (written last)

There is no file that says which one is the latest: the newest folder whose sums agree is, else the one before. A sum is
needed because neither safetensors nor torch's own format notices a flipped bit.
"""

import hashlib
import re
import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from llm_testing.errors import DamagedRun, DiskRefused, NotEnoughDisk, NotFound, WrongState
from llm_testing.store import files
from llm_testing.store.changes import Changes
from llm_testing.store.damage import Damage, described
from llm_testing.store.ids import step_folder, step_of_folder
from llm_testing.store.run_shapes import FACTS
from llm_testing.store.shapes import Look
from llm_testing.store.staging import clear_leftovers, new_staging, remove_folder, remove_tree

MANIFEST = "manifest.json"
SCHEMA = 1
# Room to ask for before a save, in sizes of the newest checkpoint: file systems need some of their own.
_ROOM = 1.2
_MOST_FILES = 1000
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_SET_ASIDE = re.compile(r"\.old-(step-[0-9]{8,12})-[0-9a-f]{12}")


@dataclass(frozen=True)
class CheckpointInfo:
    """What a checkpoint's manifest says, without reading its big files.

    Args:
        facts: what its writer wanted to be known: kind, losses, versions.
        bytes: the size of its files by the manifest.
        damaged: why it cannot be used, or None. Sizes are compared, sums are not: `verify` does that.
        wrong: what of the facts did not fit their shape, and is blank.
    """

    step: int
    path: Path
    facts: dict
    bytes: int
    damaged: str | None
    wrong: Damage = field(default_factory=Damage, compare=False)


class Checkpoints:
    """The checkpoints of one run. One thread writes; others may list, verify and delete meanwhile."""

    def __init__(self, folder: Path, changes: Changes | None = None):
        self.folder = folder
        self._changes = changes or Changes()
        self._lock = threading.RLock()
        self._refused = False

    def write(self, step: int, contents: dict[str, Callable[[BinaryIO], object]], facts: dict) -> Path:
        """Save a step; when it returns the checkpoint survives a power cut. One of the same step is replaced.

        Args:
            contents: for each file name, what writes it. The file it gets cannot seek.

        Raises:
            NotEnoughDisk: before or while writing; nothing saved before is lost.
        """
        target = self.folder / step_folder(step)
        for name in contents:
            if not _FILE_NAME.fullmatch(name) or name == MANIFEST:
                raise ValueError(f"{name!r} cannot be a checkpoint's file: use letters, digits, dots and dashes.")
        with self._lock:
            files.need_folder(self.folder)
            self._finish_what_a_crash_left()
            self._check_room(_num_bytes(contents) if self._refused else None)
            staging = new_staging(self.folder)
            try:
                written = {name: files.write_new(staging / name, write) for name, write in contents.items()}
                sums = {name: {"bytes": done.bytes, "sha256": done.sha256} for name, done in written.items()}
                manifest = {"schema": SCHEMA, "step": step, "files": sums, "facts": facts}
                files.write_json(staging / MANIFEST, manifest)
                self._rename_into_place(staging, target)
            except NotEnoughDisk:
                remove_tree(staging)
                # The next try need not fill the disk to find out, and whoever waits is told how much it takes.
                self._refused = True
                self._check_room(_num_bytes(contents))
                raise
            except BaseException:
                remove_tree(staging)
                raise
            self._refused = False
        self._changes.add()
        return target

    def list(self) -> list[CheckpointInfo]:
        """All checkpoints by step, damaged ones too; reads the manifests only.

        Raises:
            DamagedRun: if this user may not read the folder: whether there are any is not known then.
        """
        try:
            return [_info(step, path) for step, path in sorted(self._by_step().items())]
        except OSError as error:
            raise files.unreadable(self.folder, error) from error

    def _by_step(self) -> dict[int, Path]:
        found: dict[int, Path] = {}
        if self.folder.is_symlink() or not self.folder.is_dir():
            return found
        for path in self.folder.iterdir():
            aside = _SET_ASIDE.fullmatch(path.name)
            step = step_of_folder(aside[1] if aside else path.name)
            # A crash between the two renames of a replacement leaves only the copy set aside: it counts.
            if step is not None and not path.is_symlink() and path.is_dir() and not (aside and step in found):
                found[step] = path
        return found

    def newest(self, verify: bool = True) -> CheckpointInfo | None:
        """The newest checkpoint that can be used: its sums agree, or with verify=False its sizes."""
        return self._newest_of(self.list(), verify)

    def newest_before(self, step: int, verify: bool = True) -> CheckpointInfo | None:
        """The newest usable checkpoint of an earlier step."""
        return self._newest_of([info for info in self.list() if info.step < step], verify)

    def get(self, step: int) -> CheckpointInfo:
        """One checkpoint.

        Raises:
            NotFound: if there is none of that step.
        """
        for info in self.list():
            if info.step == step:
                return info
        raise NotFound(f"There is no checkpoint of step {step}. There are: {self._steps_in_words()}.")

    def verify(self, step: int) -> CheckpointInfo:
        """Read every byte of a checkpoint and compare the sums.

        Raises:
            DamagedRun: naming the file.
        """
        info = self.get(step)
        if info.damaged:
            raise DamagedRun(info.damaged)
        for name, expected in _read_manifest(info.path)["files"].items():
            with _open(info.path / name) as file:
                actual = hashlib.file_digest(file, "sha256").hexdigest()
            if actual != expected["sha256"]:
                raise DamagedRun(
                    f"{info.path / name} has changed since it was saved: its SHA-256 is {actual[:12]}..., "
                    f"the manifest says {expected['sha256'][:12]}.... Use an earlier checkpoint of this run."
                )
        return info

    def delete(self, step: int, protect: Collection[int] = ()) -> None:
        """Remove a checkpoint: in one step for readers, the bytes afterwards.

        Raises:
            WrongState: if step is one of protect.
            NotFound: if there is none of that step.
        """
        if step in protect:
            raise WrongState(f"The checkpoint of step {step} is still needed, so it is not deleted.")
        with self._lock:
            remove_folder(self.get(step).path)
        self._changes.add()

    def update_facts(self, step: int, **facts: object) -> CheckpointInfo:
        """Change what is known about a checkpoint, for instance that it is the best one now."""
        with self._lock:
            path = self.get(step).path
            clear_leftovers(path)
            manifest = _read_manifest(path)
            files.write_json(path / MANIFEST, {**manifest, "facts": {**manifest["facts"], **facts}})
            return _info(step, path)

    def _newest_of(self, infos: Sequence[CheckpointInfo], verify: bool) -> CheckpointInfo | None:
        for info in reversed(infos):
            if info.damaged:
                continue
            try:
                return self.verify(info.step) if verify else info
            except (DamagedRun, NotFound):
                continue
        return None

    def _finish_what_a_crash_left(self) -> None:
        for path in list(self.folder.iterdir()):
            if aside := _SET_ASIDE.fullmatch(path.name):
                target = self.folder / aside[1]
                if target.exists():
                    remove_tree(path)
                else:
                    files.replace_path(path, target)
        clear_leftovers(self.folder)

    def _check_room(self, num_bytes: int | None) -> None:
        """Refuse what would fill the disk; with no size given it is taken to be as large as the newest."""
        if num_bytes is None:
            newest = self._newest_of(self.list(), verify=False)
            num_bytes = newest.bytes if newest else 0
        free, needed = files.free_bytes(self.folder), int(num_bytes * _ROOM)
        if free < needed:
            raise NotEnoughDisk(
                f"The disk is full: a checkpoint needs about {needed:,} bytes but {self.folder} has {free:,} bytes "
                f"free. Nothing was written. Free some space there, or keep fewer checkpoints.",
                needed,
                free,
            )

    def _rename_into_place(self, staging: Path, target: Path) -> None:
        aside = None
        if target.exists():
            aside = target.with_name(f".old-{target.name}-{uuid4().hex[:12]}")
            files.replace_path(target, aside)
        try:
            files.replace_path(staging, target)
        except (OSError, DiskRefused):
            if aside is not None:
                files.replace_path(aside, target)
            raise
        files.sync_folder(self.folder)
        if aside is not None:
            remove_tree(aside)

    def _steps_in_words(self) -> str:
        return ", ".join(str(info.step) for info in self.list()) or "none yet"


def _num_bytes(contents: dict[str, Callable[[BinaryIO], object]]) -> int:
    return sum(map(files.num_bytes_of, contents.values()))


def _info(step: int, path: Path) -> CheckpointInfo:
    try:
        manifest = _read_manifest(path)
        if manifest["step"] != step:
            said = described(manifest["step"])
            raise DamagedRun(f"{path / MANIFEST} says that its step is {said}, its folder says {step}.")
        wrong, sums = Damage(), manifest["files"]
        facts = FACTS.held(manifest["facts"], "facts", Look(wrong, f"{path.name}/{MANIFEST}"))
        for name, expected in sums.items():
            with _open(path / name) as file:
                size = file.seek(0, 2)
            if size != expected["bytes"]:
                raise DamagedRun(f"{path / name} has {size:,} bytes where {expected['bytes']:,} were saved.")
    except DamagedRun as error:
        return CheckpointInfo(step, path, {}, 0, str(error))
    return CheckpointInfo(step, path, facts, sum(expected["bytes"] for expected in sums.values()), None, wrong)


def _read_manifest(path: Path) -> dict:
    """A manifest of which every field that is used has its type; its file names cannot leave the folder."""
    manifest = files.read_json(path / MANIFEST)
    schema, sums = manifest.get("schema"), manifest.get("files")
    if schema != SCHEMA:
        raise DamagedRun(f"{path / MANIFEST} has schema {repr(schema)[:60]}; this version reads {SCHEMA}.")
    if not isinstance(manifest.get("step"), int) or not isinstance(manifest.get("facts"), dict):
        raise DamagedRun(f"{path / MANIFEST} has no step or no facts.")
    listed = isinstance(sums, dict) and len(sums) <= _MOST_FILES
    if not listed or not all(_is_sum(name, expected) for name, expected in sums.items()):
        raise DamagedRun(f"{path / MANIFEST} has no usable list of files.")
    return manifest


def _is_sum(name: str, expected: object) -> bool:
    return (
        _FILE_NAME.fullmatch(name) is not None
        and isinstance(expected, dict)
        and type(expected.get("bytes")) is int
        and isinstance(expected.get("sha256"), str)
    )


def _open(path: Path) -> BinaryIO:
    try:
        return files.open_regular(path)
    except FileNotFoundError as error:
        raise DamagedRun(f"{path} is missing.") from error
