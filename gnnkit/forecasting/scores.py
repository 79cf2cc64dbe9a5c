"""What a forecast is worth: every metric at every horizon, in the data's unit."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from jaxtyping import Bool, Float
from torch import Tensor

from gnnkit.metrics import forecast_metrics

__all__ = ["forecast_scores", "named_scores"]


def forecast_scores(
    predicted: Float[Tensor, "W P N"],
    true: Float[Tensor, "W P N"],
    mask: Bool[Tensor, "W P N"],
    windows: Mapping[int, int],
) -> list[dict[str, Any]]:
    """One dict for each horizon, score and metric.

    Args:
        predicted: what was predicted.
        true: targets in the data's unit.
        mask: observed targets.
        windows: horizon P → number of leading windows that hold P targets; only those are scored.

    Returns:
        Dicts of `horizon`, `score` ("averaged" over the steps 1 … P, or "last-step"), `metric`, `value`, `windows`.
    """
    rows = []
    for horizon, count in windows.items():
        for score, steps in (("averaged", slice(0, horizon)), ("last-step", slice(horizon - 1, horizon))):
            part = (slice(0, count), steps)
            # Picked out and widened once for all metrics, not by each for itself.
            seen = mask[part]
            pair = [table[part].flatten() if seen.all() else table[part][seen] for table in (predicted, true)]
            found, wanted = (values.double().numpy() for values in pair)
            for metric, value in forecast_metrics(found, wanted).items():
                rows.append({"horizon": horizon, "score": score, "metric": metric, "value": value, "windows": count})
    return rows


def named_scores(rows: Iterable[Any]) -> dict[str, float]:
    """Scores on the test rows under names for an experiment tracker; what is not finite is left out.

    Args:
        rows: of `forecast_scores`, or of a table of them.

    Example:
        >>> named_scores([{"horizon": 3, "score": "last-step", "metric": "mae", "value": 2.5}])
        {'test/mae_step_3': 2.5}
    """
    steps = {"averaged": "", "last-step": "step_"}
    return {
        f"test/{row['metric']}_{steps[row['score']]}{row['horizon']}": float(row["value"])
        for row in rows
        if math.isfinite(row["value"])
    }
