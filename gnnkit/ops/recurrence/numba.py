"""T-GCN's gates on the CPU, compiled: a block of rows goes through all steps while it stays in the cache.

Nothing is kept for the backward pass but the inputs: a block's gates are computed again, next to where they are used,
which costs less than writing them to fresh memory and reading them back. A block's rows are `z = [h | x | 1 | r·h]`, so

    [u, r] = σ([h | x | 1] · V_ur)      c = tanh([x | 1 | r·h] · V_c)

are one matrix product each, biases included, and the gradients of all weights are two more.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from gnnkit.ops.kernels.cache import compiled
from gnnkit.ops.kernels.llvm import sigmoid, tanh
from gnnkit.ops.kernels.threads import empty, even_chunks, num_threads, run_chunks
from gnnkit.ops.kernels.vectors import TILE_ROWS, add_tile, set_tile, tile_columns, vector_map
from gnnkit.ops.recurrence.autograd import Inputs, RecurrenceKernels

__all__ = ["backward", "forward", "gated_recurrence"]

# Twelve steps of a block at H = 64 are then about as large as a core's second-level cache; 24 to 96 rows differ little.
BLOCK_ROWS = 8 * TILE_ROWS

# Gradients of the weights are summed in this many pieces, and these in order: the same bits for any number of threads.
PIECES = 32


def _reset(u, r, h):
    r = sigmoid(r)
    return sigmoid(u), r, r * h


def _new_state(u, c, h):
    c = tanh(c)
    return c, u.times_plus(h - c, c)


def _state_gradient(grad_h, u, c, h):
    return grad_h * u, grad_h * (h - c) * u * (1.0 - u), grad_h * (1.0 - u) * (1.0 - c * c)


def _reset_gradient(grad_rh, r, h, grad_h):
    return grad_rh * h * r * (1.0 - r), grad_rh.times_plus(r, grad_h)


_reset_map = vector_map(_reset, 3, 3)
_new_state_map = vector_map(_new_state, 3, 2)
_state_gradient_map = vector_map(_state_gradient, 4, 3)
_reset_gradient_map = vector_map(_reset_gradient, 4, 2)
_add_map = vector_map(lambda a, b: (a + b,), 2, 1)

_compiled = compiled(fastmath=False, error_model="numpy")


@_compiled
def _multiply(a, a_start, a_row, packed, depth, panels, c, c_start, c_row, rows, width, accumulate):
    """c[rows, panels · width] = or += a[rows, depth] · packed[panels][depth][width]."""
    for panel in range(panels):
        for row in range(0, rows, TILE_ROWS):
            b, target = panel * depth * width, c_start + row * c_row + panel * width
            if accumulate:
                add_tile(a, a_start + row * a_row, a_row, 1, packed, b, width, c, target, c_row, depth)
            else:
                set_tile(a, a_start + row * a_row, a_row, 1, packed, b, width, c, target, c_row, depth)


@_compiled
def _add_outer(a, a_start, a_row, columns, b, b_start, b_row, panels, c, depth, width):
    """c[columns, panels · width] += a[depth, columns]ᵀ · b[depth, panels · width]."""
    for panel in range(panels):
        for column in range(0, columns, TILE_ROWS):
            target = (column * panels + panel) * width
            add_tile(a, a_start + column, 1, a_row, b, b_start + panel * width, b_row, c, target, panels * width, depth)


@_compiled
def _load_rows(source, first, count, steps, step, nodes, width, z, start, row_stride):
    """Copy x of one step, [B, T, N, F] flat, rows first … first + count of B·N, into the rows of z."""
    for i in range(count):
        batch, node = divmod(first + i, nodes)
        origin = ((batch * steps + step) * nodes + node) * width
        target = start + i * row_stride
        for f in range(width):
            z[target + f] = source[origin + f]


@_compiled
def _store_rows(z, start, row_stride, count, target, first, steps, step, nodes, width):
    """The way back: rows of z to [B, T, N, width] flat."""
    for i in range(count):
        batch, node = divmod(first + i, nodes)
        origin = start + i * row_stride
        goal = ((batch * steps + step) * nodes + node) * width
        for f in range(width):
            target[goal + f] = z[origin + f]


@_compiled
def _step_forward(z, z_at, z_row, g, g_at, g_row, following, rows, hidden, features, v_ur, v_c, width):
    """Gates of one step from z into g, the new state into the rows that start at `following`."""
    depth = hidden + features + 1
    reset_at = depth
    _multiply(z, z_at, z_row, v_ur, depth, 2 * hidden // width, g, g_at, g_row, rows, width, False)
    for i in range(rows):
        h, u = z_at + i * z_row, g_at + i * g_row
        r = u + hidden
        _reset_map((g, g, z, g, g, z), (u, r, h, u, r, h + reset_at), hidden)
    candidate = g_at + 2 * hidden
    _multiply(z, z_at + hidden, z_row, v_c, depth, hidden // width, g, candidate, g_row, rows, width, False)
    for i in range(rows):
        h, u = z_at + i * z_row, g_at + i * g_row
        c = u + 2 * hidden
        _new_state_map((g, g, z, g, z), (u, c, h, c, following + i * z_row), hidden)


@_compiled
def _forward(start, stop, x, state, v_ur, v_c, out, sizes, width, every_state):
    _, steps, nodes, features, hidden, padded, total = sizes
    z_row = 2 * padded + features + width
    g_row = 3 * padded + width
    z = np.zeros(BLOCK_ROWS * z_row + width, x.dtype)
    g = np.empty(BLOCK_ROWS * g_row, x.dtype)
    for i in range(BLOCK_ROWS):
        z[i * z_row + padded + features] = 1
    for number in range(start, stop):
        first = number * BLOCK_ROWS
        count = min(BLOCK_ROWS, total - first)
        rows = -(-count // TILE_ROWS) * TILE_ROWS
        _load_rows(state, first, count, 1, 0, nodes, hidden, z, 0, z_row)
        for step in range(steps):
            _load_rows(x, first, count, steps, step, nodes, features, z, padded, z_row)
            _step_forward(z, 0, z_row, g, 0, g_row, 0, rows, padded, features, v_ur, v_c, width)
            if every_state:
                _store_rows(z, 0, z_row, count, out, first, steps, step, nodes, hidden)
        if not every_state:
            _store_rows(z, 0, z_row, count, out, first, 1, 0, nodes, hidden)


@_compiled
def _backward(
    start, stop, x, state, v_ur, v_c, t_ur, t_c, grad, grad_x, grad_state, grad_ur, grad_c,
    sizes, width, every_state, need_x,
):  # fmt: skip
    _, steps, nodes, features, hidden, padded, total = sizes
    pieces, blocks = len(grad_ur), -(-total // BLOCK_ROWS)
    depth = padded + features + 1
    tiles = -(-depth // TILE_ROWS) * TILE_ROWS
    wide = -(-features // width) * width if need_x else 0
    z_row = 2 * padded + features + width
    g_row = 3 * padded + width
    d_row = 2 * padded + wide + width
    z_step, g_step = BLOCK_ROWS * z_row, BLOCK_ROWS * g_row
    z = np.zeros((steps + 1) * z_step + width, x.dtype)
    g = np.empty(steps * g_step, x.dtype)
    d = np.empty(BLOCK_ROWS * d_row, x.dtype)
    incoming = np.zeros(BLOCK_ROWS * padded, x.dtype)
    for i in range((steps + 1) * BLOCK_ROWS):
        z[i * z_row + padded + features] = 1
    for piece in range(start, stop):
        own_ur, own_c = grad_ur[piece], grad_c[piece]
        for number in range(blocks * piece // pieces, blocks * (piece + 1) // pieces):
            first = number * BLOCK_ROWS
            count = min(BLOCK_ROWS, total - first)
            rows = -(-count // TILE_ROWS) * TILE_ROWS
            _load_rows(state, first, count, 1, 0, nodes, hidden, z, 0, z_row)
            for step in range(steps):
                at = step * z_step
                _load_rows(x, first, count, steps, step, nodes, features, z, at + padded, z_row)
                _step_forward(
                    z, at, z_row, g, step * g_step, g_row, at + z_step, rows, padded, features, v_ur, v_c, width
                )
            # Rows past the last get no gradient from above, and so give none to the weights.
            d[:] = 0
            if count < BLOCK_ROWS:
                incoming[:] = 0
            if not every_state:
                _load_rows(grad, first, count, 1, 0, nodes, hidden, d, 0, d_row)
            for step in range(steps - 1, -1, -1):
                z_at, g_at = step * z_step, step * g_step
                if every_state:
                    _load_rows(grad, first, count, steps, step, nodes, hidden, incoming, 0, padded)
                    for i in range(rows):
                        _add_map((d, incoming, d), (i * d_row, i * padded, i * d_row), padded)
                # d = [∂h | ∂x | ∂(r·h)]; the gates in g give way to the gradients of what went into them.
                for i in range(rows):
                    h, u, dh = z_at + i * z_row, g_at + i * g_row, i * d_row
                    c = u + 2 * padded
                    _state_gradient_map((d, g, g, z, d, g, g), (dh, u, c, h, dh, u, c), padded)
                panels = (wide + padded) // width
                _multiply(g, g_at + 2 * padded, g_row, t_c, padded, panels, d, padded, d_row, rows, width, False)
                for i in range(rows):
                    h, r, dh = z_at + i * z_row, g_at + i * g_row + padded, i * d_row
                    _reset_gradient_map((d, g, z, d, g, d), (dh + padded + wide, r, h, dh, r, dh), padded)
                _multiply(g, g_at, g_row, t_ur, 2 * padded, panels, d, 0, d_row, rows, width, True)
                if need_x:
                    _store_rows(d, padded, d_row, count, grad_x, first, steps, step, nodes, features)
                _add_outer(z, z_at, z_row, tiles, g, g_at, g_row, 2 * padded // width, own_ur, rows, width)
                _add_outer(
                    z, z_at + padded, z_row, tiles, g, g_at + 2 * padded, g_row, padded // width, own_c, rows, width
                )
            _store_rows(d, 0, d_row, count, grad_state, first, 1, 0, nodes, hidden)


def _stack(input_side: Tensor, state_side: Tensor, offset: Tensor, padded: int) -> tuple[np.ndarray, ...]:
    """V_ur `[padded + F + 1, 2 padded]` and V_c `[F + 1 + padded, padded]`, zero where H was padded."""
    weight_input, weight_state, bias = (tensor.detach().numpy() for tensor in (input_side, state_side, offset))
    features, hidden = weight_input.shape[0], weight_state.shape[0]
    gates = np.zeros((padded + features + 1, 2, padded), weight_input.dtype)
    gates[:hidden, :, :hidden] = weight_state[:, : 2 * hidden].reshape(hidden, 2, hidden)
    gates[padded:-1, :, :hidden] = weight_input[:, : 2 * hidden].reshape(features, 2, hidden)
    gates[-1, :, :hidden] = bias[: 2 * hidden].reshape(2, hidden)
    candidate = np.zeros((features + 1 + padded, padded), weight_input.dtype)
    candidate[:features, :hidden] = weight_input[:, 2 * hidden :]
    candidate[features, :hidden] = bias[2 * hidden :]
    candidate[features + 1 : features + 1 + hidden, :hidden] = weight_state[:, 2 * hidden :]
    return gates.reshape(-1, 2 * padded), candidate


def _unstack(gates: np.ndarray, candidate: np.ndarray, features: int, hidden: int, padded: int) -> list[np.ndarray]:
    """The way back, for gradients: those of weight_input, weight_state, bias."""
    update, reset, candidate = gates[:, :hidden], gates[:, padded : padded + hidden], candidate[:, :hidden]
    rows = (  # in gates, in candidate, how many
        (padded, 0, features),
        (0, features + 1, hidden),
        (padded + features, features, 1),
    )
    return [
        np.concatenate([update[g : g + count], reset[g : g + count], candidate[c : c + count]], axis=1)
        for g, c, count in rows
    ]


def _pack(weight: np.ndarray, width: int) -> np.ndarray:
    """Panels of `width` columns one after the other, as the matrix tile reads them."""
    depth, columns = weight.shape
    return np.ascontiguousarray(weight.reshape(depth, columns // width, width).swapaxes(0, 1)).reshape(-1)


def _sizes(x: Tensor, state: Tensor) -> tuple[int, tuple[int, ...]]:
    batch, steps, nodes, features = x.shape
    hidden = state.size(-1)
    width = tile_columns(x.element_size())
    return width, (batch, steps, nodes, features, hidden, max(1, -(-hidden // width)) * width, batch * nodes)


def _shares(count: int) -> list[tuple[int, int]]:
    """A few shares for each thread: so many that the last one to end is not waited for long."""
    return even_chunks(count, 4 * num_threads())


def _flat(*tensors: Tensor) -> list[np.ndarray]:
    return [tensor.detach().numpy().reshape(-1) for tensor in tensors]


def forward(inputs: Inputs, return_sequence: bool) -> Tensor:
    """All states, or the last; see `RecurrenceKernels`."""
    x, state, weight_input, weight_state, bias = inputs
    width, sizes = _sizes(x, state)
    batch, steps, nodes, _, hidden, padded, total = sizes
    gates, candidate = _stack(weight_input, weight_state, bias, padded)
    shape = (batch, steps, nodes, hidden) if return_sequence else (batch, nodes, hidden)
    out = empty(*shape, dtype=x.dtype)
    packed = (_pack(gates, width), _pack(candidate, width))
    shares = _shares(-(-total // BLOCK_ROWS))
    run_chunks(_forward, shares, *_flat(x, state), *packed, *_flat(out), sizes, width, return_sequence)
    return out


def backward(grad: Tensor, inputs: Inputs, return_sequence: bool, need_x: bool) -> Inputs:
    """Gradients of all inputs; see `RecurrenceKernels`."""
    x, state, weight_input, weight_state, bias = inputs
    width, sizes = _sizes(x, state)
    _, _, _, features, hidden, padded, total = sizes
    gates, candidate = _stack(weight_input, weight_state, bias, padded)
    depth = padded + features + 1
    wide = -(-features // width) * width if need_x else 0
    gates_t = np.zeros((2 * padded, padded + wide), gates.dtype)
    candidate_t = np.zeros((padded, wide + padded), gates.dtype)
    gates_t[:, :padded], candidate_t[:, wide:] = gates[:padded].T, candidate[features + 1 :].T
    if need_x:
        gates_t[:, padded : padded + features] = gates[padded:-1].T
        candidate_t[:, :features] = candidate[:features].T
    pieces = max(1, min(PIECES, -(-total // BLOCK_ROWS)))
    tiles = -(-depth // TILE_ROWS) * TILE_ROWS
    grad_gates = np.zeros((pieces, tiles * 2 * padded), gates.dtype)
    grad_candidate = np.zeros((pieces, tiles * padded), gates.dtype)
    grad_x = empty(*(x.shape if need_x else (0,)), dtype=x.dtype)
    grad_state = empty(*state.shape, dtype=x.dtype)
    packed = [_pack(weight, width) for weight in (gates, candidate, gates_t, candidate_t)]
    run_chunks(
        _backward, _shares(pieces), *_flat(x, state), *packed, *_flat(grad, grad_x, grad_state),
        grad_gates, grad_candidate, sizes, width, return_sequence, need_x,
    )  # fmt: skip
    sums = (grad_gates.sum(axis=0).reshape(tiles, -1), grad_candidate.sum(axis=0).reshape(tiles, -1))
    grad_input, grad_recurrent, grad_bias = (
        torch.from_numpy(part) for part in _unstack(*sums, features, hidden, padded)
    )
    return grad_x, grad_state, grad_input, grad_recurrent, grad_bias.reshape(-1)


gated_recurrence = RecurrenceKernels(forward, backward)
