"""A node classifier, ready to be exported: features and edges go in, scores of the classes come out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from gnnkit.export.graphs import random_graph
from gnnkit.export.program import Export, Value
from gnnkit.layers import NodeClassifier

__all__ = ["ClassifierProgram", "classifier_export"]


class ClassifierProgram(nn.Module):
    """What an exported node classifier computes: a dict with `scores` `[N, C]`.

    Args:
        model: the classifier, called as `model(x, edge_index)` or `model(x, edge_index, edge_weight)`.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor | None = None) -> dict[str, Tensor]:
        """The scores of the classes."""
        weight = () if edge_weight is None else (edge_weight,)
        return {"scores": self.model(x, edge_index, *weight)}


def classifier_export(model: NodeClassifier, config: Mapping[str, Any], description: Mapping[str, Any]) -> Export:
    """Describe the export of a node classifier, for any graph.

    Args:
        model: the trained classifier.
        config: the arguments that it was built with.
        description: what else the file says of itself, JSON values.

    Returns:
        The export.

    Example:
        >>> config = {"in_channels": 4, "hidden_channels": 8, "out_channels": 3}
        >>> export = classifier_export(NodeClassifier(**config), config, {"model": "gcn"})
        >>> [value.name for value in export.inputs], export.outputs[0].shape
        (['x', 'edge_index', 'edge_weight'], ('N', 3))
    """
    features, classes = int(config["in_channels"]), int(config["out_channels"])
    inputs = [
        Value("x", ("N", features), "features of the nodes, as they were in training"),
        Value("edge_index", (2, "E"), "edges by numbers of nodes: sources, targets", dtype="int64"),
    ]
    if config.get("layer", "gcn") != "gat":
        inputs.append(Value("edge_weight", ("E",), "their weights, ones where there are none"))
    names = [value.name for value in inputs]

    def draw(seed: int) -> tuple[dict[str, Tensor], str]:
        count = 7 if seed < 0 else 1 + seed * 5 % 13
        # Negative weights may give a node a negative degree: its root is NaN in the model and in the program.
        graph = random_graph(count, max(seed, 0))
        x = torch.randn(count, features, generator=torch.Generator().manual_seed(seed + 1))
        drawn = {"x": x, "edge_index": graph.edge_index, "edge_weight": graph.edge_weight}
        return {name: drawn[name] for name in names}, graph.kind

    outputs = (Value("scores", ("N", classes), "scores of the classes, the largest is the node's class"),)
    return Export(
        ClassifierProgram(model).eval(),
        tuple(inputs),
        outputs,
        draw,
        description={"kind": "node classifier", "model": config.get("layer", "gcn"), **description},
    )
