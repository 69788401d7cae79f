"""`python -m llm_testing`: the command line."""

import os
import sys


def _start() -> int:
    # torch's threads spin while they wait, which slows training several times where other work shares the cores. Its
    # runtime reads this when torch is first imported, so it comes before every other import; a user's choice stays.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    os.environ.setdefault("GOMP_SPINCOUNT", "0")
    from llm_testing.cli.main import main

    return main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(_start())
