"""Sends the fine-tuning bodies of earlier clients to a lab of its own and prints what came back as one JSON object.

Run as a process of its own, since the Hub's client reads HF_ENDPOINT once, when it is imported.
"""

import json
import sys
from pathlib import Path
from typing import Any

from starlette.testclient import TestClient

from llm_testing.service.lab import Lab
from tests.api.served import served
from tests.service.parts import until

AT = "/api/fine-tuning"


def whole_run(client: TestClient, lab: Lab, body: dict[str, Any]) -> dict[str, Any]:
    """What an earlier dashboard asks from Start to the last answer."""
    said = {"start": client.post(f"{AT}/start", json=body).json()}
    until(lambda: lab.live() is None or lab.live().step > 0)
    said["save"] = client.post(f"{AT}/checkpoint/save-now").json()
    until(lambda: lab.live() is None)
    said["status"] = client.get(f"{AT}/status").json()
    said["checkpoints"] = client.get(f"{AT}/checkpoints").json()
    for key in ("id", "path") if said["checkpoints"] else ():
        ask = {"adapter_path": said["checkpoints"][0][key], "prompt": "What is your name?", "max_tokens": 4}
        said[f"generate {key}"] = client.post(f"{AT}/generate", json=ask).json()
    said["record"] = lab.details(said["status"]["run_id"])
    return said


def main(root: Path, bodies: dict[str, dict], query: str) -> None:
    lab = Lab(root / "runs", root / "cache")
    with served(lab) as client:
        said: dict[str, Any] = {"idle": client.get(f"{AT}/status").json(), "models": client.get(f"{AT}/models").json()}
        said |= {name: whole_run(client, lab, body) for name, body in bodies.items()}
        said["estimate"] = client.get(f"{AT}/estimate-vram?{query}").json()
        said["bare generate"] = client.post(f"{AT}/generate", json={"max_tokens": 4}).json()
        said["delete"] = client.delete(f"{AT}/checkpoints").json()
        said["left"] = client.get(f"{AT}/checkpoints").json()
    lab.shutdown()
    print(json.dumps(said))  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]), sys.argv[3])
