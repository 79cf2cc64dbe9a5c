"""`spmm` as a differentiable function of two kernels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gnnkit.ops.spmm.torch import edge_products, spmm_backward
from gnnkit.ops.structure.graph import CompressedGraph
from gnnkit.ops.tracing import is_batched

__all__ = ["SpmmKernels"]


@dataclass(frozen=True)
class SpmmKernels:
    """`spmm` from two kernels.

    Args:
        forward: `(graph, x, weight) -> out`.
        backward: `(graph, grad, x, weight, need_weight) -> (grad_x, grad_weight or None)`.
    """

    forward: Callable[..., Tensor]
    backward: Callable[..., tuple[Tensor, Tensor | None]]

    def __call__(self, graph: CompressedGraph, x: Tensor, weight: Tensor | None) -> Tensor:
        return _Spmm.apply(self, graph, x, weight)  # pyright: ignore[reportReturnType]


class _Spmm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, kernels: SpmmKernels, graph: CompressedGraph, x: Tensor, weight: Tensor | None) -> Tensor:
        ctx.kernels, ctx.graph = kernels, graph
        # The values are needed for the weights' gradient alone: else they are free to go.
        weight_grad = weight is not None and ctx.needs_input_grad[3]
        ctx.save_for_backward(x if weight_grad else x.new_empty(0), weight)
        return kernels.forward(graph, x, weight)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        kernels, graph, (x, weight) = ctx.kernels, ctx.graph, ctx.saved_tensors
        need_x, need_weight = ctx.needs_input_grad[2:]
        if is_batched(grad, x, weight):
            grad_x, grad_weight = spmm_backward(graph, grad, x, weight, need_weight)
        elif torch.is_grad_enabled():  # to be differentiated in turn: the product along the edges turned round can be
            grad_x = kernels(graph.turned, grad, weight)
            grad_weight = edge_products(graph, grad.index_select(-2, graph.edge_index[1]), x) if need_weight else None
        else:
            grad_x, grad_weight = kernels.backward(graph, grad, x, weight, need_weight)
        return None, None, grad_x if need_x else None, grad_weight
