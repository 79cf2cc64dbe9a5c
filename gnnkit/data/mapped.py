"""Series larger than memory: a NumPy file that is mapped, read a block of rows at a time, and let go of again."""

from __future__ import annotations

import mmap
import weakref
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

__all__ = [
    "MappedFile",
    "NodeSums",
    "forget",
    "gaps_and_infinite",
    "in_memory",
    "map_npy",
    "mapped_file",
    "node_sums",
    "read_rows",
    "row_blocks",
]

_BLOCK = 8 * 2**20
"""Bytes of a block: it stays in a processor's cache while it is looked through."""
_HELD = 64 * 2**20
"""Bytes that may have been read of a file before its pages are let go of."""
_PAGES = 64 * 2**10
"""Bytes that the system reads around each row."""


@dataclass(frozen=True, eq=False)
class NodeSums:
    """What scalers need of some rows, for each node and feature, in float64.

    Args:
        mean: NaN where nothing was observed.
        deviation: Of the population.
        low, high: The smallest and the largest value; infinite where nothing was observed.
        count: Values that were observed.

    Shape:
        each `[N, F]`.
    """

    mean: Tensor
    deviation: Tensor
    low: Tensor
    high: Tensor
    count: Tensor

    def together(self) -> NodeSums:
        """The same of all nodes together, `[1, F]`."""
        count = self.count.sum(dim=0, keepdim=True)
        known = self.count > 0
        mean = (self.mean.nan_to_num(nan=0.0) * self.count).sum(dim=0, keepdim=True) / count
        square = torch.where(known, self.deviation.square() + (self.mean - mean).square(), 0.0)
        deviation = ((square * self.count).sum(dim=0, keepdim=True) / count).sqrt()
        low, high = self.low.amin(dim=0, keepdim=True), self.high.amax(dim=0, keepdim=True)
        return NodeSums(mean, deviation, low, high, count)


@dataclass(eq=False)
class MappedFile:
    """A mapped file, and what is known of its values.

    Args:
        pages: Of the file.
        nbytes: Of its values.
        read: Bytes that were read of it since its pages were let go of.
        known: Whatever of it took a reading of all rows, by what it is.
    """

    pages: Any
    nbytes: int
    read: int = 0
    known: dict[Any, Any] = field(default_factory=dict)


_mapped: dict[int, MappedFile] = {}


