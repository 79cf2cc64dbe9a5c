"""Figures of a comparison, each drawn from its `results` and nothing else, in one style, without pyplot."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from numpy.typing import NDArray

from gnnkit.compare.report.tables import (
    base_rows,
    families,
    floats,
    horizon_label,
    shown_models,
    step_of,
    untyped,
    with_unit,
)
from gnnkit.compare.results import Results
from gnnkit.data.spans import axis_unit
from gnnkit.report.theme import (
    INK,
    MUTED,
    RULE,
    STYLE,
    HoverFigure,
    difference_colors,
    model_styles,
    new_figure,
)

__all__ = ["MAX_EDGES", "drawn_edges", "error_by_step", "error_map", "node_positions", "traces", "training_curves"]

#: More edges than this are not drawn: the strongest are kept, and the figure says so.
MAX_EDGES = 1500
#: An axis that would reach beyond this many times its lowest error is cut there, and says so.
_CUT = 2.5
#: Larger graphs are drawn without a value to each node: the words would outweigh the drawing.
_SPEAKING_NODES = 1000


@mpl.rc_context(STYLE)
def error_by_step(results: Results, metric: str = "mae") -> HoverFigure:
    """Error of every single step ahead: mean over seeds as a line, one standard deviation as a band.

    Args:
        metric: "mae" or "rmse".

    Returns:
        One axes; a line for each model, greys for baselines, cool hues for sequence, warm hues for graph models.

    Raises:
        ValueError: `metric` is neither.
    """
    if metric not in ("mae", "rmse"):
        raise ValueError(f"metric is {metric!r}; step errors are kept as 'mae' and 'rmse': ask for one of them")
    kinds = families(results)
    styles = model_styles(kinds)
    step_errors, ahead = untyped(results.step_errors), step_of(results)
    size, unit = axis_unit(ahead, max(results.horizons))
    figure, (axes,) = new_figure(5.4, 4.3 + 0.2 * ((len(kinds) + 2) // 3))
    for model, style in styles.items():
        table = step_errors[step_errors["model"] == model]
        if table.empty:
            continue
        spread = table.groupby("step")[metric].agg(["mean", "std", "count"])
        x = spread.index.to_numpy(dtype=float) * size
        middle, deviation = spread["mean"].to_numpy(), spread["std"].fillna(0).to_numpy()
        marker = style.marker or ("_" if len(x) == 1 else None)  # a line of one point is not seen
        axes.plot(x, middle, color=style.color, linestyle=style.dash, marker=marker, label=model)
        for step, at, error, around in zip(spread.index, x, middle, spread["std"], strict=True):
            words = f"{model}, {horizon_label(int(step), ahead)} ahead: {error:.4g}"
            figure.hover(axes, at, error, words + (f" ± {around:.2g}" if around == around else ""))
        if kinds[model] != "baseline" and spread["count"].max() > 1:
            axes.fill_between(x, middle - deviation, middle + deviation, color=style.color, alpha=0.18, linewidth=0)
    axes.set_xlabel(f"{unit} ahead")
    axes.set_ylabel(with_unit(metric.upper(), results))
    steps = sorted(step_errors["step"].unique())
    shown = results.horizons if len(results.horizons) > 1 else steps[:: max(1, len(steps) // 6)]
    axes.set_xticks([step * size for step in shown])
    _legend_below(figure, axes)
    return figure


@mpl.rc_context(STYLE)
def training_curves(results: Results) -> HoverFigure:
    """Validation error after every epoch: each seed thin, the mean over the seeds still training thick.

    Returns:
        One axes; the dot on each curve is the epoch whose weights were kept, in the mean over seeds. The axis is cut
        at 2.5 times the lowest error, so that the first epochs do not flatten the rest.
    """
    styles = model_styles(families(results))
    figure, (axes,) = new_figure(5.4, 4.3 + 0.2 * ((len(styles) + 2) // 3))
    curves, rows = untyped(results.curves), base_rows(results)
    axes.set_xlabel("epoch")
    axes.set_ylabel(with_unit("validation MAE", results))
    if curves.empty or not curves["val_mae"].notna().any():
        axes.text(0.5, 0.5, "no model was trained", transform=axes.transAxes, ha="center", color=MUTED)
        return figure
    for model, style in styles.items():
        own = curves[curves["model"] == model]
        if own.empty:
            continue
        for _, one in own.groupby("seed"):
            axes.plot(one["epoch"], one["val_mae"], color=style.color, linewidth=0.6, alpha=0.45)
        mean = own.groupby("epoch")["val_mae"].mean()
        axes.plot(mean.index, mean, color=style.color, linestyle=style.dash, label=model)
        for epoch, error in mean.items():
            figure.hover(axes, float(epoch), float(error), f"{model}, epoch {epoch}: {error:.4g}")
        best = rows.loc[rows["model"] == model, "best_epoch"].mean()
        if best == best:
            nearest = mean.index[int(np.abs(mean.index.to_numpy() - best).argmin())]
            axes.plot([nearest], [mean[nearest]], color=style.color, marker=style.marker, markersize=6)
    lowest, highest = float(curves["val_mae"].min()), float(curves["val_mae"].max())
    if highest > _CUT * lowest > 0:
        axes.set_ylim(lowest - 0.05 * lowest, _CUT * lowest)
        axes.set_title("axis cut: the first epochs lie above it", color=MUTED, fontsize=9)
    axes.xaxis.get_major_locator().set_params(integer=True)
    _legend_below(figure, axes)
    return figure


@mpl.rc_context(STYLE)
def traces(results: Results) -> HoverFigure:
    """True values and the predictions of the best sequence and the best graph model, for some nodes.

    Returns:
        One axes a node, on a common time axis: clock time where the data has it, else hours or rows.
    """
    drawn, names = results.traces, results.traces.nodes
    styles = model_styles(families(results))
    models = shown_models(results)
    count = max(1, len(names))
    figure, axes = new_figure(11.5, 0.9 + 1.5 * count, count, 1, sharex=True)
    if not names:
        axes[0].text(0.5, 0.5, "no traces were kept", transform=axes[0].transAxes, ha="center", color=MUTED)
        return figure
    x, label, ticks = _time_axis(results)
    for index, name in enumerate(names):
        axis = axes[index]
        axis.plot(x, floats(drawn.true[index]), color=INK, linewidth=2.2, alpha=0.4, label="true")
        for model in models:
            if model in drawn.predicted:
                style = styles[model]
                axis.plot(x, floats(drawn.predicted[model][index]), color=style.color, linewidth=1.2, label=model)
        axis.set_title(name, fontsize=9, color=MUTED)
    axes[-1].set_xlabel(label)
    axes[-1].set_xlim(x[0], x[-1] if x[-1] > x[0] else x[0] + 1)
    if ticks:
        axes[-1].set_xticks(*ticks)
    figure.supylabel(results.data.unit or "value", fontsize=10, color=INK)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper right", ncols=3)
    return figure


@mpl.rc_context(STYLE)
def error_map(results: Results) -> HoverFigure:
    """Mean absolute error of every node on the graph: best sequence model, best graph model, and their difference.

    Returns:
        Three axes side by side, the first two on one colour scale; one axes where a family has no model. In the
        difference the graph model is better at orange nodes, the sequence model at blue ones.
    """
    models = [model for model in shown_models(results) if model in results.node_errors]
    errors = {model: floats(results.node_errors[model]) for model in models}
    panels = len(models) + (len(models) == 2)
    figure, axes = new_figure(3.8 * max(1, panels), 4.3, 1, max(1, panels))
    if not models:
        axes[0].text(0.5, 0.5, "no node errors were kept", transform=axes[0].transAxes, ha="center", color=MUTED)
        return figure
    positions, _ = node_positions(results)
    everything = np.concatenate(list(errors.values()))
    scale = Normalize(*_limits(everything))
    maps = []
    for axis, model in zip(axes, models, strict=False):
        maps.append(_draw_map(figure, axis, results, positions, errors[model], _error_colors(), scale))
        axis.set_title(model)
    bar = figure.colorbar(maps[0], ax=axes[: len(models)], location="bottom", shrink=0.7, aspect=30, pad=0.02)
    bar.set_label(with_unit("MAE", results))
    bars = [bar]
    if len(models) == 2:
        difference = errors[models[1]] - errors[models[0]]
        reach = float(np.nanmax(np.abs(difference), initial=0.0)) or 1.0
        scale = Normalize(-reach, reach)
        drawn = _draw_map(figure, axes[2], results, positions, difference, difference_colors(), scale)
        axes[2].set_title(f"{models[1]} − {models[0]}")
        bars.append(figure.colorbar(drawn, ax=axes[2], location="bottom", shrink=0.8, aspect=18, pad=0.02))
        bars[-1].set_label(with_unit(f"{models[1]} better where below 0", results))
        bars[-1].ax.locator_params(axis="x", nbins=5)
    for bar in bars:
        bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
        bar.ax.tick_params(length=0, colors=MUTED)
    return figure


def node_positions(results: Results) -> tuple[NDArray[np.float64], bool]:
    """Where the nodes are drawn.

    Returns:
        Positions [N, 2], and whether they are the data's own; else they are a force layout of the graph (the same for
        the same graph).
    """
    given = results.data.positions
    if given is not None:
        return np.asarray(given, dtype=float), True
    import networkx as nx  # who knows where the nodes are needs none

    graph = nx.Graph()
    nodes = results.data.nodes
    graph.add_nodes_from(range(len(results.data.node_names) if nodes is None else nodes))
    graph.add_edges_from((int(i), int(j)) for i, j, *_ in results.data.edges if int(i) != int(j))
    layout = nx.spring_layout(graph, seed=0, iterations=60, weight=None)
    return np.array([layout[node] for node in range(len(graph))], dtype=float).reshape(-1, 2), False


def _draw_map(
    figure: HoverFigure,
    axis: Axes,
    results: Results,
    positions: NDArray[np.float64],
    values: NDArray[np.float64],
    colors: Colormap,
    scale: Normalize,
) -> Any:
    if len(values) <= _SPEAKING_NODES:
        names = results.data.node_names or [f"node {i}" for i in range(len(values))]
        for name, (x, y), value in zip(names, positions, values, strict=True):
            words = "nothing observed" if np.isnan(value) else f"{value:.4g}"
            figure.hover(axis, float(x), float(y), f"{name}: {words}")
    starts = positions[drawn_edges(results)]  # [E, 2 ends, 2]
    if len(starts):
        # One compound path: thousands of separate line elements would make the file large and slow.
        codes = np.tile([Path.MOVETO, Path.LINETO], len(starts))
        axis.add_patch(
            PathPatch(Path(starts.reshape(-1, 2), codes), edgecolor=MUTED, facecolor="none", linewidth=0.5, alpha=0.5)
        )
    size = float(np.clip(2500 / max(1, len(positions)), 7, 60))
    seen = np.isfinite(values)
    axis.scatter(*positions[~seen].T, s=size, facecolor="none", edgecolor=RULE, linewidth=0.8, zorder=2)
    drawn = axis.scatter(
        *positions[seen].T, c=values[seen], cmap=colors, norm=scale, s=size, edgecolor=MUTED, linewidth=0.3, zorder=3
    )
    axis.set_aspect("equal", adjustable="datalim")
    axis.grid(False)
    axis.set_xticks([])
    axis.set_yticks([])
    axis.spines[:].set_visible(False)
    return drawn


def drawn_edges(results: Results) -> NDArray[np.int64]:
    """The edges that the map shows: undirected, without loops, the strongest `MAX_EDGES` of them.

    Returns:
        Node numbers `[E, 2]`.
    """
    strongest: dict[tuple[int, int], float] = {}
    for i, j, *weight in results.data.edges:
        if int(i) != int(j):
            pair = (min(int(i), int(j)), max(int(i), int(j)))
            strongest[pair] = max(strongest.get(pair, 0.0), float(weight[0]) if weight else 1.0)
    kept = sorted(strongest, key=lambda pair: (-strongest[pair], pair))[:MAX_EDGES]
    return np.array(kept, dtype=np.int64).reshape(-1, 2)


def _time_axis(results: Results) -> tuple[NDArray[np.float64], str, tuple[list[float], list[str]] | None]:
    rows = np.asarray(results.traces.rows, dtype=float)
    minutes, start = results.data.step_minutes, results.data.start
    ahead = horizon_label(results.traces.horizon or max(results.horizons), step_of(results))
    if not minutes:
        return rows, f"row (predicted {ahead} ahead)", None
    if start is None or minutes >= 1440:
        size, unit = axis_unit(minutes, len(rows))
        return (rows - rows[0]) * size, f"{unit} (predicted {ahead} ahead)", None
    times = np.datetime64(str(start).replace("Z", "")[:19]) + (rows * minutes * 60).astype("timedelta64[s]")
    hours = (times - times[0].astype("datetime64[D]")) / np.timedelta64(3600, "s")
    every = next((width for width in (1, 3, 6, 12, 24, 48) if (hours[-1] - hours[0]) / width <= 10), 96)
    ticks = [float(hour) for hour in np.arange(np.ceil(hours[0] / every) * every, hours[-1] + 1e-9, every)]
    names = [f"{int(hour) % 24:02d}:00" for hour in ticks]
    day = str(times[0].astype("datetime64[D]"))
    return hours, f"time from {day} (predicted {ahead} ahead)", (ticks, names)


def _error_colors() -> LinearSegmentedColormap:
    # cividis reads the same to colour-blind eyes; its darkest part would vanish on a dark page.
    return LinearSegmentedColormap.from_list("error", mpl.colormaps["cividis"](np.linspace(0.2, 1.0, 64)))


def _limits(values: NDArray[np.float64]) -> tuple[float, float]:
    seen = values[np.isfinite(values)]
    if not seen.size:
        return 0.0, 1.0
    # One hopeless node must not take the contrast from all others.
    low, high = float(seen.min()), float(np.percentile(seen, 98))
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def _legend_below(figure: Figure, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, handlelength=2.4, columnspacing=1.2)
