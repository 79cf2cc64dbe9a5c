"""What the layers check before they compute, so that a user's mistake is named instead of failing deep in a kernel."""

from __future__ import annotations

import warnings
from numbers import Integral
from typing import Any, NoReturn

import torch
from torch import Tensor, nn
from torch_geometric import EdgeIndex
from torch_geometric.nn.aggr import Aggregation
from torch_geometric.nn.dense.linear import Linear, is_uninitialized_parameter
from torch_geometric.typing import OptPairTensor
from torch_geometric.utils import is_torch_sparse_tensor

from gnnkit.graph.checks import check_adj_t, check_edge_index

_FILLS = ("add", "sum", "mean", "min", "max", "mul")


def check_size(name: str, value: Any) -> None:
    """Check that a setting is a whole number of at least 1."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}")


def check_features(x: Tensor, width: int | nn.Module, *, name: str = "x", flat: bool = False) -> None:
    """Check node features `[..., N, F]` (`flat`: `[N, F]`) against the width that a linear map expects.

    Below 1 any width will do; the map itself in its place expects none where it waits for its first input, or is
    another module that somebody has put there.
    """
    shape = "[N, F]" if flat else "[..., N, F]"
    if not isinstance(x, Tensor):
        raise ValueError(f"{name} must be a tensor of node features {shape}, got {type(x).__name__}")
    if not x.is_floating_point() and not x.is_complex():
        raise ValueError(f"{name} must be of a floating-point type, got {x.dtype}; convert it with .float()")
    if x.dim() < 2 or (flat and x.dim() != 2):
        raise ValueError(f"{name} must have shape {shape}, got {list(x.shape)}; flatten batches into one large graph")
    if isinstance(width, nn.Module):
        width = _width_of(width, x.size(-1))
    if width > 0 and x.size(-1) != width:
        raise ValueError(
            f"{name} has {x.size(-1)} features per node, the layer was made for {width} (in_channels), got shape "
            f"{list(x.shape)}; change one of the two, or pass in_channels=-1"
        )


def _width_of(lin: nn.Module, given: int) -> int:
    """Features that a map expects, 0 where that is not known."""
    if not isinstance(lin, Linear):
        return 0
    if lin.in_channels <= 0 or lin.in_channels == given or is_uninitialized_parameter(lin.weight):
        return lin.in_channels
    return lin.weight.size(-1)  # somebody may have put another weight there, say one with fewer columns


def check_graph_input(edge_index: Tensor, num_nodes: tuple[int, int], *, ids: bool = True) -> int:
    """Check a graph in any format against the counts of sources and targets, and return its number of edges.

    Without `ids` the node ids of an edge list are not looked at, which whoever sorts it does anyway.
    """
    if isinstance(edge_index, Tensor) and edge_index.layout != torch.strided:
        check_adj_t(edge_index, num_nodes)
        return edge_index.values().size(0) if edge_index.layout == torch.sparse_csr else edge_index._nnz()
    return check_edge_index(edge_index, num_nodes, ids=ids).size(1)


def for_steps(edge_index: Tensor) -> Tensor:
    """A graph as PyG's steps take it: with ids of int64, for those of int32 give torch's scatters wrong gradients."""
    return edge_index.long() if edge_index.layout == torch.strided else edge_index


def check_weighted_graph(
    edge_index: Tensor,
    edge_weight: Tensor | None,
    num_nodes: int | tuple[int, int],
    *,
    normalize: bool,
    ids: bool = True,
) -> tuple[Tensor, Tensor | None]:
    """Check a graph and the weights of its edges, and bring them into the form that the layers compute with.

    Weights have E entries in any shape, or, where they are not normalised, one for all edges; to be divided by degrees
    they must be floating-point (or complex). A CSC graph becomes CSR; beside a sparse graph weights are left out with a
    warning.
    """
    edge_index = _without_csc(edge_index)
    sizes = (num_nodes, num_nodes) if isinstance(num_nodes, int) else num_nodes
    num_edges = check_graph_input(edge_index, sizes, ids=ids)
    if edge_weight is None:
        return edge_index, None
    if edge_index.layout != torch.strided:
        _warn(
            "edge_weight plays no part beside a sparse adj_t, whose values are the weights (as in PyG); put the "
            "weights into adj_t, or pass an edge list"
        )
        return edge_index, None
    if not isinstance(edge_weight, Tensor):
        raise ValueError(f"edge_weight must be a tensor [{num_edges}], got {type(edge_weight).__name__}")
    if not normalize and edge_weight.numel() == 1:
        return edge_index, edge_weight.reshape(1).expand(num_edges)
    if edge_weight.numel() != num_edges or (normalize and edge_weight.dim() != 1 and edge_weight.size(0) != num_edges):
        raise ValueError(
            f"edge_weight must have shape [{num_edges}], one entry for each edge, got {list(edge_weight.shape)}; give "
            "edge_weight in the order of edge_index"
        )
    if normalize and not edge_weight.is_floating_point() and not edge_weight.is_complex():
        raise ValueError(
            f"edge_weight must be of a floating-point type where it is normalised, got {edge_weight.dtype}; convert it "
            "with .float()"
        )
    return edge_index, edge_weight if edge_weight.dim() == 1 else edge_weight.reshape(num_edges)


def _warn(message: str) -> None:
    """Say something at the line that called the layer; a tracer would stop at it."""
    if not torch.compiler.is_compiling():
        warnings.warn(message, stacklevel=7)  # past the checks, the layer and torch's own calls


def _without_csc(edge_index: Tensor) -> Tensor:
    """A sparse CSC graph as CSR, which the layers know; anything else as it is."""
    if isinstance(edge_index, Tensor) and edge_index.layout == torch.sparse_csc:
        return edge_index.to_sparse_csr()
    return edge_index


def _from_csc_order(adj_t: Tensor, edge_attr: Tensor) -> Tensor:
    """Features of a CSC graph's edges in the order in which they are once it is CSR."""
    count = adj_t.values().size(0)
    if not isinstance(edge_attr, Tensor) or edge_attr.dim() == 0 or edge_attr.size(0) != count:
        return edge_attr  # which is then refused
    order = torch.arange(count, device=adj_t.device)
    numbered = torch.sparse_csc_tensor(adj_t.ccol_indices(), adj_t.row_indices(), order, adj_t.shape)
    return edge_attr[numbered.to_sparse_csr().values()]


