"""Figures of harder conditions: fewer rows to learn from, more sensors that are out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl

from gnnkit.compare.report.tables import families, floats, horizon_label, step_of, with_unit
from gnnkit.compare.results import Results
from gnnkit.report.numbers import signed
from gnnkit.report.theme import INK, MUTED, STYLE, HoverFigure, model_styles, new_figure

__all__ = ["AXES", "condition_curves"]

#: What is changed, by the name of its axis: the title and the label of its axis.
AXES = {
    "train_share": ("Learning curve", "training rows used (%)"),
    "hidden_share": ("Hidden sensors", "input values hidden (%)"),
}


@mpl.rc_context(STYLE)
def condition_curves(results: Results, points: Sequence[Any], axis: str) -> HoverFigure:
    """Error of the best graph and the best sequence model along one axis of conditions, and their difference below.

    Args:
        results: What a comparison found.
        points: Rows of that axis.
        axis: A key of `AXES`.

    Returns:
        Two axes for each horizon: errors on top; below graph − sequence with its interval, filled where it is clear.
    """
    styles = model_styles(families(results))
    minutes = step_of(results)
    horizons = sorted({point.horizon for point in points})
    figure, axes = new_figure(
        max(5.4, 3.8 * len(horizons)), 4.4, 2, len(horizons), sharex=True, sharey="row", height_ratios=(3, 2)
    )
    for column, horizon in enumerate(horizons):
        top, bottom = axes[column], axes[len(horizons) + column]
        here = sorted((point for point in points if point.horizon == horizon), key=lambda point: point.value)
        x = [100 * point.value for point in here]
        for side in ("sequence", "graph"):
            names = [getattr(point, side) for point in here]
            errors = [getattr(point, f"{side}_mae") for point in here]
            color = styles[names[-1]].color if names[-1] in styles else INK
            # The best model of a family may change along the axis: each dot says which it was.
            label = names[0] if len(set(names)) == 1 else f"best {side} model"
            top.plot(
                x, errors, color=color, marker=styles[names[-1]].marker if names[-1] in styles else "o", label=label
            )
            for at, name, error in zip(x, names, errors, strict=True):
                figure.hover(top, at, error, f"{name}, {at:g}%: MAE {error:.4g}")
        bottom.axhline(0, color=MUTED, linewidth=1)
        for at, point in zip(x, here, strict=True):
            low, middle, high = floats([point.low, point.difference, point.high])
            bottom.plot([at, at], [low, high], color=INK, linewidth=2, alpha=0.5, solid_capstyle="round")
            fill = INK if point.clear else "none"
            bottom.plot([at], [middle], marker="o", markersize=5, color=INK, markerfacecolor=fill)
            words = f"{signed(middle, 3)} ({signed(low, 3)} to {signed(high, 3)})"
            figure.hover(bottom, at, middle, f"{point.graph} − {point.sequence}, {at:g}%: {words}")
        top.set_title(f"{horizon_label(horizon, minutes)} ahead", color=MUTED, fontsize=9)
        bottom.set_xlabel(AXES[axis][1])
    axes[0].set_ylabel(with_unit("MAE", results))
    axes[len(horizons)].set_ylabel("graph − sequence")
    axes[0].legend(loc="best")
    return figure
