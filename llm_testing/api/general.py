"""What is asked for before a run: whether the server is well, which options, presets, texts and machine there are."""

from dataclasses import asdict
from typing import Any

import llm_testing
from llm_testing.api.bodies import CorpusQuery
from llm_testing.api.calls import ANYTHING, Asked, Call
from llm_testing.config.option import options_of
from llm_testing.config.presets import PRESETS
from llm_testing.config.pretrain import PretrainConfig
from llm_testing.service.roles import check_corpora, door_of, rights, role_of
from llm_testing.store.times import utc_now, utc_text

TRACKS = ("pretraining", "fine-tuning")


def health(asked: Asked) -> dict[str, Any]:
    """That the server answers, since when, which version, and who you are to it."""
    role = role_of(asked.request).name.lower()
    return {
        "status": "healthy",
        "timestamp": utc_text(utc_now()),
        "version": llm_testing.__version__,
        "tracks": TRACKS,
        "role": role,
    }


def place(asked: Asked) -> dict[str, Any]:
    """Where the page stands, who you are to it, what you may do, and what to know about the place."""
    door, role = door_of(asked.request), role_of(asked.request)
    return {
        "place": door.place,
        "role": role.name.lower(),
        "may": sorted(rights(door.place, role)),
        "notices": door.setting.notices,
        "signs_in": door.setting.signs_in,
    }


def corpora(asked: Asked) -> dict[str, Any]:
    """Every named corpus, and which are at hand."""
    rows = [{**asdict(s.corpus), "at_hand": s.at_hand, "bytes": s.bytes} for s in asked.lab.corpora()]
    return {"corpora": rows}


def preview(asked: Asked) -> Any:
    """The beginning of a corpus and its size; downloads nothing."""
    check_corpora(asked.request, {"corpus": asked.query.name})
    return asked.lab.preview_corpus(asked.query.name)


def options(asked: Asked) -> dict[str, Any]:
    """Every option of a run: its meaning, default, range and unit."""
    rows = [{**asdict(option), "accepts": option.accepts()} for option in options_of(PretrainConfig).values()]
    return {"options": rows}


def presets(asked: Asked) -> dict[str, Any]:
    """What each preset sets on this machine."""
    about = {name: {"title": preset.title, "about": preset.about} for name, preset in PRESETS.items()}
    return {"presets": {name: {**about[name], "values": asked.lab.preset_values(name)} for name in PRESETS}}


def machine(asked: Asked) -> Any:
    """Device, cores and memory, as this process may use them."""
    return asked.lab.machine()


GENERAL = (
    Call("GET", "/api/health", ANYTHING, health, named="health"),
    Call("GET", "/api/place", "look", place, named="place"),
    Call("GET", "/api/corpora", "look", corpora, named="corpora"),
    Call("GET", "/api/corpora/preview", "look", preview, named="preview_corpus", query=CorpusQuery),
    Call("GET", "/api/options", "look", options, named="options"),
    Call("GET", "/api/presets", "look", presets, named="presets"),
    Call("GET", "/api/machine", "look", machine, named="machine"),
)
