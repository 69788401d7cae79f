"""From a corpus and a tokenizer to token files, cached by the content of both.

    open the corpus, read it once (count, hash)  ->  tokenizer: given, loaded, or trained on the training part
    ->  fingerprint of text, split and tokenizer  ->  the cached token files of that fingerprint, or tokenise

A second call on the same text reads the text for its hash and nothing else but the files it hands out.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from llm_testing.config.facts import DataFacts
from llm_testing.data import cache
from llm_testing.data.bpe import MIN_VOCAB_SIZE, BpeTokenizer
from llm_testing.data.char import CharTokenizer
from llm_testing.data.corpora import open_corpus
from llm_testing.data.documents import Documents
from llm_testing.data.gpt2 import load_gpt2
from llm_testing.data.split import SAMPLE_BYTES, Measured, Part, TextDigest, changed, halves, measure, whole
from llm_testing.data.tokenfile import TokenFile, tokenise
from llm_testing.data.tokenizers import KINDS, Tokenizer
from llm_testing.errors import ConfigError, DataError, Problem
from llm_testing.hub.disk import require_free
from llm_testing.hub.pace import Pace
from llm_testing.jobs.progress import Check, Report

RULES = 1
"""Number of the rules of cutting, joining and tokenising; a change of them is another fingerprint."""

MIN_TOKENS = 2


@dataclass(frozen=True)
class PreparedData:
    """What a run trains and validates on."""

    train: TokenFile
    val: TokenFile
    tokenizer: Tokenizer
    facts: DataFacts


@dataclass(frozen=True)
class _Texts:
    """The opened corpora and their parts."""

    corpus: Documents
    measured: Measured
    val_corpus: Documents | None
    val_measured: Measured | None
    train: Part
    val: Part

    def identity(self) -> list:
        """What the parts depend on; the Python is named because the built-in corpora are taken from it."""
        val = [self.val_measured.sha256, self.val_corpus.python] if self.val_measured else "last tenth"
        return [RULES, self.measured.sha256, self.corpus.python, val]


def prepare(
    corpus: str,
    val_corpus: str | None,
    tokenizer: str,
    vocab_size: int,
    cache_dir: Path,
    report: Report,
    check: Check,
    reuse_tokenizer: Tokenizer | None = None,
) -> PreparedData:
    """Token files of a corpus, made or found in the cache.

    Args:
        corpus, val_corpus: see data.corpora; without val_corpus the last tenth of the characters is held out.
        tokenizer: bpe, char or gpt2.
        vocab_size: of bpe.
        cache_dir: holds downloads, trained tokenizers and token files; is made.
        reuse_tokenizer: take this one instead of training or loading one: to go on with a model that has it.

    Raises:
        DataError: the corpus is missing, is no text, or gives under MIN_TOKENS tokens in a split.
        DownloadError: corpus or tokenizer cannot be downloaded; names what is at hand.
        NotEnoughDisk: the token files do not fit.
        Cancelled: from check; nothing half-made is kept as done.
    """
    _refuse(tokenizer, vocab_size, reuse_tokenizer)
    texts = _open(corpus, val_corpus, cache_dir, report, check)
    made, trained_bytes = reuse_tokenizer, None
    if made is None:
        made, trained_bytes = _tokenizer(texts, tokenizer, vocab_size, cache_dir, report, check)
    fingerprint = _digest([*texts.identity(), made.kind, hashlib.sha256(made.to_bytes()).hexdigest()])
    folder = cache_dir / "tokens" / fingerprint
    entry = cache.find(folder, report, check)
    if entry is None:
        entry = _tokenise(texts, made, folder, report, check)
    facts = DataFacts(
        corpus=corpus,
        val_corpus=val_corpus,
        tokenizer=made.kind,
        vocab_size=made.vocab_size,
        train_tokens=entry.train.num_tokens,
        val_tokens=entry.val.num_tokens,
        train_bytes=entry.train.num_bytes,
        val_bytes=entry.val.num_bytes,
        train_documents=entry.train.num_documents,
        val_documents=entry.val.num_documents,
        fingerprint=fingerprint,
        tokenizer_trained_bytes=trained_bytes,
        python=texts.corpus.python,
        warnings=tuple(_warnings(texts, made, vocab_size, entry, reused=reuse_tokenizer is not None)),
    )
    return PreparedData(entry.train, entry.val, made, facts)


def _refuse(tokenizer: str, vocab_size: int, reuse_tokenizer: Tokenizer | None) -> None:
    if reuse_tokenizer is not None:
        return
    if tokenizer not in KINDS:
        raise ConfigError([Problem("tokenizer", f"{tokenizer!r} is not a tokenizer; accepted are {', '.join(KINDS)}.")])
    if tokenizer == "bpe" and vocab_size < MIN_VOCAB_SIZE:
        problem = f"{vocab_size} is too few: every byte and the end token need {MIN_VOCAB_SIZE}."
        raise ConfigError([Problem("vocab_size", problem)])


def _open(corpus: str, val_corpus: str | None, cache_dir: Path, report: Report, check: Check) -> _Texts:
    documents = open_corpus(corpus, cache_dir, report, check)
    measured = measure(documents, report, check)
    if val_corpus is None:
        train, val = halves(documents, measured)
        return _Texts(documents, measured, None, None, train, val)
    held_out = open_corpus(val_corpus, cache_dir, report, check)
    val_measured = measure(held_out, report, check)
    train, val = whole(documents, measured), whole(held_out, val_measured)
    return _Texts(documents, measured, held_out, val_measured, train, val)


def _tokenizer(
    texts: _Texts, kind: str, vocab_size: int, cache_dir: Path, report: Report, check: Check
) -> tuple[Tokenizer, int | None]:
    """The tokenizer, and the bytes it was trained on where it is bpe."""
    if kind == "gpt2":
        return load_gpt2(cache_dir, report, check), None
    settings = [vocab_size, SAMPLE_BYTES] if kind == "bpe" else []
    path = cache_dir / "tokenizers" / f"{_digest([*texts.identity(), kind, *settings])}.json"
    found = cache.find_tokenizer(path)
    if found is None:
        if texts.train.num_chars == 0:
            raise _too_short(texts.corpus.name, "train", 0)
        pace = Pace(report, check, f"training the {kind} tokenizer", texts.train.num_chars, "characters")
        found = _train(texts.train, kind, vocab_size, pace)
        pace.finish()
        cache.keep_tokenizer(path, *found)
    return found


def _train(part: Part, kind: str, vocab_size: int, pace: Pace) -> tuple[Tokenizer, int | None]:
    if kind == "char":
        return CharTokenizer.train(_paced((piece.text for piece in part.pieces()), pace)), None
    trained_bytes = 0

    def counted():
        nonlocal trained_bytes
        for text in _paced(part.sample(), pace):
            trained_bytes += len(text.encode())
            yield text

    return BpeTokenizer.train(counted(), vocab_size), trained_bytes


def _paced(texts, pace: Pace):
    for text in texts:
        yield text
        pace.add(len(text))


def _tokenise(texts: _Texts, made: Tokenizer, folder: Path, report: Report, check: Check) -> cache.Entry:
    # char: one id a character. Else a bound from below, about half of what English takes.
    least = texts.train.num_chars + texts.val.num_chars
    require_free(folder, 2 * (least if made.kind == "char" else least // 8), "The token file")
    pace = Pace(report, check, "tokenising", texts.train.num_chars + texts.val.num_chars, "characters")
    unknown_id = getattr(made, "unknown_id", None)
    with cache.staged(folder) as staging:
        # The two parts of one corpus, read one after the other, have the digest of the whole again.
        digest = TextDigest()
        val_digest = TextDigest() if texts.val_measured else digest
        counts, files = {}, {}
        for name, part, reading in (("train", texts.train, digest), ("val", texts.val, val_digest)):
            path = staging / f"{name}.tokens"
            counts[name], written = tokenise(reading.reading(part.pieces()), made, path, pace, unknown_id)
            files |= written
            if counts[name].num_tokens < MIN_TOKENS:
                raise _too_short(part.documents.name, name, counts[name].num_tokens)
        pace.finish()
        # Other text than was measured would be cached under a wrong name.
        if digest.hexdigest() != texts.measured.sha256:
            raise changed(texts.corpus)
        if texts.val_measured and val_digest.hexdigest() != texts.val_measured.sha256:
            raise changed(texts.val_corpus)
        return cache.publish(staging, folder, made.vocab_size, counts, files)


def _too_short(name: str, part: str, num_tokens: int) -> DataError:
    purpose = "train on" if part == "train" else "validate on"
    return DataError(
        f"{name} is too short: it leaves {num_tokens} tokens to {purpose}, at least {MIN_TOKENS} are needed. Use a "
        "longer text, or give one to validate on."
    )


def _warnings(texts: _Texts, made: Tokenizer, vocab_size: int, entry: cache.Entry, reused: bool) -> list[str]:
    warnings = []
    if made.kind == "bpe" and not reused and made.vocab_size < vocab_size:
        warnings.append(
            f"The training text has pairs for {made.vocab_size:,} tokens only; vocab_size {vocab_size:,} was asked for."
        )
    for name, part in (("training", entry.num_unknown_train), ("validation", entry.num_unknown_val)):
        if part:
            warnings.append(
                f"{part:,} characters of the {name} text do not occur in what the char tokenizer was made from; "
                "they are read as one unknown token."
            )
    if texts.val_measured and texts.val_measured.sha256 == texts.measured.sha256:
        warnings.append("The validation text is the training text, so the validation loss says nothing about new text.")
    return warnings


def _digest(parts: list) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
