"""Settings that fit a series nobody has described: history, horizons and season, and why they were chosen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from gnnkit.data.mapped import row_blocks
from gnnkit.data.series import GraphSeries
from gnnkit.data.spans import a_step

__all__ = ["Inferred", "infer_settings", "series_remarks", "window_sizes"]

DAY = 24 * 60
MIN_WINDOWS = 10
"""Validation and test have at least so many windows, or a quarter of their rows, unless histories reach back."""
CLEAR = 0.3
"""Autocorrelation from which on a season is clear, if it is three standard errors of noise as well."""
NODES = 200
ROWS = 20_000


@dataclass(frozen=True)
class Inferred:
    """Settings chosen for a series.

    Args:
        history: T, rows that a model sees.
        horizons: Steps ahead that are scored, rising; the last one is P.
        season: Rows in a season; None where there is none to be known.
        reach_back: Whether the first histories of validation and test lie in the rows before (see `make_windows`).
        sentences: What was inferred, and why.
    """

    history: int
    horizons: tuple[int, ...]
    season: int | None
    reach_back: bool
    sentences: tuple[str, ...]


def infer_settings(
    series: GraphSeries, *, history: int | None = None, horizons: tuple[int, ...] | None = None
) -> Inferred:
    """Choose history, horizons and season for a series, from its step, its length and its training rows.

    By the step: rows of up to a quarter of an hour get an hour of history and of forecast (12 rows); hourly ones a day
    of both; daily ones two weeks and one; weekly ones 12 weeks and 4; monthly ones a year and half of one; others 12
    rows. A short series gets less: the longest horizon is at most half of the validation rows, a third of the test
    rows and a sixth of the training rows, the history at most a third of the training rows. Three horizons are scored:
    a quarter, a half and all of the longest. A series that is known for a history or horizons gets these.

    Where windows inside validation or test rows would be few, histories may reach back into the rows before; targets do
    not.

    Args:
        series: The data.
        history: Given: kept as it is.
        horizons: Given: kept as they are.

    Returns:
        The settings and the sentences that explain them.

    Raises:
        ValueError: The series is too short for a window of one row and one step, or for what is given.

    Example:
        >>> from gnnkit.data import simulate_traffic
        >>> inferred = infer_settings(simulate_traffic(num_nodes=4, days=7))
        >>> inferred.history, inferred.horizons, inferred.season, inferred.reach_back
        (12, (3, 6, 12), 288, False)
        >>> print(inferred.sentences[0])
        A row is 5 minutes: models see 12 rows of history, and are scored 3, 6 and 12 steps ahead.
    """
    train, val, test = (len(rows) for rows in series.split.parts.values())
    rows, steps = window_sizes(series, history=history, horizons=horizons)
    usual, longest = _usual_sizes(series)
    sentences = [
        f"{_step_in_words(series)}: models see {_rows(rows)} of history, and are scored {_listed(steps)} ahead."
    ]
    if (horizons is None and max(steps) < longest) or (history is None and rows < usual):
        sentences.append(
            f"The usual {usual} rows and {longest} steps are too many for {train} training, {val} validation and "
            f"{test} test rows."
        )
    reach_back = any(part - rows - max(steps) + 1 < max(MIN_WINDOWS, part // 4) for part in (val, test))
    if reach_back:
        sentences.append(
            f"With {val} validation and {test} test rows, their first histories reach back into the rows before them; "
            f"no target does."
        )
    season, why = _season(series)
    sentences.append(why)
    sentences += series_remarks(series)
    return Inferred(rows, tuple(steps), season, reach_back, tuple(sentences))


def window_sizes(
    series: GraphSeries, *, history: int | None = None, horizons: tuple[int, ...] | None = None
) -> tuple[int, tuple[int, ...]]:
    """History and horizons as `infer_settings` chooses them.

    Args, Raises: as there.

    Example:
        >>> from gnnkit.data import simulate_traffic
        >>> window_sizes(simulate_traffic(num_nodes=4, days=1), horizons=(3,))
        (12, (3,))
    """
    train, val, test = (len(rows) for rows in series.split.parts.values())
    if train < 2:
        raise ValueError(f"{series.name}: {train} training row is too few for a history and a target; give more rows")
    usual, longest = _usual_sizes(series)
    most = max(1, min(val // 2, test // 3, train // 6))
    steps = horizons or (series.horizons if series.horizons and longest <= most else _three(min(longest, most)))
    rows = history or max(1, min(usual, train // 3))
    if rows + max(steps) > train:
        raise ValueError(
            f"history={rows} and horizon={max(steps)}: {series.name} has {train} training rows, and a window needs "
            f"{rows + max(steps)}; give a longer series, or a shorter history or horizon"
        )
    return rows, tuple(steps)


def series_remarks(series: GraphSeries) -> list[str]:
    """What somebody should know of a series before a model is trained on it.

    Args:
        series: The data.

    Returns:
        Sentences: on how its files were read, nodes without an edge, and nodes without a training value.
    """
    said = list(series.notes)
    rows = series.split.train
    silent = torch.ones(series.num_nodes, dtype=torch.bool, device=series.values.device)
    for _, block in row_blocks(series.values, rows):
        silent &= block[..., 0].isnan().all(dim=0)
        if not silent.any():
            break
    if silent.any():
        said.append(
            f"{_named(series, silent)} no value in the training rows: what is forecast for "
            f"{'it is a guess' if silent.sum() == 1 else 'them is a guess'}."
        )
    apart = series.edge_index[:, series.edge_index[0] != series.edge_index[1]]
    if not apart.numel():
        said.append(
            "There is no graph, so graph models see each node by itself, save those that learn a graph: give one "
            "(graph), or what one can be made of (places, or graph_from = correlation)."
        )
        return said
    alone = torch.ones(series.num_nodes, dtype=torch.bool)
    alone[apart.flatten().cpu()] = False
    if alone.any():
        seen = "see it by itself" if alone.sum() == 1 else "see each of them by itself"
        said.append(f"{_named(series, alone)} no edge in the graph: graph models {seen}.")
    return said


def _named(series: GraphSeries, which: Tensor) -> str:
    """Some nodes by name, and a verb: `Node 'north' has`."""
    nodes = which.nonzero().flatten().tolist()
    if len(nodes) == 1:
        return f"Node {series.node_names[nodes[0]]!r} has"
    names = ", ".join(series.node_names[node] for node in nodes[:5]) + (", …" if len(nodes) > 5 else "")
    return f"{len(nodes)} of {series.num_nodes} nodes ({names}) have"


def _usual_sizes(series: GraphSeries) -> tuple[int, int]:
    """History and longest horizon where rows are plenty; what a series is known for counts."""
    usual, longest = _suiting_step(series)
    return series.history or usual, max(series.horizons or (longest,))


def _suiting_step(series: GraphSeries) -> tuple[int, int]:
    """History and longest horizon."""
    by_unit = {"month": (12, 6), "quarter": (8, 4), "half-year": (6, 2), "year": (6, 3), "weekday": (10, 5)}
    if series.step_unit in by_unit:
        return by_unit[series.step_unit]
    minutes = series.step_minutes
    if minutes is None:
        return 12, 12
    if minutes < DAY:
        day = round(DAY / minutes)
        return (12, 12) if minutes <= 15 else (max(12, min(day, 24)), min(day, 24))
    return (14, 7) if minutes < 7 * DAY else (12, 4)


def _three(longest: int) -> tuple[int, ...]:
    return tuple(sorted({max(1, longest // 4), (longest + 1) // 2, longest}))


def _season(series: GraphSeries) -> tuple[int | None, str]:
    train = len(series.split.train)
    if series.season is not None and series.season > train:
        return None, (
            f"The season of {_rows(series.season)} is left out: it is longer than the {train} training rows, so no "
            f"value of the season before is known."
        )
    if series.season is not None:
        return series.season, f"The season is {_rows(series.season)}{_span_in_words(series)}."
    found = _clear_period(series.values[series.split.train.start : series.split.train.stop, :, 0])
    if found is None:
        return None, "No season is known, and the training rows show none: seasonal baselines have nothing to go by."
    period, correlation = found
    return period, (
        f"The season is {_rows(period)}: the training rows repeat themselves so (autocorrelation {correlation:.2f} at "
        f"{period} rows)."
    )


def _clear_period(train: Float[Tensor, "R N"]) -> tuple[int, float] | None:
    """The shortest lag at which the detrended training rows clearly repeat themselves, and their correlation there."""
    kept = torch.linspace(0, train.size(1) - 1, min(NODES, train.size(1))).long().unique()
    rows = train[-ROWS:, kept].detach().cpu().double().numpy()
    most = len(rows) // 3
    if most < 3:
        return None
    mean = _autocorrelation(rows, 2 * most)
    if mean is None:
        return None
    # A peak that stands out of what lies before it, and that comes again at twice the lag.
    peaks = [
        lag
        for lag in range(2, most + 1)
        if mean[lag] >= max(mean[lag - 1], mean[lag + 1])
        and mean[lag] - mean[1:lag].min() >= 0.2
        and mean[2 * lag] >= 0.5 * mean[lag]
    ]
    highest = max((mean[lag] for lag in peaks), default=0.0)
    if highest < max(CLEAR, 3 / np.sqrt(len(rows))):
        return None
    first = next(lag for lag in peaks if mean[lag] >= 0.75 * highest)
    # Noise moves a broad peak by a row: all multiples together tell where it is.
    near = [lag for lag in (first, first - 1, first + 1) if 2 <= lag <= most]
    period = max(near, key=lambda lag: mean[lag : 2 * most + 1 : lag].mean())
    return period, float(mean[period])


def _autocorrelation(rows: NDArray[np.float64], most: int) -> NDArray[np.float64] | None:
    """Autocorrelation at the lags 0 to `most`, the mean over nodes that change; gaps do not count."""
    known = np.isfinite(rows)
    time = np.arange(len(rows), dtype=np.float64)[:, None]
    count = known.sum(axis=0)
    part = rows[:, count >= max(8, len(rows) // 2)]
    known = np.isfinite(part)
    if part.shape[1] == 0:
        return None
    count = known.sum(axis=0)
    values = np.where(known, part, 0.0)
    center = (time * known).sum(axis=0) / count
    level = values.sum(axis=0) / count
    away = np.where(known, time - center, 0.0)
    slope = (away * values).sum(axis=0) / (away**2).sum(axis=0)
    values = np.where(known, part - level - slope * (time - center), 0.0)
    spread = np.sqrt((values**2).sum(axis=0) / count)
    changes = spread > 1e-6 * np.abs(np.where(known, part, 0.0)).max(axis=0)
    if not changes.any():
        return None
    values, known = values[:, changes] / spread[changes], known[:, changes]
    size = 2 ** int(np.ceil(np.log2(2 * len(rows))))
    products, pairs = (
        np.fft.irfft(np.abs(np.fft.rfft(one.astype(np.float64), size, axis=0)) ** 2, size, axis=0)[: most + 1]
        for one in (values, known)
    )
    return np.mean(products / np.maximum(pairs, 1.0), axis=1)


def _step_in_words(series: GraphSeries) -> str:
    if series.step_minutes is None and not series.step_unit:
        return "The time from row to row is not known"
    return f"A row is {a_step(series.step_minutes, series.step_unit)}"


def _span_in_words(series: GraphSeries) -> str:
    if series.season is None or series.step_minutes is None:
        return ""
    return f", {a_step(series.season * series.step_minutes, '')}"


def _rows(count: int) -> str:
    return f"{count} row{'' if count == 1 else 's'}"


def _listed(steps: tuple[int, ...]) -> str:
    words = [str(step) for step in steps]
    text = " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
    return f"{text} step{'' if steps == (1,) else 's'}"
