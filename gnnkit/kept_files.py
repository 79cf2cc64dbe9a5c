"""What outlives a process: files that are written whole or not at all, and whose damage is noticed; folders that one
process at a time writes to, and that take no results beside those that were made from something else."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import platform
import re
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from gnnkit.differences import named_differences

try:
    import fcntl
except ImportError:  # no such locks on Windows: two runs into one folder are the user's to avoid there
    fcntl = None

__all__ = [
    "LOCK",
    "check_claim",
    "check_folder",
    "check_own_files",
    "claim_folder",
    "current_file",
    "damage_named",
    "half_written",
    "json_of",
    "locked_folder",
    "new_name",
    "part_of",
    "read_json",
    "replace_file",
    "sha256_of",
    "with_checksum",
    "write_json",
    "write_text",
]

LOCK = "lock"
"""The file by which a process holds a folder."""
_CHECKSUM = "checksum"
# What the writer of a file adds to its name until it is whole: the process and the thread.
_PART = re.compile(r"\.\d+-\d+\.part$")
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS)
_DAMAGE = (ValueError, KeyError, TypeError, AttributeError, IndexError, EOFError, OverflowError, RecursionError)


@contextlib.contextmanager
def replace_file(path: str | Path) -> Iterator[Path]:
    """Write a file whole or not at all: a new one beside it takes its place when the block ends without an error.

    Args:
        path: The file that is to be there afterwards.

    Returns:
        A context manager, which gives the path to write to.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with replace_file(Path(folder) / "row.json") as part:
        ...         _ = part.write_text("{}")
        ...     [file.name for file in Path(folder).iterdir()]
        ['row.json']
    """
    path = Path(path)
    part = part_of(path)
    try:
        part.touch()
        mode = part.stat().st_mode
        yield part
        part.chmod(mode)  # as any new file: safetensors lets its owner alone read what it writes
        # On the disk before its name is: a machine that loses power must not keep a name without its content.
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
        _sync_folder(path.parent)
    except OSError as error:
        if error.filename is None and error.errno in _NO_ROOM:  # that of a write, which knows no name
            raise OSError(error.errno, os.strerror(error.errno), str(path)) from error
        raise
    finally:
        part.unlink(missing_ok=True)


def part_of(path: Path) -> Path:
    """Where a file, or a folder of files, is written until it is whole.

    The writer is in the name: one that was given up, and still writes, must not write into another's.
    """
    return path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}.part")


def half_written(path: Path) -> bool:
    """Whether a file is one that `replace_file` has not finished, of this process or of one that was cut off."""
    return _PART.search(path.name) is not None


def new_name(path: Path) -> Path:
    """Where a file of several that belong together waits, whole, for the one that makes it count."""
    return path.with_name(f"{path.name}.new")


def current_file(path: Path, sha256: str, way_out: str) -> Path:
    """The file of a name that has a checksum: it, or one that waits under its `new_name`, as a kill may leave it.

    Raises:
        ValueError: None has; names the file.
    """
    for found in (path, new_name(path)):
        if found.exists() and sha256_of(found) == sha256:
            return found
    raise ValueError(f"{path} is damaged, or not the file that belongs to those beside it; {way_out}")


def sha256_of(path: str | Path) -> str:
    """SHA-256 of a file, or of all files of a folder with their names, as 64 hexadecimal digits."""
    path = Path(path)
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.is_file())
        listed = [f"{file.relative_to(path).as_posix()} {sha256_of(file)}" for file in files]
        return hashlib.sha256("\n".join(listed).encode()).hexdigest()
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sync_folder(folder: Path) -> None:
    """Bring a new name to the disk, where folders can be opened."""
    with contextlib.suppress(OSError):
        place = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(place)
        finally:
            os.close(place)


def write_text(path: str | Path, text: str) -> None:
    """Write a text file whole or not at all; lines end as they are given."""
    with replace_file(path) as part:
        part.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: str | Path, value: Any, *, indent: int | None = 2) -> None:
    """Write a JSON file whole or not at all; an object gets a checksum, by which `read_json` notices damage.

    Raises:
        TypeError: `value` holds something that JSON cannot; nothing is written then.
    """
    value = with_checksum(value) if isinstance(value, dict) else value
    write_text(path, json.dumps(value, indent=indent) + "\n")


def with_checksum(document: Mapping[str, Any]) -> dict[str, Any]:
    """An object for a JSON file, with the SHA-256 of the rest as its last entry, `checksum`."""
    rest = {key: value for key, value in document.items() if key != _CHECKSUM}
    return {**rest, _CHECKSUM: _digest(json.loads(json.dumps(rest)))}


def json_of(text: str | bytes) -> Any:
    """What the text of a JSON file says, its checksum looked at and taken out.

    Raises:
        ValueError: It is no JSON, or was changed since it was written.

    Example:
        >>> json_of(json.dumps(with_checksum({"a": 1})))
        {'a': 1}
        >>> json_of(json.dumps(with_checksum({"a": 1}) | {"a": 2}))
        Traceback (most recent call last):
        ValueError: its checksum does not fit, so it was changed after it was written
    """
    value = json.loads(text if isinstance(text, str) else text.decode())
    if isinstance(value, dict) and _CHECKSUM in value and value.pop(_CHECKSUM) != _digest(value):
        raise ValueError("its checksum does not fit, so it was changed after it was written")
    return value


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def read_json(path: str | Path, kind: type = object) -> Any:
    """What a JSON file holds.

    Args:
        path: The file.
        kind: What it has to be, e.g. `dict`. Default: anything.

    Raises:
        FileNotFoundError: It is not there.
        ValueError: It is damaged, or holds something else; names the file.
    """
    with damage_named(path):
        value = json_of(Path(path).read_bytes())
        if not isinstance(value, kind):
            raise ValueError(f"it holds a {type(value).__name__}, not a {kind.__name__}")
    return value


@contextlib.contextmanager
def damage_named(
    path: str | Path, way_out: str = "remove it, or give another folder", *more: type[BaseException]
) -> Iterator[None]:
    """Say of whatever goes wrong while a file is read that the file is damaged.

    Args:
        path: The file.
        way_out: What its owner can do.
        more: Further types of errors of its reader.

    Raises:
        ValueError: In place of any error that content can cause; names the file. Errors of the system, e.g. that it is
            not there, stay.
    """
    try:
        yield
    except (*_DAMAGE, *more) as error:
        reason = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) and error.args else str(error)
        reason = " ".join((reason or "it ends too early").split())
        raise ValueError(f"{path} is damaged ({reason[:200]}); {way_out}") from None


def check_folder(directory: str | Path) -> Path:
    """Refuse a folder that cannot be made or written to.

    Args:
        directory: A folder that is there or not.

    Returns:
        The folder.

    Raises:
        ValueError: It is a file, or cannot be written.
    """
    directory = Path(directory)
    if directory.exists() and not directory.is_dir():
        raise ValueError(f"out: {directory} is a file; give a folder")
    existing = directory.absolute()
    while not existing.exists():
        existing = existing.parent
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        raise ValueError(f"out: {directory} cannot be made, as {existing} is not a folder that can be written to")
    return directory


@contextlib.contextmanager
def locked_folder(directory: str | Path, *, of: str | Path | None = None) -> Iterator[None]:
    """Keep other processes from writing to a folder, and remove what one that was cut off left half written there.

    A process that ends, however it ends, holds the folder no longer.

    Args:
        directory: The folder; made when it is missing.
        of: The folder that an error names, where that is another one.

    Raises:
        ValueError: Another process writes to it; names the folder and the process.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder, locked_folder(folder):
        ...     Path(folder, "lock").read_text().startswith("process")
        True
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    with _lock(directory / LOCK, Path(of or directory)) as file:
        file.truncate(0)
        file.write(f"process {os.getpid()} on {platform.node()}")
        file.flush()
        for part in [path for path in directory.rglob("*.part") if half_written(path)]:
            shutil.rmtree(part) if part.is_dir() else part.unlink(missing_ok=True)
        try:
            yield
        finally:
            if fcntl is not None:  # an open file cannot be removed on Windows
                (directory / LOCK).unlink(missing_ok=True)


