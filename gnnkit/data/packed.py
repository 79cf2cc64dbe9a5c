"""Files that somebody packed: how much of them is unpacked, since a file of a megabyte can hold a gigabyte of zeros."""

from __future__ import annotations

import gzip
import io
import os
import zlib
from collections.abc import Iterable
from pathlib import Path
from zipfile import ZipInfo

__all__ = ["check_gzip", "check_members", "most_unpacked", "unpack_gzip"]

_MOST = 2**34
# Deflate makes no more than this of a byte.
_RATIO = 1032


def most_unpacked() -> int:
    """The bytes that a packed file may have when it is unpacked: half of the machine's memory, at most 16 GiB.

    The environment variable `GNNKIT_MAX_UNPACKED` says another number of bytes.

    Raises:
        ValueError: the variable is no number above 0.
    """
    given = os.environ.get("GNNKIT_MAX_UNPACKED")
    if given:
        if not given.isdecimal() or not int(given):
            raise ValueError(f"GNNKIT_MAX_UNPACKED is {given[:40]!r}; give a number of bytes above 0, or unset it")
        return int(given)
    try:
        return min(_MOST, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2)
    except (AttributeError, ValueError, OSError):  # not a POSIX system
        return _MOST


def unpack_gzip(data: bytes, name: str) -> bytes:
    """The content of a gzip file.

    Args:
        data: of the file.
        name: of the file, for messages.

    Raises:
        ValueError: it is damaged, or larger than `most_unpacked`.

    Example:
        >>> unpack_gzip(gzip.compress(b"a,b"), "x.gz")
        b'a,b'
    """
    most = most_unpacked()
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            found = file.read(most + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{name}: not a whole gzip file ({error})") from None
    if len(found) > most:
        raise _too_large(name, most)
    return found


def check_gzip(path: Path) -> None:
    """Refuse a gzip file that is larger than `most_unpacked` when it is unpacked, or damaged.

    A file that is too small for that is not looked at.

    Raises:
        ValueError: it is.
    """
    most = most_unpacked()
    if path.stat().st_size * _RATIO <= most:
        return
    size = 0
    try:
        with gzip.open(path) as file:
            while part := file.read(2**20):
                size += len(part)
                if size > most:
                    raise _too_large(path.name, most)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path.name}: not a whole gzip file ({error})") from None


def check_members(members: Iterable[ZipInfo], name: str) -> None:
    """Refuse a ZIP archive whose members say to be larger together than `most_unpacked`; no more of them is read.

    Raises:
        ValueError: they do.
    """
    most = most_unpacked()
    if sum(member.file_size for member in members) > most:
        raise _too_large(name, most)


def _too_large(name: str, most: int) -> ValueError:
    return ValueError(
        f"{name}: more than {most:,} bytes when it is unpacked; if it is meant, set GNNKIT_MAX_UNPACKED to a larger "
        "number of bytes"
    )
