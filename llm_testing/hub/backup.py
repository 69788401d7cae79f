"""Runs as zips in a private dataset of one's own on the Hub, with the environment's token, which is kept nowhere."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from llm_testing.errors import DownloadError
from llm_testing.hub.download import download_file
from llm_testing.hub.push import check_repo, refusals_told, writing_api
from llm_testing.jobs.progress import Check, Report, never_cancel
from llm_testing.jobs.threads import answered

FOLDER = "runs"
"""Where in the dataset the zips lie."""


class Backup:
    """A dataset that keeps one zip for each run; `kept` has their sha256 by run id, where the Hub says it.

    Args:
        repo: owner/name; None takes `default_repo`.
        make: make the dataset where it is not there.
        check: a stop is heard while the Hub does not answer.

    Raises:
        DownloadError: no token, no such dataset, one that others can read, or a Hub that does not answer.
        Cancelled: from check, also by `put`.
    """

    def __init__(self, repo: str | None, make: bool, check: Check = never_cancel):
        self._check = check
        self._api = writing_api(repo or "the backup", check)
        with refusals_told(repo or "your account", self._api.token):
            self.repo = repo or default_repo(os.environ) or f"{self._asked(self._api.whoami)['name']}/llm-testing-runs"
        check_repo(self.repo)
        with refusals_told(self.repo, self._api.token):
            if make:
                self._asked(self._api.create_repo, self.repo, repo_type="dataset", private=True, exist_ok=True)
            self._read()

    @property
    def url(self) -> str:
        """The address of the dataset's page."""
        return f"{self._api.endpoint}/datasets/{self.repo}"

    def _asked(self, call: Callable[..., Any], *given: Any, **options: Any) -> Any:
        """What the Hub answers to a call of its client; a stop is heard meanwhile."""
        return answered(lambda: call(*given, **options), self._check)

    def _read(self) -> None:
        info = self._asked(self._api.dataset_info, self.repo, files_metadata=True, timeout=15)
        if not info.private:
            raise DownloadError(
                f"The dataset {self.repo} is public, so everybody could read your runs. Make it private in its "
                "settings, or name another."
            )
        self._commit, self.kept = info.sha, {}
        for file in info.siblings or ():
            folder, _, name = file.rfilename.partition("/")
            if folder == FOLDER and name.endswith(".zip") and "/" not in name:
                self.kept[name.removesuffix(".zip")] = file.lfs.sha256 if file.lfs else None

    def put(self, run_id: str, path: Path) -> None:
        """Keep a zip as the backup of a run, in place of an older one.

        Raises:
            DownloadError: the token may not write there, or the Hub does not answer.
        """
        with refusals_told(self.repo, self._api.token):
            self._asked(
                self._api.upload_file,
                path_or_fileobj=path,
                path_in_repo=f"{FOLDER}/{run_id}.zip",
                repo_id=self.repo,
                repo_type="dataset",
                commit_message=f"Run {run_id}",
            )

    def get(self, run_id: str, to: Path, report: Report, check: Check) -> None:
        """Fetch the zip of a run into the file `to`.

        Raises:
            DownloadError, NotEnoughDisk, Cancelled.
        """
        address = f"{self.url}/resolve/{self._commit}/{FOLDER}/{run_id}.zip"
        sent = {"authorization": f"Bearer {self._api.token}"}
        download_file(address, to, report, check, self.kept[run_id], name=f"run {run_id}", headers=sent)


def default_repo(environ: Mapping[str, str]) -> str | None:
    """The dataset beside a Space, whose name a Space that starts anew finds again; None elsewhere."""
    space = environ.get("SPACE_ID", "").strip()
    return f"{space}-runs" if space else None
