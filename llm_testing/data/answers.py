"""Examples as token ids, with a mark on each token whether the model is to learn it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from llm_testing.data.examples import Example, Message, RowProblem
from llm_testing.data.templates import Renders


class Tokenizes(Protocol):
    """What is asked of a model's tokenizer."""

    begin_ids: list[int]
    """Put before every text that the template did not begin itself."""
    end_id: int
    """Ends an answer."""

    def encode(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """Token ids, and the characters that each stands for; nothing is added."""


@dataclass(frozen=True)
class Tokens:
    """One sequence.

    Args:
        ids: (n,) int32.
        learned: (n,) bool; a token that is learned is a target of the loss.
        cut: tokens that did not fit.
    """

    where: str
    ids: np.ndarray
    learned: np.ndarray
    cut: int = 0


@dataclass(frozen=True)
class Tokeniser:
    """How examples become sequences.

    Args:
        templated: the template begins texts itself, with a begin token where the model wants one.
        answers_only: learn the assistant's turns alone; texts are always learned whole.
        max_length: longest sequence in tokens.
    """

    tokenizer: Tokenizes
    renderer: Renders
    templated: bool
    answers_only: bool
    max_length: int

    def sequences(self, example: Example) -> Iterator[Tokens | RowProblem]:
        """The sequences of an example: one of a conversation, several of a long text."""
        if example.messages:
            yield self._conversation(example)
        else:
            yield from self._text(example)

    def _conversation(self, example: Example) -> Tokens | RowProblem:
        text, spans = self._spans(example.messages)
        if spans is None:
            return RowProblem(
                example.where, "has an answer that the chat template does not keep, so it cannot be found"
            )
        ids, offsets = self.tokenizer.encode(text)
        learned = [not self.answers_only or _inside(offset, spans) for offset in offsets]
        if not self.templated:
            ids = [*self.tokenizer.begin_ids, *ids]
            learned = [False] * len(self.tokenizer.begin_ids) + learned
        # Nothing comes before the first token, so it cannot be learned.
        learned[0] = False
        return self._cut(example.where, ids, learned)

    def _spans(self, messages: Sequence[Message]) -> tuple[str, list[tuple[int, int]] | None]:
        """The whole text, and where in it each answer with its end mark stands."""
        answers = [i for i, message in enumerate(messages) if message["role"] == "assistant"]
        asked = [(messages, False)]
        for i in answers:
            asked += [(messages[:i], True), (messages[: i + 1], False)]
        text, *parts = self.renderer.render(asked)
        spans, at = [], 0
        for i, before, upto in zip(answers, parts[::2], parts[1::2], strict=True):
            content = messages[i]["content"].strip()
            if text.startswith(before) and text.startswith(upto) and len(before) <= len(upto):
                first, last = len(before), len(upto)
            else:
                # Some templates write a turn otherwise once another follows, such as without its thinking.
                tail = upto[upto.rfind(content) + len(content) :] if content in upto else ""
                first = text.find(content + tail, at)
                last = first + len(content + tail)
                if first < 0:
                    return text, None
            # The line break after an end mark is never written by the model, whose turn is over by then.
            shown = text[first:last].rstrip()
            at = last
            spans.append((first, first + len(shown) if not shown.endswith(content) else last))
        return text, spans

    def _text(self, example: Example) -> Iterator[Tokens]:
        ids, _ = self.tokenizer.encode(example.text)
        ids = [*self.tokenizer.begin_ids, *ids, self.tokenizer.end_id]
        # Neighbours share a token, so that every token but the first is learned once.
        for first in range(0, max(len(ids) - 1, 1), self.max_length - 1):
            piece = ids[first : first + self.max_length]
            yield self._cut(example.where, piece, [False] + [True] * (len(piece) - 1))

    def _cut(self, where: str, ids: list[int], learned: list[bool]) -> Tokens:
        kept = self.max_length
        return Tokens(
            where, np.asarray(ids[:kept], np.int32), np.asarray(learned[:kept], bool), max(len(ids) - kept, 0)
        )


def _inside(offset: tuple[int, int], spans: list[tuple[int, int]]) -> bool:
    """Whether a token stands for any character of a span."""
    first, last = offset
    return first < last and any(first < end and last > begin for begin, end in spans)
