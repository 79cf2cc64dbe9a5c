"""A classifier of nodes: a stack of graph layers with the cures for depth beside them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gnnkit.layers._checks import check_size
from gnnkit.layers._linear import Linear
from gnnkit.layers.dagnn import DAGNNLayer
from gnnkit.layers.feature_dropout import FeatureDropout
from gnnkit.layers.gat import GATLayer
from gnnkit.layers.gcn import GCNLayer
from gnnkit.layers.gcn2 import GCN2Layer
from gnnkit.layers.pair_norm import PairNorm

__all__ = ["NodeClassifier"]

_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"relu": F.relu, "elu": F.elu, "none": lambda h: h}
_CHOICES: dict[str, tuple[str | None, ...]] = {
    "activation": tuple(_ACTIVATIONS),
    "normalization": (None, "layer", "pair"),
    "residual": (None, "previous", "initial"),
    "jumping": (None, "max", "concat"),
}


class NodeClassifier(nn.Module):
    r"""Scores of classes for every node, from a stack of graph layers.

    With `h_0` the features, for each layer l, the last without norm, residual and activation:

        h_l = activation(norm(layer_l(dropout(h_{l-1}), edge_index)) [+ h_{l-1}, or mixed with h_1])

    `jumping` and `layer="gcn2"` end in a linear map to the classes in the place of a last layer's own; `"gcn2"` begins
    with one, too. `"dagnn"` makes both maps first, and then carries the scores of the classes along `num_layers` hops.

    Args:
        in_channels: Features F of a node.
        hidden_channels: Width of the hidden layers; of a head where the layer has heads.
        out_channels: Number of classes C.
        layer: `"gcn"` (default), `"gat"`, `"gcn2"`, `"dagnn"`, or a function `(in_channels, out_channels) -> layer`
            that makes any layer called as `layer(x, edge_index)`.
        num_layers: Number of graph layers L, of hops for `"dagnn"`. Default 2.
        heads: Heads of a hidden `"gat"` layer, concatenated. Default 1.
        out_heads: Heads of the last `"gat"` layer, averaged. Default 1.
        dropout: Of the features before each layer. Default 0.5.
        attention_dropout: Of the attention weights of `"gat"`. Default 0.
        activation: `"relu"` (default), `"elu"` or `"none"`.
        normalization: `"layer"`, `"pair"` (PairNorm), or None (default).
        residual: `"previous"` adds a layer's input to its output where their widths agree, `"initial"` mixes the first
            hidden features into every later layer; None (default) does neither.
        residual_weight: Share α of the first hidden features, for `"initial"` and `"gcn2"`. Default 0.1.
        identity_decay: θ of `"gcn2"`: the smaller, the nearer its maps are to the identity. Default 0.5.
        jumping: `"max"` or `"concat"` gives all layers' features to the last map; None (default) the last one's.

    Shape:
        `x`: `[N, F]`, dense or sparse (CSR or COO); `edge_index`: any format of a graph; `edge_weight`: `[E]` for
        layers that take weights; returned: `[N, C]`.

    Raises:
        ValueError: An argument is out of range, or names something that is not there.

    Source:
        Kipf & Welling (2017), Velickovic et al. (2018), Chen et al., "Simple and deep graph convolutional networks"
        (2020), Liu et al. (2020; DAGNN); PairNorm: Zhao & Akoglu (2020); jumping knowledge: Xu et al. (2018).

    Example:
        >>> from gnnkit.graph import six_node_graph
        >>> NodeClassifier(16, 8, 3)(torch.randn(6, 16), six_node_graph().edge_index).shape
        torch.Size([6, 3])
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        out_channels: int,
        *,
        layer: str | Callable[[int, int], nn.Module] = "gcn",
        num_layers: int = 2,
        heads: int = 1,
        out_heads: int = 1,
        dropout: float = 0.5,
        attention_dropout: float = 0.0,
        activation: str = "relu",
        normalization: str | None = None,
        residual: str | None = None,
        residual_weight: float = 0.1,
        identity_decay: float = 0.5,
        jumping: str | None = None,
    ):
        super().__init__()
        given: dict[str, Any] = {
            "in_channels": in_channels,
            "hidden_channels": hidden_channels,
            "out_channels": out_channels,
            "num_layers": num_layers,
            "heads": heads,
            "out_heads": out_heads,
        }
        for name, value in given.items():
            check_size(name, value)
        if isinstance(layer, str) and layer not in ("gcn", "gat", "gcn2", "dagnn"):
            raise ValueError(
                f"layer must be 'gcn', 'gat', 'gcn2', 'dagnn' or a function (in, out) -> layer, got {layer!r}; to use "
                "another layer pass its class"
            )
        cures = {"normalization": normalization, "residual": residual, "jumping": jumping}
        for name, value in {"activation": activation, **cures}.items():
            allowed = _CHOICES[name]
            if value not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, got {value!r}")
        shares = {"dropout": dropout, "attention_dropout": attention_dropout, "residual_weight": residual_weight}
        for name, value in shares.items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
                raise ValueError(f"{name} must be a share from 0 to 1, got {value!r}")
        if layer == "dagnn" and any(cures.values()):
            name = next(name for name, value in cures.items() if value)
            raise ValueError(f"{name} must be None for layer='dagnn', whose gates do its work, got {cures[name]!r}")

        self.activation = activation
        self.residual = residual
        self.residual_weight = residual_weight
        self.jumping = jumping
        self.decoupled = layer == "dagnn"
        width = hidden_channels * (heads if layer == "gat" else 1)
        self.drop = FeatureDropout(dropout)
        both = layer in ("gcn2", "dagnn")
        self.enter = Linear(in_channels, width, weight_initializer="glorot") if both else None
        mapped = both or jumping is not None
        combined = width * num_layers if jumping == "concat" else width
        self.leave = Linear(combined, out_channels, weight_initializer="glorot") if mapped else None

        def make(level: int) -> nn.Module:
            last = level == num_layers - 1 and not mapped
            into = in_channels if level == 0 and self.enter is None else width
            if layer == "gat":
                channels, number = (out_channels, out_heads) if last else (hidden_channels, heads)
                return GATLayer(into, channels, number, concat=not last, dropout=attention_dropout)
            if layer == "gcn2":
                return GCN2Layer(width, alpha=residual_weight, theta=identity_decay, layer=level + 1)
            kind = GCNLayer if layer == "gcn" else layer
            assert callable(kind)  # for the type checker: names were looked up above
            return kind(into, out_channels if last else width)

        if layer == "dagnn":
            self.layers, self.norms = nn.ModuleList([DAGNNLayer(out_channels, num_layers)]), nn.ModuleList()
            return
        self.layers = nn.ModuleList(make(level) for level in range(num_layers))
        hidden = num_layers if mapped else num_layers - 1
        norm = {"layer": lambda: nn.LayerNorm(width), "pair": PairNorm, None: nn.Identity}[normalization]
        self.norms = nn.ModuleList(norm() for _ in range(hidden))

    def forward(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor | None = None) -> Tensor:
        """Compute the scores; see the class for shapes."""
        weight = () if edge_weight is None else (edge_weight,)
        activate = _ACTIVATIONS[self.activation]
        first: Tensor | None = None
        h = x
        if self.enter is not None:
            h = first = activate(self.enter(self.drop(h)))
            if self.decoupled:
                assert self.leave is not None  # for the type checker
                return self.layers[0](self.leave(self.drop(h)), edge_index, *weight)
        states = []
        for level, layer in enumerate(self.layers):
            before, h = h, self.drop(h)
            h = layer(h, first, edge_index, *weight) if self.enter is not None else layer(h, edge_index, *weight)
            if level == len(self.norms):
                return h
            h = self.norms[level](h)
            if self.residual == "previous" and level > 0:
                h = h + before
            elif self.residual == "initial" and first is not None:
                h = (1 - self.residual_weight) * h + self.residual_weight * first
            h = activate(h)
            first = h if first is None else first
            states.append(h)
        if self.jumping == "concat":
            h = torch.cat(states, dim=-1)
        elif self.jumping == "max":
            h = torch.stack(states).amax(dim=0)
        assert self.leave is not None  # for the type checker: without it the last layer has returned
        return self.leave(self.drop(h))
