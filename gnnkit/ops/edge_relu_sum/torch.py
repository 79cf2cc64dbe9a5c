"""`edge_relu_sum` in torch's own operators: on any device and type, through every transform, to any derivative."""

from __future__ import annotations

import torch
from torch import Tensor

from gnnkit.ops.autograd import Kernels, gradients
from gnnkit.ops.structure.edges import EdgeList
from gnnkit.ops.structure.graph import CompressedGraph

__all__ = ["NATIVE", "again", "edge_relu_sum"]

Inputs = tuple[Tensor, Tensor]
_Graph = CompressedGraph | EdgeList


def edge_relu_sum(inputs: Inputs, graph: _Graph) -> Tensor:
    """See `gnnkit.ops.edge_relu_sum`."""
    x, edges = inputs
    sources, targets = graph.edge_index
    messages = (x.index_select(0, sources) + edges).relu()
    return messages.new_zeros(graph.num_dst, x.size(-1)).index_add(0, targets, messages)


def again(grad: Tensor, inputs: Inputs, needed: tuple[bool, ...], graph: _Graph) -> list[Tensor | None]:
    """Gradients of both inputs that can be differentiated in turn."""
    return gradients(lambda *parts: edge_relu_sum(parts, graph), inputs, grad, needed)


def _forward(inputs: Inputs, graph: _Graph) -> tuple[Tensor]:
    return (edge_relu_sum(inputs, graph),)


def _backward(grad: Tensor, inputs: Inputs, kept: tuple[Tensor], needed: tuple[bool, ...], graph: _Graph):
    with torch.no_grad():
        return again(grad, inputs, needed, graph)


NATIVE = Kernels(_forward, _backward, again)
"""Torch's operators in the place of kernels."""