def linear_maps(layer: Any) -> tuple[nn.Module, nn.Module]:
    """The maps of an attention layer's sources and targets: one and the same unless it was made for two kinds."""
    return (layer.lin, layer.lin) if layer.lin is not None else (layer.lin_src, layer.lin_dst)


def has_edge_values(edge_index: Tensor) -> bool:
    """Tell whether a sparse graph has rows of numbers as values, which PyG takes as the features of its edges."""
    return is_torch_sparse_tensor(edge_index) and edge_index.values().dim() > 1


def refuse_edge_features(layer: Any, edge_attr: Tensor | None) -> None:
    """Say that a layer was made without features of edges, where PyG's fails without a word."""
    if edge_attr is not None and layer.lin_edge is None and not layer._own_hooks:
        raise ValueError(
            "edge_attr cannot be given: the layer was made without edge_dim; pass edge_dim to the constructor, or no "
            "edge_attr"
        )


def check_attention_call(
    layer: Any,
    x: Tensor | OptPairTensor,
    edge_index: Tensor,
    edge_attr: Tensor | None,
    size: tuple[int, int] | None,
    *,
    maps: tuple[nn.Module, nn.Module] | None = None,
) -> tuple[Tensor, Tensor | None, tuple[int, int] | None]:
    """Check the arguments of an attention layer's call, and bring them into the form that the layer computes with.

    `maps` are those of sources and targets, for a layer whose targets must have features; else they are `linear_maps`.
    Returned are the graph, a CSC one as CSR; the features of its edges; and the counts of sources and targets, those of
    a sparse graph where targets have no features that would tell.
    """
    if edge_attr is not None and isinstance(edge_index, Tensor) and edge_index.layout == torch.sparse_csc:
        edge_attr = _from_csc_order(edge_index, edge_attr)
    edge_index = _without_csc(edge_index)
    reversed_flow = layer.flow == "target_to_source"
    if size is None and not isinstance(x, Tensor) and is_torch_sparse_tensor(edge_index):
        size = (edge_index.size(1), edge_index.size(0)) if len(x) == 2 and x[1] is None else None
    if maps is not None and isinstance(x, tuple | list) and len(x) == 2 and x[1] is None:
        raise ValueError(
            "x[1] must be a tensor of node features [N, F], got NoneType: the targets' features are needed"
        )
    if size is None and not layer.add_self_loops and isinstance(edge_index, EdgeIndex) and not isinstance(x, Tensor):
        sources, targets = edge_index.sparse_size()
        known = sources is not None and targets is not None and not reversed_flow
        size = (sources, targets) if known and len(x) == 2 and x[1] is None else None  # pyright: ignore
    senders, receivers = _check_senders_and_receivers(x, maps or linear_maps(layer), size)
    sizes = (receivers, senders) if reversed_flow else (senders, receivers)
    num_edges = check_graph_input(edge_index, sizes, ids=False)  # see `check_attention_ids`
    if edge_attr is not None:
        edge_attr = _check_edge_features(layer, edge_index, edge_attr, num_edges)
    return edge_index, edge_attr, size


