"""Figures of the random-combinations study: loss and accuracy by step, and how far the gradient reaches.

The runs are those that `load_runs` returns.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from gnnkit.sequence import plot_gradient_flow
from gnnkit.studies.combinations.report import PUBLISHED
from gnnkit.studies.combinations.settings import INITIALIZATIONS

__all__ = ["draw_curves", "draw_flow", "write_figures"]

# Okabe & Ito (2008), told apart with every kind of colour vision; a colour is a cell, a dash the embedding's width.
_COLOURS = {
    "lstm": "#0072B2",
    "bilstm": "#D55E00",
    "gru": "#009E73",
    "rnn": "#000000",
    "bigru": "#56B4E9",
    "birnn": "#CC79A7",
}
_NAMES = {"rnn": "RNN", "lstm": "LSTM", "gru": "GRU", "birnn": "BiRNN", "bilstm": "BiLSTM", "bigru": "BiGRU"}
_DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1, 1.2)), (0, (6, 2, 1, 2)))
_AXIS = {"loss": "loss on a training batch, nats", "accuracy": "accuracy on a training batch"}


def draw_curves(runs: Sequence[dict[str, Any]], quantity: str) -> Figure:
    """Draw loss or accuracy by step: a panel an initialisation and length, a line the mean over seeds, its band one
    deviation.

    The report's figure at its last step is a ring in the colour of its cell, beside runs of its initialisation. Losses
    are on a logarithmic axis, where mean and band are those of the logarithm: a band below zero is none.

    Args:
        quantity: "loss" or "accuracy".

    Returns:
        The figure, tied to no pyplot state.

    Raises:
        ValueError: Another quantity, no run, or more widths of embedding than dashes.
    """
    if quantity not in _AXIS:
        raise ValueError(f"quantity must be 'loss' or 'accuracy', got {quantity!r}")
    if not runs:
        raise ValueError("there is no run to draw; train some first")
    lengths = sorted({run["row"]["length"] for run in runs})
    widths = sorted({run["row"]["embedding"] for run in runs})
    if len(widths) > len(_DASHES):
        raise ValueError(f"{len(widths)} widths of embedding are more than the {len(_DASHES)} dashes; draw fewer")
    starts = [start for start in INITIALIZATIONS if any(run["row"]["initialization"] == start for run in runs)]
    columns = min(3, len(lengths))
    lines = -(-len(lengths) // columns)  # of one initialisation
    figure = Figure(figsize=(1 + 3.6 * columns, 0.9 + 2.9 * lines * len(starts)), layout="constrained")
    axes = figure.subplots(lines * len(starts), columns, sharey=True, squeeze=False).flatten()
    for number, start in enumerate(starts):
        panels = axes[number * lines * columns : (number + 1) * lines * columns]
        for axis, length in zip(panels, lengths, strict=False):
            chosen = [r for r in runs if (r["row"]["length"], r["row"]["initialization"]) == (length, start)]
            if chosen:
                _panel(axis, chosen, quantity, widths)
            axis.set_title(f"T = {length}, initialisation {start}", loc="left", fontsize=10)
            axis.set_xlabel("step")
            axis.set_visible(bool(chosen))
        for axis in panels[len(lengths) :]:
            axis.set_visible(False)
    for axis in axes[::columns]:
        axis.set_ylabel(_AXIS[quantity])
    handles = {label: handle for axis in axes for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), frameon=False, fontsize=9, loc="outside lower center", ncols=4)
    return figure


def draw_flow(runs: Sequence[dict[str, Any]]) -> Figure:
    """Draw the norm of the loss's gradient at each step's state before and after training, at the largest length.

    The geometric mean over seeds, at the smallest width of embedding, from the report's initialisation if it was run.

    Returns:
        The figure, tied to no pyplot state.
    """
    length = max(run["row"]["length"] for run in runs)
    chosen = [run for run in runs if run["row"]["length"] == length]
    width = min(run["row"]["embedding"] for run in chosen)
    chosen = [run for run in chosen if run["row"]["embedding"] == width]
    start = next(name for name in INITIALIZATIONS if any(run["row"]["initialization"] == name for run in chosen))
    chosen = [run for run in chosen if run["row"]["initialization"] == start]
    cells = [cell for cell in _NAMES if any(run["row"]["cell"] == cell for run in chosen)]
    panels = {}
    for stage, title in (("start", "at initialisation"), ("end", "after training")):
        panels[title] = {}
        for cell in cells:
            flows = np.array([run["flow"][stage] for run in chosen if run["row"]["cell"] == cell])
            with np.errstate(divide="ignore"):  # an underflowed gradient is zero, and stays it
                panels[title][_NAMES[cell]] = np.exp(np.log(flows).mean(axis=0))
    return plot_gradient_flow(
        panels, title=f"Random combinations, T = {length}, embedding {width}, {start}'s initialisation"
    )


def write_figures(runs: Sequence[dict[str, Any]], out: Path) -> None:
    """Write `loss.png`, `accuracy.png` and `gradient_flow.png` into a folder.

    Args:
        out: The folder.
    """
    for name, figure in (
        ("loss", draw_curves(runs, "loss")),
        ("accuracy", draw_curves(runs, "accuracy")),
        ("gradient_flow", draw_flow(runs)),
    ):
        # No software version inside: the same rows give the same file.
        figure.savefig(out / f"{name}.png", dpi=110, facecolor="white", metadata={"Software": None})


def _panel(axis: Any, runs: Sequence[dict[str, Any]], quantity: str, widths: Sequence[int]) -> None:
    """One length's curves; every run of it has the same steps, since all share one recipe."""
    cells = [cell for cell in _NAMES if any(run["row"]["cell"] == cell for run in runs)]
    for cell in cells:
        for width in widths:
            same = [run for run in runs if run["row"]["cell"] == cell and run["row"]["embedding"] == width]
            if not same:
                continue
            steps = same[0]["curve"]["step"]
            values = np.array([run["curve"][quantity] for run in same])
            if quantity == "loss":
                values = np.log(np.maximum(values, 1e-12))
            mean = values.mean(axis=0)
            band = values.std(axis=0, ddof=1) if len(same) > 1 else np.zeros_like(mean)
            low, high = mean - band, mean + band
            if quantity == "loss":
                mean, low, high = np.exp(mean), np.exp(low), np.exp(high)
            else:
                low, high = np.maximum(low, 0), np.minimum(high, 1)
            label = f"{_NAMES[cell]}, embedding {width}"
            dash = _DASHES[widths.index(width)]
            axis.plot(steps, mean, color=_COLOURS[cell], linestyle=dash, linewidth=1.4, label=label)
            axis.fill_between(steps, low, high, color=_COLOURS[cell], alpha=0.2, linewidth=0)
        length, start = runs[0]["row"]["length"], runs[0]["row"]["initialization"]
        # The report's figures are those after 2000 steps: in a shorter study they would only stretch the axis.
        if (cell, length) in PUBLISHED and start == "report" and runs[0]["row"]["steps"] >= 2000:
            published = PUBLISHED[cell, length][0 if quantity == "loss" else 1].mean
            axis.plot(
                2000, published, "o", color=_COLOURS[cell], fillstyle="none", ms=7, label=f"{_NAMES[cell]}, report"
            )
    if quantity == "loss":
        axis.set_yscale("log")
    else:
        axis.set_ylim(0, 1.03)
    axis.grid(True, linewidth=0.5, color="#d7dbe0")
    axis.spines[["top", "right"]].set_visible(False)
