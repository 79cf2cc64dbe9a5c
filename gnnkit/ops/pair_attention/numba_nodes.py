"""`pair_attention` of a small graph without features of edges, in one compiled call each way; see
`attention.numba_nodes`."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

from gnnkit.ops.attention.numba_kernels import constants
from gnnkit.ops.autograd import Kernels
from gnnkit.ops.kernels.cache import compiled
from gnnkit.ops.pair_attention.numba import FEWEST_CHANNELS
from gnnkit.ops.pair_attention.numba_backward import backward_kernels
from gnnkit.ops.pair_attention.numba_forward import forward_kernel
from gnnkit.ops.pair_attention.options import PairInputs, PairOptions
from gnnkit.ops.pair_attention.torch import pair_attention_backward
from gnnkit.ops.structure.graph import CompressedGraph

__all__ = ["node_pairs"]


@cache
def _forward_kernel(double: bool, dot: bool, constant_heads: int, constant_channels: int) -> Callable[..., None]:
    rows = forward_kernel(double, False, dot, constant_heads, constant_channels)

    @compiled(double, dot, constant_heads, constant_channels)
    def forward(
        heads, channels, edges, num_dst, num_src, rowptr, col, query, key, value, att,
        slope, factor, low, high, share, scale, out, stats,
    ):  # fmt: skip
        sizes, inputs = (heads, channels, 0, edges, num_dst, num_src), (query, key, value, att, 0, 0)
        rows(0, num_dst, sizes, (rowptr, col, 0), inputs, (slope, factor, low, high, share, scale), out, stats)

    return forward


@cache
def _backward_kernel(double: bool, dot: bool, constant_heads: int, constant_channels: int) -> Callable[..., None]:
    loops = backward_kernels(double, False, dot, constant_heads, constant_channels)
    prepare, outgoing, incoming = loops.prepare, loops.outgoing, loops.incoming
    size = 8 if double else 4

    @compiled(double, dot, constant_heads, constant_channels)
    def backward(
        heads, channels, edges, num_dst, num_src, rowptr, col, colptr, row, perm_t, query, key, value, att,
        slope, factor, low, high, share, scale, grad, out, stats, room, grad_query, grad_key, grad_value, grad_att,
    ):  # fmt: skip
        sizes, graph = (heads, channels, 0, edges, num_dst, num_src), (rowptr, col, 0, colptr, row, perm_t)
        inputs, numbers = (query, key, value, att, 0, 0), (slope, factor, low, high, share, scale)
        change = room + num_dst * 3 * heads * size
        prepare(0, num_dst, sizes, grad, out, stats, room)
        outgoing(0, num_src, sizes, graph, inputs, numbers, grad, room, (grad_key, grad_value, 0), change)
        incoming(0, num_dst, 0, sizes, graph, inputs, numbers, change, (grad_query, 0), grad_att)

    return backward


def node_pairs(graph: CompressedGraph, inputs: PairInputs, options: PairOptions) -> Tensor:
    """`pair_attention` `[M, K, C]`.

    The graph is a small one, with int32 indices in main memory, and nothing is given for its edges; all values are
    float32, or all float64.
    """
    if torch.is_grad_enabled():
        return _node_pairs(inputs, graph, options)
    return _forward(inputs, graph, options)[0]


def _kind(graph: CompressedGraph, key: Tensor, att: Tensor | None) -> tuple[bool, bool, int, int]:
    known = constants(graph.num_edges, key.size(1), key.size(2), FEWEST_CHANNELS)
    return key.dtype == torch.float64, att is None, *known


def _numbers(options: PairOptions) -> tuple[float, ...]:
    """The slope, the factor, and what dropout needs."""
    slope, factor = float(options.negative_slope), float(options.factor)
    if options.seed is None:
        return slope, factor, 0, 0, 0, 1.0
    return slope, factor, *options.words, options.threshold, float(options.scale)


def _forward(inputs: PairInputs, graph: CompressedGraph, options: PairOptions) -> tuple[Tensor, Tensor]:
    query, key, value, att = (None if x is None else x.contiguous() for x in inputs[:4])
    num_src, heads, channels = key.shape  # pyright: ignore[reportOptionalMemberAccess]
    out = torch.empty_like(query)  # pyright: ignore[reportArgumentType]
    stats = out.new_empty(graph.num_dst, 2, heads)
    _forward_kernel(*_kind(graph, out, att))(
        heads, channels, graph.col.numel(), graph.num_dst, num_src, graph.rowptr.data_ptr(), graph.col.data_ptr(),
        *_addresses(query, key, value, att), *_numbers(options), out.data_ptr(), stats.data_ptr(),
    )  # fmt: skip
    return out, stats


def _backward(
    grad: Tensor,
    inputs: PairInputs,
    kept: tuple[Tensor, Tensor],
    needed: tuple[bool, ...],
    graph: CompressedGraph,
    options: PairOptions,
) -> tuple[Tensor | None, ...]:
    (out, stats), grad = kept, grad.contiguous()
    query, key, value, att = (None if x is None else x.detach().contiguous() for x in inputs[:4])
    num_src, heads, channels = key.shape  # pyright: ignore[reportOptionalMemberAccess]
    room = grad.new_empty((3 * graph.num_dst + graph.col.numel()) * heads)
    grads = [None if x is None else torch.empty_like(x) for x in (query, key, value)]
    grad_att = None if att is None else torch.zeros_like(att)
    _backward_kernel(*_kind(graph, grad, att))(
        heads, channels, graph.col.numel(), graph.num_dst, num_src, graph.rowptr.data_ptr(), graph.col.data_ptr(),
        graph.colptr.data_ptr(), graph.row.data_ptr(), graph.perm_t.data_ptr(), *_addresses(query, key, value, att),
        *_numbers(options), grad.data_ptr(), out.data_ptr(), stats.data_ptr(), room.data_ptr(),
        *_addresses(*grads, grad_att),
    )  # fmt: skip
    return *grads, grad_att, None, None


def _addresses(*tensors: Tensor | None) -> list[int]:
    return [0 if x is None else x.data_ptr() for x in tensors]


_node_pairs = Kernels(_forward, _backward, pair_attention_backward)
