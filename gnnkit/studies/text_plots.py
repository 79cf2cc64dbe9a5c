"""Curves of the text study: the report's figures 3 and 4, with the held-out text beside the training batches."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

__all__ = ["draw_curves", "write_curves"]

# Okabe & Ito (2008): told apart with every kind of colour vision; the marker says it once more.
_TRAIN, _HELD_OUT = "#0072B2", "#D55E00"


def draw_curves(run: dict[str, Any]) -> Figure:
    """Draw loss and accuracy by step, on training batches and on the validation part.

    Args:
        run: One of a study's `runs`.

    Returns:
        The figure, tied to no pyplot state.
    """
    figure = Figure(figsize=(9.2, 3.5), layout="constrained")
    FigureCanvasAgg(figure)
    curve, validation = run["curve"], run["validation"]
    loss, accuracy = figure.subplots(1, 2)
    loss.plot(curve["step"], curve["nats"], color=_TRAIN, linewidth=1.3, label="training batches")
    nats = [bits * math.log(2) for bits in validation["bits"]]
    held_out = "held-out text, one stream"
    loss.plot(validation["step"], nats, color=_HELD_OUT, marker="o", markersize=3.5, linewidth=1.3, label=held_out)
    accuracy.plot(curve["step"], curve["accuracy"], color=_TRAIN, linewidth=1.3)
    accuracy.plot(
        validation["step"], validation["accuracy"], color=_HELD_OUT, marker="o", markersize=3.5, linewidth=1.3
    )
    loss.set_ylabel("loss, nats a character")
    accuracy.set_ylabel("accuracy")
    low = min([*curve["nats"], *nats])
    # The first steps would squeeze all the rest: the axis begins where the first twentieth of the steps is over.
    later = [value for step, value in zip(curve["step"], curve["nats"], strict=True) if step > curve["step"][-1] / 20]
    high = max([*later, *nats])
    loss.set_ylim(low - 0.05 * (high - low) - 0.01, high + 0.08 * (high - low) + 0.01)
    bits = loss.secondary_yaxis("right", functions=(lambda y: y / math.log(2), lambda y: y * math.log(2)))
    bits.set_ylabel("bits a character", fontsize=9)
    bits.tick_params(labelsize=8)
    bits.spines["right"].set_visible(False)
    for axis in (loss, accuracy):
        axis.set_xlabel("step")
        axis.grid(True, linewidth=0.5, color="#d7dbe0")
        axis.spines[["top", "right"]].set_visible(False)
    loss.set_title(f"{run['name']}: {run['row']['book']}", loc="left", fontsize=10)
    handles, labels = loss.get_legend_handles_labels()
    figure.legend(handles, labels, frameon=False, fontsize=9, loc="outside lower center", ncols=2)
    return figure


def write_curves(document: dict[str, Any], out: Path) -> None:
    """Write `curves-1.png`, `curves-2.png` ..., in the order of the study's runs.

    Args:
        document: As `study_texts` returns it.
        out: The folder.
    """
    for number, run in enumerate(document["runs"], start=1):
        # No software version inside: the same rows give the same file.
        draw_curves(run).savefig(out / f"curves-{number}.png", dpi=130, facecolor="white", metadata={"Software": None})
