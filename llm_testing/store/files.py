"""The one door to the disk: every write of a run goes through here, so no crash and no full disk costs a good file.

A file is replaced in one step (a draft in the same folder, fsync, rename, fsync of the folder). A reader therefore sees
the old bytes or the new ones. Reading takes regular files only: a pipe or link named run.json is refused, not followed.
"""

import errno
import hashlib
import io
import os
import re
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from filelock import FileLock

from llm_testing.errors import DamagedRun, NotEnoughDisk, NotWritable, UserError
from llm_testing.store.strict_json import json_bytes, parse_json

MAX_JSON_BYTES = 16 * 2**20
# EFBIG is a limit on the size of one file (ulimit -f, FAT): to the user it is a disk that takes no more.
_FULL = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
_NOT_WRITABLE = {errno.EROFS, errno.EACCES, errno.EPERM}
# How a writer in Rust, of safetensors or tokenizers, says what the system answered; it raises no OSError.
_OF_RUST = re.compile(r"\(os error (\d+)\)")
_UNSUPPORTED = {errno.EINVAL, errno.ENOTSUP, errno.EBADF, errno.EACCES}
_WRITE_FLAGS = os.O_WRONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_READ_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_CLOEXEC", 0)
)


@dataclass(frozen=True)
class Written:
    """What a writer gave: the number of bytes, and their SHA-256 as they were given (not as they were read back)."""

    bytes: int
    sha256: str


def write_bytes(path: Path, data: bytes) -> None:
    """Replace path by data in one step."""
    write_with(path, lambda file: file.write(data))


def write_json(path: Path, value: dict) -> None:
    """Replace path in one step, so a reader or a crash never sees half a file.

    Raises:
        ValueError: for NaN and infinity, which JSON has no word for.
        NotEnoughDisk: if the disk is full; the old file is still there.
    """
    write_bytes(path, json_bytes(value, indent=2) + b"\n")


