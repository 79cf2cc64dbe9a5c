"""The ops as `torch.library` operators: what `torch.compile` and `torch.export` put into their graphs.

The operators take the user's edge tensor. At run time the compressed graph is looked up (see `structure.remember`) and
the backend chosen, as in eager mode; eager mode itself calls the kernels directly, which saves the dispatcher's time.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from gnnkit.ops import _torch
from gnnkit.ops._function import AttentionKernels, AttentionOptions, SpmmKernels
from gnnkit.ops.dispatch import Situation, choose_installed, load_backend
from gnnkit.ops.structure import CompressedGraph, compress

__all__ = ["edge_attention", "edge_attention_backward", "is_traced", "spmm", "spmm_backward"]

_NATIVE_SPMM = SpmmKernels(_torch.spmm, _torch.spmm_backward)
_NATIVE_ATTENTION = AttentionKernels(_torch.edge_attention_forward, _torch.edge_attention_backward)


def is_traced() -> bool:
    """Tell whether a tracer is looking on: it must see operators, not kernels that it knows nothing of."""
    return torch.compiler.is_compiling() or torch._C._len_torch_dispatch_stack() > 0


def _kernels(op: str, graph: CompressedGraph, x: Tensor, native: Any) -> Any:
    situation = Situation(x.device.type, x.dtype, False, False, graph.num_dst, graph.num_src, graph.num_edges)
    backend = load_backend(op, choose_installed(op, situation).backend)
    # Backends that are made of torch's operators have no kernels of their own: here they are written out.
    return backend if isinstance(backend, (SpmmKernels, AttentionKernels)) else native


@torch.library.custom_op("gnnkit::spmm", mutates_args=())
def spmm(edge_index: Tensor, x: Tensor, weight: Tensor | None, num_dst: int) -> Tensor:
    """`gnnkit.ops.spmm` as an operator."""
    graph = compress(edge_index, num_dst, x.size(-2))
    return _kernels("spmm", graph, x, _NATIVE_SPMM).forward(graph, x, weight).contiguous()


@spmm.register_fake
def _(edge_index: Tensor, x: Tensor, weight: Tensor | None, num_dst: int) -> Tensor:
    return x.new_empty(*x.shape[:-2], num_dst, x.size(-1))


@torch.library.custom_op("gnnkit::spmm_backward", mutates_args=())
def spmm_backward(
    edge_index: Tensor, grad: Tensor, x: Tensor, weight: Tensor | None, need_weight: bool
) -> tuple[Tensor, Tensor]:
    """Gradients of `gnnkit::spmm`; the second is empty where it is not needed."""
    graph = compress(edge_index, grad.size(-2), x.size(-2))
    kernels = _kernels("spmm", graph, x, _NATIVE_SPMM)
    grad_x, grad_weight = kernels.backward(graph, grad, x, weight, need_weight)
    return grad_x.contiguous(), x.new_empty(0) if grad_weight is None else grad_weight


@spmm_backward.register_fake
def _(edge_index: Tensor, grad: Tensor, x: Tensor, weight: Tensor | None, need_weight: bool) -> tuple[Tensor, Tensor]:
    return torch.empty_like(x).contiguous(), x.new_empty(edge_index.size(1) if need_weight else 0)


def _spmm_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    edge_index, x, weight, _ = inputs
    ctx.save_for_backward(edge_index, x, weight)


def _spmm_gradient(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
    edge_index, x, weight = ctx.saved_tensors
    need_weight = weight is not None and ctx.needs_input_grad[2]
    grad_x, grad_weight = spmm_backward(edge_index, grad, x, weight, need_weight)
    return None, grad_x, grad_weight if need_weight else None, None


spmm.register_autograd(_spmm_gradient, setup_context=_spmm_context)


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
    kernels = _kernels("edge_attention", graph, x, _NATIVE_ATTENTION)
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
    kernels = _kernels("edge_attention", graph, x, _NATIVE_ATTENTION)
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
