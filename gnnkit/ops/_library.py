"""`spmm` as `torch.library` operators: what `torch.compile` and `torch.export` put into their graphs.

Operators take the user's edge tensor. At run time the compressed graph is looked up (see `structure.remember`) and
the backend chosen, as in eager mode; eager mode itself calls the kernels directly, which saves the dispatcher's time.
Their gradients can be differentiated in turn, as those of `_function` can.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from gnnkit.ops import _torch
from gnnkit.ops._function import AttentionKernels, SpmmKernels
from gnnkit.ops.backends import Situation
from gnnkit.ops.dispatch import choose_installed, load_backend
from gnnkit.ops.structure import CompressedGraph, compress

__all__ = ["is_traced", "kernels_for", "spmm", "spmm_backward"]

_NATIVE = SpmmKernels(_torch.spmm, _torch.spmm_backward)


def is_traced() -> bool:
    """Tell whether a tracer is looking on: it must see operators, not kernels that it knows nothing of."""
    return torch.compiler.is_compiling() or torch._C._len_torch_dispatch_stack() > 0


def kernels_for(op: str, graph: CompressedGraph, x: Tensor, native: Any) -> Any:
    """The kernels of the backend that is chosen for an op, `native` ones where it has none of its own."""
    sizes = (graph.num_dst, graph.num_src, graph.num_edges)
    situation = Situation(
        x.device.type, x.dtype, False, False, *sizes, width=x.numel() // graph.num_src if graph.num_src else 0
    )
    backend = load_backend(op, choose_installed(op, situation).backend)
    # Backends that are made of torch's operators have no kernels of their own: here they are written out.
    return backend if isinstance(backend, (SpmmKernels, AttentionKernels)) else native


@torch.library.custom_op("gnnkit::spmm", mutates_args=())
def spmm(edge_index: Tensor, x: Tensor, weight: Tensor | None, num_dst: int) -> Tensor:
    """`gnnkit.ops.spmm` as an operator."""
    graph = compress(edge_index, num_dst, x.size(-2))
    return kernels_for("spmm", graph, x, _NATIVE).forward(graph, x, weight).contiguous()


@spmm.register_fake
def _(edge_index: Tensor, x: Tensor, weight: Tensor | None, num_dst: int) -> Tensor:
    return x.new_empty(*x.shape[:-2], num_dst, x.size(-1))


@torch.library.custom_op("gnnkit::spmm_backward", mutates_args=())
def spmm_backward(
    edge_index: Tensor, grad: Tensor, x: Tensor, weight: Tensor | None, need_weight: bool
) -> tuple[Tensor, Tensor]:
    """Gradients of `gnnkit::spmm`; the second is empty where it is not needed."""
    graph = compress(edge_index, grad.size(-2), x.size(-2))
    kernels = kernels_for("spmm", graph, x, _NATIVE)
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


def _spmm_backward_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    *tensors, ctx.need_weight = inputs
    ctx.save_for_backward(*tensors)


def _spmm_backward_gradient(ctx: Any, by_x: Tensor, by_weight: Tensor) -> tuple[Any, ...]:
    edge_index, grad, x, weight = ctx.saved_tensors
    _, need_grad, need_x, need_weight, _ = ctx.needs_input_grad
    by_grad = spmm(edge_index, by_x, weight, grad.size(-2)) if need_grad else None
    if need_grad and ctx.need_weight:
        by_grad = by_grad + spmm(edge_index, x, by_weight, grad.size(-2))
    of_x, of_weight = None, None
    if (need_x and ctx.need_weight) or need_weight:
        # As in `_function`: the gradient again, of what comes from above in the place of the inputs.
        above = by_weight if ctx.need_weight else weight
        of_x, of_weight = spmm_backward(edge_index, grad, by_x, above, need_weight)
    return None, by_grad, of_x if ctx.need_weight else None, of_weight if need_weight else None, None


spmm.register_autograd(_spmm_gradient, setup_context=_spmm_context)
spmm_backward.register_autograd(_spmm_backward_gradient, setup_context=_spmm_backward_context)
