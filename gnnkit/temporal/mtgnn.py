"""MTGNN: temporal convolutions and mix-hop graph convolutions on a graph that is learned, given, or both."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch_geometric.utils import subgraph

from gnnkit.graph import from_csr, normalized_adjacency
from gnnkit.graph.propagation import Adjacency, average
from gnnkit.layers import GraphLearningLayer, mixing_matrix
from gnnkit.sequence._contract import ForecasterModule, Graph, check_choice, check_dropout, check_share, check_size
from gnnkit.temporal.curriculum import only_near
from gnnkit.temporal.mtgnn_block import MTGNNBlock
from gnnkit.temporal.temporal_convolution import TemporalConvolution, pad_history

__all__ = ["MTGNN"]


class MTGNN(ForecasterModule):
    r"""Forecast with blocks of a gated dilated inception along time and two mix-hop layers along the graph.

        h_0 = W x;   z_l = tanh(I_l h) · sigmoid(I'_l h);   h_l = LayerNorm(MixHop(z_l, A) + MixHop(z_l, A^T) + h_{l−1})
        y = W_2 ReLU(W_1 ReLU(S x + Σ_l S_l z_l + S' h_L))

    S, S_l and S' take all steps that are left; A is `GraphLearningLayer`'s, the given graph, or the mean of both after
    normalisation. A loop of the given graph stands for the one that mix-hop adds.

    In training, where `target` is given:

    - `curriculum=s`: after each 1/P of the first share s of the training one more horizon has a gradient;
    - `node_groups=g`: a step trains a random 1/g of the nodes and the graph among them, at 1/g of the cost or less. The
      others come back as their target, so that the loss, a mean over all, is about 1/g of theirs.

    Args:
        in_channels, history, num_nodes, mask_input: As in `ForecasterModule`.
        hidden_channels: Width C of the blocks, at least 4; skips have 2 C, the head 4 C.
        horizon: Steps P to predict. For one step alone, P = 1 and windows with `lead`.
        graph: `"learned"` (default: the given one is ignored), `"given"` or `"both"`.
        layers: Blocks. Default 3.
        dilation_base: Block l dilates by `dilation_base ** l`. Default 1; for long histories 2.
        affine: Whether the layer norms scale and shift. Default True; the authors' single-step runs have False.
        depth, retain: Of `MixHopLayer`.
        neighbors, embedding_channels, alpha, node_features: Of `GraphLearningLayer`; defaults 20, 40, 3, None.
        dropout: Share dropped of the gated features and of the first skip's input. Default 0.3.
        curriculum: Share of the training; 0: all horizons count at once. Default .3; the authors' .8 is at a flat rate.
        node_groups: Groups that the nodes are split into in training. Default 1.

    Raises:
        ValueError: A size below 1, a width below 4, a share outside [0, 1), an unknown `graph`; a misfit in a call.

    Source:
        Wu et al., "Connecting the dots: multivariate time series forecasting with graph neural networks" (2020).
        Its code trains all groups of nodes in turn on one batch, a step each; here a batch trains one group. Its loss
        is a mean over the horizons that are learned, here over all P. `graph="both"` is not the authors'.

    Example:
        >>> model = MTGNN(1, 8, horizon=3, history=12, num_nodes=5)
        >>> model(torch.randn(4, 12, 5, 1)).shape, model.learned_adjacency().shape
        (torch.Size([4, 3, 5]), torch.Size([5, 5]))
    """

    search_space: ClassVar[dict[str, tuple]] = {"depth": (1, 3), "retain": (0.0, 0.3)}

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        horizon: int,
        *,
        history: int,
        num_nodes: int,
        graph: Literal["learned", "given", "both"] = "learned",
        layers: int = 3,
        dilation_base: int = 1,
        affine: bool = True,
        depth: int = 2,
        retain: float = 0.05,
        neighbors: int = 20,
        embedding_channels: int = 40,
        alpha: float = 3.0,
        node_features: Float[Tensor, "N D"] | None = None,
        dropout: float = 0.3,
        curriculum: float = 0.3,
        node_groups: int = 1,
        mask_input: bool = False,
    ) -> None:
        sizes = {"hidden_channels": hidden_channels, "history": history, "num_nodes": num_nodes}
        super().__init__(in_channels, horizon, mask_input=mask_input, **sizes)
        self.dropout = check_dropout(dropout)
        check_choice("graph", graph, ("learned", "given", "both"))
        self.graph = graph
        self.uses_graph = graph != "learned"
        self.learns_graph = graph != "given"
        self.curriculum = check_share("curriculum", curriculum)
        self.node_groups = check_size("node_groups", node_groups)
        self.leaves_nodes_out = self.node_groups > 1  # they come back as their target

        width, c = self.width, self.hidden_channels
        dilations = [check_size("dilation_base", dilation_base) ** k for k in range(check_size("layers", layers))]
        # Steps that go into each block; what the last one leaves, at least one step, is read whole by the last skip.
        self.steps = max(self.history, 1 + 6 * sum(dilations))
        left = [self.steps - 6 * sum(dilations[: block + 1]) for block in range(layers)]
        self.graph_learning = None
        if graph != "given":
            self.graph_learning = GraphLearningLayer(
                num_nodes, embedding_channels, neighbors=neighbors, alpha=alpha, node_features=node_features
            )
        self.start = nn.Linear(width, c)
        self.blocks = nn.ModuleList(
            MTGNNBlock(
                c, steps, num_nodes, dilation=dilation, depth=depth, retain=retain, dropout=self.dropout, affine=affine
            )
            for steps, dilation in zip(left, dilations, strict=True)
        )
        self.skip_first = TemporalConvolution(width, 2 * c, self.steps)
        self.skips = nn.ModuleList(TemporalConvolution(c, 2 * c, steps) for steps in left)
        self.skip_last = TemporalConvolution(c, 2 * c, left[-1])
        self.head_1 = nn.Linear(2 * c, 4 * c)
        self.head_2 = nn.Linear(4 * c, self.horizon)

    def reset_parameters(self) -> None:
        """Draw all weights anew."""
        for module in (*self.children(), *self.blocks, *self.skips):
            if not isinstance(module, nn.ModuleList):
                module.reset_parameters()  # pyright: ignore[reportCallIssue]

    def learned_adjacency(self) -> Float[Tensor, "N N"]:
        """The learned graph, `A[i, j]` the weight with which i hears j; a ValueError where none is learned."""
        if self.graph_learning is None:
            raise ValueError("graph='given' learns no graph; build the model with graph='learned' or 'both'")
        with torch.no_grad():
            return self.graph_learning(noise=False)

    def guided(self, x: Tensor, graph: Graph, target: Tensor | None, progress: float | None) -> Tensor:
        """Nodes that training leaves out come back as their target."""
        learning, nodes = self.training and target is not None, None
        if learning and self.node_groups > 1:
            size = -(-self.num_nodes // self.node_groups)
            nodes = torch.randperm(self.num_nodes, device=x.device)[:size].sort().values
        matrices = self._matrices(*graph, x, nodes)
        y = self._predict(x if nodes is None else x[:, :, nodes], *matrices, nodes)
        if learning:
            y = only_near(y, progress, self.curriculum)
        if target is None or nodes is None:
            return y
        return target.nan_to_num().to(y.dtype).index_copy(2, nodes, y)

    def _matrices(
        self, edge_index: Any, edge_weight: Tensor | None, x: Tensor, nodes: Int[Tensor, " M"] | None
    ) -> tuple[Adjacency, Adjacency]:
        """The graph among some nodes, and the same turned round, as mix-hop layers take them."""
        found = []
        if self.graph_learning is not None:
            adjacency = self.graph_learning(nodes)
            found.append((mixing_matrix(adjacency), mixing_matrix(adjacency.t())))
        if self.graph != "learned":
            if nodes is not None:
                if edge_index.layout != torch.strided:
                    edge_index, edge_weight = from_csr(edge_index)
                edge_index, edge_weight = subgraph(nodes, edge_index, edge_weight, True, self.num_nodes)
            count = self.num_nodes if nodes is None else len(nodes)
            options = [{"method": "row", "reverse": reverse} for reverse in (False, True)]
            # The authors take I out of their road graph before mix-hop adds it: no loop of weight 1 counts twice.
            found.append([normalized_adjacency(edge_index, edge_weight, x, count, "missing", **o) for o in options])
        along, against = (average(matrices) for matrices in zip(*found, strict=True))
        return along, against

    def _no_graph(self) -> str:
        return f"edge_index must be given where graph={self.graph!r}; or take graph='learned'"

    def _predict(self, x: Tensor, along: Adjacency, against: Adjacency, nodes: Tensor | None) -> Tensor:
        x = pad_history(x, self.steps)
        h = self.start(x)
        skip = self.skip_first(F.dropout(x, self.dropout, self.training))  # [B, 1, N, 2 C]
        for block, read in zip(self.blocks, self.skips, strict=True):
            z, h = block(h, along, against, nodes)
            skip = skip + read(z)
        skip = skip + self.skip_last(h)
        return self.head_2(self.head_1(skip.relu()).relu()).squeeze(1).transpose(1, 2)
