"""Fast kernels as differentiable functions: any backend that has a forward and a backward kernel becomes one of these.

A gradient is a function of what comes from above and of the inputs, and of nothing else that depends on the inputs: so
it can be differentiated in turn, to any order, also where the inputs depend on one another. `spmm` is bilinear, and the
derivatives of its gradient are the same two kernels again; the gradient of `edge_attention` is written out in torch's
operators where it is to be differentiated, with the same dropout.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch._C import _functorch  # pyright: ignore[reportAttributeAccessIssue, reportMissingModuleSource]

from gnnkit.ops import _torch
from gnnkit.ops.structure import CompressedGraph, is_transformed

__all__ = ["AttentionKernels", "AttentionOptions", "SpmmKernels", "is_batched"]


def is_batched(*tensors: Tensor | None) -> bool:
    """Tell whether a backward pass is run for many gradients at once, or otherwise in a way that kernels cannot see.

    Args:
        *tensors: What a backward pass is given.

    Returns:
        True under `torch.func` transforms and for the tensors of `is_grads_batched=True`.
    """
    return is_transformed(*tensors) or any(
        tensor is not None and _functorch.is_legacy_batchedtensor(tensor) for tensor in tensors
    )


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
    return _torch.spmm(graph, x, weight) if is_batched(x, weight) else kernels(graph, x, weight)


def _spmm_gradients(
    kernels: SpmmKernels, graph: CompressedGraph, grad: Tensor, x: Tensor, weight: Tensor | None, need_weight: bool
) -> tuple[Tensor, Tensor | None]:
    if is_batched(grad, x, weight):
        return _torch.spmm_backward(graph, grad, x, weight, need_weight)
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
        grad, x, weight = ctx.saved_tensors
        need_grad, need_x, need_weight = ctx.needs_input_grad[2:5]
        by_grad = of_x = of_weight = None
        if need_grad and by_x is not None:
            by_grad = _spmm(ctx.kernels, ctx.graph, by_x, weight)
        if need_grad and by_weight is not None:
            more = _spmm(ctx.kernels, ctx.graph, x, by_weight)
            by_grad = more if by_grad is None else by_grad + more
        need_x, need_weight = need_x and by_weight is not None, need_weight and by_x is not None
        if need_x or need_weight:
            # Without `by_x` the second is not asked for, and without `by_weight` the first is not looked at.
            values = x if by_x is None else by_x
            of_x, of_weight = _spmm_gradients(ctx.kernels, ctx.graph, grad, values, by_weight, need_weight)
        return None, None, by_grad, of_x if need_x else None, of_weight, None


@dataclass(frozen=True)
class AttentionOptions:
    """The numbers of `edge_attention` that are no tensors.

    Args:
        negative_slope: Slope of the leaky ReLU below zero.
        dropout: Share of the attention weights that is dropped, 0 where nothing is.
        seed: int64 scalar that dropout's mask is computed from; None where nothing is dropped.
    """

    negative_slope: float
    dropout: float = 0.0
    seed: Tensor | None = None

    @classmethod
    def draw(cls, negative_slope: float, dropout: float, training: bool, device: torch.device) -> AttentionOptions:
        """The options of one call, with a new seed from torch's generator where something is to be dropped."""
        if not training or dropout <= 0:
            return cls(negative_slope)
        return cls(negative_slope, dropout, torch.randint(2**63 - 1, (), dtype=torch.int64, device=device))


@dataclass(frozen=True)
class AttentionKernels:
    """`edge_attention` from two kernels.

    Args:
        forward: `(graph, x, alpha_src, alpha_dst, edge_logits, options) -> (out, stats)`; `stats`
            `[num_dst, 2, K]`, float32 where x is half, holds each row's largest logit and one over its sum of
            exponentials.
        backward: `(graph, grad, x, alpha_src, alpha_dst, edge_logits, out, stats, options, needed) -> gradients` of x,
            alpha_src, alpha_dst, edge_logits; `needed` has four truth values, and an unneeded gradient may be None.
    """

    forward: Callable[..., tuple[Tensor, Tensor]]
    backward: Callable[..., tuple[Tensor | None, ...]]

    def __call__(
        self,
        graph: CompressedGraph,
        x: Tensor,
        alpha_src: Tensor,
        alpha_dst: Tensor | None,
        edge_logits: Tensor | None,
        options: AttentionOptions,
    ) -> Tensor:
        return _Attention.apply(self, graph, options, x, alpha_src, alpha_dst, edge_logits)  # pyright: ignore


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, kernels: AttentionKernels, graph: CompressedGraph, options: AttentionOptions, *inputs: Tensor | None
    ) -> Tensor:
        out, stats = kernels.forward(graph, *inputs, options)  # pyright: ignore[reportCallIssue]
        ctx.kernels, ctx.graph, ctx.options = kernels, graph, options
        ctx.save_for_backward(*inputs, out, stats)
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        *inputs, out, stats = ctx.saved_tensors
        needed = tuple(ctx.needs_input_grad[3:])
        if torch.is_grad_enabled() or is_batched(grad, *inputs):
            # `out` and `stats` depend on the inputs: what is to be differentiated is made of the inputs alone.
            x, alpha_src, alpha_dst, edge_logits = inputs
            grads = _torch.edge_attention_backward(ctx.graph, grad, x, alpha_src, alpha_dst, edge_logits, ctx.options)
        else:
            grads = ctx.kernels.backward(ctx.graph, grad, *inputs, out, stats, ctx.options, needed)
        found = (gradient if need else None for gradient, need in zip(grads, needed, strict=True))
        return None, None, None, *found
