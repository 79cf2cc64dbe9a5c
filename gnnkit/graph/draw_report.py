"""A graph report as a figure, and as files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from gnnkit.graph.report import GraphReport
from gnnkit.kept_files import check_own_files, read_json, replace_file, write_json, write_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["check_report_folder", "draw_report", "write_report"]

REPORT_FILES = ("report.txt", "report.json", "report.png", "graph.graphml")

_COLOUR = "#1f77b4"
_MARK = "#d62728"


def draw_report(report: GraphReport) -> Figure:
    """Draw a report: degrees, hops, receptive field by depth, and the curvature of edges.

    Args:
        report: What `report_graph` returned.

    Returns:
        The figure, tied to no pyplot state.

    Example:
        >>> from gnnkit.graph import report_graph, six_node_graph
        >>> len(draw_report(report_graph(six_node_graph())).axes)
        4
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(10.0, 7.0), layout="constrained")
    panels = figure.subplots(2, 2)
    _degrees(report, panels[0, 0])
    _hops(report, panels[0, 1])
    _receptive_field(report, panels[1, 0])
    _curvature(report, panels[1, 1])
    for panel in panels.flat:
        panel.grid(True, linewidth=0.5, color="#d7dbe0")
        panel.set_axisbelow(True)
        panel.spines[["top", "right"]].set_visible(False)
    for panel in (panels[0, 1], panels[1, 0]):
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    low, high = report.diameter
    diameter = f"{low}" if low == high else f"{low} to {high}"
    figure.suptitle(
        f"{report.num_nodes} nodes, {report.num_edges} edges, {len(report.component_sizes)} components, "
        f"diameter {diameter}; suggested depth {report.depth.depth}"
    )
    return figure


def _degrees(report: GraphReport, axes: Axes) -> None:
    counts = torch.bincount(report.in_degree)
    there = counts.nonzero().view(-1)
    if counts.numel() <= 40:
        axes.bar(there.tolist(), counts[there].tolist(), color=_COLOUR, width=0.8)
    else:
        axes.plot(there.clamp(min=0.5).tolist(), counts[there].tolist(), ".", color=_COLOUR, markersize=4)
        axes.set_xscale("log")
        axes.set_yscale("log")
    axes.set(title="Degree distribution", xlabel="incoming edges", ylabel="nodes")


def _hops(report: GraphReport, axes: Axes) -> None:
    new = report.fields.hop_histogram().tolist()
    axes.bar(range(len(new)), new, color=_COLOUR, width=0.8)
    axes.set(title="Nodes at each distance, mean over nodes", xlabel="hops", ylabel="nodes")


def _receptive_field(report: GraphReport, axes: Axes) -> None:
    sizes, layers = report.fields.sizes.double(), range(report.fields.depth + 1)
    low, high = sizes.quantile(0.05, dim=0).tolist(), sizes.quantile(0.95, dim=0).tolist()
    axes.fill_between(layers, low, high, color=_COLOUR, alpha=0.2, linewidth=0, label="5% to 95% of nodes")
    axes.plot(layers, report.fields.median().tolist(), "o-", color=_COLOUR, markersize=4, label="median")
    axes.axvline(report.depth.depth, color=_MARK, linestyle="--", label=f"suggested depth {report.depth.depth}")
    axes.set(title="Receptive field", xlabel="layers", ylabel="nodes heard of")
    if float(sizes[:, -1].max()) > 100:
        axes.set_yscale("log")
    axes.legend(frameon=False, loc="lower right")


def _curvature(report: GraphReport, axes: Axes) -> None:
    known = report.curvature[report.curvature.isfinite()]
    if known.numel():
        axes.hist(known.tolist(), bins=min(40, max(5, known.numel() // 4)), color=_COLOUR)
        axes.axvline(0.0, color="black", linewidth=0.8)
    of = f"{known.numel()} edges drawn at random" if report.sampled_edges else "all edges"
    axes.set(title=f"Balanced Forman curvature, {of}", xlabel="below 0: a bottleneck", ylabel="edges")


def write_report(report: GraphReport, out: str | Path) -> None:
    """Write `report.txt`, `report.json` and `report.png` into a folder, which is made where it is missing.

    Args:
        report: What `report_graph` returned.
        out: The folder; a former report in it is replaced.

    Raises:
        ValueError: see `check_report_folder`.
    """
    out = check_report_folder(out)
    out.mkdir(parents=True, exist_ok=True)
    # First: it tells that the folder is a report's.
    write_json(out / "report.json", {"gnnkit_graph_report": True, **report.to_json()})
    write_text(out / "report.txt", "\n".join(report.lines()) + "\n")
    with replace_file(out / "report.png") as part:
        # No software version inside: the same report gives the same file.
        figure = draw_report(report)
        figure.savefig(part, format="png", dpi=110, facecolor="white", metadata={"Software": None})


def check_report_folder(out: str | Path) -> Path:
    """Refuse a folder that a report must not be written to.

    Args:
        out: A folder that is missing, empty, or holds a former report and nothing else.

    Returns:
        The folder.

    Raises:
        ValueError: `out` is a file, holds something else, or cannot be written to.
    """
    out = Path(out)
    check_own_files(out, REPORT_FILES)
    if out.is_dir() and any((out / name).exists() for name in REPORT_FILES):
        try:
            is_report = read_json(out / "report.json", dict).get("gnnkit_graph_report") is True
        except (OSError, ValueError):
            is_report = False
        if not is_report:
            raise ValueError(f"out: {out} holds other files (report.*); give a new or an empty folder")
    return out
