"""Where the variance of a difference between two models comes from: seeds, folds, windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

__all__ = ["Components", "variance_components"]


@dataclass(frozen=True)
class Components:
    """What each source adds to the variance of the mean difference; None where there is one of its kind alone.

    Args:
        seed: from the first weights and the order of the batches.
        fold: from the fold, that is from training rows and the time that is tested.
        window: from one span of test windows to the next, inside a fold.
    """

    seed: float | None
    fold: float | None
    window: float | None

    @property
    def shares(self) -> dict[str, float]:
        """The share of each source that is known in the sum of these; empty where there is no variance."""
        known = {name: value for name, value in vars(self).items() if value is not None}
        total = sum(known.values())
        return {name: value / total for name, value in known.items()} if total > 0 else {}


def variance_components(tables: Sequence[Float[np.ndarray, "S q"]], folds: Int[np.ndarray, " q"]) -> Components:
    """What seeds, folds and spans of windows add to the variance of a difference of means over all of them.

    Of each side, seed s has in span k the error x_sk = m + S_s + K_k + e_sk. The difference of both sides, averaged
    over seeds, is y_k = m + F_f + V_k in span k of fold f. By the analysis of variance, with n spans, n_f in fold
    f, and MS the mean squares of seeds, of seeds × spans, of folds, and of spans inside folds,

        σ²_S = (MS_S − MS_e) / n,    σ²_F = (MS_F − MS_V) / n₀,    σ²_V = MS_V,    n₀ = (n − Σ n_f² / n) / (F − 1)

    each at least 0. They add to the variance of the mean Σ σ²_S / S over both sides, σ²_F Σ n_f² / n², and σ²_V / n.

    Args:
        tables: mean errors of one side, a row a seed and a column a span, in order of time; two of them for two models,
            or one, of differences that are paired seed by seed. Spans count alike.
        folds: the fold of each span.

    Returns:
        None for seeds where each side has one, for folds where there is one, and for windows where no fold has two
        spans.

    Raises:
        ValueError: tables and folds have not the same spans, or there is none.

    Source:
        Searle, Casella and McCulloch, "Variance Components", 1992, chapters 3 and 4 (ANOVA estimators of the one-way
        model, of the nested one with unequal numbers, and of the two-way crossed one without replication).

    Example:
        >>> lucky = np.array([[1.0, 2.0, 1.0, 2.0], [3.0, 4.0, 3.0, 4.0]])  # seeds differ by 2, spans by 1
        >>> found = variance_components([lucky], np.zeros(4, dtype=int))
        >>> found.seed, found.fold, round(found.window, 4)
        (1.0, None, 0.0833)
    """
    if not tables or any(table.ndim != 2 or table.shape[1:] != folds.shape for table in tables) or not folds.size:
        shapes = ", ".join(str(table.shape) for table in tables) or "none"
        raise ValueError(f"tables have shapes {shapes}, folds {folds.shape}; give the same spans, one or more")
    seeds = [found for table in tables if (found := _of_seeds(table)) is not None]
    signs = (1.0, -1.0)
    means = sum(sign * table.mean(axis=0) for sign, table in zip(signs, tables, strict=False))
    fold, window = _of_folds(np.asarray(means), folds)
    return Components(sum(seeds) if seeds else None, fold, window)


def _of_seeds(table: Float[np.ndarray, "S q"]) -> float | None:
    """What seeds add to the variance of the mean of a side."""
    seeds, spans = table.shape
    if seeds < 2:
        return None
    between = spans * float(table.mean(axis=1).var(ddof=1))
    rest = table - table.mean(axis=1, keepdims=True) - table.mean(axis=0) + table.mean()
    inside = float(np.square(rest).sum()) / ((seeds - 1) * (spans - 1)) if spans > 1 else 0.0
    return max(0.0, between - inside) / spans / seeds


def _of_folds(means: Float[np.ndarray, " q"], folds: Int[np.ndarray, " q"]) -> tuple[float | None, float | None]:
    """What folds, and spans inside them, add to the variance of the mean."""
    names, places, counts = np.unique(folds, return_inverse=True, return_counts=True)
    number, n = len(names), len(folds)
    centres = np.bincount(places, means) / counts
    free = n - number
    inside = float(np.square(means - centres[places]).sum()) / free if free else None
    window = None if inside is None else inside / n
    if number < 2:
        return None, window
    between = float((counts * np.square(centres - means.mean())).sum()) / (number - 1)
    size = (n - float(np.square(counts).sum()) / n) / (number - 1)
    fold = max(0.0, between - (inside or 0.0)) / size
    return fold * float(np.square(counts).sum()) / n**2, window
