"""T-GCN, whole: the cell over the history, and a linear head that predicts all steps at once."""

from __future__ import annotations

from typing import ClassVar, Literal

from jaxtyping import Bool, Float
from torch import Tensor, nn

from gnnkit.graph.propagation import AddSelfLoops
from gnnkit.sequence._contract import append_mask, check_history, check_size
from gnnkit.temporal.tgcn_cell import TGCNCell

__all__ = ["TGCN"]


class TGCN(nn.Module):
    r"""T-GCN, several steps ahead: `TGCNCell` over the history, then `y = W h_T + b` for all P steps at once.

    Args:
        in_channels: Features F of a node at a step; the first is what is predicted.
        hidden_channels: Width C of the state.
        horizon: Steps P to predict.
        graph_convolution, layers, gate_convolutions, gate_split, add_self_loops: As in `TGCNCell`; the default is the
            paper's form, `graph_convolution="input_and_state"` the official code's, with `gate_split="nodes"` its split
            of the gates, too.
        mask_input: Append the mask of observed entries to the features. Default False: gaps are filled, the mask is
            not read.

    Shape:
        x `[B, T, N, F]`, edge_index `[2, E]`, edge_weight `[E]`; returned `[B, P, N]`.

    Raises:
        ValueError: A size below 1, or a form that does not exist.

    Source:
        Zhao et al. (2020). The head is the official code's: one linear map from the last state.

    Example:
        >>> import torch
        >>> edge_index = torch.tensor([[0, 1], [1, 2]])
        >>> TGCN(1, 8, horizon=3)(torch.randn(4, 12, 3, 1), edge_index).shape
        torch.Size([4, 3, 3])
    """

    #: The graph makes a difference to the forecast.
    uses_graph: ClassVar[bool] = True

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        horizon: int,
        *,
        graph_convolution: Literal["input", "input_and_state"] = "input",
        layers: Literal[1, 2] | None = None,
        gate_convolutions: Literal["shared", "separate"] = "shared",
        gate_split: Literal["channels", "nodes"] = "channels",
        add_self_loops: AddSelfLoops | None = None,
        mask_input: bool = False,
    ) -> None:
        super().__init__()
        self.in_channels = check_size("in_channels", in_channels)
        self.horizon = check_size("horizon", horizon)
        self.mask_input = mask_input
        self.cell = TGCNCell(
            self.in_channels * (2 if mask_input else 1),
            hidden_channels,
            graph_convolution=graph_convolution,
            layers=layers,
            gate_convolutions=gate_convolutions,
            gate_split=gate_split,
            add_self_loops=add_self_loops,
        )
        self.head = nn.Linear(self.cell.hidden_channels, self.horizon)

    def reset_parameters(self) -> None:
        """Draw all weights anew."""
        self.cell.reset_parameters()
        self.head.reset_parameters()

    def forward(
        self,
        x: Float[Tensor, "B T N F"],
        edge_index: Tensor,
        edge_weight: Tensor | None = None,
        *,
        mask: Bool[Tensor, "B T N F"] | None = None,
        target: Tensor | None = None,
        progress: float | None = None,
    ) -> Float[Tensor, "B P N"]:
        """Predict the next P steps of feature 0.

        Args:
            x: The history, scaled, gaps filled from the past.
            edge_index: Edge list, `EdgeIndex`, or a sparse `adj_t` (with `edge_weight` None).
            edge_weight: One weight per edge; None stands for ones.
            mask: Observed entries; ignored unless `mask_input=True`, since x has no gaps left.
            target, progress: Ignored: all steps are predicted at once, so there is nothing to force or to schedule.

        Returns:
            The forecast in x's scale.

        Raises:
            ValueError: `x` or the graph does not fit the model or each other.
        """
        last = self.cell.last(self._features(x, mask), edge_index, edge_weight)
        return self.head(last).transpose(1, 2)

    def unroll(
        self,
        x: Float[Tensor, "B T N F"],
        edge_index: Tensor,
        edge_weight: Tensor | None = None,
        *,
        mask: Bool[Tensor, "B T N F"] | None = None,
    ) -> list[Float[Tensor, "B N C"]]:
        """Compute h_1 ... h_T with one call of the cell per step, for gradient studies.

        Each state is the tensor that the next one was computed from: `torch.autograd.grad(states[-1].sum(), states[t])`
        is the gradient through time.

        Args:
            x, edge_index, edge_weight, mask: As in `forward`.

        Returns:
            The T states, equal up to rounding to those that `forward` goes through.

        Raises:
            ValueError: As in `forward`.
        """
        states: list[Tensor] = []
        for features in self._features(x, mask).unbind(1):
            states.append(self.cell(features, edge_index, edge_weight, states[-1] if states else None))
        return states

    def _features(self, x: Tensor, mask: Tensor | None) -> Tensor:
        check_history(x, self.in_channels)
        return append_mask(x, mask) if self.mask_input else x

    def extra_repr(self) -> str:
        return f"mask_input={self.mask_input}"
