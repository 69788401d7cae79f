"""Web servers on 127.0.0.1 for tests: one of plain files and faults, one that answers as the Hub does."""

import hashlib
import json
import re
import threading
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import BinaryIO
from urllib.parse import parse_qs, unquote, urlsplit

import huggingface_hub.constants
import pytest

from llm_testing.errors import Cancelled


@dataclass
class Answer:
    """What a request is answered.

    Args:
        cut_after: send that many bytes of the body and break the connection.
        hang: send nothing from there on, the headers or the body (after cut_after bytes), until the client hangs up.
    """

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut_after: int | None = None
    send_length: bool = True
    hang: str = ""


class _QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is part of some tests."""


class Server:
    """Answers by `answer(method, path, query, headers)`, and keeps a log of (method, path, Range header)."""

    def __init__(self):
        self.log: list[tuple[str, str, str | None]] = []
        self.hangs, self.client_hung_up = threading.Event(), threading.Event()
        self._http = _QuietServer(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def answer(self, method: str, path: str, query: dict, headers: dict) -> Answer:
        raise NotImplementedError

    def accept(self, method: str, path: str, headers: dict, body: bytes) -> Answer:
        """What a POST or PUT is answered."""
        return Answer(b"", 405)

    def stop_once_it_hangs(self) -> None:
        """A check that asks for a stop while the client waits for this server."""
        if self.hangs.is_set():
            raise Cancelled

    def close(self) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


@contextmanager
def running(server: Server) -> Iterator[Server]:
    try:
        yield server
    finally:
        server.close()


class FileServer(Server):
    """Serves `files` by path with ETag and Range; `next_answers` of a path are given first, once each."""

    def __init__(self, files: dict[str, bytes] | None = None):
        self.files = files or {}
        self.next_answers: dict[str, list[Answer]] = {}
        self.cuts: dict[str, list[int]] = {}
        self.send_etag = True
        self.send_length = True
        super().__init__()

    def answer(self, method: str, path: str, query: dict, headers: dict) -> Answer:
        if self.next_answers.get(path):
            return self.next_answers[path].pop(0)
        if path not in self.files:
            return Answer(b"not here", 404)
        answer = ranged(self.files[path], headers, self.send_etag)
        answer.send_length = self.send_length
        if self.cuts.get(path):
            answer.cut_after = self.cuts[path].pop(0)
        return answer


class HubServer(Server):
    """Serves root/<owner>/<name>/<files> as datasets and models of the Hub; `gated` names those that ask for terms.

    Whoever brings `token` may make a repository and put files into it, large ones by the protocol of Git LFS.
    """

    def __init__(self, root: Path, token: str | None = None):
        self.root, self.token = root, token
        self.gated: set[str] = set()
        self.cuts: dict[str, list[int]] = {}
        self.messages: list[str] = []
        self.private: dict[str, bool] = {}
        self._large: dict[str, bytes] = {}
        super().__init__()

    def accept(self, method: str, path: str, headers: dict, body: bytes) -> Answer:
        if found := re.fullmatch(r"/large/([0-9a-f]{64})", path):  # its address is a secret of its own
            self._large[found[1]] = body
            return Answer(b"", 200)
        if self.token is None or headers.get("authorization") != f"Bearer {self.token}":
            return _json({"error": "Invalid username or password."}, 401)
        if path == "/api/validate-yaml":  # the Hub's client has a model card's header looked at
            return _json({"errors": [], "warnings": []})
        if path == "/api/repos/create":
            return self._create(json.loads(body))
        if found := re.fullmatch(r"/api/(?:models|datasets)/([^/]+/[^/]+)/preupload/main", path):
            files = json.loads(body)["files"]
            modes = [{"path": f["path"], "uploadMode": _mode(f["path"]), "shouldIgnore": False} for f in files]
            return _json({"files": modes})
        if found := re.fullmatch(r"/(?:datasets/)?([^/]+/[^/]+)\.git/info/lfs/objects/batch", path):
            objects = [
                {**wanted, "actions": {"upload": {"href": f"{self.url}/large/{wanted['oid']}"}}}
                for wanted in json.loads(body)["objects"]
            ]
            lfs = {"Content-Type": "application/vnd.git-lfs+json"}
            return _json({"transfer": "basic", "objects": objects}, 200, lfs)
        if found := re.fullmatch(r"/api/(?:models|datasets)/([^/]+/[^/]+)/commit/main", path):
            return self._commit(found[1], [json.loads(line) for line in body.splitlines()])
        return _json({"error": "Not Found"}, 404)

    def _create(self, asked: dict) -> Answer:
        repo = f"{asked.get('organization') or 'somebody'}/{asked['name']}"
        there = (self.root / repo).is_dir()
        if not there:
            (self.root / repo).mkdir(parents=True)
            self.private[repo] = asked.get("visibility") == "private"
        return _json({"url": f"{self.url}/{repo}", "name": repo}, 409 if there else 200)

    def _commit(self, repo: str, lines: list[dict]) -> Answer:
        for line in lines:
            value = line["value"]
            if line["key"] == "header":
                self.messages.append(value["summary"])
                continue
            file = self.root / repo / value["path"]
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(self._large[value["oid"]] if line["key"] == "lfsFile" else b64decode(value["content"]))
        commit = self.commit(repo)
        return _json({"success": True, "commitOid": commit, "commitUrl": f"{self.url}/{repo}/commit/{commit}"})

    def answer(self, method: str, path: str, query: dict, headers: dict) -> Answer:
        if path == "/api/whoami-v2":
            return _json({"name": "ann", "type": "user"})
        if found := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            return self._file(found[1], found[3], headers)
        if found := re.fullmatch(r"/api/models/([^/]+/[^/]+?)(?:/revision/([^/]+))?", path):
            return self._model(found[1])
        if found := re.fullmatch(r"/datasets/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            return self._file(found[1], found[3], headers)
        if found := re.fullmatch(r"/api/datasets/([^/]+/[^/]+?)(?:/(revision|tree)/([^/]+)(?:/(.*))?)?", path):
            return self._facts(found[1], found[2], found[4], query)
        return _json({"error": "Not Found"}, 404)

    def commit(self, repo: str) -> str:
        files = sorted(file for file in (self.root / repo).rglob("*") if file.is_file())
        return hashlib.sha1(b"".join(file.read_bytes() for file in files)).hexdigest()

    def _missing(self, repo: str) -> Answer | None:
        if repo in self.gated:
            return _json({"error": "gated"}, 403, {"X-Error-Code": "GatedRepo"})
        if not (self.root / repo).is_dir():
            return _json({"error": "RepoNotFound"}, 404, {"X-Error-Code": "RepoNotFound"})
        return None

    def _file(self, repo: str, name: str, headers: dict) -> Answer:
        if missing := self._missing(repo):
            return missing
        commit = {"X-Repo-Commit": self.commit(repo)}
        path = self.root / repo / name
        if not path.is_file():
            return _json({"error": "Entry not found"}, 404, {"X-Error-Code": "EntryNotFound", **commit})
        answer = ranged(path.read_bytes(), headers)
        answer.headers |= commit
        if self.cuts.get(name):
            answer.cut_after = self.cuts[name].pop(0)
        return answer

    def _model(self, repo: str) -> Answer:
        if missing := self._missing(repo):
            return missing
        return _json({"id": repo, "sha": self.commit(repo), "siblings": _siblings(self.root / repo), "tags": []})

    def _facts(self, repo: str, verb: str | None, inside: str | None, query: dict) -> Answer:
        if missing := self._missing(repo):
            return missing
        root = self.root / repo
        if verb == "tree":
            folder = root / (inside or "")
            if not folder.is_dir():
                return _json({"error": "Entry not found"}, 404, {"X-Error-Code": "EntryNotFound"})
            deep = query.get("recursive", ["false"])[0].lower() in ("true", "1")
            return _json([_entry(root, path) for path in sorted(folder.rglob("*") if deep else folder.iterdir())])
        private = self.private.get(repo, False)
        facts = {"id": repo, "sha": self.commit(repo), "private": private, "gated": False, "siblings": _siblings(root)}
        return _json({**facts, "tags": []})


@contextmanager
def writable_hub(root: Path, token: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A Hub that this process's client writes to, with the token in the environment."""
    with running(HubServer(root, token)) as server:
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", server.url)
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setenv("HF_TOKEN", token)
        yield server


