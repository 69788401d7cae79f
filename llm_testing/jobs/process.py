"""What an entry point settles for its whole process, before torch is imported."""

import logging
import os


def prepare_process() -> None:
    """Let idle OpenMP threads sleep, and quiet a package's remark on import; a user's own settings stay.

    torch's threads spin while they wait, which slows training several times where other work shares the cores
    (benchmarks/LOG.md, waiting OpenMP threads). Its runtime reads this when torch is first imported.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ.setdefault("GOMP_SPINCOUNT", "0")
    # It says on import that an optional package is missing, which nothing here uses.
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
