"""What outlives a process: files that are written whole or not at all, folders that one process at a time writes to
and that take no results beside those that were made from something else."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any

try:
    import fcntl
except ImportError:  # no such locks on Windows: two runs into one folder are the user's to avoid there
    fcntl = None

__all__ = [
    "check_claim",
    "check_folder",
    "claim_folder",
    "locked_folder",
    "read_json",
    "replace_file",
    "write_json",
    "write_text",
]

_LOCK = "lock"


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
    # The writer is in the name: one that was given up, and still writes, must not write into another's.
    part = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        part.touch()
        mode = part.stat().st_mode
        yield part
        part.chmod(mode)  # as any new file: safetensors lets its owner alone read what it writes
        # On the disk before its name is: a machine that loses power must not keep a name without its content.
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write a text file whole or not at all; lines end as they are given."""
    with replace_file(path) as part:
        part.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: str | Path, value: Any, *, indent: int | None = 2) -> None:
    """Write a JSON file whole or not at all.

    Raises:
        TypeError: `value` holds something that JSON cannot; nothing is written then.
    """
    write_text(path, json.dumps(value, indent=indent) + "\n")


def read_json(path: str | Path) -> Any:
    """What a JSON file holds.

    Raises:
        FileNotFoundError: It is not there.
        ValueError: It is damaged; names the file.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}); remove it, or give another folder") from None


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
    with _lock(directory / _LOCK, Path(of or directory)) as file:
        file.truncate(0)
        file.write(f"process {os.getpid()} on {platform.node()}")
        file.flush()
        for part in directory.rglob("*.part"):
            part.unlink(missing_ok=True)
        try:
            yield
        finally:
            if fcntl is not None:  # an open file cannot be removed on Windows
                (directory / _LOCK).unlink(missing_ok=True)


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
    out: Path, file: str, made_from: Mapping[str, Any], what: str, *, finished: Callable[[], bool]
) -> Iterator[None]:
    """Hold a folder for results, which is made or holds results that were made from the very same.

    Args:
        out: The folder.
        file: Name of the file in it that keeps `made_from`.
        made_from: Settings, data and version that the results depend on, by name; JSON values, or dictionaries of them.
        what: The results in words, e.g. `"a run"`.
        finished: Tells whether there are results. Without any, the folder may be begun anew with something else, e.g. a
            lower learning rate after a training that exploded.

    Raises:
        ValueError: See `check_claim` and `locked_folder`.
    """
    check_claim(out, file, made_from, what, finished=finished)
    with locked_folder(out):
        check_claim(out, file, made_from, what, finished=finished)  # another process may have been here meanwhile
        write_json(out / file, made_from)
        yield


def check_claim(out: Path, file: str, made_from: Mapping[str, Any], what: str, *, finished: Callable[[], bool]) -> None:
    """Refuse a folder whose results could not stand beside those that are to come.

    Args:
        out, file, what, finished: As for `claim_folder`.
        made_from: As for `claim_folder`, or as much of it as is known already.

    Raises:
        ValueError: `out` cannot be a folder, holds other files, or results made from something else; the message names
            what differs, there and now.
    """
    check_folder(out)
    if not (out / file).exists():
        if out.exists() and any(path.name != _LOCK and path.suffix != ".part" for path in out.iterdir()):
            raise ValueError(f"out: {out} holds other files; give a new or an empty folder")
        return
    there, here = read_json(out / file), json.loads(json.dumps(dict(made_from)))
    if not isinstance(there, dict):
        raise ValueError(f"out: {out / file} is damaged; give another folder (--out)")
    if not finished():
        if set(here) - set(there) and set(there) - set(here):  # each knows what the other does not: another study's
            raise ValueError(f"out: {out} holds other files; give a new or an empty folder")
        return
    other = [key for key in here if there.get(key) != here[key]]
    if other:
        named = " and ".join(f"{key} ({_difference(key, there, here)})" for key in other)
        raise ValueError(f"out: {out} holds {what} with another {named}: repeat that, or give another folder (--out)")


def _difference(name: str, there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    if not isinstance(here[name], dict):
        return f"{_short(there, name)} there, and {_short(here, name)} now"
    now, before = here[name], there.get(name)
    before = before if isinstance(before, dict) else {}
    details = [
        f"{key} is {_short(before, key)} there, and {_short(now, key)} now"
        for key in {**now, **before}
        if key not in before or key not in now or before[key] != now[key]
    ]
    return "; ".join(details[:4]) + (f"; and {len(details) - 4} more" if len(details) > 4 else "")


def _short(values: Mapping[str, Any], key: str) -> str:
    if key not in values:
        return "not on record"
    text = json.dumps(values[key])
    is_digest = isinstance(values[key], str) and len(values[key]) == 64
    return f"SHA-256 {values[key][:12]}…" if is_digest else text if len(text) <= 60 else f"{text[:60]}…"
