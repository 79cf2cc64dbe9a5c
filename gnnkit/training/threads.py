"""How many threads a fit takes on the processor: by its size, unless the user says."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from gnnkit.training.snapshot import Snapshots

__all__ = ["available_cores", "fit_threads", "threads_by_size", "torch_threads"]

SAID_BY = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""What a user sets in the environment, and torch goes by."""
_WORK_OF_A_THREAD = 2**23
_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def available_cores(quota: Path = _QUOTA) -> int:
    """Cores that this process may take: those it is bound to, and no more than its container's share of them.

    Args:
        quota: Linux's file with the microseconds that a container may compute, and in how many; `max` for all.

    Example:
        >>> available_cores() >= 1
        True
    """
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        allowed, period = quota.read_text(encoding="ascii").split()
        return bound if allowed == "max" else max(1, min(bound, round(int(allowed) / int(period))))
    except (OSError, ValueError):  # no Linux, no container, or an older layout
        return bound


def threads_by_size(work: int, most: int) -> int:
    """A thread for each 2²³ multiplications of a step, some ten milliseconds of a core; at least 1.

    A thread with less to do waits for the others most of the time: a small fit is slower on many threads than on one,
    and many times slower where other programs keep the cores busy. The number depends on sizes alone, never on a clock
    or on what else runs, so that the same command gives the same rows.

    Args:
        work: Multiplications that a layer of the fit needs for a batch, e.g. B · T · N · C².
        most: Not more than these.

    Example:
        >>> threads_by_size(32 * 12 * 24 * 16**2, 8), threads_by_size(64 * 12 * 207 * 32**2, 8)
        (1, 8)
    """
    return max(1, min(most, work // _WORK_OF_A_THREAD))


def fit_threads(
    work: int,
    device: torch.device | str = "cpu",
    *,
    asked: int | None = None,
    fits: int = 1,
    snapshots: Snapshots | None = None,
) -> int:
    """Threads for a fit: those asked for, else those of the environment, else those that it began with, else by size.

    Sums are rounded in the order of the threads: weights are the same bit for bit for the same number, and a fit that
    goes on keeps the number it began with.

    Args:
        work: See `threads_by_size`.
        device: Of the fit; off the processor, torch's own number is kept.
        asked: What the user's settings say (`--threads`).
        fits: That run side by side, and share the cores.
        snapshots: Of the fit. They get `threads` among what they are made from.
    """
    if asked is not None:
        threads = asked
    elif torch.device(device).type != "cpu" or any(os.environ.get(name) for name in SAID_BY):
        threads = max(1, torch.get_num_threads() // fits)
    else:
        most = max(1, min(torch.get_num_threads(), available_cores()) // fits)
        threads = threads_by_size(work, most)
        if snapshots is not None:
            threads = snapshots.began_with("threads", threads)
    if snapshots is not None:
        snapshots.made_from["threads"] = threads
    return threads


@contextmanager
def torch_threads(threads: int) -> Iterator[None]:
    """Give torch, and gnnkit's own kernels with it, a number of threads, and the former one back."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
