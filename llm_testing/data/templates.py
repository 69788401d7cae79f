"""Conversations as text: templates for models that have none, and the process that renders foreign ones.

A chat template comes with a model and is a program in Jinja's language. It runs in a sandbox in a process of its own
with limits on time and memory, since a template can loop for ever or ask for gigabytes.
"""

import json
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from llm_testing.config.foreign import printable
from llm_testing.data.examples import Message
from llm_testing.errors import DataError

ALPACA = (
    "{% for m in messages %}"
    "{% if m.role == 'system' %}{{ m.content + '\\n\\n' }}"
    "{% elif m.role == 'user' %}"
    "{% if loop.first %}{{ 'Below is an instruction that describes a task. Write a response that appropriately "
    "completes the request.\\n\\n' }}{% endif %}"
    "{{ '### Instruction:\\n' + m.content + '\\n\\n' }}"
    "{% else %}{{ '### Response:\\n' + m.content + eos_token }}{% if not loop.last %}{{ '\\n\\n' }}{% endif %}"
    "{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '### Response:\\n' }}{% endif %}"
)
"""The prompt of Taori et al. 2023, Stanford Alpaca, which many base models have seen; a system prompt replaces its
first sentence."""

CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>' }}"
    "{% if m.role == 'assistant' %}{{ eos_token if eos_token != '<|im_end|>' else '' }}{% endif %}{{ '\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)

PLAIN = (
    "{% for m in messages %}{{ m.content }}{% if m.role == 'assistant' %}{{ eos_token }}"
    "{% elif m.role == 'system' %}{{ '\\n\\n' }}{% endif %}{% endfor %}"
)
"""Nothing between prompt and completion."""

OWN = {"alpaca": ALPACA, "chatml": CHATML, "plain": PLAIN}


class Renders(Protocol):
    """Turns conversations into text."""

    def render(self, conversations: Sequence[tuple[Sequence[Message], bool]]) -> list[str]:
        """The text of each conversation; True beside it asks for the beginning of an answer after it."""


class TemplateProcess:
    """Renders one template in a process of its own, which ends with `close` or with this process.

    Args:
        template: Jinja source.
        tokens: what templates may name: bos_token, eos_token and their like.
    """

    def __init__(self, template: str, tokens: dict[str, str]):
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(Path(__file__).with_name("template_worker.py"))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, encoding="utf-8",
        )  # fmt: skip
        try:
            self._ask({"template": template, "tokens": tokens})
        except BaseException:
            self.close()
            raise

    def render(self, conversations: Sequence[tuple[Sequence[Message], bool]]) -> list[str]:
        """The text of each conversation.

        Raises:
            DataError: the template refuses it, takes too long or too much memory.
        """
        return self._ask({"conversations": [[list(messages), more] for messages, more in conversations]})

    def close(self) -> None:
        """End the process."""
        with suppress(OSError):  # it may have been ended, with what it was told still on the way
            self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()

    def __enter__(self) -> "TemplateProcess":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _ask(self, request: dict) -> list[str]:
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
            line = self._process.stdout.readline()
        except OSError:
            line = ""
        if not line:
            raise DataError(
                "The model's chat template took too long or too much memory and was ended. Choose another model, or "
                "chat_template alpaca, chatml or plain."
            )
        answer = json.loads(line)
        if "problem" in answer:
            raise DataError(f"The chat template refuses a conversation: {printable(answer['problem'], 500)}")
        return answer["texts"]
