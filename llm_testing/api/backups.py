"""Backing all runs up to a private dataset of the Hub, and bringing them back, as REST calls."""

from typing import Annotated, Any

from pydantic import Field

from llm_testing.api.calls import Asked, Call
from llm_testing.config.option import Options, Show
from llm_testing.hub.push import check_repo, require_token
from llm_testing.service.backups import BackupJob
from llm_testing.service.roles import check


class BackupRequest(Options):
    """Which dataset keeps the runs."""

    repo: Annotated[str | None, Field(max_length=200), Show("Dataset", "Backup")] = None
    """A private dataset of yours, as owner/name; absent means the one beside this Space, or owner/llm-testing-runs."""


def back_up(asked: Asked) -> BackupJob:
    """Begin to send every run to a private dataset of the Hub, with the token in this program's environment."""
    _check(asked.body.repo)
    return asked.lab.backups.start("backup", asked.body.repo)


def bring_back(asked: Asked) -> BackupJob:
    """Begin to bring runs back from such a dataset; runs that are here already stay as they are."""
    check(asked.request, "hub")
    _check(asked.body.repo)
    return asked.lab.backups.start("restore", asked.body.repo)


def state(asked: Asked) -> dict[str, Any]:
    """The backup or restore that was begun last, and how far it is; null where none was."""
    return {"job": asked.lab.backups.last()}


def _check(repo: str | None) -> None:
    require_token()
    if repo is not None:
        check_repo(repo)


AT = "/api/backup"
BACKUPS = (
    Call("GET", AT, "push", state, named="backup_state"),
    Call("POST", AT, "push", back_up, named="backup", body=BackupRequest, answer=BackupJob),
    Call("POST", f"{AT}/restore", "upload", bring_back, named="backup_restore", body=BackupRequest, answer=BackupJob),
)
