"""What to tell somebody about values that were read: numbers that may stand for missing ones, sums, packed columns."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["check_single", "value_remarks"]

_CODES = (*(-1, -9, -99, -999, -9999, -99999, -999999, -200, -888, -8888, -777, -7777, -32768, -99.9, -999.9, -9999.9),
          *(99, 999, 9999, 99999, 999999, 99.9, 999.9, 9999.9, 32767, 65535, 1e20, 1e30))  # fmt: skip
"""Numbers that people write for missing values."""
_SHOWN = 3
_LONG, _FEW = 0.95, 3
"""Share of the rows after which a column does not end early, and columns that are too few to tell of them."""
_ROUNDED = 0.01
"""Of how far values are apart, the share that rounding them to single precision may take."""


def check_single(values: NDArray[np.float64], names: Sequence[str], features: Sequence[str], name: str) -> None:
    """Refuse values that differ by so little, beside their size, that single precision does not tell them apart.

    Args:
        values: `[rows, nodes, features]`.
        names: Of the nodes.
        features: Their names; may be empty.
        name: Of the file.

    Raises:
        ValueError: Rounding a node's values changes them by more than a hundredth of their deviation; names the node.
    """
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of a node without any value
        spread = np.nanstd(values, axis=0)  # [N, F]
        rounded = np.sqrt(np.nanmean((values - values.astype(np.float32)) ** 2, axis=0))
    lost = np.argwhere((spread > 0) & (rounded > _ROUNDED * spread))
    if len(lost):
        node, feature = lost[0]
        column = values[:, node, feature]
        what = f", {features[feature]!r}" if len(features) > 1 else ""
        others = f" (and {len(lost) - 1} more)" if len(lost) > 1 else ""
        raise ValueError(
            f"{name}: the values of {names[node]!r}{what}{others} lie near {np.nanmean(column):.6g} and differ by "
            f"{spread[node, feature]:.2g}; single precision rounds them by {rounded[node, feature]:.2g}, so nothing "
            f"could be learned of them: subtract {np.nanmin(column):.10g} from each, and read the rest"
        )


def value_remarks(
    values: NDArray[np.float64], names: Sequence[str], name: str, lines: Sequence[int] | None, sums: frozenset[str]
) -> list[str]:
    """Sentences on numbers that look like missing values, on columns that sum up the others, and on packed columns.

    A number of a node is told of where it is its least or its largest one, and beyond all others by as much as these
    are apart, if it comes three times or is one that people write for missing values (-999, 9999, …); where it is such
    a number below 0 and no other is below 0; and where it is 0, though the others are far from 0.

    Args:
        values: `[rows, nodes]`.
        names: Of the nodes.
        name: Of the file.
        lines: Line of the file that each row came from; None: rows are counted from 0.
        sums: What columns of sums are called.

    Returns:
        The sentences.
    """
    found: dict[float, list[tuple[int, int, int]]] = {}  # number → (node, first row, times)
    for node in range(values.shape[1]):
        column = values[:, node]
        for number in _codes(column[~np.isnan(column)]):
            at = column == number
            found.setdefault(number, []).append((node, int(at.argmax()), int(at.sum())))
    said = []
    for number, places in sorted(found.items(), key=lambda item: -sum(place[2] for place in item[1]))[:_SHOWN]:
        node, row, _ = min(places, key=lambda place: place[1])
        count = sum(place[2] for place in places)
        where = f"row {row} (counted from 0)" if lines is None else f"line {lines[row]}"
        said.append(
            f"{name}: {number:.10g} comes {count} {'time' if count == 1 else 'times'} in {len(places)} of "
            f"{len(names)} nodes, first at {where} in {names[node]!r}, far from the other values; it is scored as "
            f"data: if it stands for a missing value, give --missing-value {number:.10g} (missing_values)."
        )
    for node, title in enumerate(names):
        if title.strip().lower() in sums and values.shape[1] > 2:
            others = np.delete(values, node, axis=1)
            whole = ~np.isnan(values).any(axis=1)
            for what, totals in (("sum", others[whole].sum(axis=1)), ("mean", others[whole].mean(axis=1))):
                if whole.any() and np.allclose(values[whole, node], totals, rtol=1e-2):
                    said.append(f"{name}: column {title!r} is the {what} of the others; leave it out, it is no node.")
    return said + _packed(values, names, name)


def _packed(values: NDArray[np.float64], names: Sequence[str], name: str) -> list[str]:
    """A sentence where columns look as if each had been moved up to the first row.

    They begin there, have no gap, and end early at rows of their own. The longer record of two is then the one that
    goes farther back, and the values of a row are of different times.
    """
    seen = ~np.isnan(values)
    rows, counts = len(values), seen.sum(axis=0)
    ends = np.where(counts > 0, rows - seen[::-1].argmax(axis=0), 0)
    short = (ends > 0) & (ends < _LONG * rows)
    moved = short & (counts == ends)  # from the first row on, and without a gap
    if moved.sum() < _FEW or moved.sum() < 0.9 * short.sum() or len(set(ends[moved].tolist())) < 2:
        return []
    first = int(np.flatnonzero(moved)[0])
    return [
        f"{name}: {moved.sum()} of {len(names)} nodes begin in the first row, have no gap, and end early at rows of "
        f"their own ({names[first]!r} after {ends[first]:,} of {rows:,}); if columns were moved up to the first row "
        f"when the file was made, the values of a row are not of one time: put each node's values at their own times."
    ]


def _codes(column: NDArray[np.float64]) -> list[float]:
    """The numbers of a node that may stand for missing values."""
    if len(column) < 4:
        return []
    distinct, counts = np.unique(column, return_counts=True)
    found = []
    for end in (0, -1):
        inner = distinct
        while len(inner) > 2:  # -9999 beside -999
            outer, inner = inner[end], inner[1:] if end == 0 else inner[:-1]
            near = inner[end]
            known = _known(outer)
            gap, spread = abs(outer - near), inner[-1] - inner[0]
            often = counts[np.searchsorted(distinct, outer)] >= 3
            apart = gap > spread and (known or (often and spread > 0))
            if apart or (known and outer < 0 <= inner[0]):
                found.append(float(outer))
            elif not (known and inner[0] < 0 and _known(near)):
                break
    if 0.0 in distinct and _zero_is_odd(column):
        found.append(0.0)
    return list(dict.fromkeys(found))


def _known(number: float) -> bool:
    return bool(np.isclose(_CODES, number, rtol=1e-6).any())


def _zero_is_odd(column: NDArray[np.float64]) -> bool:
    """Whether zeros are few, in a node whose other values are far from 0."""
    zero = column == 0
    rest = column[~zero]
    if not 0 < zero.sum() <= len(column) / 3 or len(rest) < 4 or rest.min() < 0:
        return False
    # Nothing lies between 0 and a third of the usual value, though values lie closer to each other than that.
    least, steps = np.quantile(rest, 0.02), np.diff(np.unique(rest))
    return bool(least > np.median(rest) / 3 and steps.size and least > 3 * np.median(steps))
