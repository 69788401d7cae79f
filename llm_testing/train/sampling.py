"""Sample texts while training: fixed prompts, a generator of their own, the same one at every step."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace

from llm_testing.jobs.progress import Check
from llm_testing.model.generate import Sampling, Writes, generate
from llm_testing.train.events import Sampled


@dataclass(frozen=True)
class Sampler:
    """Continues each prompt in turn.

    Args:
        encode, decode: text to token ids and back.
        end_id: token, or tokens, at which a text ends.
        begin: begins a text where the prompt is empty.
    """

    prompts: tuple[str, ...]
    sampling: Sampling
    encode: Callable[[str], list[int]]
    decode: Callable[[list[int]], str]
    end_id: int | Collection[int]
    begin: int

    def sample(self, model: Writes, step: int, check: Check) -> Iterator[Sampled]:
        """A text for each prompt; check is asked before each token."""
        for number, prompt in enumerate(self.prompts):
            tokens = self.encode(prompt) or [self.begin]
            own = replace(self.sampling, seed=self.sampling.seed + number)
            written = []
            for token in generate(model, tokens, own, self.end_id):
                check()
                written.append(token)
            yield Sampled(step, prompt, self.decode(written))
