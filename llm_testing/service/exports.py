"""Models to take away: a PEFT adapter, merged weights or a GGUF file, each with a model card; and to the Hub."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from llm_testing.config.escapes import escape_controls
from llm_testing.errors import BadRunId, ConfigError, NotFound, Problem, UserError
from llm_testing.hub.push import check_repo, push_folder, require_token
from llm_testing.jobs.progress import Check, never_cancel
from llm_testing.service.adapters import KIND, Adapters, is_adapter_path
from llm_testing.service.bases import Base
from llm_testing.service.cards import FORMS, model_card
from llm_testing.service.checkpoints import CheckpointRow, checkpoint_rows, find_weights
from llm_testing.service.copies import copies
from llm_testing.service.downloads import zip_of_folder
from llm_testing.service.kinds import config_of
from llm_testing.service.reader import Reader
from llm_testing.service.tuned import base_of_record, write_adapter
from llm_testing.store.files import need_folder, write_bytes
from llm_testing.store.ids import checkpoint_id
from llm_testing.store.run_folder import RunFolder
from llm_testing.store.runs import RunStore
from llm_testing.store.staging import clear_leftovers, filling, new_folder, new_staging, remove_tree

PUSH = "A repository of yours on the Hub, with the token of this program's environment."


class Exports:
    """Writes checkpoints of any run in the forms that others read."""

    def __init__(self, store: RunStore, adapters: Adapters, cache_dir: Path, reader: Reader):
        self._store, self._adapters, self._cache_dir, self._reader = store, adapters, cache_dir, reader

    def find(self, what: str | None) -> tuple[str, int]:
        """Run id and step of any form of name; None is the newest adapter.

        Raises:
            BadRunId, NotFound, DamagedRun: for one that is not there or not whole.
        """
        if what is None or is_adapter_path(what) or "/checkpoint-" in what:
            return self._adapters.find(what)
        return find_weights(self._store, what)

    def named(self, what: str | None) -> str:
        """The id of the checkpoint that any form of name means."""
        return checkpoint_id(*self.find(what))

    def forms(self, what: str | None) -> list[dict[str, str | None]]:
        """Every form with what it is and, where it is not to be had, why: {"form", "about", "refused"}; the Hub last.

        Raises:
            BadRunId, NotFound, DamagedRun: as `find`.
        """
        run_id, _ = self.find(what)
        record = self._store.open(run_id).record()
        asked = {form: lambda form=form: self._refuse(record, form) for form in FORMS} | {"push": require_token}
        found = []
        for form, refuse in asked.items():
            try:
                refuse()
                refused = None
            except UserError as error:
                refused = str(error)
            found.append({"form": form, "about": FORMS.get(form, PUSH), "refused": refused})
        return found

    def _refuse(self, record: dict[str, Any], form: str) -> None:
        from llm_testing.model.gguf_file import refuse_gguf  # noqa: PLC0415  (imports torch's readers)

        _refuse_form(record, form)
        if form == "gguf" and record["kind"] == KIND:
            base = base_of_record(record, self._cache_dir, self._reader)
            refuse_gguf(base.folder)

    def write(self, what: str | None, form: str, to: Path) -> Path:
        """Write a checkpoint as a folder; it appears under its name only when it is whole.

        Args:
            form: adapter, merged or gguf.

        Raises:
            ConfigError: for a form that this run does not have.
            WrongState: where something stands in its place.
            NoGguf: GGUF cannot be written here; says how llama.cpp does it.
        """
        run_id, step = self.find(what)
        with new_folder(to, run_id) as staging:
            self._write(run_id, step, form, staging)
        return to

    def zipped(self, what: str | None, form: str) -> tuple[str, Iterator[bytes]]:
        """A checkpoint in a form as a zip, in pieces, and what to call it; nothing of it stays here.

        Raises:
            As `write`, before the first piece.
        """
        run_id, step = self.find(what)
        folder = self._made(run_id, step, form)
        name = f"{run_id}-step-{step}-{form}"

        def pieces() -> Iterator[bytes]:
            try:
                yield from zip_of_folder(folder, name)
            finally:
                remove_tree(folder)

        return name, pieces()

    def push(self, what: str | None, repo: str, form: str, private: bool, check: Check = never_cancel) -> str:
        """Send a checkpoint in a form to the Hub; the address of its page.

        Raises:
            DownloadError: no token, or the Hub refuses.
            As `write`.
        """
        require_token()
        check_repo(repo)
        run_id, step = self.find(what)
        folder = self._made(run_id, step, form)
        try:
            return push_folder(folder, repo, private, f"{FORMS[form]} Run {run_id}, step {step:,}.", check)
        finally:
            remove_tree(folder)

    def repeat(self, run_id: str) -> dict[str, str]:
        """The command line, the YAML file and the Python lines that repeat a run."""
        return copies(config_of(self._store.open(run_id).record()))

    # Inside.

    def _made(self, run_id: str, step: int, form: str) -> Path:
        root = self._cache_dir / "exports"
        need_folder(root)
        clear_leftovers(root)
        with filling(root) as folder:
            self._write(run_id, step, form, folder)
        return folder

    def _write(self, run_id: str, step: int, form: str, folder: Path) -> None:
        run = self._store.open(run_id)
        record = run.record()
        _refuse_form(record, form)
        base = base_of_record(record, self._cache_dir, self._reader) if record["kind"] == KIND else None
        if form == "adapter":
            self._adapter(run, record, step, base, folder)
        elif form == "merged":
            self._merged(run_id, step, folder)
        else:
            self._gguf(run_id, step, record["name"], folder)
        card = model_card(record, self._reached(run_id, step), base, form)
        write_bytes(folder / "README.md", card.encode())

    def _adapter(self, run: RunFolder, record: dict, step: int, base: Base, folder: Path) -> None:
        checkpoint, finished = run.checkpoints.verify(step).path, run.path / "adapter"
        self._reader.between_steps(lambda: write_adapter(record, checkpoint, base, folder, finished))

    def _merged(self, run_id: str, step: int, folder: Path) -> None:
        self._reader.between_steps(lambda: self._reader.write_export(run_id, step, folder))

    def _gguf(self, run_id: str, step: int, name: str, folder: Path) -> None:
        from llm_testing.model.gguf_file import write_gguf  # noqa: PLC0415  (imports torch's readers)

        merged = new_staging(folder)
        try:
            self._merged(run_id, step, merged)
            # What loads the file prints its name on a terminal.
            write_gguf(merged, folder / "model.gguf", escape_controls(name))
        finally:
            remove_tree(merged)

    def _reached(self, run_id: str, step: int) -> dict[str, Any]:
        rows: list[CheckpointRow] = checkpoint_rows(self._store, run_id=run_id)
        row = next((row for row in rows if row.step == step), None)
        if row is None:
            raise NotFound(f"Run {run_id} has no checkpoint of step {step}.")
        return asdict(row)


def _refuse_form(record: dict, form: str) -> None:
    """Refuse a form that a run does not have.

    Raises:
        ConfigError: naming those that it has.
    """
    tuned = record["kind"] == KIND and record["config"].get("adapter") != "full"
    there = FORMS if tuned else [name for name in FORMS if name != "adapter"]
    if form not in there:
        why = "has no adapter, since its whole model was trained" if form == "adapter" else "cannot be written so"
        message = f"Run {record['run_id']} {why}. Forms that it has: {', '.join(there)}."
        raise ConfigError([Problem("form", message)])
    if not (record.get("data") or {}):
        raise BadRunId(f"Run {record['run_id']} has trained nothing yet.")
