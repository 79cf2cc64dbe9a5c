"""Where the files of a data set lie, and how those that are nowhere come there: by pooch, with their SHA-256."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gnnkit._user_cache import user_cache
from gnnkit.data.downloads import Resumed

__all__ = ["DataFile", "data_places", "find_files"]

DOWNLOAD_SECONDS = 60
RETRIES = 2


@dataclass(frozen=True)
class DataFile:
    """A published file.

    Args:
        name: Its name in a folder.
        base: The URL that it is below; empty: it is fetched by hand.
        size: Its bytes; None: not known.
        sha256: Of its bytes; None: not known.
    """

    name: str
    base: str = ""
    size: int | None = None
    sha256: str | None = None

    @property
    def url(self) -> str:
        """Where it is; empty where it is fetched by hand."""
        return self.base and f"{self.base}/{self.name}"


def data_places(folder: str, root: str | Path | None) -> list[Path]:
    """The places where the files of a data set are looked for.

    Args:
        folder: The data set's own folder.
        root: Given: it, and the data set's folder in it.

    Returns:
        Without `root`: the data set's folder in the one that the environment variable `GNNKIT_DATA` names, and in
        `gnnkit` in the user's cache.

    Raises:
        FileNotFoundError: There is no such place.
    """
    if root is not None:
        return [Path(root), Path(root) / folder]
    given = os.environ.get("GNNKIT_DATA")
    places = [Path(given) / folder] if given else []
    with contextlib.suppress(*([FileNotFoundError] if given else [])):  # who has no home may have the data
        places.append(user_cache() / folder)
    return places


def find_files(
    name: str, files: Sequence[DataFile], places: Sequence[Path], source: str, *, check: bool = True
) -> Path:
    """The first place that has all files of a data set; where none has, those that lack are downloaded into the last.

    No file that is there is overwritten, and what is downloaded is there once it is whole and has the right SHA-256. A
    download that was cut off goes on where it was.

    Args:
        name: Of the data set, for messages.
        files: What it needs.
        places: From `data_places`.
        source: Who publishes it, for messages.
        check: False leaves the SHA-256 of files that are there to their reader (default True).

    Returns:
        The folder.

    Raises:
        FileNotFoundError: A file is nowhere, and has no URL or could not be downloaded.
        ValueError: A file is not the published one.
    """
    whole = (place for place in places if all((place / file.name).is_file() for file in files))
    folder = next(whole, places[-1])
    lacking = [file for file in files if not (folder / file.name).is_file()]
    try:
        for file in lacking:
            _download(file, folder, source)
    except FileNotFoundError as error:
        names = " and ".join(file.name for file in lacking)
        raise FileNotFoundError(
            f"{name}: {names} {'is' if len(lacking) == 1 else 'are'} not on this machine, and {error}; put "
            f"{'it' if len(lacking) == 1 else 'them'} into {str(folder)!r}, or into a folder {places[-1].name} and set "
            f"GNNKIT_DATA to the folder around it"
        ) from None
    for file in files if check else ():
        found = hashlib.sha256((folder / file.name).read_bytes()).hexdigest()
        if file.sha256 and file.sha256 != found:
            raise ValueError(
                f"{str(folder / file.name)!r}: its SHA-256 is {found[:12]}…, the published file's is "
                f"{file.sha256[:12]}…; replace it with the original from {file.url or source}"
            )
    return folder


def _download(file: DataFile, folder: Path, source: str) -> None:
    if not file.url:
        raise FileNotFoundError(f"{source} has links to fetch them by hand")
    import pooch

    pooch.get_logger().setLevel("WARNING")
    known = {file.name: file.sha256 and f"sha256:{file.sha256}"}
    store = pooch.create(folder, "", registry=known, urls={file.name: file.url}, retry_if_failed=RETRIES)
    bar = sys.stderr is not None and sys.stderr.isatty()
    if file.sha256 is None:  # nothing could tell two halves of different files from a whole one
        downloader: Any = pooch.HTTPDownloader(bar, chunk_size=2**16, timeout=DOWNLOAD_SECONDS)
    else:
        part = folder / f".{file.name}.part"
        downloader = Resumed(part, most=file.size, seconds=DOWNLOAD_SECONDS, bar=bar)
    try:
        store.fetch(file.name, downloader=downloader)
    except OSError as error:  # those of requests are some, too
        answer = getattr(error, "response", None)
        reason = f"HTTP {answer.status_code}" if answer is not None else error.strerror or type(error).__name__
        raise FileNotFoundError(f"{file.url} cannot be fetched ({reason})") from None
    except ValueError:
        raise ValueError(
            f"{file.url}: what is sent from there is not the published file, whose SHA-256 is "
            f"{str(file.sha256)[:12]}…; try again, or put {file.name} from elsewhere into {str(folder)!r}"
        ) from None
