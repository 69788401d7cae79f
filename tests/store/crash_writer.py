"""A run that is written as fast as the disk takes it, until somebody kills the process."""

import os
import random
from pathlib import Path

from llm_testing.store.runs import RunStore


def write_until_killed(root: Path, run_id: str, ack_fd: int, seed: int) -> None:
    """Go on from the newest checkpoint; say on ack_fd what has been committed: `n step` or `saved step`."""
    rng = random.Random(seed)
    run = RunStore(root).open(run_id)
    newest = run.checkpoints.newest()
    step = newest.step if newest else 0
    journal = run.journal("metrics")
    os.write(ack_fd, f"row {journal.rewind(step)} -1\n".encode())
    while True:
        step += 1
        n = journal.append({"step": step, "pad": "x" * rng.randrange(400)})
        os.write(ack_fd, f"row {n} {step}\n".encode())
        if step % 3 == 0:
            run.update(state="running", summary={"step": step})
        if step % 5 == 0:
            journal.sync()
            content = rng.randbytes(rng.randrange(200_000))
            run.checkpoints.write(step, {"model": lambda file, content=content: file.write(content)}, {"step": step})
            os.write(ack_fd, f"saved {step}\n".encode())
            kept = [info.step for info in run.checkpoints.list()]
            for old in kept[:-2]:
                run.checkpoints.delete(old)
