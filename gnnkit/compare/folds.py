"""Rolling origins: the splits of a comparison's folds, and what is tested in all of them together."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gnnkit.compare.fold_choice import choose_folds, fold_splits
from gnnkit.compare.scores import Outcome
from gnnkit.compare.spec.comparison import ComparisonSpec, FinalSpec
from gnnkit.data import GraphSeries, Windows, WindowSplits, infer_settings, window_sizes
from gnnkit.forecasting.settle import settle
from gnnkit.training import FitResult

__all__ = ["Fold", "JoinedWindows", "fold_series", "join_outcomes", "settle_folds"]


@dataclass(frozen=True)
class Fold:
    """The data of one fold under the base condition."""

    series: GraphSeries
    windows: WindowSplits


def settle_folds(spec: ComparisonSpec, series: GraphSeries) -> tuple[FinalSpec, GraphSeries, list[str]]:
    """Fill in what a spec leaves to the data, from rows that no fold tests; the number of folds from all rows.

    With several folds the series has the split of the first: season, form, audit and tuning see no row that is tested,
    and nor does the choice of models by their validation errors (`join_outcomes`). The first histories of validation
    and test rows then lie in the rows before, so that the tested rows have no gap.

    Returns:
        As `gnnkit.forecasting.settle`.

    Raises:
        ValueError: as there; or too few rows for so many folds.
    """
    folds, why = choose_folds(spec, series) if isinstance(series, GraphSeries) else (1, "")
    if folds == 1:
        final, settled, sentences = settle(spec, series, FinalSpec)
        return final.model_copy(update={"folds": 1}), settled, [*sentences, *([why] if why else [])]
    rows, asked = series.num_rows, {"history": spec.history, "horizons": spec.horizons}
    early = series.with_split(fold_splits(rows, folds, max(window_sizes(series, **asked)[1]), None)[0])
    known = infer_settings(early, **asked)
    first = fold_splits(rows, folds, max(known.horizons), known.season)[0]
    early = dataclasses.replace(early.with_split(first), season=known.season)
    final, settled, sentences = settle(spec, early, FinalSpec)
    first = fold_splits(rows, folds, max(final.horizons), settled.season)[0]
    settled = settled.with_split(first)
    about = (
        f"{folds} folds with rolling origins test the last {100 * (rows - first.test.start) / rows:.0f}% of the rows"
    )
    sentences.append(
        f"{about}, each row once; what is chosen, for the data or among models, is chosen on the rows before the first "
        "of them."
    )
    if settled.make_graph is not None:
        sentences.append("Each fold makes the graph anew, of its own training rows; the one shown is the first fold's.")
    return final.model_copy(update={"folds": folds, "reach_back": True}), settled, sentences


def fold_series(spec: FinalSpec, series: GraphSeries, fold: int) -> GraphSeries:
    """The series with the split of a fold, counted from 0, and with the graph that its training rows make.

    Args:
        spec: has the number of folds.
        series: from `settle_folds`.
        fold: which.
    """
    if spec.folds == 1:
        return series
    return series.with_split(fold_splits(series.num_rows, spec.folds, max(spec.horizons), series.season)[fold])


class JoinedWindows:
    """The test windows of all folds, in order of time; no window reaches into the next fold.

    Args:
        parts: those of each fold, the earliest first; each holds all its targets.

    Example:
        >>> from gnnkit.data import make_windows, rolling_splits, simulate_traffic
        >>> series = simulate_traffic(num_nodes=4, days=2)
        >>> splits = rolling_splits(series.num_rows, 2)
        >>> folds = [dataclasses.replace(series, split=split) for split in splits]
        >>> parts = [make_windows(each, history=6, horizon=3, reach_back=True).test for each in folds]
        >>> [len(part) for part in parts], len(JoinedWindows(parts))
        ([170, 171], 341)
    """

    def __init__(self, parts: Sequence[Windows]) -> None:
        self.parts = tuple(parts)
        last = self.parts[-1]
        self.history, self.horizon, self.lead = last.history, last.horizon, last.lead
        self.store, self.device = last.store, last.device
        self._rows = torch.cat([part.target_rows(torch.arange(len(part))) for part in self.parts])

    def __len__(self) -> int:
        return len(self._rows)

    def count(self, horizon: int) -> int:
        """All windows hold every target."""
        if not 1 <= horizon <= self.horizon:
            raise ValueError(f"horizon={horizon}: these windows have 1 to {self.horizon} target steps")
        return len(self)

    def target_rows(self, index: Int[Tensor, " B"]) -> Int[Tensor, "B P"]:
        """Row numbers of the targets of some windows."""
        return self._rows[index]

    def targets(self) -> tuple[Float[Tensor, "W P N"], Bool[Tensor, "W P N"]]:
        """The targets of all windows, and which were observed."""
        y, mask = zip(*(part.targets() for part in self.parts), strict=True)
        return torch.cat(y), torch.cat(mask)


def join_outcomes(outcomes: Sequence[Outcome]) -> Outcome:
    """What one model predicted with one seed in all folds, as one outcome.

    Epochs are those of the last fold, which has most rows; seconds are summed. The validation error is that of the
    first fold: later folds are validated on rows that earlier ones test, and a choice by these would have seen them.

    Args:
        outcomes: one for each fold, the earliest first.
    """
    last = outcomes[-1]
    if len(outcomes) == 1:
        return last
    fits = [outcome.fitted for outcome in outcomes if outcome.fitted is not None]
    joined = {name: _joined([getattr(outcome, name) for outcome in outcomes]) for name in _TENSORS}
    return dataclasses.replace(last, fitted=_joined_fit(fits) if fits else None, **joined)


_TENSORS = ("predicted", "validation", "quantiles", "validation_quantiles")


def _joined(parts: Sequence[Tensor | None]) -> Tensor | None:
    known = [part for part in parts if part is not None]
    return torch.cat(known) if len(known) == len(parts) else None


def _joined_fit(fits: Sequence[FitResult]) -> FitResult:
    return dataclasses.replace(
        fits[-1],
        best_val_mae=fits[0].best_val_mae,
        wall_seconds=sum(fit.wall_seconds for fit in fits),
        peak_memory_mb=max(fit.peak_memory_mb for fit in fits),
    )
