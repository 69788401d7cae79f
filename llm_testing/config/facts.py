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


@dataclass(frozen=True)
class ExampleFacts:
    """Counts and identity of the examples that a fine-tuning run trains and validates on.

    Args:
        data_format, template: as found, never "auto"; template "model" is the model's own.
        num_rows: taken from the dataset, those that were left out included.
        train_sequences, val_sequences: what an epoch reads, after splitting, and after packing where it is on.
        train_tokens, val_tokens: without padding.
        learned_tokens: of train_tokens, those that the loss counts.
        num_cut: sequences that did not fit and lost their end.
        num_left_out: rows with nothing to learn in what was kept of them.
        longest: tokens of the longest sequence before it was cut.
        fingerprint: sha256 (hex) over tokens and marks, in order.
        warnings: sentences for the user.
    """

    dataset: str
    data_format: str
    template: str
    num_rows: int
    train_sequences: int
    val_sequences: int
    train_tokens: int
    val_tokens: int
    learned_tokens: int
    num_cut: int
    num_left_out: int
    longest: int
    fingerprint: str
    warnings: tuple[str, ...] = ()
