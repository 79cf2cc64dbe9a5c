"""What is made once per graph: kept beside the memory that it was made of, and checked against it on every use."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch._C import _functorch  # pyright: ignore[reportAttributeAccessIssue, reportMissingModuleSource]
from torch_geometric import EdgeIndex

from gnnkit.ops.structure.fingerprint import fingerprint

__all__ = ["forget", "remember", "sparse_pattern"]

T = TypeVar("T")

# What is made of less than this is soon made again: only the last few of such values are kept, whoever they are of.
_SMALL_BYTES = 64 * 1024
_SMALL_ENTRIES, _SMALL_TOTAL = 64, 4 * 1024 * 1024

# All that is made of one graph (or of many slices of it) takes at most so many times its memory.
_MOST_COPIES = 8
_LEAST_ROOM = 1024 * 1024

_KINDS = (Tensor, torch.nn.Parameter)


@dataclass(slots=True)
class _Entry:
    """A value with the marks of the tensors that it was made of, and a hold on none of them."""

    marks: Hashable
    value: Any
    size: int
    lives: tuple[object, ...] = ()


class _Shelf:
    """Entries that share one bound: of one block of memory, or all the small ones; the last used comes last.

    They are looked through in copies: the end of some memory takes entries out at any time, in any thread.
    """

    def __init__(self, room: int, most: int) -> None:
        self.room, self.most = room, most
        self.entries: dict[Hashable, _Entry] = {}

    def put(self, key: Hashable, entry: _Entry) -> None:
        self.entries.pop(key, None)
        self.entries[key] = entry
        while len(self.entries) > 1 and (
            len(self.entries) > self.most or sum(kept.size for kept in tuple(self.entries.values())) > self.room
        ):
            self.entries.pop(next(iter(tuple(self.entries))), None)


_small = _Shelf(_SMALL_TOTAL, _SMALL_ENTRIES)
_shelves: dict[int, _Shelf] = {}
_lock = threading.RLock()  # a garbage collection inside it may end the life of some memory


def _renew_lock() -> None:
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


def sparse_pattern(tensor: Tensor) -> tuple[Tensor, ...]:
    """The parts of a sparse tensor that say where its values are."""
    if tensor.layout == torch.sparse_coo:
        return (tensor._indices(),)
    if tensor.layout == torch.sparse_csr:
        return tensor.crow_indices(), tensor.col_indices()
    return tensor.ccol_indices(), tensor.row_indices()


def _parts(tensors: tuple[Tensor, ...]) -> Iterator[Tensor]:
    """The strided tensors that hold all that some tensors say."""
    for tensor in tensors:
        if isinstance(tensor, EdgeIndex):
            yield tensor._data
        elif tensor.layout == torch.sparse_coo:
            yield from (*sparse_pattern(tensor), tensor._values())
        elif tensor.layout in (torch.sparse_csr, torch.sparse_csc):
            yield from (*sparse_pattern(tensor), tensor.values())
        else:
            yield tensor


def _can_be_marked(tensor: Tensor) -> bool:
    if tensor.requires_grad or tensor.is_meta or not (type(tensor) in _KINDS or isinstance(tensor, EdgeIndex)):
        return False
    return _functorch.maybe_current_level() is None or not _functorch.is_functorch_wrapped_tensor(tensor)


def _mark(part: Tensor) -> Hashable:
    """What differs once a part was changed."""
    if part.device.type == "cpu":
        return fingerprint(part)
    return part._version


def _release(shelves: dict[int, _Shelf], address: int, key: Hashable) -> Callable[[object], None]:
    def release(_: object) -> None:
        # By the end of the interpreter the module's names are gone before the tensors: nothing global is used here.
        shelf = shelves.get(address)
        if shelf is not None:
            shelf.entries.pop(key, None)
            if not shelf.entries:
                shelves.pop(address, None)

    return release


def remember(name: Hashable, tensors: tuple[Tensor, ...], build: Callable[[], T]) -> T:
    """Build something from tensors once, and again only when what they hold has changed.

    On a CPU the memory of the tensors is read on every call, and compared with a fingerprint of what it held when the
    value was built: no way of writing there goes unnoticed. On a GPU, where reading it would wait for the device, the
    place of the memory and torch's version counters are compared: there a change that torch does not count (through
    `.data`, dlpack, or by a fused optimiser) needs a call of `forget`. A value lives as long as the memory that it was
    made of, not as long as a tensor object; of graphs below 64 KB only the last few values are kept.

    Nothing is kept for tensors that require a gradient, nor for those of a tracer or a transform.

    Args:
        name: What is built, with all options that it depends on.
        tensors: All tensors that it depends on.
        build: Makes it, outside inference mode and without derivatives. What it returns must not hold the memory of
            `tensors`, or that would never be freed.

    Returns:
        What `build` returned, now or earlier.

    Example:
        >>> weight = torch.ones(3)
        >>> remember("sum", (weight,), lambda: weight.sum().item())
        3.0
        >>> weight.numpy()[0] = 5.0
        >>> remember("sum", (weight,), lambda: weight.sum().item())
        7.0
    """
    if not all(map(_can_be_marked, tensors)):
        return build()
    parts = tuple(_parts(tensors))
    if any(part.numel() == 0 for part in parts):  # it has no place of its own, and is soon dealt with
        return _build(build)
    on_cpu = all(part.device.type == "cpu" for part in parts)
    if not on_cpu and any(part.is_inference() for part in parts):  # it counts no versions
        return _build(build)
    key = (name, *((part.data_ptr(), part.shape, part.stride(), part.dtype, part.is_neg()) for part in parts))
    # The marks are taken before the build: a change made meanwhile by another thread then counts as one.
    marks: Hashable = tuple(map(_mark, parts))
    if not on_cpu:
        # A storage that shrank gave its place away: the next one there is another.
        places = tuple(part.untyped_storage()._cdata for part in parts)
        marks = (marks, tuple(tensor._version for tensor in tensors), places)
    storage = parts[0].untyped_storage()
    address = storage.data_ptr()
    small = on_cpu and sum(part.nbytes for part in parts) < _SMALL_BYTES
    with _lock:
        shelf = _small if small else _shelves.get(address)
        entry = None if shelf is None else shelf.entries.get(key)
        if entry is not None and entry.marks == marks:
            shelf.entries.pop(key, None)  # pyright: ignore[reportOptionalMemberAccess]
            shelf.entries[key] = entry  # pyright: ignore[reportOptionalMemberAccess]
            return entry.value
    value = _build(build)
    entry = _Entry(marks, value, _size(value))
    if not small:
        # Of the storages, since torch swaps no tensors that something refers to.
        storages = {part.untyped_storage().data_ptr(): part.untyped_storage() for part in parts}
        release = _release(_shelves, address, key)
        entry.lives = tuple(weakref.ref(kept, release) for kept in storages.values())
    with _lock:
        if shelf is None:
            shelf = _shelves.setdefault(address, _Shelf(max(_MOST_COPIES * storage.nbytes(), _LEAST_ROOM), 1024))
        elif not small:
            shelf.room = max(_MOST_COPIES * storage.nbytes(), _LEAST_ROOM)
            _shelves[address] = shelf
        shelf.put(key, entry)
    return value


def _build(build: Callable[[], T]) -> T:
    # What inference mode makes could not be used in a training step later.
    with torch.inference_mode(False), torch.no_grad():
        return build()


def _size(value: object) -> int:
    """Bytes of the tensors in a value, with what a compressed graph will add on its first backward pass."""
    if isinstance(value, Tensor):
        return value.nbytes if value.layout == torch.strided else sum(part.nbytes for part in _parts((value,)))
    if is_dataclass(value):
        return 2 * sum(_size(getattr(value, field.name)) for field in fields(value) if field.name != "scratch")
    if isinstance(value, tuple | list):
        return sum(map(_size, value))
    return 0


def forget(*tensors: Tensor) -> None:
    """Drop what is remembered for these tensors' memory, or for all if none is given.

    Args:
        *tensors: Edge or weight tensors: on a GPU those that were changed behind torch's back.
    """
    places = {part.data_ptr() for part in _parts(tensors)}
    with _lock:
        for shelf in (_small, *_shelves.values()):
            for key in list(shelf.entries):
                _, *parts = key  # pyright: ignore[reportGeneralTypeIssues]
                if not tensors or any(part[0] in places for part in parts):
                    shelf.entries.pop(key, None)
        for address in [address for address, shelf in tuple(_shelves.items()) if not shelf.entries]:
            _shelves.pop(address, None)
