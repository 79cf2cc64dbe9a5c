"""Aggregation over a few edges that are sorted for it alone, with the maps around it: one function each way.

A step on some hundred edges is made of calls, not of numbers. Here the sort, the aggregation and the maps of both sides
are one function for autograd, whose parts record nothing.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from gnnkit.layers._fused import MOST_WORK_OF_A_CALL, chosen
from gnnkit.ops.autograd import gradients
from gnnkit.ops.dispatch import requested_backend
from gnnkit.ops.neighbour_max.options import MaxOptions
from gnnkit.ops.structure.compress import is_one_pass, is_sorted_anew
from gnnkit.ops.structure.edges import plain
from gnnkit.ops.tracing import is_batched, is_traced

EXTREME = ("max", "min")


def is_small(x: Tensor, edge_index: Tensor, op: str) -> bool:
    """Whether all of it may be one compiled call: a small graph on the CPU, and no wish for another backend."""
    if is_traced() or x.dim() != 2 or edge_index.size(1) * x.size(1) > MOST_WORK_OF_A_CALL:
        return False
    if x.dtype not in (torch.float32, torch.float64) or x.device.type != "cpu" or not is_one_pass(plain(edge_index)):
        return False
    return chosen(op, "cpu", x.dtype, requested_backend(op))[0] == "numba"


def convolve_anew(
    layer: Any,
    x: Tensor,
    edge_index: Tensor,
    num_dst: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    own_weight: Tensor | None = None,
    *,
    root: float = 0.0,
    then: tuple[Tensor, Tensor | None] | None = None,
) -> Tensor | None:
    """W (aggregate(x) + root x) + b + W_2 x by the layer's `aggr`, without the maps that are None.

    With a `root` or W_2 the targets are the sources. `then` are W_3 and its bias or None, of a map that follows on what
    is positive: W_3 relu(…) + b_3. Returned is None where the edges are many, an id is out of range,
    or another backend is asked for.
    """
    kind = layer.aggr
    if not is_small(x, edge_index, "neighbour_max" if kind in EXTREME else "spmm"):
        return None
    edges = plain(edge_index)
    if not is_sorted_anew(edges):
        return None
    back = recorded = x.requires_grad and torch.is_grad_enabled()
    if not back and torch.is_grad_enabled():
        for part in (weight, bias, own_weight, *(then or ())):
            recorded |= part is not None and part.requires_grad
    if kind in EXTREME:
        found = _edge_max()(edges, x, num_dst, layer.flow, MaxOptions(kind == "max", True, back))
    else:
        found = _edge_sum()(edges, x, num_dst, layer.flow, back=back, mean=kind == "mean", root=root)
    if found is None:
        return None
    if then is None:
        if not recorded:
            return _mapped(found[0], x, weight, bias, own_weight)
        return _Convolution.apply(found, x, weight, bias, own_weight)  # pyright: ignore[reportReturnType]
    if not recorded:
        return F.linear(F.linear(found[0], weight, bias).relu_(), *then)  # pyright: ignore[reportArgumentType]
    return _Perceptron.apply(found, x, weight, bias, *then)  # pyright: ignore[reportReturnType]


@cache
def _edge_sum() -> Any:
    from gnnkit.ops.spmm.numba_edges import edge_sum

    return edge_sum


@cache
def _edge_max() -> Any:
    from gnnkit.ops.neighbour_max.numba_edges import edge_max

    return edge_max


def _mapped(heard: Tensor, x: Tensor, weight: Tensor | None, bias: Tensor | None, own_weight: Tensor | None) -> Tensor:
    if weight is None:
        return heard
    out = F.linear(heard, weight, bias)
    return out if own_weight is None else out.addmm_(x, own_weight.t())


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, found: tuple[Tensor, Any], x: Tensor, *maps: Tensor | None) -> Tensor:
        heard, ctx.made = found
        ctx.save_for_backward(heard, x, *maps)
        return _mapped(heard, x, *maps)  # pyright: ignore[reportCallIssue]

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        heard, x, weight, bias, own_weight = ctx.saved_tensors
        needed, made = ctx.needs_input_grad[1:], ctx.made
        if torch.is_grad_enabled() or is_batched(grad, x):

            def again(x: Tensor, weight: Tensor | None, bias: Tensor | None, own_weight: Tensor | None) -> Tensor:
                heard = made.again(x) if needed[0] else ctx.saved_tensors[0]
                out = heard if weight is None else F.linear(heard, weight, bias)
                return out if own_weight is None else out + F.linear(x, own_weight)

            return None, *gradients(again, (x, weight, bias, own_weight), grad, needed)
        need_x, need_weight, need_bias, need_own = needed
        grad_x = None
        if need_x:
            grad_x = made.back(grad if weight is None else grad.mm(weight), x, heard)
            grad_x = grad_x if own_weight is None else grad_x.addmm_(grad, own_weight)
        above = grad.t() if need_weight or need_own else grad
        return (
            None,
            grad_x,
            above.mm(heard) if need_weight else None,
            grad.sum(0) if need_bias else None,
            above.mm(x) if need_own else None,
        )


class _Perceptron(torch.autograd.Function):
    """The aggregation, and a network of two maps with a ReLU between them."""

    @staticmethod
    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any,
        found: tuple[Tensor, Any],
        x: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        last: Tensor,
        last_bias: Tensor | None,
    ) -> Tensor:
        heard, ctx.made = found
        hidden = F.linear(heard, weight, bias).relu_()
        ctx.save_for_backward(heard, hidden, x, weight, bias, last, last_bias)
        return F.linear(hidden, last, last_bias)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        heard, hidden, x, weight, bias, last, last_bias = ctx.saved_tensors
        needed, made = ctx.needs_input_grad[1:], ctx.made
        if torch.is_grad_enabled() or is_batched(grad, x):

            def again(x: Tensor, weight: Tensor, bias: Tensor | None, last: Tensor, last_bias: Tensor | None) -> Tensor:
                again_heard = made.again(x) if needed[0] else heard
                return F.linear(F.linear(again_heard, weight, bias).relu(), last, last_bias)

            return None, *gradients(again, (x, weight, bias, last, last_bias), grad, needed)
        need_x, need_weight, need_bias, need_last, need_last_bias = needed
        grad_x = grad_weight = grad_bias = None
        if need_x or need_weight or need_bias:
            inner = torch.ops.aten.threshold_backward(grad.mm(last), hidden, 0)
            grad_x = made.back(inner.mm(weight), x, heard) if need_x else None
            grad_weight = inner.t().mm(heard) if need_weight else None
            grad_bias = inner.sum(0) if need_bias else None
        grad_last = grad.t().mm(hidden) if need_last else None
        return None, grad_x, grad_weight, grad_bias, grad_last, grad.sum(0) if need_last_bias else None
