"""How far news travels on a graph: hop distances, shortest paths, and receptive fields measured by gradients."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import networkx as nx
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from gnnkit.graph.checks import check_edge_index, check_graph
from gnnkit.graph.formats import as_data, to_networkx
from gnnkit.ops import hop_levels

__all__ = [
    "evaluating",
    "hop_distances",
    "k_hop_nodes",
    "node_id",
    "receptive_field",
    "shortest_paths",
    "updates_needed",
]

Node = Hashable


def hop_distances(
    edge_index: Int[Tensor, "2 E"], sources: Int[Tensor, " S"] | Sequence[int] | int, num_nodes: int
) -> Int[Tensor, "S N"]:
    """Count the edges on the shortest way from each source to each node, along the edges' direction.

    A message-passing layer moves news by one hop, so this is also the number of layers that news from the source needs.

    Args:
        edge_index: Sources and targets; self-loops and duplicate edges change nothing.
        sources: Ids of the S nodes to start from; one int stands for a list of one.
        num_nodes: Node count N.

    Returns:
        The distances, int64, on the device of `edge_index`; -1 where no way leads from the source to the node.

    Raises:
        ValueError: A malformed edge list, or a source outside `0 .. num_nodes - 1`.

    Example:
        >>> hop_distances(torch.tensor([[0, 1], [1, 2]]), [0, 2], num_nodes=4).tolist()
        [[0, 1, 2, -1], [-1, -1, 0, -1]]
    """
    plain = check_edge_index(edge_index, num_nodes)
    starts = _node_ids(sources, num_nodes, "sources")
    return hop_levels(plain.long(), starts, num_nodes, dtype=torch.int32).long()


def _node_ids(nodes: Tensor | Sequence[int] | int, num_nodes: int, name: str) -> Tensor:
    ids = torch.as_tensor([nodes] if isinstance(nodes, int) else nodes).cpu()
    if ids.numel() == 0:
        return ids.long().view(-1)
    if ids.dim() != 1 or ids.is_floating_point() or ids.dtype == torch.bool:
        raise ValueError(f"{name} must be a list of node ids, got {ids.dtype} of shape {list(ids.shape)}")
    if int(ids.min()) < 0 or int(ids.max()) >= num_nodes:
        wrong = int(ids.min()) if int(ids.min()) < 0 else int(ids.max())
        raise ValueError(f"{name} holds node id {wrong}, allowed: 0 .. {num_nodes - 1} ({num_nodes} nodes)")
    return ids.long()


def k_hop_nodes(
    edge_index: Int[Tensor, "2 E"],
    nodes: Int[Tensor, " S"] | Sequence[int] | int,
    num_hops: int,
    num_nodes: int,
    *,
    direction: Literal["incoming", "outgoing"] = "incoming",
) -> Int[Tensor, " M"]:
    """List the nodes within `num_hops` edges of `nodes`, these included.

    Args:
        edge_index: Sources and targets.
        nodes: Ids of the nodes to start from; one int stands for a list of one.
        num_hops: Number of edges k, 0 or more.
        num_nodes: Node count N.
        direction: `"incoming"` (default): those that `nodes` hear of after k updates, their receptive field;
            `"outgoing"`: those that hear of `nodes`.

    Returns:
        The ids, int64, ascending.

    Raises:
        ValueError: A malformed edge list, a node outside `0 .. num_nodes - 1`, a negative `num_hops`, or an unknown
            `direction`.

    Example:
        >>> k_hop_nodes(torch.tensor([[0, 1, 2], [1, 2, 3]]), 3, num_hops=2, num_nodes=4).tolist()
        [1, 2, 3]
    """
    if num_hops < 0:
        raise ValueError(f"num_hops must be 0 or more, got {num_hops}")
    if direction not in ("incoming", "outgoing"):
        raise ValueError(f"direction must be 'incoming' or 'outgoing', got {direction!r}")
    source, target = check_edge_index(edge_index, num_nodes).long()
    if direction == "incoming":
        source, target = target, source
    reached = torch.zeros(num_nodes, dtype=torch.bool, device=source.device)
    reached[_node_ids(nodes, num_nodes, "nodes").to(source.device)] = True
    for _ in range(min(num_hops, num_nodes)):
        before = int(reached.sum())
        reached[target[reached[source]]] = True
        if int(reached.sum()) == before:
            break
    return reached.nonzero().view(-1)


def node_id(graph: Any, node: Node) -> int:
    """Find a node by its name in `graph.node_names`, or take its id as it is.

    Args:
        graph: A PyG `Data`, with or without `node_names`, or a networkx graph.
        node: A name, or an id from 0 to N - 1.

    Returns:
        The id.

    Raises:
        ValueError: No node has this name or id.

    Example:
        >>> from gnnkit.graph import six_node_graph
        >>> node_id(six_node_graph(), "C"), node_id(six_node_graph(), 2)
        (2, 2)
    """
    graph = as_data(graph)
    names = getattr(graph, "node_names", None)
    if names is not None and node in names:
        return list(names).index(node)
    num_nodes = check_graph(graph)[1]
    if isinstance(node, int) and 0 <= node < num_nodes:
        return node
    known = (
        ""
        if names is None
        else f" or one of {', '.join(map(str, list(names)[:12]))}{', ...' if len(names) > 12 else ''}"
    )
    raise ValueError(f"node {node!r} is not in the graph, allowed: 0 .. {num_nodes - 1}{known}")


def updates_needed(graph: Any, source: Node, target: Node) -> int:
    """Count the message-passing updates until news from `source` has reached `target`.

    Args:
        graph: A PyG `Data` with `edge_index`, and `node_names` where nodes are given by name; or a networkx graph.
        source: Name or id of the node that has the news.
        target: Name or id of the node that is to hear it.

    Returns:
        The number of updates; 0 where both are one node, -1 where no number of updates is enough.

    Raises:
        ValueError: No node has this name or id.

    Source:
        The course report from which gnnkit grew, section 3.2.

    Example:
        >>> from gnnkit.graph import six_node_graph
        >>> updates_needed(six_node_graph(), "C", "E")
        4
    """
    graph = as_data(graph)
    edge_index, num_nodes = check_graph(graph)
    return int(hop_distances(edge_index, [node_id(graph, source)], num_nodes)[0, node_id(graph, target)])


def shortest_paths(graph: Any, source: Node, target: Node) -> list[tuple[Any, ...]]:
    """List all shortest paths from `source` to `target`, along the edges' direction.

    Args:
        graph: A PyG `Data` with `edge_index`, and `node_names` where paths are wanted in names; or a networkx graph.
        source: Name or id of the first node.
        target: Name or id of the last node.

    Returns:
        The paths, each the tuple of its nodes' names (ids where the graph has no names), in ascending order of ids; an
        empty list where no path leads there. A grid has very many of them.

    Raises:
        ValueError: No node has this name or id.

    Example:
        >>> from gnnkit.graph import six_node_graph
        >>> ["-".join(path) for path in shortest_paths(six_node_graph(), "C", "E")]
        ['C-D-B-A-E', 'C-D-F-A-E']
    """
    graph = as_data(graph)
    edge_index, num_nodes = check_graph(graph)
    first, last = node_id(graph, source), node_id(graph, target)
    try:
        paths = sorted(nx.all_shortest_paths(to_networkx(edge_index, None, num_nodes), first, last))
    except nx.NetworkXNoPath:
        return []
    names = getattr(graph, "node_names", None) or range(num_nodes)
    return [tuple(names[node] for node in path) for path in paths]


@contextmanager
def evaluating(*models: nn.Module) -> Iterator[None]:
    """Put models into evaluation mode for a block, and each of their parts back into its own afterwards."""
    modes = [(part, part.training) for model in models for part in model.modules()]
    try:
        for model in models:
            model.eval()
        yield
    finally:
        for part, mode in modes:
            part.training = mode


def receptive_field(
    model_or_layers: Callable[..., Tensor] | Sequence[Callable[..., Tensor]],
    x: Float[Tensor, "*batch N F"],
    edge_index: Tensor,
    *args: Any,
    nodes: Tensor | Sequence[int] | int | None = None,
    output_axis: int = -2,
) -> Float[Tensor, "S N"]:
    r"""Measure by gradients how strongly each node's input acts on the output of some nodes.

        I[s, j] = sum_c sum_f |d out[nodes[s], c] / d x[j, f]|

    Zero means that j is outside of the receptive field (or that a unit on the way is dead, as behind a ReLU). A module
    is measured in evaluation mode, so that dropout hides nothing, and put back into its mode.

    Args:
        model_or_layers: Called as `model(x, edge_index, *args)`, or a list of such layers, applied one after another.
        x: Features with the nodes on the last axis but one.
        edge_index: The graph, in any format that the model takes.
        *args: Passed on to the model, or to each of the layers: edge weights, for example.
        nodes: Ids of the S nodes whose output is looked at; None (default) takes all.
        output_axis: The axis of the output that holds the nodes: -2 (default), or -1 for a forecaster's `[B, P, N]`.

    Returns:
        The influence I; `I > 0` is the receptive field. It costs a backward pass for each entry of the output.

    Raises:
        ValueError: `x` has no node axis or is not of a floating-point type, or a node is outside `0 .. N - 1`.

    Example:
        >>> from gnnkit.graph import six_node_graph
        >>> from gnnkit.layers import GCNLayer
        >>> graph = six_node_graph()
        >>> influence = receptive_field(GCNLayer(4, 4), torch.randn(6, 4), graph.edge_index, nodes=[2])
        >>> influence[0].nonzero().view(-1).tolist()  # C hears itself and D
        [2, 3]
    """
    if not isinstance(x, Tensor):
        raise ValueError(f"x must be floating-point features [..., N, F], got {type(x).__name__}")
    if x.dim() < 2 or not x.is_floating_point():
        raise ValueError(f"x must be floating-point features [..., N, F], got {x.dtype} of shape {list(x.shape)}")
    num_nodes = x.size(-2)
    rows = _node_ids(range(num_nodes) if nodes is None else nodes, num_nodes, "nodes")
    layers = model_or_layers if isinstance(model_or_layers, Sequence | nn.ModuleList) else [model_or_layers]
    modules = [layer for layer in layers if isinstance(layer, nn.Module)]
    inputs = x.detach().clone().requires_grad_()
    with evaluating(*modules), torch.enable_grad():
        out = inputs
        for layer in layers:
            out = layer(out, edge_index, *args)
        out = out.movedim(output_axis, 0)
    influence = torch.zeros(rows.numel(), num_nodes, dtype=x.dtype, device=x.device)
    if not out.requires_grad:  # the model does not look at x
        return influence
    for s, row in enumerate(rows.tolist()):
        for entry in range(out[row].numel()):
            chosen = torch.zeros_like(out, memory_format=torch.contiguous_format)
            chosen[row].view(-1)[entry] = 1.0
            (gradient,) = torch.autograd.grad(out, inputs, chosen, retain_graph=True, allow_unused=True)
            if gradient is not None:
                influence[s] += gradient.abs().sum(-1).reshape(-1, num_nodes).sum(0)
    return influence
