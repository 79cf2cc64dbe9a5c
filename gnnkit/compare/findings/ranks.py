"""Mean ranks of the models over blocks of windows, and which of them are not told apart."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from gnnkit.compare.errors import ErrorTable
from gnnkit.compare.evidence import Evidence
from gnnkit.compare.findings.finding import Finding
from gnnkit.compare.findings.plots_significance import critical_difference
from gnnkit.compare.report.tables import METRIC_NAMES, horizon_label, step_of
from gnnkit.compare.results import Results
from gnnkit.report.numbers import format_p
from gnnkit.report.sections import Drawing, Section
from gnnkit.statistics.ranks import block_scores, mean_ranks, separate_blocks

__all__ = ["RANKS", "Ranking", "rank_models"]


@dataclass(frozen=True)
class Ranking:
    """The mean ranks at one horizon.

    Args:
        horizon, metric: P, and "mae" or "rmse".
        models: best first.
        mean_ranks: of each.
        groups: runs of models that are not told apart; one of all where Friedman's test does not reject.
        blocks: of windows, without a common target row.
        critical_difference: Nemenyi's.
        friedman_p: of Friedman's test that all are equal.
    """

    horizon: int
    metric: str
    models: list[str]
    mean_ranks: list[float]
    groups: list[list[str]]
    blocks: int
    critical_difference: float
    friedman_p: float | None = None


def rank_models(
    table: ErrorTable, *, horizon: int, history: int, metric: str = "mae", alpha: float = 0.05
) -> Ranking | None:
    """Rank the models on blocks of T + P windows, the last P − 1 of which are left out: no target row is in two blocks.

    Args:
        table: the errors.
        horizon: P.
        history: T.
        metric: "mae" or "rmse".
        alpha: level of both tests (`gnnkit.statistics.ranks.mean_ranks`).

    Returns:
        None for fewer than two blocks, which rank nothing.

    Example:
        >>> errors = {name: {1: [[level] * 40]} for name, level in (("a", 1.0), ("b", 2.0), ("c", 3.0))}
        >>> table = ErrorTable.of_windows(errors, errors, {1: [1] * 40}, dict.fromkeys(errors, "graph"))
        >>> rank_models(table, horizon=1, history=3).models
        ['a', 'b', 'c']
    """
    counts, models = table.counts(horizon), table.models
    blocks = separate_blocks(counts, horizon, history)
    if len(blocks) < 2:
        return None
    errors = [table.window_errors(model, horizon, metric) for model in models]
    found = mean_ranks(
        np.stack([block_scores(each, counts, blocks, metric == "rmse") for each in errors], axis=1), alpha=alpha
    )
    names = [models[number] for number in found.order]
    groups = [names[first:stop] for first, stop in found.groups]
    figures = (found.blocks, found.critical_difference, found.friedman_p)
    return Ranking(horizon, metric, names, list(found.mean), groups, *figures)


def _find(evidence: Evidence) -> list[Ranking]:
    spec = evidence.spec
    asked = {"history": spec.history, "alpha": 1 - spec.confidence}
    found = [rank_models(evidence.table, horizon=p, **asked) for p in evidence.judged]
    return [ranking for ranking in found if ranking]


def _section(results: Results, found: list[Ranking]) -> Section:
    """The ranks of every horizon; of the nearest and the farthest where there are more than four."""
    shown = found if len(found) <= 4 else [found[0], found[-1]]
    return Section("ranks", "Which models are told apart?", drawings=tuple(_drawing(results, each) for each in shown))


def _drawing(results: Results, ranking: Ranking) -> Drawing:
    metric, p_value = METRIC_NAMES.get(ranking.metric, ranking.metric), format_p(ranking.friedman_p)
    sign = "" if p_value.startswith("<") else "= "
    friedman = f" Friedman's test over all of them: p {sign}{p_value}." if ranking.friedman_p is not None else ""
    return Drawing(
        f"ranks-{ranking.horizon}-{ranking.metric}",
        f"Mean ranks, {horizon_label(ranking.horizon, step_of(results))}",
        f"Mean rank in {metric} over {ranking.blocks:,} blocks of windows, the best on the left. A bar joins "
        f"models that are not told apart.{friedman} Exploratory.",
        partial(
            critical_difference,
            models=ranking.models,
            ranks=ranking.mean_ranks,
            groups=ranking.groups,
            critical=ranking.critical_difference,
        ),
    )


_METHOD = (
    "Mean ranks: the models are ranked within each block of windows; where Friedman's test rejects that all are "
    "equal, two of them are told apart whose mean ranks differ by more than Nemenyi's critical difference "
    "(Demšar, 2006)."
)

RANKS = Finding("ranks", list[Ranking], _find, show=_section, method=_METHOD)
