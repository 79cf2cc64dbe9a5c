"""What looks odd about forecasts: a unit that is not the data's, windows that are a row off."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gnnkit.compare.scores import Outcome

__all__ = ["alignment", "scale"]

MOST = 200_000
"""Targets that are looked at."""
OFF = 10.0
"""A median so many times that of the targets is in no unit of theirs."""
BETTER = 0.02
"""Forecasts fit other targets better where their error is lower by this share."""


def scale(outcomes: Sequence[Outcome], true: Float[Tensor, "W P N"], mask: Bool[Tensor, "W P N"]) -> dict[str, str]:
    """Whether the forecasts are of the size of the targets: their median size is neither a tenth nor ten times it.

    Example:
        >>> true, seen = torch.full((4, 2, 3), 60.0), torch.ones(4, 2, 3, dtype=torch.bool)
        >>> scale([Outcome("a", "forecast", 0, true / 60, None)], true, seen)["detail"]
        'a has a median size of 1, the targets of 60: is it in another unit, or still scaled? Give the unit of the data'
    """
    every = max(1, true.numel() // MOST)
    seen = mask.flatten()[::every]
    size = float(true.flatten()[::every][seen].abs().median())
    ratios = {}
    for outcome in outcomes:
        found = float(outcome.predicted.flatten()[::every][seen].abs().median())
        ratio = found / size if size > 0 else 1.0
        if not 1 / OFF < ratio < OFF:
            detail = (
                f"{outcome.model} has a median size of {found:.4g}, the targets of {size:.4g}: is it in another unit, "
                f"or still scaled? Give the unit of the data"
            )
            return {"cause": "scale", "status": "warning", "detail": detail}
        ratios[outcome.model] = ratio
    told = ", ".join(f"{name} {ratio:.2f}" for name, ratio in list(ratios.items())[:5])
    return {"cause": "scale", "status": "passed", "detail": f"median size over that of the targets: {told}"}


def alignment(
    outcomes: Sequence[Outcome],
    true: Float[Tensor, "W P N"],
    mask: Bool[Tensor, "W P N"],
    numbers: Int[Tensor, " W"],
) -> dict[str, str]:
    """Whether a forecast fits the targets one row after its own better than its own: no honest one does.

    Args:
        outcomes: the forecasts.
        true, mask: the targets.
        numbers: of the windows; those are looked at that the next window follows.
    """
    pairs = torch.nonzero(numbers[1:] == numbers[:-1] + 1).flatten()
    per_window = max(1, true[0].numel())
    pairs = pairs[:: max(1, len(pairs) * per_window // MOST)]
    if not len(pairs):
        return {"cause": "alignment", "status": "passed", "detail": "no two windows follow each other: not looked at"}
    both = mask[pairs] & mask[pairs + 1]
    for outcome in outcomes:
        predicted = outcome.predicted[pairs]
        own, later = (float((predicted - true[at])[both].abs().mean()) for at in (pairs, pairs + 1))
        if later < (1 - BETTER) * own:
            detail = (
                f"{outcome.model} fits the targets one row later better (MAE {later:.4g}) than its own ({own:.4g}): "
                f"are its origins a row off, or its steps?"
            )
            return {"cause": "alignment", "status": "warning", "detail": detail}
    return {
        "cause": "alignment",
        "status": "passed",
        "detail": "no forecast fits the targets one row after its own better than its own",
    }