def _lock(path: Path, named: Path) -> IO[str]:
    """The file, open and locked. One that its holder removed while it was opened here is no lock: the next one is."""
    while True:
        file = path.open("a+", encoding="utf-8")
        try:
            if fcntl is None:
                return file
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(file.fileno()), path.stat()):
                    return file
        except BlockingIOError:
            file.seek(0)
            holder = file.read() or "which has just begun"
            file.close()
            raise ValueError(
                f"{named} is in use by another run ({holder}); wait for it, or give another folder"
            ) from None
        file.close()


@contextlib.contextmanager
def claim_folder(
    out: Path,
    file: str,
    made_from: Mapping[str, Any],
    what: str,
    *,
    finished: Callable[[], bool],
    own: Iterable[str] = (),
) -> Iterator[None]:
    """Hold a folder for results, which is made or holds results that were made from the very same.

    Args:
        out: The folder.
        file: Name of the file in it that keeps `made_from`.
        made_from: Settings, data and version that the results depend on, by name; JSON values, or dictionaries of them.
        what: The results in words, e.g. `"a run"`.
        finished: Tells whether there are results. Without any, the folder may be begun anew with something else, e.g. a
            lower learning rate after a training that exploded.
        own: Names that may stand in a folder without `file`, as a former result does that is to be replaced.

    Raises:
        ValueError: See `check_claim` and `locked_folder`.
        KeyboardInterrupt: The run was stopped; its text says how it goes on.
    """
    own = tuple(own)
    check_claim(out, file, made_from, what, finished=finished, own=own)
    with locked_folder(out):
        # Once more: another process may have been here meanwhile.
        check_claim(out, file, made_from, what, finished=finished, own=own)
        write_json(out / file, made_from)
        try:
            yield
        except KeyboardInterrupt as stopped:
            raise type(stopped)(f"what is finished is kept in {out}, and the same command goes on from there") from None


