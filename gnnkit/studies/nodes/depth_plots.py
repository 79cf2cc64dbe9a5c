"""Figures of the depth study, drawn from its rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

__all__ = ["draw_accuracy", "draw_energy", "draw_influence", "write_depth_figures"]

_COLOURS = {"gcn": "#d62728", "gcn-residual": "#1f77b4", "gcn2": "#2ca02c", "gat": "#9467bd"}
_NAMES = {"gcn": "GCN", "gcn-residual": "GCN with residuals", "gcn2": "GCNII", "gat": "GAT"}
# Below this an energy is nothing but rounding.
_FLOOR = 1e-16


def _present(table: Any) -> list[str]:
    return [name for name in _NAMES if name in set(table["model"])]


def _tidy(axes: Any) -> None:
    axes.grid(True, linewidth=0.5, color="#d7dbe0")
    axes.spines[["top", "right"]].set_visible(False)


def draw_accuracy(rows: Any) -> Figure:
    """Test accuracy by depth, mean and standard deviation over seeds."""
    figure = Figure(figsize=(6.0, 4.0), layout="constrained")
    axes = figure.add_subplot()
    for name in _present(rows):
        grouped = (100 * rows[rows["model"] == name].set_index("depth")["test_accuracy"]).groupby(level=0)
        mean, spread = grouped.mean(), grouped.std().fillna(0.0)
        axes.errorbar(
            mean.index, mean, yerr=spread, color=_COLOURS[name], marker="o", ms=4, capsize=3, label=_NAMES[name]
        )
    axes.set_xscale("log", base=2)
    depths = sorted(set(rows["depth"]))
    axes.set_xticks(depths, [str(depth) for depth in depths])
    axes.set(xlabel="layers", ylabel="test accuracy, %", title=f"Accuracy by depth, {rows['seed'].nunique()} seeds")
    axes.legend(frameon=False)
    _tidy(axes)
    return figure


def draw_energy(layers: Any) -> Figure:
    """Dirichlet energy: behind each layer of the deepest models, and behind the last layer at every depth.

    Above the energy itself, below the energy over the squared size of the features, which does not fall because they
    shrink. The first column is the untrained model, the second the trained one.
    """
    deepest = layers["depth"].max()
    last = layers[layers["layer"] == layers["depth"]]
    figure = Figure(figsize=(13.0, 7.0), layout="constrained")
    panels = figure.subplots(2, 3, sharey="row")
    columns = (
        (layers[(layers["depth"] == deepest) & (layers["stage"] == "start")], "layer", "layers, at initialisation"),
        (layers[(layers["depth"] == deepest) & (layers["stage"] == "trained")], "layer", "layers, after training"),
        (last[last["stage"] == "start"], "depth", "behind the last layer, at initialisation"),
    )
    for column, (chosen, along, title) in enumerate(columns):
        for row, measure in enumerate(("raw_energy", "energy")):
            axes = panels[row][column]
            for name in _present(chosen):
                curve = chosen[chosen["model"] == name].sort_values(along)
                energy = curve[measure].clip(lower=_FLOOR)
                axes.plot(curve[along], energy, "o-", ms=3, color=_COLOURS[name], label=_NAMES[name])
            axes.set_yscale("log")
            _tidy(axes)
            if along == "depth":
                depths = sorted(set(chosen["depth"]))
                axes.set_xscale("log", base=2)
                axes.set_xticks(depths, [str(depth) for depth in depths])
        panels[0][column].set_title(f"{deepest} {title}" if along == "layer" else title)
        panels[1][column].set_xlabel("layer" if along == "layer" else "layers")
    panels[0][0].set_ylabel("Dirichlet energy")
    panels[1][0].set_ylabel("Dirichlet energy / squared size of the features")
    panels[0][0].legend(frameon=False)
    return figure


def draw_influence(influence: Any) -> Figure:
    """Share of a test node's total influence that comes from each distance, a panel a depth."""
    depths = sorted(set(influence["depth"]))
    figure = Figure(figsize=(3.0 * len(depths) + 1.0, 3.6), layout="constrained")
    panels = figure.subplots(1, len(depths), sharey=True, squeeze=False)[0]
    for axes, depth in zip(panels, depths, strict=True):
        chosen = influence[influence["depth"] == depth]
        for name in _present(chosen):
            curve = chosen[chosen["model"] == name].sort_values("hop")
            curve = curve[curve["hop"] <= min(depth, 16)]
            axes.plot(curve["hop"], curve["share"], "o-", ms=3, color=_COLOURS[name], label=_NAMES[name])
        axes.set(xlabel="hops", title=f"{depth} layers")
        _tidy(axes)
    panels[0].set_ylabel("share of the influence")
    panels[0].legend(frameon=False)
    return figure


def write_depth_figures(rows: Any, layers: Any, influence: Any, out: Path) -> None:
    """Write `accuracy.png`, `energy.png` and `influence.png` into a folder.

    Args:
        rows, layers, influence: The study's tables, pandas data frames.
        out: The folder.
    """
    figures = {"accuracy": draw_accuracy(rows), "energy": draw_energy(layers), "influence": draw_influence(influence)}
    for name, figure in figures.items():
        # No software version inside: the same rows give the same file.
        figure.savefig(out / f"{name}.png", dpi=110, facecolor="white", metadata={"Software": None})
