"""`edge_attention` as `torch.library` operators: see `spmm.operators`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from gnnkit.ops.attention.options import AttentionInputs, AttentionOptions
from gnnkit.ops.attention.torch import NATIVE
from gnnkit.ops.attention.torch import edge_attention_backward as native_backward
from gnnkit.ops.autograd import Kernels, gradients
from gnnkit.ops.backends import situation_of
from gnnkit.ops.dispatch import backend_for
from gnnkit.ops.structure.compress import compress
from gnnkit.ops.structure.edges import EdgeList
from gnnkit.ops.structure.graph import CompressedGraph

__all__ = ["edge_attention", "edge_attention_backward"]


def _kernels(graph: CompressedGraph, x: Tensor) -> Kernels:
    """Those of the backend that is chosen; backends that are made of torch's operators have none of their own."""
    backend = backend_for("edge_attention", situation_of(graph, x))
    return backend if isinstance(backend, Kernels) else NATIVE


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
    inputs = AttentionInputs(x, alpha_src, alpha_dst, edge_logits)
    return _kernels(graph, x).forward(inputs, graph, AttentionOptions(negative_slope, dropout, seed))  # pyright: ignore


@edge_attention.register_fake
def _(edge_index, x, alpha_src, alpha_dst, edge_logits, seed, num_dst, *numbers):
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
    inputs = AttentionInputs(x, alpha_src, alpha_dst, edge_logits)
    options, needed = AttentionOptions(negative_slope, dropout, seed), (True, True, need_dst, need_edge)
    grads = _kernels(graph, x).backward(grad, inputs, (out, stats), needed, graph, options)
    found: Any = (part if need else x.new_empty(0) for part, need in zip(grads, needed, strict=True))
    return tuple(part.contiguous() for part in found)  # pyright: ignore[reportReturnType]


@edge_attention_backward.register_fake
def _(edge_index, grad, x, alpha_src, alpha_dst, edge_logits, out, stats, seed, slope, dropout, need_dst, need_edge):
    return (
        x.new_empty(x.shape),
        x.new_empty(alpha_src.shape),
        x.new_empty(grad.size(0), x.size(1)) if need_dst else x.new_empty(0),
        x.new_empty(edge_index.size(1), x.size(1)) if need_edge else x.new_empty(0),
    )


def _attention_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    edge_index, x, alpha_src, alpha_dst, edge_logits, seed, _, *ctx.numbers = inputs
    out, stats = output
    ctx.save_for_backward(edge_index, x, alpha_src, alpha_dst, edge_logits, out, stats, seed)
    ctx.mark_non_differentiable(stats)


def _attention_gradient(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Any, ...]:
    edge_index, x, alpha_src, alpha_dst, edge_logits, *rest = ctx.saved_tensors
    wanted = (part is not None and ctx.needs_input_grad[i] for i, part in ((3, alpha_dst), (4, edge_logits)))
    needed = (True, True, *wanted)
    grads = edge_attention_backward(
        edge_index, grad, x, alpha_src, alpha_dst, edge_logits, *rest, *ctx.numbers, *needed[2:]
    )
    return None, *(part if need else None for part, need in zip(grads, needed, strict=True)), None, None, None, None


edge_attention.register_autograd(_attention_gradient, setup_context=_attention_context)


def _attention_backward_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    edge_index, grad, x, alpha_src, alpha_dst, edge_logits, _, _, seed, *ctx.numbers = inputs
    ctx.save_for_backward(edge_index, seed, grad, x, alpha_src, alpha_dst, edge_logits)


def _attention_backward_gradient(ctx: Any, *above: Tensor) -> tuple[Any, ...]:
    edge_index, seed, *inputs = ctx.saved_tensors
    negative_slope, dropout, *wanted = ctx.numbers
    graph = EdgeList(edge_index.long(), inputs[0].size(0), inputs[1].size(0))
    there = (True, True, *wanted)

    def again(grad: Tensor, *inputs: Any) -> list[Tensor | None]:
        options = AttentionOptions(negative_slope, dropout, seed)
        grads = native_backward(grad, AttentionInputs(*inputs), there, graph, options)
        return [part if is_there else None for part, is_there in zip(grads, there, strict=True)]

    given = [part for part, is_there in zip(above, there, strict=True) if is_there]
    return None, *gradients(again, inputs, given, ctx.needs_input_grad[1:6]), *(None for _ in range(7))


edge_attention_backward.register_autograd(_attention_backward_gradient, setup_context=_attention_backward_context)
