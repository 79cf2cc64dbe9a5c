"""`gated_recurrence` as an operator of torch: fake implementations, gradients, and the way into fast kernels.

A kernel backend is a `RecurrenceKernels` under the name `gated_recurrence` in its module. The operator chooses when it
runs, so a compiled model obeys `use_backend` too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gnnkit.ops import _torch_recurrence
from gnnkit.ops.backends import Situation
from gnnkit.ops.dispatch import choose_installed, load_backend

__all__ = ["RecurrenceKernels", "gated_recurrence_op"]

Gradients = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]


@dataclass(frozen=True)
class RecurrenceKernels:
    """`gated_recurrence` from two kernels. All tensors are contiguous, on one device and of one type.

    Args:
        forward: `(x, state, weight_input, weight_state, bias, return_sequence) -> states`.
        backward: `(grad, x, state, weight_input, weight_state, bias, return_sequence, need_x) -> gradients` of x,
            state, weight_input, weight_state, bias; without `need_x` the first is an empty tensor.
    """

    forward: Callable[..., Tensor]
    backward: Callable[..., Gradients]


def _backend(x: Tensor, state: Tensor) -> Any:
    situation = Situation(x.device.type, x.dtype, hidden=state.size(-1))
    return load_backend("gated_recurrence", choose_installed("gated_recurrence", situation).backend)


@torch.library.custom_op("gnnkit::gated_recurrence", mutates_args=())
def gated_recurrence_op(
    x: Tensor, state: Tensor, weight_input: Tensor, weight_state: Tensor, bias: Tensor, return_sequence: bool
) -> Tensor:
    """See `gnnkit.ops.gated_recurrence`; the arguments are checked there."""
    inputs = [tensor.contiguous() for tensor in (x, state, weight_input, weight_state, bias)]
    backend = _backend(x, state)
    if isinstance(backend, RecurrenceKernels):
        return backend.forward(*inputs, return_sequence)
    return backend(*inputs, return_sequence).contiguous()


@gated_recurrence_op.register_fake
def _(
    x: Tensor, state: Tensor, weight_input: Tensor, weight_state: Tensor, bias: Tensor, return_sequence: bool
) -> Tensor:
    batch, steps, nodes, _ = x.shape
    hidden = weight_state.shape[0]
    return x.new_empty((batch, steps, nodes, hidden) if return_sequence else (batch, nodes, hidden))


@torch.library.custom_op("gnnkit::gated_recurrence_backward", mutates_args=())
def _backward_op(
    grad: Tensor,
    x: Tensor,
    state: Tensor,
    weight_input: Tensor,
    weight_state: Tensor,
    bias: Tensor,
    return_sequence: bool,
    need_x: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    inputs = [tensor.contiguous() for tensor in (x, state, weight_input, weight_state, bias)]
    backend = _backend(x, state)
    if isinstance(backend, RecurrenceKernels):
        return backend.backward(grad.contiguous(), *inputs, return_sequence, need_x)
    with torch.enable_grad():
        inputs = [tensor.detach().requires_grad_() for tensor in inputs]
        output = backend(*inputs, return_sequence)
    grads = torch.autograd.grad(output, inputs, grad, allow_unused=True)
    found = [torch.zeros_like(a) if g is None else g.contiguous() for g, a in zip(grads, inputs, strict=True)]
    return (found[0] if need_x else x.new_empty(0)), found[1], found[2], found[3], found[4]


@_backward_op.register_fake
def _(
    grad: Tensor,
    x: Tensor,
    state: Tensor,
    weight_input: Tensor,
    weight_state: Tensor,
    bias: Tensor,
    return_sequence: bool,
    need_x: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    shape = x.shape if need_x else (0,)
    rest = [tensor.new_empty(tensor.shape) for tensor in (state, weight_input, weight_state, bias)]
    return x.new_empty(shape), rest[0], rest[1], rest[2], rest[3]


def _setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    *tensors, ctx.return_sequence = inputs
    # Nothing but the inputs: gates and states are computed again where they are used.
    ctx.save_for_backward(*tensors)


def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    inputs = ctx.saved_tensors
    needed = ctx.needs_input_grad[:5]
    if torch.is_grad_enabled():
        # This gradient is to be differentiated in turn, which torch's own operators can do. Views keep what one input
        # owes to another out of it: that is on the tape already.
        views = [tensor.view_as(tensor) if tensor.requires_grad else tensor for tensor in inputs]
        x, state, weight_input, weight_state, bias = views
        output = _torch_recurrence.gated_recurrence(x, state, weight_input, weight_state, bias, ctx.return_sequence)
        wanted = [view for view, need in zip(views, needed, strict=True) if need]
        found = iter(torch.autograd.grad(output, wanted, grad, create_graph=True, allow_unused=True))
        return *(next(found) if need else None for need in needed), None
    x, state, weight_input, weight_state, bias = inputs
    grads = _backward_op(grad, x, state, weight_input, weight_state, bias, ctx.return_sequence, needed[0])
    return *(gradient if need else None for gradient, need in zip(grads, needed, strict=True)), None


gated_recurrence_op.register_autograd(_backward, setup_context=_setup)
