"""The folder of a comparison: checked before anything is trained, written whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path

from gnnkit.compare.report import write_report
from gnnkit.compare.results import Results

__all__ = ["check_output", "write_output"]

OUTPUT_FILES = ("rows.csv", "report.html", "results.json")


def check_output(directory: str | Path) -> Path:
    """Refuse a folder that results must not be written to.

    Args:
        directory: a folder that is missing, empty, or holds the results of an earlier comparison and nothing else.

    Returns:
        The folder.

    Raises:
        ValueError: it is a file, holds something else, or cannot be written.
    """
    directory = Path(directory)
    if directory.exists() and not directory.is_dir():
        raise ValueError(f"out: {directory} is a file; give a folder")
    if directory.is_dir():
        foreign = sorted(path.name for path in directory.iterdir() if path.name not in OUTPUT_FILES)
        if foreign:
            raise ValueError(f"out: {directory} holds other files ({foreign[0]}); give a new or an empty folder")
        if any(directory.iterdir()) and not _is_result(directory):
            raise ValueError(f"out: {directory} is not empty and not a former result; give a new or an empty folder")
    existing = directory.absolute()
    while not existing.exists():
        existing = existing.parent
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        raise ValueError(f"out: {directory} cannot be made, as {existing} is not a folder that can be written to")
    return directory


def write_output(results: Results, directory: str | Path) -> Path:
    """Write `rows.csv`, `results.json` and `report.html`; earlier results in the folder are replaced.

    All files are made in a folder beside it first, so that an error on the way leaves the folder as it was.

    Args:
        results: what to write.
        directory: the folder; made when it is missing.

    Returns:
        The path of the report.

    Raises:
        ValueError: see `check_output`.
    """
    directory = check_output(directory)
    parent = directory.absolute().parent
    parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f".{directory.absolute().name}-", dir=parent))
    try:
        results.save(work)
        write_report(results, work / "report.html")
        if directory.is_dir():
            # File by file: the folder itself may be a mount point or somebody's working directory.
            for name in OUTPUT_FILES:
                os.replace(work / name, directory / name)
        else:
            work.chmod(0o755)  # mkdtemp's folders are closed to everyone else
            work.rename(directory)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return directory / "report.html"


def _is_result(directory: Path) -> bool:
    try:
        document = json.loads((directory / "results.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(document, dict) and document.get("gnnkit_results") is True