def _check_edge_features(layer: Any, edge_index: Tensor, edge_attr: Tensor, num_edges: int) -> Tensor:
    """Check the features of edges; as in PyG, they play no part in a layer that was made without `edge_dim`."""
    lin, loops = layer.lin_edge, layer.add_self_loops
    if loops and is_torch_sparse_tensor(edge_index):
        raise ValueError(
            "edge_attr cannot be given beside a sparse adj_t to which self-loops are added; pass an edge list, or "
            "add_self_loops=False"
        )
    if lin is None:
        if not layer._own_hooks:
            _warn(
                "edge_attr plays no part: the layer was made without edge_dim (as in PyG); pass edge_dim to the "
                "constructor, or no edge_attr"
            )
        if not loops:
            return edge_attr
    if not isinstance(edge_attr, Tensor) or edge_attr.dim() == 0 or edge_attr.size(0) != num_edges:
        got = list(edge_attr.shape) if isinstance(edge_attr, Tensor) else type(edge_attr).__name__
        raise ValueError(
            f"edge_attr must have one entry for each of the {num_edges} edges, got shape {got}; give edge_attr in the "
            "order of edge_index"
        )
    if lin is None:
        return edge_attr
    # Beside loops whose features are a mean, sum, ... of them, whole numbers turn into floating-point ones.
    if not (edge_attr.is_floating_point() or edge_attr.is_complex()) and not (
        loops and isinstance(layer.fill_value, str)
    ):
        raise ValueError(f"edge_attr must be of a floating-point type, got {edge_attr.dtype}; convert it with .float()")
    width = 1 if edge_attr.dim() == 1 else edge_attr.size(-1)
    expected = _width_of(lin, width)
    if (expected > 0 and width != expected) or edge_attr.numel() != num_edges * width:
        shape = f"[{num_edges}, {expected if expected > 0 else 'edge_dim'}]"
        raise ValueError(f"edge_attr must have shape {shape} (edge_dim), got {list(edge_attr.shape)}")
    return edge_attr if edge_attr.dim() <= 2 else edge_attr.reshape(num_edges, width)


def check_attention_ids(layer: Any, h: OptPairTensor, edge_index: Tensor, size: tuple[int, int] | None) -> None:
    """Check the node ids of an attention layer's graph, where no op does it."""
    senders = h[0].size(0)
    receivers = h[1].size(0) if h[1] is not None else senders if size is None else size[1]
    check_graph_input(edge_index, (senders, receivers) if layer.flow == "source_to_target" else (receivers, senders))


