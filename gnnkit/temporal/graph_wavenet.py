"""Graph WaveNet: dilated causal convolutions, and diffusion on the given graph and on one that is learned."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gnnkit.layers import DiffusionLayer, transition_matrices
from gnnkit.sequence._contract import ForecasterModule, Graph, check_dropout, check_size
from gnnkit.temporal.temporal_convolution import TemporalConvolution, gated_convolution, pad_history

__all__ = ["GraphWaveNet"]


class GraphWaveNet(ForecasterModule):
    r"""Forecast with blocks of a gated convolution of two taps along time and a diffusion convolution along the graph.

        h_0 = W x;  z_l = tanh(Θ_l * h) · sigmoid(Θ'_l * h);  h_l = BatchNorm(dropout(Diffusion_l(z_l)) + h_{l−1})
        y = W_2 ReLU(W_1 ReLU(Σ_l S_l z_l))       z_l at its last step

    The walks go along the edges, against them, and by `softmax(ReLU(E_1 E_2^T))`, a graph that is learned. The sum of
    the skips is read at its last step alone, so the skips are computed there alone.

    Args:
        in_channels, horizon, num_nodes, mask_input: As in `ForecasterModule`.
        hidden_channels: Width C of the blocks; skips have 8 C, the head 16 C.
        stacks: Runs of growing dilation. Default 4.
        layers: Blocks in a run, of dilation 1, 2, 4, … Default 2: the default model sees 13 steps; fewer are filled up
            with zeros in front, more are cut off.
        adaptive: Whether a graph is learned beside the given one. Default True.
        embedding_channels: Width of E_1 and E_2. Default 10.
        diffusion_steps: Steps of each walk. Default 2.
        dropout: Share dropped after each diffusion. Default 0.3.

    Raises:
        ValueError: A size below 1, fewer than two blocks, or a share outside [0, 1).

    Source:
        Wu et al., "Graph WaveNet for deep spatial-temporal graph modeling" (2019). Its code has a diffusion and a norm
        behind the last skip too, which nothing reads; they are left out here. Embeddings begin as under its
        `--randomadj`, not as the given graph's singular vectors.

    Example:
        >>> edge_index = torch.tensor([[0, 1], [1, 2]])
        >>> GraphWaveNet(1, 8, horizon=3, num_nodes=3)(torch.randn(4, 12, 3, 1), edge_index).shape
        torch.Size([4, 3, 3])
    """

    uses_graph = True
    search_space: ClassVar[dict[str, tuple]] = {"diffusion_steps": (1, 3), "embedding_channels": (4, 16)}

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        horizon: int,
        *,
        num_nodes: int,
        stacks: int = 4,
        layers: int = 2,
        adaptive: bool = True,
        embedding_channels: int = 10,
        diffusion_steps: int = 2,
        dropout: float = 0.3,
        mask_input: bool = False,
    ) -> None:
        sizes = {"hidden_channels": hidden_channels, "num_nodes": num_nodes}
        super().__init__(in_channels, horizon, mask_input=mask_input, **sizes)
        self.dropout = check_dropout(dropout)
        c = self.hidden_channels
        dilations = [2**layer for layer in range(check_size("layers", layers))] * check_size("stacks", stacks)
        if len(dilations) < 2:
            raise ValueError("stacks * layers is 1: the last block reads no neighbour, so give two blocks or more")
        self.steps = 1 + sum(dilations)
        self.learns_graph = adaptive
        check_size("embedding_channels", embedding_channels)
        self.embedding_1 = nn.Parameter(torch.empty(num_nodes, embedding_channels)) if adaptive else None
        self.embedding_2 = nn.Parameter(torch.empty(num_nodes, embedding_channels)) if adaptive else None
        self.start = nn.Linear(self.width, c)
        self.filters = nn.ModuleList(TemporalConvolution(c, c, 2, dilation=dilation) for dilation in dilations)
        self.gates = nn.ModuleList(TemporalConvolution(c, c, 2, dilation=dilation) for dilation in dilations)
        self.skips = nn.ModuleList(nn.Linear(c, 8 * c) for _ in dilations)
        self.diffusions = nn.ModuleList(
            DiffusionLayer(c, c, matrices=3 if adaptive else 2, steps=diffusion_steps) for _ in dilations[1:]
        )
        self.norms = nn.ModuleList(nn.BatchNorm1d(c) for _ in dilations[1:])
        self.head_1 = nn.Linear(8 * c, 16 * c)
        self.head_2 = nn.Linear(16 * c, self.horizon)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw standard-normal embeddings, and torch's own weights for all else."""
        for embedding in (self.embedding_1, self.embedding_2):
            if embedding is not None:
                nn.init.normal_(embedding)
        for part in (self.filters, self.gates, self.skips, self.diffusions, self.norms):
            for module in part:
                module.reset_parameters()  # pyright: ignore[reportCallIssue]
        for linear in (self.start, self.head_1, self.head_2):
            linear.reset_parameters()

    def learned_adjacency(self) -> Float[Tensor, "N N"]:
        """The learned graph, `A[i, j]` the weight with which i hears j; a ValueError where none is learned."""
        if self.embedding_1 is None:
            raise ValueError("adaptive=False learns no graph; build the model with adaptive=True")
        with torch.no_grad():
            return self._adaptive()

    def predict(self, x: Tensor, graph: Graph) -> Tensor:
        matrices = [*transition_matrices(*graph, x)]
        if self.embedding_1 is not None:
            matrices.append(self._adaptive())
        h = self.start(pad_history(x, self.steps))
        skip = h.new_zeros(())
        for block, read in enumerate(self.skips):
            z = gated_convolution(h, self.filters[block], self.gates[block])  # pyright: ignore[reportArgumentType]
            skip = skip + read(z[:, -1])  # [B, N, 8 C]
            if block < len(self.diffusions):
                mixed = F.dropout(self.diffusions[block](z, matrices), self.dropout, self.training)
                h = mixed + h[:, -z.size(1) :]
                h = self.norms[block](h.flatten(0, 2)).view(h.shape)
        return self.head_2(self.head_1(skip.relu()).relu()).transpose(1, 2)

    def _adaptive(self) -> Tensor:
        # A walker at j goes to i with probability softmax_i: targets are the rows of the transpose.
        assert self.embedding_1 is not None  # for the type checker: both are there or none
        assert self.embedding_2 is not None
        return (self.embedding_1 @ self.embedding_2.t()).relu().softmax(dim=1).t()
