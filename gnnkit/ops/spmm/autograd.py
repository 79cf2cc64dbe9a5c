"""`spmm` as a differentiable function of two kernels; it is bilinear, so its gradient's derivatives are these again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from gnnkit.ops.spmm.torch import spmm as native_spmm
from gnnkit.ops.spmm.torch import spmm_backward
from gnnkit.ops.structure.graph import CompressedGraph
from gnnkit.ops.tracing import is_batched

__all__ = ["SpmmKernels", "derivatives_of_gradients"]


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
        x, weight = ctx.saved_tensors
        need_x, need_weight = ctx.needs_input_grad[2:]
        grad_x, grad_weight = _spmm_gradients(ctx.kernels, ctx.graph, grad, x, weight, need_weight)
        return None, None, grad_x if need_x else None, grad_weight


def _spmm(kernels: SpmmKernels, graph: CompressedGraph, x: Tensor, weight: Tensor | None) -> Tensor:
    return native_spmm(graph, x, weight) if is_batched(x, weight) else kernels(graph, x, weight)


def _spmm_gradients(
    kernels: SpmmKernels, graph: CompressedGraph, grad: Tensor, x: Tensor, weight: Tensor | None, need_weight: bool
) -> tuple[Tensor, Tensor | None]:
    if is_batched(grad, x, weight):
        return spmm_backward(graph, grad, x, weight, need_weight)
    if torch.is_grad_enabled():
        return _SpmmGradients.apply(kernels, graph, grad, x, weight, need_weight)  # pyright: ignore
    return kernels.backward(graph, grad, x, weight, need_weight)


class _SpmmGradients(torch.autograd.Function):
    """(g, x, w) -> (Σ over outgoing edges w_e g_i, <g_i, x_j>), linear in each: its derivatives are sums like these."""

    @staticmethod
    def forward(
        ctx: Any,
        kernels: SpmmKernels,
        graph: CompressedGraph,
        grad: Tensor,
        x: Tensor,
        weight: Tensor | None,
        need_weight: bool,
    ) -> tuple[Tensor, Tensor | None]:
        ctx.kernels, ctx.graph = kernels, graph
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(grad, x, weight)
        return kernels.backward(graph, grad, x, weight, need_weight)

    @staticmethod
    def backward(ctx: Any, by_x: Tensor | None, by_weight: Tensor | None) -> tuple[Any, ...]:  # pyright: ignore
        product, backward = partial(_spmm, ctx.kernels, ctx.graph), partial(_spmm_gradients, ctx.kernels, ctx.graph)
        found = derivatives_of_gradients(
            product, backward, ctx.saved_tensors, by_x, by_weight, ctx.needs_input_grad[2:5]
        )
        return None, None, *found, None


def derivatives_of_gradients(
    product: Callable[..., Tensor],
    backward: Callable[..., tuple[Tensor, Tensor | None]],
    saved: Sequence[Any],
    by_x: Tensor | None,
    by_weight: Tensor | None,
    needed: Sequence[bool],
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """What goes back from the gradients of x and the weights to g, x and the weights: sums like these again.

    Args:
        product: `(x, weight) -> out`.
        backward: `(grad, x, weight, need_weight) -> (grad_x, grad_weight or None)`.
        saved: g, x, weight.
        by_x, by_weight: What comes from above for each of the two; None for nothing.
        needed: Which of the three is asked for.
    """
    grad, x, weight = saved
    need_grad, need_x, need_weight = needed
    by_grad = of_x = of_weight = None
    if need_grad and by_x is not None:
        by_grad = product(by_x, weight)
    if need_grad and by_weight is not None:
        more = product(x, by_weight)
        by_grad = more if by_grad is None else by_grad + more
    need_x, need_weight = need_x and by_weight is not None, need_weight and by_x is not None
    if need_x or need_weight:
        # Without `by_x` the second is not asked for, and without `by_weight` the first is not looked at.
        of_x, of_weight = backward(grad, x if by_x is None else by_x, by_weight, need_weight)
    return by_grad, of_x if need_x else None, of_weight if need_weight else None
