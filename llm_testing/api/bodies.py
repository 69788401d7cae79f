"""What REST calls take beside the options of a run, which are declared in config/ and only there."""

from typing import Annotated, Literal, get_args

from pydantic import Field

from llm_testing.config.option import Options, Show
from llm_testing.config.presets import PRESETS
from llm_testing.config.pretrain import PretrainConfig
from llm_testing.errors import Problem

RunIdText = Annotated[str | None, Field(max_length=100), Show("Run", "Run")]
Cursor = Annotated[int, Field(ge=-1, le=2**53), Show("After", "Looking")]


class StartRequest(PretrainConfig):
    """Every option of a run, and how to start it."""

    preset: Annotated[str | None, Field(max_length=40), Show("Preset", "Start", suggestions=(*PRESETS, "none"))] = None
    """Values for what is left out; absent means the defaults."""
    queue: Annotated[bool, Show("Queue", "Start")] = False
    """While another run is active, wait for it instead of being refused."""
    request_id: Annotated[str | None, Field(min_length=1, max_length=100), Show("Request", "Start")] = None
    """A name of your choice for this request: sending it again answers the same run and starts nothing."""
    force: Annotated[bool, Show("Force", "Start")] = False
    """Start on a card also what is estimated to exceed its memory."""

    def problems(self) -> list[Problem]:
        # A preset or a parent may fill in what is left out here, so rules between options are looked at after that.
        return []


class ResumeRequest(PretrainConfig):
    """Which run should go on, and what may differ from then on."""

    run_id: RunIdText = None
    """The run; absent means the paused one."""

    def problems(self) -> list[Problem]:
        return []


class WhichRun(Options):
    """A run by its id."""

    run_id: RunIdText = None
    """The run; absent means the active one."""


class StopRequest(WhichRun):
    """Which run should stop, and how."""

    mode: Annotated[Literal["save", "discard"], Show("Mode", "Run")] = "save"
    """save keeps everything, discard drops what was trained since the run was last started or resumed."""


class SampleRequest(WhichRun):
    """What the live model should continue."""

    prompt: Annotated[str, Field(min_length=1, max_length=2000), Show("Prompt", "Sampling")] = "The"
    """The beginning of the text."""


class After(Options):
    """New rows of a run."""

    run_id: RunIdText = None
    """The run; absent means the active one, else the newest."""
    after: Cursor = -1
    """The `next` of the last answer; -1 gives everything."""


class EventsQuery(Options):
    """Which run to follow."""

    run_id: RunIdText = None
    """The run; absent follows whichever is active."""


class ListQuery(Options):
    """How much of a list."""

    limit: Annotated[int, Field(ge=1, le=10_000), Show("Limit", "Looking")] = 50
    """How many of the newest runs."""


class CompareQuery(Options):
    """Which runs to compare."""

    runs: Annotated[str, Field(min_length=1, max_length=1000), Show("Runs", "Looking")] = ""
    """Run ids with commas between them, twenty at most."""


class ZipQuery(Options):
    """What of a run is taken away."""

    checkpoints: Annotated[bool, Show("Checkpoints", "Downloads")] = True
    """With the weights; without them it is small."""


class RenameRequest(Options):
    """A run's new name."""

    name: Annotated[str, *PretrainConfig.model_fields["name"].metadata] = ""
    """What to call the run."""


class MoveRequest(Options):
    """A new place in the queue."""

    run_id: RunIdText = None
    """The waiting run."""
    position: Annotated[int, Field(ge=1, le=100_000), Show("Position", "Queue")] = 1
    """Its new place; 1 is next."""


# The earlier API listed and deleted one size at a time, nano where none was named.
SizeName = Literal[*get_args(PretrainConfig.model_fields["config_name"].annotation), "all"]


class CheckpointsQuery(Options):
    """Which checkpoints to list."""

    config_name: Annotated[SizeName | None, Show("Model", "Checkpoints")] = None
    """A model's size, or all; absent means nano, or all where a run or a corpus is named."""
    run_id: RunIdText = None
    """Only this run's."""
    corpus: Annotated[str | None, Field(max_length=4096), Show("Corpus", "Checkpoints")] = None
    """Only those trained on this corpus."""


class DeleteQuery(Options):
    """Which checkpoints to delete."""

    config_name: Annotated[SizeName, Show("Model", "Checkpoints")] = "nano"
    """A model's size, or all."""
    keep_latest: Annotated[bool, Show("Keep the latest", "Checkpoints")] = True
    """Keep each run's newest and best checkpoint."""


class GenerateRequest(Options):
    """What to write, and how."""

    checkpoint_id: Annotated[str | None, Field(max_length=200), Show("Checkpoint", "Sampling")] = None
    """A checkpoint, or a run for its newest one; absent means the newest of all."""
    prompt: Annotated[str, Field(max_length=20_000), Show("Prompt", "Sampling")] = "The meaning of life is"
    """The beginning of the text."""
    max_tokens: Annotated[int, Field(ge=1, le=2048), Show("Length", "Sampling", unit="tokens")] = 50
    """How many tokens to write at most."""
    temperature: Annotated[float, Field(ge=0, le=10), Show("Temperature", "Sampling")] = 1.0
    """0 always takes the likeliest token; higher is more surprising."""
    top_k: Annotated[int | None, Field(ge=1, le=100_000), Show("Top k", "Sampling", unit="tokens")] = None
    """Choose among this many of the likeliest tokens only."""
    top_p: Annotated[float | None, Field(gt=0, le=1), Show("Top p", "Sampling", unit="share")] = None
    """Choose among the likeliest tokens that together have this probability."""
    seed: Annotated[int, Field(ge=0, le=2**32 - 1), Show("Seed", "Sampling")] = 0
    """The same seed gives the same text."""


class AttentionRequest(Options):
    """What to look at."""

    checkpoint_id: Annotated[str | None, Field(max_length=200), Show("Checkpoint", "Attention")] = None
    """A checkpoint, or a run for its newest one; absent means the newest of all."""
    text: Annotated[str, Field(max_length=20_000), Show("Text", "Attention")] = ""
    """The text whose tokens look at each other."""
    layer: Annotated[int, Field(ge=0, le=1000), Show("Layer", "Attention")] = 0
    """Which block, from 0."""
    head: Annotated[int | None, Field(ge=0, le=1000), Show("Head", "Attention")] = None
    """Which head, from 0; absent means the mean over all."""


class CorpusQuery(Options):
    """Which corpus to look into."""

    name: Annotated[str, Field(min_length=1, max_length=4096), Show("Corpus", "Data")] = "python-docs"
    """A corpus as the option corpus names it."""
