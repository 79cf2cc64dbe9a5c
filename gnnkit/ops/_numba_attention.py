"""`edge_attention` compiled for the CPU: the kernels' arguments, and the order in which they run.

Half precision is computed in single precision, and rounded once at the end.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from gnnkit.ops._function import AttentionKernels, AttentionOptions
from gnnkit.ops._numba_attention_kernels import attention_kernels
from gnnkit.ops._numba_structure import graph_chunks, user_edge
from gnnkit.ops._parallel import empty, real_type, run_chunks
from gnnkit.ops.structure import CompressedGraph

__all__ = ["backward", "edge_attention", "forward"]

# Sizes that are constants of their own kernel where the graph is large enough to be worth the compilation.
_CONSTANT_HEADS = (1, 2, 4, 8)
_CONSTANT_CHANNELS = (1, 2, 4, 8, 16, 32, 64, 128)
_MIN_WORK_FOR_CONSTANT = 20_000


def _choose_kernels(graph: CompressedGraph, heads: int, channels: int, dtype: torch.dtype):
    large = graph.num_edges * heads * channels >= _MIN_WORK_FOR_CONSTANT
    # A single head is worth it on any graph: all loops over heads are gone.
    constant_heads = heads if heads == 1 or (large and heads in _CONSTANT_HEADS) else 0
    constant_channels = channels if large and channels in _CONSTANT_CHANNELS else 0
    return attention_kernels(dtype == torch.float64, constant_heads, constant_channels)


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().to(real_type(tensor)).contiguous().numpy()


def _edge_arguments(
    graph: CompressedGraph, x: Tensor, edge_logits: Tensor | None, options: AttentionOptions
) -> tuple[np.ndarray, np.generic, tuple[np.generic, ...]]:
    """Per-edge logits (empty where there are none), the slope, and what dropout needs: see `_keep` in the kernels."""
    real = np.float64 if x.dtype == torch.float64 else np.float32
    heads = x.size(1)
    logits = np.empty((0, heads), dtype=real) if edge_logits is None else _array(edge_logits)
    seed = 0 if options.seed is None else int(options.seed)
    dropout = (
        np.uint32(seed & 0xFFFFFFFF),
        np.uint32((seed >> 32) & 0xFFFFFFFF),
        np.uint32(min(round(options.dropout * 2**32), 2**32 - 1)),
        real(0.0 if options.dropout >= 1 else 1 / (1 - options.dropout)),
        real(0.0),
    )
    return logits, real(options.negative_slope), dropout


def forward(
    graph: CompressedGraph,
    x: Tensor,
    alpha_src: Tensor,
    alpha_dst: Tensor | None,
    edge_logits: Tensor | None,
    options: AttentionOptions,
) -> tuple[Tensor, Tensor]:
    """The weighted sums, and each row's largest logit and inverse sum; see `gnnkit.ops.edge_attention`."""
    _, heads, channels = x.shape
    real = real_type(x)
    out = empty(graph.num_dst, heads, channels, dtype=real)
    stats = empty(graph.num_dst, 2, heads, dtype=real)
    kernels = _choose_kernels(graph, heads, channels, real)
    logits, slope, dropout = _edge_arguments(graph, x, edge_logits, options)
    target = x.new_zeros(graph.num_dst, heads) if alpha_dst is None else alpha_dst
    run_chunks(
        kernels.forward,
        graph_chunks(graph, heads * channels),
        graph.rowptr.numpy(),
        graph.col.numpy(),
        _permutation(graph, edge_logits),
        _array(x),
        _array(alpha_src),
        _array(target),
        logits,
        slope,
        dropout,
        out.numpy(),
        stats.numpy(),
    )
    return out.to(x.dtype), stats


def _permutation(graph: CompressedGraph, edge_logits: Tensor | None) -> np.ndarray:
    """CSR position → the user's edge; empty where the two are the same, or nothing is given per edge."""
    if edge_logits is None or graph.perm is None:
        return np.empty(0, dtype=graph.col.numpy().dtype)
    return graph.perm.numpy()


def backward(
    graph: CompressedGraph,
    grad: Tensor,
    x: Tensor,
    alpha_src: Tensor,
    alpha_dst: Tensor | None,
    edge_logits: Tensor | None,
    out: Tensor,
    stats: Tensor,
    options: AttentionOptions,
    needed: tuple[bool, ...],
) -> tuple[Tensor | None, ...]:
    """Gradients of x, alpha_src, alpha_dst and edge_logits, from one pass that gathers rows and one that does not."""
    _, heads, channels = x.shape
    real = real_type(x)
    kernels = _choose_kernels(graph, heads, channels, real)
    logits, slope, dropout = _edge_arguments(graph, x, edge_logits, options)
    rowptr, grad_array = graph.rowptr.numpy(), _array(grad)
    by_target = graph_chunks(graph, heads * channels)

    # All that an outgoing edge has to know of its target lies together: one or two cache lines.
    target = empty(graph.num_dst, 4, heads, dtype=real)
    run_chunks(
        kernels.prepare,
        by_target,
        grad_array,
        _array(out),
        stats.numpy(),
        _array(x.new_zeros(graph.num_dst, heads) if alpha_dst is None else alpha_dst),
        target.numpy(),
    )

    need_dst, need_edge = needed[2] and alpha_dst is not None, needed[3] and edge_logits is not None
    grad_x = empty(graph.num_src, heads, channels, dtype=real)
    grad_src = empty(graph.num_src, heads, dtype=real)
    # Where the edges' gradient is wanted it is written in the user's order; for the targets' alone CSR order is faster.
    by_user = need_edge and graph.perm is not None
    edges = graph.num_edges if need_dst or need_edge else 0
    grad_edge = empty(edges, heads, dtype=real)
    run_chunks(
        kernels.outgoing,
        graph_chunks(graph, heads * channels, outgoing=True),
        graph.colptr.numpy(),
        graph.row.numpy(),
        graph.perm_t.numpy(),
        user_edge(graph).numpy() if edge_logits is not None else graph.perm_t.numpy(),
        by_user,
        _array(x),
        _array(alpha_src),
        target.numpy(),
        logits,
        slope,
        dropout,
        grad_array,
        grad_x.numpy(),
        grad_src.numpy(),
        grad_edge.numpy(),
    )

    grad_dst = None
    if need_dst:
        grad_dst = empty(graph.num_dst, heads, dtype=real)
        order = graph.perm.numpy() if by_user and graph.perm is not None else np.empty(0, dtype=rowptr.dtype)
        run_chunks(kernels.row_sums, by_target, rowptr, order, grad_edge.numpy(), grad_dst.numpy())
    found = (grad_x, grad_src, grad_dst, grad_edge if need_edge else None)
    return tuple(None if gradient is None else gradient.to(x.dtype) for gradient in found)


edge_attention = AttentionKernels(forward, backward)
