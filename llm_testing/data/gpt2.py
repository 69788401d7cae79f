"""GPT-2's tokenizer by tiktoken: 50,257 tokens, the same ids as GPT-2. Its ranks are a download of 0.8 MB."""

import base64
import hashlib
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tiktoken
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from llm_testing.config.foreign import read_bytes
from llm_testing.data.tokenizers import END, FILE_NAME, WriteBytes, packed
from llm_testing.errors import DamagedFile, DownloadError
from llm_testing.hub.download import download_file
from llm_testing.jobs.progress import Check, Report

URL = "https://openaipublic.blob.core.windows.net/encodings/r50k_base.tiktoken"
SHA256 = "306cd27f03c1a714eca7108e03d66b7dc042abe8c258b44c199a7ed9838dd930"
FILE_NAME_RANKS = "r50k_base.tiktoken"
_MOST_BYTES = 1 << 21
VOCAB_SIZE = 50_257
# tiktoken_ext.openai_public.r50k_pat_str, which a newer tiktoken may rename.
PATTERN = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"


class Gpt2Tokenizer:
    """The ranks of r50k_base, in the order of their ids, and END as the last id."""

    kind = "gpt2"
    vocab_size = VOCAB_SIZE
    end_id = VOCAB_SIZE - 1

    def __init__(self, tokens: list[bytes]):
        if len(tokens) != VOCAB_SIZE - 1:
            raise ValueError(f"{len(tokens)} ranks instead of {VOCAB_SIZE - 1}")
        self._tokens = tokens
        self._encoding = tiktoken.Encoding(
            "gpt2",
            explicit_n_vocab=VOCAB_SIZE,
            pat_str=PATTERN,
            mergeable_ranks={token: rank for rank, token in enumerate(tokens)},
            special_tokens={END: self.end_id},
        )

    @classmethod
    def from_parts(cls, parts: dict) -> "Gpt2Tokenizer":
        return cls([base64.b64decode(token) for token in parts["tokens"]])

    def encode(self, text: str) -> list[int]:
        return self._encoding.encode_ordinary(text)

    def encode_pieces(self, texts: Sequence[str]) -> list[np.ndarray]:
        return [np.array(ids, np.uint32) for ids in self._encoding.encode_ordinary_batch(list(texts))]

    def decode(self, ids: Sequence[int]) -> str:
        return self._encoding.decode([int(i) for i in ids])

    def byte_lengths(self) -> np.ndarray:
        return np.array([*map(len, self._tokens), 0], np.int32)

    def to_bytes(self) -> bytes:
        return packed(kind=self.kind, tokens=[base64.b64encode(token).decode() for token in self._tokens])

    def save(self, folder: Path, write_bytes: WriteBytes) -> None:
        write_bytes(folder / FILE_NAME, self.to_bytes())

    def tokenizers_json(self) -> str:
        written = [_byte_level(token) for token in self._tokens]
        vocab = {text: rank for rank, text in enumerate(written)} | {END: self.end_id}
        ranks = {token: rank for rank, token in enumerate(self._tokens)}
        merges = []
        for token, rank in ranks.items():
            if len(token) > 1:
                left, right = _halves(token, rank, ranks)
                merges.append((_byte_level(left), _byte_level(right)))
        tokenizer = Tokenizer(models.BPE(vocab, merges))
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
        tokenizer.decoder = decoders.ByteLevel()
        tokenizer.add_special_tokens([END])
        return tokenizer.to_str()


def load_gpt2(cache_dir: Path, report: Report, check: Check) -> Gpt2Tokenizer:
    """GPT-2's tokenizer from tiktoken's own cache, from ours, or downloaded into ours once.

    Raises:
        DownloadError: it is not at hand and cannot be downloaded; names the tokenizers that are.
    """
    own = cache_dir / "downloads" / FILE_NAME_RANKS
    for path in (own, _tiktoken_cache() / hashlib.sha1(URL.encode(), usedforsecurity=False).hexdigest()):
        tokens = _read_ranks(path)
        if tokens:
            return Gpt2Tokenizer(tokens)
    try:
        download_file(URL, own, report, check, sha256=SHA256)
    except DownloadError as error:
        raise DownloadError(
            f"The gpt2 tokenizer is not at hand and could not be downloaded: {error} "
            "At hand without a network are the tokenizers bpe and char."
        ) from error
    tokens = _read_ranks(own)
    if tokens is None:
        raise DownloadError(f"{own} changed while it was read. Remove it and try again.")
    return Gpt2Tokenizer(tokens)


def _tiktoken_cache() -> Path:
    for variable in ("TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR"):  # as tiktoken.load looks them up
        if os.environ.get(variable):
            return Path(os.environ[variable])
    return Path(tempfile.gettempdir(), "data-gym-cache")


def _read_ranks(path: Path) -> list[bytes] | None:
    try:
        content = read_bytes(path, _MOST_BYTES)
    except DamagedFile:
        return None
    if hashlib.sha256(content).hexdigest() != SHA256:
        return None
    pairs = (line.split() for line in content.splitlines())
    ranks = {int(rank): base64.b64decode(token) for token, rank in pairs}
    return [ranks[i] for i in range(len(ranks))]


def _halves(token: bytes, rank: int, ranks: dict[bytes, int]) -> tuple[bytes, bytes]:
    """The two parts that were merged into a token: what merging by lower ranks alone leaves of it."""
    parts = [token[i : i + 1] for i in range(len(token))]
    while len(parts) > 2:
        pairs = [ranks.get(parts[i] + parts[i + 1], rank) for i in range(len(parts) - 1)]
        i = pairs.index(min(pairs))
        parts[i : i + 2] = [parts[i] + parts[i + 1]]
    return parts[0], parts[1]


def _byte_level(token: bytes) -> str:
    return "".join(_BYTE_LEVEL[byte] for byte in token)


def _byte_level_alphabet() -> list[str]:
    """GPT-2's printable character for each byte: itself where it is printable, else the next one from U+0100 on."""
    shown = {*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAC + 1), *range(0xAE, 0xFF + 1)}
    hidden = [byte for byte in range(256) if byte not in shown]
    return [chr(byte) if byte in shown else chr(0x100 + hidden.index(byte)) for byte in range(256)]


_BYTE_LEVEL = _byte_level_alphabet()
