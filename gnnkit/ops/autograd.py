"""Kernels as differentiable functions: any backend that has a forward and a backward kernel becomes one of these.

A gradient is a function of what comes from above and of the inputs, and of nothing else that depends on the inputs: so
it can be differentiated in turn, to any order, also where the inputs depend on one another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gnnkit.ops.tracing import is_batched

__all__ = ["Kernels", "gradients"]


@dataclass(frozen=True)
class Kernels:
    """An op of two kernels, called as `kernels(inputs, *settings)`.

    Args:
        forward: `(inputs, *settings) -> (out, *kept)`: the result, and tensors that the other kernel wants to see.
        backward: `(grad, inputs, kept, needed, *settings) -> gradients`, one for each input; one that is not needed may
            be None. `kept` begins with the result.
        again: `(grad, inputs, needed, *settings) -> gradients` in torch's operators, for the calls whose gradient is to
            be differentiated in turn, and those of many gradients at once; most often made of `gradients`.
    """

    forward: Callable[..., tuple[Tensor, ...]]
    backward: Callable[..., Sequence[Tensor | None]]
    again: Callable[..., Sequence[Tensor | None]]

    def __call__(self, inputs: tuple[Tensor | None, ...], *settings: Any) -> Tensor:
        return _OfKernels.apply(self, settings, getattr(inputs, "_make", tuple), *inputs)  # pyright: ignore


class _OfKernels(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, kernels: Kernels, settings: tuple[Any, ...], make: Any, *inputs: Tensor | None) -> Tensor:
        kept = kernels.forward(make(inputs), *settings)
        ctx.kernels, ctx.settings, ctx.make = kernels, settings, make
        ctx.save_for_backward(*inputs, *kept)
        return kept[0]

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:  # pyright: ignore[reportIncompatibleMethodOverride]
        needed, saved = ctx.needs_input_grad[3:], ctx.saved_tensors
        inputs, kept = ctx.make(saved[: len(needed)]), saved[len(needed) :]
        if torch.is_grad_enabled() or is_batched(grad, *inputs):
            # What is kept depends on the inputs: what is to be differentiated is made of the inputs alone.
            grads = ctx.kernels.again(grad, inputs, needed, *ctx.settings)
        else:
            grads = ctx.kernels.backward(grad, inputs, kept, needed, *ctx.settings)
        return None, None, None, *(found if need else None for found, need in zip(grads, needed, strict=True))


def gradients(
    function: Callable[..., Tensor | Sequence[Tensor | None]],
    inputs: Sequence[Tensor | None],
    above: Tensor | Sequence[Tensor],
    needed: Sequence[bool] | None = None,
) -> list[Tensor | None]:
    """The gradients of a function made of torch's operators; where gradients are recorded they can be differentiated.

    A backward pass that kernels cannot do (see `tracing.is_batched`), or whose derivative is asked for, is this one.

    Args:
        function: Takes the inputs; returns one output, or several, of which those that are None are left out.
        inputs: Its inputs.
        above: What comes from above, for each output that is there.
        needed: Which inputs a gradient is asked for. Default: all.

    Returns:
        A gradient for each input; None where none is needed, or nothing depends on it.

    Example:
        >>> x = torch.tensor([3.0], requires_grad=True)
        >>> gradients(torch.square, [x], torch.ones(1))[0].item()
        6.0
    """
    create_graph = torch.is_grad_enabled()
    needed = [tensor is not None for tensor in inputs] if needed is None else needed

    def own(tensor: Tensor | None, need: bool) -> Tensor | None:
        """An input under a name of its own: where it depends on another, that path is not this gradient's."""
        if tensor is not None and create_graph and tensor.requires_grad:
            return tensor.view_as(tensor)
        return tensor.detach().requires_grad_() if tensor is not None and need else tensor

    with torch.enable_grad():
        views = [own(tensor, need) for tensor, need in zip(inputs, needed, strict=True)]
        found = function(*views)
    outputs: Any = [found] if isinstance(found, Tensor) else [output for output in found if output is not None]
    wanted: Any = [view for view, need in zip(views, needed, strict=True) if need]
    above = [above] if isinstance(above, Tensor) else list(above)
    grads = iter(torch.autograd.grad(outputs, wanted, above, create_graph=create_graph, allow_unused=True))
    return [next(grads) if need else None for need in needed]
