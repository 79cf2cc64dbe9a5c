"""`neighbour_max` as `torch.library` operators: see `spmm.operators`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from gnnkit.ops.autograd import Kernels, gradients
from gnnkit.ops.backends import situation_of
from gnnkit.ops.dispatch import backend_for
from gnnkit.ops.neighbour_max.options import MaxInputs, MaxOptions
from gnnkit.ops.neighbour_max.torch import NATIVE, again
from gnnkit.ops.structure.compress import compress
from gnnkit.ops.structure.edges import EdgeList
from gnnkit.ops.structure.graph import CompressedGraph

__all__ = ["neighbour_max", "neighbour_max_backward"]


def _kernels(graph: CompressedGraph, x: Tensor) -> Kernels:
    """Those of the backend that is chosen; backends that are made of torch's operators have none of their own."""
    backend = backend_for("neighbour_max", situation_of(graph, x))
    return backend if isinstance(backend, Kernels) else NATIVE


@torch.library.custom_op("gnnkit::neighbour_max", mutates_args=())
def neighbour_max(
    edge_index: Tensor, x: Tensor, weight: Tensor | None, num_dst: int, largest: bool, shared: bool
) -> tuple[Tensor, Tensor]:
    """`gnnkit.ops.neighbour_max` as an operator: its result, and the places that were taken."""
    graph = compress(edge_index, num_dst, x.size(-2))
    out, places = _kernels(graph, x).forward(MaxInputs(x, weight), graph, MaxOptions(largest, shared))
    return out.contiguous(), places.long()


@neighbour_max.register_fake
def _(edge_index, x, weight, num_dst, largest, shared):
    shape = (*x.shape[:-2], num_dst, x.size(-1))
    return x.new_empty(shape), x.new_empty(shape, dtype=torch.int64)


@torch.library.custom_op("gnnkit::neighbour_max_backward", mutates_args=())
def neighbour_max_backward(
    edge_index: Tensor,
    grad: Tensor,
    x: Tensor,
    weight: Tensor | None,
    out: Tensor,
    places: Tensor,
    largest: bool,
    shared: bool,
    need_weight: bool,
) -> tuple[Tensor, Tensor]:
    """Gradients of `gnnkit::neighbour_max`; the second is empty where it is not needed."""
    graph = compress(edge_index, grad.size(-2), x.size(-2))
    needed, kept = (True, need_weight), (out, places.to(graph.col.dtype))
    kernels = _kernels(graph, x)
    grads = kernels.backward(grad, MaxInputs(x, weight), kept, needed, graph, MaxOptions(largest, shared))
    grad_x, grad_weight = grads
    return grad_x.contiguous(), x.new_empty(0) if grad_weight is None else grad_weight  # pyright: ignore


@neighbour_max_backward.register_fake
def _(edge_index, grad, x, weight, out, places, largest, shared, need_weight):
    return torch.empty_like(x).contiguous(), x.new_empty(edge_index.size(1) if need_weight else 0)


def _context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    edge_index, x, weight, _, *ctx.options = inputs
    ctx.save_for_backward(edge_index, x, weight, *output)
    ctx.mark_non_differentiable(output[1])


def _gradient(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Any, ...]:
    edge_index, x, weight, out, places = ctx.saved_tensors
    need_weight = weight is not None and ctx.needs_input_grad[2]
    grad_x, grad_weight = neighbour_max_backward(edge_index, grad, x, weight, out, places, *ctx.options, need_weight)
    return None, grad_x, grad_weight if need_weight else None, None, None, None


def _backward_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    edge_index, grad, x, weight, _, _, *ctx.options, ctx.need_weight = inputs
    ctx.save_for_backward(edge_index, grad, x, weight)


def _backward_gradient(ctx: Any, by_x: Tensor, by_weight: Tensor) -> tuple[Any, ...]:
    edge_index, *inputs = ctx.saved_tensors
    graph, options = EdgeList(edge_index.long(), inputs[0].size(-2), inputs[1].size(-2)), MaxOptions(*ctx.options)

    def first(grad: Tensor, *parts: Any) -> list[Tensor | None]:
        return again(grad, MaxInputs(*parts), (True, ctx.need_weight), graph, options)

    given = [by_x, by_weight] if ctx.need_weight else [by_x]
    return None, *gradients(first, inputs, given, ctx.needs_input_grad[1:4]), *(None for _ in range(5))


neighbour_max.register_autograd(_gradient, setup_context=_context)
neighbour_max_backward.register_autograd(_backward_gradient, setup_context=_backward_context)
