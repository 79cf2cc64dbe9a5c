"""Who is looking on: tracers, transforms and batched gradients, which must see torch's own operators."""

from __future__ import annotations

import torch
from torch import Tensor
from torch._C import _functorch  # pyright: ignore[reportAttributeAccessIssue, reportMissingModuleSource]
from torch.autograd import forward_ad

__all__ = ["is_batched", "is_in_transform", "is_traced", "is_transformed", "is_wrapped"]

_PLAIN = (Tensor, torch.nn.Parameter)


def is_traced() -> bool:
    """Tell whether a tracer is looking on: it must see operators, not kernels that it knows nothing of."""
    return torch.compiler.is_compiling() or torch._C._len_torch_dispatch_stack() > 0


def is_in_transform() -> bool:
    """Tell whether a `torch.func` transform is at work."""
    return _functorch.maybe_current_level() is not None


def is_wrapped(tensor: Tensor) -> bool:
    """Tell whether a tensor is that of a `torch.func` transform: nobody can look at its numbers."""
    return _functorch.is_functorch_wrapped_tensor(tensor)


def is_transformed(*tensors: Tensor | None) -> bool:
    """Tell whether plain kernels would give a wrong answer on these tensors, and only torch's operators know better.

    That is so inside a `torch.func` transform, under forward-mode derivatives, for tensor subclasses, and for views of
    memory that holds the numbers with the other sign (such as the imaginary part of a conjugate).
    """
    if _functorch.maybe_current_level() is not None or forward_ad._current_level >= 0:
        return True
    for tensor in tensors:  # noqa: SIM110 - it is asked for on every call, and any(...) takes twice as long
        if tensor is not None and (type(tensor) not in _PLAIN or tensor.is_neg()):
            return True
    return False


def is_batched(*tensors: Tensor | None) -> bool:
    """Tell whether a backward pass is run for many gradients at once, or otherwise in a way that kernels cannot see.

    That is so under `torch.func` transforms, and for the tensors of `is_grads_batched=True`.
    """
    return is_transformed(*tensors) or any(
        tensor is not None and _functorch.is_legacy_batchedtensor(tensor) for tensor in tensors
    )
