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

from gnnkit.ops.autograd import gradients
from gnnkit.ops.backends import Situation
from gnnkit.ops.dispatch import backend_for
from gnnkit.ops.recurrence.torch import gated_recurrence as native_recurrence

__all__ = ["RecurrenceKernels", "gated_recurrence_op"]

Inputs = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]


@dataclass(frozen=True)
class RecurrenceKernels:
    """`gated_recurrence` from two kernels. All tensors are contiguous, on one device and of one type.

    Args:
        forward: `(inputs, return_sequence) -> states`; inputs are x, state, weight_input, weight_state, bias.
        backward: `(grad, inputs, return_sequence, need_x) -> gradients` of the inputs; without `need_x` the first is
            an empty tensor.
    """

    forward: Callable[..., Tensor]
    backward: Callable[..., Inputs]


def _backend(x: Tensor, state: Tensor) -> Any:
    return backend_for("gated_recurrence", Situation(x.device.type, x.dtype, hidden=state.size(-1)))


@torch.library.custom_op("gnnkit::gated_recurrence", mutates_args=())
def gated_recurrence_op(
    x: Tensor, state: Tensor, weight_input: Tensor, weight_state: Tensor, bias: Tensor, return_sequence: bool
) -> Tensor:
    """See `gnnkit.ops.gated_recurrence`; the arguments are checked there."""
    inputs = tuple(tensor.contiguous() for tensor in (x, state, weight_input, weight_state, bias))
    backend = _backend(x, state)
    if isinstance(backend, RecurrenceKernels):
        return backend.forward(inputs, return_sequence)
    return backend(*inputs, return_sequence).contiguous()


@gated_recurrence_op.register_fake
def _(x, state, weight_input, weight_state, bias, return_sequence):
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
    inputs = tuple(tensor.contiguous() for tensor in (x, state, weight_input, weight_state, bias))
    backend = _backend(x, state)
    if isinstance(backend, RecurrenceKernels):
        return backend.backward(grad.contiguous(), inputs, return_sequence, need_x)
    with torch.no_grad():
        grads = gradients(lambda *inputs: backend(*inputs, return_sequence), inputs, grad)
    found = [torch.zeros_like(a) if g is None else g.contiguous() for g, a in zip(grads, inputs, strict=True)]
    return (found[0] if need_x else x.new_empty(0)), found[1], found[2], found[3], found[4]


@_backward_op.register_fake
def _(grad, x, state, weight_input, weight_state, bias, return_sequence, need_x):
    rest = (tensor.new_empty(tensor.shape) for tensor in (state, weight_input, weight_state, bias))
    return x.new_empty(x.shape if need_x else (0,)), *rest


def _setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    *tensors, ctx.return_sequence = inputs
    # Nothing but the inputs: gates and states are computed again where they are used.
    ctx.save_for_backward(*tensors)


def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    inputs, needed = ctx.saved_tensors, ctx.needs_input_grad[:5]
    if torch.is_grad_enabled():
        # This gradient is to be differentiated in turn, which torch's own operators can do.
        run: Any = native_recurrence
        return *gradients(lambda *inputs: run(*inputs, ctx.return_sequence), inputs, grad, needed), None
    grads = _backward_op(grad, *inputs, ctx.return_sequence, needed[0])
    return *(gradient if need else None for gradient, need in zip(grads, needed, strict=True)), None


gated_recurrence_op.register_autograd(_backward, setup_context=_setup)
