"""The figure of a search: what its trials found, one after the other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.ticker import MaxNLocator

from gnnkit.compare.report.tables import families, with_unit
from gnnkit.compare.results import Results
from gnnkit.report.theme import STYLE, HoverFigure, model_styles, new_figure

__all__ = ["trial_curves"]


@mpl.rc_context(STYLE)
def trial_curves(results: Results, trials: Sequence[Any]) -> HoverFigure:
    """The validation MAE of every trial, and a line of the best so far, for each model.

    Args:
        results: What a comparison found.
        trials: Its trials; one without a validation MAE has no dot.

    Returns:
        One pair of axes: number of the trial → validation MAE.
    """
    styles = model_styles(families(results))
    figure, (axes,) = new_figure(5.4, 3.4, 1, 1)
    there = [trial for trial in trials if trial.val_mae is not None]
    top = _top(there)
    for model in dict.fromkeys(trial.model for trial in there):
        style, mine = styles[model], [trial for trial in there if trial.model == model]
        best, line = math.inf, []
        for trial in mine:
            best = best if trial.pruned else min(best, trial.val_mae)
            line.append(best)
            beyond = trial.val_mae > top
            look = {"marker": "^" if beyond else style.marker, "markersize": 4, "linestyle": "none"}
            at = min(trial.val_mae, top)
            axes.plot(
                [trial.trial], [at], color=style.color, markerfacecolor="none" if trial.pruned else style.color, **look
            )
            early = ", ended early" if trial.pruned else ""
            figure.hover(axes, trial.trial, at, f"{model}, trial {trial.trial}: {trial.val_mae:.4g}{early}")
        axes.step([trial.trial for trial in mine], line, where="post", color=style.color, linewidth=1.2, label=model)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("trial")
    axes.set_ylabel(with_unit("validation MAE", results))
    axes.legend(loc="best")
    return figure


def _top(trials: Sequence[Any]) -> float:
    """Above which a trial is drawn at the edge, so that one that went astray leaves room for the others."""
    values = sorted(trial.val_mae for trial in trials)
    low, middle = values[0], values[len(values) // 2]
    return low + 4 * (middle - low) if middle > low else values[-1]
