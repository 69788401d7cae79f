"""What the list of runs can be asked for: the same questions for page, REST and command line."""

from typing import Annotated, Literal

from pydantic import Field

from llm_testing.config.option import Options, Show


class RunsQuery(Options):
    """Which runs a list shows, and in which order."""

    search: Annotated[str, Field(max_length=200), Show("Search", "Looking")] = ""
    """Words that all must be in a run's name, id, notes, tags, model, corpus or dataset."""
    kind: Annotated[Literal["pretrain", "finetune"] | None, Show("Kind", "Looking")] = None
    """Only runs of this kind."""
    state: Annotated[str | None, Field(max_length=100), Show("State", "Looking")] = None
    """Only runs in this state, or in one of several with commas between; damaged is one too."""
    tag: Annotated[str | None, Field(max_length=100), Show("Tag", "Looking")] = None
    """Only runs that carry this tag."""
    model: Annotated[str | None, Field(max_length=400), Show("Model", "Looking")] = None
    """Only runs of this size or base model."""
    corpus: Annotated[str | None, Field(max_length=4096), Show("Corpus", "Looking")] = None
    """Only runs on this corpus or dataset."""
    starred: Annotated[bool | None, Show("Starred", "Looking")] = None
    """Only runs with a star; no asks for those without."""
    archived: Annotated[Literal["no", "only", "all"], Show("Archived", "Looking")] = "no"
    """Whether archived runs are left out, shown alone, or shown among the others."""
    sort: Annotated[str, Field(max_length=40), Show("Sort", "Looking")] = "-created_at"
    """The column to sort by; a minus in front begins with the greatest. Runs without a value come last."""
    limit: Annotated[int | None, Field(ge=1, le=100_000), Show("Limit", "Looking", unit="runs")] = None
    """How many runs at most."""
