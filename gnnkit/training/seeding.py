"""Random states: one seed for everything, and random states that leave the caller's alone."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch

__all__ = ["isolated_seed", "seed_everything", "shuffled_batches"]


def seed_everything(seed: int) -> None:
    """Seed Python's, NumPy's and torch's random generators (all devices).

    Args:
        seed: from 0 to 2³² − 1.

    Raises:
        ValueError: `seed` is outside that range.

    Example:
        >>> seed_everything(0); a = torch.rand(2)
        >>> seed_everything(0); torch.equal(a, torch.rand(2))
        True
    """
    _check(seed)
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002 - PyG and user code draw from NumPy's global state
    torch.manual_seed(seed)


@contextmanager
def isolated_seed(seed: int, device: torch.device | None = None) -> Iterator[None]:
    """Run a block with torch seeded, and give the caller's random state back after it.

    Args:
        seed: from 0 to 2³² − 1.
        device: a CUDA device whose state is seeded and given back too; the CPU's always is.

    Example:
        >>> with isolated_seed(7): first = torch.rand(1)
        >>> with isolated_seed(7): second = torch.rand(1)
        >>> torch.equal(first, second)
        True
    """
    _check(seed)
    cuda = device is not None and device.type == "cuda"
    with torch.random.fork_rng(devices=[device] if cuda else []):
        torch.manual_seed(seed)
        yield


def shuffled_batches(count: int, batch_size: int, generator: torch.Generator) -> Iterator[torch.Tensor]:
    """Indices 0 … count − 1 in random order, `batch_size` at a time; the last batch holds what is left.

    The order depends on `generator` alone, so that models trained with one seed see the same batches.

    Args:
        count: how many there are.
        batch_size: indices in a batch, at least 1.
        generator: a CPU generator.

    Example:
        >>> [len(b) for b in shuffled_batches(5, 2, torch.Generator().manual_seed(0))]
        [2, 2, 1]
    """
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}; give a positive number of windows, e.g. 32")
    return iter(torch.randperm(count, generator=generator).split(batch_size))


def _check(seed: int) -> None:
    if not 0 <= seed < 2**32:
        raise ValueError(f"seed is {seed}; give a whole number from 0 to {2**32 - 1}")
