"""What is known about prepared data: the part of a run's record that its options do not say."""

from dataclasses import dataclass


@dataclass(frozen=True)
class DataFacts:
    """Counts and identity of the tokens that a run trains and validates on.

    Args:
        corpus, val_corpus: as asked for; val_corpus None where the last tenth of the corpus is held out.
        tokenizer: bpe, char or gpt2.
        vocab_size: of the tokenizer as it is; bpe may have found fewer than asked for.
        train_tokens, val_tokens: with the end tokens between documents.
        train_bytes, val_bytes: UTF-8 bytes of the text, without end tokens; what bits per byte divide by.
        train_documents, val_documents: a document that the cut divides counts in both.
        fingerprint: sha256 (hex) over the text and every setting that the tokens depend on.
        tokenizer_trained_bytes: text that bpe was trained on; None for other tokenizers and reused ones.
        python: version of the Python whose library the text was taken from; None for other corpora.
        warnings: sentences for the user.
    """

    corpus: str
    val_corpus: str | None
    tokenizer: str
    vocab_size: int
    train_tokens: int
    val_tokens: int
    train_bytes: int
    val_bytes: int
    train_documents: int
    val_documents: int
    fingerprint: str
    tokenizer_trained_bytes: int | None
    python: str | None
    warnings: tuple[str, ...] = ()
