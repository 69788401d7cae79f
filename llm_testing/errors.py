"""Everything a user can cause, as one tree of exceptions.

    UserError                 what was wrong, what was received, what would be accepted, what to do
    |- ConfigError            one or more options; carries a Problem for each, all at once
    |- DataError              a corpus that is missing, empty, binary or too short
    |  `- DamagedFile         a file from outside that is not what its format says
    |- DownloadError          a host that cannot be reached, a file that is missing or gated
    |- BadRunId               text that cannot be a run id (REST: 400)
    |- NotFound               no such run, checkpoint or corpus (REST: 404)
    |- WrongState             a command that does not fit the run's state (REST: 409)
    |  `- Busy                another run holds the trainer (REST: 409)
    |- NotAllowed             who asks may not do that in this place (REST: 403, or 401 for one who is unknown)
    |- TooMany                more at once than who asks may have (REST: 429, with Retry-After)
    |- NotEnoughMemory        the run cannot fit this machine
    |- DiskRefused            a disk that does not take what is to be written
    |  |- NotEnoughDisk       it is full, or would be
    |  `- NotWritable         this user may not write there, or nobody may
    |- DamagedRun             a run folder that cannot be trusted, with file and reason
    `- TrainingDiverged       a loss or gradient that is not finite
    Cancelled                 not an error: a stop was asked for in a phase that only checks for it

Messages are whole sentences and are shown as they are, in the page and on the command line.
"""

from dataclasses import dataclass


class UserError(Exception):
    """A problem in the user's hands; its text is the message to show, without a traceback."""

    def __str__(self) -> str:
        # A file's name may be no UTF-8: its bytes are halves of surrogate pairs here, which no answer can carry.
        return super().__str__().encode("utf-8", "backslashreplace").decode()


@dataclass(frozen=True)
class Problem:
    """One option that was refused.

    Args:
        field: the option's name, or "" for a rule about the whole config.
        message: what was wrong, what was received and what would be accepted, as one sentence.
    """

    field: str
    message: str


class ConfigError(UserError):
    """Options that were refused, all problems at once."""

    def __init__(self, problems: list[Problem]):
        self.problems = problems
        super().__init__("\n".join(f"{p.field}: {p.message}" if p.field else p.message for p in problems))


class DataError(UserError):
    """Text that cannot be trained on: missing, empty, binary or too short."""


class DamagedFile(DataError):
    """A file from outside that is cut, damaged or of another format: names it, what is wrong and what to do."""


class DownloadError(UserError):
    """Something that could not be downloaded; names what is at hand instead."""


class BadRunId(UserError):
    """Text that is not a run id or a checkpoint id."""


class NotFound(UserError):
    """A run, checkpoint or corpus that is not there."""


class WrongState(UserError):
    """A command that does not fit the state a run is in."""

    def __init__(self, message: str, run_id: str | None = None, state: str | None = None):
        self.run_id = run_id
        self.state = state
        super().__init__(message)


class Busy(WrongState):
    """Another run holds the trainer; run_id names it."""


class NotAllowed(UserError):
    """Something that who asks may not do here; unknown says that nothing is known of who asks."""

    def __init__(self, message: str, unknown: bool = False):
        self.unknown = unknown
        super().__init__(message)


class TooMany(UserError):
    """More at once than who asks may have of the server; the same may be asked again after a while."""

    def __init__(self, message: str, retry_after_s: int):
        self.retry_after_s = retry_after_s
        super().__init__(message)


class NotEnoughMemory(UserError):
    """A run that needs more memory than there is; says what would fit."""


class DiskRefused(UserError):
    """A disk that does not take what is to be written; it may later, once its owner has made it."""


class NotEnoughDisk(DiskRefused):
    """A disk that is full, or too full for what was asked; the bytes are there where they are known."""

    def __init__(self, message: str, needed_bytes: int | None = None, free_bytes: int | None = None):
        self.needed_bytes, self.free_bytes = needed_bytes, free_bytes
        super().__init__(message)


class NotWritable(DiskRefused):
    """A folder or file that this user may not write, or that lies on a disk which is read-only."""


class DamagedRun(UserError):
    """A run folder, or a file of one, that cannot be read or trusted."""


class TrainingDiverged(UserError):
    """A loss or gradient that is not a finite number; the weights were not touched by it."""


class Cancelled(Exception):
    """A stop was asked for while data was downloaded or prepared, before there was a step to finish."""
