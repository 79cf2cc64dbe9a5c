"""A download that goes on where it was cut off, into a file of another name than it is to have."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["Resumed"]

_CHUNK = 2**16


class Resumed:
    """What pooch fetches a file with: bytes that came before are kept beside it, and asked for no second time.

    Args:
        part: Where they are kept until all are there. A second process that fetches the same file begins anew.
        most: More bytes than this are refused; None: any number.
        seconds: That a server may be silent.
        bar: Whether a bar is shown.
    """

    def __init__(self, part: Path, *, most: int | None, seconds: float, bar: bool) -> None:
        self.part, self.most, self.seconds, self.bar = part, most, seconds, bar

    def __call__(self, url: str, output_file: Any, pooch: Any) -> None:
        """Fetch all of a file, or what lacks of it.

        Raises:
            requests.RequestException: It cannot be fetched; what came is kept.
            ValueError: The server sends more than there should be; nothing is kept.
        """
        with _held(self.part) as is_mine:
            part = self.part if is_mine else Path(output_file)
            there = part.stat().st_size if is_mine and part.is_file() else 0
            if not self._fetch(url, part, there):  # the server has no such part: what is there is of another file
                part.unlink(missing_ok=True)
                self._fetch(url, part, 0)
            if is_mine:
                os.replace(part, output_file)

    def _fetch(self, url: str, part: Path, there: int) -> bool:
        import requests

        wanted = {"Range": f"bytes={there}-"} if there else {}
        wanted["Accept-Encoding"] = "identity"  # else the bytes that came are not those of the file
        with requests.get(url, headers=wanted, stream=True, timeout=self.seconds) as answer:
            if there and answer.status_code == requests.codes.requested_range_not_satisfiable:
                return False
            answer.raise_for_status()
            goes_on = answer.status_code == requests.codes.partial_content
            goes_on &= answer.headers.get("Content-Range", "").startswith(f"bytes {there}-")
            size = there if goes_on else 0
            with part.open("ab" if goes_on else "wb") as file, self._shown(answer, size) as tell:
                for chunk in answer.iter_content(_CHUNK):
                    size += len(chunk)
                    if self.most is not None and size > self.most:
                        file.truncate(0)
                        raise ValueError(f"more than the {self.most:,} bytes of the published file")
                    file.write(chunk)
                    tell(len(chunk))
        return True

    @contextlib.contextmanager
    def _shown(self, answer: Any, size: int) -> Iterator[Any]:
        if not self.bar:
            yield lambda count: None
            return
        from tqdm import tqdm

        total = int(answer.headers.get("Content-Length", 0)) + size or None
        with tqdm(total=total, initial=size, unit="B", unit_scale=True, leave=False) as shown:
            yield shown.update


@contextlib.contextmanager
def _held(part: Path) -> Iterator[bool]:
    """Whether no other process writes to a file, which is held until the block ends."""
    try:
        import fcntl
    except ImportError:  # not a POSIX system: nobody can say
        yield False
        return
    lock = part.with_name(f"{part.name}.lock")
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        try:
            yield True
        finally:
            lock.unlink(missing_ok=True)
