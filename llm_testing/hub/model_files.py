"""The files of a model on the Hub: config, tokenizer and safetensors of one commit, into a folder of their own."""

import json
import os
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from llm_testing.errors import DamagedRun, DataError, DownloadError
from llm_testing.hub.datasets import require_hub
from llm_testing.hub.disk import require_free
from llm_testing.hub.download import download_file
from llm_testing.hub.models import HUB_ID
from llm_testing.jobs.progress import Check, Report
from llm_testing.jobs.threads import answered
from llm_testing.store.files import need_folder, read_json, write_json

WANTED = (
    "config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
    "added_tokens.json", "vocab.json", "merges.txt", "tokenizer.model", "chat_template.jinja", "chat_template.json",
    "model.safetensors", "model.safetensors.index.json", "model-*-of-*.safetensors",
)  # fmt: skip
WHOLE = "whole.json"
"""Written last: says that everything is there."""


@dataclass(frozen=True)
class HubFile:
    """A file of a repository; sha256 is known of large ones."""

    name: str
    num_bytes: int
    sha256: str | None


def fetch_model(
    repo: str, commit: str | None, root: Path, report: Report, check: Check, weights: bool = True
) -> tuple[Path, str]:
    """The folder of a model's files, and its commit; what is there already is not asked for again.

    Args:
        commit: of an earlier download; None takes what is here, else the newest on the Hub.
        weights: bring them too, and not only config and tokenizer.
        root: folder that holds a folder for each model and commit.

    Raises:
        DownloadError: unreachable, no such model, gated, or a file that does not come whole.
        DataError: the repository has no safetensors.
        NotEnoughDisk, Cancelled.
    """
    if not HUB_ID.fullmatch(repo):
        raise DownloadError(f"{repo!r} cannot be the name of a model on the Hub. The form is owner/name.")
    place = root / repo.replace("/", "--")
    here = [commit] if commit else sorted(p.parent.name for p in place.glob(f"*/{WHOLE}"))
    for known in here:
        with suppress(DamagedRun, OSError):
            if read_json(place / known / WHOLE)["repo"] == repo:
                return place / known, known
    endpoint = require_hub(repo, check)
    asked = commit
    commit, files = answered(lambda: _listing(repo, asked, endpoint), check)
    folder = place / commit
    wanted = [file for file in files if weights or not file.name.endswith(".safetensors")]
    missing = [file for file in wanted if not _is_there(folder / file.name, file)]
    need_folder(folder)
    require_free(folder, sum(file.num_bytes for file in missing), f"The model {repo}")
    token = os.environ.get("HF_TOKEN")
    headers = {"authorization": f"Bearer {token}"} if token else {}
    for number, file in enumerate(missing, 1):
        check()
        address = f"{endpoint}/{repo}/resolve/{commit}/{file.name}"
        called = f"{repo} {file.name} ({number} of {len(missing)})"
        download_file(address, folder / file.name, report, check, file.sha256, name=called, headers=headers)
    if weights:
        write_json(folder / WHOLE, {"repo": repo, "commit": commit})
    return folder, commit


def _listing(repo: str, commit: str | None, endpoint: str) -> tuple[str, list[HubFile]]:
    from huggingface_hub import HfApi, errors  # noqa: PLC0415  (reads its environment when it is imported)

    try:
        info = HfApi(endpoint=endpoint).model_info(repo, revision=commit, files_metadata=True, timeout=15)
    except errors.GatedRepoError as error:
        raise DownloadError(
            f"The model {repo} asks to accept its terms or to log in. Accept them on its page of the Hub and set "
            "HF_TOKEN to a token that may read it."
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise DownloadError(
            f"There is no model {repo} on the Hub, or it is private. Check owner and name; for a private one set "
            "HF_TOKEN."
        ) from error
    except (errors.HfHubHTTPError, errors.HFValidationError, OSError, json.JSONDecodeError) as error:
        raise DownloadError(f"The Hub did not answer for {repo}: {str(error).partition(chr(10))[0]}.") from error
    names = [s.rfilename for s in info.siblings]
    files = [
        HubFile(s.rfilename, s.size or 0, s.lfs.sha256 if s.lfs else None)
        for s in info.siblings
        if any(fnmatch(s.rfilename, wanted) for wanted in WANTED)
    ]
    if not any(file.name.endswith(".safetensors") for file in files):
        pickles = any(name.endswith((".bin", ".pt", ".pth")) for name in names)
        why = "only pickles, which can run code when they are read" if pickles else "no weights"
        raise DataError(f"The model {repo} has {why}. Only safetensors are read here: choose a model that has them.")
    return info.sha, files


def _is_there(path: Path, file: HubFile) -> bool:
    return path.is_file() and path.stat().st_size == file.num_bytes
