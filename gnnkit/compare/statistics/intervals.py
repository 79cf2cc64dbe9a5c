"""Prediction intervals, the same for every model: split-conformal ones, and those of quantile heads."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gnnkit.compare.scores import Outcome

__all__ = ["conformal_offsets", "crps_from_pinball", "interval_levels", "node_scale", "score_intervals"]

PRIOR_BLOCKS = 4
"""A node's own scale weighs as much as the mean of all nodes once this many windows without overlap were observed."""

Quantile = Callable[[int, int], Tensor]
Bounds = Callable[[int], tuple[Tensor, Tensor]]


def interval_levels(coverage: float) -> tuple[float, ...]:
    """The levels of every predictive distribution: .05, .1, .2 … .9, .95, and the bounds of the interval.

    Args:
        coverage: nominal coverage of the interval, inside (0, 1).

    Returns:
        The levels, rising; the .5 is among them, as quantile heads need it.

    Raises:
        ValueError: the coverage is not inside (0, 1).

    Example:
        >>> interval_levels(0.8)
        (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
    """
    bounds = _bounds_of(coverage)
    return tuple(sorted({0.05, *(k / 10 for k in range(1, 10)), 0.95, *bounds}))


def score_intervals(
    outcomes: Iterable[Outcome],
    true: Float[Tensor, "W P N"],
    mask: Bool[Tensor, "W P N"],
    validation_true: Float[Tensor, "V P N"],
    validation_mask: Bool[Tensor, "V P N"],
    windows: Mapping[int, int],
    *,
    coverage: float,
    levels: Sequence[float],
) -> list[dict[str, Any]]:
    """How good the prediction intervals of each outcome are, at each horizon, over its steps 1 … P.

    `"conformal"`, from a point forecast ŷ: with r = (y − ŷ) / s_n on the n observed validation targets of a step, all
    nodes together, and s_n the node's mean |y − ŷ| (`node_scale`), the quantile at level τ is

        q_τ = ŷ + s_n r_(k),   k = ⌊τ (n + 1)⌋ below the median, ⌈τ (n + 1)⌉ from it on

    `"quantile"`, from quantile heads: the distribution is that of the heads as they are. Their interval at the nominal
    coverage 1 − α is conformalised: both its bounds move out by the ⌈(1 − α) (n + 1)⌉-th smallest of
    max(q_{α/2} − y, y − q_{1−α/2}) on the validation targets of the step; `raw_coverage` and `raw_width` are before it.

    If validation and test errors were exchangeable, an interval would hold its share of new values whatever the model.
    They are not quite: windows overlap, so that neighbours are nearly copies and n tells less than it seems, traffic
    changes from the validation days to the test days, and nodes share one calibration. So coverage is measured.

    Args:
        outcomes: what was predicted. One with `quantiles` is scored as `"quantile"`, another with `validation` as
            `"conformal"`; those with neither, and those under a condition other than the base, are passed over.
        true: test targets, in the data's unit; where nothing was observed, any finite number.
        mask: observed test targets.
        validation_true: validation targets.
        validation_mask: observed validation targets.
        windows: horizon P → number of leading test windows that are scored.
        coverage: nominal coverage 1 − α, inside (0, 1).
        levels: of the distributions, rising; those of `Outcome.quantiles`. Take `interval_levels(coverage)`.

    Returns:
        A dict for each outcome and horizon: `model`, `seed`, `horizon`, `method`, `nominal`, `coverage` (the share of
        observed targets inside), `width` (mean, in the data's unit), `crps` (`crps_from_pinball`), `pinball` (by level,
        as text), `observed` (targets); of quantile heads also `raw_coverage` and `raw_width`. None where a step has so
        few validation targets that a bound is infinite (for .05 to .95: fewer than 19), or nothing was observed.

    Raises:
        ValueError: levels outside (0, 1) or not rising; quantiles of another number, or without the levels α/2 and
            1 − α/2, or without those of the validation windows.

    Source:
        Papadopoulos et al., "Inductive confidence machines for regression" (2002); Lei et al., "Distribution-free
        predictive inference for regression" (2018). Romano et al., "Conformalized quantile regression" (2019).
    """
    levels = tuple(float(level) for level in levels)
    if not levels or not all(0 < level < 1 for level in levels) or list(levels) != sorted(set(levels)):
        raise ValueError(f"levels are {levels}; give rising levels inside (0, 1), such as interval_levels(coverage)")
    _bounds_of(coverage)
    truth, calibration = _Truth(true, mask), _Truth(validation_true, validation_mask)
    rows: list[dict[str, Any]] = []
    for outcome in outcomes:
        if not outcome.condition.is_base:
            continue
        if outcome.quantiles is not None:
            method, found = "quantile", _heads(outcome, truth, calibration, windows, coverage, levels)
        elif outcome.validation is not None:
            method, found = "conformal", _conformal(outcome, truth, calibration, windows, coverage, levels)
        else:
            continue
        for horizon, figures in found.items():
            names = {"model": outcome.model, "seed": outcome.seed, "horizon": horizon, "method": method}
            rows.append(names | {"nominal": coverage} | figures)
    return rows


