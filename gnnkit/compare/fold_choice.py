"""How many folds a comparison has where nobody says it: three, where the first still has enough to learn from."""

from __future__ import annotations

import math

from gnnkit.compare.spec.comparison import ComparisonSpec
from gnnkit.data import GraphSeries, Split, rolling_splits, window_sizes
from gnnkit.data.splits import TESTED
from gnnkit.forecasting.settle import apply_split

__all__ = ["FOLDS", "LEAST_WINDOWS", "choose_folds", "fold_splits"]

FOLDS = 3
"""Rolling origins, where the rows allow them. What they test together does not grow with their number, and fits do."""
LEAST_WINDOWS = 50
"""Training windows of the first fold."""
MOST_SILENT = 0.1
"""Share of the nodes that may have values in the training rows of one split, and none in those of the first fold."""


def choose_folds(spec: ComparisonSpec, series: GraphSeries) -> tuple[int, str]:
    """The number of folds, and why it is 1 where nobody asked for 1.

    What a spec says stays. A spec that names a split, or forecasts made elsewhere, has one split. Else there are three
    folds where

    - each of them can test whole seasons, where the season is known;
    - the first one leaves history and horizons what they are with one split, and has at least 50 training windows, with
      the smallest share of the training rows that is asked for;
    - every part of every fold has an observed target, and no more than a tenth of the nodes lose their last training
      value.

    Args:
        spec: what is compared.
        series: the data with their own split.

    Returns:
        The number, and a sentence; empty where the number was asked for, or is 3.

    Example:
        >>> from gnnkit.compare import make_spec
        >>> from gnnkit.data import simulate_traffic
        >>> choose_folds(make_spec(), simulate_traffic(num_nodes=4, days=7))
        (3, '')
        >>> choose_folds(make_spec(), simulate_traffic(num_nodes=4, days=2))[1]
        'One split: 3 folds that test whole seasons of 288 rows need 1,440 rows, and there are 576.'
    """
    if spec.folds is not None:
        return spec.folds, ""
    if spec.split is not None or spec.forecasts:
        return 1, ""
    problem = _problem(spec, apply_split(spec, series))
    return (1, f"One split: {problem}.") if problem else (FOLDS, "")


def fold_splits(rows: int, folds: int, horizon: int, season: int | None) -> tuple[Split, ...]:
    """The split of each fold: validation rows hold twice the longest horizon, where there are enough rows for that.

    Raises:
        ValueError: as `gnnkit.data.rolling_splits`.
    """
    return rolling_splits(rows, folds, season=season, least_validated=2 * horizon)


def _problem(spec: ComparisonSpec, series: GraphSeries) -> str:
    """Why there cannot be three folds; empty where there can."""
    asked = {"history": spec.history, "horizons": spec.horizons}
    try:
        usual = window_sizes(series, **asked)
    except ValueError:
        return "the rows are few"  # too few for one split: whoever settles the spec says what is wanted
    rows, season = series.num_rows, series.season
    if season and season <= len(series.split.train) and int(TESTED * rows) // season < FOLDS:
        least = math.ceil(FOLDS * season / TESTED - 1e-9)
        return f"{FOLDS} folds that test whole seasons of {season} rows need {least:,} rows, and there are {rows:,}"
    try:
        splits = fold_splits(rows, FOLDS, max(usual[1]), season)
        early = series.with_split(splits[0])
        first = window_sizes(early, **asked)
    except ValueError:
        return f"{rows:,} rows are too few for {FOLDS} folds"
    train, val, test = (len(part) for part in splits[0].parts.values())
    history, horizon = usual[0], max(usual[1])
    left = f"the first of {FOLDS} folds would have {train} training and {val} validation rows"
    if first != usual or 2 * horizon > val or 3 * horizon > test:
        return f"{left}, too few for {history} rows of history and {horizon} steps ahead"
    kept = max(1, round(min((1.0, *spec.train_shares)) * train))
    windows = kept - history - horizon + 1
    if windows < LEAST_WINDOWS:
        share = f" of the {kept} rows that are trained on" if kept < train else ""
        return f"{left}, which make {max(0, windows)} training windows{share}, and {LEAST_WINDOWS} are wanted"
    return _silence(series, splits)


def _silence(series: GraphSeries, splits: tuple[Split, ...]) -> str:
    """Where a fold has nothing to learn from, or to be tested on."""
    seen = ~series.values[..., 0].isnan()
    for number, split in enumerate(splits, 1):
        for part, rows in split.parts.items():
            if not seen[rows.start : rows.stop].any():
                return f"no value is observed in the {part} rows of fold {number} of {FOLDS}"
    whole, first = (seen[: split.train.stop].any(dim=0) for split in (series.split, splits[0]))
    lost = int((whole & ~first).sum())
    if lost > MOST_SILENT * series.num_nodes:
        return f"{lost} of {series.num_nodes} nodes have no value in the training rows of the first of {FOLDS} folds"
    return ""
