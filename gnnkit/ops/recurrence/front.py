"""T-GCN's gates over all time steps."""

from __future__ import annotations

from functools import reduce

import torch
from jaxtyping import Float
from torch import Tensor

from gnnkit.ops.backends import FULL, REFERENCE, TORCH, WITH_HALF, BackendEntry, Situation, register
from gnnkit.ops.dispatch import backend_for
from gnnkit.ops.recurrence.autograd import RecurrenceKernels, gated_recurrence_op
from gnnkit.ops.tracing import is_transformed

__all__ = ["gated_recurrence"]

# A wider state does not stay in the registers of a program.
_TRITON_MAX_HIDDEN = 128


def _narrow(situation: Situation) -> str | None:
    too_wide = f"the state has {situation.hidden} channels, more than {_TRITON_MAX_HIDDEN}"
    return too_wide if situation.hidden > _TRITON_MAX_HIDDEN else None


register(
    "gated_recurrence",
    __package__,
    BackendEntry("triton", ("cuda",), WITH_HALF, "triton", only_if=_narrow),
    BackendEntry("numba", ("cpu",), FULL, "numba"),
    TORCH,
    REFERENCE,
)


def gated_recurrence(
    x: Float[Tensor, "B T N F"],
    state: Float[Tensor, "B N H"],
    weight_input: Float[Tensor, "F 3H"],
    weight_state: Float[Tensor, "H 3H"],
    bias: Float[Tensor, " 3H"] | None = None,
    *,
    return_sequence: bool = True,
) -> Float[Tensor, "B T N H"] | Float[Tensor, "B N H"]:
    """Run a gated recurrence over all steps of many independent rows at once.

    The columns of the weights are three blocks of H: update u, reset r, candidate c.

        u_t = σ(x_t W_u + h_{t-1} U_u + b_u)
        r_t = σ(x_t W_r + h_{t-1} U_r + b_r)
        c_t = tanh(x_t W_c + (r_t ⊙ h_{t-1}) U_c + b_c)
        h_t = u_t ⊙ h_{t-1} + (1 - u_t) ⊙ c_t

    With x the graph convolution of all steps this is T-GCN: its rows, one for each node of each sample, do not see each
    other. So the CPU kernel takes a few rows through all steps while they stay in the cache, input product included; it
    keeps nothing for the backward pass but its inputs, where the gates are computed again in the same way. Its scratch
    memory is (threads) × T × 48 rows × about (5 H + F) numbers.

    On a GPU one launch takes all rows through all steps, for H up to 128; beyond that torch's operators run. The
    backward pass runs it again and holds 5 B T N H numbers meanwhile, of some samples at a time where they are more
    than 2**28.

    Args:
        x: Features of each step; whatever is small: the 3H-wide input product of all steps is never held. The layout in
            which a model has them, so nothing is transposed.
        state: h_0.
        weight_input: W = [W_u, W_r, W_c].
        weight_state: U = [U_u, U_r, U_c].
        bias: b = [b_u, b_r, b_c]. Default: zero.
        return_sequence: True for all states, False for the last alone: the others are then not written. Default: True.

    Shape:
        x `[B, T, N, F]`, state `[B, N, H]`, weight_input `[F, 3H]`, weight_state `[H, 3H]`, bias `[3H]`. T may be 0.

    Returns:
        h_1 … h_T, `[B, T, N, H]`; without `return_sequence` h_T, `[B, N, H]`.

    Raises:
        ValueError: A shape does not fit, or types or devices differ (under autocast types may: the wider one is taken).

    Source:
        Zhao et al., T-GCN: a temporal graph convolutional network for traffic prediction, 2019. The gates are those of
        Cho et al., 2014, with the reset before the product; `torch.nn.GRU` applies it after, and is another function.

    Example:
        >>> x, state = torch.ones(1, 2, 1, 1), torch.zeros(1, 1, 1)
        >>> gated_recurrence(x, state, torch.ones(1, 3), torch.ones(1, 3)).flatten()
        tensor([0.2048, 0.3468])
    """
    _check(x, state, weight_input, weight_state, bias)
    if bias is None:
        bias = weight_state.new_zeros(weight_state.shape[1])
    inputs = _one_type(x, state, weight_input, weight_state, bias)
    if torch.compiler.is_compiling():
        return gated_recurrence_op(*inputs, return_sequence)
    situation = Situation(x.device.type, inputs[0].dtype, is_transformed(*inputs), hidden=weight_state.size(0))
    backend = backend_for("gated_recurrence", situation)
    if isinstance(backend, RecurrenceKernels):
        return gated_recurrence_op(*inputs, return_sequence)
    return backend(*inputs, return_sequence)


def _check(x: Tensor, state: Tensor, weight_input: Tensor, weight_state: Tensor, bias: Tensor | None) -> None:
    if x.dim() != 4:
        raise ValueError(
            f"x has shape {list(x.shape)}: it is [B, T, N, F], batch, steps, nodes, features; "
            f"rows [T, M, F] without a batch go in as x[None]"
        )
    if weight_state.dim() != 2 or weight_state.shape[1] != 3 * weight_state.shape[0]:
        raise ValueError(
            f"weight_state has shape {list(weight_state.shape)}: it is [H, 3H], the columns update, reset, candidate"
        )
    batch, _, nodes, features = x.shape
    hidden = weight_state.shape[0]
    expected: list[tuple[str, Tensor | None, list[int], str]] = [
        ("state", state, [batch, nodes, hidden], "[B, N, H]"),
        ("weight_input", weight_input, [features, 3 * hidden], "[F, 3H]"),
        ("bias", bias, [3 * hidden], "[3H]"),
    ]
    for name, tensor, shape, letters in expected:
        if tensor is not None and list(tensor.shape) != shape:
            raise ValueError(
                f"{name} has shape {list(tensor.shape)}: with x {list(x.shape)} and weight_state "
                f"{list(weight_state.shape)} it is {letters} = {shape}"
            )
    for name, tensor in (
        ("state", state),
        ("weight_input", weight_input),
        ("weight_state", weight_state),
        ("bias", bias),
    ):
        if tensor is not None and tensor.device != x.device:
            raise ValueError(f"{name} is on {tensor.device} and x on {x.device}: move them to one device with .to()")


def _one_type(*tensors: Tensor) -> list[Tensor]:
    """The tensors in one floating type; under autocast the widest of theirs."""
    types = {tensor.dtype for tensor in tensors}
    if not all(dtype.is_floating_point for dtype in types):
        raise ValueError(
            f"x, state and the weights have types {sorted(map(str, types))}: they are floating; call .float()"
        )
    if len(types) == 1:
        return list(tensors)
    if not torch.is_autocast_enabled(tensors[0].device.type):
        raise ValueError(
            f"x, state, weights and bias have different types, {', '.join(sorted(map(str, types)))}: "
            f"bring them to one, e.g. with x.to(weight_input.dtype)"
        )
    widest = reduce(torch.promote_types, types)
    return [tensor.to(widest) for tensor in tensors]
