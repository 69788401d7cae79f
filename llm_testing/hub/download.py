"""One file by URL: with progress, resumed where the connection was cut, and never half under its good name."""

import hashlib
import json
import os
import re
import socket
import time
from collections.abc import Generator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from llm_testing.errors import DownloadError
from llm_testing.hub.disk import require_free
from llm_testing.hub.pace import Pace
from llm_testing.jobs.progress import Check, Report
from llm_testing.jobs.threads import pulled
from llm_testing.store.files import refusal_named

TIMEOUT = httpx.Timeout(15.0, connect=5.0)
"""Seconds. Short to connect, so that being offline is known soon. A stop is heard meanwhile."""

ATTEMPTS = 5
"""Tries in a row that bring nothing; one that brings bytes starts the count again."""

MAX_CUTS = 100
BACKOFF_S = 0.5


@dataclass(frozen=True)
class Downloaded:
    """What came: content_type is the server's word for it, without parameters, lower case."""

    url: str
    sha256: str
    num_bytes: int
    content_type: str


class _TooLarge(DownloadError):
    """More than max_bytes: the part is not worth keeping."""


class _Cut(Exception):
    """The connection broke, or the server asked to come back later: worth another try."""


def download_file(
    url: str,
    to: Path,
    report: Report,
    check: Check,
    sha256: str | None = None,
    max_bytes: int | None = None,
    name: str | None = None,
    headers: dict[str, str] | None = None,
) -> Downloaded:
    """Fetch url into the file `to`; what a stopped call had fetched is gone on with, if the server's file is the same.

    Args:
        to: replaced in one step once everything is there; its folder is made.
        sha256: hex digest that the content must have.
        max_bytes: refuse a larger file.
        name: what the user calls it; the file's name if absent.
        headers: sent to url's host alone, such as a token.

    Raises:
        DownloadError: not http or https, unreachable, missing, not permitted, too large, or other content than sha256.
        NotEnoughDisk: it does not fit the disk.
        Cancelled: from check.
    """
    name = name or to.name
    if not url.lower().startswith(("http://", "https://")):
        raise DownloadError(
            f"{url!r} cannot be downloaded. Accepted are addresses that begin with http:// or https://."
        )
    with refusal_named(to):
        to.parent.mkdir(parents=True, exist_ok=True)
        transfer = _Transfer(url, to, name, max_bytes, Pace(report, check, f"downloading {name}", None, "bytes"), check)
        sent = {"Accept-Encoding": "identity", **(headers or {})}
        with httpx.Client(timeout=TIMEOUT, follow_redirects=True, headers=sent) as client:
            try:
                transfer.run(client)
            except _TooLarge:
                transfer.forget()
                raise
        digest = _digest(transfer.part, Pace(report, check, f"checking {name}", transfer.pace.done, "bytes"))
        if sha256 and digest != sha256:
            transfer.forget()
            raise DownloadError(
                f"What {url} gave for {name} is not the expected file: its sha256 is {digest}, expected was {sha256}. "
                "It was removed. Try again later; if it stays so, the file at that address was changed."
            )
        os.replace(transfer.part, to)
    transfer.forget()
    return Downloaded(url, digest, to.stat().st_size, transfer.content_type)


