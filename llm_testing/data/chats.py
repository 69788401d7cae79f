"""A model's tokenizer and chat template together: what a question becomes before the model answers it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from llm_testing.data.examples import Message
from llm_testing.data.templates import OWN, TemplateProcess


class Answers(Protocol):
    """What is asked of a tokenizer."""

    begin_ids: list[int]
    stop_ids: frozenset[int]
    named_tokens: dict[str, str]

    @property
    def template(self) -> str | None: ...
    def encode(self, text: str) -> tuple[list[int], list[tuple[int, int]]]: ...
    def decode(self, ids: list[int]) -> str: ...


@dataclass(frozen=True)
class Chat:
    """Questions in, answers out, as text and as tokens.

    Args:
        template: "model", or one of the program's own; texts are continued where it is "text".
        system_prompt: as the run's examples had it.
    """

    tokenizer: Answers
    template: str
    system_prompt: str = ""

    @property
    def end_id(self) -> frozenset[int]:
        """Tokens that end an answer."""
        return self.tokenizer.stop_ids

    def encode(self, prompt: str) -> list[int]:
        """The tokens that the model answers, or continues.

        Raises:
            DataError: the template cannot be used.
        """
        return self.encode_turns([{"role": "user", "content": prompt}])

    def encode_turns(self, messages: Sequence[Message]) -> list[int]:
        """The tokens of a conversation whose last turn the model answers; of a text model, of that turn alone.

        Raises:
            DataError: the template cannot be used, or refuses the conversation.
        """
        if self.template == "text":
            said = messages[-1]["content"]
            return [*self.tokenizer.begin_ids, *self.tokenizer.encode(said)[0]] or [min(self.end_id)]
        begun = messages[0]["role"] == "system" or not self.system_prompt
        system = [] if begun else [{"role": "system", "content": self.system_prompt}]
        source = self.tokenizer.template if self.template == "model" else OWN[self.template]
        with TemplateProcess(source, {"bos_token": "", "eos_token": "", **self.tokenizer.named_tokens}) as renderer:
            (text,) = renderer.render([([*system, *messages], True)])
        ids = self.tokenizer.encode(text)[0]
        return ids if self.template == "model" else [*self.tokenizer.begin_ids, *ids]

    def decode(self, ids: list[int]) -> str:
        """The text of an answer."""
        return self.tokenizer.decode(ids)
