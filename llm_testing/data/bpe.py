"""Byte-level BPE trained on the corpus itself: every text can be written, common words become one token."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from llm_testing.data.tokenizers import END, FILE_NAME, WriteBytes, packed

MIN_VOCAB_SIZE = 257
"""Every byte and the end token."""


class BpeTokenizer:
    """Byte-level BPE with GPT-2's splitting into words and no space put in front."""

    kind = "bpe"

    def __init__(self, tokenizers_json: str):
        self._json = tokenizers_json
        self._tokenizer = Tokenizer.from_str(tokenizers_json)
        self._tokenizer.encode_special_tokens = True  # the separator's text, inside a text, is text
        self.vocab_size = self._tokenizer.get_vocab_size()
        self.end_id = self._tokenizer.token_to_id(END)
        if self.end_id is None:
            raise ValueError(f"no token {END}")
        if (largest := max(self._tokenizer.get_vocab().values())) >= self.vocab_size:
            raise ValueError(f"a token has the number {largest}, of {self.vocab_size} tokens")

    @classmethod
    def train(cls, texts: Iterable[str], vocab_size: int) -> "BpeTokenizer":
        """Learn merges from texts; finds fewer than vocab_size tokens where the texts have too few pairs.

        An exception of the iterable (a stop) comes through. Merging itself cannot be stopped: about a second for
        4,096 tokens.
        """
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=vocab_size,
            special_tokens=[END],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        tokenizer.train_from_iterator(texts, trainer)
        return cls(tokenizer.to_str())

    @classmethod
    def from_parts(cls, parts: dict) -> "BpeTokenizer":
        return cls(parts["tokenizers_json"])

    def encode(self, text: str) -> list[int]:
        return self._tokenizer.encode(text).ids

    def encode_pieces(self, texts: Sequence[str]) -> list[np.ndarray]:
        return [np.array(encoding.ids, np.uint32) for encoding in self._tokenizer.encode_batch_fast(texts)]

    def decode(self, ids: Sequence[int]) -> str:
        return self._tokenizer.decode([int(i) for i in ids], skip_special_tokens=False)

    def byte_lengths(self) -> np.ndarray:
        lengths = np.zeros(self.vocab_size, np.int32)
        for token, token_id in self._tokenizer.get_vocab().items():
            lengths[token_id] = len(token)  # the byte-level alphabet has one character a byte
        lengths[self.end_id] = 0
        return lengths

    def to_bytes(self) -> bytes:
        return packed(kind=self.kind, tokenizers_json=self._json)

    def save(self, folder: Path, write_bytes: WriteBytes) -> None:
        write_bytes(folder / FILE_NAME, self.to_bytes())

    def tokenizers_json(self) -> str:
        return self._json