def conformal_offsets(residuals: Float[np.ndarray, " n"], levels: Sequence[float]) -> Float[np.ndarray, " L"]:
    """Quantiles of residuals with the correction for their finite number; infinite where there are too few.

    Args:
        residuals: of the calibration, n of them, in any order.
        levels: inside (0, 1).

    Returns:
        The ⌊τ (n + 1)⌋-th smallest for τ below .5 (−∞ where that is the 0-th), the ⌈τ (n + 1)⌉-th from .5 on (∞ where
        that is the (n + 1)-th).

    Example:
        >>> conformal_offsets(np.arange(1.0, 20.0), [0.05, 0.5, 0.95, 0.99])  # n = 19
        array([ 1., 10., 19., inf])
    """
    ordered = np.sort(residuals)
    places = []
    for level in levels:
        # A thousandth of a place: .95 · 20 is not 19 in binary.
        place = level * (len(ordered) + 1)
        places.append(math.floor(place + 1e-3) if level < 0.5 else math.ceil(place - 1e-3))
    padded = np.concatenate([[-np.inf], ordered, [np.inf]])
    return padded[places]


def node_scale(error: Float[Tensor, "V P N"], mask: Bool[Tensor, "V P N"]) -> Float[Tensor, " N"]:
    """Mean absolute error of each node, drawn to that of all nodes where a node has few targets.

    s_n = (Σ |e| + κ s) / (c_n + κ), with c_n the node's observed targets, s the mean over all of them, and κ the
    targets of `PRIOR_BLOCKS` windows that do not overlap, each of which has P windows that nearly copy it: 4 P · P.

    Args:
        error: validation errors.
        mask: where the target was observed.

    Returns:
        Positive scales in float32; all 1 where there is no error at all.
    """
    absolute = torch.where(mask, error, 0.0).abs().sum(dim=(0, 1), dtype=torch.float64)
    count = mask.sum(dim=(0, 1)).double()
    mean = absolute.sum() / count.sum().clamp(min=1)
    if mean == 0:
        return torch.ones_like(absolute, dtype=torch.float32)
    prior = PRIOR_BLOCKS * error.size(1) ** 2
    return ((absolute + prior * mean) / (count + prior)).float()


def crps_from_pinball(levels: Sequence[float], pinball: Sequence[float]) -> float:
    """The continuous ranked probability score from mean pinball losses ρ_τ.

    CRPS = 2 ∫₀¹ ρ_τ dτ, by trapezoids between the levels, with ρ = 0 at 0 and 1. For a calibrated forecast the loss is
    concave in τ, so this is a little low: by 1% for a normal distribution and the levels of `interval_levels(0.9)`.

    Args:
        levels: rising, inside (0, 1).
        pinball: the loss at each level.

    Source:
        Gneiting & Ranjan, "Comparing density forecasts using threshold- and quantile-weighted scoring rules" (2011).

    Example:
        >>> crps_from_pinball([0.5], [1.0])
        1.0
    """
    return float(2 * np.trapezoid([0.0, *pinball, 0.0], [0.0, *levels, 1.0]))


@dataclass(frozen=True)
class _Truth:
    """Targets and which of them were observed."""

    true: Tensor
    mask: Tensor

    def errors(self, predicted: Tensor, step: int) -> Float[np.ndarray, " n"]:
        """Observed targets minus predictions of one step, in one row."""
        seen = self.mask[:, step]
        return (self.true[:, step] - predicted)[seen].numpy()


def _conformal(
    outcome: Outcome,
    truth: _Truth,
    calibration: _Truth,
    windows: Mapping[int, int],
    coverage: float,
    levels: tuple[float, ...],
) -> dict[int, dict[str, Any]]:
    if outcome.validation is None:
        return {}
    predicted, validation = outcome.predicted, outcome.validation
    scale = node_scale(calibration.true - validation, calibration.mask)
    scaled = _Truth(calibration.true / scale, calibration.mask)
    wanted = (*levels, *_bounds_of(coverage))
    offsets = np.stack(
        [conformal_offsets(scaled.errors(validation[:, p] / scale, p), wanted) for p in range(max(windows))]
    )  # [P, L + 2]

    def quantile(step: int, level: int) -> Tensor:
        return torch.add(predicted[:, step], scale, alpha=float(offsets[step, level]))

    def bounds(step: int) -> tuple[Tensor, Tensor]:
        return quantile(step, len(levels)), quantile(step, len(levels) + 1)

    finite = {p: n for p, n in windows.items() if np.isfinite(offsets[:p]).all()}
    return _score(truth, finite, levels, quantile, bounds)


