"""Looking at runs: curves by cursor, details, and what a checkpoint says and becomes."""

import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from llm_testing.config.pretrain import PretrainConfig
from llm_testing.data.chats import Chat
from llm_testing.data.tokenizers import Tokenizer, load_tokenizer
from llm_testing.errors import NotFound, UserError
from llm_testing.model.export import export_gpt2
from llm_testing.model.generate import Sampling, Writes
from llm_testing.service.records import damage_of, state_of, whole_config
from llm_testing.service.tuned import base_of_record, open_tuned, write_merged
from llm_testing.service.views import Points
from llm_testing.service.writing import written
from llm_testing.store.damage import Damage
from llm_testing.store.ids import checkpoint_id, parse_checkpoint_id
from llm_testing.store.lines import is_beyond, is_rewind
from llm_testing.store.run_folder import JournalName, RunFolder
from llm_testing.store.runs import RunStore
from llm_testing.store.staging import new_folder
from llm_testing.train.session import load_model

_FOLLOWED = 16
MOST_ROWS_OF_ONE = 1_000_000
"""A run of a million points is listed whole; curves are drawn of any number."""
_MOST_ROWS = 200_000
"""Kept of all followed journals: a row is about a kilobyte."""


class Followed:
    """One journal of a run, read on from where the last look ended, with rewinds applied."""

    def __init__(self, folder: RunFolder, name: JournalName):
        self._reader = folder.reader(name)
        self._lock = threading.Lock()
        self._rows: list[dict] = []
        self._rewinds: list[tuple[int, int]] = []
        self.left_out = Damage()
        """Tells of rows that are too many to be kept."""

    def __len__(self) -> int:
        return len(self._rows)

    def damage(self) -> Damage:
        """What of the journal could not be used so far."""
        with self._lock:
            return self._reader.damage.with_others([self.left_out])

    def _read_on(self) -> None:
        while not self.left_out:
            for record in self._reader.poll():
                if is_rewind(record):
                    step = record["to_step"]
                    self._rewinds.append((record["n"], step))
                    self._rows = [row for row in self._rows if not is_beyond(row, step)]
                else:
                    self._rows.append(record)
            if not self._reader.has_more:
                return
            if len(self._rows) >= MOST_ROWS_OF_ONE:
                said = f"more rows than the {MOST_ROWS_OF_ONE:,} that are listed; the others are left out"
                self.left_out.cut(self._reader.path.name, None, "", said)

    def after(self, cursor: int) -> Points:
        """Rows numbered above the cursor."""
        with self._lock:
            self._read_on()
            newest = max([self._rows[-1]["n"] if self._rows else -1, *(n for n, _ in self._rewinds)])
            rewound = [step for n, step in self._rewinds if n > cursor]
            if cursor < 0:
                rewound = []
            first = bisect_right(self._rows, cursor, key=lambda row: row["n"])  # numbers rise, rewinds only cut
            return Points(self._rows[first:], newest, min(rewound) if rewound else None)