def ranged(body: bytes, headers: dict, etag: bool = True) -> Answer:
    """A file, or the part of it that was asked for if the asker's copy is of the same file."""
    tag = f'"{hashlib.sha1(body).hexdigest()}"'
    sent = {"Accept-Ranges": "bytes", "Content-Type": "application/octet-stream"} | ({"ETag": tag} if etag else {})
    found = re.fullmatch(r"bytes=(\d+)-(\d*)", headers.get("range", ""))
    if not found or headers.get("if-range", tag) != tag:
        return Answer(body, 200, sent)
    first, last = int(found[1]), int(found[2] or len(body) - 1)
    if first >= len(body):
        return Answer(b"", 416, {"Content-Range": f"bytes */{len(body)}"})
    part = body[first : last + 1]
    return Answer(part, 206, sent | {"Content-Range": f"bytes {first}-{first + len(part) - 1}/{len(body)}"})


def _mode(name: str) -> str:
    return "lfs" if name.endswith((".safetensors", ".gguf", ".bin", ".zip")) else "regular"


def _json(value: object, status: int = 200, headers: dict | None = None) -> Answer:
    return Answer(json.dumps(value).encode(), status, {"Content-Type": "application/json", **(headers or {})})


def _siblings(root: Path) -> list[dict]:
    """A repository's files with their sizes, and the digests of large ones."""
    siblings = []
    for file in sorted(file for file in root.rglob("*") if file.is_file()):
        name, size = file.relative_to(root).as_posix(), file.stat().st_size
        entry = {"rfilename": name, "size": size, "blobId": "b"}
        if _mode(name) == "lfs":
            digest = hashlib.sha256(file.read_bytes()).hexdigest()
            entry["lfs"] = {"sha256": digest, "size": size, "pointerSize": 1}
        siblings.append(entry)
    return siblings


