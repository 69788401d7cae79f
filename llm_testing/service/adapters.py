"""The checkpoints of fine-tuning runs, found by every form of name that clients use, listed and deleted."""

import re

from llm_testing.config.foreign import typed_path
from llm_testing.errors import BadRunId, NotFound
from llm_testing.service.checkpoints import (
    CheckpointRow,
    Deleted,
    checkpoint_rows,
    delete_many,
    delete_one,
    find_checkpoint,
    find_weights,
)
from llm_testing.store.ids import check_run_id, checkpoint_id, step_of_folder
from llm_testing.store.runs import RunStore

KIND = "finetune"
# Clients of the earlier project name an adapter by what it was trained with: Qwen2.5-7B-Instruct_r32_n500.
_EARLIER = re.compile(r"(?P<adapter>[\w][\w. -]{0,119})/checkpoint-(?P<step>\d{1,12}|final)")
_OLD_NAME = re.compile(r"(?P<model>.+)_r(?P<rank>\d+)_n(?P<rows>\d+)")
FORMS = "20261123-101500-k3f9, 20261123-101500-k3f9/step-00000100, NAME/checkpoint-100 or NAME/checkpoint-final"


class Adapters:
    """What fine-tuning runs have saved."""

    def __init__(self, store: RunStore):
        self._store = store

    def rows(self, run_id: str | None = None) -> list[CheckpointRow]:
        """The checkpoints of all fine-tuning runs, or of one, newest first."""
        return checkpoint_rows(self._store, run_id=run_id, kind=KIND)

    def delete(self, keep_latest: bool) -> Deleted:
        """Delete them, but those of active runs and parents of forks; with keep_latest also each run's newest stays."""
        return delete_many(self._store, None, keep_latest, KIND)

    def row(self, text: str | None) -> CheckpointRow:
        """One of them by any form of its name; errors as `find`."""
        return find_checkpoint(self._store, checkpoint_id(*self.find(text)))

    def delete_one(self, text: str) -> Deleted:
        """Delete one, unless its run is active or another run was forked from it; errors as `find`."""
        return delete_one(self._store, checkpoint_id(*self.find(text)))

    def find(self, text: str | None) -> tuple[str, int]:
        """Run id and step that a name means; None is the newest of all.

        Args:
            text: a run for its newest checkpoint, a checkpoint's id, NAME/checkpoint-N of an earlier client (NAME is a
                run's name, id, or MODEL_rRANK_nROWS; the newest that fits is taken), or a path inside the runs folder.

        Raises:
            BadRunId: for text of no such form, and for a path that leads elsewhere.
            NotFound, DamagedRun: for one that is not there, or not whole.
        """
        if text is None:
            return self._tuned(*find_weights(self._store, None, KIND))
        if is_adapter_path(text):
            return self._at_path(text)
        if found := _EARLIER.fullmatch(text):
            return self._earlier(text, found["adapter"], found["step"])
        try:
            return self._tuned(*find_weights(self._store, text, KIND))
        except BadRunId:
            raise BadRunId(f"{ascii(text[:60])} names no adapter. An adapter is named like {FORMS}.") from None

    def has(self, text: str) -> bool:
        """Whether a name means an adapter, and not a checkpoint of a run that was trained from scratch."""
        try:
            self.find(text)
        except (BadRunId, NotFound):
            return False
        return True

    def _tuned(self, run_id: str, step: int) -> tuple[str, int]:
        if self._store.open(run_id).record()["kind"] != KIND:
            raise NotFound(f"Run {run_id} is no fine-tuning run, so it has no adapter.")
        return run_id, step

    def _at_path(self, text: str) -> tuple[str, int]:
        """runs/<run_id>, and adapter, export or checkpoints/step-... in it."""
        root, path = self._store.root.resolve(), typed_path(text).resolve()
        if not path.is_relative_to(root) or path == root:
            raise BadRunId(f"{ascii(text[:60])} is not inside the runs folder. Name an adapter like {FORMS}.")
        run_id, *inside = path.relative_to(root).parts
        check_run_id(run_id)
        if inside[:1] == ["checkpoints"] and len(inside) == 2 and step_of_folder(inside[1]) is not None:
            return self._tuned(*find_weights(self._store, f"{run_id}/{inside[1]}", KIND))
        if inside in ([], ["adapter"], ["export"]):
            return self._tuned(*find_weights(self._store, run_id, KIND))
        raise BadRunId(f"{ascii(text[:60])} is no adapter of a run. Name an adapter like {FORMS}.")

    def _earlier(self, text: str, adapter: str, step: str) -> tuple[str, int]:
        for row in self.rows():
            if row.damaged is None and step in ("final", str(row.step)) and self._is_called(row, adapter):
                return row.run_id, row.step
        raise NotFound(f"There is no adapter {text}. The list of checkpoints shows what there is.")

    def _is_called(self, row: CheckpointRow, adapter: str) -> bool:
        if adapter in (row.run_id, row.run_name, "adapter"):
            return True
        found = _OLD_NAME.fullmatch(adapter)
        if found is None:
            return False
        config = self._store.open(row.run_id).record()["config"]
        model = str(row.model_name).rpartition("/")[2]
        return (found["model"], found["rank"], found["rows"]) == (
            model,
            str(config.get("lora_r")),
            str(config.get("n_examples")),
        )


def is_adapter_path(text: str) -> bool:
    """Whether a name of an adapter is a path of this machine."""
    return text.startswith(("/", "~", ".")) or "\\" in text or text[1:2] == ":"
