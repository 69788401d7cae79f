"""Examples as the model will see them, to look at before Start."""

from collections.abc import Callable
from dataclasses import dataclass

from llm_testing.data.answers import Tokens
from llm_testing.data.example_set import Read
from llm_testing.data.examples import RowProblem

NUM_BARS = 20
MOST_TOKENS = 2000
MOST_BYTES_A_CHARACTER = 4
_HALF = "\ufffd"


@dataclass(frozen=True)
class SeenTokens:
    """One sequence, as pairs of a token's text and whether the model is to learn it; cut counts what did not fit.

    Tokens that only together are a character are one piece.
    """

    where: str
    pieces: tuple[tuple[str, bool], ...]
    num_tokens: int
    num_learned: int
    cut: int


@dataclass(frozen=True)
class ExampleView:
    """What a dataset is to a model.

    Args:
        sequences: the first few.
        histogram: (from tokens, to tokens, sequences) of each bar, of the lengths before cutting.
        share_cut: of the sequences, those that lose their end.
        share_masked: of the tokens, those that are not learned.
        problems: every row that cannot be learned from.
    """

    data_format: str
    template: str
    num_rows: int
    num_sequences: int
    num_left_out: int
    num_tokens: int
    num_learned: int
    share_cut: float
    share_masked: float
    histogram: tuple[tuple[int, int, int], ...]
    sequences: tuple[SeenTokens, ...]
    problems: tuple[RowProblem, ...]


def view_of(found: Read, shown: Callable[[list[int]], str], num_shown: int) -> ExampleView:
    """Sum up what was read, and show the first sequences.

    Args:
        shown: some tokens as text, special ones too.
    """
    sequences = found.sequences
    tokens = sum(len(each.ids) for each in sequences)
    learned = sum(int(each.learned.sum()) for each in sequences)
    return ExampleView(
        data_format=found.data_format,
        template=found.template,
        num_rows=found.num_rows,
        num_sequences=len(sequences),
        num_left_out=found.num_left_out,
        num_tokens=tokens,
        num_learned=learned,
        share_cut=sum(each.cut > 0 for each in sequences) / max(len(sequences), 1),
        share_masked=1 - learned / tokens if tokens else 0.0,
        histogram=_histogram([len(each.ids) + each.cut for each in sequences]),
        sequences=tuple(_seen(each, shown) for each in sequences[:num_shown]),
        problems=tuple(found.problems),
    )


def _seen(tokens: Tokens, shown: Callable[[list[int]], str]) -> SeenTokens:
    ids, learned = tokens.ids[:MOST_TOKENS].tolist(), tokens.learned[:MOST_TOKENS].tolist()
    pieces, held = [], []
    for at, token in enumerate(ids):
        held.append(token)
        text = shown(held)
        last = at + 1 == len(ids) or learned[at + 1] != learned[at]
        # A character may be several tokens of bytes, of which none alone is text.
        if text.endswith(_HALF) and not last and len(held) < MOST_BYTES_A_CHARACTER:
            continue
        pieces.append((text, learned[at]))
        held = []
    return SeenTokens(tokens.where, tuple(pieces), len(tokens.ids), int(tokens.learned.sum()), tokens.cut)


def _histogram(lengths: list[int]) -> tuple[tuple[int, int, int], ...]:
    if not lengths:
        return ()
    width = -(-max(lengths) // NUM_BARS)
    counts = [0] * -(-max(lengths) // width)
    for length in lengths:
        counts[(length - 1) // width] += 1
    return tuple((i * width + 1, (i + 1) * width, count) for i, count in enumerate(counts))
