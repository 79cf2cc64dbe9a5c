"""Figures of the paired tests: who beats the last value, who is told apart from whom, what the edges are worth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl

from gnnkit.compare.report.tables import families, floats, with_unit
from gnnkit.compare.results import Results
from gnnkit.report.numbers import signed
from gnnkit.report.theme import INK, MUTED, STYLE, HoverFigure, model_styles, new_figure

__all__ = ["IntervalLine", "ablation_differences", "critical_difference", "differences_from", "interval_plot"]


@dataclass(frozen=True)
class IntervalLine:
    """One difference with its interval, as a line of `interval_plot`."""

    label: str
    difference: float
    low: float
    high: float
    color: str
    clear: bool
    words: str = ""


@mpl.rc_context(STYLE)
def differences_from(results: Results, tests: Sequence[Any]) -> HoverFigure:
    """The difference in MAE of every trained model from one baseline, with its interval.

    Args:
        results: What a comparison found.
        tests: Rows of the paired tests against that baseline.

    Returns:
        One axes, a line for each model; below zero a model is better than the baseline.
    """
    styles, by_model = model_styles(families(results)), {test.model: test for test in tests}
    lines = [_line(by_model[model], model, style.color) for model, style in styles.items() if model in by_model]
    return interval_plot(lines, with_unit(f"MAE − MAE of {tests[0].against}", results))


@mpl.rc_context(STYLE)
def ablation_differences(results: Results, tests: Sequence[Any]) -> HoverFigure:
    """What each change of the graph does to the error of each model: difference from the graph as given.

    Args:
        results: What a comparison found.
        tests: Rows of the tests of an ablation.

    Returns:
        One axes, a line for each model and adjacency; above zero the change makes the forecasts worse.
    """
    styles, several = model_styles(families(results)), len({test.model for test in tests}) > 1
    lines = [
        _line(
            test,
            f"{test.model}, {test.adjacency}" if several else str(test.adjacency),
            styles[test.model].color if test.model in styles else INK,
        )
        for test in tests
    ]
    return interval_plot(lines, with_unit("MAE − MAE with the graph as given", results))


def interval_plot(lines: Sequence[IntervalLine], label: str) -> HoverFigure:
    """Dots with intervals, one below the other, beside a line at zero; an open dot's interval holds zero.

    Args:
        lines: From top to bottom.
        label: Of the axis of differences.

    Returns:
        One axes.
    """
    figure, (axes,) = new_figure(5.4, 0.9 + 0.24 * max(3, len(lines)))
    axes.axvline(0, color=MUTED, linewidth=1)
    for at, line in enumerate(lines):
        axes.plot([line.low, line.high], [at, at], color=line.color, linewidth=2.2, solid_capstyle="round", alpha=0.55)
        fill = line.color if line.clear else "none"
        axes.plot([line.difference], [at], marker="o", markersize=6, color=line.color, markerfacecolor=fill)
        figure.hover(axes, line.difference, at, line.words or line.label)
    axes.set_ylim(len(lines) - 0.4, -0.6)
    axes.set_yticks(range(len(lines)), [line.label for line in lines], color=INK)
    axes.grid(False, axis="y")
    axes.spines["left"].set_visible(False)
    axes.set_xlabel(label)
    axes.locator_params(axis="x", nbins=6)
    return figure


@mpl.rc_context(STYLE)
def critical_difference(
    results: Results,
    models: Sequence[str],
    ranks: Sequence[float],
    groups: Sequence[Sequence[str]],
    critical: float,
) -> HoverFigure:
    """The critical-difference diagram of one horizon: mean ranks on a line, bars over models that are not told apart.

    Args:
        results: What a comparison found.
        models: Their names.
        ranks: The mean rank of each.
        groups: Models that are not told apart.
        critical: By which two mean ranks must differ.

    Returns:
        One axes; the lowest rank, on the left, is the best.

    Source:
        Demšar, "Statistical comparisons of classifiers over multiple data sets", 2006, figure 1.
    """
    styles = model_styles(families(results))
    order = sorted(zip(ranks, models, strict=True))
    place = {name: rank for rank, name in order}
    low, high = 1, max(2, len(order))
    bars = [sorted(place[name] for name in group) for group in groups if len(group) > 1]
    half = (len(order) + 1) // 2
    top, step = 0.5 + 0.32 * len(bars), 0.62
    figure, (axes,) = new_figure(5.4, 0.8 + 0.17 * len(bars) + 0.24 * half)
    axes.axis("off")
    reach = high - low
    axes.set_xlim(low - 0.42 * reach, high + 0.42 * reach)
    axes.set_ylim(-(top + step * half), 2.1)
    axes.plot([low, high], [0, 0], color=INK, linewidth=1.2)
    for tick in _whole_ticks(low, high):
        axes.plot([tick, tick], [0, 0.22], color=INK, linewidth=1)
        axes.text(tick, 0.34, str(tick), ha="center", va="bottom", fontsize=8, color=MUTED)
    axes.plot([low, low + min(critical, reach)], [1.35, 1.35], color=MUTED, linewidth=2)
    axes.text(low, 1.5, f"critical difference {critical:.2f}", fontsize=8, color=MUTED, va="bottom")
    for at, bar in enumerate(bars):
        axes.plot([bar[0] - 0.01 * reach, bar[-1] + 0.01 * reach], [-0.32 * (at + 1)] * 2, color=INK, linewidth=3.2)
    for at, (rank, name) in enumerate(order):
        left = at < half
        y = -(top + step * (at if left else len(order) - 1 - at))
        edge = low - 0.03 * reach if left else high + 0.03 * reach
        color = styles[name].color if name in styles else INK
        axes.plot([rank, rank, edge], [0, y, y], color=color, linewidth=1)
        beside = edge - 0.02 * reach if left else edge + 0.02 * reach
        axes.text(beside, y, name, ha="right" if left else "left", va="center", fontsize=9)
        axes.plot([rank], [0], marker="o", markersize=4, color=color)
        figure.hover(axes, rank, 0, f"{name}: mean rank {rank:.2f} of {len(order)}")
        figure.hover(axes, edge, y, f"{name}: mean rank {rank:.2f} of {len(order)}")
    return figure


def _line(test: Any, label: str, color: str) -> IntervalLine:
    low, high = floats([test.low, test.high])
    words = f"{label}: {signed(test.difference, 3)} ({signed(low, 3)} to {signed(high, 3)})"
    return IntervalLine(label, test.difference, low, high, color, test.clear, words)


def _whole_ticks(low: int, high: int) -> list[int]:
    step = max(1, (high - low) // 8)
    return sorted({*range(low, high + 1, step)})
