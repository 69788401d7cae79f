"""One token a character: the smallest vocabulary, and the one that can be followed by hand."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers

from llm_testing.data.tokenizers import END, FILE_NAME, WriteBytes, item_dtype, packed
from llm_testing.errors import DataError

UNKNOWN = "<|unk|>"
MAX_CHARACTERS = 1 << 16
_CODE_POINTS = 0x110000


class CharTokenizer:
    """Ids 0, 1, ... are the characters in the order of Unicode; then come END and UNKNOWN."""

    kind = "char"

    def __init__(self, characters: str):
        codes = _codes(characters)
        if len(codes) == 0 or not np.all(codes[1:] > codes[:-1]):
            raise ValueError("characters have to be distinct and in the order of Unicode")
        self.characters = characters
        self.end_id = len(codes)
        self.unknown_id = len(codes) + 1
        self.vocab_size = len(codes) + 2
        self._codes = codes
        self._id_of = np.full(_CODE_POINTS, self.unknown_id, item_dtype(self.vocab_size))
        self._id_of[codes] = np.arange(len(codes))

    @classmethod
    def train(cls, texts: Iterable[str]) -> "CharTokenizer":
        """Collect the distinct characters of texts.

        Raises:
            DataError: there are more than MAX_CHARACTERS.
        """
        seen = np.zeros(_CODE_POINTS, bool)
        for text in texts:
            seen[_codes(text)] = True
        codes = np.flatnonzero(seen).astype("<u4")
        if len(codes) > MAX_CHARACTERS:
            raise DataError(
                f"The corpus has {len(codes):,} distinct characters; the char tokenizer takes at most "
                f"{MAX_CHARACTERS:,}. Choose the bpe tokenizer, which can write every character."
            )
        return cls(codes.tobytes().decode("utf-32-le"))

    @classmethod
    def from_parts(cls, parts: dict) -> "CharTokenizer":
        return cls(parts["characters"])

    def encode(self, text: str) -> list[int]:
        return self._ids(text).tolist()

    def encode_pieces(self, texts: Sequence[str]) -> list[np.ndarray]:
        return [self._ids(text) for text in texts]

    def decode(self, ids: Sequence[int]) -> str:
        words = [*self.characters, END, UNKNOWN]
        return "".join(words[i] for i in ids)

    def byte_lengths(self) -> np.ndarray:
        ends = np.array([0x80, 0x800, 0x10000])  # where UTF-8 needs a second, third, fourth byte
        lengths = np.searchsorted(ends, self._codes, side="right") + 1
        return np.append(lengths, [0, 0]).astype(np.int32)

    def to_bytes(self) -> bytes:
        return packed(kind=self.kind, characters=self.characters)

    def save(self, folder: Path, write_bytes: WriteBytes) -> None:
        write_bytes(folder / FILE_NAME, self.to_bytes())

    def tokenizers_json(self) -> str:
        vocab = {character: i for i, character in enumerate(self.characters)}
        vocab |= {END: self.end_id, UNKNOWN: self.unknown_id}
        tokenizer = Tokenizer(models.WordLevel(vocab, unk_token=UNKNOWN))
        tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
        tokenizer.decoder = decoders.Fuse()
        tokenizer.add_special_tokens([END, UNKNOWN])
        return tokenizer.to_str()

    def _ids(self, text: str) -> np.ndarray:
        return self._id_of[_codes(text)]


def _codes(text: str) -> np.ndarray:
    # Half a surrogate pair cannot come from a file, but a prompt may hold one: it is unknown, not a crash.
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")
