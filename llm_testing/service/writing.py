"""Text out of a model, piece by piece."""

from collections.abc import Callable, Iterator

from llm_testing.data.chats import Chat
from llm_testing.data.tokenizers import Tokenizer
from llm_testing.model.generate import Sampling, Writes, generate


def written(
    model: Writes,
    tokenizer: Tokenizer | Chat,
    prompt: str,
    sampling: Sampling,
    on_token: Callable[[], None] = lambda: None,
) -> Iterator[str]:
    """What a model writes after a prompt; only whole characters are given.

    Args:
        on_token: called after each token, also where it completes no character yet.
    """
    return written_after(model, tokenizer, tokenizer.encode(prompt) or [tokenizer.end_id], sampling, on_token)


def written_after(
    model: Writes,
    tokenizer: Tokenizer | Chat,
    before: list[int],
    sampling: Sampling,
    on_token: Callable[[], None] = lambda: None,
) -> Iterator[str]:
    """The same after tokens, at least one."""
    tokens: list[int] = []
    said = ""
    for token in generate(model, before, sampling, tokenizer.end_id):
        tokens.append(token)
        on_token()
        text = tokenizer.decode(tokens)
        # A character may take several tokens; until they are all there it decodes to U+FFFD.
        if not text.endswith("\ufffd"):
            yield text[len(said) :]
            said = text
    rest = tokenizer.decode(tokens)[len(said) :]
    if rest:
        yield rest
