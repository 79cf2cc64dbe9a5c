"""Arrays from files, checked whole before scipy, numba or torch index with them: none of the three looks for itself."""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse
from numpy.lib import format as npy
from numpy.typing import NDArray

from gnnkit.data.packed import check_members

__all__ = ["check_headers", "check_ids", "check_numbers", "read_arrays", "sparse_from_arrays"]

_LAYOUTS: Mapping[str, tuple[str, ...]] = {
    "csr": ("data", "indices", "indptr"),
    "csc": ("data", "indices", "indptr"),
    "bsr": ("data", "indices", "indptr"),
    "coo": ("data", "row", "col"),
    "dia": ("data", "offsets"),
}
# All that zipfile, its decompressors and NumPy's header say of a file that is not what it should be.
_DAMAGE = (ValueError, OSError, EOFError, RuntimeError, TypeError, OverflowError, zipfile.BadZipFile, zlib.error)


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Read all arrays of an NPZ file; nothing is unpickled.

    Args:
        path: The file.

    Returns:
        Name → array.

    Raises:
        ValueError: Not an NPZ file of plain arrays, a damaged one, or an array that says to be larger than it is.
    """
    found = {}
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            check_members(members, path.name)
            for member in members:
                with archive.open(member) as stream:
                    _check_header(stream, member)
                with archive.open(member) as stream:
                    found[member.filename.removesuffix(".npy")] = npy.read_array(stream, allow_pickle=False)
                    stream.read()  # to the end, where the checksum is compared
    except MemoryError:
        raise ValueError(f"{path.name}: its arrays do not fit into the memory of this machine") from None
    except _DAMAGE as error:
        if str(error).startswith(f"{path.name}: "):
            raise
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(f"{path.name}: not an NPZ file of plain arrays ({reason})") from None
    return found


def check_headers(path: Path) -> None:
    """Refuse an NPZ file that holds anything but plain arrays of the sizes that they say to have; they are not read.

    Raises:
        ValueError: It does, or is damaged, or too large when it is unpacked.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            check_members(archive.infolist(), path.name)
            for member in archive.infolist():
                with archive.open(member) as stream:
                    _check_header(stream, member, objects=False)
    except _DAMAGE as error:
        if str(error).startswith(f"{path.name}: "):
            raise
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(f"{path.name}: not an NPZ file of plain arrays ({reason})") from None


def _check_header(stream: Any, member: zipfile.ZipInfo, *, objects: bool = True) -> None:
    """Compare the size that an array says to have with the bytes that are there: NumPy reserves what the array says."""
    version = npy.read_magic(stream)
    read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}.get(version)
    if read is None:
        raise ValueError(f"{member.filename} is no array of plain numbers")
    shape, _, dtype = read(stream)
    if dtype.hasobject and not objects:
        raise ValueError(f"{member.filename} holds objects, which are pickled")
    if min(shape, default=0) < 0 or (
        not dtype.hasobject and math.prod(shape) * dtype.itemsize != member.file_size - stream.tell()
    ):
        raise ValueError(
            f"{member.filename} says to be {dtype} of shape {list(shape)}, but holds {member.file_size} bytes"
        )


def check_ids(ids: NDArray[Any], count: int, where: str, *, of: str = "nodes") -> NDArray[np.int64]:
    """Check an array of numbers that something is indexed with.

    Args:
        ids: Whole numbers, of any shape.
        count: Number of things that they choose from.
        where: What to call the array: file and name.
        of: What the things are called. Default `"nodes"`.

    Returns:
        The numbers as int64, in this machine's byte order.

    Raises:
        ValueError: They are no array, no whole numbers, or one is not from 0 to `count - 1`; the message has its place.

    Example:
        >>> check_ids(np.array([0, 2], dtype=np.uint8), 3, "g.npz: row").tolist()
        [0, 2]
    """
    if not isinstance(ids, np.ndarray) or ids.dtype.kind not in "iu":
        raise ValueError(f"{where} must be whole numbers, got {_described(ids)}")
    if ids.size and not (ids.min() >= 0 and ids.max() < count):
        place = np.unravel_index(int(((ids < 0) | (ids >= count)).argmax()), ids.shape)
        allowed = f"allowed are 0 to {count - 1}" if count else "none is allowed"
        raise ValueError(
            f"{where}[{', '.join(map(str, place))}] is {ids[place]}; {allowed}, for there are {count} {of}"
        )
    return ids.astype(np.int64)


