"""`pair_attention` in Triton: the kernels' arguments, and the order in which they run."""

from __future__ import annotations

from typing import Any

import torch
import triton  # pyright: ignore[reportMissingImports]
from torch import Tensor

from gnnkit.ops.attention.triton_kernels import merge, prepare
from gnnkit.ops.autograd import Kernels
from gnnkit.ops.kernels.pieces import cut, launch, power_of_two, sum_parts
from gnnkit.ops.pair_attention import triton_edges as of_edges
from gnnkit.ops.pair_attention import triton_kernels as kernels
from gnnkit.ops.pair_attention.options import PairInputs, PairOptions
from gnnkit.ops.pair_attention.torch import pair_attention_backward
from gnnkit.ops.structure.graph import CompressedGraph

__all__ = ["backward", "forward", "pair_attention"]

# Heads × channels that one warp takes, and numbers of a tile of edges that it has in flight.
_WIDTH = 128
_TILE = 1024
# Most stretches of edges that have a gradient of the map of their own.
_MOST_SHARES = 256


def _sizes(inputs: PairInputs) -> tuple[int, dict[str, Any]]:
    """Blocks of heads, and the constants of all kernels over pieces."""
    _, heads, channels = inputs.key.shape
    part, features = inputs.query.size(2), 0 if inputs.edge_attr is None else inputs.edge_attr.size(1)
    is_dot = inputs.att is None
    block_c, block_d = power_of_two(channels, 1 << 20), power_of_two(features if is_dot else 0, 1 << 20)
    wide = max(block_c, block_d)
    block_h = power_of_two(heads, max(_WIDTH // wide, 1))
    warps = min(max(block_h * wide // _WIDTH, 1), 8)
    block_e = min(max(_TILE * warps // (block_h * wide), 2), 32)
    constants = {"HEADS": heads, "CHANNELS": channels, "FEATURES": features, "PART": part, "BLOCK_E": block_e}
    blocks = {"BLOCK_H": block_h, "BLOCK_C": block_c, "BLOCK_D": block_d}
    flags = {"DOT": is_dot, "EDGES": inputs.edge_attr is not None, "warps": warps}
    return triton.cdiv(heads, block_h), {**constants, **blocks, **flags}


def _merged(constants: dict[str, Any]) -> dict[str, Any]:
    """The constants of `attention`'s kernels over whole rows."""
    kept = {name: constants[name] for name in ("HEADS", "BLOCK_E", "BLOCK_H", "warps")}
    return {**kept, "CHANNELS": constants["PART"], "BLOCK_C": power_of_two(constants["PART"], 1 << 20)}


def _plain(*tensors: Tensor | None, unused: Tensor) -> list[Tensor]:
    """Contiguous tensors; something that is not read for those that there are not."""
    return [unused if tensor is None else tensor.detach().contiguous() for tensor in tensors]


def forward(inputs: PairInputs, graph: CompressedGraph, options: PairOptions) -> tuple[Tensor, Tensor]:
    """The weighted sums, and each row's largest logit and inverse sum."""
    pieces, (lanes, constants) = cut(graph), _sizes(inputs)
    heads, part, x = constants["HEADS"], constants["PART"], inputs.key
    single: Any = {"dtype": torch.float32, "device": x.device}
    out = torch.empty(graph.num_dst, heads, part, dtype=x.dtype, device=x.device)
    stats = torch.empty(graph.num_dst, 2, heads, **single)
    parts = torch.empty(pieces.parts, heads, part, **single)
    part_stats = torch.empty(pieces.parts, 2, heads, **single)
    launch(
        kernels.attend, pieces.table.size(0) * lanes,
        pieces.table, graph.col, *_plain(graph.perm, *inputs, options.seed, unused=pieces.table),
        out, stats, parts, part_stats,
        options.negative_slope, options.factor, options.threshold, options.scale, pieces.table.size(0),
        PERMUTED=graph.perm is not None, DROPS=options.seed is not None, **constants,
    )  # fmt: skip
    split = pieces.split.size(0)
    launch(merge, split * lanes, pieces.split, parts, part_stats, out, stats, split, **_merged(constants))
    return out, stats


def backward(
    grad: Tensor,
    inputs: PairInputs,
    kept: tuple[Tensor, Tensor],
    needed: tuple[bool, ...],
    graph: CompressedGraph,
    options: PairOptions,
) -> tuple[Tensor | None, ...]:
    """Gradients of all that there is, from a pass over outgoing edges and one over incoming ones."""
    lanes, constants = _sizes(inputs)
    heads, channels, features, part = (constants[name] for name in ("HEADS", "CHANNELS", "FEATURES", "PART"))
    x, is_dot, permuted = inputs.key, constants["DOT"], graph.perm is not None
    single: Any = {"dtype": torch.float32, "device": x.device}
    grad, out, stats = _plain(grad, *kept, unused=x)
    target = torch.empty(graph.num_dst, 4, heads, **single)
    block = power_of_two(part, 1 << 20)
    rows = max(_TILE // block, 1)
    launch(
        prepare, triton.cdiv(graph.num_dst * heads, rows), grad, out, stats, grad, target, graph.num_dst,
        HEADS=heads, CHANNELS=part, BLOCK_R=rows, BLOCK_C=block, TARGETS=False, warps=constants["warps"],
    )  # fmt: skip

    pieces, seed = cut(graph, outgoing=True), options.seed
    perm, query, key, value, att, edge_attr, edge_map, seed = _plain(graph.perm, *inputs, seed, unused=pieces.table)
    numbers = (options.negative_slope, options.factor)
    grad_key = torch.empty_like(key)
    grad_value = torch.empty_like(key) if is_dot else None
    parts = torch.empty(2 if is_dot else 1, pieces.parts, heads, channels, **single)
    change = torch.empty(graph.num_edges, heads, **single)
    wants_edge = needed[4] and features > 0
    of_lanes = torch.empty(lanes if is_dot and wants_edge else 0, graph.num_edges, features, **single)
    launch(
        kernels.outgoing, pieces.table.size(0) * lanes,
        pieces.table, graph.row, graph.perm_t, perm, query, key, value, att, edge_attr, edge_map, target, seed, grad,
        grad_key, key if grad_value is None else grad_value, parts[0], parts[-1], change, of_lanes,
        *numbers, options.threshold, options.scale, pieces.table.size(0), graph.num_edges,
        PERMUTED=permuted, DROPS=options.seed is not None, KEEPS=is_dot and wants_edge, **constants,
    )  # fmt: skip
    width = heads * channels
    for total, found in zip((grad_key, grad_value), parts, strict=False):
        sum_parts(pieces, found.view(1, pieces.parts, width), total.view(1, graph.num_src, width))  # pyright: ignore

    pieces = cut(graph)
    grad_query = torch.empty_like(query)
    parts = torch.empty(pieces.parts, heads, part, **single)
    shares = torch.empty(0 if is_dot else pieces.table.size(0), heads, channels, **single)
    launch(
        kernels.incoming, pieces.table.size(0) * lanes,
        pieces.table, graph.col, perm, query, key, att, edge_attr, edge_map, change, grad_query, parts, shares,
        *numbers, pieces.table.size(0), PERMUTED=permuted, **constants,
    )  # fmt: skip
    sum_parts(pieces, parts.view(1, pieces.parts, heads * part), grad_query.view(1, graph.num_dst, heads * part))
    grad_att, grad_map, grad_edge = None if is_dot else shares.sum(0), None, None
    if is_dot and wants_edge:
        grad_edge = of_lanes[0] if lanes == 1 else of_lanes.sum(0)
    elif features and not is_dot:
        given = (perm, query, key, att, edge_attr, edge_map, change)
        grad_edge, grad_map = _of_edges(graph, given, options.negative_slope, heads, channels, features, needed)
    found = (grad_query, grad_key, grad_value, grad_att, grad_edge, grad_map)
    return tuple(None if y is None or not need else y.to(x.dtype) for y, need in zip(found, needed, strict=True))


def _of_edges(
    graph: CompressedGraph,
    given: tuple[Tensor, ...],
    slope: float,
    heads: int,
    channels: int,
    features: int,
    needed: tuple[bool, ...],
) -> tuple[Tensor | None, Tensor | None]:
    """The gradients of GATv2's edge features and of their map."""
    single: Any = {"dtype": torch.float32, "device": graph.device}
    edges, row = graph.num_edges, graph.row_of_edge
    block_c, block_d = (min(max(power_of_two(size, 64), 16), 64) for size in (channels, features))
    blocks_c, blocks_d = triton.cdiv(channels, block_c), triton.cdiv(features, block_d)
    constants = {"HEADS": heads, "CHANNELS": channels, "FEATURES": features, "BLOCK_E": 32, "BLOCK_C": block_c}
    constants |= {"BLOCK_D": block_d, "PERMUTED": graph.perm is not None, "warps": 4}
    grad_edge = grad_map = None
    if needed[4]:
        grad_edge = torch.empty(edges, features, **single)
        programs = triton.cdiv(edges, 32) * blocks_d
        launch(
            of_edges.feature_gradient, programs, graph.col, row, *given, grad_edge, slope, edges, blocks_d, **constants
        )
    if needed[5]:
        per_share = max(triton.cdiv(edges, _MOST_SHARES), 256)
        count = triton.cdiv(edges, per_share)
        shares = torch.empty(count, features, heads, channels, **single)
        launch(
            of_edges.map_gradient, count * heads * blocks_d * blocks_c,
            graph.col, row, *given, shares, slope, edges, per_share, blocks_d, blocks_c, **constants,
        )  # fmt: skip
        grad_map = shares.sum(0)
    return grad_edge, grad_map


pair_attention = Kernels(forward, backward, pair_attention_backward)
