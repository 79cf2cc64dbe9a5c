"""A forecaster in another's clothes: what its wrappers hand on of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jaxtyping import Bool, Float
from torch import Tensor, nn

__all__ = ["ForecasterWrapper"]


class ForecasterWrapper(nn.Module):
    """A module around a forecaster that changes its inputs or its forecast, and nothing else of it.

    Args:
        forecaster: Any module with the call of a forecaster.
    """

    def __init__(self, forecaster: nn.Module) -> None:
        super().__init__()
        self.forecaster: Any = forecaster

    def forward(
        self,
        x: Float[Tensor, "B T N F"],
        edge_index: Tensor | None = None,
        edge_weight: Tensor | None = None,
        *,
        mask: Bool[Tensor, "B T N F"] | None = None,
        target: Float[Tensor, "B P N"] | None = None,
        progress: float | None = None,
    ) -> Tensor:
        """Predict the next P steps of feature 0; arguments are those of the forecaster, see `ForecasterModule`."""

        def ask(x: Tensor, mask: Tensor | None, target: Tensor | None) -> Tensor:
            return self.forecaster(x, edge_index, edge_weight, mask=mask, target=target, progress=progress)

        return self.wrap(x, mask, target, ask)

    def wrap(self, x: Tensor, mask: Tensor | None, target: Tensor | None, ask: Callable[..., Tensor]) -> Tensor:
        """The forecast, made of what `ask(x, mask, target)` gives, the forecaster's own for these inputs."""
        raise NotImplementedError

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