def check_pair_ids(layer: Any, source: Tensor, target: Tensor, edge_index: Tensor) -> None:
    """`check_attention_ids` for a layer that has rows of sources and rows of targets."""
    senders, receivers = source.size(0), target.size(0)
    check_graph_input(edge_index, (senders, receivers) if layer.flow == "source_to_target" else (receivers, senders))


def _check_senders_and_receivers(
    x: Tensor | OptPairTensor, linears: tuple[nn.Module, nn.Module], size: tuple[int, int] | None
) -> tuple[int, int]:
    """Check the features of both sides and return the counts of senders and receivers of messages."""
    if isinstance(x, Tensor):
        for linear in linears:
            check_features(x, linear, flat=True)
        return x.size(0), x.size(0)
    if not isinstance(x, tuple | list) or len(x) != 2:
        raise ValueError(f"x must be a tensor [N, F] or a pair of tensors (sources, targets), got {type(x).__name__}")
    source, target = x
    check_features(source, linears[0], name="x[0]", flat=True)
    if target is not None:
        check_features(target, linears[1], name="x[1]", flat=True)
        return source.size(0), target.size(0)
    return source.size(0), source.size(0) if size is None else size[1]


def check_attention_settings(
    out_channels: int, heads: int, dropout: float, edge_dim: int | None, fill_value: float | Tensor | str
) -> None:
    """Check an attention layer's constructor: see the layer for what is allowed."""
    for name, value in (("out_channels", out_channels), ("heads", heads)):
        if value < 1:
            raise ValueError(f"{name} must be 1 or more, got {value}")
    if not 0.0 <= dropout <= 1.0:
        raise ValueError(f"dropout must be a probability from 0 to 1, got {dropout}")
    if isinstance(fill_value, str) and fill_value not in _FILLS:
        raise ValueError(f"fill_value must be a number, a tensor or one of {', '.join(_FILLS)}, got {fill_value!r}")
    if isinstance(fill_value, Tensor) and edge_dim is not None and fill_value.numel() not in (1, max(edge_dim, 1)):
        raise ValueError(f"fill_value must have edge_dim = {edge_dim} entries or one, got {list(fill_value.shape)}")


def check_widths(in_channels: Any, out_channels: Any, *, lazy: bool = True) -> None:
    """Refuse numbers of channels below 0, which torch refuses without a name; -1 is a lazy `in_channels`."""
    for name, value, least in (("in_channels", in_channels, -1 if lazy else 0), ("out_channels", out_channels, 0)):
        if isinstance(value, (tuple, list)) and (len(value) != 2 or name == "out_channels"):
            raise ValueError(f"{name} must be a number of channels, got {value!r}")
        for each in value if isinstance(value, (tuple, list)) else (value,):
            if isinstance(each, (int, float)) and not each >= least:
                raise ValueError(f"{name} must be a number of channels, got {value!r}")


def check_aggr(aggr: Any) -> None:
    """Check what a layer aggregates with: PyG takes any other value, and its layer then fails to print itself."""
    kinds = [aggr] if isinstance(aggr, (str, Aggregation)) or aggr is None else aggr
    if not isinstance(kinds, (list, tuple)) or not all(
        isinstance(kind, (str, Aggregation, type(None))) for kind in kinds
    ):
        raise ValueError(f"aggr must be a name such as 'add' or 'mean', a list of them or an Aggregation, got {aggr!r}")


def refuse_torchscript(layer: Any) -> NoReturn:
    """Say of a layer what there is in the place of `torch.jit.script`."""
    raise NotImplementedError(
        f"TorchScript cannot compile {type(layer).__name__}, whose call takes and returns now one thing and now "
        "another; use torch.compile, torch.export or torch.jit.trace"
    )
