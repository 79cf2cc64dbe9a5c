"""Over-smoothing: when do the nodes become the same? Dirichlet energy and mean average distance, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch_geometric.nn import MessagePassing

from gnnkit.graph.checks import check_edge_index, check_edge_weight
from gnnkit.graph.receptive import evaluating

__all__ = ["LayerSmoothness", "dirichlet_energy", "mean_average_distance", "smoothness_by_layer"]

# Numbers that are held at once: pairs of nodes times features are looked at in parts.
_BUDGET = 4_000_000


def dirichlet_energy(
    x: Float[Tensor, "*batch N C"],
    edge_index: Int[Tensor, "2 E"],
    edge_weight: Tensor | None = None,
    *,
    normalization: Literal["symmetric", "none"] = "symmetric",
) -> Float[Tensor, "*batch"]:
    r"""How much features differ along edges: 0 where nothing is left that tells neighbours apart.

        "symmetric":  E = 1/2 sum over edges j → i of w_ji |x_i / sqrt(1 + d_i) - x_j / sqrt(1 + d_j)|²
        "none":       E = 1/(2 N) sum over edges j → i of w_ji |x_i - x_j|²

    d is the weighted in-degree without self-loops. The first is zero on what plain graph convolution ends in, features
    proportional to sqrt(1 + d), the second on features that are all the same. Each undirected edge counts once, in both
    directions together; directions that lack their counterpart count as they stand.

    Args:
        x: Features; leading axes are batches on the same graph.
        edge_index: Sources and targets.
        edge_weight: Weights `[E]`, not negative. Default: ones.
        normalization: `"symmetric"` (default) or `"none"`.

    Returns:
        The energy; it is differentiable in `x`.

    Raises:
        ValueError: A malformed graph, or another `normalization`.

    Source:
        Cai & Wang, "A note on over-smoothing for graph neural networks" (2020), definition 3.1 ("symmetric"); Rusch et
        al., "A survey on oversmoothing in graph neural networks" (2023), equation 3 ("none", here halved).

    Example:
        >>> edges = torch.tensor([[0, 1], [1, 0]])
        >>> dirichlet_energy(torch.tensor([[1.0], [3.0]]), edges, normalization="none").item()
        2.0
    """
    if normalization not in ("symmetric", "none"):
        raise ValueError(f"normalization must be 'symmetric' or 'none', got {normalization!r}")
    num_nodes = x.size(-2)
    source, target = check_edge_index(edge_index, num_nodes).long()
    check_edge_weight(edge_weight, source.numel())
    weight = x.new_ones(source.numel()) if edge_weight is None else edge_weight.to(x.dtype)
    if normalization == "symmetric":
        degree = weight.new_zeros(num_nodes).index_add(0, target, weight * (source != target))
        x = x * (1 + degree).rsqrt().unsqueeze(-1)
    energy = x.new_zeros(x.shape[:-2])
    width = max(1, x.numel() // max(1, num_nodes))
    for part in torch.arange(source.numel(), device=x.device).split(max(1, _BUDGET // width)):
        change = x.index_select(-2, source[part]) - x.index_select(-2, target[part])
        energy = energy + (change.square().sum(-1) * weight[part]).sum(-1)
    return energy / 2 if normalization == "symmetric" else energy / (2 * max(num_nodes, 1))


def mean_average_distance(
    x: Float[Tensor, "N C"],
    edge_index: Int[Tensor, "2 E"] | None = None,
) -> float:
    r"""How far apart the nodes' features point: the mean cosine distance, 0 where all point the same way.

        D_ij = 1 - x_i·x_j / (|x_i| |x_j|),   D_i = mean of the D_ij that are not 0,   MAD = mean of the D_i not 0

    Args:
        x: Features; a row of zeros is at distance 1 from all others.
        edge_index: The pairs that are looked at, sources and targets; None (default) takes all pairs.

    Returns:
        The distance, from 0 to 2; 0 where there is no pair.

    Raises:
        ValueError: A malformed edge list.

    Source:
        Chen et al., "Measuring and relieving the over-smoothing problem for graph neural networks from the topological
        view" (2020), equations 2 to 4. Distances below the rounding error of the type count as 0.

    Example:
        >>> mean_average_distance(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
        1.0
    """
    num_nodes = x.size(0)
    unit = torch.nn.functional.normalize(x.detach(), dim=-1)
    tolerance = 8 * torch.finfo(x.dtype).eps
    total = x.new_zeros(num_nodes, dtype=torch.float64)
    count = torch.zeros_like(total)
    if edge_index is None:
        for rows in torch.arange(num_nodes, device=x.device).split(max(1, _BUDGET // max(1, num_nodes))):
            distance = (1 - unit[rows] @ unit.t()).double()
            distance[torch.arange(rows.numel()), rows] = 0.0
            distance.masked_fill_(distance.abs() <= tolerance, 0.0)
            total[rows] = distance.sum(dim=1)
            count[rows] = (distance != 0).double().sum(dim=1)
    else:
        source, target = check_edge_index(edge_index, num_nodes).long()
        for part in torch.arange(source.numel(), device=x.device).split(max(1, _BUDGET // max(1, x.size(1)))):
            i, j = target[part], source[part]
            distance = (1 - (unit[i] * unit[j]).sum(-1)).double()
            distance.masked_fill_((distance.abs() <= tolerance) | (i == j), 0.0)
            total.index_add_(0, i, distance)
            count.index_add_(0, i, (distance != 0).double())
    mean = total / count.clamp(min=1)
    seen = mean != 0
    return float(mean[seen].mean()) if bool(seen.any()) else 0.0


@dataclass(frozen=True)
class LayerSmoothness:
    """How alike the nodes are behind one layer.

    Args:
        name: The layer's name in the model; `"input"` for the features themselves.
        energy: Dirichlet energy, over the squared size of the features: `dirichlet_energy(x) / |x|²`, so that it does
            not fall because features shrink.
        raw_energy: The Dirichlet energy itself.
        distance: Mean average distance along edges.
    """

    name: str
    energy: float
    raw_energy: float
    distance: float


def smoothness_by_layer(
    model: nn.Module,
    x: Tensor,
    edge_index: Int[Tensor, "2 E"],
    *args: Any,
    normalization: Literal["symmetric", "none"] = "symmetric",
) -> list[LayerSmoothness]:
    """Measure over-smoothing behind each message-passing layer of any PyG model, in evaluation mode.

    Args:
        model: Called as `model(x, edge_index, *args)`.
        x: Features, dense, or sparse where the model takes them.
        edge_index: The edges, `[2, E]`.
        *args: Passed on to the model.
        normalization: Of the energy: see `dirichlet_energy`.

    Returns:
        The features' own smoothness, then that of each `MessagePassing` module's output, in the order of the calls.

    Raises:
        ValueError: The model has no message-passing module.

    Example:
        >>> from gnnkit.graph import six_node_graph
        >>> from torch_geometric.nn import GCN
        >>> found = smoothness_by_layer(GCN(4, 8, 3), torch.randn(6, 4), six_node_graph().edge_index)
        >>> [layer.name for layer in found]
        ['input', 'convs.0', 'convs.1', 'convs.2']
    """
    outputs: list[tuple[str, Tensor]] = [("input", x.to_dense() if x.layout != torch.strided else x)]
    hooks = []
    for name, module in model.named_modules():
        if isinstance(module, MessagePassing):

            def catch(_: nn.Module, __: Any, out: Any, name: str = name or type(module).__name__) -> None:
                outputs.append((name, (out[0] if isinstance(out, tuple) else out).detach()))

            hooks.append(module.register_forward_hook(catch))
    if not hooks:
        raise ValueError("model holds no MessagePassing module to look behind; pass a PyG model")
    try:
        with evaluating(model), torch.no_grad():
            model(x, edge_index, *args)
    finally:
        for hook in hooks:
            hook.remove()
    found = []
    for name, h in outputs:
        raw = float(dirichlet_energy(h.double(), edge_index, normalization=normalization))
        size = float(h.double().square().sum())
        found.append(LayerSmoothness(name, raw / size if size > 0 else 0.0, raw, mean_average_distance(h, edge_index)))
    return found
