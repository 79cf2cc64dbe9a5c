"""Split-conformal intervals: how far the truth was from the forecasts of the validation windows, node by node."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gnnkit.statistics.conformal import conformal_offsets, interval_bounds

__all__ = ["KEPT_LEVELS", "conformal_table", "interval_offsets", "node_scale"]

PRIOR_BLOCKS = 4
"""A node's own scale weighs as much as the mean of all nodes once this many windows without overlap were observed."""

KEPT_LEVELS = tuple(round(level / 200, 3) for level in range(1, 200))
"""Levels of the errors that a forecaster keeps: those of every coverage in whole percent."""


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


def conformal_table(
    true: Float[Tensor, "V P N"],
    predicted: Float[Tensor, "V P N"],
    mask: Bool[Tensor, "V P N"],
    levels: Sequence[float],
) -> tuple[Float[Tensor, " N"], Float[np.ndarray, "P L"]]:
    """The quantiles of the errors on validation windows, step by step, scaled to the node.

    With r = (y − ŷ) / s_n on the n observed targets of a step, all nodes together, and s_n the node's mean |y − ŷ|
    (`node_scale`), the quantile of a forecast at level τ is

        q_τ = ŷ + s_n r_(k),   k = ⌊τ (n + 1)⌋ below the median, ⌈τ (n + 1)⌉ from it on

    Args:
        true: targets, in the data's unit; where nothing was observed, any finite number.
        predicted: forecasts of them.
        mask: observed targets.
        levels: τ, inside (0, 1).

    Returns:
        s, and r_(k) of each step and level; infinite where a step has too few targets for a level.

    Source:
        Papadopoulos et al., "Inductive confidence machines for regression" (2002); Lei et al., "Distribution-free
        predictive inference for regression" (2018).

    Example:
        >>> predicted = torch.zeros(3, 1, 1)
        >>> true = torch.tensor([-1.0, 0.0, 1.0]).view(3, 1, 1)
        >>> scale, offsets = conformal_table(true, predicted, torch.ones(3, 1, 1, dtype=torch.bool), (0.25, 0.75))
        >>> [round(end, 5) for end in (scale * torch.tensor(offsets[0])).tolist()]
        [-1.0, 1.0]
    """
    scale = node_scale(true - predicted, mask)
    scaled = true / scale
    rows = []
    for step in range(true.size(1)):
        seen = mask[:, step]
        rows.append(conformal_offsets((scaled[:, step] - predicted[:, step] / scale)[seen].numpy(), levels))
    return scale, np.stack(rows)


def interval_offsets(levels: Float[Tensor, " L"], quantiles: Float[Tensor, "P L"], coverage: float) -> Tensor:
    """The offsets of both ends of an interval, among those that are kept.

    Args:
        levels: of the kept ones.
        quantiles: kept ones of each step.
        coverage: share of the targets that the interval should hold, in whole percent.

    Returns:
        `[2, P]`: below and above; infinite where the validation windows were too few.

    Raises:
        ValueError: a coverage outside 0.01 to 0.99, or not in whole percent.
    """
    if not (isinstance(coverage, (int, float)) and 0.01 <= coverage <= 0.99):
        raise ValueError(f"coverage is {coverage!r}; give a share from 0.01 to 0.99, e.g. 0.9")
    apart = [(levels.double() - bound).abs() for bound in interval_bounds(coverage)]
    if any(float(each.min()) > 1e-6 for each in apart):
        raise ValueError(f"coverage is {coverage:g}; give whole percent, e.g. {round(coverage, 2):g}")
    return torch.stack([quantiles[:, int(each.argmin())] for each in apart])
