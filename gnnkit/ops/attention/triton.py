"""`edge_attention` in Triton: the kernels' arguments, and the order in which they run."""

from __future__ import annotations

from typing import Any

import torch
import triton  # pyright: ignore[reportMissingImports]
from torch import Tensor

from gnnkit.ops.attention import triton_kernels as kernels
from gnnkit.ops.attention.options import AttentionInputs, AttentionOptions
from gnnkit.ops.attention.torch import edge_attention_backward
from gnnkit.ops.autograd import Kernels
from gnnkit.ops.kernels.pieces import cut, launch, power_of_two, sum_parts
from gnnkit.ops.spmm.triton import gather
from gnnkit.ops.structure.graph import CompressedGraph

__all__ = ["backward", "edge_attention", "forward"]

# Heads × channels that one warp takes, and numbers of a tile of edges that it has in flight.
_WIDTH = 128
_TILE = 1024


def _sizes(heads: int, channels: int) -> tuple[int, dict[str, int]]:
    """Blocks of heads, and the kernels' constants: as many heads as fit where channels are few."""
    block_c = power_of_two(channels, 1 << 20)
    block_h = power_of_two(heads, max(_WIDTH // block_c, 1))
    warps = min(max(block_h * block_c // _WIDTH, 1), 8)
    block_e = min(max(_TILE * warps // (block_h * block_c), 2), 32)
    constants = {"HEADS": heads, "CHANNELS": channels, "BLOCK_E": block_e, "BLOCK_H": block_h, "BLOCK_C": block_c}
    return triton.cdiv(heads, block_h), {**constants, "warps": warps}


def _numbers(options: AttentionOptions) -> tuple[float, int, float]:
    """The slope, and of dropout the first number that is kept (of 2**32) and the factor of what is."""
    return options.negative_slope, options.threshold, options.scale


def _plain(*tensors: Tensor | None, unused: Tensor) -> list[Tensor]:
    """Contiguous tensors; something that is not read for those that there are not."""
    return [unused if tensor is None else tensor.detach().contiguous() for tensor in tensors]


def forward(inputs: AttentionInputs, graph: CompressedGraph, options: AttentionOptions) -> tuple[Tensor, Tensor]:
    """The weighted sums, and each row's largest logit and inverse sum; see `gnnkit.ops.edge_attention`."""
    x, alpha_src, alpha_dst, edge_logits = inputs
    _, heads, channels = x.shape
    pieces, (lanes, constants) = cut(graph), _sizes(heads, channels)
    single: Any = {"dtype": torch.float32, "device": x.device}
    out = torch.empty(graph.num_dst, heads, channels, dtype=x.dtype, device=x.device)
    stats = torch.empty(graph.num_dst, 2, heads, **single)
    parts = torch.empty(pieces.parts, heads, channels, **single)
    part_stats = torch.empty(pieces.parts, 2, heads, **single)
    permuted = edge_logits is not None and graph.perm is not None
    launch(
        kernels.attend, pieces.table.size(0) * lanes,
        pieces.table, graph.col,
        *_plain(graph.perm, x, alpha_src, alpha_dst, edge_logits, options.seed, unused=pieces.table),
        out, stats, parts, part_stats, *_numbers(options), pieces.table.size(0),
        TARGETS=alpha_dst is not None, LOGITS=edge_logits is not None, PERMUTED=permuted,
        DROPS=options.seed is not None, **constants,
    )  # fmt: skip
    split = pieces.split.size(0)
    launch(kernels.merge, split * lanes, pieces.split, parts, part_stats, out, stats, split, **constants)
    return out, stats


def backward(
    grad: Tensor,
    inputs: AttentionInputs,
    kept: tuple[Tensor, Tensor],
    needed: tuple[bool, ...],
    graph: CompressedGraph,
    options: AttentionOptions,
) -> tuple[Tensor | None, ...]:
    """Gradients of x, alpha_src, alpha_dst and edge_logits, from one pass that gathers rows and one that does not."""
    x, alpha_src, alpha_dst, edge_logits = inputs
    out, stats = kept
    _, heads, channels = x.shape
    pieces, (lanes, constants) = cut(graph, outgoing=True), _sizes(heads, channels)
    single: Any = {"dtype": torch.float32, "device": x.device}
    grad = grad.detach().contiguous()
    target = torch.empty(graph.num_dst, 4, heads, **single)
    block_c = constants["BLOCK_C"]
    block_r = max(_TILE // block_c, 1)
    launch(
        kernels.prepare, triton.cdiv(graph.num_dst * heads, block_r),
        grad, *_plain(out, stats, alpha_dst, unused=grad), target, graph.num_dst,
        HEADS=heads, CHANNELS=channels, BLOCK_R=block_r, BLOCK_C=block_c, TARGETS=alpha_dst is not None,
        warps=constants["warps"],
    )  # fmt: skip

    need_dst, need_edge = needed[2] and alpha_dst is not None, needed[3] and edge_logits is not None
    grad_x = torch.empty(graph.num_src, heads, channels, dtype=x.dtype, device=x.device)
    grad_src = torch.empty(graph.num_src, heads, dtype=x.dtype, device=x.device)
    parts = torch.empty(pieces.parts, heads, channels, **single)
    part_src = torch.empty(pieces.parts, heads, **single)
    keeps = need_dst or need_edge
    grad_edge = torch.empty(graph.num_edges if keeps else 0, heads, **single)
    # For the targets' gradient alone the edges' may stay in CSR order, which is read faster.
    permuted = edge_logits is not None and graph.perm is not None
    launch(
        kernels.outgoing, pieces.table.size(0) * lanes,
        pieces.table, graph.row, graph.perm_t,
        *_plain(graph.perm, x, alpha_src, target, edge_logits, options.seed, unused=pieces.table),
        grad, grad_x, grad_src, parts, part_src, grad_edge, *_numbers(options), pieces.table.size(0),
        LOGITS=edge_logits is not None, PERMUTED=permuted, DROPS=options.seed is not None, KEEPS=keeps, **constants,
    )  # fmt: skip
    width = heads * channels
    sum_parts(pieces, parts.view(1, pieces.parts, width), grad_x.view(1, graph.num_src, width))
    sum_parts(pieces, part_src.unsqueeze(0), grad_src.unsqueeze(0))

    grad_dst = None
    if need_dst:
        order = graph.perm if permuted else None
        grad_dst = gather(cut(graph), order, None, grad_edge.unsqueeze(0), graph.num_dst)[0][0].to(x.dtype)
    return grad_x, grad_src, grad_dst, grad_edge.to(x.dtype) if need_edge else None


edge_attention = Kernels(forward, backward, edge_attention_backward)
