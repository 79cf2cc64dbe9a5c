"""What the layers check before they compute, so that a user's mistake is named instead of failing deep in a kernel."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch_geometric.nn.dense.linear import Linear
from torch_geometric.typing import OptPairTensor
from torch_geometric.utils import is_torch_sparse_tensor

from gnnkit.graph.checks import check_adj_t, check_edge_index, check_edge_weight

__all__ = [
    "check_attention_call",
    "check_attention_ids",
    "check_attention_settings",
    "check_features",
    "check_graph_input",
    "linear_maps",
]

_FILLS = ("add", "sum", "mean", "min", "max", "mul")


def check_features(x: Tensor, width: int, *, name: str = "x", flat: bool = False) -> None:
    """Check node features against the width that a linear map expects.

    Args:
        x: Features with the nodes on the last axis but one.
        width: Expected number of features; below 1 where the map still waits for its first input.
        name: The argument's name in the error.
        flat: True allows two axes alone, `[N, F]`.

    Raises:
        ValueError: Not a floating-point tensor of that width and number of axes.
    """
    shape = "[N, F]" if flat else "[..., N, F]"
    if not isinstance(x, Tensor):
        raise ValueError(f"{name} must be a tensor of node features {shape}, got {type(x).__name__}")
    if not x.is_floating_point():
        raise ValueError(f"{name} must be of a floating-point type, got {x.dtype}; convert it with .float()")
    if x.dim() < 2 or (flat and x.dim() != 2):
        raise ValueError(f"{name} must have shape {shape}, got {list(x.shape)}; flatten batches into one large graph")
    if width > 0 and x.size(-1) != width:
        raise ValueError(
            f"{name} has {x.size(-1)} features per node, the layer was made for {width} (in_channels), got shape "
            f"{list(x.shape)}; change one of the two, or pass in_channels=-1"
        )


def check_graph_input(edge_index: Tensor, num_nodes: tuple[int, int], *, ids: bool = True) -> int:
    """Check an edge list, an `EdgeIndex` or a sparse `adj_t` against the counts of sources and targets.

    Args:
        edge_index: The graph.
        num_nodes: Counts of sources and targets.
        ids: Whether to look at the node ids of an edge list, which whoever sorts it does anyway.

    Returns:
        The number of edges.

    Raises:
        ValueError: See `check_edge_index` and `check_adj_t`.
    """
    if isinstance(edge_index, Tensor) and edge_index.layout != torch.strided:
        check_adj_t(edge_index, num_nodes)
        return edge_index.values().size(0) if edge_index.layout == torch.sparse_csr else edge_index._nnz()
    return check_edge_index(edge_index, num_nodes, ids=ids).size(1)


def linear_maps(layer: Any) -> tuple[Linear, Linear]:
    """The maps of an attention layer's sources and targets: one and the same unless it was made for two kinds."""
    return (layer.lin, layer.lin) if layer.lin is not None else (layer.lin_src, layer.lin_dst)


