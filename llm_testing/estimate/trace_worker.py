"""The process that traces: it takes jobs on its standard input and answers on its standard output, one at a time.

A process of its own, because CUDA's semantics are set for a whole process, because a trace must not touch the trainer,
and because one that hangs or dies is simply replaced. Messages are a length of 8 bytes and a pickle; both ends are this
package, and nothing else writes to these pipes.
"""

import faulthandler
import gc
import os
import pickle
import struct
import sys
import warnings
from typing import BinaryIO

from llm_testing.errors import ConfigError

LENGTH = struct.Struct(">Q")


def main() -> None:
    """Serve until the other end closes."""
    # What libraries print must not end up between the messages.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    warnings.simplefilter("ignore")
    memory: dict = {}
    # What a trace leaves in cycles is picked up after its answer; looking for it in the midst costs a tenth.
    gc.disable()
    while (message := read(sys.stdin.buffer)) is not None:
        job, seconds = message
        # A trace that hangs ends the process; its owner sees the pipe close.
        faulthandler.dump_traceback_later(seconds, exit=True)
        answer = answer_to(job, memory)
        faulthandler.cancel_dump_traceback_later()
        write(answers, answer)
        del job, answer, message
        gc.collect()
        gc.freeze()


def answer_to(job: object, memory: dict) -> tuple[str, object]:
    """("done", recording), ("refused", problems with options), or ("failed", why in one line)."""
    # Torch takes seconds to import; until the first job this process costs next to nothing.
    from llm_testing.estimate.trace_jobs import run  # noqa: PLC0415

    try:
        return "done", run(job, memory)
    except ConfigError as error:
        return "refused", error.problems
    except Exception as error:  # The job boundary: whatever a model's code raises is its owner's to tell
        return "failed", f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


def read(pipe: BinaryIO) -> object | None:
    """The next message, or None once the other end is closed."""
    head = pipe.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    body = pipe.read(LENGTH.unpack(head)[0])
    return pickle.loads(body) if len(body) == LENGTH.unpack(head)[0] else None


def write(pipe: BinaryIO, message: object) -> None:
    """Send a message whole."""
    body = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    pipe.write(LENGTH.pack(len(body)) + body)
    pipe.flush()


if __name__ == "__main__":
    main()
