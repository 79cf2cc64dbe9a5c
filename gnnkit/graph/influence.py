"""Influence by hop distance: whose features a node's output really listens to, from the Jacobian."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch._C import _functorch  # pyright: ignore[reportAttributeAccessIssue, reportMissingModuleSource]
from torch.func import vjp, vmap
from torch_geometric.nn import Linear, MessagePassing

from gnnkit.graph.checks import check_edge_index, check_edge_weight
from gnnkit.graph.receptive import _node_ids, evaluating
from gnnkit.ops import hop_levels

__all__ = ["count_hops", "influence_by_hop"]

# Numbers that are held at once where a row of derivatives is as wide as the features.
_ROW_BUDGET = 200_000
_BATCH_BUDGET = 20_000_000
# Nodes that are done together.
_TOGETHER = 64


def count_hops(model: nn.Module) -> int:
    """Count the message-passing steps of a model: one a `MessagePassing` module, K for one that takes K steps.

    Args:
        model: Any PyG model; a module that is called twice counts once, and one that hides its steps counts as one.

    Returns:
        The number of hops that news can travel.

    Example:
        >>> from torch_geometric.nn import APPNP
        >>> count_hops(nn.Sequential(nn.Linear(2, 2), APPNP(K=10, alpha=0.1)))
        10
    """
    hops = 0
    for module in model.modules():
        if isinstance(module, MessagePassing):
            steps = getattr(module, "K", None)
            hops += steps if isinstance(steps, int) else 1
    return hops


def influence_by_hop(
    model: nn.Module,
    x: Float[Tensor, "N F"],
    edge_index: Tensor,
    nodes: Tensor | Sequence[int] | None = None,
    *,
    edge_weight: Tensor | None = None,
    num_hops: int | None = None,
    max_hops: int | None = None,
    whole_graph: bool = False,
) -> Float[Tensor, "S H"]:
    r"""Add up, for each hop distance, how strongly the nodes at that distance act on a node's output.

        T[s, h] = sum over j at h hops from s of sum_c sum_f |d out[s, c] / d x[j, f]|

    All nodes are done together, by one `vjp` and a pass for each of the output's channels: every node gets a copy of
    its own of the graph around it, out to one hop more than the model reaches, so that degrees are those of the whole
    graph. Where the model takes its features in by linear maps, derivatives are carried as far as these maps, and only
    rows that are not zero are multiplied by their weights. The model is measured in evaluation mode.

    Args:
        model: Called as `model(x, edge_index)`, or with `edge_weight` behind.
        x: Dense features of a floating-point type.
        edge_index: The edges, `[2, E]`.
        nodes: Ids of the S nodes whose output is looked at; None (default) takes all.
        edge_weight: Weights `[E]`. Default: none.
        num_hops: Message-passing steps of the model. Default: `count_hops(model)`.
        max_hops: Largest distance H - 1 in the result. Default: `num_hops`.
        whole_graph: True runs the model on the whole graph, for one whose output depends on all nodes at once (a norm
            over the nodes, a virtual node); it costs as many backward passes as there are outputs. Default False.

    Returns:
        The influence, at distance 0, 1, ..., `max_hops`. Nodes from which no path leads there are left out.

    Raises:
        ValueError: `x` is not dense and floating-point, a node is not in the graph, or the model has no
            message-passing module and `num_hops` is not given.

    Source:
        Xu et al., "Representation learning on graphs with jumping knowledge networks" (2018), definition 3.1; summed
        by hops as in Bamberger et al. (2025) and PyG's `total_influence`, which looks at one node after the other.

    Example:
        >>> from gnnkit.graph import six_node_graph
        >>> from torch_geometric.nn import GCN
        >>> edges = six_node_graph(self_loops=False).edge_index
        >>> influence_by_hop(GCN(4, 8, 2, 3), torch.randn(6, 4), edges, [2], max_hops=4)[0, 3:].tolist()
        [0.0, 0.0]
    """
    plain = check_edge_index(edge_index, x.size(0) if isinstance(x, Tensor) and x.dim() == 2 else None)
    if x.layout != torch.strided or x.dim() != 2 or not x.is_floating_point():
        raise ValueError(
            f"x must be dense floating-point features [N, F], got {x.dtype}, {x.layout}, of shape {list(x.shape)}; "
            "use x.to_dense()"
        )
    check_edge_weight(edge_weight, plain.size(1))
    num_nodes = x.size(0)
    sources = _node_ids(range(num_nodes) if nodes is None else nodes, num_nodes, "nodes").to(x.device)
    if num_hops is None:
        num_hops = count_hops(model)
        if num_hops == 0:
            raise ValueError("model holds no MessagePassing module whose steps could be counted; pass num_hops")
    reach = num_hops if max_hops is None else max_hops
    backwards = plain.flip(0).long()
    result = x.new_zeros(sources.numel(), reach + 1).detach()
    # Derivatives of derivatives are not asked for: nothing is kept for them.
    with evaluating(model), torch.no_grad():
        per_node: bool | None = None
        entrances: dict[Any, Tensor] = {}
        for start in range(0, sources.numel(), _TOGETHER):
            chunk = sources[start : start + _TOGETHER]
            # Distances to a node are distances from it against the edges.
            levels = hop_levels(backwards, chunk, num_nodes)
            if per_node is None:
                close = (levels >= 0) & (levels <= num_hops + 1)
                per_node = not whole_graph and int(close.sum()) < num_nodes * max(1, chunk.numel() // 2)
                entrances = _entrances(model, x) if per_node else {}
            if per_node:
                influence = _around_nodes(model, x, plain, edge_weight, chunk, levels, num_hops, entrances)
            else:
                influence = _on_whole_graph(model, x, plain, edge_weight, chunk)
            inside = (levels >= 0) & (levels <= reach)
            hops = levels.long().clamp(min=0, max=reach)
            result[start : start + _TOGETHER] = result.new_zeros(chunk.numel(), reach + 1).scatter_add(
                1, hops, influence.detach().masked_fill(~inside, 0.0)
            )
    return result


def _around_nodes(
    model: nn.Module,
    x: Tensor,
    edges: Tensor,
    edge_weight: Tensor | None,
    nodes: Tensor,
    levels: Tensor,
    num_hops: int,
    entrances: dict[Any, Tensor],
) -> Tensor:
    """Influence `[S, N]`, from a copy of each node's neighbourhood, all of them side by side as one graph.

    The outermost nodes are there for their neighbours' degrees: edges between two of them are left out.
    """
    # Nodes first, so that what an edge reads of all copies lies together.
    levels = levels.t()
    within = ((levels >= 0) & (levels <= num_hops + 1)).contiguous()
    heard = ((levels >= 0) & (levels <= num_hops)).contiguous()
    ids, owner = within.nonzero(as_tuple=True)
    number = (within.view(-1).cumsum(0) - 1).view(within.shape)
    wanted = within.index_select(0, edges[0]) & heard.index_select(0, edges[1])
    wanted |= heard.index_select(0, edges[0]) & within.index_select(0, edges[1])
    edge, copy = wanted.nonzero(as_tuple=True)
    copied = torch.stack([number[edges[0, edge], copy], number[edges[1, edge], copy]])
    weight = () if edge_weight is None else (edge_weight[edge],)
    roots = number[nodes, torch.arange(nodes.numel(), device=x.device)]
    scores = _through_entrances(model, x, ids, copied, weight, roots, entrances)
    if scores is None:
        scores = _through_features(model, x, ids, copied, weight, roots)
    influence = x.new_zeros(nodes.numel(), x.size(0))
    influence[owner, ids] = scores
    return influence


def _cotangents(out: Tensor, roots: Tensor) -> Tensor:
    """One for each channel; copies do not touch, so that all roots are asked at once: `[C, M, C]`."""
    channels = out.size(-1)
    chosen = out.new_zeros(channels, *out.shape)
    for channel in range(channels):
        chosen[channel, roots, channel] = 1.0
    return chosen


def _entrances(model: nn.Module, x: Tensor) -> dict[Any, Tensor]:
    """The linear maps that may take the features in, and what they make of all nodes' features."""
    linears: list[Any] = [part for part in model.modules() if isinstance(part, nn.Linear | Linear)]
    maps = [part for part in linears if part.weight.size(1) == x.size(1)]
    if any("forward" in vars(part) or part._forward_hooks or part._forward_pre_hooks for part in maps):
        return {}
    with torch.no_grad():
        return {part: part(x) for part in maps}


