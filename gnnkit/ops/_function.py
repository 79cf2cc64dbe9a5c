"""Fast kernels as differentiable functions: any backend that has a forward and a backward kernel becomes one of these.

A gradient of a gradient is taken through torch's own operators: where autograd asks for a backward pass that can itself
be differentiated, the result is recomputed by the native formula, with the same dropout.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gnnkit.ops import _torch
from gnnkit.ops.structure import CompressedGraph

__all__ = ["AttentionKernels", "AttentionOptions", "SpmmKernels"]


def _native_gradients(output: Tensor, inputs: tuple[Tensor | None, ...], needed: tuple[bool, ...], grad: Tensor):
    """Differentiable gradients of a native result, None for each input that needs none."""
    wanted = [tensor for tensor, need in zip(inputs, needed, strict=True) if need and tensor is not None]
    found = iter(torch.autograd.grad(output, wanted, grad, create_graph=True, allow_unused=True))
    return tuple(
        next(found) if need and tensor is not None else None for tensor, need in zip(inputs, needed, strict=True)
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
        ctx.shape = x.shape
        weight_grad = weight is not None and ctx.needs_input_grad[3]
        ctx.keeps_x = weight_grad
        ctx.save_for_backward(x if weight_grad else x.new_empty(0), weight)
        return kernels.forward(graph, x, weight)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        x, weight = ctx.saved_tensors
        needed = ctx.needs_input_grad[2:]
        if torch.is_grad_enabled():
            # Linear in x: where x was not kept its value does not matter.
            values = x if ctx.keeps_x else grad.new_zeros(ctx.shape).requires_grad_()
            output = _torch.spmm(ctx.graph, values, weight)
            return None, None, *_native_gradients(output, (values, weight), needed, grad)
        grad_x, grad_weight = ctx.kernels.backward(ctx.graph, grad, x, weight, needed[1])
        return None, None, grad_x if needed[0] else None, grad_weight


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
        if torch.is_grad_enabled():
            x, alpha_src, alpha_dst, edge_logits = inputs
            output: Any = _torch.edge_attention(ctx.graph, x, alpha_src, alpha_dst, edge_logits, ctx.options)
            return None, None, None, *_native_gradients(output, tuple(inputs), needed, grad)
        grads = ctx.kernels.backward(ctx.graph, grad, *inputs, out, stats, ctx.options, needed)
        found = (gradient if need else None for gradient, need in zip(grads, needed, strict=True))
        return None, None, None, *found
