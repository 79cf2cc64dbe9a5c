"""Ridge regression from sums over rows, so that no table of all rows is ever held."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float

__all__ = ["PENALTIES", "RidgeSums"]

PENALTIES = tuple(10.0**power for power in range(-6, 4))
"""What is tried, in mean squares of a column."""
_AT_A_TIME = 1024
"""Rows that are weighted at a time: they stay in the processor's cache."""


class RidgeSums:
    """Sums from which ridge regressions of K targets on D columns follow, at any penalty.

        W = (XᵀX / M + λS)⁻¹ XᵀY / M,   S the mean squares of the columns of X [M, D]

    A target that is missing leaves its row out of its own regression, and of no other.

    Args:
        columns: D.
        targets: K.

    Source:
        Hoerl and Kennard, "Ridge regression", 1970.

    Example:
        >>> sums = RidgeSums(columns=1, targets=1)
        >>> sums.add(np.array([[1.0], [2.0]]), np.array([[2.0], [4.0]]))
        >>> [round(weights.item(), 6) for weights in sums.solve([0.0, 1.0])]
        [2.0, 1.0]
    """

    def __init__(self, columns: int, targets: int) -> None:
        self.gram, self.moment = np.zeros((columns, columns)), np.zeros((columns, targets))
        self.rows = 0
        self.left_out: dict[int, np.ndarray] = {}
        self.missing = np.zeros(targets, dtype=np.int64)

    def add_weighted(
        self, x: Float[np.ndarray, "M D"], y: Float[np.ndarray, "M K"], weight: Float[np.ndarray, " M"]
    ) -> None:
        """Add rows of which each counts so much, 0 or more; no target is missing."""
        for first in range(0, len(x), _AT_A_TIME):
            part = slice(first, first + _AT_A_TIME)
            root = np.sqrt(weight[part])[:, None]
            rooted = x[part] * root
            self.gram += rooted.T @ rooted  # of a matrix and itself numpy computes one half
            self.moment += rooted.T @ (y[part] * root)
        self.rows += len(x)

    def add(self, x: Float[np.ndarray, "M D"], y: Float[np.ndarray, "M K"]) -> None:
        """Add rows; NaN in y is a target that is missing."""
        self.gram += x.T @ x
        self.rows += len(x)
        seen = np.isfinite(y)
        if not seen.all():
            y = np.where(seen, y, 0.0)
            for target in np.flatnonzero(~seen.all(axis=0)).tolist():
                gone = x[~seen[:, target]]
                self.left_out[target] = self.left_out.get(target, 0.0) + gone.T @ gone
                self.missing[target] += len(gone)
        self.moment += x.T @ y

    def solve(self, penalties: Sequence[float] = PENALTIES) -> Iterator[Float[np.ndarray, "D K"]]:
        """The coefficients at each penalty in turn; zeros for a target that was never there."""
        whole = [target for target in range(self.moment.shape[1]) if target not in self.left_out]
        groups = [(whole, self.gram)] if whole else []
        groups += [([target], self.gram - gone) for target, gone in self.left_out.items()]
        solvers = []
        for targets, gram in groups:
            rows = self.rows - int(self.missing[targets[0]])
            solvers += [(targets, _Eigen(gram / rows, self.moment[:, targets] / rows))] if rows else []
        for penalty in penalties:
            found = np.zeros_like(self.moment)
            for targets, solver in solvers:
                found[:, targets] = solver.at(penalty)
            yield found


class _Eigen:
    """The eigenvectors of a Gram matrix, its columns scaled to a mean square of 1: any penalty is a product away."""

    def __init__(self, gram: Float[np.ndarray, "D D"], moment: Float[np.ndarray, "D K"]) -> None:
        size = np.sqrt(np.maximum(np.diag(gram), 0.0))[:, None]
        self.scale = np.where(size > 0, size, 1.0)  # a column of zeros has no coefficient
        values, self.vectors = np.linalg.eigh(gram / (self.scale * self.scale.T))
        least = np.finfo(np.float64).eps * len(gram)  # below it there is rounding alone
        self.values = np.where(values > least, values, 0.0)[:, None]
        self.turned = self.vectors.T @ (moment / self.scale)

    def at(self, penalty: float) -> Float[np.ndarray, "D K"]:
        values = self.values + penalty
        part = np.divide(self.turned, values, out=np.zeros_like(self.turned), where=values > 0)
        return self.vectors @ part / self.scale