def _through_entrances(
    model: nn.Module,
    x: Tensor,
    ids: Tensor,
    edges: Tensor,
    weight: tuple[Tensor, ...],
    roots: Tensor,
    entrances: dict[Any, Tensor],
) -> Tensor | None:
    """Influence of each copied row, by way of the linear maps that alone take the features in; None where it is not so.

    While the model runs on the copies, each map hands out the rows that it made beforehand; its input then only has to
    be known as such, and takes no memory.
    """
    if not entrances:
        return None
    # Where the features come in by another way too, this NaN comes with them.
    stand_in = x.new_full((1,), torch.nan).expand(ids.numel(), x.size(1))
    used: dict[nn.Module, None] = {}
    maps = list(entrances)

    def run(rows: dict[nn.Module, Tensor]) -> Tensor:
        with ExitStack() as stack:
            for part in maps:

                def forward(given: Tensor, part: Any = part) -> Tensor:
                    # What a map inside of the model is given is a transform's tensor, which has no storage to compare.
                    inner = _functorch.is_functorch_wrapped_tensor(given)
                    if inner or given.data_ptr() != stand_in.data_ptr() or given.shape != stand_in.shape:
                        return type(part).forward(part, given)
                    used[part] = None
                    return rows[part]

                part.forward = forward
                stack.callback(vars(part).pop, "forward")
            return model(stand_in, edges, *weight)

    rows = [made[ids] for made in entrances.values()]
    found: Any = vjp(lambda *given: run(dict(zip(maps, given, strict=True))), *rows)
    out, pull = found
    if not used or bool(out[roots].isnan().any()):
        return None
    # Channel by channel: gathering and adding up under a vmap is slower than a pass for each.
    gradients = [torch.cat(pull(chosen), dim=-1) for chosen in _cotangents(out, roots)]
    scores = x.new_zeros(ids.numel())
    together = torch.stack(gradients)  # of the maps' rows: [C, M, W of all maps]
    matrix = torch.cat([part.weight.detach() for part in maps])  # [W, F]
    channel, row = (together != 0).any(dim=-1).nonzero(as_tuple=True)
    size = max(1, _ROW_BUDGET // x.size(1))
    # One place for all products: a new one each time would have to be paged in anew.
    product = matrix.new_empty(size, matrix.size(1))
    sums = []
    for part in together[channel, row].split(size):
        held = torch.mm(part, matrix, out=product[: part.size(0)])
        sums.append(held.abs_().sum(dim=-1))
    return scores.index_add(0, row, torch.cat(sums)) if sums else scores


def _through_features(
    model: nn.Module, x: Tensor, ids: Tensor, edges: Tensor, weight: tuple[Tensor, ...], roots: Tensor
) -> Tensor:
    """Influence of each copied row, by derivatives of the features themselves."""
    found: Any = vjp(lambda given: model(given, edges, *weight), x[ids])
    out, pull = found
    scores = x.new_zeros(ids.numel())
    size = max(1, _BATCH_BUDGET // max(1, ids.numel() * x.size(1)))
    for chosen in _cotangents(out, roots).split(size):
        (gradient,) = vmap(pull)(chosen)
        scores += gradient.abs().sum(dim=(0, 2))
    return scores


def _on_whole_graph(model: nn.Module, x: Tensor, edges: Tensor, edge_weight: Tensor | None, nodes: Tensor) -> Tensor:
    """Influence `[S, N]`, from the model on the whole graph: a cotangent for each node and channel."""
    weight = () if edge_weight is None else (edge_weight,)
    found: Any = vjp(lambda given: model(given, edges, *weight), x)
    out, pull = found
    channels = out.size(-1)
    size = max(1, _BATCH_BUDGET // max(1, x.numel()))
    pairs = [(place, channel) for place in range(nodes.numel()) for channel in range(channels)]
    influence = x.new_zeros(nodes.numel(), x.size(0))
    for start in range(0, len(pairs), size):
        part = pairs[start : start + size]
        chosen = out.new_zeros(len(part), *out.shape)
        for row, (place, channel) in enumerate(part):
            chosen[row, nodes[place], channel] = 1.0
        (gradient,) = vmap(pull)(chosen)
        influence.index_add_(0, torch.tensor([p for p, _ in part], device=x.device), gradient.abs().sum(dim=-1))
    return influence