def check_numbers(values: NDArray[Any], where: str, *, finite: bool = True) -> NDArray[np.float64]:
    """Check an array of numbers to compute with.

    Args:
        values: The numbers, of any shape.
        where: What to call the array: file and name.
        finite: Whether NaN and infinity are refused. Default True.

    Returns:
        The numbers as float64.

    Raises:
        ValueError: They are no array, no numbers, or one is NaN or infinite; the message has its place.

    Example:
        >>> check_numbers(np.array([True, False]), "g.npz: data").tolist()
        [1.0, 0.0]
    """
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "fiub":
        raise ValueError(f"{where} must be numbers, got {_described(values)}")
    if finite and not np.isfinite(values).all():
        place = np.unravel_index(int((~np.isfinite(values)).argmax()), values.shape)
        raise ValueError(f"{where}[{', '.join(map(str, place))}] is {values[place]}; give a finite number")
    return values.astype(np.float64)


def sparse_from_arrays(
    layout: str, shape: Any, parts: Mapping[str, Any], where: str = "", *, finite: bool = True
) -> scipy.sparse.coo_array:
    """Put together a sparse matrix from the arrays of one of scipy's layouts, whatever they hold.

    Args:
        layout: `"csr"`, `"csc"`, `"bsr"`, `"coo"` or `"dia"`.
        shape: Rows and columns.
        parts: scipy's arrays of the layout: `data`, and `indices` and `indptr`, `row` and `col`, or `offsets`.
        where: What goes before an array's name in a message, e.g. `"g.npz: "`.
        finite: Whether NaN and infinite values are refused. Default True.

    Returns:
        The matrix; entries that are there twice stay so.

    Raises:
        ValueError: An unknown layout, an array that is missing, of another type or length, or a number out of range.

    Example:
        >>> arrays = {"data": np.ones(1), "indices": np.array([1]), "indptr": np.array([0, 1, 1])}
        >>> sparse_from_arrays("csr", (2, 3), arrays).toarray().tolist()
        [[0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]
    """
    if layout not in _LAYOUTS:
        raise ValueError(f"{where}unknown sparse layout {layout!r}; choose one of {', '.join(_LAYOUTS)}")
    missing = [name for name in _LAYOUTS[layout] if name not in parts]
    if missing:
        raise ValueError(f"{where}a {layout} matrix has the arrays {', '.join(_LAYOUTS[layout])}; no {missing[0]} here")
    rows, columns = _shape(shape, f"{where}shape")
    data = check_numbers(parts["data"], f"{where}data", finite=finite)
    dimensions = {"bsr": 3, "dia": 2}.get(layout, 1)
    if data.ndim != dimensions:
        raise ValueError(f"{where}data must have {dimensions} dimensions, got shape {list(data.shape)}")
    if layout == "coo":
        row = _line(check_ids(parts["row"], rows, f"{where}row", of="rows"), len(data), f"{where}row")
        column = _line(check_ids(parts["col"], columns, f"{where}col", of="columns"), len(data), f"{where}col")
        return scipy.sparse.coo_array((data, (row, column)), shape=(rows, columns))
    if layout == "dia":
        offsets = _offsets(parts["offsets"], (rows, columns), len(data), f"{where}offsets")
        return scipy.sparse.dia_array((data, offsets), shape=(rows, columns)).tocoo()
    if layout == "bsr":
        down, across = data.shape[1:]
        if not down or not across or rows % down or columns % across:
            raise ValueError(
                f"{where}data holds blocks of {down} × {across}, which do not fill the shape {rows} × {columns}"
            )
        major, minor = rows // down, columns // across
    else:
        major, minor = (rows, columns) if layout == "csr" else (columns, rows)
    names = "rows" if layout == "csr" else "columns" if layout == "csc" else "rows of blocks"
    indices = parts["indices"]
    if isinstance(indices, np.ndarray):
        _line(indices, len(data), f"{where}indices")
    indptr = _pointers(parts["indptr"], major, len(data), names, f"{where}indptr")
    used = int(indptr[-1])  # scipy keeps room to grow behind the entries
    if isinstance(indices, np.ndarray):
        indices = indices[:used]
    of = {"csr": "columns", "csc": "rows", "bsr": "columns of blocks"}[layout]
    arrays = (data[:used], check_ids(indices, minor, f"{where}indices", of=of), indptr)
    return getattr(scipy.sparse, f"{layout}_array")(arrays, shape=(rows, columns)).tocoo()


