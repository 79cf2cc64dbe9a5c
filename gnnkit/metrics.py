"""Scores of forecasts and classifications, each over the observed values alone.

Every function takes arrays or tensors of one shape and an optional mask of the same shape (True: observed, counts),
reduces over everything in float64 and gives a float, so that every observed value weighs the same, whatever the batch
that it came in. Scores over nothing observed are NaN.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["FORECAST_METRICS", "accuracy", "corr", "forecast_metrics", "mae", "mape", "r2", "rmse", "rse", "var_score"]


def mae(predicted: Any, true: Any, mask: Any = None) -> float:
    """Mean absolute error, in the data's unit: mean |y − ŷ|.

    Args:
        predicted: ŷ, any shape.
        true: y, the same shape.
        mask: Observed entries, the same shape; None where all are.

    Returns:
        The error; NaN where nothing is observed.

    Raises:
        ValueError: The shapes differ.

    Example:
        >>> mae([1.0, 2.0, 9.0], [2.0, 2.0, 0.0], [True, True, False])
        0.5
    """
    y_hat, y = _observed("mae", predicted, true, mask)
    return float(np.abs(y - y_hat).mean()) if y.size else math.nan


def rmse(predicted: Any, true: Any, mask: Any = None) -> float:
    """Root of the mean squared error, in the data's unit: √mean (y − ŷ)².

    Args, Returns, Raises: as `mae`.

    Example:
        >>> rmse([1.0, 2.0], [4.0, 6.0])
        3.5355339059327378
    """
    y_hat, y = _observed("rmse", predicted, true, mask)
    return float(np.sqrt(np.square(y - y_hat).mean())) if y.size else math.nan


def mape(predicted: Any, true: Any, mask: Any = None) -> float:
    """Mean absolute percentage error, in percent: 100 · mean |y − ŷ| / |y| over the entries with y ≠ 0.

    Args, Returns, Raises: as `mae`; NaN also where every observed y is zero.

    Example:
        >>> mape([1.0, 5.0, 3.0], [2.0, 4.0, 0.0])
        37.5
    """
    y_hat, y = _observed("mape", predicted, true, mask)
    y_hat, y = y_hat[y != 0], y[y != 0]
    return float(100.0 * (np.abs(y - y_hat) / np.abs(y)).mean()) if y.size else math.nan


def accuracy(predicted: Any, true: Any, mask: Any = None) -> float:
    """The traffic papers' accuracy: 1 − ‖Y − Ŷ‖_F / ‖Y‖_F.

    Args, Returns, Raises: as `mae`; NaN also where Y is zero.

    Source:
        Zhao et al., "T-GCN: A Temporal Graph Convolutional Network for Traffic Prediction", 2019.
    """
    y_hat, y = _observed("accuracy", predicted, true, mask)
    norm = float(np.linalg.norm(y))
    return 1.0 - float(np.linalg.norm(y - y_hat)) / norm if norm > 0 else math.nan


def r2(predicted: Any, true: Any, mask: Any = None) -> float:
    """Coefficient of determination, over all entries at once: 1 − Σ(y − ŷ)² / Σ(y − ȳ)².

    Args, Returns, Raises: as `mae`; NaN also where y is constant.
    """
    y_hat, y = _observed("r2", predicted, true, mask)
    total = float(np.square(y - y.mean()).sum()) if y.size else 0.0
    return 1.0 - float(np.square(y - y_hat).sum()) / total if total > 0 else math.nan


def var_score(predicted: Any, true: Any, mask: Any = None) -> float:
    """Explained variance, over all entries at once: 1 − Var(y − ŷ) / Var(y).

    Args, Returns, Raises: as `mae`; NaN also where y is constant.
    """
    y_hat, y = _observed("var_score", predicted, true, mask)
    variance = float(y.var()) if y.size else 0.0
    return 1.0 - float((y - y_hat).var()) / variance if variance > 0 else math.nan


def rse(predicted: Any, true: Any, mask: Any = None) -> float:
    """Root relative squared error: √mean (y − ŷ)² / standard deviation of all y.

    Args, Returns, Raises: as `mae`; NaN also where y is constant.

    Source:
        Lai et al., "LSTNet" (2018), whose code divides by the deviation of all test values together.

    Example:
        >>> rse([1.0, 3.0], [0.0, 4.0])
        0.5
    """
    y_hat, y = _observed("rse", predicted, true, mask)
    deviation = float(y.std()) if y.size else 0.0
    return float(np.sqrt(np.square(y - y_hat).mean())) / deviation if deviation > 0 else math.nan


def corr(predicted: Any, true: Any) -> float:
    """Mean of the columns' Pearson correlations, over the columns whose true values vary.

    A forecast that is constant in such a column counts as uncorrelated, 0.

    Args:
        predicted: ŷ, `[samples, columns]`.
        true: y, of the same shape, nothing missing.

    Returns:
        The correlation; NaN where no column varies.

    Raises:
        ValueError: The shapes differ or are not `[samples, columns]`.

    Example:
        >>> corr([[1.0, 5.0], [2.0, 5.0], [3.0, 5.0]], [[2.0, 7.0], [4.0, 7.0], [6.0, 7.0]])
        1.0
    """
    y_hat, y = np.asarray(predicted, dtype=np.float64), np.asarray(true, dtype=np.float64)
    if y_hat.shape != y.shape or y.ndim != 2:
        raise ValueError(
            f"corr: `predicted` has shape {y_hat.shape}, `true` {y.shape}; give both as [samples, columns]"
        )
    varies = y.std(axis=0) > 0
    if not varies.any():
        return math.nan
    a, b = y_hat[:, varies] - y_hat[:, varies].mean(axis=0), y[:, varies] - y[:, varies].mean(axis=0)
    size = np.sqrt(np.square(a).sum(axis=0) * np.square(b).sum(axis=0))
    return float(np.where(size > 0, (a * b).sum(axis=0) / np.where(size > 0, size, 1.0), 0.0).mean())


FORECAST_METRICS: Mapping[str, Callable[..., float]] = MappingProxyType(
    {"mae": mae, "rmse": rmse, "mape": mape, "accuracy": accuracy, "r2": r2, "var": var_score}
)


def forecast_metrics(predicted: Any, true: Any) -> dict[str, float]:
    """All of `FORECAST_METRICS` by name, with the errors made once for all of them.

    Args:
        predicted: ŷ, any shape.
        true: y, the same shape; all of them count.

    Raises:
        ValueError: The shapes differ.

    Example:
        >>> found = forecast_metrics([1.0, 2.0], [2.0, 4.0])
        >>> found["mae"], found["mape"], list(found) == list(FORECAST_METRICS)
        (1.5, 50.0, True)
    """
    y_hat, y = _observed("forecast_metrics", predicted, true, None)
    if not y.size:
        return dict.fromkeys(FORECAST_METRICS, math.nan)
    error = y - y_hat
    size, squared, norm = np.abs(error), float(error @ error), float(y @ y)
    counts = y != 0
    shares = size / np.abs(y) if counts.all() else size[counts] / np.abs(y[counts])
    y_apart, apart = y - y.mean(), error - error.mean()
    total = float(y_apart @ y_apart)
    return {
        "mae": float(size.mean()),
        "rmse": math.sqrt(squared / y.size),
        "mape": float(100.0 * shares.mean()) if shares.size else math.nan,
        "accuracy": 1.0 - math.sqrt(squared) / math.sqrt(norm) if norm > 0 else math.nan,
        "r2": 1.0 - squared / total if total > 0 else math.nan,
        "var": 1.0 - float(apart @ apart) / total if total > 0 else math.nan,
    }


def _observed(name: str, predicted: Any, true: Any, mask: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    y_hat, y = np.asarray(predicted), np.asarray(true)
    if y_hat.shape != y.shape:
        raise ValueError(f"{name}: `predicted` has shape {y_hat.shape}, `true` has {y.shape}; give both in one shape")
    if mask is None:
        return y_hat.astype(np.float64, copy=False).ravel(), y.astype(np.float64, copy=False).ravel()
    seen = np.asarray(mask, dtype=bool)
    if seen.shape != y.shape:
        raise ValueError(f"{name}: `mask` has shape {seen.shape}, the values have {y.shape}; give one entry per value")
    return y_hat[seen].astype(np.float64), y[seen].astype(np.float64)
