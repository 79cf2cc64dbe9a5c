"""A forecaster in another's clothes: what its wrappers hand on of it."""

from __future__ import annotations

from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

__all__ = ["ForecasterWrapper"]


class ForecasterWrapper(nn.Module):
    """A module around a forecaster that changes its forecast and nothing else of it.

    Args:
        forecaster: Any module with the call of a forecaster.
    """

    def __init__(self, forecaster: nn.Module) -> None:
        super().__init__()
        self.forecaster: Any = forecaster

    @property
    def uses_graph(self) -> bool:
        """Whether the graph makes a difference to the forecaster."""
        return self.forecaster.uses_graph

    @property
    def learns_graph(self) -> bool:
        """Whether the forecaster learns a graph."""
        return getattr(self.forecaster, "learns_graph", False)

    @property
    def curriculum(self) -> float:
        """The share of the training after which the forecaster learns all horizons."""
        return getattr(self.forecaster, "curriculum", 0.0)

    def learned_adjacency(self) -> Float[Tensor, "N N"]:
        """The graph that the forecaster learned, where it learns one."""
        return self.forecaster.learned_adjacency()

    def reset_parameters(self) -> None:
        """Draw all weights of the forecaster anew."""
        self.forecaster.reset_parameters()

    def unroll(self, x: Float[Tensor, "B T N F"], *args: Any, **options: Any) -> list[Tensor]:
        """The states h_1 ... h_T of the forecaster, where it has any."""
        return self.forecaster.unroll(x, *args, **options)
