"""The linear map of node features, dense or sparse."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_geometric.nn.dense import linear

from gnnkit.ops import compress, spmm

# Half types for whose products this machine's processor has no instructions.
_SLOW_PRODUCTS = frozenset(
    dtype
    for dtype, is_supported in (
        (torch.float16, torch.ops.mkldnn._is_mkldnn_fp16_supported),
        (torch.bfloat16, torch.ops.mkldnn._is_mkldnn_bf16_supported),
    )
    if not is_supported()
)


def has_slow_products(x: Tensor) -> bool:
    """Tell whether matrix products of a tensor's type are many times slower than those of float32, as on most CPUs."""
    return x.device.type == "cpu" and x.dtype in _SLOW_PRODUCTS


class Linear(linear.Linear):
    """PyG's `Linear` (same arguments, start values and `state_dict`), which takes sparse features `[N, F]` too."""

    def forward(self, x: Tensor) -> Tensor:
        """Map dense features `[..., F]`, or sparse ones (CSR or COO) `[N, F]`, to `[..., C]`."""
        if torch.jit.is_scripting():  # pyright: ignore[reportPrivateImportUsage]
            return F.linear(x, self.weight, self.bias)
        weight = self.weight
        if x.dtype != weight.dtype and not is_autocast(x):
            raise ValueError(
                f"features are of type {x.dtype}, the layer's weights of {weight.dtype}; convert one of them, as in "
                f"x.to({weight.dtype}) or layer.to({x.dtype}), or call the layer under torch.autocast"
            )
        if x.layout == torch.strided:
            if has_slow_products(x) and x.dtype == weight.dtype and not is_autocast(x):
                bias = None if self.bias is None else self.bias.float()
                return F.linear(x.float(), weight.float(), bias).to(x.dtype)
            return F.linear(x, weight, self.bias)
        if x.layout == torch.sparse_coo:
            x = x.coalesce()
        # A node's nonzero features are its neighbours, their values the weights: the work is that of the nonzeros.
        out = spmm(compress(x), weight.t(), x.values())
        return out if self.bias is None else out + self.bias


def take_sparse_features(layer: nn.Module) -> None:
    """Make the maps of a layer of PyG's gnnkit's own; their weights are left as they are."""
    for part in layer.children():
        if type(part) is linear.Linear:
            part.__class__ = Linear


def is_autocast(x: Tensor) -> bool:
    """Tell whether autocast chooses the types of what is done to x."""
    # Asked first of all devices at once: to read a tensor's device takes longer than all else here.
    return torch._C._is_any_autocast_enabled() and torch.is_autocast_enabled(x.device.type)


def is_plain(lin: Any, *, biased: bool = False) -> bool:
    """Tell whether a map is `x W^T` (`biased`: or `x W^T + b`) and nothing else, so that W may meet another than x."""
    return (
        type(lin) in (Linear, nn.Linear, linear.Linear)
        and (biased or lin._parameters.get("bias") is None)
        and not (lin._forward_hooks or lin._forward_pre_hooks or lin._backward_hooks or lin._backward_pre_hooks)
        and "forward" not in vars(lin)
    )
