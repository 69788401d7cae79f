"""Why a run failed, in the words of whoever started it."""

import traceback

from llm_testing.config.option import Options
from llm_testing.errors import NotEnoughMemory, UserError
from llm_testing.service.views import Failure
from llm_testing.train.memory import is_out_of_memory, out_of_memory_in_words


def failure_of(error: Exception, config: Options) -> Failure:
    """What an error means; the traceback only where it is the program's own."""
    if is_out_of_memory(error):
        return Failure("Out of memory", out_of_memory_in_words(config), traceback.format_exc())
    if isinstance(error, NotEnoughMemory):
        return Failure("Not enough memory", str(error))
    if isinstance(error, UserError):
        return Failure("The run could not go on", str(error))
    said = f"{type(error).__name__}: {error}"
    return Failure("An error in the program", f"{said}. What was saved is kept.", traceback.format_exc())
