"""Tests of two models' scores on folds of one data set, and on the examples of one test set."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float, Int

from gnnkit.statistics.paired import PairedTest, paired_test

__all__ = ["fold_test", "jackknife_test"]


def fold_test(a: Float[np.ndarray, " K"], b: Float[np.ndarray, " K"]) -> PairedTest:
    """Student's t of the mean difference over the folds of a cross-validation.

    Training sets of K folds share examples, so that the folds' differences d are not independent; their variance is
    raised for it:

        deviation² = (1 / K + 1 / (K − 1)) var(d),     degrees = K − 1

    Args:
        a, b: The score of each model on each fold, at least two.

    Raises:
        ValueError: The folds differ in number, or are fewer than two.

    Source:
        Nadeau & Bengio, "Inference for the generalization error" (2003), with n_test / n_train = 1 / (K − 1).

    Example:
        >>> test = fold_test(np.array([0.9, 0.8, 0.9]), np.array([0.5, 0.6, 0.4]))
        >>> round(test.difference, 3), round(test.p_value, 3)
        (0.367, 0.119)
    """
    if a.shape != b.shape or a.ndim != 1 or len(a) < 2:
        raise ValueError(
            f"a and b must have a score for each of the same folds, at least two, got {a.shape}, {b.shape}"
        )
    difference, folds = a - b, len(a)
    variance = (1 / folds + 1 / (folds - 1)) * float(difference.var(ddof=1))
    return paired_test((a.mean(keepdims=True), b.mean(keepdims=True)), variance, folds - 1.0)


def jackknife_test(
    a: Sequence[Callable[[Int[np.ndarray, " n"]], float]],
    b: Sequence[Callable[[Int[np.ndarray, " n"]], float]],
    examples: int,
    *,
    groups: int = 20,
) -> PairedTest:
    """Student's t of the difference of two models' mean scores over seeds, on one test set.

    With θ_g the difference without the examples of group g (every G-th), and the noise between seeds s² / S of each
    model:

        deviation² = (G − 1) / G Σ (θ_g − θ̄)² + Σ s² / S,     degrees by Welch and Satterthwaite

    Args:
        a, b: For each seed, what gives the model's score of some of the examples, by their numbers.
        examples: n, at least two.
        groups: G, at most n. Default 20.

    Source:
        Shao & Wu, "A general theory for jackknife variance estimation" (1989); Welch (1947).

    Example:
        >>> right = np.array([1, 1, 1, 0, 1, 1, 0, 1])
        >>> test = jackknife_test([lambda rows: right[rows].mean()], [lambda rows: 0.5], 8)
        >>> round(test.difference, 3), round(test.deviation, 3)
        (0.25, 0.164)
    """
    if examples < 2:
        raise ValueError(f"examples={examples}: a test set of at least two is needed")
    groups, rows = min(groups, examples), np.arange(examples)
    scores = tuple(np.array([score(rows) for score in side]) for side in (a, b))
    without = []
    for group in range(groups):
        left = rows[rows % groups != group]
        without.append(np.mean([score(left) for score in a]) - np.mean([score(left) for score in b]))
    spread = np.array(without)
    variance = (groups - 1) / groups * float(((spread - spread.mean()) ** 2).sum())
    return paired_test(scores, variance, groups - 1.0)
