"""Figures of what a recurrent network does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["plot_gradient_flow"]

# Okabe & Ito (2008): told apart with every kind of colour vision; markers and dashes say it once more.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_DASHES: tuple[Any, ...] = ("-", "--", "-.", (0, (1, 1)), (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 2)))


def plot_gradient_flow(
    panels: Mapping[str, Mapping[str, Tensor | Sequence[float]]],
    *,
    ylabel: str = "gradient of the loss at the state, ‖∂L/∂h_t‖",
    title: str = "",
) -> Figure:
    """Draw norms by step on a logarithmic axis: to the left a vanishing gradient falls, an exploding one rises.

    Args:
        panels: By panel ("at initialisation", "after training") and by line ("RNN", "LSTM") the norms of the steps 1
            ... T, e.g. from `gradient_flow`. A norm of exactly zero (it has underflowed) is left out, as a logarithm
            knows none.
        ylabel: What the norms are of.
        title: Of the whole figure. Default none.

    Returns:
        The figure, tied to no pyplot state; `figure.savefig("flow.png", dpi=150)` writes it.

    Raises:
        ValueError: No panel, a panel without a line, more lines than styles, or a line that is not a vector.

    Example:
        >>> figure = plot_gradient_flow({"at initialisation": {"RNN": [1e-6, 1e-3, 1.0]}})
        >>> figure.axes[0].get_yscale()
        'log'
    """
    from matplotlib.figure import Figure

    if not panels or not all(panels.values()):
        raise ValueError("panels must hold at least one panel, and each panel at least one line")
    # One style a name, the same in every panel.
    names = list(dict.fromkeys(name for lines in panels.values() for name in lines))
    if len(names) > len(_COLOURS):
        raise ValueError(f"{len(names)} lines are more than the {len(_COLOURS)} that can be told apart; draw fewer")
    figure = Figure(figsize=(1.2 + 4.4 * len(panels), 3.8), layout="constrained")
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axis, (panel, lines) in zip(axes, panels.items(), strict=True):
        for name, norms in lines.items():
            values = torch.as_tensor(norms).detach().double().cpu()
            if values.dim() != 1 or values.numel() == 0:
                raise ValueError(
                    f"{panel!r}, {name!r}: norms must be a vector with a number a step, got {list(values.shape)}"
                )
            style = names.index(name)
            axis.plot(
                range(1, len(values) + 1),
                torch.where(values > 0, values, torch.nan).numpy(),
                label=name,
                color=_COLOURS[style],
                linestyle=_DASHES[style],
                marker=_MARKERS[style],
                markersize=4,
                markevery=max(1, len(values) // 12),
                linewidth=1.6,
            )
        axis.set_yscale("log")
        axis.set_xlabel("step t")
        axis.set_title(panel, loc="left", fontsize=10)
        axis.grid(True, linewidth=0.5, color="#d7dbe0")
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel(ylabel)
    handles = {label: handle for axis in axes for handle, label in zip(*axis.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles.keys(), frameon=False, fontsize=9, loc="outside lower center", ncols=4)
    if title:
        figure.suptitle(title, fontsize=11)
    return figure
