"""The folder in which a user's caches lie."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["user_cache"]


def user_cache() -> Path:
    """The folder `gnnkit` in the user's cache: XDG_CACHE_HOME, LOCALAPPDATA, or `.cache` in the home folder.

    Returns:
        The folder; it need not be there.

    Raises:
        FileNotFoundError: The user has no home folder, and no variable names another one.
    """
    try:
        base = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA") or Path.home() / ".cache"
    except RuntimeError:
        raise FileNotFoundError("this user has no home folder; set XDG_CACHE_HOME to a folder for caches") from None
    return Path(base) / "gnnkit"
