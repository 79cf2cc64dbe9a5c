"""Intervals of the difference between two models in groups of targets that lie in some of the windows."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from scipy import special

from gnnkit.statistics.bootstrap import kept_variance

__all__ = ["LEAST_BLOCKS", "effective_blocks", "group_intervals"]

LEAST_BLOCKS = 3
"""A group that lies in fewer blocks of windows has no interval: nothing tells how it would differ another time."""


def group_intervals(
    totals: Float[np.ndarray, "S W K"],
    targets: Float[np.ndarray, "W K"],
    seeds: tuple[int, int],
    weights: Float[np.ndarray, "R W"],
    *,
    block: int,
    confidence: float,
) -> tuple[Float[np.ndarray, " K"], Float[np.ndarray, " K"]]:
    """Bounds of the difference in each group; NaN where it lies in too few blocks.

    The difference is a ratio of sums, averaged over seeds. Its interval is made as `paired_interval` does: windows are
    resampled, the ratio is taken anew, and the noise between seeds is added. A group may lie in few blocks (an hour
    that comes once a day): with m the number of blocks that its targets amount to (`effective_blocks`), deviations are
    widened by √(m / (m − 1)), by what overlapping windows take from the variance that blocks show (`kept_variance`),
    and to Student's t with m − 1 degrees.

    Args:
        totals: summed errors, the seeds of the one model first.
        targets: observed targets.
        seeds: how many rows of `totals` are of the one model, and how many of the other.
        weights: of the resamples (`block_weights`).
        block: neighbouring windows that the resamples keep together.
        confidence: of the intervals.
    """
    ours, theirs = seeds
    signs = np.array([1 / ours] * ours + [-1 / theirs] * theirs)
    scores, tail = totals.sum(axis=1) / targets.sum(axis=0), (1 - confidence) / 2  # [S, K]
    blocks = effective_blocks(targets, block)
    known = blocks >= LEAST_BLOCKS - 1e-9
    blocks = np.maximum(blocks, LEAST_BLOCKS)
    drawn = weights @ np.tensordot(signs, totals, axes=1)  # [R, K]
    seen = weights @ targets
    # A resample without a target of the group has no difference, and does not count.
    nothing = np.where(known, np.full_like(drawn, np.nan), 0.0)
    drawn = np.divide(drawn, seen, out=nothing, where=(seen > 0) & known)
    ratio = special.stdtrit(blocks - 1, 1 - tail) / special.ndtri(1 - tail)
    # What blocks lose because windows overlap: the same for a group as for all windows (`paired_interval`).
    windows = len(targets)
    lost = (1 - block / windows) / kept_variance(windows, block, block // 2)
    deviations = (drawn - np.nanmean(drawn, axis=0)) * ratio * np.sqrt(blocks / (blocks - 1) * lost)
    rng = np.random.default_rng([0, 1])
    for part in (scores[:ours], scores[ours:]):
        if len(part) > 1:
            noise = rng.standard_t(len(part) - 1, size=(len(weights), 1))
            deviations += noise * part.std(axis=0, ddof=1) / np.sqrt(len(part))
    difference = signs @ scores
    low, high = difference + np.nanquantile(deviations, [tail, 1 - tail], axis=0)
    return np.where(known, low, np.nan), np.where(known, high, np.nan)


def effective_blocks(targets: Float[np.ndarray, "W K"], block: int) -> Float[np.ndarray, " K"]:
    """How many blocks of windows the targets of each group amount to; W / block for one that is evenly in all windows.

    With c_w the group's targets and S_s their sum in the run of `block` windows that begins at s, runs over the ends
    among them: (Σ_w c_w)² / Σ_s S_s², over what this is for c = 1, times W / block.

    Args:
        targets: of each window and group.
        block: neighbouring windows that stay together.

    Example:
        >>> often, once = np.ones(40), np.eye(40)[7]
        >>> effective_blocks(np.stack([often, once], axis=1), block=4).round(2)
        array([10.  ,  0.97])
    """
    windows = len(targets)
    even = np.ones((windows, 1))
    shares = []
    for counts in (np.asarray(targets, dtype=np.float64), even):
        total = np.concatenate([np.zeros((block, counts.shape[1])), counts, np.zeros((block, counts.shape[1]))])
        total = total.cumsum(axis=0)
        runs = total[block:] - total[:-block]
        shares.append(total[-1] ** 2 / np.maximum((runs**2).sum(axis=0), 1e-12))
    return shares[0] / shares[1] * windows / block