def write_with(path: Path, write: Callable[[BinaryIO], object]) -> Written:
    """Replace path in one step by what write(file) writes; the file it gets cannot seek."""
    draft = path.with_name(draft_name())
    try:
        written = write_new(draft, write)
        replace_path(draft, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(draft)
        raise
    sync_folder(path.parent)
    return written


def draft_name() -> str:
    """A hidden name for what is not whole yet; it tells whose it is, so that leftovers can be cleared."""
    return f".new-{os.getpid()}-{uuid4().hex[:12]}"


def write_new(path: Path, write: Callable[[BinaryIO], object]) -> Written:
    """Write a file that must not be there yet, and fsync it; for files of a folder that is renamed into place later."""
    with refusal_named(path):
        fd = os.open(path, _WRITE_FLAGS | os.O_CREAT | os.O_EXCL, 0o644)
    raw = _HashedWriter(fd, path)
    try:
        with io.BufferedWriter(raw, 2**20) as file:
            write(file)
            file.flush()
            raw.sync()
    except Exception as error:
        # A C++ writer may answer our OSError with an error of its own; the disk's reason is the one to tell.
        if raw.error is not None and error is not raw.error:
            raise raw.error from error
        raise
    finally:
        raw.close()
    return Written(raw.num_bytes, raw.digest.hexdigest())


class _HashedWriter(io.RawIOBase):
    """A file that can only grow, which counts and hashes what it takes and remembers why it failed."""

    def __init__(self, fd: int, path: Path):
        self.fd, self.path = fd, path
        self.digest = hashlib.sha256()
        self.num_bytes = 0
        self.error: Exception | None = None

    def writable(self) -> bool:
        return True

    def write(self, data) -> int:
        # After a failure the buffer is flushed once more by close(); those bytes are lost with the file anyway.
        if self.error is not None:
            return len(data)
        view = memoryview(data).cast("B")
        try:
            with refusal_named(self.path, len(view)):
                taken = write_all(self.fd, view)
        except Exception as error:
            self.error = error
            raise
        self.digest.update(view)
        self.num_bytes += taken
        return taken

    def sync(self) -> None:
        try:
            with refusal_named(self.path, self.num_bytes):
                os.fsync(self.fd)  # a full disk or a bad sector may show only here
        except Exception as error:
            self.error = error
            raise

    def close(self) -> None:
        if not self.closed:
            super().close()
            os.close(self.fd)


def write_all(fd: int, data: bytes | memoryview) -> int:
    """Write all of data: a disk that is nearly full takes part of it without an error first."""
    view, done = memoryview(data), 0
    while done < len(view):
        done += os.write(fd, view[done:])
    return done


def open_append(path: Path) -> int:
    """A file descriptor that appends to a regular file, which is made if it is missing.

    Raises:
        DamagedRun: if something else has that name.
    """
    new = not path.exists()
    with refusal_named(path):
        try:
            fd = os.open(path, _WRITE_FLAGS | os.O_CREAT | os.O_APPEND | getattr(os, "O_NONBLOCK", 0), 0o644)
        except OSError as error:
            if error.errno not in {errno.ELOOP, errno.ENXIO, errno.EISDIR}:
                raise
            raise DamagedRun(f"{path} is not a regular file, so nothing is appended to it.") from error
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise DamagedRun(f"{path} is not a regular file, so nothing is appended to it.")
        if new:
            sync_folder(path.parent)
    except BaseException:
        os.close(fd)
        raise
    return fd


def append_whole(fd: int, path: Path, end: int, line: bytes) -> None:
    """Append line in one write, all of it or nothing; end is the file's size before.

    Raises:
        NotEnoughDisk: if the disk took only part of it, which is undone: the next line would be glued to the stump.
    """
    with refusal_named(path, len(line)):
        try:
            if os.write(fd, line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            # If this fails too, the file's size is not what its owner expects, who then looks at the file again.
            with suppress(OSError):
                os.ftruncate(fd, end)
            raise


def append_bytes(path: Path, data: bytes) -> None:
    """Append to a file that is only kept for the record."""
    fd = open_append(path)
    try:
        with refusal_named(path, len(data)):
            write_all(fd, data)
    finally:
        os.close(fd)


def truncate(fd: int, path: Path, end: int) -> None:
    """Cut a file to end bytes."""
    with refusal_named(path):
        os.ftruncate(fd, end)


def sync_data(fd: int, path: Path) -> None:
    """Make the content of an open file survive a power cut."""
    with refusal_named(path):
        (os.fdatasync if hasattr(os, "fdatasync") else os.fsync)(fd)


def sync_folder(path: Path) -> None:
    """Make renames in a folder survive a power cut; nothing to do where folders cannot be opened (Windows)."""
    if os.name == "nt":
        return
    with refusal_named(path):
        fd = os.open(path, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
        try:
            os.fsync(fd)
        except OSError as error:
            # Some network and FUSE mounts cannot sync a folder. All else is a disk that failed, and must be told.
            if error.errno not in _UNSUPPORTED:
                raise
        finally:
            os.close(fd)


def replace_path(old: Path, new: Path) -> None:
    """Rename a file or folder; on Windows a scanner may hold it for a moment, so it is tried again for a second."""
    with refusal_named(new):
        for attempt in range(20):
            try:
                os.replace(old, new)
                return
            except PermissionError:
                if os.name != "nt" or attempt == 19:
                    raise
                time.sleep(0.05)


def make_folder(path: Path) -> None:
    """Make a folder that must not be there yet."""
    with refusal_named(path):
        os.mkdir(path)


def need_folder(path: Path) -> None:
    """Make a folder and those above it where they are not there yet."""
    with refusal_named(path):
        try:
            path.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError):
            raise NotWritable(f"{path} cannot be made: a file stands in its way. Use another folder.") from None


def free_bytes(path: Path) -> int:
    """Bytes that this user may still write on the disk that holds path, which need not exist yet."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return shutil.disk_usage(path).free


@contextmanager
def refusal_named(path: Path, num_bytes: int = 0) -> Iterator[None]:
    """Turn what a disk answers that takes no write into a sentence that names folder and bytes; other errors pass.

    Raises:
        NotEnoughDisk: it is full.
        NotWritable: it is read-only, or this user may not write there.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        number = _number_of(error)
        if number in _FULL:
            raise NotEnoughDisk(_full(path, num_bytes, number)) from error
        if number in _NOT_WRITABLE:
            raise NotWritable(
                f"{_called(path, 'A file')} cannot be written to {path.parent} ({os.strerror(number)}). "
                "Give this user the right to write there, or use another folder."
            ) from error
        raise


def _number_of(error: Exception) -> int | None:
    """The errno of what the system answered to a writer of any language."""
    if isinstance(error, OSError):
        return error.errno
    found = _OF_RUST.search(str(error))
    return int(found[1]) if found else None


def _called(path: Path, otherwise: str) -> str:
    """A file's name as people know it; drafts and locks have none of that kind."""
    return otherwise if path.name.startswith(".") else path.name


def _full(path: Path, num_bytes: int, number: int) -> str:
    named = _called(path, "a file")
    wanted = f"{num_bytes:,} bytes of {named}" if num_bytes else named
    return (
        f"The disk is full: {wanted} could not be written to {path.parent} ({os.strerror(number)}). "
        "Nothing saved before is lost. Free some space there, or use another runs folder."
    )


def num_bytes_of(write: Callable[[BinaryIO], object]) -> int:
    """How many bytes a writer gives, without keeping them."""
    counter = _Counter()
    with io.BufferedWriter(counter, 2**20) as file:
        write(file)
        file.flush()
        return counter.num_bytes


class _Counter(io.RawIOBase):
    num_bytes = 0

    def writable(self) -> bool:
        return True

    def write(self, data) -> int:
        num_bytes = memoryview(data).nbytes
        self.num_bytes += num_bytes
        return num_bytes


@contextmanager
def lock_file(path: Path) -> Iterator[None]:
    """Hold a lock between processes; a folder where it cannot be made is named.

    Raises:
        NotEnoughDisk, NotWritable.
    """
    lock = FileLock(path, thread_local=False)
    with refusal_named(path):
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading; a link, pipe, device or folder of that name is refused without waiting for it.

    Raises:
        FileNotFoundError: if there is nothing of that name.
        DamagedRun: if it cannot be read.
    """
    fd = -1
    try:
        fd = os.open(path, _READ_FLAGS)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise DamagedRun(f"{path} is not a regular file, so it is not read.")
        return os.fdopen(os.dup(fd), "rb")
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from error
    finally:
        if fd >= 0:
            os.close(fd)


def unreadable(path: Path, error: Exception) -> DamagedRun:
    """Why a file or folder cannot be read, and what would help."""
    if isinstance(error, PermissionError):
        return DamagedRun(f"{path} cannot be read ({error.strerror}). Give this user the right to read it.")
    return DamagedRun(f"{path} cannot be read: {error}. A regular file is expected there, not a link.")


def read_json(path: Path, max_bytes: int = MAX_JSON_BYTES, parse: Callable[[bytes], dict] = parse_json) -> dict:
    """Read a JSON object that anybody may have written.

    Args:
        parse: for a file whose every value is looked at afterwards, one that lets more pass.

    Raises:
        DamagedRun: naming the file and the reason, whatever is wrong with it (also if it is missing).
    """
    try:
        with open_regular(path) as file:
            data = file.read(max_bytes + 1)
    except FileNotFoundError as error:
        raise DamagedRun(f"{path} is missing.") from error
    except OSError as error:
        raise DamagedRun(f"{path} cannot be read: {error}.") from error
    if len(data) > max_bytes:
        raise DamagedRun(f"{path} is larger than {max_bytes:,} bytes, which is more than such a file can need.")
    try:
        return parse(data)
    except ValueError as error:
        raise DamagedRun(f"{path} is not valid: {error}.") from error
