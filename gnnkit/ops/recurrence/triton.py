"""T-GCN's gates in Triton: a program takes a block of rows through all steps, the state in its registers.

Nothing is kept for the backward pass but the inputs. It runs the forward kernel again, which now also writes the gates;
a second kernel goes back through time and writes, in the gates' place, the gradients of what went into them. From these
the weights' gradients are three matrix products over all rows and steps, which the kernel cannot do as well: their sums
would take the registers that the state and its products need.
"""

# A kernel is Triton's language in Python's clothes: its indexing and constants are not what Python's types say.
# pyright: reportCallIssue=false, reportArgumentType=false, reportOperatorIssue=false, reportAssignmentType=false

from __future__ import annotations

from typing import Any

import torch
import triton  # pyright: ignore[reportMissingImports]
import triton.language as tl  # pyright: ignore[reportMissingImports]
from torch import Tensor
from torch.nn import functional

from gnnkit.ops.kernels.pieces import launch, power_of_two
from gnnkit.ops.recurrence.autograd import Inputs, RecurrenceKernels

__all__ = ["backward", "forward", "gated_recurrence"]

# Rows of a program, the least that tl.dot takes: a weight's columns then leave room for its rows in the registers.
_ROWS = 16

# Input features that are multiplied at once, the least that tl.dot takes.
_FEATURES = 16

# Numbers that the backward pass may hold beside its inputs, 1 GiB in float32; samples beyond that come in turn.
_SCRATCH = 2**28


@triton.jit
def _tanh(x):
    # The series where exp would lose what is small; its next term is below float32's last digit.
    y, q = tl.abs(x), x * x
    series = y * (1.0 + q * (-1.0 / 3 + q * (2.0 / 15 + q * (-17.0 / 315 + q * (62.0 / 2835)))))
    small = tl.exp(-2.0 * y)
    far = tl.where(y < 0.25, series, (1.0 - small) / (1.0 + small))
    return tl.where(x < 0, -far, far)


@triton.jit
def _matrix(weight, DEPTH: tl.constexpr, WIDTH: tl.constexpr):
    return tl.load(weight + tl.arange(0, DEPTH)[:, None] * WIDTH + tl.arange(0, WIDTH)[None, :])


@triton.jit
def _hold(weight, WIDTH: tl.constexpr):
    """A square weight, loaded for good; a large one stays where it is, and is read a part at a time."""
    if WIDTH <= 64:
        return _matrix(weight, WIDTH, WIDTH)
    else:
        return weight


@triton.jit
def _multiply(rows, held, sums, WIDTH: tl.constexpr):
    """sums + rows · weight, for what `_hold` gave of the weight."""
    if WIDTH <= 64:
        return tl.dot(rows.to(held.dtype), held, sums, input_precision="ieee")
    else:
        # A loop and not all parts in a line: these would all be loaded at once.
        PART: tl.constexpr = 32
        narrow = rows.to(held.dtype.element_ty)
        for first in range(0, WIDTH, PART):
            columns = tl.broadcast_to((first + tl.arange(0, PART))[None, :], (rows.shape[0], PART))
            part = tl.gather(narrow, columns, 1)
            sums = tl.dot(part, _matrix(held + first * WIDTH, PART, WIDTH), sums, input_precision="ieee")
        return sums