def _entry(root: Path, path: Path) -> dict:
    kind, size = ("directory", 0) if path.is_dir() else ("file", path.stat().st_size)
    oid = hashlib.sha1(b"" if path.is_dir() else path.read_bytes()).hexdigest()
    return {"type": kind, "oid": oid, "size": size, "path": path.relative_to(root).as_posix()}


def _chunks(file: BinaryIO) -> Iterator[bytes]:
    """A body that is sent in chunks, each after a line with its length."""
    while size := int(file.readline(), 16):
        yield file.read(size)
        file.readline()
    file.readline()


def _handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            headers = {name.lower(): value for name, value in self.headers.items()}
            server.log.append((self.command, parts.path, headers.get("range")))
            answer = server.answer(self.command, unquote(parts.path), parse_qs(parts.query), headers)
            if answer.hang == "headers":
                return self._hang()
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if answer.send_length:
                self.send_header("Content-Length", str(len(answer.body)))
            else:
                self.send_header("Connection", "close")
                self.close_connection = True
            self.end_headers()
            if self.command == "HEAD":
                return
            if answer.cut_after is not None:
                self.close_connection = True
            try:
                self.wfile.write(answer.body if answer.cut_after is None else answer.body[: answer.cut_after])
            except OSError:
                self.close_connection = True  # the client stopped, as some tests want it to
            if answer.hang:
                self._hang()

        def _hang(self) -> None:
            self.close_connection = True
            server.hangs.set()
            with suppress(OSError):
                self.connection.recv(1)  # nothing more comes: it ends with the connection
            server.client_hung_up.set()

        do_HEAD = do_GET

        def do_POST(self) -> None:
            parts = urlsplit(self.path)
            headers = {name.lower(): value for name, value in self.headers.items()}
            if headers.get("transfer-encoding") == "chunked":
                body = b"".join(_chunks(self.rfile))
            else:
                body = self.rfile.read(int(headers.get("content-length", 0)))
            server.log.append((self.command, parts.path, None))
            answer = server.accept(self.command, unquote(parts.path), headers, body)
            if answer.hang:
                return self._hang()
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        do_PUT = do_POST

        def log_message(self, *args: object) -> None:
            pass

    return Handler
