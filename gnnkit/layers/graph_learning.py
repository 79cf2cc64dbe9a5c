"""The graph-learning layer of MTGNN: a directed graph with k neighbours a node, learned from the forecast's error."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from gnnkit.layers._checks import check_size

__all__ = ["GraphLearningLayer"]

_NOISE = 0.01


class GraphLearningLayer(nn.Module):
    r"""Learn a uni-directed graph: where i hears j, j does not hear i.

    With node embeddings (or given features) E_1 and E_2, each `[N, D]`,

        M_1 = tanh(α (E_1 Θ_1 + b_1)),  M_2 = tanh(α (E_2 Θ_2 + b_2))
        A   = ReLU(tanh(α (M_1 M_2^T − M_2 M_1^T)))

    and of each row the k largest entries are kept. `A[i, j]` is the weight with which i hears j: rows are targets.

    Most entries saturate: they are 1, and have no gradient. In training noise of up to 0.01 therefore falls on the
    entries before the k largest are picked, so that others have their turn. In evaluation the k largest are those
    before the last tanh, and a forecast is repeatable.

    Args:
        num_nodes: Nodes N.
        embedding_channels: Width D of M_1 and M_2.
        neighbors: Entries k that a row keeps; more than N stands for N. Default 20.
        alpha: Saturation α of the tanh. Default 3, the authors': entries then begin at 0 or 1 and hardly learn; with .3
            they do.
        node_features: Features `[N, F]` that the embeddings are computed from, a tensor or lists; columns of the size
            of one, for large ones saturate the tanh. None (default): learned embeddings.

    Shape:
        `nodes`: `[M]`; returned: `[N, N]`, or `[M, M]` for M chosen nodes.

    Raises:
        ValueError: A size below 1, or features that are not `[N, F]` or not finite.

    Source:
        Wu et al., "Connecting the dots" (2020), equations 1 to 6, with the noise of the authors' code, which adds it
        in evaluation too.

    Example:
        >>> layer = GraphLearningLayer(5, 8, neighbors=2)
        >>> layer().shape, int((layer() > 0).sum(dim=1).max()) <= 2
        (torch.Size([5, 5]), True)
    """

    node_features: Tensor | None

    def __init__(
        self,
        num_nodes: int,
        embedding_channels: int,
        *,
        neighbors: int = 20,
        alpha: float = 3.0,
        node_features: Float[Tensor, "N F"] | None = None,
    ) -> None:
        super().__init__()
        sizes = {"num_nodes": num_nodes, "embedding_channels": embedding_channels, "neighbors": neighbors}
        for name, value in sizes.items():
            check_size(name, value)
        if node_features is not None:
            node_features = _table(node_features)
        if node_features is not None and (node_features.dim() != 2 or node_features.size(0) != num_nodes):
            raise ValueError(
                f"node_features must have shape [{num_nodes}, F], one row for each node, got "
                f"{list(node_features.shape)}"
            )
        self.num_nodes = num_nodes
        self.neighbors = min(neighbors, num_nodes)
        self.alpha = alpha
        self.register_buffer("node_features", node_features)
        if node_features is None:
            self.embedding_1 = nn.Parameter(torch.empty(num_nodes, embedding_channels))
            self.embedding_2 = nn.Parameter(torch.empty(num_nodes, embedding_channels))
        width = embedding_channels if node_features is None else node_features.size(1)
        self.linear_1 = nn.Linear(width, embedding_channels)
        self.linear_2 = nn.Linear(width, embedding_channels)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw standard-normal embeddings, and torch's own weights for the linear maps."""
        if self.node_features is None:
            nn.init.normal_(self.embedding_1)
            nn.init.normal_(self.embedding_2)
        self.linear_1.reset_parameters()
        self.linear_2.reset_parameters()

    def forward(self, nodes: Int[Tensor, " M"] | None = None, *, noise: bool | None = None) -> Float[Tensor, "M M"]:
        """Compute the graph.

        Args:
            nodes: Numbers of the nodes that take part; None (default) stands for all.
            noise: Whether entries are picked under noise. Default None: in training.

        Returns:
            The adjacency; its entries lie in [0, 1], and at most k of a row are above 0.
        """
        if self.node_features is None:
            one, two = self.embedding_1, self.embedding_2
        else:
            one = two = self.node_features.to(self.linear_1.weight.dtype)
        if nodes is not None:
            one, two = one[nodes], two[nodes]
        one = torch.tanh(self.alpha * self.linear_1(one))
        two = torch.tanh(self.alpha * self.linear_2(two))
        product = one @ two.t()
        strength = self.alpha * (product - product.t())
        adjacency = torch.tanh(strength).relu()
        if self.neighbors >= adjacency.size(0):
            return adjacency
        noisy = self.training if noise is None else noise
        rank = adjacency + _NOISE * torch.rand_like(adjacency) if noisy else strength
        largest = rank.topk(self.neighbors, dim=1).indices
        return adjacency * torch.zeros_like(adjacency).scatter(1, largest, 1.0)

    def extra_repr(self) -> str:
        return f"{self.num_nodes}, neighbors={self.neighbors}, alpha={self.alpha}"


def _table(values: Any) -> Tensor:
    """A table of node features, a tensor or lists as a file of settings has them; a `ValueError` where it is none."""
    try:
        table = torch.as_tensor(values).detach().clone()
        table = table if table.is_floating_point() else table.to(torch.get_default_dtype())
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"node_features must be rows of numbers, one row for each node, e.g. [[0.5],[2]]: {error}"
        ) from None
    if not table.isfinite().all():
        raise ValueError("node_features hold values that are not finite; fill the gaps, e.g. with a column's mean")
    return table
