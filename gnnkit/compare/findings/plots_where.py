"""Figures of where the errors of the best graph and the best sequence model differ: strata, nodes × hours, windows."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.colors import Normalize

from gnnkit.compare.report.tables import families, floats, with_unit
from gnnkit.compare.results import Results
from gnnkit.report.numbers import signed
from gnnkit.report.theme import INK, MUTED, STYLE, HoverFigure, difference_colors, model_styles, new_figure

__all__ = ["heat_map", "strata_plot", "windows_plot"]

_COLUMNS = 5


@mpl.rc_context(STYLE)
def strata_plot(results: Results, where: Any) -> HoverFigure:
    """The difference graph − sequence in each group of each stratum, with its interval.

    Args:
        results: What a comparison found.
        where: Where the errors differ.

    Returns:
        One axes a stratum; below zero the graph model is better. A filled dot's interval excludes zero.
    """
    strata, (graph, sequence) = where.strata, where.pair
    styles = model_styles(families(results))
    rows = (len(strata) + 1) // 2
    figure, axes = new_figure(11.5, 2.5 * rows, rows, 2)
    for axis, stratum in zip(axes, strata, strict=False):
        axis.axhline(0, color=MUTED, linewidth=1)
        for at, group in enumerate(stratum.groups):
            low, middle, high = floats([group.low, group.difference, group.high])
            clear = group.clear
            # The colour is the winner's, and only where there is one.
            color = styles[graph if middle < 0 else sequence].color if clear else MUTED
            axis.plot([at, at], [low, high], color=color, linewidth=2.2, alpha=0.55, solid_capstyle="round")
            fill = color if clear else "none"
            axis.plot([at], [middle], marker="o", markersize=5, color=color, markerfacecolor=fill)
            figure.hover(axis, at, middle, _group_words(stratum, group, graph, sequence))
        labels = [group.label for group in stratum.groups]
        every = max(1, -(-len(labels) // (8 if max(map(len, labels)) > 3 else 12)))
        axis.set_xticks(range(0, len(labels), every), labels[::every])
        axis.set_xlim(-0.6, len(labels) - 0.4)
        axis.grid(False, axis="x")
        axis.set_title(stratum.head)
    for axis in axes[len(strata) :]:
        axis.set_visible(False)
    figure.supylabel(with_unit("graph − sequence, MAE", results), fontsize=10, color=INK)
    return figure


def _group_words(stratum: Any, group: Any, graph: str, sequence: str) -> str:
    interval = f"{signed(group.low, 3)} to {signed(group.high, 3)}"
    scores = f"{graph} {group.graph:.4g}, {sequence} {group.sequence:.4g}, n = {group.observed:,}"
    return f"{stratum.title} {group.label}: {signed(group.difference, 3)} ({interval}); {scores}"


@mpl.rc_context(STYLE)
def heat_map(results: Results, where: Any) -> HoverFigure:
    """The difference graph − sequence of every node at every hour of the day.

    Args:
        results: What a comparison found.
        where: Where the errors differ.

    Returns:
        One axes, nodes from top to bottom, hours from left to right; no colour where nothing was observed.
    """
    heat = where.heat
    table = np.array([floats(line) for line in heat.difference])
    hours = [str(hour) for hour in heat.hours]
    figure, (axes,) = new_figure(11.5, float(np.clip(1.2 + 0.07 * len(table), 2.4, 7.5)))
    seen = np.abs(table[np.isfinite(table)])
    # One hopeless cell must not take the colour from all others.
    reach = float(np.percentile(seen, 98)) if seen.size and seen.max() > 0 else 1.0
    drawn = axes.imshow(
        table, cmap=difference_colors(), norm=Normalize(-reach, reach), aspect="auto", interpolation="none"
    )
    every = max(1, len(hours) // 12)
    axes.set_xticks(range(0, len(hours), every), hours[::every])
    axes.set_xlabel("hour of the day")
    names = [str(node) for node in heat.nodes]
    skip = max(1, -(-len(names) // 24))
    axes.set_yticks(range(0, len(names), skip), [_short(name) for name in names[::skip]], fontsize=7)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    values = [[None if value != value else float(f"{value:.3g}") for value in line.tolist()] for line in table]
    figure.hover_grid(axes, names, hours, values)
    bar = figure.colorbar(drawn, ax=axes, pad=0.01, aspect=28, fraction=0.03)
    bar.set_label(with_unit("graph − sequence, MAE", results))
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    bar.ax.tick_params(length=0, colors=MUTED)
    return figure


@mpl.rc_context(STYLE)
def windows_plot(results: Results, where: Any, side: str) -> HoverFigure:
    """The test windows in which one side wins most: history and truth, and both forecasts.

    Args:
        results: What a comparison found.
        where: Where the errors differ.
        side: "graph" or "sequence": whose wins are drawn.

    Returns:
        One small axes a window, the largest win first.

    Raises:
        ValueError: `side` is neither.
    """
    if side not in ("graph", "sequence"):
        raise ValueError(f"side is {side!r}; ask for the wins of 'graph' or of 'sequence'")
    styles, pair = model_styles(families(results)), dict(zip(("graph", "sequence"), where.pair, strict=True))
    windows = where.windows[side]
    rows = -(-len(windows) // _COLUMNS)
    figure, axes = new_figure(11.5, 0.4 + 1.75 * rows, rows, _COLUMNS)
    for axis, window in zip(axes, windows, strict=False):
        history, true = floats(window.history), floats(window.true)
        before, after = np.arange(-len(history), 0) + 1, np.arange(1, len(true) + 1)
        axis.axvspan(0.5, after[-1] + 0.5, color=MUTED, alpha=0.08, linewidth=0)
        axis.plot(before, history, color=INK, linewidth=1, alpha=0.45)
        axis.plot(
            after, true, color=INK, linewidth=2.2, alpha=0.45, label="true", marker="." if len(true) == 1 else None
        )
        for kind in ("sequence", "graph"):
            if pair[kind] in styles:
                color = styles[pair[kind]].color
                marker = "." if len(true) == 1 else None
                axis.plot(
                    after, floats(getattr(window, kind)), color=color, linewidth=1.4, label=pair[kind], marker=marker
                )
        when = window.time[:16].replace("T", " ") if window.time else f"row {window.row:,}"
        axis.set_title(f"{_short(window.node)}\n{when}  {signed(window.difference, 2)}", fontsize=8, color=MUTED)
        axis.tick_params(labelsize=7)
        axis.set_xticks([0], ["now"])
        axis.locator_params(axis="y", nbins=4)
        for kind in ("graph", "sequence"):
            for at, value in zip(after, floats(getattr(window, kind)), strict=True):
                figure.hover(axis, float(at), float(value), f"{pair[kind]}, {at} ahead: {value:.4g}")
    for axis in axes[len(windows) :]:
        axis.set_visible(False)
    if windows:
        figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper right", ncols=3)
    return figure


def _short(name: str) -> str:
    return name if len(name) <= 16 else f"{name[:15]}…"
