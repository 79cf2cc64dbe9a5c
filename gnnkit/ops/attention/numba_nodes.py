"""Attention among the nodes of a small graph, with the nodes' logits, in one compiled call each way.

A step on some hundred edges is made of calls, not of numbers: here the logits alpha_src = <h, att_src> and
alpha_dst = <h, att_dst>, the loops of `numba_kernels` and all gradients are one call forward, one backward.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import torch
from numba import carray  # pyright: ignore[reportPrivateImportUsage]
from torch import Tensor

from gnnkit.ops.attention.numba_kernels import attention_kernels, constants
from gnnkit.ops.attention.options import AttentionInputs, AttentionOptions
from gnnkit.ops.attention.torch import attend
from gnnkit.ops.autograd import Kernels, gradients
from gnnkit.ops.kernels.cache import compiled
from gnnkit.ops.kernels.llvm import float32s, float64s, int32s
from gnnkit.ops.structure.graph import CompressedGraph

__all__ = ["node_attention"]

# A molecule or two is not worth a compilation of its own.
_FEWEST_CHANNELS = 8


@cache
def _kernels(double: bool, constant_heads: int, constant_channels: int) -> tuple[Callable[..., None], ...]:
    loops = attention_kernels(double, constant_heads, constant_channels)
    forward_rows, prepare, outgoing, row_sums = loops.forward, loops.prepare, loops.outgoing, loops.row_sums
    real, reals = (np.float64, float64s) if double else (np.float32, float32s)

    @compiled(double, constant_heads, constant_channels)
    def forward(
        nodes, edges, heads, channels, rowptr, col, x_at, source_at, target_at, slope, low, high, share, scale,
        out_at, stats_at, alpha_at,
    ):  # fmt: skip
        x = carray(reals(x_at), (nodes, heads, channels))
        sources = carray(reals(source_at), (heads, channels))
        targets = carray(reals(target_at), (heads, channels))
        alpha_src = carray(reals(alpha_at), (nodes, heads))
        alpha_dst = carray(reals(alpha_at + alpha_src.nbytes), (nodes, heads))
        for i in range(nodes):
            for k in range(heads):
                first, second = real(0), real(0)
                for c in range(channels):
                    first += x[i, k, c] * sources[k, c]
                    second += x[i, k, c] * targets[k, c]
                alpha_src[i, k], alpha_dst[i, k] = first, second
        dropout = (np.uint32(low), np.uint32(high), np.uint32(share), real(scale), real(0))
        pointers, columns = carray(int32s(rowptr), (nodes + 1,)), carray(int32s(col), (edges,))
        out, stats = carray(reals(out_at), (nodes, heads, channels)), carray(reals(stats_at), (nodes, 2, heads))
        nothing, no_logits = np.empty(0, np.int32), np.empty((0, heads), real)
        forward_rows(
            0, nodes, pointers, columns, nothing, x, alpha_src, alpha_dst, no_logits, real(slope), dropout, out, stats
        )

    @compiled(double, constant_heads, constant_channels)
    def backward(
        nodes, edges, heads, channels, rowptr, colptr, row, perm_t, x_at, source_at, target_at, slope, low, high, share,
        scale, out_at, stats_at, alpha_at, grad_at, grad_x_at, grad_source_at, grad_target_at,
    ):  # fmt: skip
        x, out = carray(reals(x_at), (nodes, heads, channels)), carray(reals(out_at), (nodes, heads, channels))
        grad = carray(reals(grad_at), (nodes, heads, channels))
        sources = carray(reals(source_at), (heads, channels))
        targets = carray(reals(target_at), (heads, channels))
        stats = carray(reals(stats_at), (nodes, 2, heads))
        alpha_src = carray(reals(alpha_at), (nodes, heads))
        alpha_dst = carray(reals(alpha_at + alpha_src.nbytes), (nodes, heads))
        known = np.empty((nodes, 4, heads), real)
        prepare(0, nodes, grad, out, stats, alpha_dst, known)
        dropout = (np.uint32(low), np.uint32(high), np.uint32(share), real(scale), real(0))
        order = carray(int32s(perm_t), (edges,))
        grad_x = carray(reals(grad_x_at), (nodes, heads, channels))
        of_source, of_target = np.empty((nodes, heads), real), np.empty((nodes, heads), real)
        of_edge = np.empty((edges, heads), real)
        outgoing(
            0, nodes, carray(int32s(colptr), (nodes + 1,)), carray(int32s(row), (edges,)), order, order, False,
            x, alpha_src, known, np.empty((0, heads), real), real(slope), dropout, grad, grad_x, of_source, of_edge,
        )  # fmt: skip
        row_sums(0, nodes, carray(int32s(rowptr), (nodes + 1,)), np.empty(0, np.int32), of_edge, of_target)
        grad_source = carray(reals(grad_source_at), (heads, channels))
        grad_target = carray(reals(grad_target_at), (heads, channels))
        grad_source[:] = 0
        grad_target[:] = 0
        for i in range(nodes):
            for k in range(heads):
                first, second = of_source[i, k], of_target[i, k]
                for c in range(channels):
                    grad_x[i, k, c] += first * sources[k, c] + second * targets[k, c]
                    grad_source[k, c] += first * x[i, k, c]
                    grad_target[k, c] += second * x[i, k, c]

    return forward, backward


def _choose(graph: CompressedGraph, x: Tensor) -> tuple[Callable[..., None], ...]:
    _, heads, channels = x.shape
    return _kernels(x.dtype == torch.float64, *constants(graph.num_edges, heads, channels, _FEWEST_CHANNELS))


def _numbers(options: AttentionOptions) -> tuple[float, ...]:
    """The slope, and what dropout needs."""
    if options.seed is None:
        return options.negative_slope, 0, 0, 0, 1.0
    return options.negative_slope, *options.words, options.threshold, options.scale


def node_attention(
    graph: CompressedGraph, x: Tensor, att_src: Tensor, att_dst: Tensor, options: AttentionOptions
) -> Tensor:
    """`edge_attention` `[N, K, C]` of nodes among themselves, from the vectors `[1, K, C]` that make their logits.

    The graph is a small one, with int32 indices in main memory; all values are float32, or all float64.
    """
    return _node_attention((x, att_src, att_dst), graph, options)


def _forward(inputs: tuple[Tensor, ...], graph: CompressedGraph, options: AttentionOptions) -> tuple[Tensor, Tensor]:
    x, att_src, att_dst = (tensor.contiguous() for tensor in inputs)
    nodes, heads, channels = x.shape
    out, stats = torch.empty_like(x), x.new_empty(2, nodes, 2, heads)
    _choose(graph, x)[0](
        nodes, graph.num_edges, heads, channels, graph.rowptr.data_ptr(), graph.col.data_ptr(), x.data_ptr(),
        att_src.data_ptr(), att_dst.data_ptr(), *_numbers(options), out.data_ptr(), stats.data_ptr(),
        stats[1].data_ptr(),
    )  # fmt: skip
    return out, stats


def _backward(
    grad: Tensor,
    inputs: tuple[Tensor, ...],
    kept: tuple[Tensor, Tensor],
    needed: tuple[bool, ...],
    graph: CompressedGraph,
    options: AttentionOptions,
) -> tuple[Tensor, Tensor, Tensor]:
    out, stats = kept
    grad, x, att_src, att_dst = (tensor.contiguous() for tensor in (grad, *inputs))
    nodes, heads, channels = x.shape
    grad_x, grad_att = torch.empty_like(x), x.new_empty(2, 1, heads, channels)
    grad_src, grad_dst = grad_att.unbind()
    _choose(graph, x)[1](
        nodes, graph.num_edges, heads, channels, graph.rowptr.data_ptr(), graph.colptr.data_ptr(),
        graph.row.data_ptr(), graph.perm_t.data_ptr(), x.data_ptr(), att_src.data_ptr(), att_dst.data_ptr(),
        *_numbers(options), out.data_ptr(), stats.data_ptr(), stats[1].data_ptr(), grad.data_ptr(),
        grad_x.data_ptr(), grad_src.data_ptr(), grad_dst.data_ptr(),
    )  # fmt: skip
    return grad_x, grad_src, grad_dst


def _again(
    grad: Tensor,
    inputs: tuple[Tensor, ...],
    needed: tuple[bool, ...],
    graph: CompressedGraph,
    options: AttentionOptions,
) -> list[Tensor | None]:
    def attention(x: Tensor, att_src: Tensor, att_dst: Tensor) -> Tensor:
        inputs = AttentionInputs(x, (x * att_src).sum(-1), (x * att_dst).sum(-1), None)
        return attend(inputs, graph, options)[0]

    return gradients(attention, inputs, grad, needed)


_node_attention = Kernels(_forward, _backward, _again)
