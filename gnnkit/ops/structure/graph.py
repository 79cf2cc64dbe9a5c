"""A graph as the kernels read it: edges sorted by target, and by source when that is asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from gnnkit.ops.structure.fingerprint import fingerprint
from gnnkit.ops.structure.remembered import remember
from gnnkit.ops.structure.sort import sort_by

__all__ = ["CompressedGraph"]

# Weights that are brought into another order in less time than it takes to look whether they are still the same.
_FEW_WEIGHTS = 4096


def _once(make: Callable[[Any], Any]) -> Any:
    """A property that is made once, and not of tensors that a training step could not use later."""

    def outside_inference(graph: Any) -> Any:
        with torch.inference_mode(False), torch.no_grad():
            return make(graph)

    outside_inference.__doc__ = make.__doc__
    return cached_property(outside_inference)


@dataclass(frozen=True, eq=False)
class CompressedGraph:
    """A directed graph, sorted by target (incoming edges of a row lie together) and, when asked for, by source.

    Row i of `rowptr`/`col` holds the sources j of the edges j → i; `colptr`/`row` hold the targets of each source.
    Indices are int32 where they fit, which halves what the kernels have to read.

    Args:
        num_src: Number of source nodes.
        num_dst: Number of target nodes (the same nodes, or in a bipartite graph others).
        rowptr: Where the incoming edges of each target begin.
        col: Source of each edge, in CSR order.
        perm: CSR position → the user's edge; None where these are the same.
        weight: Weights that were made with the graph, in CSR order: pass them on with it. Default: none.

    Shape:
        rowptr `[num_dst + 1]`, col `[E]`, perm `[E]`, weight `[E]`.
    """

    num_src: int
    num_dst: int
    rowptr: Tensor
    col: Tensor
    perm: Tensor | None = None
    weight: Tensor | None = None
    scratch: dict[str, object] = field(default_factory=dict, repr=False)
    """Whatever a backend derives from the structure alone and wants to keep with it, e.g. its rows in chunks."""

    @property
    def num_edges(self) -> int:
        """E, duplicates counted."""
        return self.col.numel()

    @property
    def device(self) -> torch.device:
        """The device of the index tensors."""
        return self.col.device

    @_once
    def _outgoing(self) -> tuple[Tensor, Tensor, Tensor | None]:
        return sort_by(self.col, self.num_src, self.row_of_edge, self.num_dst)

    @property
    def colptr(self) -> Tensor:
        """Where the outgoing edges of each source begin, `[num_src + 1]`; made on first use."""
        return self._outgoing[0]

    @property
    def row(self) -> Tensor:
        """Target of each edge, in CSC order, `[E]`."""
        return self._outgoing[1]

    @_once
    def perm_t(self) -> Tensor:
        """CSC position → CSR position, `[E]`."""
        perm = self._outgoing[2]
        return sort_by(self.col, self.num_src, self.row_of_edge, self.num_dst)[2] if perm is None else perm

    @_once
    def weight_t(self) -> Tensor | None:
        """`weight` in CSC order, `[E]`."""
        if self.weight is None:
            return None
        colptr, row, perm = self._outgoing
        # The order is of no further use to fixed weights, and would be a quarter of all that is kept.
        self.__dict__["_outgoing"] = (colptr, row, None)
        return self.weight.index_select(0, self.perm_t if perm is None else perm)

    @property
    def row_of_edge(self) -> Tensor:
        """Target of each edge, in CSR order, `[E]`; made anew on each use."""
        rows = torch.arange(self.num_dst, dtype=self.col.dtype, device=self.device)
        return torch.repeat_interleave(rows, self.degree, output_size=self.num_edges)

    @property
    def degree(self) -> Tensor:
        """Number of incoming edges of each target, `[num_dst]`."""
        return self.rowptr[1:] - self.rowptr[:-1]

    @_once
    def edge_index(self) -> Tensor:
        """The edges as the user gave them: `[2, E]` int64, in the user's order."""
        edges = torch.stack([self.col.long(), self.row_of_edge.long()])
        if self.perm is None:
            return edges
        ordered = torch.empty_like(edges)
        ordered[:, self.perm.long()] = edges
        return ordered

    def ordered(self, weight: Tensor, *, outgoing: bool) -> Tensor:
        """Bring the numbers of weights `[E]` from the user's order to CSR or (`outgoing`) CSC order.

        Those of a large graph are kept, and compared with the user's by a fingerprint on each call; on a GPU as
        `remember` does it.
        """
        if weight is self.weight:
            return self.weight_t if outgoing else weight  # pyright: ignore[reportReturnType]
        if not outgoing and self.perm is None:
            return weight.contiguous()

        def order() -> Tensor:
            return weight.detach().index_select(0, self._order(outgoing))

        if weight.device.type != "cpu":
            return remember(("ordered", outgoing), (self.col, weight), order)
        if weight.numel() < _FEW_WEIGHTS:
            return order()
        key, mark = f"weights {outgoing}", (fingerprint(weight), weight.stride(), weight.dtype)
        kept = self.scratch.get(key)
        if kept is None or kept[0] != mark:  # pyright: ignore[reportIndexIssue]
            with torch.inference_mode(False), torch.no_grad():
                kept = self.scratch[key] = (mark, order())
        return kept[1]  # pyright: ignore[reportIndexIssue]

    def _order(self, outgoing: bool) -> Tensor:
        if not outgoing:
            return self.perm  # pyright: ignore[reportReturnType]
        return self.perm_t if self.perm is None else self.perm.index_select(0, self.perm_t)

    @_once
    def user_edge(self) -> Tensor:
        """CSC position → the user's edge, `[E]`."""
        return self._order(True)

    def to_user_order(self, values: Tensor) -> Tensor:
        """Bring per-edge values `[E, ...]` from CSR order to the user's order."""
        if self.perm is None:
            return values
        ordered = torch.empty_like(values)
        ordered[self.perm.long()] = values
        return ordered
