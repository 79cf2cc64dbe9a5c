"""`edge_attention` compiled for the CPU: the kernels' arguments, and the order in which they run.

Half precision is computed in single precision, and rounded once at the end.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from gnnkit.ops.attention.numba_kernels import CompiledAttention, attention_kernels, constants
from gnnkit.ops.attention.options import AttentionInputs, AttentionOptions
from gnnkit.ops.attention.torch import edge_attention_backward
from gnnkit.ops.autograd import Kernels
from gnnkit.ops.kernels.threads import empty, real_type, run_chunks
from gnnkit.ops.structure.chunks import graph_chunks
from gnnkit.ops.structure.graph import CompressedGraph

__all__ = ["backward", "edge_attention", "forward"]

_NOWHERE = {torch.int32: np.empty(0, np.int32), torch.int64: np.empty(0, np.int64)}


def _choose_kernels(graph: CompressedGraph, x: Tensor) -> CompiledAttention:
    return attention_kernels(real_type(x) == torch.float64, *constants(graph.num_edges, *x.shape[1:]))


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().to(real_type(tensor)).contiguous().numpy()


def _alpha_dst(graph: CompressedGraph, inputs: AttentionInputs) -> np.ndarray:
    given = inputs.alpha_dst
    return _array(inputs.x.new_zeros(graph.num_dst, inputs.x.size(1)) if given is None else given)


def _edge_arguments(
    inputs: AttentionInputs, options: AttentionOptions
) -> tuple[np.ndarray, np.generic, tuple[np.generic, ...]]:
    """Per-edge logits (empty where there are none), the slope, and what dropout's `keep_factor` needs."""
    real = np.float64 if inputs.x.dtype == torch.float64 else np.float32
    logits = inputs.edge_logits
    found = np.empty((0, inputs.x.size(1)), dtype=real) if logits is None else _array(logits)
    dropout = (*map(np.uint32, (*options.words, options.threshold)), real(options.scale), real(0.0))
    return found, real(options.negative_slope), dropout


def forward(inputs: AttentionInputs, graph: CompressedGraph, options: AttentionOptions) -> tuple[Tensor, Tensor]:
    """The weighted sums, and each row's largest logit and inverse sum; see `gnnkit.ops.edge_attention`."""
    x, real = inputs.x, real_type(inputs.x)
    _, heads, channels = x.shape
    out = empty(graph.num_dst, heads, channels, dtype=real)
    stats = empty(graph.num_dst, 2, heads, dtype=real)
    # CSR position → the user's edge; empty where the two are the same, or nothing is given per edge.
    permuted = inputs.edge_logits is not None and graph.perm is not None
    order = graph.perm.numpy() if permuted else _NOWHERE[graph.col.dtype]  # pyright: ignore[reportOptionalMemberAccess]
    run_chunks(
        _choose_kernels(graph, x).forward, graph_chunks(graph, heads * channels),
        graph.rowptr.numpy(), graph.col.numpy(), order, _array(x), _array(inputs.alpha_src), _alpha_dst(graph, inputs),
        *_edge_arguments(inputs, options), out.numpy(), stats.numpy(),
    )  # fmt: skip
    return out.to(x.dtype), stats


def backward(
    grad: Tensor,
    inputs: AttentionInputs,
    kept: tuple[Tensor, Tensor],
    needed: tuple[bool, ...],
    graph: CompressedGraph,
    options: AttentionOptions,
) -> tuple[Tensor | None, ...]:
    """Gradients of x, alpha_src, alpha_dst and edge_logits, from one pass that gathers rows and one that does not."""
    (out, stats), x, real = kept, inputs.x, real_type(inputs.x)
    _, heads, channels = x.shape
    kernels, grad_array = _choose_kernels(graph, x), _array(grad)
    by_target = graph_chunks(graph, heads * channels)

    # All that an outgoing edge has to know of its target lies together: one or two cache lines.
    target = empty(graph.num_dst, 4, heads, dtype=real)
    arrays = (grad_array, _array(out), stats.numpy(), _alpha_dst(graph, inputs), target.numpy())
    run_chunks(kernels.prepare, by_target, *arrays)

    need_dst, need_edge = needed[2] and inputs.alpha_dst is not None, needed[3] and inputs.edge_logits is not None
    grad_x = empty(graph.num_src, heads, channels, dtype=real)
    grad_src = empty(graph.num_src, heads, dtype=real)
    # Where the edges' gradient is wanted it is written in the user's order; for the targets' alone CSR order is faster.
    by_user = need_edge and graph.perm is not None
    grad_edge = empty(graph.num_edges if need_dst or need_edge else 0, heads, dtype=real)
    user_edge = graph.perm_t if inputs.edge_logits is None else graph.user_edge
    run_chunks(
        kernels.outgoing, graph_chunks(graph, heads * channels, outgoing=True),
        graph.colptr.numpy(), graph.row.numpy(), graph.perm_t.numpy(), user_edge.numpy(), by_user,
        _array(x), _array(inputs.alpha_src), target.numpy(), *_edge_arguments(inputs, options),
        grad_array, grad_x.numpy(), grad_src.numpy(), grad_edge.numpy(),
    )  # fmt: skip

    grad_dst = None
    if need_dst:
        grad_dst = empty(graph.num_dst, heads, dtype=real)
        order = graph.perm.numpy() if by_user and graph.perm is not None else _NOWHERE[graph.rowptr.dtype]
        run_chunks(kernels.row_sums, by_target, graph.rowptr.numpy(), order, grad_edge.numpy(), grad_dst.numpy())
    found = (grad_x, grad_src, grad_dst, grad_edge if need_edge else None)
    return tuple(None if gradient is None else gradient.to(x.dtype) for gradient in found)


edge_attention = Kernels(forward, backward, edge_attention_backward)
