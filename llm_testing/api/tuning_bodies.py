"""What the calls of fine-tuning take beside the options of a run."""

from typing import Annotated, Literal

from pydantic import Field

from llm_testing.api.bodies import GenerateRequest, RunIdText, StartRequest
from llm_testing.config.finetune import FinetuneConfig
from llm_testing.config.option import Options, Show
from llm_testing.config.presets_finetune import FINETUNE_PRESETS
from llm_testing.errors import Problem

_HOW = StartRequest.model_fields
_DRAW = GenerateRequest.model_fields
AdapterName = Annotated[str | None, Field(max_length=4096), Show("Adapter", "Sampling")]


class TuneStartRequest(FinetuneConfig):
    """Every option of a fine-tuning run, and how to start it."""

    preset: Annotated[
        str | None, Field(max_length=40), Show("Preset", "Start", suggestions=(*FINETUNE_PRESETS, "none"))
    ] = None
    """Values for what is left out; absent means the defaults."""
    queue: Annotated[bool, *_HOW["queue"].metadata] = False
    """While another run is active, wait for it instead of being refused."""
    request_id: Annotated[str | None, *_HOW["request_id"].metadata] = None
    """A name of your choice for this request: sending it again answers the same run and starts nothing."""
    force: Annotated[bool, *_HOW["force"].metadata] = False
    """Start on a card also what is estimated to exceed its memory."""

    def problems(self) -> list[Problem]:
        # A preset or a parent may fill in what is left out here, so rules between options are looked at after that.
        return []


class TuneResumeRequest(FinetuneConfig):
    """Which fine-tuning run should go on, and what may differ from then on."""

    run_id: RunIdText = None
    """The run; absent means the paused one."""

    def problems(self) -> list[Problem]:
        return []


class ExamplesRequest(TuneStartRequest):
    """A draft whose rows are looked at."""

    num_shown: Annotated[int, Field(ge=1, le=50), Show("Rows shown", "Looking", unit="rows")] = 5
    """How many rows to show token by token."""


class PresetsQuery(Options):
    """For which model."""

    model_name: Annotated[str | None, Field(max_length=4096), Show("Base model", "Model")] = None
    """A model of the list, whose recommended length and rank the presets follow."""


class AdaptersQuery(Options):
    """Which adapters to list."""

    run_id: RunIdText = None
    """Only this run's; absent means those of all."""


class DeleteAdaptersQuery(Options):
    """Which adapters to delete."""

    keep_latest: Annotated[bool, Show("Keep the latest", "Checkpoints")] = False
    """Keep each run's newest and best one."""


class AnswerRequest(Options):
    """What to ask, and how it is answered."""

    adapter_path: AdapterName = None
    """The adapter: a run, a checkpoint, or live; absent asks the newest run's base model without its adapter."""
    prompt: Annotated[str, *_DRAW["prompt"].metadata] = "Explain what machine learning is in simple terms."
    """The question."""
    max_tokens: Annotated[int, *_DRAW["max_tokens"].metadata] = 256
    """How many tokens to write at most."""
    temperature: Annotated[float, *_DRAW["temperature"].metadata] = 0.7
    """0 always takes the likeliest token; higher is more surprising."""
    top_k: Annotated[int | None, *_DRAW["top_k"].metadata] = None
    """Choose among this many of the likeliest tokens only."""
    top_p: Annotated[float | None, *_DRAW["top_p"].metadata] = None
    """Choose among the likeliest tokens that together have this probability."""
    seed: Annotated[int, *_DRAW["seed"].metadata] = 0
    """The same seed gives the same answer."""


class Turn(Options):
    """One turn of a conversation."""

    role: Annotated[Literal["system", "user", "assistant"], Show("Role", "Sampling")] = "user"
    """Who speaks."""
    content: Annotated[str, Field(max_length=100_000), Show("Text", "Sampling")] = ""
    """What is said."""


Turns = Annotated[tuple[Turn, ...], Field(max_length=200, strict=False), Show("Conversation", "Sampling")]


class ChatRequest(Options):
    """A conversation whose last turn is answered by a tuned model and by its base, side by side."""

    adapter_path: AdapterName = None
    """The adapter: a run, a checkpoint, or live; absent means the newest of all."""
    messages: Turns = ()
    """Turns of system, user and assistant, the last one of the user."""
    base_messages: Turns = ()
    """The same for the base, whose earlier answers were others; left empty it is asked with messages."""
    sides: Annotated[Literal["both", "base", "adapter"], Show("Who answers", "Sampling")] = "both"
    """The tuned model, its base, or both at once."""
    max_tokens: Annotated[int, *_DRAW["max_tokens"].metadata] = 256
    """How many tokens each writes at most."""
    temperature: Annotated[float, *_DRAW["temperature"].metadata] = 0.7
    """0 always takes the likeliest token; higher is more surprising."""
    top_k: Annotated[int | None, *_DRAW["top_k"].metadata] = None
    """Choose among this many of the likeliest tokens only."""
    top_p: Annotated[float | None, *_DRAW["top_p"].metadata] = None
    """Choose among the likeliest tokens that together have this probability."""
    seed: Annotated[int, *_DRAW["seed"].metadata] = 0
    """The same seed gives the same answers."""

    def problems(self) -> list[Problem]:
        found = []
        for name in ("messages", "base_messages"):
            turns = getattr(self, name)
            if name == "messages" and not turns or turns and turns[-1].role != "user":
                found.append(Problem(name, f"{name} must end with a turn of the user, whose text is answered."))
            elif any(turn.role == "system" for turn in turns[1:]):
                found.append(Problem(name, f"In {name} a system turn may only come first."))
        return found
