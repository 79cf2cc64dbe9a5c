"""What is left in the errors of ridge regression one step ahead: the AZ test, on the given and on shuffled graphs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int

from gnnkit.compare.conditions import BASE
from gnnkit.compare.evidence import Evidence
from gnnkit.compare.neighbours.fits import SHUFFLED, WITH, WITHOUT
from gnnkit.compare.neighbours.record import Left
from gnnkit.statistics.whiteness import SignSums, az_test, more_alike, sign_sums, whiteness_of

__all__ = ["what_is_left"]

Edges = tuple[np.ndarray, np.ndarray]


def what_is_left(evidence: Evidence) -> list[Left]:
    """Test the errors of both models one step ahead; those of farther steps overlap, and are white for no model.

    The errors of a node are taken from their median, so that a forecast that is always too low leaves nothing by that.

    Args:
        evidence: from `gnnkit.compare.neighbours.fits.fit_ridges`.
    """
    from gnnkit.graph import graph_variant  # PyG: a judgement of forecasts needs none

    series, alpha = evidence.series, 1 - evidence.spec.confidence
    given = series.edge_index.cpu().numpy(), series.edge_weight.cpu().double().numpy()
    seeds = evidence.table.seeds(WITH, SHUFFLED) if (WITH, SHUFFLED) in evidence.table.fits else []
    drawn = [
        graph_variant(series.edge_index, series.edge_weight, series.num_nodes, "shuffled", seed=seed) for seed in seeds
    ]
    shuffled = [(edges.numpy(), weights.double().numpy()) for edges, weights in drawn]
    found = []
    for model in (WITHOUT, WITH):
        errors, spans = _errors(evidence, model)
        for part in ("both", "lagged", "space", "time"):
            row = _row(errors, spans, part, given, shuffled, alpha)
            if row is not None:
                found.append(Left(model=model, part=part, **row))
    return found


def _row(
    errors: Float[np.ndarray, "R N"],
    spans: Int[np.ndarray, " R"],
    part: Any,
    given: Edges,
    shuffled: Sequence[Edges],
    alpha: float,
) -> dict[str, Any] | None:
    try:
        test = az_test(errors, *given, part=part)
    except ValueError:  # no pair is there: nothing can be said
        return None
    row = {"statistic": test.statistic, "p": test.p_value, "agreement": test.agreement, "clear": test.p_value < alpha}
    if part not in ("space", "lagged") or not shuffled:
        return row
    sums = sign_sums(errors, *given, part=part)
    others = _together([sign_sums(errors, *each, part=part) for each in shuffled])
    if not others.pairs:
        return row
    row["shuffled"] = whiteness_of(others).agreement
    try:
        more = more_alike(sums, others, spans)
    except ValueError:  # fewer than two spans
        return row | {"clear": False}
    return row | {"shuffled_p": more.p_value, "clear": test.p_value < alpha and more.p_value < alpha}


def _errors(evidence: Evidence, model: str) -> tuple[Float[np.ndarray, "R N"], Int[np.ndarray, " R"]]:
    """Errors one step ahead, a row for each row of the series from the first that is tested to the last; their spans.

    A row that is not tested, as the first ones of a fold's successor, is NaN.
    """
    table = evidence.table
    (outcome,) = table.fits[model, BASE]
    shortest = table.horizons[0]
    count = len(table.counts(shortest))
    rows = evidence.test.target_rows(torch.arange(count))[:, 0].cpu().numpy()
    error = (outcome.predicted[:count, 0] - table.true[:count, 0]).double().numpy()
    error = np.where(table.mask[:count, 0].numpy(), error, np.nan)
    first, last = int(rows.min()), int(rows.max())
    found = np.full((last - first + 1, error.shape[1]), np.nan)
    found[rows - first] = error
    known = ~np.isnan(found).all(axis=0)
    found[:, known] -= np.nanmedian(found[:, known], axis=0)
    spans = np.zeros(len(found), dtype=np.int64)
    spans[rows - first] = table.spans(shortest)
    return found, spans


def _together(sums: Sequence[SignSums]) -> SignSums:
    """Several graphs as one."""
    products, weights, squares = (
        np.sum([getattr(each, name) for each in sums], axis=0) for name in ("products", "weights", "squares")
    )
    return SignSums(products, weights, squares, sum(each.pairs for each in sums))
