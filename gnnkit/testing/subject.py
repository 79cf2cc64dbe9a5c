"""The forecaster under check: built at any size, called on inputs that it cannot spoil, its errors put in words."""

from __future__ import annotations

import inspect
import random
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gnnkit.temporal import MODELS, build_forecaster
from gnnkit.temporal.wrapper import ForecasterWrapper

__all__ = [
    "ROUNDING",
    "Inputs",
    "ModelError",
    "Refused",
    "Sizes",
    "Subject",
    "difference",
    "make_inputs",
    "own_name",
    "seeded",
]

HIDDEN = 16
ROUNDING = 1e-6
"""The difference that two runs of the same may have, where threads sum in another order."""
JITTER = 0.05
"""Noise that is put on all weights, so that a layer whose first weights are zeros or all alike hides nothing."""


class ModelError(Exception):
    """The model raised an error, or gave what no forecaster may give; its text is one line."""


class Refused(Exception):
    """The constructor refused a size by a `ValueError`, whose text this is."""


@dataclass(frozen=True)
class Sizes:
    """B, T, N, P and F, all different."""

    batch: int = 4
    history: int = 7
    nodes: int = 5
    horizon: int = 3
    features: int = 2

    @property
    def forecast(self) -> list[int]:
        """The shape that has to come out."""
        return [self.batch, self.horizon, self.nodes]


@dataclass(frozen=True)
class Inputs:
    """What a forecaster is called with: a history without gaps, a directed graph, what was observed, and the future.

    Shape:
        x and mask `[B, T, N, F]`, edge_index `[2, E]`, edge_weight `[E]`, target `[B, P, N]`.
    """

    x: Tensor
    edge_index: Tensor
    edge_weight: Tensor | None
    mask: Tensor | None
    target: Tensor

    def clone(self) -> Inputs:
        weight, mask = (None if each is None else each.clone() for each in (self.edge_weight, self.mask))
        return Inputs(self.x.clone(), self.edge_index.clone(), weight, mask, self.target.clone())

    def to(self, dtype: torch.dtype) -> Inputs:
        weight = None if self.edge_weight is None else self.edge_weight.to(dtype)
        return replace(self, x=self.x.to(dtype), edge_weight=weight, target=self.target.to(dtype))


