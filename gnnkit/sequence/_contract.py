"""What every forecaster, with a graph or without, asks of its arguments and of its input."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

__all__ = [
    "ForecasterModule", "Graph", "UnrolledForecaster", "append_mask", "check_choice", "check_dropout", "check_history",
    "check_share", "check_size",
]  # fmt: skip

Graph = tuple[Any, Tensor | None]
"""`edge_index` and `edge_weight`."""


def check_size(name: str, value: int) -> int:
    """Return `value` if it is a whole number of at least 1, else raise a `ValueError` that names it."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}")
    return int(value)


def check_dropout(value: float) -> float:
    """Return `value` if it is a share in [0, 1), else raise a `ValueError`."""
    if not 0.0 <= value < 1.0:
        raise ValueError(f"dropout must be a share from 0 up to, not including, 1, got {value!r}")
    return float(value)


def check_share(name: str, value: float) -> float:
    """Return `value` if it is a share in [0, 1], else raise a `ValueError` that names it."""
    if not 0.0 <= value <= 1.0:
        raise ValueError(f"{name} must be a share from 0 to 1, got {value!r}")
    return float(value)


def check_choice(name: str, value: object, allowed: tuple[object, ...]) -> None:
    """Raise a `ValueError` that lists what is allowed, unless `value` is one of it."""
    # Compared with the type: True == 1, and True is no number of layers.
    if not any(value == choice and type(value) is type(choice) for choice in allowed):
        raise ValueError(f"{name} must be one of {', '.join(map(repr, allowed))}, got {value!r}")


def check_history(
    x: Float[Tensor, "B T N F"], in_channels: int, *, num_nodes: int | None = None, history: int | None = None
) -> None:
    """Check a forecaster's input against the sizes that it was built for.

    Args:
        x: The history.
        in_channels: Features F that the forecaster was built for.
        num_nodes: Nodes N that it was built for; None where any number will do.
        history: Steps T that it was built for; None where any number will do.

    Raises:
        ValueError: `x` is not `[B, T, N, F]`, holds no step, or differs from one of the sizes.
    """
    if x.dim() != 4 or x.size(1) == 0:
        raise ValueError(f"x must have shape [B, T, N, F] with T at least 1, got {list(x.shape)}")
    for axis, size, built in (("F", x.size(3), in_channels), ("N", x.size(2), num_nodes), ("T", x.size(1), history)):
        if built is not None and size != built:
            name = {"F": "in_channels", "N": "num_nodes", "T": "history"}[axis]
            raise ValueError(
                f"x has {axis} = {size} in {list(x.shape)}, but this forecaster was built for {name}={built}; "
                f"build it with {name}={size}"
            )


def append_mask(x: Float[Tensor, "B T N F"], mask: Bool[Tensor, "B T N F"] | None) -> Float[Tensor, "B T N F2"]:
    """Put the mask (1 observed, 0 filled in) behind the features; without one all entries are observed.

    Raises:
        ValueError: `mask` has another shape than `x`.
    """
    if mask is None:
        return torch.cat([x, torch.ones_like(x)], dim=-1)
    if mask.shape != x.shape:
        raise ValueError(f"mask must have the shape of x, {list(x.shape)}, got {list(mask.shape)}")
    return torch.cat([x, mask.to(x.dtype)], dim=-1)