@triton.jit
def _forward(
    x, state, weight_input, weight_state, bias, out, before, gates, reset_state, steps, nodes, total,
    FEATURES: tl.constexpr, WIDE: tl.constexpr, PART: tl.constexpr, HIDDEN: tl.constexpr, WIDTH: tl.constexpr,
    ROWS: tl.constexpr, EVERY: tl.constexpr, SAVE: tl.constexpr,
):  # fmt: skip
    """All steps of a block of rows. The weights are those of three gates, each `[WIDE or WIDTH, WIDTH]`, zero outside.

    With SAVE what goes into the backward pass is written, else all states or with EVERY false the last.
    """
    row = (tl.program_id(0) * ROWS + tl.arange(0, ROWS)).to(tl.int64)
    # Row (b, n) at step 0 in [B, T, N, …]; a step further is `nodes` further.
    place = row // nodes * steps * nodes + row % nodes
    column, f = tl.arange(0, WIDTH), tl.arange(0, PART)
    is_state = (row < total)[:, None] & (column < HIDDEN)[None, :]
    h = tl.load(state + row[:, None] * HIDDEN + column[None, :], mask=is_state, other=0.0).to(tl.float32)
    SQUARE: tl.constexpr = WIDTH * WIDTH
    state_update = _hold(weight_state, WIDTH)
    state_reset = _hold(weight_state + SQUARE, WIDTH)
    state_candidate = _hold(weight_state + 2 * SQUARE, WIDTH)
    bias_update, bias_reset = tl.load(bias + column).to(tl.float32), tl.load(bias + WIDTH + column).to(tl.float32)
    bias_candidate = tl.load(bias + 2 * WIDTH + column).to(tl.float32)
    for step in range(steps):
        at = place + step * nodes
        update = tl.zeros((ROWS, WIDTH), tl.float32) + bias_update[None, :]
        reset = tl.zeros((ROWS, WIDTH), tl.float32) + bias_reset[None, :]
        candidate = tl.zeros((ROWS, WIDTH), tl.float32) + bias_candidate[None, :]
        for first in range(0, WIDE, PART):
            is_input = (row < total)[:, None] & (first + f < FEATURES)[None, :]
            now = tl.load(x + at[:, None] * FEATURES + (first + f)[None, :], mask=is_input, other=0.0)
            part = weight_input + first * WIDTH
            update = tl.dot(now, _matrix(part, PART, WIDTH), update, input_precision="ieee")
            reset = tl.dot(now, _matrix(part + WIDE * WIDTH, PART, WIDTH), reset, input_precision="ieee")
            candidate = tl.dot(now, _matrix(part + 2 * WIDE * WIDTH, PART, WIDTH), candidate, input_precision="ieee")
        update = tl.sigmoid(_multiply(h, state_update, update, WIDTH))
        reset = tl.sigmoid(_multiply(h, state_reset, reset, WIDTH))
        candidate = _tanh(_multiply(reset * h, state_candidate, candidate, WIDTH))
        if SAVE:
            cell = at[:, None] * HIDDEN + column[None, :]
            gate = at[:, None] * 3 * HIDDEN + column[None, :]
            tl.store(before + cell, h, mask=is_state)
            tl.store(reset_state + cell, reset * h, mask=is_state)
            tl.store(gates + gate, update, mask=is_state)
            tl.store(gates + gate + HIDDEN, reset, mask=is_state)
            tl.store(gates + gate + 2 * HIDDEN, candidate, mask=is_state)
        # An infinite input gives NaN in the columns that only fill up: nothing of it may get into the others.
        h = tl.where(is_state, candidate + update * (h - candidate), 0.0)
        if EVERY and not SAVE:
            tl.store(out + at[:, None] * HIDDEN + column[None, :], h, mask=is_state)
    if not EVERY and not SAVE:
        tl.store(out + row[:, None] * HIDDEN + column[None, :], h, mask=is_state)


@triton.jit
def _backward(
    grad, before, gates, weight_state, grad_state, steps, nodes, total,
    HIDDEN: tl.constexpr, WIDTH: tl.constexpr, ROWS: tl.constexpr, EVERY: tl.constexpr,
):  # fmt: skip
    """Back through all steps of a block of rows: the gates give way to the gradients of what went into them.

    The weights are those of `_forward`, transposed.
    """
    row = (tl.program_id(0) * ROWS + tl.arange(0, ROWS)).to(tl.int64)
    place = row // nodes * steps * nodes + row % nodes
    column = tl.arange(0, WIDTH)
    is_state = (row < total)[:, None] & (column < HIDDEN)[None, :]
    SQUARE: tl.constexpr = WIDTH * WIDTH
    state_update = _hold(weight_state, WIDTH)
    state_reset = _hold(weight_state + SQUARE, WIDTH)
    state_candidate = _hold(weight_state + 2 * SQUARE, WIDTH)
    last = row[:, None] * HIDDEN + column[None, :]
    if EVERY:
        grad_h = tl.zeros((ROWS, WIDTH), tl.float32)
    else:
        grad_h = tl.load(grad + last, mask=is_state, other=0.0).to(tl.float32)
    for back in range(steps):
        at = place + (steps - 1 - back) * nodes
        cell = at[:, None] * HIDDEN + column[None, :]
        gate = at[:, None] * 3 * HIDDEN + column[None, :]
        if EVERY:
            grad_h += tl.load(grad + cell, mask=is_state, other=0.0).to(tl.float32)
        h = tl.load(before + cell, mask=is_state, other=0.0).to(tl.float32)
        update = tl.load(gates + gate, mask=is_state, other=0.0).to(tl.float32)
        reset = tl.load(gates + gate + HIDDEN, mask=is_state, other=0.0).to(tl.float32)
        candidate = tl.load(gates + gate + 2 * HIDDEN, mask=is_state, other=0.0).to(tl.float32)
        grad_update = grad_h * (h - candidate) * update * (1.0 - update)
        grad_candidate = grad_h * (1.0 - update) * (1.0 - candidate * candidate)
        grad_reset_state = _multiply(grad_candidate, state_candidate, tl.zeros((ROWS, WIDTH), tl.float32), WIDTH)
        grad_reset = grad_reset_state * h * reset * (1.0 - reset)
        grad_h = grad_h * update + grad_reset_state * reset
        grad_h = _multiply(grad_update, state_update, grad_h, WIDTH)
        grad_h = _multiply(grad_reset, state_reset, grad_h, WIDTH)
        # Another thread may have to read what this one is about to write over.
        tl.debug_barrier()
        tl.store(gates + gate, grad_update, mask=is_state)
        tl.store(gates + gate + HIDDEN, grad_reset, mask=is_state)
        tl.store(gates + gate + 2 * HIDDEN, grad_candidate, mask=is_state)
    tl.store(grad_state + last, grad_h, mask=is_state)