def make_inputs(sizes: Sizes, *, seed: int = 1, neighbours: int = 2) -> Inputs:
    """Inputs in float32; a fifth of the history was not observed and is filled from the past.

    The graph is a ring on which each node is heard by some next ones, and one edge more: no two nodes are alike. A node
    alone has a loop.
    """
    draw = torch.Generator().manual_seed(seed)
    n = sizes.nodes
    x = torch.randn(sizes.batch, sizes.history, n, sizes.features, generator=draw)
    mask = torch.rand(x.shape, generator=draw) > 0.2
    mask[:, 0] = True
    for step in range(1, sizes.history):
        x[:, step] = torch.where(mask[:, step], x[:, step], x[:, step - 1])
    pairs = {(i, (i + hop) % n) for i in range(n) for hop in range(1, neighbours + 1)} | {(0, n // 2)}
    edge_index = (
        torch.tensor(sorted(pair for pair in pairs if n == 1 or pair[0] != pair[1]), dtype=torch.long).view(-1, 2).t()
    )
    edge_weight = 0.2 + 0.8 * torch.rand(edge_index.size(1), generator=draw)
    return Inputs(x, edge_index.contiguous(), edge_weight, mask, torch.randn(sizes.forecast, generator=draw))


def difference(one: Tensor, other: Tensor) -> float:
    """The largest difference, as a share of the largest value; infinite where one is finite and the other is not."""
    one, other = one.detach(), other.detach()
    if not torch.equal(one.isfinite(), other.isfinite()):
        return float("inf")
    one, other = one.nan_to_num(posinf=0, neginf=0).double(), other.nan_to_num(posinf=0, neginf=0).double()
    scale = max(float(one.abs().max()), float(other.abs().max()), 1e-12) if one.numel() else 1.0
    return float((one - other).abs().max()) / scale if one.numel() else 0.0


def own_name(model: nn.Module, name: str) -> str:
    """The name of a weight or a part as the model's own code has it, without the wrappers that it was built into."""
    while isinstance(model, ForecasterWrapper):
        model, name = model.forecaster, name.removeprefix("forecaster.")
    return name


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Run a block with every random state seeded, and give the caller's back after it."""
    of_python, of_numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - what user code draws from
    try:
        with torch.random.fork_rng(devices=[]):
            random.seed(seed)
            np.random.seed(seed)  # noqa: NPY002
            # Not `torch.manual_seed`, which writes down the stack for every kind of device: all runs on the CPU here.
            torch.set_rng_state(torch.Generator().manual_seed(seed).get_state())
            yield
    finally:
        random.setstate(of_python)
        np.random.set_state(of_numpy)  # noqa: NPY002


@dataclass
class Subject:
    """A forecaster by its name, and how to build and call it.

    Args:
        name: One of `MODELS`.
        settings: Of the model.
        dtype: In which it is compared; float64 once it is known to keep that.
        stateless: Whether a call is known to leave no trace, so that one build does for all in evaluation mode.
    """

    name: str
    settings: Mapping[str, Any]
    dtype: torch.dtype = torch.float32
    stateless: bool = False
    sizes: Sizes = field(default_factory=Sizes)
    _built: dict[Any, nn.Module] = field(default_factory=dict)

    @property
    def tolerance(self) -> float:
        """The difference that rounding makes."""
        return 1e-9 if self.dtype == torch.float64 else 1e-4

    @property
    def inputs(self) -> Inputs:
        """Those of the usual sizes."""
        return make_inputs(self.sizes).to(self.dtype)

    def takes(self, size: str) -> bool:
        """Whether the constructor asks for a size, e.g. `"num_nodes"`."""
        return size in MODELS[self.name].arguments

    def build(
        self,
        sizes: Sizes | None = None,
        edge_index: Tensor | None = None,
        *,
        seed: int = 0,
        time_channels: int = 0,
    ) -> nn.Module:
        """A fresh model, the same one for the same seed, in `dtype` and in evaluation mode.

        Raises:
            Refused: The constructor raises a `ValueError`.
            ModelError: It raises something else.
        """
        sizes = sizes or self.sizes
        edges = make_inputs(sizes).edge_index if edge_index is None else edge_index
        given = {"hidden_channels": HIDDEN, **self.settings}
        with seeded(seed):
            try:
                model = build_forecaster(
                    self.name,
                    in_channels=sizes.features,
                    horizon=sizes.horizon,
                    history=sizes.history,
                    num_nodes=sizes.nodes,
                    time_channels=time_channels,
                    edge_index=edges.clone(),
                    **given,
                )
            except ValueError as error:
                raise Refused(str(error)) from error
            except Exception as error:  # whatever a constructor raises
                raise ModelError(f"Its constructor raises {self.words(error)}.") from error
        draw = torch.Generator().manual_seed(seed + 1)
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.is_floating_point() and not nn.parameter.is_lazy(parameter):
                    parameter.add_(JITTER * torch.randn(parameter.shape, generator=draw))
        return model.to(self.dtype).eval()

    def call(
        self,
        model: nn.Module,
        inputs: Inputs,
        *,
        target: bool = False,
        progress: float | None = None,
        seed: int = 2,
        keep: bool = False,
    ) -> Tensor:
        """Its forecast; no gradient is kept in evaluation mode.

        Args:
            model: What `build` gave.
            inputs: What it is called with.
            target: Whether it gets the target.
            progress: What it is told of the training.
            seed: Of what it draws.
            keep: True hands over the inputs themselves, which it may spoil.

        Raises:
            ModelError: It raises an error, or gives something else than `[B, P, N]`.
        """
        given = inputs if keep else inputs.clone()
        more = {"mask": given.mask, "target": given.target if target else None, "progress": progress}
        with seeded(seed), torch.set_grad_enabled(model.training):
            try:
                out = model(given.x, given.edge_index, given.edge_weight, **more)
            except Exception as error:  # whatever a model raises
                raise ModelError(f"It raises {self.words(error)}.") from error
        expected = list(inputs.target.shape)
        if not isinstance(out, Tensor):
            raise ModelError(f"It gives a {type(out).__name__}, and should give a tensor of shape {expected}.")
        if list(out.shape) != expected:
            raise ModelError(f"From x {list(inputs.x.shape)} it gives {list(out.shape)}, and should give {expected}.")
        return out

    def run(self, inputs: Inputs, **options: Any) -> Tensor:
        """The forecast of a model in evaluation mode that keeps nothing of an earlier call."""
        key = self.dtype, inputs.edge_index.numpy().tobytes() if self.takes("edge_index") else b""
        if not self.stateless or key not in self._built:
            self._built[key] = self.build(edge_index=inputs.edge_index)
        return self.call(self._built[key], inputs, **options)

    def train(self, inputs: Inputs, *, progress: float = 0.0, **options: Any) -> Tensor:
        """The forecast of a fresh model in training, with its target."""
        model = self.build(edge_index=inputs.edge_index).train()
        return self.call(model, inputs, target=True, progress=progress, **options)

    def step(self, model: nn.Module, inputs: Inputs, *, progress: float = 0.0, seed: int = 2) -> Tensor:
        """A step of training as far as the gradients; every value of the forecast counts with a weight of its own.

        A plain sum has no gradient through a softmax.

        Raises:
            ModelError: The forecast or the backward pass raises an error.
        """
        out = self.call(model.train(), inputs, target=True, progress=progress, seed=seed)
        if out.requires_grad:
            try:
                (out * torch.linspace(-1, 1.5, out.numel(), dtype=out.dtype).view(out.shape)).sum().backward()
            except Exception as error:  # whatever autograd raises
                raise ModelError(f"Its backward pass raises {self.words(error)}.") from error
        return out.detach()

    def words(self, error: BaseException) -> str:
        """An error in a line, with the last line of the model's own file that it came through."""
        text = f"{type(error).__name__}: {' '.join(str(error).split())}"
        text = text if len(text) <= 300 else f"{text[:300]}…"
        build = MODELS[self.name].build
        core = build.func if isinstance(build, partial) else build
        try:
            path = inspect.getfile(core)
        except (TypeError, OSError):
            return text
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == path]
        return f"{text} ({Path(path).name}, line {lines[-1]})" if lines else text