def check_claim(
    out: Path,
    file: str,
    made_from: Mapping[str, Any],
    what: str,
    *,
    finished: Callable[[], bool],
    own: Iterable[str] = (),
) -> None:
    """Refuse a folder whose results could not stand beside those that are to come.

    Args:
        out, file, what, finished, own: As for `claim_folder`.
        made_from: As for `claim_folder`, or as much of it as is known already.

    Raises:
        ValueError: `out` cannot be a folder, holds other files, or results made from something else; the message names
            what differs, there and now.
    """
    check_folder(out)
    if not (out / file).exists():
        check_own_files(out, own)
        return
    there, here = read_json(out / file, dict), json.loads(json.dumps(dict(made_from)))
    if not finished():
        if set(here) - set(there) and set(there) - set(here):  # each knows what the other does not: another study's
            raise ValueError(f"out: {out} holds other files; give a new or an empty folder")
        return
    if named := named_differences(there, here):
        raise ValueError(f"out: {out} holds {what} with another {named}: repeat that, or give another folder (--out)")


def check_own_files(out: str | Path, own: Iterable[str]) -> None:
    """Refuse a folder that holds anything but files of certain names.

    Args:
        out: A folder that is there or not.
        own: Names that may stand in it; what is half written, and a lock, may too.

    Raises:
        ValueError: `out` cannot be a folder, or holds another file, which is named.
    """
    out, own = check_folder(out), {LOCK, *own}
    if out.is_dir():
        foreign = sorted(path.name for path in out.iterdir() if path.name not in own and not half_written(path))
        if foreign:
            raise ValueError(f"out: {out} holds other files ({foreign[0]}); give a new or an empty folder")
