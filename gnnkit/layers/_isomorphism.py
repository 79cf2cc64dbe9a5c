"""What the isomorphism layers share: one's own features, the widths, the map that a network begins with."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.typing import OptPairTensor

from gnnkit.layers._aggregate import LINEAR, aggregate
from gnnkit.layers._anew import convolve_anew
from gnnkit.layers._linear import is_autocast, is_plain
from gnnkit.ops.tracing import is_traced


def add_root(layer: Any, out: Tensor, own: Tensor | None) -> Tensor:
    """What was heard, plus 1 + eps times one's own."""
    if own is None:
        return out
    eps = layer.eps
    if not eps.requires_grad and out.dtype == own.dtype == eps.dtype and eps.device.type == "cpu" and not is_traced():
        return torch.add(out, own, alpha=1.0 + eps.item())
    factor = 1 + eps
    if out.dtype == own.dtype == factor.dtype and out.shape == own.shape:
        return torch.addcmul(out, own, factor)
    return out + factor * own


def map_sum_with_root(
    layer: Any, x: Tensor, own: Tensor | None, edge_index: Tensor, num_dst: int, first: Any = None
) -> tuple[Tensor, int]:
    """The sum of the neighbours, plus 1 + eps times one's own; and through how many parts of the network it went."""
    eps = layer.eps
    fixed = not eps.requires_grad and eps.dtype == x.dtype and eps.device.type == "cpu" and not is_traced()
    if own is x and fixed and layer.aggr in LINEAR and not is_autocast(x):
        mapped = is_plain(first, biased=True) and first.weight.dtype == x.dtype
        maps = (first.weight, first.bias) if mapped else ()
        then = _positive_map(layer.nn, x) if mapped else None
        found = convolve_anew(layer, x, edge_index, num_dst, *maps, root=1.0 + eps.item(), then=then)
        if found is not None:
            return found, 0 if not mapped else 1 if then is None else 3
    return add_root(layer, aggregate(layer, x, edge_index, None, num_dst), own), 0


def _positive_map(network: nn.Sequential, x: Tensor) -> tuple[Tensor, Tensor | None] | None:
    """Weight and bias of a second map behind a ReLU, where nobody looks at what is between; else None."""
    parts = tuple(network._modules.values())[1:3]
    if len(parts) < 2 or type(parts[0]) is not nn.ReLU or not is_plain(parts[1], biased=True):
        return None
    relu: Any = parts[0]
    watched = relu._forward_hooks or relu._forward_pre_hooks or relu._backward_hooks or relu._backward_pre_hooks
    weight, bias = parts[1].weight, parts[1].bias
    if watched or "forward" in vars(relu) or weight.dtype != x.dtype or (bias is not None and bias.dtype != x.dtype):
        return None
    return weight, bias  # pyright: ignore[reportReturnType]


def check_widths(pair: OptPairTensor, first: nn.Module | None) -> None:
    """Check that sources and targets have the features that the network begins with."""
    source, target = pair
    if target is not None and target.size(-1) != source.size(-1):
        raise ValueError(
            f"x[0] has {source.size(-1)} features per node, x[1] has {target.size(-1)}: they are added up, and must be "
            "as many; map one of them beforehand"
        )
    width = getattr(first, "in_features", 0) or getattr(first, "in_channels", 0)
    if isinstance(width, int) and width > 0 and source.size(-1) != width:
        raise ValueError(
            f"x has {source.size(-1)} features per node, the layer's nn begins with a map of {width}; change one of "
            "the two"
        )


def first_map(module: object) -> nn.Module | None:
    """The linear map that a network begins with, where nobody looks at what goes into it; else None."""
    if type(module) is not nn.Sequential or len(module) == 0:
        return None
    if module._forward_hooks or module._forward_pre_hooks or module._backward_hooks or module._backward_pre_hooks:
        return None
    first = module[0]
    return first if isinstance(getattr(first, "weight", None), Tensor) and hasattr(first, "bias") else None
