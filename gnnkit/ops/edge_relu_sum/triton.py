"""`edge_relu_sum` in Triton: each piece of a row gathers its neighbours and edges, a block of channels at a time.

Backward is the same over outgoing edges; each edge is met once there, and gets its own gradient.
"""

from __future__ import annotations

import torch
import triton  # pyright: ignore[reportMissingImports]
import triton.language as tl  # pyright: ignore[reportMissingImports]
from torch import Tensor

from gnnkit.ops.autograd import Kernels
from gnnkit.ops.edge_relu_sum.torch import again
from gnnkit.ops.kernels.pieces import cut, launch, power_of_two, sum_parts
from gnnkit.ops.structure.graph import CompressedGraph

__all__ = ["backward", "edge_relu_sum", "forward"]

# Numbers that one warp has in flight: 32 for each thread, in its registers.
_TILE = 1024


@triton.jit
def _add_positive(
    table, neighbours, slots, x, edges, grad, out, parts, grad_edges, pieces, num_parts,
    CHANNELS: tl.constexpr, BLOCK_C: tl.constexpr, BLOCK_E: tl.constexpr, BACK: tl.constexpr, WRITE: tl.constexpr,
):  # fmt: skip
    piece, lane = tl.program_id(0) % pieces, tl.program_id(0) // pieces
    c = lane * BLOCK_C + tl.arange(0, BLOCK_C)
    row, begin = tl.load(table + 4 * piece).to(tl.int64), tl.load(table + 4 * piece + 1)
    end, number = tl.load(table + 4 * piece + 2), tl.load(table + 4 * piece + 3)
    sums = tl.zeros((BLOCK_E, BLOCK_C), tl.float32)
    for first in range(begin, end, BLOCK_E):
        p = first + tl.arange(0, BLOCK_E)
        there = p < end
        mask = there[:, None] & (c < CHANNELS)[None, :]
        other = tl.load(neighbours + p, mask=there, other=0).to(tl.int64)
        edge = tl.load(slots + p, mask=there, other=0).to(tl.int64)[:, None] * CHANNELS + c[None, :]
        far = other[:, None] * CHANNELS + c[None, :]
        if BACK:
            own = tl.load(x + row * CHANNELS + c, mask=c < CHANNELS, other=0.0).to(tl.float32)[None, :]
            share = tl.load(grad + far, mask=mask, other=0.0).to(tl.float32)
        else:
            own = tl.load(x + far, mask=mask, other=0.0).to(tl.float32)
            share = own
        value = own + tl.load(edges + edge, mask=mask, other=0.0).to(tl.float32)
        share = share if BACK else value
        share = tl.where(mask & ~(value <= 0.0), share, 0.0)
        if WRITE:
            tl.store(grad_edges + edge, share, mask=mask)
        sums += share
    total = tl.sum(sums, 0)
    if number < 0:
        tl.store(out + row * CHANNELS + c, total, mask=c < CHANNELS)
    else:
        tl.store(parts + number.to(tl.int64) * CHANNELS + c, total, mask=c < CHANNELS)


def _run(graph: CompressedGraph, x: Tensor, edges: Tensor, grad: Tensor | None, rows: int, grad_edges: Tensor | None):
    back = grad is not None
    pieces, channels = cut(graph, outgoing=back), x.size(1)
    out = torch.empty(1, rows, channels, dtype=x.dtype, device=x.device)
    parts = torch.empty(1, pieces.parts, channels, dtype=torch.float32, device=x.device)
    if back:
        slots = graph.user_edge
    else:
        slots = torch.arange(graph.num_edges, device=x.device) if graph.perm is None else graph.perm
    block_c, unused = power_of_two(channels, 128), pieces.table
    launch(
        _add_positive, pieces.table.size(0) * triton.cdiv(channels, block_c),
        pieces.table, graph.row if back else graph.col, slots, x, edges, unused if grad is None else grad, out, parts,
        unused if grad_edges is None else grad_edges, pieces.table.size(0), pieces.parts,
        CHANNELS=channels, BLOCK_C=block_c, BLOCK_E=min(_TILE // block_c, 32), BACK=back, WRITE=grad_edges is not None,
    )  # fmt: skip
    sum_parts(pieces, parts, out)
    return out[0]


def forward(inputs: tuple[Tensor, Tensor], graph: CompressedGraph) -> tuple[Tensor]:
    """The sums; see `gnnkit.ops.edge_relu_sum`."""
    x, edges = (tensor.detach().contiguous() for tensor in inputs)
    return (_run(graph, x, edges, None, graph.num_dst, None),)


def backward(
    grad: Tensor,
    inputs: tuple[Tensor, Tensor],
    kept: tuple[Tensor, ...],
    needed: tuple[bool, ...],
    graph: CompressedGraph,
) -> tuple[Tensor, Tensor | None]:
    """Gradients of x and, where it is needed, of the edges' features."""
    x, edges = (tensor.detach().contiguous() for tensor in inputs)
    grad_edges = torch.empty_like(edges) if needed[1] else None
    return _run(graph, x, edges, grad.detach().contiguous(), graph.num_src, grad_edges), grad_edges


edge_relu_sum = Kernels(forward, backward, again)
