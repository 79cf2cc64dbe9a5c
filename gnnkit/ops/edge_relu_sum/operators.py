"""`edge_relu_sum` as `torch.library` operators: see `spmm.operators`."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from gnnkit.ops.autograd import Kernels, gradients
from gnnkit.ops.backends import situation_of
from gnnkit.ops.dispatch import backend_for
from gnnkit.ops.edge_relu_sum.torch import NATIVE, again
from gnnkit.ops.structure.compress import compress
from gnnkit.ops.structure.edges import EdgeList
from gnnkit.ops.structure.graph import CompressedGraph

__all__ = ["edge_relu_sum", "edge_relu_sum_backward"]


def _kernels(graph: CompressedGraph, x: Tensor) -> Kernels:
    """Those of the backend that is chosen; backends that are made of torch's operators have none of their own."""
    backend = backend_for("edge_relu_sum", situation_of(graph, x))
    return backend if isinstance(backend, Kernels) else NATIVE


@torch.library.custom_op("gnnkit::edge_relu_sum", mutates_args=())
def edge_relu_sum(edge_index: Tensor, x: Tensor, edges: Tensor, num_dst: int) -> Tensor:
    """`gnnkit.ops.edge_relu_sum` as an operator."""
    graph = compress(edge_index, num_dst, x.size(0))
    return _kernels(graph, x).forward((x, edges), graph)[0].contiguous()


@edge_relu_sum.register_fake
def _(edge_index: Tensor, x: Tensor, edges: Tensor, num_dst: int) -> Tensor:
    return x.new_empty(num_dst, x.size(1))


@torch.library.custom_op("gnnkit::edge_relu_sum_backward", mutates_args=())
def edge_relu_sum_backward(edge_index: Tensor, grad: Tensor, x: Tensor, edges: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of `gnnkit::edge_relu_sum`."""
    graph = compress(edge_index, grad.size(0), x.size(0))
    # The kernels' gradients depend on the inputs alone.
    grad_x, grad_edges = _kernels(graph, x).backward(grad, (x, edges), (), (True, True), graph)
    return grad_x.contiguous(), grad_edges.contiguous()  # pyright: ignore[reportOptionalMemberAccess]


@edge_relu_sum_backward.register_fake
def _(edge_index: Tensor, grad: Tensor, x: Tensor, edges: Tensor) -> tuple[Tensor, Tensor]:
    return torch.empty_like(x).contiguous(), torch.empty_like(edges).contiguous()


def _context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs[:3])


def _gradient(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
    edge_index, x, edges = ctx.saved_tensors
    return None, *edge_relu_sum_backward(edge_index, grad, x, edges), None


def _backward_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    ctx.save_for_backward(*inputs)


def _backward_gradient(ctx: Any, by_x: Tensor, by_edges: Tensor) -> tuple[Any, ...]:
    edge_index, *inputs = ctx.saved_tensors
    graph = EdgeList(edge_index.long(), inputs[0].size(0), inputs[1].size(0))

    def first(grad: Tensor, x: Tensor, edges: Tensor) -> list[Tensor | None]:
        return again(grad, (x, edges), (True, True), graph)

    return None, *gradients(first, inputs, [by_x, by_edges], ctx.needs_input_grad[1:4])


edge_relu_sum.register_autograd(_gradient, setup_context=_context)
edge_relu_sum_backward.register_autograd(_backward_gradient, setup_context=_backward_context)
