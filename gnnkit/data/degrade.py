"""Less of a series: fewer rows to learn from, and sensors that are out for a while."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from gnnkit.data.series import GraphSeries

__all__ = ["hide_in_outages", "hide_values", "latest_training_rows"]

DEFAULT_ROWS, LEAST_ROWS = 12, 4
"""Mean length of an outage where the minutes in a row are not known, and where an hour has fewer rows than that."""


def hide_in_outages(
    series: GraphSeries, share: float, *, seed: int, mean_rows: float | None = None
) -> Bool[Tensor, "L N"]:
    """Draw outages: spells in which a sensor reports nothing, until a share of all rows and sensors is hidden.

    Lengths are geometric, and the time between two outages of a sensor is drawn without memory too, as where sensors
    fail and are repaired at constant rates. Sensors fail independently of each other.

    Args:
        series: The series; what it misses already is not looked at.
        share: Share of the L · N places that is hidden, 0 to below 1, to the nearest place.
        seed: Of the draws; the same seed gives the same outages.
        mean_rows: Mean length of an outage in rows; at least 1, and long enough that a row at least lies between two.
            Default None: an hour where the minutes in a row are known (but at least 4 rows), else 12 rows.

    Returns:
        True where a sensor is out; for `make_windows(…, hidden=…)`.

    Raises:
        ValueError: An argument is outside its range; outages so short that they cannot hide that share without
            touching each other.

    Source:
        The two-state model of Gilbert, "Capacity of a burst-noise channel" (1960), held to an exact share.

    Example:
        >>> from gnnkit.data import simulate_traffic
        >>> series = simulate_traffic(num_nodes=4, days=1)
        >>> hidden = hide_in_outages(series, 0.25, seed=0)
        >>> list(hidden.shape), hidden.double().mean().item()
        ([288, 4], 0.25)
    """
    if not 0 <= share < 1:
        raise ValueError(f"share is {share}; give a share of at least 0 and below 1")
    if seed < 0:
        raise ValueError(f"seed is {seed}; give a whole number of at least 0")
    if mean_rows is None:
        mean_rows = DEFAULT_ROWS if series.step_minutes is None else max(LEAST_ROWS, 60 / series.step_minutes)
    if not 1 <= mean_rows < float("inf"):
        raise ValueError(f"mean_rows is {mean_rows}; give a number of rows of at least 1, or None for about an hour")
    rng = np.random.default_rng(seed)
    places = series.num_rows * series.num_nodes
    out = round(share * places)
    # All sensors' rows are laid end to end in one line, so that the share is exact; an outage that reaches over the end
    # of one sensor's rows into the next one's is two.
    lengths = rng.geometric(1 / mean_rows, size=out)  # more than enough: each is 1 or longer
    ends = lengths.cumsum()
    count = int(np.searchsorted(ends, out)) + 1 if out else 0
    lengths = np.diff(np.minimum(ends[:count], out), prepend=0)
    up = places - out
    if count > up + 1:
        least = share / (1 - share)
        if mean_rows < least:
            raise ValueError(
                f"mean_rows is {mean_rows:g}: {count} outages of such a length cannot lie apart in the {up} rows that "
                f"{100 * share:g}% hidden leave; give mean_rows of at least {least:.3g}, or a smaller share"
            )
        # By chance, in a series of a few rows: those that have no place of their own lengthen the last one.
        lengths, count = np.append(lengths[:up], lengths[up:].sum()), up + 1
    # Before which of the rows that stay (or after the last) each outage lies; no two at one place, so none touch.
    slots = np.sort(rng.choice(up + 1, size=count, replace=False))
    starts = slots + np.concatenate([[0], lengths.cumsum()[:-1]]).astype(np.int64)[:count]
    steps = np.zeros(places + 1, dtype=np.int64)
    steps[starts] += 1
    steps[starts + lengths] -= 1
    line = steps[:-1].cumsum() > 0
    return torch.from_numpy(line.reshape(series.num_nodes, series.num_rows).T.copy())


def hide_values(series: GraphSeries, hidden: Bool[Tensor, "L N"]) -> GraphSeries:
    """The series with a gap in every feature of a node where it is hidden, but for what is known ahead; all else stays.

    Args:
        series: The series; it is not changed.
        hidden: True where a node is hidden.

    Returns:
        A new series.

    Raises:
        ValueError: `hidden` is not bool of shape `[L, N]`.

    Example:
        >>> from gnnkit.data import simulate_traffic
        >>> series = simulate_traffic(num_nodes=2, days=1, missing=0.0)
        >>> hidden = torch.zeros(288, 2, dtype=torch.bool)
        >>> hidden[3:5, 1] = True
        >>> hide_values(series, hidden).values[:, :, 0].isnan().nonzero().tolist()
        [[3, 1], [4, 1]]
    """
    expected = [series.num_rows, series.num_nodes]
    if hidden.dtype != torch.bool or list(hidden.shape) != expected:
        raise ValueError(
            f"hidden: expected bool of shape {expected} (rows, nodes), got {hidden.dtype} of shape "
            f"{list(hidden.shape)}; hide_in_outages makes one"
        )
    measured = torch.ones(series.num_features, dtype=torch.bool)
    measured[list(series.known_ahead)] = False  # no sensor tells the calendar or a forecast
    gaps = (hidden.unsqueeze(-1) & measured).to(series.values.device)
    return replace(series, values=series.values.masked_fill(gaps, float("nan")))


def latest_training_rows(series: GraphSeries, share: float) -> GraphSeries:
    """The same series with fewer training rows: the latest ones, next to validation and test, which stay.

    Args:
        series: The series and its split.
        share: Share of the training rows that stay, above 0 to 1; at least one row stays.

    Returns:
        A series on the same values; the label of its split says what was cut. With `share=1`, the series itself.

    Raises:
        ValueError: `share` is outside its range.

    Example:
        >>> from gnnkit.data import simulate_traffic
        >>> split = latest_training_rows(simulate_traffic(num_nodes=2, days=1), 0.25).split
        >>> split.train, split.label
        (range(152, 202), '70/10/20 by time, the latest 25% of the training rows')
    """
    if not 0 < share <= 1:
        raise ValueError(f"share is {share}; give a share above 0, at most 1")
    if share == 1:
        return series
    rows = series.split.train
    kept = range(rows.stop - max(1, round(share * len(rows))), rows.stop)
    label = f"the latest {100 * share:g}% of the training rows"
    label = f"{series.split.label}, {label}" if series.split.label else label
    return replace(series, split=replace(series.split, train=kept, label=label))
