"""The playground: what a checkpoint, or the model that is being trained, writes after a prompt and looks at in a text.

The live model is copied between two steps, or while the run is paused, and training goes on; the copy then writes at
its own pace. So a long text never holds the trainer up, and every piece of it comes from the same weights.
"""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import TimeoutError as WaitedTooLong
from dataclasses import dataclass

from llm_testing.data.tokenizers import Tokenizer, load_tokenizer
from llm_testing.errors import Busy, NotEnoughMemory, WrongState
from llm_testing.jobs.machine import usable_memory_bytes
from llm_testing.model.generate import Sampling
from llm_testing.model.gpt import GPT
from llm_testing.model.weights import copied, num_bytes
from llm_testing.service.attention import AttentionMap, Completion, HeadsMap, attention_map, heads_map
from llm_testing.service.checkpoints import find_weights
from llm_testing.service.job import Job
from llm_testing.service.reader import Reader
from llm_testing.service.writing import written
from llm_testing.store.ids import checkpoint_id
from llm_testing.store.runs import RunStore

LIVE = "live"
"""The name of the model that is being trained now, where a checkpoint may be named."""
COPY_WITHIN_S = 60.0
"""A step of a large model on a slow machine ends within this; then the next request is worth a try."""
TURN_WITHIN_S = 5.0
MOST_KEPT_BYTES = 512 << 20
"""A model up to this size stays open, for the next prompt, layer or head."""


@dataclass(frozen=True)
class Opened:
    """A model that can be asked.

    Args:
        name: its checkpoint's id, or LIVE.
        step: the optimizer step of its weights.
    """

    name: str
    run_id: str
    step: int
    model: GPT
    tokenizer: Tokenizer


class Playground:
    """Opens models and asks them; threads may share it.

    Args:
        active: the run that holds the trainer in this process, if any.
    """

    def __init__(self, store: RunStore, reader: Reader, active: Callable[[], Job | None]):
        self._store, self._reader, self._active = store, reader, active
        self._guard, self._turn = threading.Lock(), threading.Lock()
        self._kept: Opened | None = None

    def open(self, what: str | None) -> Opened:
        """A checkpoint by any form of its id, a run's newest one, the newest of all (None), or the live model.

        Raises:
            BadRunId, NotFound, DamagedRun: for a checkpoint that is not there or not whole.
            WrongState: for the live model, where nothing trains or nothing is built yet.
        """
        if what == LIVE:
            return self._live()
        run_id, step = find_weights(self._store, what)
        with self._guard:
            if self._kept and (self._kept.run_id, self._kept.step) == (run_id, step):
                return self._kept
            self._kept = None  # one model at a time: the old one is let go before the new one is read
            opened = Opened(checkpoint_id(run_id, step), run_id, step, *self._reader.open_model(run_id, step))
            if num_bytes(opened.model) <= MOST_KEPT_BYTES:
                self._kept = opened
            return opened

    def write(
        self,
        opened: Opened,
        prompt: str,
        sampling: Sampling,
        on_token: Callable[[], None] = lambda: None,
        turn_within_s: float = TURN_WITHIN_S,
    ) -> Iterator[str]:
        """A continuation, piece by piece; one text is written at a time.

        Raises:
            Busy: where another text is still being written after turn_within_s.
        """
        if not self._turn.acquire(timeout=turn_within_s):
            raise Busy("Another text is being written. Try again when it is done.")
        try:
            yield from written(opened.model, opened.tokenizer, prompt, sampling, on_token)
        finally:
            self._turn.release()

    def complete(self, what: str | None, prompt: str, sampling: Sampling) -> Completion:
        """A whole continuation."""
        opened, num_tokens = self.open(what), 0

        def count() -> None:
            nonlocal num_tokens
            num_tokens += 1

        text = "".join(self.write(opened, prompt, sampling, count, COPY_WITHIN_S))
        return Completion(prompt + text, num_tokens, prompt, opened.name)

    def attention(self, what: str | None, text: str, layer: int = 0, head: int | None = None) -> AttentionMap:
        """What a model looks at in a text; without a head the mean over them."""
        opened = _with_maps(self.open(what))
        return attention_map(opened.model, opened.tokenizer, opened.name, text, layer, head)

    def heads(self, what: str | None, text: str, layer: int = 0) -> HeadsMap:
        """What every head of a layer looks at in a text."""
        opened = _with_maps(self.open(what))
        return heads_map(opened.model, opened.tokenizer, opened.name, opened.step, text, layer)

    def _live(self) -> Opened:
        job = self._active()
        if job is None:
            raise WrongState("No run is active, so there is no live model. Choose a checkpoint.")
        run_id, view = job.folder.run_id, job.board.view()
        if job.kind.name != "pretrain":
            raise WrongState(
                f"Run {run_id} tunes an open model, which is not copied while it trains. Save now, then choose the "
                "checkpoint.", run_id, view.state,
            )  # fmt: skip
        if view.state == "starting":
            doing = view.phase or "starting"
            raise WrongState(
                f"Run {run_id} has no model yet: it is {doing}. Try again in a moment.", run_id, view.state
            )
        order = job.control.submit(lambda live: (_copied(live.model), live.standing.step))
        try:
            model, step = order.result(COPY_WITHIN_S)
        except WaitedTooLong:
            order.cancel()
            raise Busy(
                f"Run {run_id} has not come to the end of a step for {COPY_WITHIN_S:.0f} seconds. Try again, or choose "
                "a checkpoint.", run_id, view.state,
            ) from None  # fmt: skip
        return Opened(LIVE, run_id, step, model, load_tokenizer(job.folder.path))


def _with_maps(opened: Opened) -> Opened:
    """Refuse a model whose attention cannot be looked at."""
    if not isinstance(opened.model, GPT):
        raise WrongState(f"Run {opened.run_id} tuned an open model; attention is shown of models trained here.")
    return opened


def _copied(model: GPT) -> GPT:
    need, free = num_bytes(model), usable_memory_bytes().available_bytes
    if need > free // 2:
        raise NotEnoughMemory(
            f"A copy of the live model takes {need / 2**30:.1f} GiB, and {free / 2**30:.1f} GiB are free. "
            "Choose a checkpoint after the run, or a smaller model."
        )
    return copied(model)
