"""`pair_attention` as `torch.library` operators: see `spmm.operators`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from gnnkit.ops.autograd import Kernels, gradients
from gnnkit.ops.backends import situation_of
from gnnkit.ops.dispatch import backend_for
from gnnkit.ops.pair_attention.options import PairInputs, PairOptions
from gnnkit.ops.pair_attention.torch import NATIVE
from gnnkit.ops.pair_attention.torch import pair_attention_backward as native_backward
from gnnkit.ops.structure.compress import compress
from gnnkit.ops.structure.edges import EdgeList
from gnnkit.ops.structure.graph import CompressedGraph

__all__ = ["pair_attention", "pair_attention_backward"]

_COUNT = len(PairInputs._fields)


def _kernels(graph: CompressedGraph, x: Tensor) -> Kernels:
    """Those of the backend that is chosen; backends that are made of torch's operators have none of their own."""
    backend = backend_for("pair_attention", situation_of(graph, x))
    return backend if isinstance(backend, Kernels) else NATIVE


@torch.library.custom_op("gnnkit::pair_attention", mutates_args=())
def pair_attention(
    edge_index: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor | None,
    att: Tensor | None,
    edge_attr: Tensor | None,
    edge_map: Tensor | None,
    seed: Tensor | None,
    negative_slope: float,
    dropout: float,
    factor: float,
) -> tuple[Tensor, Tensor]:
    """The op as an operator: its result, and each row's largest logit and inverse sum."""
    graph = compress(edge_index, query.size(0), key.size(0))
    inputs = PairInputs(query, key, value, att, edge_attr, edge_map)
    options = PairOptions(negative_slope, dropout, seed, factor)
    return _kernels(graph, key).forward(inputs, graph, options)  # pyright: ignore[reportReturnType]


@pair_attention.register_fake
def _(edge_index, query, key, *others):
    stats = key.new_empty(query.size(0), 2, key.size(1), dtype=torch.promote_types(key.dtype, torch.float32))
    return query.new_empty(query.shape), stats


@torch.library.custom_op("gnnkit::pair_attention_backward", mutates_args=())
def pair_attention_backward(
    edge_index: Tensor,
    grad: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor | None,
    att: Tensor | None,
    edge_attr: Tensor | None,
    edge_map: Tensor | None,
    out: Tensor,
    stats: Tensor,
    seed: Tensor | None,
    negative_slope: float,
    dropout: float,
    factor: float,
    needed: list[bool],
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Gradients of `gnnkit::pair_attention`; those that are not needed are empty."""
    graph = compress(edge_index, query.size(0), key.size(0))
    inputs = PairInputs(query, key, value, att, edge_attr, edge_map)
    options = PairOptions(negative_slope, dropout, seed, factor)
    grads = _kernels(graph, key).backward(grad, inputs, (out, stats), tuple(needed), graph, options)
    found: Any = (part if need else key.new_empty(0) for part, need in zip(grads, needed, strict=True))
    return tuple(part.contiguous() for part in found)  # pyright: ignore[reportReturnType]


@pair_attention_backward.register_fake
def _(edge_index, grad, query, key, value, att, edge_attr, edge_map, out, stats, seed, slope, dropout, factor, needed):
    inputs = (query, key, value, att, edge_attr, edge_map)
    return tuple(key.new_empty(x.shape if need else 0) for x, need in zip(inputs, needed, strict=True))


def _context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    edge_index, *given = inputs
    ctx.numbers = given[_COUNT + 1 :]
    ctx.save_for_backward(edge_index, *given[:_COUNT], *output, given[_COUNT])
    ctx.mark_non_differentiable(output[1])


def _gradient(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Any, ...]:
    edge_index, *saved = ctx.saved_tensors
    needed = [need and x is not None for need, x in zip(ctx.needs_input_grad[1:], saved[:_COUNT], strict=False)]
    grads = pair_attention_backward(edge_index, grad, *saved, *ctx.numbers, needed)
    return None, *(x if need else None for x, need in zip(grads, needed, strict=True)), None, None, None, None


pair_attention.register_autograd(_gradient, setup_context=_context)


def _backward_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    edge_index, grad, *given = inputs
    seed, *ctx.numbers, ctx.needed = given[_COUNT + 2 :]
    ctx.save_for_backward(edge_index, seed, grad, *given[:_COUNT])


def _backward_gradient(ctx: Any, *above: Tensor) -> tuple[Any, ...]:
    edge_index, seed, *inputs = ctx.saved_tensors
    negative_slope, dropout, factor = ctx.numbers
    graph = EdgeList(edge_index.long(), inputs[1].size(0), inputs[2].size(0))
    options = PairOptions(negative_slope, dropout, seed, factor)

    def again(grad: Tensor, *inputs: Any) -> tuple[Tensor | None, ...]:
        grads = native_backward(grad, PairInputs(*inputs), tuple(ctx.needed), graph, options)
        return tuple(part if need else None for part, need in zip(grads, ctx.needed, strict=True))

    given = [part for part, need in zip(above, ctx.needed, strict=True) if need]
    wanted = ctx.needs_input_grad[1 : _COUNT + 2]
    return None, *gradients(again, inputs, given, wanted), *(None for _ in range(7))


pair_attention_backward.register_autograd(_backward_gradient, setup_context=_backward_context)
