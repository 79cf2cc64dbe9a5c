"""The linear map of node features, dense or sparse."""

from __future__ import annotations

import torch
from torch import Tensor
from torch_geometric.nn.dense import linear

from gnnkit.ops import compress, spmm

__all__ = ["Linear"]


class Linear(linear.Linear):
    """PyG's `Linear` (same arguments, start values and `state_dict`), which takes sparse features `[N, F]` too."""

    def forward(self, x: Tensor) -> Tensor:
        """Map dense features `[..., F]`, or sparse ones (CSR or COO) `[N, F]`, to `[..., C]`."""
        if x.layout == torch.strided:
            return super().forward(x)
        if x.layout == torch.sparse_coo:
            x = x.coalesce()
        # A node's nonzero features are its neighbours, their values the weights: the work is that of the nonzeros.
        out = spmm(compress(x), self.weight.t(), x.values())
        return out if self.bias is None else out + self.bias
