"""Rows in groups, each group with a matrix of its own: one batched product, no loop over groups."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gnnkit.ops.structure.remembered import remember

__all__ = ["grouped_matmul"]

_untraced: Any = torch.compiler.disable  # what is remembered for a graph is out of a tracer's sight

# Rows in a tile. Every group is padded to whole tiles, and each tile reads one matrix: larger tiles read fewer
# matrices, smaller ones pad less.
_LARGEST_TILE, _SMALLEST_TILE = 128, 4


def grouped_matmul(
    x: Float[Tensor, "E F"], group: Int[Tensor, " E"], weight: Float[Tensor, "R *blocks F1 C1"]
) -> Float[Tensor, "E C"]:
    """Multiply each row by the matrix of its group.

        out[e] = x[e] @ weight[group[e]]

    Rows are laid into tiles of one group each, and all tiles are multiplied in one batched product. A matrix is read
    once a tile and not once a row, as an index of the matrices would: with T rows in a tile it takes 1 / T of the
    memory. The tiles of a `group` tensor are remembered.

    Args:
        x: Rows.
        group: Group of each row, from 0 to R - 1, in any order.
        weight: A matrix a group; or its blocks, `[R, K, F / K, C / K]`, for a block-diagonal one.

    Shape:
        x `[E, F]`, group `[E]`, weight `[R, F, C]` or `[R, K, F / K, C / K]` → `[E, C]`.

    Returns:
        The products, in the order of the rows.

    Raises:
        ValueError: Shapes do not fit, or a group is out of range.

    Example:
        >>> x = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
        >>> weight = torch.stack([torch.eye(2), 10 * torch.eye(2)])
        >>> grouped_matmul(x, torch.tensor([1, 0, 1]), weight)
        tensor([[10., 20.],
                [ 3.,  4.],
                [50., 60.]])
    """
    blocks = weight.unsqueeze(1) if weight.dim() == 3 else weight
    if blocks.dim() != 4:
        raise ValueError(f"weight has shape {list(weight.shape)}: matrices are [R, F, C], blocks [R, K, F / K, C / K]")
    num_groups, count, rows_in, rows_out = blocks.shape
    if x.dim() != 2 or x.size(1) != count * rows_in:
        raise ValueError(f"x has shape {list(x.shape)}, but weight {list(weight.shape)} takes [E, {count * rows_in}]")
    if group.shape != x.shape[:1] or group.dtype not in (torch.int32, torch.int64):
        raise ValueError(
            f"group has shape {list(group.shape)} and dtype {group.dtype}: it is int32 or int64, "
            f"one for each of the {x.size(0)} rows of x"
        )
    if x.size(0) == 0:
        return x.new_zeros(0, count * rows_out) + 0 * (x.sum() + blocks.sum())  # differentiable, like any other result
    tiles = _tiles_of(group, num_groups)
    # An empty slot holds zeros: another group's row there would bring its NaN into this group's gradient.
    laid = x.new_zeros(tiles.group.numel() * tiles.height, x.size(1)).index_copy(0, tiles.slot_of_row, x)
    laid = laid.view(-1, tiles.height, count, rows_in).transpose(1, 2)
    product = laid @ blocks.index_select(0, tiles.group)  # [tiles, K, height, C / K]
    return product.transpose(1, 2).reshape(-1, count * rows_out).index_select(0, tiles.slot_of_row)


@dataclass(frozen=True)
class _Tiles:
    """`group` `[tiles]`: the group of each; `slot_of_row` `[E]`: where among the tiles' slots each row lies."""

    height: int
    group: Tensor
    slot_of_row: Tensor


@_untraced
def _tiles_of(group: Tensor, num_groups: int) -> _Tiles:
    return remember(("tiles", num_groups), (group,), lambda: _lay_tiles(group, num_groups))


def _lay_tiles(group: Tensor, num_groups: int) -> _Tiles:
    low, high = (int(end) for end in torch.aminmax(group))
    if low < 0 or high >= num_groups:
        raise ValueError(f"group holds {low if low < 0 else high}, but weight has the groups 0 to {num_groups - 1}")
    counts = torch.bincount(group, minlength=num_groups)
    height = _height(group.numel(), int((counts > 0).sum()))
    tiles_of = (counts + height - 1) // height
    order = torch.argsort(group, stable=True)
    sorted_group = group.index_select(0, order).long()
    first_row, first_slot = counts.cumsum(0) - counts, (tiles_of.cumsum(0) - tiles_of) * height
    slot = torch.arange(group.numel(), device=group.device) - first_row[sorted_group] + first_slot[sorted_group]
    slot_of_row = torch.empty_like(order)
    slot_of_row[order] = slot
    groups = torch.repeat_interleave(torch.arange(num_groups, device=group.device), tiles_of)
    return _Tiles(height, groups, slot_of_row)


def _height(rows: int, groups: int) -> int:
    """A power of two near a quarter of the mean group, so that padding stays below a quarter or so."""
    wanted = 2 ** max(0, round(math.log2(max(1.0, rows / groups / 4))))
    return min(_LARGEST_TILE, max(_SMALLEST_TILE, wanted))
