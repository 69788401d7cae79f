"""Compare the facts of every model in the list with its config.json on the Hub; exit status 1 where one differs.

Run: make verify-registry. A model that is gated or cannot be reached is named as unchecked.
"""

import sys

from llm_testing.config.models import KnownModel, known_models
from llm_testing.errors import DownloadError
from llm_testing.hub.models import fetch_model_config

OLDER = {"rope_parameters": "rope_scaling"}
"""Entries that configs on the Hub have under an earlier name; they are compared by theta alone."""


def differences(model: KnownModel, there: dict) -> list[str]:
    """What the list says otherwise than the Hub."""
    # Models that also see keep their text model's facts one level down.
    there = there.get("text_config", there)
    found = []
    for name, ours in model.config.items():
        if name in OLDER:
            ours, theirs, name = ours.get("rope_theta"), there.get("rope_theta"), "rope_theta"
        else:
            theirs = there.get(name, ours)
        if theirs is not None and theirs != ours:
            found.append(f"{name}: listed {ours!r}, on the Hub {theirs!r}")
    return found


def main() -> int:
    wrong = 0
    for model in known_models():
        try:
            found = differences(model, fetch_model_config(model.hf_id))
        except DownloadError as error:
            print(f"{model.hf_id}: unchecked. {error}")
            continue
        wrong += bool(found)
        print(f"{model.hf_id}: {'; '.join(found) or 'as listed'}")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
