"""Many seeds of one model as one model: a hundred runs on a small graph for the price of a few."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from gnnkit.layers._stacked import STACKED, SeedStreams, StackedAny
from gnnkit.layers.node_classifier import NodeClassifier

__all__ = ["SeedStack"]


class SeedStack(nn.Module):
    r"""S models of one form in one: parameters `[S, ...]`, features `[S, N, C]`, and one graph for all of them.

    Its output is that of the models one by one, but for rounding; so is its gradient, where the loss is a sum over
    seeds, and what Adam makes of it. gnnkit's layers run on the fused kernels; any other layer runs through
    `torch.func.vmap`.

    Args:
        models: The models, of one class and with the same settings; they are left as they are.
        seeds: A number for each model, from which its dropout masks are drawn: what a seed draws for features does not
            depend on the others (the mask of attention weights does). Default: 0, 1, ...

    Shape:
        `x`: `[N, F]`, dense or sparse, the same for all; returned: `[S, N, C]`.

    Raises:
        ValueError: No model, models that differ in more than their weights, or another number of seeds.

    Example:
        >>> from gnnkit.graph import six_node_graph
        >>> from gnnkit.layers import NodeClassifier
        >>> models = [NodeClassifier(16, 8, 3) for _ in range(5)]
        >>> SeedStack(models)(torch.randn(6, 16), six_node_graph().edge_index).shape
        torch.Size([5, 6, 3])
    """

    def __init__(self, models: Sequence[nn.Module], seeds: Sequence[int] | None = None):
        super().__init__()
        if not models:
            raise ValueError("models must hold at least one model, got none")
        numbers = list(range(len(models))) if seeds is None else list(seeds)
        if len(numbers) != len(models):
            raise ValueError(f"seeds must have one number for each of the {len(models)} models, got {len(numbers)}")
        states = [model.state_dict() for model in models]
        shapes = [
            (type(model), {name: value.shape for name, value in state.items()})
            for model, state in zip(models, states, strict=True)
        ]
        if any(shape != shapes[0] for shape in shapes) or any(str(model) != str(models[0]) for model in models):
            raise ValueError("models must differ in their weights alone; make all of them with the same settings")
        if set(states[0]) - {name for name, _ in models[0].named_parameters(remove_duplicate=False)}:
            raise ValueError("models must not hold buffers, such as running means: they cannot be stacked")
        self.streams = SeedStreams(numbers)
        skeleton = copy.deepcopy(models[0])
        stacked = {name: nn.Parameter(torch.stack([state[name] for state in states]).detach()) for name in states[0]}
        for name, parameter in stacked.items():
            owner, _, leaf = name.rpartition(".")
            setattr(skeleton.get_submodule(owner), leaf, parameter)
        self.model: Any = self._convert(skeleton)

    def _convert(self, module: nn.Module) -> nn.Module:
        kind = STACKED.get(type(module))
        if kind is not None:
            return kind(module, self.streams)
        if not list(module.parameters()):
            return module  # without parameters what it does is the same for each seed
        if not isinstance(module, NodeClassifier | nn.ModuleList):
            return StackedAny(module, self.streams)
        for name, child in module.named_children():
            setattr(module, name, self._convert(child))
        return module

    @property
    def seeds(self) -> list[int]:
        """The seeds, in the order of the first axis."""
        return list(self.streams.seeds)

    def forward(self, x: Tensor, edge_index: Tensor, *args: Any) -> Tensor:
        """Compute every seed's output."""
        return self.model(x, edge_index, *args)

    def state_of(self, index: int) -> dict[str, Tensor]:
        """The weights of one seed, as the `state_dict` of a model of its own.

        Args:
            index: Place of the seed in `seeds`.
        """
        return {name: value[index].clone() for name, value in self.model.state_dict().items()}

    def keep(self, index: Sequence[int]) -> None:
        """Go on with some of the seeds alone; parameters stay the same objects, and grow shorter.

        Args:
            index: Places in `seeds`.
        """
        rows = torch.tensor(list(index), dtype=torch.long)
        for parameter in self.parameters():
            parameter.data = parameter.data.index_select(0, rows.to(parameter.device))
            parameter.grad = None
        self.streams.keep(list(index))
