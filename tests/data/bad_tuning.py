"""Drafts of fine-tuning that somebody got wrong, each with what the one sentence about it says."""

import json
from pathlib import Path
from typing import Any

from tests.data.tiny_model import tiny_model, write_rows

GOOD = [{"prompt": f"one {i}", "completion": "two"} for i in range(4)]


def drafts(root: Path) -> dict[str, tuple[dict[str, Any], str]]:
    """What differs from a good draft, and words of the sentence."""
    model = tiny_model(root / "good")
    pickled, coded = root / "pickled", root / "coded"
    for folder in (pickled, coded):
        folder.mkdir()
        for file in model.iterdir():
            (folder / file.name).write_bytes(file.read_bytes())
    (pickled / "model.safetensors").rename(pickled / "pytorch_model.bin")
    config = json.loads((coded / "config.json").read_bytes())
    (coded / "config.json").write_text(json.dumps({**config, "auto_map": {"AutoModel": "x.Y"}}))
    rows = write_rows(root / "no-answer.jsonl", [*GOOD, {"prompt": "one", "completion": " "}])
    broken = root / "broken.jsonl"
    broken.write_text("".join(json.dumps(row) + "\n" for row in GOOD[:2]) + '{"prompt": "one", \n', encoding="utf-8")
    masked = write_rows(root / "masked.jsonl", [{"prompt": "one " * 80, "completion": "two"}] * 3)
    return {
        "row without an answer": ({"dataset": str(rows)}, "Line 5 of no-answer.jsonl has no answer: its completion is"),
        "broken JSON": ({"dataset": str(broken)}, "Line 3 of broken.jsonl is not JSON"),
        "unknown template": ({"chat_template": "llama9"}, "Chat template takes one of auto, alpaca, chatml, plain"),
        "all labels masked": ({"dataset": str(masked)}, "Nothing of "),
        "rank 0": ({"lora_r": 0}, "LoRA rank takes a whole number from 1 to 1,024; received 0"),
        "alpha NaN": ({"lora_alpha": float("nan")}, "LoRA alpha takes a whole number from 1 to 4,096; received nan"),
        "pickle only": ({"model_name": str(pickled)}, "The weights of pickled are pickles, which can run code"),
        "remote code": ({"model_name": str(coded)}, "asks for code of the model's own, which is never run here"),
    }


NAMES = (
    "row without an answer", "broken JSON", "unknown template", "all labels masked", "rank 0", "alpha NaN",
    "pickle only", "remote code",
)  # fmt: skip
