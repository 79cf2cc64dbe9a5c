"""Optional imports: asked for on first use, with a hint that names the way to install them."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import ModuleType

__all__ = ["is_available", "optional_import"]


def is_available(name: str) -> bool:
    """Tell whether `name` could be imported, without importing it.

    Args:
        name: A module's full name, e.g. `"numba"`.

    Returns:
        True where the module is loaded already or an import would find it.

    Example:
        >>> is_available("math"), is_available("no_such_module")
        (True, False)
    """
    if name in sys.modules:
        return sys.modules[name] is not None
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def optional_import(name: str, *, purpose: str, extra: str | None = None) -> ModuleType:
    """Import an optional module, or say what it is needed for and how to get it.

    Args:
        name: A module's full name, e.g. `"torch_scatter"`.
        purpose: What asked for it, as the subject of a sentence, e.g. `"backend='scatter'"`.
        extra: The extra of gnnkit that brings it; None where the module is on the package index under its own name.

    Returns:
        The module.

    Raises:
        ImportError: The module is not installed (or its own import fails: the cause is chained).
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = f'"gnnkit[{extra}]"' if extra else name.split(".")[0].replace("_", "-")
        raise ImportError(f"{purpose} needs {name}, which cannot be imported here: pip install {package}") from error
