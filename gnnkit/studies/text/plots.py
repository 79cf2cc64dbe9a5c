"""Curves of the text study: the report's figures 3 and 4, with the held-out text beside the training batches."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

__all__ = ["draw_curves", "write_curves"]

# Okabe & Ito (2008): told apart with every kind of colour vision. A colour is a model, a dash with marks its held-out
# text; more models than colours are told apart by the mark.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
_MARKS = "os^Dv"


def draw_curves(runs: Sequence[dict[str, Any]]) -> Figure:
    """Draw loss and accuracy by step of all models, on training batches and on their books' validation parts.

    Args:
        runs: A study's `runs`.

    Returns:
        The figure, tied to no pyplot state.
    """
    figure = Figure(figsize=(9.6, 4.2), layout="constrained")
    loss, accuracy = figure.subplots(1, 2)
    handles, low, high = [], math.inf, -math.inf
    last = max(run["curve"]["step"][-1] for run in runs)
    for number, run in enumerate(runs):
        colour, mark = _COLOURS[number % len(_COLOURS)], _MARKS[number // len(_COLOURS) % len(_MARKS)]
        curve, validation = run["curve"], run["validation"]
        nats = [bits * math.log(2) for bits in validation["bits"]]
        held_out = {"color": colour, "marker": mark, "markersize": 3.5, "linewidth": 1.0, "linestyle": "--"}
        loss.plot(curve["step"], curve["nats"], color=colour, linewidth=1.3)
        loss.plot(validation["step"], nats, **held_out)
        accuracy.plot(curve["step"], curve["accuracy"], color=colour, linewidth=1.3)
        accuracy.plot(validation["step"], validation["accuracy"], **held_out)
        # The first steps would squeeze all the rest: the axis begins where the first twentieth of the steps is over.
        later = [value for step, value in zip(curve["step"], curve["nats"], strict=True) if step > last / 20]
        low, high = min([low, *curve["nats"], *nats]), max([high, *later, *nats])
        label = f"{run['name']} ({run['row']['characters']:,} characters)"
        handles.append(Line2D([], [], color=colour, marker=mark, markersize=3.5, label=label))
    loss.set_ylim(low - 0.05 * (high - low) - 0.01, high + 0.08 * (high - low) + 0.01)
    loss.set_ylabel("loss, nats a character")
    accuracy.set_ylabel("accuracy")
    bits = loss.secondary_yaxis("right", functions=(lambda y: y / math.log(2), lambda y: y * math.log(2)))
    bits.set_ylabel("bits a character", fontsize=9)
    bits.tick_params(labelsize=8)
    bits.spines["right"].set_visible(False)
    for axis in (loss, accuracy):
        axis.set_xlabel("step")
        axis.grid(True, linewidth=0.5, color="#d7dbe0")
        axis.spines[["top", "right"]].set_visible(False)
    handles += [
        Line2D([], [], color="#5c6370", label="training batches"),
        Line2D([], [], color="#5c6370", linestyle="--", marker="o", markersize=3.5, label="held-out text, one stream"),
    ]
    figure.legend(handles=handles, frameon=False, fontsize=9, loc="outside lower center", ncols=2)
    return figure


def write_curves(document: dict[str, Any], out: Path) -> None:
    """Write `curves.png`.

    Args:
        document: As `study_texts` returns it.
        out: The folder.
    """
    # No software version inside: the same rows give the same file.
    figure = draw_curves(document["runs"])
    figure.savefig(out / "curves.png", dpi=130, facecolor="white", metadata={"Software": None})
