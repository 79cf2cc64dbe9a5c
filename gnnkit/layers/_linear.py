"""The linear map of node features, dense or sparse."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor
from torch_geometric.nn.dense import linear

from gnnkit.ops import compress, spmm

__all__ = ["Linear", "has_slow_products"]


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
        if x.layout == torch.strided:
            if has_slow_products(x) and x.dtype == self.weight.dtype and not torch.is_autocast_enabled("cpu"):
                bias = None if self.bias is None else self.bias.float()
                return F.linear(x.float(), self.weight.float(), bias).to(x.dtype)
            return super().forward(x)
        if x.layout == torch.sparse_coo:
            x = x.coalesce()
        # A node's nonzero features are its neighbours, their values the weights: the work is that of the nonzeros.
        out = spmm(compress(x), self.weight.t(), x.values())
        return out if self.bias is None else out + self.bias
