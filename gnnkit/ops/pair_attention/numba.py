"""`pair_attention` compiled for the CPU: the kernels' arguments, and the order in which they run.

Half precision is computed in single precision, and rounded once at the end.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gnnkit.ops.attention.numba_kernels import constants
from gnnkit.ops.autograd import Kernels
from gnnkit.ops.kernels.threads import empty, real_type, run_chunks
from gnnkit.ops.pair_attention.numba_backward import backward_kernels
from gnnkit.ops.pair_attention.numba_forward import forward_kernel
from gnnkit.ops.pair_attention.options import PairInputs, PairOptions
from gnnkit.ops.pair_attention.torch import pair_attention_backward
from gnnkit.ops.structure.chunks import graph_chunks
from gnnkit.ops.structure.graph import CompressedGraph

__all__ = ["FEWEST_CHANNELS", "backward", "forward", "pair_attention"]

# Numbers that are read of all edges' ends.
_MOST_OF_ONE_CHUNK = 1_000_000
# Rows in so many chunks at most have gradients of `att` and `edge_map` of their own.
_MOST_SHARES = 32
# A molecule or two is not worth a compilation of its own.
FEWEST_CHANNELS = 8


def _address(tensor: Tensor | None) -> int:
    return 0 if tensor is None else tensor.data_ptr()


def _indices(graph: CompressedGraph, *, outgoing: bool) -> list[Tensor | None]:
    """The graph's index tensors in one type, contiguous; those of a graph that somebody has put together may differ."""
    tensors = [graph.rowptr, graph.col, graph.perm, *((graph.colptr, graph.row, graph.perm_t) if outgoing else ())]
    return [None if x is None else x.to(graph.col.dtype).contiguous() for x in tensors]


def _chunks(graph: CompressedGraph, numbers: int, *, outgoing: bool = False) -> list[tuple[int, int]]:
    """`graph_chunks`, and one chunk of a graph that a thread is done with before another has been woken."""
    if graph.num_edges * numbers <= _MOST_OF_ONE_CHUNK:
        rows = graph.num_src if outgoing else graph.num_dst
        return [(0, rows)] if rows else []
    return graph_chunks(graph, numbers, outgoing=outgoing)


class _Call:
    """What all kernels of one call take: in plain form, held for as long as they run."""

    def __init__(self, inputs: PairInputs, graph: CompressedGraph, options: PairOptions) -> None:
        self.real = real = real_type(inputs.key)
        self.held = [None if x is None else x.detach().to(real).contiguous() for x in inputs]
        self.inputs = tuple(map(_address, self.held))
        _, heads, channels = inputs.key.shape
        edge_attr = inputs.edge_attr
        features = 0 if edge_attr is None else edge_attr.size(1)
        self.sizes = (heads, channels, features, graph.num_edges, graph.num_dst, graph.num_src)
        self.is_dot, self.width = inputs.att is None, heads * channels
        self.row = heads * inputs.query.size(2)
        known = constants(graph.num_edges, heads, channels, FEWEST_CHANNELS)
        self.kind = (real == torch.float64, graph.col.dtype == torch.int64, self.is_dot, *known)
        slope, factor = float(options.negative_slope), float(options.factor)
        dropout = (0, 0, 0, 1.0) if options.seed is None else (*options.words, options.threshold, float(options.scale))
        self.numbers = (slope, factor, *dropout)


def forward(inputs: PairInputs, graph: CompressedGraph, options: PairOptions) -> tuple[Tensor, Tensor]:
    """The weighted sums, and each row's largest logit and inverse sum."""
    call = _Call(inputs, graph, options)
    out = empty(*inputs.query.shape, dtype=call.real)
    stats = empty(graph.num_dst, 2, call.sizes[0], dtype=call.real)
    indices = _indices(graph, outgoing=False)
    chunks = _chunks(graph, call.width)
    run_chunks(
        forward_kernel(*call.kind), chunks, call.sizes, tuple(map(_address, indices)), call.inputs, call.numbers,
        out.data_ptr(), stats.data_ptr(),
    )  # fmt: skip
    return out.to(inputs.key.dtype), stats


def backward(
    grad: Tensor,
    inputs: PairInputs,
    kept: tuple[Tensor, Tensor],
    needed: tuple[bool, ...],
    graph: CompressedGraph,
    options: PairOptions,
) -> tuple[Tensor | None, ...]:
    """Gradients of all that there is, from a pass over outgoing edges and one over incoming ones."""
    call = _Call(inputs, graph, options)
    real, sizes, kernels = call.real, call.sizes, backward_kernels(*call.kind)
    (heads, channels, features), shape = sizes[:3], inputs.key.shape
    grad, out = (tensor.detach().to(real).contiguous() for tensor in (grad, kept[0]))
    by_target = _chunks(graph, call.width)
    # All that an outgoing edge has to know of its target, besides two rows.
    target = empty(graph.num_dst, 3, heads, dtype=real)
    addresses = (grad.data_ptr(), out.data_ptr(), kept[1].data_ptr(), target.data_ptr())
    run_chunks(kernels.prepare, by_target, sizes, *addresses)

    change = empty(graph.num_edges, heads, dtype=real)
    grad_key = empty(*shape, dtype=real)
    grad_value = empty(*shape, dtype=real) if call.is_dot else None
    grad_query = empty(*inputs.query.shape, dtype=real)
    grad_edge = empty(graph.num_edges, features, dtype=real) if needed[4] and features else None
    indices = _indices(graph, outgoing=True)
    graph_at = tuple(map(_address, indices))
    run_chunks(
        kernels.outgoing, _chunks(graph, call.width, outgoing=True), sizes, graph_at, call.inputs, call.numbers,
        grad.data_ptr(), target.data_ptr(), tuple(map(_address, (grad_key, grad_value, grad_edge))), change.data_ptr(),
    )  # fmt: skip

    step = -(-len(by_target) // _MOST_SHARES) if by_target else 1
    firsts = by_target[::step]
    chunks = [(begin, by_target[min(n * step + step, len(by_target)) - 1][1], n) for n, (begin, _) in enumerate(firsts)]
    shares = torch.zeros(0 if call.is_dot else len(chunks), 1 + features, heads, channels, dtype=real)
    run_chunks(
        kernels.incoming, chunks, sizes, graph_at, call.inputs, call.numbers,
        change.data_ptr(), (grad_query.data_ptr(), _address(grad_edge)), shares.data_ptr(),
    )  # fmt: skip
    grad_att, grad_map = None, None
    if not call.is_dot:
        total = shares[0] if len(chunks) == 1 else shares.sum(0)
        grad_att = total[0]
        if needed[5]:
            grad_map = total[1:] * call.held[3]  # pyright: ignore[reportOperatorIssue]
    found = (grad_query, grad_key, grad_value, grad_att, grad_edge, grad_map)
    return tuple(
        None if x is None or not need else x.to(inputs.key.dtype) for x, need in zip(found, needed, strict=True)
    )


pair_attention = Kernels(forward, backward, pair_attention_backward)