class _Transfer:
    """The part that has been fetched so far and the server's mark for the file it belongs to."""

    def __init__(self, url: str, to: Path, name: str, max_bytes: int | None, pace: Pace, check: Check):
        self.url = url
        self.name = name
        self.max_bytes = max_bytes
        self.pace = pace
        self.check = check
        self.content_type = ""
        self.part = to.with_name(to.name + ".part")
        self._note = to.with_name(to.name + ".part.json")
        self._mark = self._read_mark()

    def run(self, client: httpx.Client) -> None:
        """Fetch until everything is there."""
        failures = 0
        for _ in range(MAX_CUTS):
            before = self._have()
            try:
                return self._fetch(client)
            except httpx.InvalidURL as error:
                raise DownloadError(f"{self.url!r} is not a valid address: {error}.") from error
            except (
                httpx.ConnectError,
                httpx.ConnectTimeout,
                httpx.UnsupportedProtocol,
                httpx.TooManyRedirects,
            ) as error:
                if before == 0:
                    raise DownloadError(
                        f"{_host(self.url)} could not be reached for {self.name} ({_cause(error)})."
                    ) from error
                reason = _cause(error)
            except (httpx.TransportError, _Cut) as error:
                reason = _cause(error)
            failures = 1 if self._have() > before else failures + 1
            if failures >= ATTEMPTS:
                break
            self._wait(BACKOFF_S * 2 ** (failures - 1))
        raise DownloadError(
            f"The download of {self.name} from {_host(self.url)} broke off again and again ({reason}). "
            f"{self._have():,} bytes are kept; start it again to go on from there."
        )

    def forget(self) -> None:
        self.part.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def _fetch(self, client: httpx.Client) -> None:
        have = self._have() if self._mark else 0
        headers = {"Range": f"bytes={have}-", "If-Range": self._mark} if have else {}
        line = _Line()

        def pieces() -> Generator[httpx.Response | bytes, None, None]:
            with client.stream("GET", self.url, headers=headers, extensions={"trace": line.trace}) as response:
                yield response
                # Packed although it was asked not to: then only the unpacked bytes are of use, and cannot be resumed.
                packed = "Content-Encoding" in response.headers
                yield from response.iter_bytes() if packed else response.iter_raw()

        with closing(pulled(pieces, self.check, line.hang_up)) as came:
            response = next(came)
            self._refuse(response)
            resumed = response.status_code == 206 and _range_start(response) == have
            if response.status_code == 206 and not resumed or response.status_code == 416:
                self.forget()
                self._mark = None
                raise _Cut("the server's file changed")
            start = have if resumed else 0
            self._begin(response, start)
            with self.part.open("ab" if resumed else "wb") as file:
                for block in came:
                    file.write(block)
                    self.pace.add(len(block))
                    self._refuse_size(self.pace.done)
                file.flush()
                os.fsync(file.fileno())
        if self.pace.total is not None and self._have() != self.pace.total:
            raise _Cut(f"{self._have():,} of {self.pace.total:,} bytes came")
        self.pace.finish()

    def _begin(self, response: httpx.Response, start: int) -> None:
        length = response.headers.get("Content-Length", "")
        self.content_type = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        self.pace.done = start
        packed = "Content-Encoding" in response.headers
        self.pace.total = start + int(length) if length.isdecimal() and not packed else None
        if self.pace.total is not None:
            self._refuse_size(self.pace.total)
            require_free(self.part.parent, self.pace.total - start, f"The download of {self.name}")
        if start == 0:
            # Only a strong mark says that the bytes are the same; without one a part is never gone on with.
            tag = response.headers.get("ETag", "")
            self._mark = tag if tag.startswith('"') else response.headers.get("Last-Modified")
            self._mark = None if packed else self._mark
            self._note.write_text(json.dumps({"url": self.url, "mark": self._mark}), encoding="utf-8")

    def _refuse(self, response: httpx.Response) -> None:
        status = response.status_code
        if status in (200, 206, 416):
            return
        if status in (408, 425, 429) or status >= 500:
            raise _Cut(f"the server answered {status}")
        if status in (401, 403):
            raise DownloadError(
                f"{_host(self.url)} does not permit the download of {self.name} (status {status}). It may ask for a "
                "login or for its terms to be accepted first."
            )
        if status in (404, 410):
            raise DownloadError(f"There is no file at {self.url} (status {status}). Check the address of {self.name}.")
        raise DownloadError(f"{_host(self.url)} refused the download of {self.name} with status {status}.")

    def _refuse_size(self, num_bytes: int) -> None:
        if self.max_bytes is not None and num_bytes > self.max_bytes:
            raise _TooLarge(
                f"{self.name} at {self.url} is larger than the {self.max_bytes:,} bytes that are accepted here."
            )

    def _have(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _read_mark(self) -> str | None:
        try:
            note = json.loads(self._note.read_bytes())
            return note["mark"] if note["url"] == self.url else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.check()
            time.sleep(min(0.1, seconds))


class _Line:
    """The connection of one request, which another thread may end: a read that waits ends with it."""

    def __init__(self):
        self._sockets: list[socket.socket] = []
        self._ended = False

    def trace(self, event: str, info: dict[str, Any]) -> None:
        """What httpx tells of a request as it goes on."""
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            self._sockets.append(info["return_value"].get_extra_info("socket"))
            if self._ended:
                self.hang_up()

    def hang_up(self) -> None:
        """End the connection, and one that is still to come."""
        self._ended = True
        for ours in self._sockets:
            with suppress(OSError):  # closed already
                # Of the plain socket below TLS: closing alone would not wake who reads from it.
                socket.socket.shutdown(ours, socket.SHUT_RDWR)


def _digest(path: Path, pace: Pace) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
            pace.add(len(block))
    return digest.hexdigest()


def _range_start(response: httpx.Response) -> int | None:
    found = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return int(found[1]) if found else None


def _host(url: str) -> str:
    return httpx.URL(url).host


def _cause(error: Exception) -> str:
    return str(error).strip().rstrip(".") or type(error).__name__
