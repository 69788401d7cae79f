"""`python -m llm_testing`: the command line."""

import sys

from llm_testing.jobs.process import prepare_process


def _start() -> int:
    prepare_process()
    from llm_testing.cli.main import main

    return main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(_start())
