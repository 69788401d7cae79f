"""`python -m llm_testing`: the command line."""

import sys

from llm_testing.jobs.process import prepare_process
from llm_testing.jobs.streams import escape_streams


def _start() -> int:
    prepare_process()
    escape_streams()  # what nobody caught is printed by the interpreter, after `main`
    from llm_testing.cli.main import main

    return main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(_start())
