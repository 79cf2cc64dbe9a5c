"""AGCRN: gated recurrent units with weights of every node's own, on a graph that is learned."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from gnnkit.layers.chebyshev import chebyshev_terms
from gnnkit.sequence._contract import Graph, UnrolledForecaster, check_size

__all__ = ["AGCRN"]


class _AdaptiveGRU(nn.Module):
    """A GRU of node-adaptive graph convolutions: node n has the weights `E_n · pool`, all from one shared pool.

    Everything has the nodes first, `[N, B, C]`: a product with the graph and one with the nodes' weights then need no
    copy. The inputs of all steps are convolved at once.
    """

    def __init__(self, in_channels: int, hidden_channels: int, embedding_channels: int, terms: int) -> None:
        super().__init__()
        self.terms, c = terms, hidden_channels
        self.input_pool = nn.Parameter(torch.empty(embedding_channels, terms * in_channels, 3 * c))
        self.gate_pool = nn.Parameter(torch.empty(embedding_channels, terms * c, 2 * c))
        self.candidate_pool = nn.Parameter(torch.empty(embedding_channels, terms * c, c))
        self.bias_pool = nn.Parameter(torch.empty(embedding_channels, 3 * c))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw Glorot-uniform pools, by the shapes that those of the authors' code have, [D, K, F + C, 2 C or C]."""
        embedding, rows, c = self.candidate_pool.shape
        width = (self.input_pool.size(1) + rows) // self.terms
        with torch.no_grad():
            for part, out in (
                (self.input_pool[..., : 2 * c], 2 * c),
                (self.input_pool[..., 2 * c :], c),
                (self.gate_pool, 2 * c),
                (self.candidate_pool, c),
            ):
                bound = math.sqrt(6 / ((embedding + self.terms) * width * out))
                part.uniform_(-bound, bound)
            for part in (self.bias_pool[:, : 2 * c], self.bias_pool[:, 2 * c :]):
                bound = math.sqrt(6 / (embedding + part.size(1)))
                part.uniform_(-bound, bound)

    def run(self, x: Float[Tensor, "N B T F"], embedding: Tensor, adjacency: Tensor) -> list[Float[Tensor, "B N C"]]:
        """The states of all steps; each is the tensor that the next one is computed from."""
        (num_nodes, batch, history, _), c = x.shape, self.candidate_pool.size(2)
        pools = (self.input_pool, self.gate_pool, self.candidate_pool)
        weights = [torch.einsum("nd,dio->nio", embedding, pool) for pool in pools]
        seen = self._hear(x.flatten(1, 2), adjacency) @ weights[0] + (embedding @ self.bias_pool).unsqueeze(1)
        states = [x.new_zeros(batch, num_nodes, c)]
        for inputs in seen.view(num_nodes, batch, history, 3 * c).unbind(2):
            h = states[-1].transpose(0, 1)
            into_gates, into_candidate = inputs.split([2 * c, c], dim=-1)
            reset, update = (into_gates + self._hear(h, adjacency) @ weights[1]).sigmoid().chunk(2, dim=-1)
            candidate = (into_candidate + self._hear(reset * h, adjacency) @ weights[2]).tanh()
            states.append((candidate + update * (h - candidate)).transpose(0, 1))  # lerp wants one type
        return states[1:]

    def _hear(self, x: Float[Tensor, "N S F"], adjacency: Tensor) -> Float[Tensor, "N S KF"]:
        flat = x.flatten(1)  # [N, S * F]: one product for the whole batch
        return torch.cat([part.view(x.shape) for part in chebyshev_terms(flat, adjacency, self.terms)], dim=-1)


class AGCRN(UnrolledForecaster):
    r"""Forecast with recurrent units whose graph convolutions have a graph and weights made from node embeddings E.

        A = softmax(ReLU(E E^T));  Θ_n x = Σ_k (T_k(A) x)_n (E_n · W_k) + E_n · b
        reset, update = sigmoid(Θ [x, h]);  candidate = tanh(Θ' [x, reset · h])
        h' = update · h + (1 − update) · candidate;  y = W h_T + b

    The given graph is ignored: the model learns its own.

    Args:
        in_channels, horizon, num_nodes, mask_input: As in `ForecasterModule`.
        hidden_channels: Width C of the states.
        layers: Units on top of each other. Default 2.
        embedding_channels: Width of E. Default 10.
        terms: Chebyshev terms K. Default 2, a node and its neighbours.

    Raises:
        ValueError: A size below 1.

    Source:
        Bai et al., "Adaptive graph convolutional recurrent network for traffic forecasting" (2020). Embeddings and
        pools begin as in its training script, Glorot-uniform by a tensor's own shape: so small that the graph begins
        all but even. The last map begins as torch's.

    Example:
        >>> AGCRN(1, 8, horizon=3, num_nodes=5)(torch.randn(4, 12, 5, 1)).shape
        torch.Size([4, 3, 5])
    """

    learns_graph: ClassVar[bool] = True
    search_space: ClassVar[dict[str, tuple]] = {"terms": (2, 3), "embedding_channels": ("log", 2, 16)}

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        horizon: int,
        *,
        num_nodes: int,
        layers: int = 2,
        embedding_channels: int = 10,
        terms: int = 2,
        mask_input: bool = False,
    ) -> None:
        sizes = {"hidden_channels": hidden_channels, "num_nodes": num_nodes}
        super().__init__(in_channels, horizon, mask_input=mask_input, **sizes)
        check_size("embedding_channels", embedding_channels)
        check_size("terms", terms)
        widths = [self.width, *[hidden_channels] * (check_size("layers", layers) - 1)]
        self.embedding = nn.Parameter(torch.empty(num_nodes, embedding_channels))
        self.cells = nn.ModuleList(_AdaptiveGRU(size, hidden_channels, embedding_channels, terms) for size in widths)
        self.head = nn.Linear(hidden_channels, self.horizon)
        nn.init.xavier_uniform_(self.embedding)

    def reset_parameters(self) -> None:
        """Draw all weights anew."""
        nn.init.xavier_uniform_(self.embedding)
        super().reset_parameters()

    def learned_adjacency(self) -> Float[Tensor, "N N"]:
        """The learned graph: `A[i, j]` is the weight with which i hears j; rows sum to 1."""
        with torch.no_grad():
            return self._adjacency()

    def predict(self, x: Tensor, graph: Graph) -> Tensor:
        return self.head(self.states(x, graph)[-1]).transpose(1, 2)

    def states(self, x: Tensor, graph: Graph) -> list[Tensor]:
        adjacency, states = self._adjacency(), list(x.unbind(1))
        for cell in self.cells:
            nodes_first = torch.stack(states, dim=2).transpose(0, 1)  # [N, B, T, F]
            states = cell.run(nodes_first, self.embedding, adjacency)  # pyright: ignore[reportCallIssue]
        return states

    def _adjacency(self) -> Tensor:
        return (self.embedding @ self.embedding.t()).relu().softmax(dim=1)
