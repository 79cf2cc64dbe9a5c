"""Tensors that outlive a process: safetensors with a checksum, written whole or not at all. Nothing is pickled."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from gnnkit.kept_files import replace_file

__all__ = ["load_tensors", "named_no_room", "read_record", "save_tensors"]

_HEADER = "gnnkit"


def save_tensors(path: str | Path, tensors: Mapping[str, Tensor], record: Mapping[str, Any] | None = None) -> None:
    """Write tensors, and what is to be known about them, as a safetensors file whose damage is noticed.

    Args:
        path: The file.
        tensors: By name, on any device; such that share memory are kept each for itself.
        record: JSON values. Default: none.

    Raises:
        TypeError: `record` holds something that JSON cannot; nothing is written then.
        OSError: There is no room, or the folder cannot be written to.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_tensors(Path(folder) / "a", {"x": torch.ones(2)}, {"step": 3})
        ...     load_tensors(Path(folder) / "a")
        ({'step': 3}, {'x': tensor([1., 1.])})
    """
    text = json.dumps(dict(record or {}))
    kept: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, tensor in tensors.items():
        tensor = tensor.detach().cpu().contiguous()
        storage = tensor.untyped_storage()
        if storage.nbytes() != tensor.numel() * tensor.element_size() or storage.data_ptr() in seen:
            tensor = tensor.clone()
        seen.add(storage.data_ptr())
        kept[name] = tensor
    # One entry: the order of several in the file would be another each time.
    header = {_HEADER: json.dumps({"sha256": _digest(kept, text), "record": text})}
    with replace_file(path) as part, named_no_room(path):
        save_file(kept, str(part), metadata=header)


def load_tensors(path: str | Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read what `save_tensors` wrote.

    Args:
        path: The file.

    Returns:
        The record, and the tensors by name, on the CPU. They are mapped into memory: the system may take back what is
        not looked at.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is damaged, or none of gnnkit's; names the file.
    """
    digest, text, tensors = _open(Path(path), with_tensors=True)
    if _digest(tensors, text) != digest:
        raise ValueError(f"{path} is damaged: its checksum does not fit")
    return json.loads(text), tensors


def read_record(path: str | Path) -> dict[str, Any]:
    """The record alone, in which damage is not looked for.

    Raises: as `load_tensors`.
    """
    _, text, _ = _open(Path(path), with_tensors=False)
    try:
        return json.loads(text)
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error})") from None


class named_no_room:
    """Turn safetensors' own error of a disk that is full into the system's, which names the file."""

    def __init__(self, path: str | Path) -> None:
        self.path = path

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        found = re.search(r"\(os error (\d+)\)", str(error)) if isinstance(error, SafetensorError) else None
        if found:
            number = int(found[1])
            raise OSError(number, os.strerror(number), str(self.path)) from None


def _open(path: Path, *, with_tensors: bool) -> tuple[str, str, dict[str, Tensor]]:
    """The checksum, the record as a text, and the tensors."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such file")
    try:
        with safe_open(str(path), framework="pt", device="cpu") as file:
            header = file.metadata() or {}
            names = list(file.keys()) if with_tensors else []
            tensors = {name: file.get_tensor(name) for name in names}
    except (SafetensorError, OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
        raise ValueError(f"{path} is damaged ({' '.join(str(error).split())})") from None
    try:
        found = json.loads(header[_HEADER])
        return str(found["sha256"]), str(found["record"]), tensors
    except (KeyError, ValueError, TypeError):
        raise ValueError(f"{path} has no checksum: it is none of gnnkit's, of an earlier one, or damaged") from None


def _digest(tensors: Mapping[str, Tensor], text: str) -> str:
    found = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        found.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
        if tensor.numel():
            found.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()
