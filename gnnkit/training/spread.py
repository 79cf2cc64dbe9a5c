"""How one fit is spread over ranks: its batches, its sums, its draws and its snapshots. Alone, all is its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from gnnkit.training.ranks import Ranks, current_ranks
from gnnkit.training.snapshot import Snapshots

if TYPE_CHECKING:
    from lightning.fabric import Fabric

__all__ = ["SharedSnapshots", "Spread"]

_DROPOUTS = {F.dropout, F.dropout1d, F.dropout2d, F.dropout3d, F.alpha_dropout, F.feature_alpha_dropout}


class Spread:
    """What a fit asks of the ranks; the same on each of them, in the same order.

    A batch is that of one process, whatever the number of ranks: each takes its share of it, and what is summed over
    targets is summed over all ranks before it is divided. So the loss curve is that of one process up to rounding.

    Of what a model draws, torch's dropout is drawn by each rank for its own share, from the seed, the step and the
    rank: it differs with the number of ranks. All else (which nodes, whether a forecast or the truth goes in) is drawn
    once, as in one process. Batch norms see a rank's share.

    Args:
        ranks: Those of the run; None: this process is alone.
        seed: Of dropout.

    Example:
        >>> spread = Spread(None)
        >>> spread.share(torch.arange(3)), spread.sum(2), spread.first(lambda: 7)
        ((tensor([0, 1, 2]), True), [2], 7)
    """

    def __init__(self, ranks: Ranks | None, seed: int = 0) -> None:
        self.ranks, self.seed = ranks, seed
        self.rank, self.count = (0, 1) if ranks is None else (ranks.rank, ranks.count)

    @classmethod
    def current(cls, seed: int = 0) -> Spread:
        """Over the ranks that this process has joined."""
        return cls(current_ranks(), seed)

    def fabric(self, device: torch.device, precision: Any) -> Fabric:
        """Lightning Fabric for this device, launched: one device, or one for each rank.

        Raises:
            ValueError: As `device`.
        """
        from lightning.fabric import Fabric  # takes seconds to import: only who trains pays
        from lightning.fabric.strategies.ddp import DDPStrategy

        if self.ranks is None:
            one: Any = 1 if device.index is None else [device.index]
            fabric = Fabric(accelerator=device.type, devices=one, precision=precision)
        else:
            here = _here(self.count)
            self.device(device)
            # Which weights a step uses may change from step to step: curricula, teacher forcing.
            strategy = DDPStrategy(find_unused_parameters=True)
            places: Any = {"devices": here, "num_nodes": self.count // here}
            fabric = Fabric(accelerator=device.type, strategy=strategy, precision=precision, **places)
        fabric.launch()
        return fabric

    def device(self, device: torch.device) -> torch.device:
        """That of this rank.

        Raises:
            ValueError: There are not as many devices as ranks, or they cannot be used together.
        """
        if self.ranks is None:
            return device
        if device.type == "mps" or device.index is not None:
            raise ValueError(
                f"device is {str(device)!r}, but each of {self.count} processes has its own: give cpu or cuda"
            )
        devices, here = torch.cuda.device_count(), _here(self.count)
        if device.type == "cuda" and devices < here:
            raise ValueError(
                f"torchrun started {here} processes on this machine, which has {devices} CUDA devices: start as many "
                "as there are devices, or give --device cpu"
            )
        return device if device.type == "cpu" else torch.device("cuda", int(os.environ.get("LOCAL_RANK", self.rank)))

    def wrapped(self, model: nn.Module) -> nn.Module:
        """A model whose gradients are means over the ranks."""
        if self.ranks is None:
            return model
        return nn.parallel.DistributedDataParallel(model, find_unused_parameters=True)

    def share(self, index: Tensor) -> tuple[Tensor, bool]:
        """What of a batch is this rank's, and whether it counts: where there is nothing left, one that does not."""
        if self.ranks is None:
            return index, True
        own = index.tensor_split(self.count)[self.rank]
        return (own, True) if len(own) else (index[:1], False)

    def sum(self, *numbers: float) -> list[float]:
        """Sums over the ranks."""
        return list(numbers) if self.ranks is None else self.ranks.sum(*numbers)

    def gathered(self, found: list[Any]) -> list[Any]:
        """What all ranks found, on every rank, in the order of the ranks."""
        if self.ranks is None:
            return found
        every: list[Any] = [None] * self.count
        torch.distributed.all_gather_object(every, found)
        return [each for one in every for each in one]

    def scaled(self, loss: Tensor) -> Tensor:
        """The loss whose gradients' mean over the ranks is that of the sum of their losses."""
        return loss if self.ranks is None else loss * self.count

    def first(self, found: Callable[[], Any]) -> Any:
        """What the first rank finds, or the error that it comes to, on every rank."""
        if self.ranks is None:
            return found()
        value, error = None, None
        if self.rank == 0:
            try:
                value = found()
            except Exception as raised:
                error = raised
        value, error = self.ranks.broadcast((value, error))
        if error is not None:
            raise error
        return value

    def draws(self, step: int, device: torch.device) -> Any:
        """A context in which one step draws."""
        return nullcontext() if self.ranks is None else self._draws(self.ranks, step, device)

    @contextmanager
    def _draws(self, ranks: Ranks, step: int, device: torch.device) -> Iterator[None]:
        # A draw as large as a share, other than dropout, would leave the ranks with different random states.
        state = _random_state(device)
        torch.distributed.broadcast(state, src=0)
        _set_random_state(state, device)
        own = torch.Generator(device)
        entropy = np.random.SeedSequence([self.seed, step, ranks.rank]).generate_state(1, np.uint64)
        own.manual_seed(int(entropy[0]) >> 1)
        with _OwnDropout(own.get_state(), device):
            yield

    def snapshots(self, snapshots: Snapshots | None) -> Snapshots | None:
        """Snapshots that the first rank writes and reads for all."""
        if snapshots is None or self.ranks is None:
            return snapshots
        return SharedSnapshots(snapshots, self)


class SharedSnapshots(Snapshots):
    """Snapshots of a fit over several ranks: the files are the first one's, whatever the number of ranks was before."""

    def __init__(self, snapshots: Snapshots, spread: Spread) -> None:
        super().__init__(snapshots.path, snapshots.made_from, anew=snapshots.anew, every=snapshots.every)
        self.spread = spread

    def due(self) -> bool:
        """See `Snapshots`; only the first rank writes, as all have the same."""
        return self.spread.rank == 0 and super().due()

    def read(self) -> Any:
        """See `Snapshots`."""
        return self.spread.first(super().read)

    def named_on_explosion(self) -> Any:
        """See `Snapshots`."""
        return super().named_on_explosion() if self.spread.rank == 0 else nullcontext()


class _OwnDropout(TorchFunctionMode):
    """Lets dropout draw from a state of its own, and leaves torch's as it is."""

    def __init__(self, state: Tensor, device: torch.device) -> None:
        super().__init__()
        self.state, self.device = state, device

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func not in _DROPOUTS:
            return func(*args, **(kwargs or {}))
        before = _random_state(self.device)
        _set_random_state(self.state, self.device)
        try:
            return func(*args, **(kwargs or {}))
        finally:
            self.state = _random_state(self.device)
            _set_random_state(before, self.device)


def _here(count: int) -> int:
    """The ranks on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", count))


def _random_state(device: torch.device) -> Tensor:
    return torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.get_rng_state()


def _set_random_state(state: Tensor, device: torch.device) -> None:
    torch.cuda.set_rng_state(state, device) if device.type == "cuda" else torch.set_rng_state(state)
