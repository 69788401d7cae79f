"""The tokenizer that came with an open model: ids, where they stand in the text, and its chat template."""

import json
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
from transformers import AutoTokenizer

from llm_testing.config.foreign import read_object, reading
from llm_testing.errors import DamagedFile, DataError
from llm_testing.model.base_files import MAX_JSON_BYTES
from llm_testing.model.foreign_models import TOKENIZER

MOST_TOKENS = 1 << 24
_BYTE_TOKEN = re.compile(r"<0x[0-9A-Fa-f]{2}>")


class ChatTokenizer:
    """A tokenizer of the transformers kind, read from a folder that was checked.

    Raises:
        DataError: it cannot be read, or cannot say where its tokens stand in the text.
    """

    def __init__(self, folder: Path):
        self._name = f"The tokenizer in {folder.name}"
        with reading(self._name, TOKENIZER):
            inner = AutoTokenizer.from_pretrained(str(folder), trust_remote_code=False, local_files_only=True)
        if not inner.is_fast:
            raise DataError(f"The tokenizer in {folder.name} has no tokenizer.json, which is needed here.")
        self.inner = inner
        if inner.eos_token_id is None:
            raise DataError(f"The tokenizer in {folder.name} names no end token, so an answer could never end.")
        self.end_id: int = inner.eos_token_id
        self.pad_id: int = inner.pad_token_id if inner.pad_token_id is not None else self.end_id
        self.stop_ids = frozenset({self.end_id, *_generation_ends(folder)})
        with reading(self._name, TOKENIZER):
            self.begin_ids: list[int] = self._begins()

    def encode(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """Token ids, and the characters that each stands for; nothing is added, special tokens in it are read."""
        with reading(self._name, TOKENIZER):  # some find only in a text what they lack, such as a token for the unknown
            found = self.inner(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        return found["input_ids"], [tuple(offset) for offset in found["offset_mapping"]]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of token ids, special tokens left out."""
        return self.inner.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)

    def shown(self, ids: Sequence[int]) -> str:
        """Tokens as people may look at them, special ones too."""
        return self.inner.decode(list(ids), clean_up_tokenization_spaces=False)

    @property
    def template(self) -> str | None:
        """The Jinja source of the model's own chat template; the first of several, or that named default."""
        found = self.inner.chat_template
        if isinstance(found, dict):
            return found.get("default") or next(iter(found.values()), None)
        return found

    @property
    def named_tokens(self) -> dict[str, str]:
        """What templates may name: bos_token, eos_token and their like."""
        return {name: str(token) for name, token in self.inner.special_tokens_map.items() if isinstance(token, str)}

    def byte_lengths(self) -> np.ndarray:
        """UTF-8 bytes that each id stands for, (largest id + 1,) int32; 0 for special tokens."""
        vocabulary = self.inner.get_vocab()
        largest = max(vocabulary.values(), default=0)
        if largest >= MOST_TOKENS:
            raise DamagedFile(f"{self._name} has a token number {largest:,}; up to {MOST_TOKENS:,} are read.")
        lengths = np.zeros(largest + 1, np.int32)
        backend = json.loads(self.inner.backend_tokenizer.to_str())
        by_byte = '"ByteLevel"' in json.dumps([backend.get("decoder"), backend.get("pre_tokenizer")])
        special = set(self.inner.all_special_ids) | set(self.inner.added_tokens_decoder)
        for token, number in vocabulary.items():
            if number in special:
                continue
            if by_byte:
                # Byte-level encodings write each byte as one character of their own alphabet.
                lengths[number] = len(token)
            else:
                lengths[number] = 1 if _BYTE_TOKEN.fullmatch(token) else len(token.replace("\u2581", " ").encode())
        return lengths

    def save(self, folder: Path, template: str | None = None) -> None:
        """Write the tokenizer's files into a folder.

        Args:
            template: Jinja source that conversations were written by, if not the model's own; it goes with the files,
                so that others write them alike.
        """
        before = self.inner.chat_template
        self.inner.chat_template = template or before
        try:
            self.inner.save_pretrained(str(folder))
        finally:
            self.inner.chat_template = before

    def _begins(self) -> list[int]:
        """What the tokenizer puts before a text of its own accord."""
        plain = self.inner("a", add_special_tokens=False)["input_ids"]
        whole = self.inner("a", add_special_tokens=True)["input_ids"]
        return whole[: len(whole) - len(plain)] if whole[-len(plain) :] == plain else whole[: whole.index(plain[0])]


def _generation_ends(folder: Path) -> list[int]:
    """End tokens that the model's generation settings name."""
    with suppress(DamagedFile):  # the tokenizer has an end of its own
        value = read_object(folder / "generation_config.json", MAX_JSON_BYTES).get("eos_token_id")
        return [end for end in (value if isinstance(value, list) else [value]) if isinstance(end, int)]
    return []
