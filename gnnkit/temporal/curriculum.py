"""What training shows a forecaster at first and not later: the truth to go on from, and the near horizons alone."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["forced_share", "next_input", "only_near"]


def forced_share(progress: float | None, half_forced: float) -> float:
    """The probability of reading the true step in place of one's own: `1 / (1 + 2000^(s / h − 1))`, falling with s.

    Args:
        progress: Share s of the training that is done; None is the end.
        half_forced: The share h at which half of the steps are read from the truth; 0: none ever is.

    Source:
        The inverse sigmoid decay τ / (τ + exp(i / τ)) of Bengio et al., "Scheduled sampling" (2015), τ = 2000, with the
        share of the training in place of the step i.

    Example:
        >>> [round(forced_share(s, 0.4), 3) for s in (0.0, 0.4, 1.0)]
        [1.0, 0.5, 0.0]
    """
    if half_forced == 0 or progress is None:
        return 0.0
    return 1 / (1 + 2000 ** min(progress / half_forced - 1, 50.0))


def next_input(written: Float[Tensor, "B N 1"], truth: Float[Tensor, "B N"] | None, share: float) -> Tensor:
    """What a decoder reads next: its own step, or with probability `share` the true one where that was observed."""
    if truth is None or share == 0:
        return written
    forced = torch.rand((), device=written.device) < share
    truth = truth.unsqueeze(-1)
    return torch.where(forced & ~truth.isnan(), truth, written)


def only_near(y: Float[Tensor, "B P N"], progress: float | None, curriculum: float) -> Float[Tensor, "B P N"]:
    """The forecast, with a gradient for its near horizons: one more after each 1/P of the first share of the training.

    Args:
        y: The forecast.
        progress: Share of the training that is done; None is the end.
        curriculum: The share after which all horizons have a gradient; 0: all have from the start.
    """
    if curriculum == 0:
        return y
    count = 1 + int((1.0 if progress is None else progress) / curriculum * y.size(1))
    return torch.cat([y[:, :count], y[:, count:].detach()], dim=1)
