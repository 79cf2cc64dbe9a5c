"""Drawings of graphs with matplotlib."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import networkx as nx
from torch import Tensor

from gnnkit.graph.checks import check_graph
from gnnkit.graph.formats import as_data, to_networkx
from gnnkit.graph.receptive import hop_distances, node_id, shortest_paths

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_adjacency", "draw_receptive_field"]

_UNREACHED = "#d9d9d9"
_PATH = "#d62728"


def draw_receptive_field(
    graph: Any,
    node: Hashable,
    *,
    source: Hashable | None = None,
    num_updates: int | None = None,
    axes: Axes | None = None,
) -> Figure:
    """Draw a graph, each node coloured by the number of updates after which `node` has heard of it.

    Args:
        graph: A PyG `Data` with `edge_index`; `node_names` label the nodes and `pos` places them, where they are there;
            or a networkx graph.
        node: Name or id of the node that listens.
        source: Name or id of a node whose shortest paths to `node` are drawn in red; None (default) draws none.
        num_updates: Nodes further away than this stay grey; None (default) colours all that are ever heard of.
        axes: Matplotlib axes to draw on; None (default) makes a new figure.

    Returns:
        The figure; `figure.savefig("receptive_field.png")` writes it.

    Raises:
        ValueError: No node has this name or id, `num_updates` is negative, or `axes` has been removed from its figure.

    Example:
        >>> from gnnkit.graph import six_node_graph
        >>> figure = draw_receptive_field(six_node_graph(), "E", source="C")
        >>> figure.axes[0].get_title()
        'Updates until E has heard of each node'
    """
    # Layers and models import this package too: they do not wait for matplotlib.
    from matplotlib import colormaps
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    if num_updates is not None and num_updates < 0:
        raise ValueError(f"num_updates must be 0 or more, got {num_updates}")
    graph = as_data(graph)
    listener = node_id(graph, node)
    edge_index, num_nodes = check_graph(graph)
    names = getattr(graph, "node_names", None)
    labels = {i: str(i if names is None else names[i]) for i in range(num_nodes)}
    picture = to_networkx(edge_index, None, num_nodes, self_loops="remove")
    # Distances *to* the listener are distances from it on the reversed edges.
    hops = hop_distances(edge_index.flip(0), [listener], num_nodes)[0].tolist()
    reach = max(hops) if num_updates is None else num_updates
    heard = [0 <= hop <= reach for hop in hops]

    if axes is None:
        axes = Figure(figsize=(7.0, 4.0), layout="constrained").add_subplot()
    palette = colormaps["viridis_r"]
    shade = {hop: palette(0.1 + 0.8 * hop / max(reach, 1)) for hop in range(reach + 1)}
    colors = [shade[hop] if seen else _UNREACHED for hop, seen in zip(hops, heard, strict=True)]
    if graph.pos is not None:
        places = {i: tuple(xy[:2]) for i, xy in enumerate(graph.pos.tolist())}
    else:
        places = nx.spring_layout(picture, seed=0)
    on_path = set()
    if source is not None:
        unnamed = graph.__class__(edge_index=edge_index, num_nodes=num_nodes)
        for path in shortest_paths(unnamed, node_id(graph, source), listener):
            on_path |= set(pairwise(path))
    _draw_edges(picture, places, on_path, axes)
    nx.draw_networkx_nodes(
        picture,
        places,
        node_color=colors,
        node_size=900,
        edgecolors=["black" if i == listener else "white" for i in range(num_nodes)],
        linewidths=2.0,
        ax=axes,
    )
    for i, (x, y) in places.items():
        dark = heard[i] and hops[i] / max(reach, 1) > 0.4
        axes.text(x, y, labels[i], ha="center", va="center", fontweight="bold", color="white" if dark else "black")

    counts = {hop: sum(h == hop for h in hops) for hop in shade}
    entries: list[tuple[Any, str]] = [
        (shade[hop], f"{hop} update{'' if hop == 1 else 's'}" + (f" ({labels[listener]} itself)" if hop == 0 else ""))
        for hop in shade
        if counts[hop]
    ]
    if not all(heard):
        entries.append((_UNREACHED, "never" if num_updates is None else f"not within {num_updates}"))
    handles: list[Any] = [Line2D([], [], marker="o", linestyle="", markersize=10, color=color) for color, _ in entries]
    axes.legend(handles, [text for _, text in entries], loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    axes.set_title(f"Updates until {labels[listener]} has heard of each node")
    axes.set_axis_off()
    axes.margins(0.12)
    figure = axes.get_figure(root=True)
    if figure is None:
        raise ValueError("axes belongs to no figure any more; pass axes of a figure, or None for a new one")
    return figure


def _draw_edges(picture: nx.DiGraph, places: dict, on_path: set[tuple[int, int]], axes: Axes) -> None:
    """Edges that go both ways as lines, the others as arrows, those on a shortest path as red arrows."""
    both = [(u, v) for u, v in picture.edges if picture.has_edge(v, u) and u < v and not on_path & {(u, v), (v, u)}]
    single = [(u, v) for u, v in picture.edges if not picture.has_edge(v, u) and (u, v) not in on_path]
    style = {"ax": axes, "node_size": 900}
    nx.draw_networkx_edges(picture, places, edgelist=both, arrowstyle="-", edge_color="#808080", width=1.5, **style)
    nx.draw_networkx_edges(picture, places, edgelist=single, edge_color="#808080", width=1.5, **style)
    nx.draw_networkx_edges(picture, places, edgelist=sorted(on_path), edge_color=_PATH, width=2.5, **style)


def draw_adjacency(
    adjacency: Tensor, names: Sequence[str] = (), *, title: str = "", axes: Axes | None = None
) -> Figure:
    """Draw a weighted graph as a picture of its matrix: who (row) hears whom (column), and how loud.

    Args:
        adjacency: Weights, rows are targets, as a layer multiplies them with features.
        names: Names of the nodes; they are written where there are at most 40.
        title: Above the picture.
        axes: Matplotlib axes to draw on; None (default) makes a new figure.

    Shape:
        `adjacency`: `[N, N]`.

    Returns:
        The figure.

    Raises:
        ValueError: `adjacency` is not square.

    Example:
        >>> import torch
        >>> draw_adjacency(torch.eye(3), "abc", title="loops").axes[0].get_title()
        'loops'
    """
    from matplotlib.figure import Figure

    if adjacency.dim() != 2 or adjacency.size(0) != adjacency.size(1):
        raise ValueError(f"adjacency must be square, [N, N], got {list(adjacency.shape)}")
    figure = Figure(figsize=(6.4, 5.6), layout="constrained") if axes is None else axes.figure
    axes = figure.add_subplot() if axes is None else axes
    image = axes.imshow(adjacency.detach().cpu().numpy(), cmap="Blues", vmin=0.0, interpolation="nearest")
    figure.colorbar(image, ax=axes, label="weight")
    axes.set_title(title)
    axes.set_xlabel("is heard")
    axes.set_ylabel("hears")
    if 0 < len(names) <= 40:
        axes.set_xticks(range(len(names)), names, rotation=90, fontsize=7)
        axes.set_yticks(range(len(names)), names, fontsize=7)
    return figure  # pyright: ignore[reportReturnType]