class Reader:
    """Reads the runs of a store; threads may share it.

    Args:
        cache_dir: where base models are.
        between_steps: gives what work gives that loads an open model, at a time when no training step is computed.
    """

    def __init__(self, store: RunStore, cache_dir: Path, between_steps: Callable[[Callable[[], Any]], Any]):
        self._store, self._cache_dir, self.between_steps = store, cache_dir, between_steps
        self._lock = threading.Lock()
        self._followed: OrderedDict[tuple[str, str], Followed] = OrderedDict()

    def after(self, run_id: str, name: JournalName, cursor: int) -> Points:
        """Rows of a run's journal after a cursor; -1 asks for all."""
        return self._read(run_id, name, cursor)[0]

    def damage(self, run_id: str, name: JournalName) -> Damage:
        """What of a run's journal cannot be used."""
        return self._read(run_id, name, -1)[1].damage()

    def left_out(self, run_id: str, name: JournalName) -> Damage:
        """Tells of rows that `after` leaves out, being too many."""
        with self._lock:
            followed = self._followed.get((run_id, name))
        return followed.left_out if followed else Damage()

    def _read(self, run_id: str, name: JournalName, cursor: int) -> tuple[Points, Followed]:
        folder = self._store.open(run_id)
        with self._lock:
            key = (run_id, name)
            followed = self._followed.pop(key, None) or Followed(folder, name)
            self._followed[key] = followed
        news = followed.after(cursor)
        with self._lock:
            num_rows = sum(map(len, self._followed.values()))
            while len(self._followed) > 1 and (len(self._followed) > _FOLLOWED or num_rows > _MOST_ROWS):
                _, oldest = self._followed.popitem(last=False)
                num_rows -= len(oldest)
        return news, followed

    def details(self, run_id: str) -> dict[str, Any]:
        """The record with its effective state and its checkpoints; damage is that of record and manifests."""
        folder = self._store.open(run_id)
        record = folder.record()
        infos = folder.checkpoints.list()
        damage = damage_of(record).with_others(info.wrong for info in infos)
        return {
            **record,
            "state": state_of(record),
            "checkpoints": [
                {
                    **info.facts,
                    "id": checkpoint_id(run_id, info.step),
                    "step": info.step,
                    "bytes": info.bytes,
                    "damaged": info.damaged,
                }
                for info in infos
            ],  # fmt: skip
            "bytes": self._store.size_bytes(run_id),
            "damaged": damage.in_words(),
            "damage": damage.as_record() if damage else None,
        }

    def generate(
        self,
        run_id: str,
        step: int,
        prompt: str,
        sampling: Sampling,
        on_token: Callable[[], None] = lambda: None,
    ) -> Iterator[str]:
        """Continue a prompt with a checkpoint, piece by piece; only whole characters are given."""
        return written(*self.open_model(run_id, step), prompt, sampling, on_token)

    def export(self, run_id: str, step: int, to: Path) -> Path:
        """Write a checkpoint as a transformers folder; it appears under its name only when it is whole.

        Raises:
            WrongState: where something stands in its place.
        """
        with new_folder(to, run_id) as staging:
            self.write_export(run_id, step, staging)
        return to

    def write_export(self, run_id: str, step: int, folder: Path) -> None:
        """Write a checkpoint's whole model into an empty folder."""
        source = self._store.open(run_id)
        record = source.record()
        if record["kind"] == "finetune":
            base, checkpoint = base_of_record(record, self._cache_dir, self), source.checkpoints.verify(step).path
            self.between_steps(lambda: write_merged(record, checkpoint, base, folder))
            return
        model, tokenizer = self.open_model(run_id, step)
        export_gpt2(model, tokenizer.tokenizers_json(), tokenizer.end_id, folder)

    def export_named(self, what: str, root: Path) -> tuple[str, Path]:
        """A checkpoint, or a run's newest one, in a folder of its own under root, made when first asked for.

        Returns:
            The checkpoint's id, and the folder.
        """
        if "/" in what:
            run_id, step = parse_checkpoint_id(what)
        else:
            newest = self._store.open(what).checkpoints.newest()
            if newest is None:
                raise NotFound(f"Run {what} has no whole checkpoint, so it cannot be a base model.")
            run_id, step = what, newest.step
        folder = root / f"{run_id}-{step}"
        if not folder.is_dir():
            self.export(run_id, step, folder)
        return checkpoint_id(run_id, step), folder

    def open_model(self, run_id: str, step: int) -> tuple[Writes, Tokenizer | Chat]:
        """A checkpoint's model in evaluation mode, on the CPU, and what turns text into its tokens and back."""
        folder = self._store.open(run_id)
        record = folder.record()
        if record["kind"] == "finetune":
            path = folder.checkpoints.verify(step).path
            base = base_of_record(record, self._cache_dir, self)
            return self.between_steps(lambda: open_tuned(record, path, base))
        vocab_size = record["data"].get("vocab_size")
        if not isinstance(vocab_size, int):
            raise UserError(f"Run {run_id} does not say how large its vocabulary is, so its weights cannot be read.")
        path = folder.checkpoints.verify(step).path
        model = load_model(PretrainConfig.build(whole_config(record)), vocab_size, path / "model.safetensors")
        return model, load_tokenizer(folder.path)
