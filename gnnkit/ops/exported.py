"""gnnkit's operators, written in torch's own: for an exported program that is to run where gnnkit is not installed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from gnnkit.ops.attention.operators import edge_attention as attention_op
from gnnkit.ops.attention.options import AttentionInputs, AttentionOptions
from gnnkit.ops.attention.torch import NATIVE
from gnnkit.ops.recurrence.autograd import gated_recurrence_op
from gnnkit.ops.recurrence.torch import gated_recurrence
from gnnkit.ops.spmm.operators import spmm as spmm_op
from gnnkit.ops.spmm.torch import spmm
from gnnkit.ops.structure.edges import EdgeList

__all__ = ["plain_operators"]


def _spmm(edge_index: Tensor, x: Tensor, weight: Tensor | None, num_dst: int) -> Tensor:
    return spmm(EdgeList(edge_index.long(), num_dst, x.size(-2)), x, weight)


def _attention(
    edge_index: Tensor,
    x: Tensor,
    alpha_src: Tensor,
    alpha_dst: Tensor | None,
    edge_logits: Tensor | None,
    seed: Tensor | None,
    num_dst: int,
    negative_slope: float,
    dropout: float,
) -> tuple[Tensor, Tensor]:
    graph = EdgeList(edge_index.long(), num_dst, x.size(0))
    options = AttentionOptions(negative_slope, dropout, seed)
    return NATIVE.forward(AttentionInputs(x, alpha_src, alpha_dst, edge_logits), graph, options)  # pyright: ignore[reportReturnType]


def plain_operators() -> dict[Any, Callable[..., Any]]:
    """The table that turns a program with gnnkit's operators into one of torch's alone.

    Returns:
        Operator → the same in torch's operators, as `torch.export.ExportedProgram.run_decompositions` takes it.

    Example:
        >>> import torch
        >>> class Neighbours(torch.nn.Module):
        ...     def forward(self, edges, x):
        ...         return torch.ops.gnnkit.spmm(edges, x, None, 3)
        >>> program = torch.export.export(Neighbours(), (torch.tensor([[0, 1], [1, 2]]), torch.ones(3, 2)))
        >>> [str(node.target) for node in program.graph.nodes if "gnnkit" in str(node.target)]
        ['gnnkit.spmm.default']
        >>> program = program.run_decompositions(plain_operators())
        >>> [str(node.target) for node in program.graph.nodes if "gnnkit" in str(node.target)]
        []
    """
    return {
        spmm_op._opoverload: _spmm,
        attention_op._opoverload: _attention,
        gated_recurrence_op._opoverload: gated_recurrence,
    }
