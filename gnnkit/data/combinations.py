"""Random combinations: T different numbers in random order, the last of which is to be told from the others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor
from torch.utils.data import Dataset, IterableDataset, get_worker_info

__all__ = ["Combinations", "EndlessCombinations", "RandomCombinations", "random_combinations"]

# SplitMix64 (Steele, Lea & Flood 2014); its constants as signed 64-bit numbers, since torch has no unsigned arithmetic.
_GOLDEN = 0x9E3779B97F4A7C15 - 2**64
_FIRST, _SECOND = 0xBF58476D1CE4E5B9 - 2**64, 0x94D049BB133111EB - 2**64
# Numbers that the endless stream draws at once: enough that the calls cost little, few enough to stay in cache.
_AHEAD = 2**16


class Combinations(NamedTuple):
    """A batch: all numbers but the last, and the last.

    Shape:
        tokens `[B, T - 1]`, target `[B]`; both int64. A single item has no B.
    """

    tokens: Tensor
    target: Tensor


def random_combinations(index: Int[Tensor, " B"], length: int, seed: int) -> Int[Tensor, "B T"]:
    """Draw the permutations of 0 ... T - 1 that stand at `index` in the endless stream of a seed.

    Entry j of permutation i gets the random number `SplitMix64(seed, i T + j)`; the permutation is the order of the T
    random numbers. Nothing depends on what was drawn before, nor on the device: any batch, in any order, at once.

    Args:
        index: Places in the stream, from 0.
        length: Numbers T in a permutation, at least 2.
        seed: Which stream.

    Returns:
        The permutations, on `index`'s device.

    Raises:
        ValueError: `length` is below 2, or `index` is empty.

    Source:
        The task of the course report's part 1.

    Example:
        >>> random_combinations(torch.tensor([0, 1]), length=5, seed=0).sort(1).values.tolist()
        [[0, 1, 2, 3, 4], [0, 1, 2, 3, 4]]
    """
    _check_length(length)
    if index.dim() != 1 or index.numel() == 0:
        raise ValueError(f"index must list at least one place in the stream, got shape {list(index.shape)}")
    on_cpu = index.device.type == "cpu"
    # For the CPU the same arithmetic runs on NumPy arrays: its calls are cheaper and its row sort is vectorised.
    places: Any = index.numpy() if on_cpu else index
    column, offset = _columns(length, seed, None if on_cpu else index.device)
    keys = (places * _signed(length * _GOLDEN))[:, None] + offset  # SplitMix64's state at i T + j
    keys = _mix(keys)
    # The lowest bits hold the number itself: sorting the keys sorts the numbers, and no two keys are equal.
    low = (1 << (length - 1).bit_length()) - 1
    keys &= ~low
    keys |= column
    if on_cpu:
        keys.sort(axis=1)
        keys &= low
        return torch.from_numpy(keys)
    return keys.sort(dim=1).values & low


class RandomCombinations(Dataset[Combinations]):
    """A map-style data set of random combinations: item i is always the same, and is drawn when it is asked for.

    Args:
        length: Numbers T in a combination, at least 2; T - 1 are given, the last is to be predicted.
        seed: Which stream of combinations. Default 0.
        size: How many items there are. Default 5000, the report's test set.
        start: Where in the stream the first item stands. Default 0. Sets that share no place share no draw (the same
            combination may still come twice: for T = 5 there are but 120).
        device: Where the batches are made. Default "cpu".

    Shape:
        An item: tokens `[T - 1]`, target `[]`; a batch: `[B, T - 1]` and `[B]`.

    Raises:
        ValueError: `length` below 2, `size` below 1, or `start` below 0.
        IndexError: An item that is not there.

    Source:
        The course report's part 1.

    Example:
        >>> data = RandomCombinations(5, seed=0, size=100)
        >>> tokens, target = data[7]
        >>> sorted([*tokens.tolist(), int(target)])
        [0, 1, 2, 3, 4]
    """

    def __init__(
        self, length: int, seed: int = 0, *, size: int = 5000, start: int = 0, device: torch.device | str = "cpu"
    ) -> None:
        self.length = _check_length(length)
        self.seed = seed
        self.size = _check_size("size", size)
        if start < 0:
            raise ValueError(f"start is {start}; the stream begins at 0")
        self.start = start
        self.device = torch.device(device)

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> Combinations:
        tokens, target = self.__getitems__([index])
        return Combinations(tokens[0], target[0])

    def __getitems__(self, indices: Sequence[int]) -> Combinations:
        """One batch, at once. A `DataLoader` calls it, and needs `collate_fn=lambda batch: batch`."""
        index = torch.as_tensor(indices, dtype=torch.int64)
        if index.numel() == 0:
            raise ValueError("an empty batch was asked for; give at least one index")
        if int(index.max()) >= self.size or int(index.min()) < -self.size:
            raise IndexError(f"there are {self.size} combinations, and number {indices} is not among them")
        index = torch.where(index < 0, index + self.size, index) + self.start
        return _split(random_combinations(index.to(self.device), self.length, self.seed))

    def batches(self, batch_size: int) -> Iterator[Combinations]:
        """All items in order, `batch_size` at a time; the last batch holds what is left.

        Raises:
            ValueError: `batch_size` is below 1.
        """
        _check_size("batch_size", batch_size)
        for first in range(0, self.size, batch_size):
            stop = min(first + batch_size, self.size)
            index = torch.arange(self.start + first, self.start + stop, device=self.device)
            yield _split(random_combinations(index, self.length, self.seed))

    def __repr__(self) -> str:
        return f"RandomCombinations({self.length}, seed={self.seed}, size={self.size}, start={self.start})"


class EndlessCombinations(IterableDataset[Combinations]):
    """Batches of random combinations without end: batch k holds places k B ... (k + 1) B - 1 of the stream.

    Some batches are drawn ahead, at once, and handed out one by one. Every iteration starts anew at `start`. In a
    `DataLoader` (`batch_size=None`) with W workers, worker w draws the batches w, w + W, ..., so that none comes twice.

    Args:
        length: Numbers T in a combination, at least 2.
        seed: Which stream. Default 0.
        batch_size: Combinations B in a batch. Default 128.
        start: Where in the stream the first batch stands. Default 0.
        device: Where the batches are made. Default "cpu".

    Shape:
        A batch: tokens `[B, T - 1]`, target `[B]`.

    Raises:
        ValueError: `length` below 2, `batch_size` below 1, or `start` below 0.

    Source:
        The course report's part 1.

    Example:
        >>> tokens, target = next(iter(EndlessCombinations(10, seed=0, batch_size=4)))
        >>> tokens.shape, target.shape
        (torch.Size([4, 9]), torch.Size([4]))
    """

    def __init__(
        self, length: int, seed: int = 0, *, batch_size: int = 128, start: int = 0, device: torch.device | str = "cpu"
    ) -> None:
        self.length = _check_length(length)
        self.seed = seed
        self.batch_size = _check_size("batch_size", batch_size)
        if start < 0:
            raise ValueError(f"start is {start}; the stream begins at 0")
        self.start = start
        self.device = torch.device(device)

    def __iter__(self) -> Iterator[Combinations]:
        worker = get_worker_info()
        number, workers = (0, 1) if worker is None else (worker.id, worker.num_workers)
        ahead = max(1, _AHEAD // (self.batch_size * self.length))
        batches = torch.arange(ahead, device=self.device) * workers + number
        index = self.start + (batches[:, None] * self.batch_size + torch.arange(self.batch_size, device=self.device))
        while True:
            tokens, target = _split(random_combinations(index.flatten(), self.length, self.seed))
            yield from map(Combinations, tokens.split(self.batch_size), target.split(self.batch_size))
            index = index + ahead * workers * self.batch_size

    def __repr__(self) -> str:
        return f"EndlessCombinations({self.length}, seed={self.seed}, batch_size={self.batch_size}, start={self.start})"


def _split(permutations: Tensor) -> Combinations:
    return Combinations(permutations[:, :-1], permutations[:, -1])


def _mix(z: Any) -> Any:
    """SplitMix64's finaliser on signed 64-bit numbers, in place.

    A shift to the right repeats the sign, so the bits that it brings in are masked off.
    """
    z ^= (z >> 30) & (2**34 - 1)
    z *= _FIRST
    z ^= (z >> 27) & (2**37 - 1)
    z *= _SECOND
    z ^= (z >> 31) & (2**33 - 1)
    return z


@lru_cache(maxsize=64, typed=True)
def _columns(length: int, seed: int, device: torch.device | None) -> tuple[Any, Any]:
    """The numbers 0 ... T - 1, and what entry j adds to a place's state; NumPy arrays where no device is given."""
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise ValueError(f"seed must be a whole number, got {seed!r}")
    # The seed is mixed first, so that the streams of neighbouring seeds do not overlap.
    stream = int(_mix(np.array([_signed((seed + 1) * _GOLDEN)]))[0])
    column = np.arange(length)
    offset = np.array([_signed(stream + (j + 1) * _GOLDEN) for j in range(length)])
    if device is None:
        return column, offset
    return torch.from_numpy(column).to(device), torch.from_numpy(offset).to(device)


def _signed(value: int) -> int:
    """The value modulo 2^64, as a signed 64-bit number."""
    value %= 2**64
    return value - 2**64 if value >= 2**63 else value


def _check_length(length: int) -> int:
    if isinstance(length, bool) or not isinstance(length, int) or length < 2:
        raise ValueError(
            f"length must be a whole number of at least 2 (one number given, one to predict), got {length!r}"
        )
    return length


def _check_size(name: str, value: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}: an empty batch teaches nothing")
    return value
