"""Which code trains: an edit of it makes what was trained before that of another version."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

import gnnkit

__all__ = ["code_digest"]


@functools.cache
def code_digest(*parts: str) -> str:
    """SHA-256 of parts of gnnkit's code.

    Args:
        parts: Folders and files of the package, e.g. `"ops"`, `"forecasting/train.py"`.

    Returns:
        64 hexadecimal digits.

    Raises:
        FileNotFoundError: There is no such part.

    Example:
        >>> len(code_digest("metrics.py"))
        64
    """
    package = Path(gnnkit.__file__).parent
    digest = hashlib.sha256()
    for part in parts:
        path = package / part
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(f"{file.relative_to(package).as_posix()}\n".encode() + file.read_bytes())
    return digest.hexdigest()