def _shape(shape: Any, where: str) -> tuple[int, int]:
    given = np.asarray(shape) if isinstance(shape, (tuple, list, np.ndarray)) else np.empty(0)
    if given.shape != (2,) or given.dtype.kind not in "iu" or given.min() < 0 or given.max() > np.iinfo(np.int64).max:
        got = given.tolist() if given.ndim and given.size < 5 else _described(shape)
        raise ValueError(f"{where} must be two whole numbers, rows and columns, got {got}")
    return int(given[0]), int(given[1])


def _line(array: np.ndarray, length: int, where: str) -> np.ndarray:
    if array.shape != (length,):
        raise ValueError(f"{where} has shape {list(array.shape)}, but data has {length} entries; each entry needs one")
    return array


def _pointers(indptr: Any, major: int, entries: int, names: str, where: str) -> NDArray[np.int64]:
    """Where each row begins: as many as there are rows and one, from 0, never falling, to the number of entries."""
    if not isinstance(indptr, np.ndarray) or indptr.dtype.kind not in "iu" or indptr.ndim != 1:
        raise ValueError(f"{where} must be whole numbers in one dimension, got {_described(indptr)}")
    if len(indptr) != major + 1:
        raise ValueError(f"{where} has {len(indptr)} numbers; {major} {names} need {major + 1}")
    before = np.concatenate([indptr[:1] * 0, indptr[:-1]])
    wrong = (indptr < before) | (indptr > entries)
    wrong[0] = indptr[0] != 0
    if wrong.any():
        place = int(wrong.argmax())
        low, high = (0, 0) if place == 0 else (before[place], entries)
        raise ValueError(
            f"{where}[{place}] is {indptr[place]}; allowed are {low} to {high}: the numbers begin at 0, never fall, "
            f"and there are {entries} entries"
        )
    return indptr.astype(np.int64)


def _offsets(offsets: Any, shape: tuple[int, int], diagonals: int, where: str) -> NDArray[np.int64]:
    if not isinstance(offsets, np.ndarray) or offsets.dtype.kind not in "iu":
        raise ValueError(f"{where} must be whole numbers, got {_described(offsets)}")
    _line(offsets, diagonals, where)
    rows, columns = shape
    wrong = (offsets <= -max(rows, 1)) | (offsets >= max(columns, 1))
    if wrong.any():
        place = int(wrong.argmax())
        raise ValueError(
            f"{where}[{place}] is {offsets[place]}; a matrix of {rows} × {columns} has diagonals {1 - rows} to "
            f"{columns - 1}"
        )
    offsets = offsets.astype(np.int64)
    if len(np.unique(offsets)) < len(offsets):
        raise ValueError(f"{where} names a diagonal twice")
    return offsets


def _described(value: Any) -> str:
    return f"{value.dtype} of shape {list(value.shape)}" if isinstance(value, np.ndarray) else type(value).__name__
