"""The two corpora that every Python carries: its documentation and the source of its library.

Other versions of Python give other text, so each corpus carries the version it was taken from.
"""

import ast
import gc
import importlib
import os
import platform
import sys
import sysconfig
import tokenize
import warnings
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from inspect import cleandoc
from pathlib import Path

from llm_testing.data.documents import Documents, in_memory
from llm_testing.errors import DamagedRun, DataError
from llm_testing.hub.pace import Pace
from llm_testing.jobs.progress import Check, Report
from llm_testing.store.files import need_folder, read_json, write_json

CONTENT = 1
"""Number of the rules below; a change of them is another text."""

_NOT_LIBRARY = {"test", "tests", "idle_test", "site-packages", "dist-packages", "lib-dynload", "__pycache__"}
_BLOCKS = ("body", "handlers", "orelse", "finalbody", "cases")
_HAVE_DOCSTRINGS = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def python_docs(name: str, cache_dir: Path, report: Report, check: Check) -> Documents:
    """The topics of Python's help() and the docstrings of its standard library, one document a topic or module.

    Reading all source takes a few seconds, so the result is kept in cache_dir for as long as the library's files stay
    as they are.
    """
    files = _library_files()
    kept = cache_dir / "builtin" / f"{name}-{_identity(files)}.json"
    texts = _read_kept(kept)
    if texts is None:
        found = {f"topic {topic}": text.strip() + "\n" for topic, text in _topics().items()}
        for module, source in _sources(files, f"reading {name}", report, check):
            docstrings = _docstrings(source)
            if docstrings:
                found[f"module {module}"] = "\n\n".join(docstrings) + "\n"
        texts = _mixed(found)
        need_folder(kept.parent)
        write_json(kept, {"schema": 1, "sha256": _digest(texts), "texts": texts})
    return in_memory(name, texts, platform.python_version())


def python_stdlib(name: str, cache_dir: Path, report: Report, check: Check) -> Documents:
    """The source of the standard library without its tests, one document a file."""
    sources = _sources(_library_files(), f"reading {name}", report, check)
    return in_memory(
        name, _mixed({module: text for module, text in sources if text.strip()}), platform.python_version()
    )


def _read_kept(path: Path) -> list[str] | None:
    try:
        kept = read_json(path)
        return kept["texts"] if kept["sha256"] == _digest(kept["texts"]) else None
    except (DamagedRun, KeyError, TypeError, AttributeError):
        return None


def _digest(texts: list[str]) -> str:
    return sha256("\0".join(texts).encode()).hexdigest()


def _identity(files: list[Path]) -> str:
    """Changes with the version of Python and with every file of its library."""
    digest = sha256(f"{CONTENT} {sys.version}".encode())
    for file in files:
        facts = file.stat()
        digest.update(f"{file} {facts.st_size} {facts.st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:16]


def _mixed(texts: dict[str, str]) -> list[str]:
    """The texts in an order that is fixed but not alphabetical, so that the last tenth is like the rest."""
    return [texts[name] for name in sorted(texts, key=lambda name: sha256(name.encode()).digest())]


def _topics() -> dict[str, str]:
    try:
        return importlib.import_module("pydoc_data.topics").topics
    except ImportError as error:
        raise DataError(
            "This Python comes without pydoc_data, the text of its help(). Install the complete standard library, "
            "or choose the corpus tiny or a file of your own."
        ) from error


def _library_files() -> list[Path]:
    root = _library()
    found = []
    for folder, subfolders, names in os.walk(root):
        subfolders[:] = [name for name in subfolders if name not in _NOT_LIBRARY]
        found += [Path(folder, name) for name in names if name.endswith(".py")]
    if not found:
        raise DataError(
            f"This Python keeps no source of its library in {root}. Install the complete standard library, or choose "
            "the corpus tiny or a file of your own."
        )
    return sorted(found)


def _library() -> Path:
    return Path(sysconfig.get_path("stdlib"))


def _sources(files: list[Path], phase: str, report: Report, check: Check) -> Iterator[tuple[str, str]]:
    """Every source file as (path inside the library, text)."""
    root = _library()
    pace = Pace(report, check, phase, len(files), "files")
    for file in files:
        with suppress(OSError, SyntaxError, UnicodeDecodeError):  # what is not Python 3, or not for this user
            with tokenize.open(file) as opened:  # honours the encoding that a source file declares
                text = opened.read()
            yield file.relative_to(root).as_posix(), text
        pace.add(1)
    pace.finish()


def _docstrings(source: str) -> list[str]:
    # The collector would walk the same young syntax trees again and again: 40 % of the time of all files.
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        # Old escapes in somebody else's source. The filter stays, as it fits nothing else: taking it back would take
        # back what another thread has set meanwhile, for the filters are the whole process's.
        warnings.filterwarnings("ignore", module="<unknown>")
        tree = ast.parse(source)
        return [text for text in _docstrings_in(tree) if text]
    except (SyntaxError, ValueError, RecursionError):
        return []  # templates such as lib2to3's, which are not Python 3
    finally:
        if was_enabled:
            gc.enable()


def _docstrings_in(node: ast.AST) -> Iterator[str]:
    """Docstrings in the order of the source; looks into statements only, which is 4 times as fast as ast.walk."""
    if isinstance(node, _HAVE_DOCSTRINGS):
        match node.body[:1]:
            case [ast.Expr(value=ast.Constant(value=str(text)))]:
                # Half a surrogate pair can be written in source but is no character.
                yield cleandoc(text).strip().encode("utf-8", "replace").decode()
    for part in _BLOCKS:
        for statement in getattr(node, part, ()):
            yield from _docstrings_in(statement)
