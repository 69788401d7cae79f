"""A folder to a repository of one's own on the Hub, with the token of the environment, which is kept nowhere."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from llm_testing.errors import DownloadError
from llm_testing.hub.datasets import require_hub
from llm_testing.hub.models import HUB_ID
from llm_testing.jobs.progress import Check, never_cancel
from llm_testing.jobs.threads import answered

if TYPE_CHECKING:
    from huggingface_hub import HfApi


def require_token() -> str:
    """The token that the environment gives.

    Raises:
        DownloadError: there is none; says how to give one.
    """
    token = os.environ.get("HF_TOKEN")
    if not token:
        raise DownloadError(
            "Sending to the Hub needs a token that may write: set HF_TOKEN in the environment of this program, on a "
            "Space as a secret in its settings. It is read there each time and kept nowhere."
        )
    return token


def check_repo(repo: str) -> None:
    """Refuse what cannot be the name of a repository.

    Raises:
        DownloadError: saying the form.
    """
    if not HUB_ID.fullmatch(repo):
        raise DownloadError(f"{repo!r} cannot be the name of a repository on the Hub. The form is owner/name.")


def push_folder(folder: Path, repo: str, private: bool, message: str, check: Check = never_cancel) -> str:
    """Make the repository where it is not there, and put every file of a folder into it as one commit.

    Args:
        message: of the commit.
        check: a stop is heard while the Hub does not answer; what is on its way then may still arrive.

    Returns:
        The address of the repository's page.

    Raises:
        DownloadError: no token, one that may not write there, or a Hub that does not answer.
        Cancelled: from check.
    """
    require_token()
    check_repo(repo)
    api = writing_api(repo, check)
    with refusals_told(repo, api.token):
        answered(lambda: api.create_repo(repo, private=private, exist_ok=True), check)
        answered(lambda: api.upload_folder(repo_id=repo, folder_path=folder, commit_message=message), check)
    return f"{api.endpoint}/{repo}"


def writing_api(name: str, check: Check = never_cancel) -> HfApi:
    """The Hub's own client with the environment's token, once the Hub answers.

    Args:
        name: what is sent or fetched, for a refusal.

    Raises:
        DownloadError: no token, or a Hub that does not answer.
    """
    token = require_token()
    endpoint = require_hub(name, check)
    from huggingface_hub import HfApi  # noqa: PLC0415  (reads its environment when it is imported)
    from huggingface_hub.utils import disable_progress_bars  # noqa: PLC0415

    disable_progress_bars()
    return HfApi(endpoint=endpoint, token=token)


@contextmanager
def refusals_told(repo: str, token: str) -> Iterator[None]:
    """What the Hub's client raises, as one sentence without the token.

    Raises:
        DownloadError.
    """
    from huggingface_hub import errors  # noqa: PLC0415  (reads its environment when it is imported)

    try:
        yield
    except errors.RepositoryNotFoundError:
        raise DownloadError(
            f"There is no {repo} on the Hub that this token may see. Check owner and name, or make a token that may "
            "at huggingface.co/settings/tokens."
        ) from None
    except errors.HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else None
        if status in (401, 403):
            raise DownloadError(
                f"The Hub does not let this token write to {repo}. Make one that may at huggingface.co/settings/tokens."
            ) from None
        raise DownloadError(f"The Hub refused {repo}: {_first_line(error, token)}.") from None
    except (errors.HFValidationError, OSError, RuntimeError, ValueError) as error:
        raise DownloadError(f"{repo} and the Hub: {_first_line(error, token)}.") from None


def _first_line(error: Exception, token: str) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".").replace(token, "***") or type(error).__name__