class ForecasterModule(nn.Module):
    """The skeleton of a forecaster: its sizes and its call. A subclass builds its layers, and says `predict`.

    Args:
        in_channels: Features F of a node at a step; the first is what is predicted.
        horizon: Steps P to predict.
        mask_input: Append the mask of observed entries to the features. Models have False as the default: gaps are
            filled from the past, and the mask is not read.
        sizes: Of `hidden_channels` (width C), `history` (steps T of the history) and `num_nodes` (nodes N) those that
            it is built for, kept under their names.

    Shape:
        x `[B, T, N, F]`, edge_index `[2, E]`, edge_weight `[E]`; returned `[B, P, N]`.

    Raises:
        ValueError: A size below 1.
    """

    #: Whether the given graph makes a difference to the forecast; all take it, because all are called alike.
    uses_graph: bool = False
    hidden_channels: int
    history: int
    num_nodes: int

    def __init__(self, in_channels: int, horizon: int, *, mask_input: bool, **sizes: int | None) -> None:
        super().__init__()
        self.in_channels = check_size("in_channels", in_channels)
        self.horizon = check_size("horizon", horizon)
        self.mask_input = mask_input
        #: Features that are read of a node at a step, those of the mask among them.
        self.width = self.in_channels * (2 if mask_input else 1)
        self._sizes = {name: None if size is None else check_size(name, size) for name, size in sizes.items()}
        for name, size in self._sizes.items():
            setattr(self, name, size)

    def reset_parameters(self) -> None:
        """Draw all weights anew."""
        for part in self.children():
            for module in part if isinstance(part, nn.ModuleList) else (part,):
                module.reset_parameters()  # pyright: ignore[reportCallIssue]

    def forward(
        self,
        x: Float[Tensor, "B T N F"],
        edge_index: Tensor | None = None,
        edge_weight: Tensor | None = None,
        *,
        mask: Bool[Tensor, "B T N F"] | None = None,
        target: Float[Tensor, "B P N"] | None = None,
        progress: float | None = None,
    ) -> Float[Tensor, "B P N"]:
        """Predict the next P steps of feature 0.

        Args:
            x: The history, scaled, gaps filled from the past.
            edge_index: Edge list, `EdgeIndex`, or a sparse `adj_t` (with `edge_weight` None); ignored where
                `uses_graph` is False.
            edge_weight: One weight per edge; None stands for ones.
            mask: Observed entries; ignored unless `mask_input=True`, since x has no gaps left.
            target: In training, the true steps in x's scale, NaN where unobserved; read by models that say so.
            progress: In training, the share of it that is done; read by models that say so.

        Returns:
            The forecast in x's scale.

        Raises:
            ValueError: `x` or the graph does not fit the model or each other, or there is no graph where one is read.
        """
        return self.guided(self.read(x, mask, edge_index), (edge_index, edge_weight), target, progress)

    def guided(self, x: Tensor, graph: Graph, target: Tensor | None, progress: float | None) -> Tensor:
        """`predict`, which training may guide by the true steps or by how far it is; here it does not."""
        return self.predict(x, graph)

    def predict(self, x: Float[Tensor, "B T N F2"], graph: Graph) -> Float[Tensor, "B P N"]:
        """The forecast from what `read` gives, and from `edge_index` and `edge_weight`."""
        raise NotImplementedError

    def read(self, x: Tensor, mask: Tensor | None, edge_index: Tensor | None) -> Float[Tensor, "B T N F2"]:
        """The history, checked, with the mask behind it where it is read."""
        if self.uses_graph and edge_index is None:
            raise ValueError(self._no_graph())
        sizes = {name: self._sizes.get(name) for name in ("num_nodes", "history")}
        check_history(x, self.in_channels, **sizes)
        return append_mask(x, mask) if self.mask_input else x

    def _no_graph(self) -> str:
        return f"edge_index is None, but {type(self).__name__} needs a graph; give edge_index"


class UnrolledForecaster(ForecasterModule):
    """A recurrent forecaster, whose states can be followed; a subclass says `states`."""

    def unroll(
        self,
        x: Float[Tensor, "B T N F"],
        edge_index: Tensor | None = None,
        edge_weight: Tensor | None = None,
        *,
        mask: Bool[Tensor, "B T N F"] | None = None,
    ) -> list[Float[Tensor, "B N C"]]:
        """Compute h_1 ... h_T of the top layer step by step, for gradient studies.

        Each state is the tensor that the next one was computed from: `torch.autograd.grad(states[-1].sum(), states[t])`
        is the gradient through time (of an LSTM: through h; its cell state carries another part).

        Args:
            x, edge_index, edge_weight, mask: As in `forward`.

        Returns:
            The T states, equal up to rounding to those that `forward` goes through.

        Raises:
            ValueError: As in `forward`.
        """
        return self.states(self.read(x, mask, edge_index), (edge_index, edge_weight))

    def states(self, x: Float[Tensor, "B T N F2"], graph: Graph) -> list[Tensor]:
        """The states from what `read` gives."""
        raise NotImplementedError
