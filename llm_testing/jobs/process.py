"""What an entry point settles for its whole process, before torch is imported."""

import gc
import logging
import os

try:
    import resource
except ImportError:  # Windows, which has no such limit
    resource = None

MOST_FILES = 4096
"""Files and connections that a process may have open; a Mac lets it have 256 unless it asks for more."""


def prepare_process() -> None:
    """Let idle OpenMP threads sleep, quiet a package's remark on import, and ask for enough open files.

    A user's own settings stay.

    torch's threads spin while they wait, which slows training several times where other work shares the cores
    (benchmarks/LOG.md, waiting OpenMP threads). Its runtime reads this when torch is first imported.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ.setdefault("GOMP_SPINCOUNT", "0")
    # It says on import that an optional package is missing, which nothing here uses.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    if resource is not None:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = MOST_FILES if hard == resource.RLIM_INFINITY else min(MOST_FILES, hard)
        if soft != resource.RLIM_INFINITY and soft < most:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def spare_what_was_imported() -> None:
    """Leave out of every later garbage collection what is there now: modules, for the most part, that stay for good.

    With torch, Gradio and transformers a whole collection takes a quarter of a second, in which no thread computes.
    """
    gc.collect()
    gc.freeze()