def check_attention_call(
    layer: Any,
    x: Tensor | OptPairTensor,
    edge_index: Tensor,
    edge_attr: Tensor | None,
    size: tuple[int, int] | None,
) -> None:
    """Check the arguments of an attention layer's call.

    Args:
        layer: The layer, for the widths of its maps, its `flow` and `add_self_loops`.
        x: Features of all nodes, or those of sources and targets, the second of which may be None.
        edge_index: The graph, in any format.
        edge_attr: One row of features per edge, or None.
        size: Counts of sources and targets that the call names, or None.

    Raises:
        ValueError: See `check_features` and `check_graph_input`; or edge features where the layer takes none, of other
            length or width, or beside a sparse graph to which self-loops are to be added.
    """
    senders, receivers = _check_senders_and_receivers(x, linear_maps(layer), size)
    reversed_flow = layer.flow == "target_to_source"
    sizes = (receivers, senders) if reversed_flow else (senders, receivers)
    num_edges = check_graph_input(edge_index, sizes, ids=False)  # see `check_attention_ids`
    if edge_attr is None:
        return
    if layer.lin_edge is None:
        raise ValueError("edge_attr was given, but the layer was made without edge_dim; pass it to the constructor")
    check_edge_weight(edge_attr, num_edges, name="edge_attr")
    edge_dim = layer.lin_edge.in_channels  # below 1 while it waits for its first input
    width = 1 if edge_attr.dim() == 1 else edge_attr.size(-1)
    if edge_attr.dim() > 2 or (edge_dim > 0 and width != edge_dim):
        expected = f"[{num_edges}, {edge_dim}]" if edge_dim > 0 else f"[{num_edges}, edge_dim]"
        raise ValueError(f"edge_attr must have shape {expected} (edge_dim), got {list(edge_attr.shape)}")
    if layer.add_self_loops and is_torch_sparse_tensor(edge_index):
        raise ValueError(
            "edge_attr cannot be given beside a sparse adj_t to which self-loops are added; pass an edge list, or "
            "add_self_loops=False"
        )


def check_attention_ids(layer: Any, h: OptPairTensor, edge_index: Tensor, size: tuple[int, int] | None) -> None:
    """Check the node ids of an attention layer's graph, where no op does it.

    Args:
        layer: The layer, for its `flow`.
        h: Features of sources and targets, the second of which may be None.
        edge_index: The graph, in any format.
        size: Counts of sources and targets that the call names, or None.

    Raises:
        ValueError: See `check_edge_index`.
    """
    senders = h[0].size(0)
    receivers = h[1].size(0) if h[1] is not None else senders if size is None else size[1]
    check_graph_input(edge_index, (senders, receivers) if layer.flow == "source_to_target" else (receivers, senders))


def _check_senders_and_receivers(
    x: Tensor | OptPairTensor, linears: tuple[Linear, Linear], size: tuple[int, int] | None
) -> tuple[int, int]:
    """Check the features of both sides and return the counts of senders and receivers of messages."""
    if isinstance(x, Tensor):
        for linear in linears:
            check_features(x, linear.in_channels, flat=True)
        return x.size(0), x.size(0)
    if not isinstance(x, tuple | list) or len(x) != 2:
        raise ValueError(f"x must be a tensor [N, F] or a pair of tensors (sources, targets), got {type(x).__name__}")
    source, target = x
    check_features(source, linears[0].in_channels, name="x[0]", flat=True)
    if target is not None:
        check_features(target, linears[1].in_channels, name="x[1]", flat=True)
        return source.size(0), target.size(0)
    return source.size(0), source.size(0) if size is None else size[1]


def check_attention_settings(
    out_channels: int, heads: int, dropout: float, edge_dim: int | None, fill_value: float | Tensor | str
) -> None:
    """Check an attention layer's constructor.

    Args:
        out_channels: Features of a head, 1 or more.
        heads: Number of heads, 1 or more.
        dropout: Probability from 0 to 1.
        edge_dim: Features of an edge, or None.
        fill_value: A number, a tensor that fits `edge_dim`, or the name of a reduction.

    Raises:
        ValueError: One of them is out of range.
    """
    for name, value in (("out_channels", out_channels), ("heads", heads)):
        if value < 1:
            raise ValueError(f"{name} must be 1 or more, got {value}")
    if not 0.0 <= dropout <= 1.0:
        raise ValueError(f"dropout must be a probability from 0 to 1, got {dropout}")
    if isinstance(fill_value, str) and fill_value not in _FILLS:
        raise ValueError(f"fill_value must be a number, a tensor or one of {', '.join(_FILLS)}, got {fill_value!r}")
    if isinstance(fill_value, Tensor) and edge_dim is not None and fill_value.numel() not in (1, max(edge_dim, 1)):
        raise ValueError(f"fill_value must have edge_dim = {edge_dim} entries or one, got {list(fill_value.shape)}")