def map_npy(path: Path) -> Float[Tensor, "L N F"]:
    """Map the values of a NumPy file: nothing is read before it is asked for, and no write reaches the file.

    Args:
        path: An array `[rows, nodes]` or `[rows, nodes, features]` of float32, in C order.

    Returns:
        The values, on the file's own pages.

    Raises:
        ValueError: It is no such file; the line says what to do.
    """
    how = "numpy.save writes one of array.astype(numpy.float32)"
    try:
        array = np.load(path, mmap_mode="c", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(f"{path.name}: no array that can be mapped ({error}); {how}") from None
    if not isinstance(array, np.memmap) or array.ndim not in (2, 3) or array.size == 0:
        shape = list(getattr(array, "shape", ()))
        raise ValueError(f"{path.name}: expected an array [rows, nodes] or [rows, nodes, features], got {shape}")
    if array.dtype != np.float32 or not array.flags.c_contiguous or not array.dtype.isnative:
        order = "" if array.flags.c_contiguous else " in Fortran order"
        raise ValueError(f"{path.name}: {array.dtype}{order} cannot be mapped; {how}, in C order")
    held: Any = array.reshape(*array.shape, 1) if array.ndim == 2 else array
    values = torch.from_numpy(held)
    start = values.data_ptr()
    _mapped[start] = MappedFile(held._mmap, held.nbytes)
    weakref.finalize(held, _mapped.pop, start, None)  # the tensor holds it
    return values


def mapped_file(values: Tensor) -> MappedFile | None:
    """The file that a tensor, or a part of one, lies on; None: it is in memory."""
    if not _mapped or values.device.type != "cpu":
        return None
    place = values.data_ptr()
    for start, found in _mapped.items():
        if start <= place < start + found.nbytes:
            return found
    return None


def forget(values: Tensor, read: int | None = None) -> None:
    """Let go of a file's pages, so that they are no longer this process's memory; they are read again when needed.

    Args:
        values: On a file, or in memory, where nothing is done.
        read: Bytes that were read just now: pages are let go of when many were. None (default): now.
    """
    found = mapped_file(values)
    if found is None:
        return
    found.read += _HELD if read is None else read
    if found.read >= _HELD and hasattr(mmap, "MADV_DONTNEED"):
        found.pages.madvise(mmap.MADV_DONTNEED)
        found.read = 0


def read_rows(values: Tensor, rows: Tensor) -> Tensor:
    """`values[rows]`, and what was read for it is let go of in time."""
    found = values[rows]
    forget(values, rows.numel() * max(_PAGES, values[0].nbytes))
    return found


def row_blocks(values: Float[Tensor, L * any], rows: range | None = None) -> Iterator[tuple[int, Tensor]]:
    """Runs of rows, one after another, with the number of the first.

    Args:
        values: On a file or in memory.
        rows: Default: all.
    """
    rows = range(len(values)) if rows is None else rows
    size = max(1, _BLOCK // max(1, values[0].nbytes))
    for first in range(rows.start, rows.stop, size):
        block = values[first : min(first + size, rows.stop)]
        yield first, block
        forget(values, block.nbytes)


def gaps_and_infinite(values: Tensor) -> tuple[bool, tuple[int, int, int] | None]:
    """Whether a value of a mapped file is NaN, and the place of the first infinite one; it is read once."""
    found = mapped_file(values)
    key = ("finite", values.data_ptr(), tuple(values.shape))
    if found is not None and key in found.known:
        return found.known[key]
    gaps, place = False, None
    for first, block in row_blocks(values):
        if bool(block.isfinite().all()):
            continue
        gaps = gaps or bool(block.isnan().any())
        infinite = block.isinf().nonzero()
        if len(infinite):
            row, node, feature = infinite[0].tolist()
            place = (first + row, node, feature)
            break
    if found is not None:
        found.known[key] = (gaps, place)
    return gaps, place


def node_sums(values: Float[Tensor, "L N F"], rows: range) -> NodeSums:
    """Mean, deviation and ends of each node over some rows, in blocks; those of a mapped file are counted once."""
    found = mapped_file(values)
    key = ("sums", values.data_ptr(), rows)
    if found is not None and key in found.known:
        return found.known[key]
    shape = values.shape[1:]
    count, total, square = (torch.zeros(shape, dtype=torch.float64) for _ in range(3))
    low, high = torch.full(shape, torch.inf), torch.full(shape, -torch.inf)
    shift: Any = None
    for _, block in row_blocks(values, rows):
        seen = ~block.isnan()
        whole = bool(seen.all())
        if shift is None:  # near the mean, so that squares do not cancel
            shift = block.double().nanmean(dim=0).nan_to_num(nan=0.0)
        away = block.double() - shift
        if not whole:
            away = away.nan_to_num(nan=0.0)
        count += len(block) if whole else seen.sum(dim=0)
        total += away.sum(dim=0)
        square += away.square_().sum(dim=0)
        low = torch.minimum(low, (block if whole else block.nan_to_num(nan=torch.inf)).amin(dim=0))
        high = torch.maximum(high, (block if whole else block.nan_to_num(nan=-torch.inf)).amax(dim=0))
    if shift is None:
        raise ValueError(f"rows={rows!r}: there is none")
    away = total / count
    sums = NodeSums(
        shift + away, (square / count - away.square()).clamp(min=0).sqrt(), low.double(), high.double(), count
    )
    if found is not None:
        found.known[key] = sums
    return sums


def in_memory(values: Tensor) -> Tensor:
    """The values themselves, and not those of a file."""
    return values if mapped_file(values) is None else values.clone()
