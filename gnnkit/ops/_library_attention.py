"""`edge_attention` as `torch.library` operators: see `_library`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from gnnkit.ops import _torch
from gnnkit.ops._function import AttentionKernels, AttentionOptions
from gnnkit.ops._library import kernels_for
from gnnkit.ops.structure import CompressedGraph, compress

__all__ = ["edge_attention", "edge_attention_backward"]


def _native_backward(
    graph: CompressedGraph,
    grad: Tensor,
    x: Tensor,
    alpha_src: Tensor,
    alpha_dst: Tensor | None,
    edge_logits: Tensor | None,
    out: Tensor,
    stats: Tensor,
    options: AttentionOptions,
    needed: tuple[bool, ...],
) -> tuple[Tensor | None, ...]:
    return _torch.edge_attention_backward(graph, grad, x, alpha_src, alpha_dst, edge_logits, options)


_NATIVE = AttentionKernels(_torch.edge_attention_forward, _native_backward)


@torch.library.custom_op("gnnkit::edge_attention", mutates_args=())
def edge_attention(
    edge_index: Tensor,
    x: Tensor,
    alpha_src: Tensor,
    alpha_dst: Tensor | None,
    edge_logits: Tensor | None,
    seed: Tensor | None,
    num_dst: int,
    negative_slope: float,
    dropout: float,
) -> tuple[Tensor, Tensor]:
    """`gnnkit.ops.edge_attention` as an operator: its result, and each row's largest logit and inverse sum."""
    graph = compress(edge_index, num_dst, x.size(0))
    options = AttentionOptions(negative_slope, dropout, seed)
    kernels = kernels_for("edge_attention", graph, x, _NATIVE)
    return kernels.forward(graph, x, alpha_src, alpha_dst, edge_logits, options)


@edge_attention.register_fake
def _(
    edge_index: Tensor,
    x: Tensor,
    alpha_src: Tensor,
    alpha_dst: Tensor | None,
    edge_logits: Tensor | None,
    seed: Tensor | None,
    num_dst: int,
    negative_slope: float,
    dropout: float,
) -> tuple[Tensor, Tensor]:
    stats = x.new_empty(num_dst, 2, x.size(1), dtype=torch.promote_types(x.dtype, torch.float32))
    return x.new_empty(num_dst, x.size(1), x.size(2)), stats


@torch.library.custom_op("gnnkit::edge_attention_backward", mutates_args=())
def edge_attention_backward(
    edge_index: Tensor,
    grad: Tensor,
    x: Tensor,
    alpha_src: Tensor,
    alpha_dst: Tensor | None,
    edge_logits: Tensor | None,
    out: Tensor,
    stats: Tensor,
    seed: Tensor | None,
    negative_slope: float,
    dropout: float,
    need_dst: bool,
    need_edge: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients of `gnnkit::edge_attention`; the last two are empty where they are not needed."""
    graph = compress(edge_index, grad.size(0), x.size(0))
    options = AttentionOptions(negative_slope, dropout, seed)
    kernels = kernels_for("edge_attention", graph, x, _NATIVE)
    needed = (True, True, need_dst, need_edge)
    grad_x, grad_src, grad_dst, grad_edge = kernels.backward(
        graph, grad, x, alpha_src, alpha_dst, edge_logits, out, stats, options, needed
    )
    nothing = x.new_empty(0)
    return (
        grad_x.contiguous(),
        grad_src.contiguous(),
        grad_dst.contiguous() if need_dst else nothing,
        grad_edge.contiguous() if need_edge else nothing.clone(),
    )


@edge_attention_backward.register_fake
def _(
    edge_index: Tensor,
    grad: Tensor,
    x: Tensor,
    alpha_src: Tensor,
    alpha_dst: Tensor | None,
    edge_logits: Tensor | None,
    out: Tensor,
    stats: Tensor,
    seed: Tensor | None,
    negative_slope: float,
    dropout: float,
    need_dst: bool,
    need_edge: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    heads = x.size(1)
    return (
        x.new_empty(x.shape),
        x.new_empty(alpha_src.shape),
        x.new_empty(grad.size(0), heads) if need_dst else x.new_empty(0),
        x.new_empty(edge_index.size(1), heads) if need_edge else x.new_empty(0),
    )


def _attention_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    edge_index, x, alpha_src, alpha_dst, edge_logits, seed, _, ctx.negative_slope, ctx.dropout = inputs
    out, stats = output
    ctx.save_for_backward(edge_index, x, alpha_src, alpha_dst, edge_logits, out, stats, seed)
    ctx.mark_non_differentiable(stats)


def _attention_gradient(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Any, ...]:
    edge_index, x, alpha_src, alpha_dst, edge_logits, out, stats, seed = ctx.saved_tensors
    need_dst = alpha_dst is not None and ctx.needs_input_grad[3]
    need_edge = edge_logits is not None and ctx.needs_input_grad[4]
    grad_x, grad_src, grad_dst, grad_edge = edge_attention_backward(
        edge_index,
        grad,
        x,
        alpha_src,
        alpha_dst,
        edge_logits,
        out,
        stats,
        seed,
        ctx.negative_slope,
        ctx.dropout,
        need_dst,
        need_edge,
    )
    return (
        None,
        grad_x,
        grad_src,
        grad_dst if need_dst else None,
        grad_edge if need_edge else None,
        None,
        None,
        None,
        None,
    )


edge_attention.register_autograd(_attention_gradient, setup_context=_attention_context)


def _attention_backward_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    edge_index, grad, x, alpha_src, alpha_dst, edge_logits, _, _, seed, *ctx.numbers = inputs
    ctx.save_for_backward(edge_index, seed, grad, x, alpha_src, alpha_dst, edge_logits)


def _attention_backward_gradient(ctx: Any, *above: Tensor) -> tuple[Any, ...]:
    edge_index, seed, *inputs = ctx.saved_tensors
    negative_slope, dropout, *wanted = ctx.numbers
    needed, create_graph = ctx.needs_input_grad[1:6], torch.is_grad_enabled()
    graph = _torch.EdgeList(edge_index.long(), inputs[0].size(0), inputs[1].size(0))
    with torch.enable_grad():
        # Views keep what one input owes to another out of it: that is on the tape already.
        views: Any = [None if tensor is None else tensor.view_as(tensor) for tensor in inputs]
        options = AttentionOptions(negative_slope, dropout, seed)
        grad, x, alpha_src, alpha_dst, edge_logits = views
        outputs: Any = _torch.edge_attention_backward(graph, grad, x, alpha_src, alpha_dst, edge_logits, options)
    there = (True, True, *wanted)
    asked: Any = [view for view, need in zip(views, needed, strict=True) if need]
    found = iter(
        torch.autograd.grad(
            [output for output, is_wanted in zip(outputs, there, strict=True) if is_wanted],
            asked,
            [grad for grad, is_wanted in zip(above, there, strict=True) if is_wanted],
            create_graph=create_graph,
            allow_unused=True,
        )
    )
    return None, *(next(found) if need else None for need in needed), *(None for _ in range(7))


edge_attention_backward.register_autograd(_attention_backward_gradient, setup_context=_attention_backward_context)
