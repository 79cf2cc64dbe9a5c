"""The features that a forecaster reads, found among those of another series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from gnnkit.data import GraphSeries, row_time

__all__ = ["arrange_features", "known_over_horizon"]


def arrange_features(series: GraphSeries, count: int, names: Sequence[str], known_ahead: Sequence[int]) -> GraphSeries:
    """A series with its features in a forecaster's order; features that it does not read are left out.

    Args:
        series: the series.
        count: features that the forecaster reads.
        names: their names, that of the target first; empty: unknown, then they are taken in the series' order.
        known_ahead: numbers of those that are known ahead.

    Raises:
        ValueError: a feature that the forecaster reads is not there.
    """
    known = tuple(known_ahead)
    if series.num_features == 1 == count:
        return series
    if len(names) and series.feature_names:
        missing = [name for name in names[1:] if name not in series.feature_names[1:]]
        if missing:
            raise ValueError(
                f"{series.name} has no {missing[0]!r}, which the forecaster reads beside {names[0]!r}; give it "
                f"(--covariates)"
            )
        order = [0, *(series.feature_names.index(name) for name in names[1:])]
    elif series.num_features != count:
        beside = (
            f", {', '.join(map(repr, names[1:]))} beside the target; give them (--covariates)" if len(names) else ""
        )
        raise ValueError(
            f"{series.name} has {series.num_features} features, but the forecaster was trained on {count}"
            f"{beside or '; give the same ones'}"
        )
    else:
        order = list(range(count))
    ahead = None
    if series.ahead is not None and set(known) <= {order.index(one) for one in series.known_ahead if one in order}:
        ahead = series.ahead[..., [series.known_ahead.index(order[one]) for one in known]]
    return replace(
        series,
        values=series.values[..., order],
        feature_names=tuple(names) if len(names) else series.feature_names,
        known_ahead=known,
        ahead=ahead,
    )


def known_over_horizon(series: GraphSeries, steps: int) -> Tensor:
    """What is known ahead at the steps after the last row, `[P, N, K]`.

    Args:
        series: in the forecaster's order.
        steps: P.

    Raises:
        ValueError: a value of the steps to come is missing.
    """
    features = list(series.known_ahead)
    ahead = series.values.new_zeros(0, series.num_nodes, len(features)) if series.ahead is None else series.ahead
    given = ahead[:steps].isfinite()
    whole = torch.zeros(steps, series.num_nodes, len(features), dtype=torch.bool)
    whole[: len(given)] = given
    if not whole.all():
        step, node, feature = (~whole).nonzero()[0].tolist()
        time = row_time(series, series.num_rows + step)
        at = f"step {step + 1}" if time is None else f"{time}"
        raise ValueError(
            f"{series.name}: the forecaster reads {series.known_names[feature]!r} ahead, and its value for "
            f"{series.node_names[node]!r} at {at} is not given; give it for the {steps} steps after the last row, "
            f"in rows without a target or in a file of covariates (--covariates)"
        )
    return ahead[:steps]