def _sizes(hidden: int) -> dict[str, int]:
    width = max(power_of_two(hidden, 128), 16)
    return {"HIDDEN": hidden, "WIDTH": width, "ROWS": _ROWS, "warps": 4 if width <= 64 else 8, "num_stages": 1}


def _by_gate(weight: Tensor, depth: int, width: int) -> Tensor:
    """`[n, 3H]` → `[3, depth, width]`, filled up with zeros: the kernels then read weights without a mask."""
    rows, hidden = weight.size(0), weight.size(1) // 3
    filled = functional.pad(weight.view(rows, 3, hidden), (0, width - hidden, 0, 0, 0, depth - rows))
    return filled.transpose(0, 1).contiguous()


def _run(
    inputs: Inputs,
    *,
    every: bool = False,
    out: Tensor | None = None,
    saved: tuple[Tensor, Tensor, Tensor] | None = None,
) -> None:
    """The forward kernel: into `out`, or into what the backward pass works on."""
    x, state, weight_input, weight_state, bias = inputs
    _, steps, nodes, features = x.shape
    constants = _sizes(state.size(-1))
    width, total = constants["WIDTH"], state.size(0) * nodes
    wide = triton.cdiv(features, _FEATURES) * _FEATURES
    launch(
        _forward, triton.cdiv(total, _ROWS),
        x, state, _by_gate(weight_input, wide, width), _by_gate(weight_state, width, width),
        _by_gate(bias.unsqueeze(0), 1, width), x if out is None else out, *(saved or (x, x, x)), steps, nodes, total,
        FEATURES=features, WIDE=wide, PART=_FEATURES, EVERY=every, SAVE=saved is not None, **constants,
    )  # fmt: skip


def forward(inputs: Inputs, return_sequence: bool) -> Tensor:
    """All states, or the last; see `RecurrenceKernels`."""
    x, state = inputs[:2]
    batch, steps, nodes, _ = x.shape
    hidden = state.size(-1)
    shape = (batch, steps, nodes, hidden) if return_sequence else (batch, nodes, hidden)
    out = torch.empty(*shape, dtype=x.dtype, device=x.device)
    if out.numel():
        _run(inputs, every=return_sequence, out=out)
    return out


def backward(grad: Tensor, inputs: Inputs, return_sequence: bool, need_x: bool) -> Inputs:
    """Gradients of all inputs; see `RecurrenceKernels`."""
    x, state, *weights = inputs
    batch, steps, nodes, features = x.shape
    hidden = state.size(-1)
    grad_x = torch.empty(x.shape if need_x else 0, dtype=x.dtype, device=x.device)
    grad_state = torch.empty_like(state)
    sums = [torch.zeros(tensor.shape, dtype=torch.float32, device=x.device) for tensor in weights]
    constants = _sizes(hidden)
    width = constants["WIDTH"]
    transposed = _by_gate(weights[1], width, width).transpose(1, 2).contiguous()
    at_once = max(1, _SCRATCH // max(5 * steps * nodes * hidden, 1))
    for first in range(0, batch, at_once):
        part = slice(first, first + at_once)
        steps_of, size = x[part], x[part].shape[:3]
        options: Any = {"dtype": x.dtype, "device": x.device}
        before, reset_state = torch.empty(*size, hidden, **options), torch.empty(*size, hidden, **options)
        gates = torch.empty(*size, 3 * hidden, **options)
        if gates.numel():
            _run((steps_of, state[part], *weights), saved=(before, gates, reset_state))  # pyright: ignore
        total = size[0] * nodes
        launch(
            _backward, triton.cdiv(total, _ROWS),
            grad[part], before, gates, transposed, grad_state[part], steps, nodes, total,
            EVERY=return_sequence, **constants,
        )  # fmt: skip
        flat = gates.view(size.numel(), 3 * hidden)
        if need_x:
            grad_x[part] = (flat @ weights[0].t()).view(steps_of.shape)
        sums[0] += steps_of.reshape(size.numel(), features).t() @ flat
        sums[1][:, : 2 * hidden] += before.view(size.numel(), hidden).t() @ flat[:, : 2 * hidden]
        sums[1][:, 2 * hidden :] += reset_state.view(size.numel(), hidden).t() @ flat[:, 2 * hidden :]
        sums[2] += flat.sum(0)
    return grad_x, grad_state, *(total.to(x.dtype) for total in sums)  # pyright: ignore[reportReturnType]


gated_recurrence = RecurrenceKernels(forward, backward)
