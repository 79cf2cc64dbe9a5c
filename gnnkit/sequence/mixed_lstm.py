"""torch's LSTM, which runs under autocast on every processor."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["MixedLSTM"]


class MixedLSTM(nn.LSTM):
    """`torch.nn.LSTM`, in single precision under autocast to bfloat16 where the processor has no such LSTM.

    On these processors (x86 without AVX-512) oneDNN has none, and torch's own class stops. Arguments, weights, shapes
    and errors are torch's.

    Example:
        >>> with torch.autocast("cpu", torch.bfloat16):
        ...     states, _ = MixedLSTM(3, 8)(torch.zeros(5, 2, 3))
        >>> states.shape
        torch.Size([5, 2, 8])
    """

    def forward(self, input: Any, hx: tuple[Tensor, Tensor] | None = None) -> Any:
        data = input if isinstance(input, Tensor) else input.data  # or packed
        if data.device.type != "cpu" or not torch.is_autocast_enabled("cpu") or _has_bfloat16():
            return super().forward(input, hx)
        with torch.autocast("cpu", enabled=False):
            given = None if hx is None else (hx[0].float(), hx[1].float())
            return super().forward(input.float() if isinstance(input, Tensor) else input.to(torch.float32), given)

    def _get_name(self) -> str:
        return "LSTM"


@cache
def _has_bfloat16() -> bool:
    """Whether the processor's LSTM takes bfloat16: tried once, for nothing that torch says of it covers the LSTM."""
    try:
        with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
            nn.LSTM(1, 1)(torch.zeros(1, 1, 1))
    except RuntimeError:
        return False
    return True
