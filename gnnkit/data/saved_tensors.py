"""Arrays from a file that `torch.save` wrote, read without torch's loader: nothing that it names is looked up."""

from __future__ import annotations

import math
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from gnnkit.data.packed import check_members
from gnnkit.data.pickled_data import Named, read_pickled

__all__ = ["read_saved"]

_STORAGES = {
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "FloatStorage": "<f4",
    "DoubleStorage": "<f8",
    "BoolStorage": "?",
}


def read_saved(path: Path) -> Any:
    """Read an array, a dense tensor, or a dictionary of such; a tensor is given as an array.

    Args:
        path: The file, in the form of torch 1.6 and later, which is a ZIP archive.

    Raises:
        ValueError: It is no such file, is damaged, or holds something else; names the file.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = {member.filename.partition("/")[2]: member for member in archive.infolist()}
            check_members(archive.infolist(), "it")
            if "byteorder" in members and archive.read(members["byteorder"]) != b"little":
                raise ValueError("it was written on a machine of another byte order")
            content = archive.read(members["data.pkl"])

            def storage(said: Any) -> np.ndarray:
                _, kind, key, _, count = said
                if not isinstance(kind, Named) or kind.module != "torch" or kind.name not in _STORAGES:
                    raise ValueError(f"a tensor of {kind}")
                found = np.frombuffer(archive.read(members[f"data/{key}"]), dtype=_STORAGES[kind.name])
                if len(found) != count:
                    raise ValueError(f"a tensor of {count} numbers, and {len(found)} are there")
                return found

            found = read_pickled(content, storage=storage, rebuilt=_REBUILT)
            return {key: _array(each) for key, each in found.items()} if isinstance(found, dict) else _array(found)
    except NameError as error:
        raise ValueError(f"{path}: loading it would run {str(error)[:80]!r}; nothing is unpickled") from None
    except (OSError, EOFError, RuntimeError, KeyError, TypeError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        if isinstance(error, FileNotFoundError):
            raise
        reason = f"it has no {error}" if isinstance(error, KeyError) else " ".join(str(error).split())
        raise ValueError(f"{path}: not a file of arrays by torch.save ({reason[:200]})") from None


_REBUILT = "torch._utils _rebuild_tensor_v2"


def _array(value: Any) -> Any:
    """A tensor as an array: what `_rebuild_tensor_v2` was called with is a tuple with an array first."""
    if not (isinstance(value, tuple) and len(value) >= 4 and isinstance(value[0], np.ndarray)):
        return value
    storage, offset, shape, stride = value[:4]
    if not all(type(part) is tuple and all(type(n) is int and n >= 0 for n in part) for part in (shape, stride)):
        raise ValueError("a tensor without a shape")
    dense = tuple(math.prod(shape[place + 1 :]) for place in range(len(shape)))
    size = math.prod(shape)
    if type(offset) is not int or not 0 <= offset <= len(storage) - size or (size and stride != dense):
        raise ValueError("a tensor that is not dense")
    return storage[offset : offset + size].reshape(shape).copy()
