"""`spmm` as `torch.library` operators: what `torch.compile` and `torch.export` put into their graphs.

Operators take the user's edge tensor. At run time the compressed graph is looked up (see `structure.remembered`) and
the backend chosen, as in eager mode; eager mode itself calls the kernels directly, which saves the dispatcher's time.
Their gradients can be differentiated in turn, as those of `autograd` can.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor

from gnnkit.ops.backends import situation_of
from gnnkit.ops.dispatch import backend_for
from gnnkit.ops.spmm.autograd import SpmmKernels, derivatives_of_gradients
from gnnkit.ops.spmm.torch import spmm as native_spmm
from gnnkit.ops.spmm.torch import spmm_backward as native_backward
from gnnkit.ops.structure.compress import compress
from gnnkit.ops.structure.graph import CompressedGraph

__all__ = ["spmm", "spmm_backward"]

_NATIVE = SpmmKernels(native_spmm, native_backward)


def _kernels(graph: CompressedGraph, x: Tensor) -> SpmmKernels:
    """Those of the backend that is chosen; backends that are made of torch's operators have none of their own."""
    backend = backend_for("spmm", situation_of(graph, x))
    return backend if isinstance(backend, SpmmKernels) else _NATIVE


@torch.library.custom_op("gnnkit::spmm", mutates_args=())
def spmm(edge_index: Tensor, x: Tensor, weight: Tensor | None, num_dst: int) -> Tensor:
    """`gnnkit.ops.spmm` as an operator."""
    graph = compress(edge_index, num_dst, x.size(-2))
    return _kernels(graph, x).forward(graph, x, weight).contiguous()


@spmm.register_fake
def _(edge_index: Tensor, x: Tensor, weight: Tensor | None, num_dst: int) -> Tensor:
    return x.new_empty(*x.shape[:-2], num_dst, x.size(-1))


@torch.library.custom_op("gnnkit::spmm_backward", mutates_args=())
def spmm_backward(
    edge_index: Tensor, grad: Tensor, x: Tensor, weight: Tensor | None, need_weight: bool
) -> tuple[Tensor, Tensor]:
    """Gradients of `gnnkit::spmm`; the second is empty where it is not needed."""
    graph = compress(edge_index, grad.size(-2), x.size(-2))
    grad_x, grad_weight = _kernels(graph, x).backward(graph, grad, x, weight, need_weight)
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


def _spmm_backward_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    *tensors, ctx.need_weight = inputs
    ctx.save_for_backward(*tensors)


def _spmm_backward_gradient(ctx: Any, by_x: Tensor, by_weight: Tensor | None) -> tuple[Any, ...]:
    edge_index, *saved = ctx.saved_tensors

    def product(x: Tensor, weight: Tensor | None) -> Tensor:
        return spmm(edge_index, x, weight, saved[0].size(-2))

    by_weight = by_weight if ctx.need_weight else None
    backward, needed = partial(spmm_backward, edge_index), ctx.needs_input_grad[1:4]
    return None, *derivatives_of_gradients(product, backward, saved, by_x, by_weight, needed), None


spmm.register_autograd(_spmm_gradient, setup_context=_spmm_context)
spmm_backward.register_autograd(_spmm_backward_gradient, setup_context=_spmm_backward_context)
