"""Compiled kernels as files that the user alone can write: each is whole and what its name says, or it is not read.

What a file holds is run: so the folder has mode 700 and is the user's own, or none is used. A file is named by all that
its kernel depends on and is moved into place when it is whole: processes that write at once write the same. A checksum
stands before its content, for what disks, quotas and cut-off copies do.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

__all__ = ["KernelFiles"]

_DAY = 24 * 3600
_FORGOTTEN = 30 * _DAY
_DIGEST = hashlib.sha256().digest_size


class KernelFiles:
    """A folder of compiled kernels. Nothing that is wrong with it is an error: each is said once, as a warning.

    Args:
        find: Gives the folder, which is made when it is missing; called when it is first needed.
    """

    def __init__(self, find: Callable[[], Path]) -> None:
        self._find = find
        self._folder: Path | None = None
        self._asked = False
        self._said: set[str] = set()

    @property
    def folder(self) -> Path | None:
        """The folder; None where there is none that can be used."""
        if not self._asked:
            self._asked = True
            try:
                self._folder = _private(self._find())
            except OSError as error:
                self._say_not_kept(error)
        return self._folder

    def read(self, name: str, key: bytes) -> bytes | None:
        """The content of a file; None where there is none that is whole and was written with this key."""
        if self.folder is None:
            return None
        path = self.folder / name
        try:
            with path.open("rb") as file:
                state = os.fstat(file.fileno())
                if not _is_own(state):
                    raise PermissionError(f"{path} belongs to another user, or others may write it")
                blob = file.read()
        except FileNotFoundError:
            return None
        except OSError as error:
            self.say_damaged(name, error)
            return None
        if blob[:_DIGEST] != hashlib.sha256(key + blob[_DIGEST:]).digest():
            self.say_damaged(name, "its checksum is wrong")
            return None
        if state.st_mtime < time.time() - _DAY:
            with contextlib.suppress(OSError):  # a folder that can only be read
                os.utime(path)  # it is in use: see _forget
        return blob[_DIGEST:]

    def write(self, name: str, key: bytes, content: bytes) -> None:
        """Write a file, or replace it; the key, all that the content depends on, goes into its checksum."""
        if self.folder is None:
            return
        try:
            handle, part = tempfile.mkstemp(dir=self.folder, suffix=".part")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(hashlib.sha256(key + content).digest() + content)
                    file.flush()
                    os.fsync(file.fileno())
                os.replace(part, self.folder / name)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(part)
                raise
            self._forget(self.folder)
        except OSError as error:
            self._say_not_kept(error)

    def _forget(self, folder: Path) -> None:
        """Remove what was not used for a month: kernels of earlier versions, and what cut-off writers left."""
        before = time.time() - _FORGOTTEN
        for entry in os.scandir(folder):
            if not entry.name.endswith((".nbc", ".part")):
                continue  # not written here: NUMBA_CACHE_DIR may lead to a folder with other things in it
            with contextlib.suppress(OSError):  # another process was quicker
                if entry.stat(follow_symlinks=False).st_mtime < before:
                    os.unlink(entry)

    def say_damaged(self, name: str, what: object) -> None:
        """Say that a file is not as it was written, and that its kernel is made anew."""
        self._say("damaged", f"{self._folder}: the compiled kernel {name} cannot be read ({what}); it is compiled anew")

    def _say_not_kept(self, error: OSError) -> None:
        self._say(
            "not kept",
            f"compiled kernels cannot be kept on disk ({error}): they are compiled in memory, anew in each process; "
            "set NUMBA_CACHE_DIR to a folder that is yours alone",
        )

    def _say(self, kind: str, message: str) -> None:
        if kind not in self._said:
            self._said.add(kind)
            warnings.warn(message, RuntimeWarning, stacklevel=2)


def _private(folder: Path) -> Path:
    """Make a folder for its owner alone, or see that it is one."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    state = folder.lstat()
    if not stat.S_ISDIR(state.st_mode):
        raise NotADirectoryError(f"{folder} is no folder")
    if not _is_own(state) or (_has_owners() and state.st_mode & 0o077):
        raise PermissionError(f"{folder} is not yours alone: give it to you and take it from others, with chmod 700")
    return folder


def _is_own(state: os.stat_result) -> bool:
    """Whether the user who runs this process owns a file that no other one may write."""
    return not _has_owners() or (state.st_uid == os.geteuid() and not state.st_mode & 0o022)


def _has_owners() -> bool:
    return hasattr(os, "geteuid")