def _heads(
    outcome: Outcome,
    truth: _Truth,
    calibration: _Truth,
    windows: Mapping[int, int],
    coverage: float,
    levels: tuple[float, ...],
) -> dict[int, dict[str, Any]]:
    heads, before = outcome.quantiles, outcome.validation_quantiles
    if heads is None or before is None:
        raise ValueError(
            f"{outcome.model} has quantiles but no validation_quantiles; predict the validation windows too"
        )
    if heads.size(-1) != len(levels) or before.size(-1) != len(levels):
        raise ValueError(
            f"{outcome.model} has {heads.size(-1)} quantiles, of the validation windows {before.size(-1)}, but levels "
            f"are {levels}; give the levels that its heads were trained on"
        )
    places = [int(np.argmin(np.abs(np.array(levels) - bound))) for bound in _bounds_of(coverage)]
    if any(abs(levels[place] - bound) > 1e-9 for place, bound in zip(places, _bounds_of(coverage), strict=True)):
        raise ValueError(
            f"levels {levels} lack the bounds {_bounds_of(coverage)} of coverage {coverage:g}; "
            "train the heads on interval_levels(coverage)"
        )
    low, high = places
    margin = np.array([_margin(before[:, p], calibration, p, low, high, coverage) for p in range(max(windows))])

    def quantile(step: int, level: int) -> Tensor:
        return heads[:, step, :, level]

    def raw(step: int) -> tuple[Tensor, Tensor]:
        return quantile(step, low), quantile(step, high)

    def bounds(step: int) -> tuple[Tensor, Tensor]:
        bottom, top = raw(step)
        # A negative margin may pull the bounds past each other: the interval is then the point between them.
        middle = (bottom + top) / 2
        return torch.minimum(bottom - margin[step], middle), torch.maximum(top + margin[step], middle)

    known = {p: n for p, n in windows.items() if np.isfinite(margin[:p]).all()}
    found = _score(truth, known, levels, quantile, bounds)
    untouched = _score(truth, known, (), quantile, raw)
    return {
        p: figures | {f"raw_{name}": untouched[p][name] for name in ("coverage", "width")}
        for p, figures in found.items()
    }


def _margin(heads: Float[Tensor, "V N Q"], truth: _Truth, step: int, low: int, high: int, coverage: float) -> float:
    """How far the interval must move out so that it would have held the share `coverage` of the validation targets."""
    outside = np.maximum(-truth.errors(heads[..., low], step), truth.errors(heads[..., high], step))
    place = math.ceil(coverage * (len(outside) + 1) - 1e-3)
    return float(np.partition(outside, place - 1)[place - 1]) if place <= len(outside) else math.inf


def _score(
    truth: _Truth, windows: Mapping[int, int], levels: tuple[float, ...], quantile: Quantile, bounds: Bounds
) -> dict[int, dict[str, Any]]:
    """Coverage, width, pinball losses and CRPS at each horizon; one step at a time, so that little memory is held."""
    if not windows:
        return {}
    steps, count = max(windows), max(windows.values())
    inside, width = np.zeros((2, steps, count))
    pinball = np.zeros((len(levels), steps, count))
    for step in range(steps):
        y, seen = truth.true[:count, step], truth.mask[:count, step]
        low, high = (bound[:count] for bound in bounds(step))
        inside[step] = ((low <= y) & (y <= high) & seen).sum(dim=1).numpy()
        weight = seen.to(y.dtype)
        width[step] = (high - low).mul_(weight).sum(dim=1).numpy()
        for number, level in enumerate(levels):
            error = (y - quantile(step, number)[:count]).mul_(weight)
            # Σ max(τ e, (τ − 1) e) = (τ − ½) Σ e + ½ Σ |e|: two sums that need no array of their own.
            total, size = error.sum(dim=1), torch.linalg.vector_norm(error, ord=1, dim=1)
            pinball[number, step] = ((level - 0.5) * total.double() + 0.5 * size.double()).numpy()
    observed = truth.mask[:count, :steps].sum(dim=2).T.numpy()  # [P, W]
    found = {}
    for horizon, leading in windows.items():
        part = (slice(0, horizon), slice(0, leading))
        total = int(observed[part].sum())
        if not total:
            continue
        losses = [float(loss[part].sum() / total) for loss in pinball]
        found[horizon] = {
            "coverage": float(inside[part].sum() / total),
            "width": float(width[part].sum() / total),
            "crps": crps_from_pinball(levels, losses),
            "pinball": {f"{level:g}": loss for level, loss in zip(levels, losses, strict=True)},
            "observed": total,
        }
    return found


def _bounds_of(coverage: float) -> tuple[float, float]:
    if not 0 < coverage < 1:
        raise ValueError(f"coverage is {coverage}; give a share inside (0, 1), such as 0.9")
    low = round((1 - coverage) / 2, 12)
    return low, round(1 - low, 12)
