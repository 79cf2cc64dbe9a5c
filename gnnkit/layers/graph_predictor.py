"""What a whole graph is: a stack of graph layers, a readout over its nodes, and a map to classes or numbers."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gnnkit.layers._checks import check_size
from gnnkit.layers.gcn import GCNLayer
from gnnkit.layers.gin import GINLayer
from gnnkit.layers.gine import GINELayer
from gnnkit.layers.readout import READOUTS, VirtualNode, readout

__all__ = ["FeatureEncoder", "GraphPredictor"]

_LAYERS = ("gin", "gcn", "none")


class FeatureEncoder(nn.Module):
    """Numbers and categories as one vector: `W norm(x) + b`, plus a learnt vector for each category.

    Args:
        in_channels: Numbers F; may be 0.
        category_sizes: How many categories there are in each of K columns.
        out_channels: C.
        normalize: Whether numbers are brought to mean 0 and deviation 1 of the training batches. Default True.

    Shape:
        x `[N, F]`, categories `[N, K]` → `[N, C]`.

    Example:
        >>> FeatureEncoder(1, (3, 2), 4)(torch.randn(5, 1), torch.tensor([[2, 1]] * 5)).shape
        torch.Size([5, 4])
    """

    starts: Tensor

    def __init__(self, in_channels: int, category_sizes: Sequence[int], out_channels: int, normalize: bool = True):
        super().__init__()
        if in_channels + len(category_sizes) == 0:
            raise ValueError("in_channels is 0 and category_sizes is empty; give a number or a category to encode")
        self.norm = nn.BatchNorm1d(in_channels, affine=False) if in_channels and normalize else nn.Identity()
        self.map = nn.Linear(in_channels, out_channels) if in_channels else None
        self.table = nn.EmbeddingBag(sum(category_sizes), out_channels, mode="sum") if category_sizes else None
        self.width = (in_channels, len(category_sizes))
        ends = torch.tensor(tuple(category_sizes), dtype=torch.int64).cumsum(0)
        self.register_buffer("starts", ends - torch.tensor(tuple(category_sizes), dtype=torch.int64), persistent=False)

    def forward(self, x: Tensor | None, categories: Tensor | None = None) -> Tensor:
        """Encode; see the class for shapes."""
        given = (0 if x is None else x.size(-1), 0 if categories is None else categories.size(-1))
        if given != self.width:
            raise ValueError(
                f"x has {given[0]} numbers and {given[1]} categories a row; they are to be {self.width[0]} and "
                f"{self.width[1]}"
            )
        out = None if self.map is None else self.map(self.norm(x))
        if self.table is None or categories is None:
            assert out is not None  # for the type checker: there is one or the other
            return out
        found = self.table(categories + self.starts)
        return found if out is None else out + found


class GraphPredictor(nn.Module):
    r"""Scores or numbers of whole graphs.

    With `h_0` the encoded features, for each layer l:

        h_l = dropout(relu(norm(layer_l(h_{l-1} [+ v_{l-1}], edges)))),    out = head(readout(h_L))

    Args:
        in_channels: Numbers F of a node; may be 0 where there are categories.
        out_channels: Classes, questions or numbers.
        hidden_channels: Width. Default 64.
        layer: `"gin"` (default), `"gcn"`, or `"none"`: no layer, so that no edge is looked at.
        num_layers: Default 4.
        virtual_node: Whether each graph has a node beside all others (`VirtualNode`). Default False.
        readout: `"sum"` (default), `"mean"` or `"max"`.
        dropout: Behind each layer and in the head. Default 0.
        category_sizes: Of the nodes' categories. Default none.
        edge_channels, edge_category_sizes: Numbers and categories of an edge, which `"gin"` takes (`GINELayer`).
            Default none.

    Shape:
        x `[N, F]`, edge_index `[2, E]`, batch `[N]` → `[num_graphs, out_channels]`.

    Raises:
        ValueError: An argument is out of range or a name unknown; features of edges for another layer than `"gin"`.

    Source:
        Xu et al., "How powerful are graph neural networks?" (2019); Kipf & Welling (2017); Hu et al. (2020).

    Example:
        >>> from gnnkit.graph import six_node_graph
        >>> edges, model = six_node_graph().edge_index, GraphPredictor(1, 2, 8, virtual_node=True)
        >>> model.eval()(torch.ones(6, 1), edges, torch.zeros(6, dtype=torch.long), 1).shape
        torch.Size([1, 2])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        hidden_channels: int = 64,
        *,
        layer: str = "gin",
        num_layers: int = 4,
        virtual_node: bool = False,
        readout: str = "sum",
        dropout: float = 0.0,
        category_sizes: Sequence[int] = (),
        edge_channels: int = 0,
        edge_category_sizes: Sequence[int] = (),
    ):
        super().__init__()
        sizes = {"out_channels": out_channels, "hidden_channels": hidden_channels, "num_layers": num_layers}
        for name, size in sizes.items():
            check_size(name, size)
        for name, value, allowed in (("layer", layer, _LAYERS), ("readout", readout, tuple(READOUTS))):
            if value not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(allowed)}, got {value!r}")
        if isinstance(dropout, bool) or not isinstance(dropout, int | float) or not 0 <= dropout < 1:
            raise ValueError(f"dropout must be a share of at least 0 and below 1, got {dropout!r}")
        if not isinstance(virtual_node, bool):
            raise ValueError(f"virtual_node must be true or false, got {virtual_node!r}")
        if virtual_node and (layer == "none" or num_layers < 2):
            raise ValueError(
                "virtual_node needs graph layers, at least two: give num_layers=2 or more, or leave it out"
            )
        with_edges = edge_channels + len(edge_category_sizes) > 0
        if with_edges and layer != "gin":
            raise ValueError(f"layer={layer!r} takes no features of edges; leave them out, or take layer='gin'")
        width, count = hidden_channels, 0 if layer == "none" else num_layers
        self.kind, self.readout = layer, readout
        self.encoder = FeatureEncoder(in_channels, category_sizes, width)

        def network() -> nn.Sequential:
            return nn.Sequential(
                nn.Linear(width, 2 * width), nn.BatchNorm1d(2 * width), nn.ReLU(), nn.Linear(2 * width, width)
            )

        def make() -> nn.Module:
            if layer == "gcn":
                return GCNLayer(width, width)
            return GINELayer(network()) if with_edges else GINLayer(network())

        self.layers = nn.ModuleList(make() for _ in range(count))
        self.norms = nn.ModuleList(nn.BatchNorm1d(width) for _ in range(count))
        self.edges = nn.ModuleList(
            FeatureEncoder(edge_channels, edge_category_sizes, width) for _ in range(count if with_edges else 0)
        )
        self.virtual = nn.ModuleList(VirtualNode(width, dropout) for _ in range(count - 1 if virtual_node else 0))
        self.drop = nn.Dropout(dropout)
        self.head = nn.Sequential(
            nn.BatchNorm1d(width),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(width, out_channels),
        )

    def forward(
        self,
        x: Tensor | None,
        edge_index: Tensor,
        batch: Tensor,
        num_graphs: int,
        *,
        categories: Tensor | None = None,
        edge_attr: Tensor | None = None,
        edge_categories: Tensor | None = None,
    ) -> Tensor:
        """Compute the scores; see the class for shapes."""
        h = self.encoder(x, categories)
        virtual = self.virtual[0].start(num_graphs) if self.virtual else None  # pyright: ignore[reportCallIssue]
        for level, (layer, norm) in enumerate(zip(self.layers, self.norms, strict=True)):
            if virtual is not None:
                node = self.virtual[min(level, len(self.virtual) - 1)]
                h = node.spread(h, virtual, batch)  # pyright: ignore[reportCallIssue]
            edges = (self.edges[level](edge_attr, edge_categories),) if self.edges else ()
            out = self.drop(norm(layer(h, edge_index, *edges)).relu())
            if virtual is not None and level < len(self.virtual):
                virtual = self.virtual[level].gather(h, virtual, batch)  # pyright: ignore[reportCallIssue]
            h = out
        return self.head(readout(h, batch, num_graphs, self.readout))
