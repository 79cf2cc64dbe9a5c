"""Convolutions along time, the same for every node: plain and dilated, and the dilated inception of MTGNN."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

__all__ = ["DilatedInception", "TemporalConvolution", "gated_convolution", "pad_history", "temporal_convolution"]


def temporal_convolution(
    x: Float[Tensor, "B T N C"], weight: Float[Tensor, "D C k"], bias: Tensor | None, dilation: int = 1
) -> Float[Tensor, "B T2 N D"]:
    """Slide a kernel along time without padding: `y_t = Σ_j W_j x_{t + j·dilation} + b`.

    Args:
        x: Features of all nodes at T steps.
        weight: The kernel, its last tap on the latest step.
        bias: `[D]`, or None.
        dilation: Steps between taps.

    Returns:
        T − (k − 1) · dilation steps; the last one belongs to the last step of x.
    """
    # [B, T, N, C] is what torch calls a channels-last image of T x N pixels: its convolution copies nothing.
    image = x.permute(0, 3, 1, 2)
    return F.conv2d(image, weight.unsqueeze(-1), bias, dilation=(dilation, 1)).permute(0, 2, 3, 1)


def pad_history(x: Float[Tensor, "B T N C"], steps: int) -> Float[Tensor, "B S N C"]:
    """The last `steps` steps of x, zeros in front where it has fewer."""
    missing = steps - x.size(1)
    return F.pad(x, (0, 0, 0, 0, missing, 0)) if missing > 0 else x[:, -missing:]


class TemporalConvolution(nn.Module):
    """One kernel along time, shared by all nodes; see `temporal_convolution`.

    Args:
        in_channels: Features C of a node at a step.
        out_channels: Features D of a node in the output.
        kernel_size: Taps k.
        dilation: Steps between taps. Default 1.

    Shape:
        x `[B, T, N, C]`; returned `[B, T − (k − 1) dilation, N, D]`.

    Example:
        >>> TemporalConvolution(2, 8, 3, dilation=2)(torch.randn(4, 12, 5, 2)).shape
        torch.Size([4, 8, 5, 8])
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, *, dilation: int = 1) -> None:
        super().__init__()
        self.dilation = dilation
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, kernel_size))
        self.bias = nn.Parameter(torch.empty(out_channels))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weights anew, as torch's own convolutions do."""
        _draw(self.weight, self.bias)

    def kernel(self) -> tuple[Tensor, Tensor]:
        """Weight `[D, C, k]` and bias `[D]`."""
        return self.weight, self.bias

    def forward(self, x: Float[Tensor, "B T N C"]) -> Float[Tensor, "B T2 N D"]:
        """Convolve."""
        return temporal_convolution(x, *self.kernel(), self.dilation)

    def extra_repr(self) -> str:
        return f"{list(self.weight.shape)}, dilation={self.dilation}"


class DilatedInception(nn.Module):
    """Kernels of several sizes side by side, each giving a share of the channels, all ending on the latest step.

    The short kernels are padded with zeros to the longest, so that one convolution does it all.

    Args:
        in_channels: Features C of a node at a step.
        out_channels: Features D in the output; at least one for each kernel, shared out as evenly as can be.
        kernel_sizes: Taps of each kernel. Default 2, 3, 6, 7: with them the periods of clocks and calendars are made.
        dilation: Steps between taps. Default 1.

    Shape:
        x `[B, T, N, C]`; returned `[B, T − (max k − 1) dilation, N, D]`.

    Raises:
        ValueError: Fewer channels than kernels.

    Source:
        Wu et al., "Connecting the dots" (2020), the temporal convolution module.

    Example:
        >>> DilatedInception(2, 8)(torch.randn(4, 12, 5, 2)).shape
        torch.Size([4, 6, 5, 8])
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, kernel_sizes: Sequence[int] = (2, 3, 6, 7), dilation: int = 1
    ) -> None:
        super().__init__()
        count = len(kernel_sizes)
        if out_channels < count:
            raise ValueError(f"hidden_channels must be at least {count}, one for each kernel, got {out_channels}")
        self.dilation = dilation
        widths = [out_channels // count + (number < out_channels % count) for number in range(count)]
        self.weights = nn.ParameterList(
            torch.empty(width, in_channels, size) for width, size in zip(widths, kernel_sizes, strict=True)
        )
        self.bias = nn.Parameter(torch.empty(out_channels))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weights anew, as torch's own convolutions do."""
        for weight, bias in zip(self.weights, self.bias.split([len(weight) for weight in self.weights]), strict=True):
            _draw(weight, bias)

    def kernel(self) -> tuple[Tensor, Tensor]:
        """All kernels as one: weight `[D, C, max k]` and bias `[D]`."""
        longest = max(weight.size(2) for weight in self.weights)
        padded = [F.pad(weight, (longest - weight.size(2), 0)) for weight in self.weights]
        return torch.cat(padded), self.bias

    def forward(self, x: Float[Tensor, "B T N C"]) -> Float[Tensor, "B T2 N D"]:
        """Convolve."""
        return temporal_convolution(x, *self.kernel(), self.dilation)

    def extra_repr(self) -> str:
        return f"{[list(weight.shape) for weight in self.weights]}, dilation={self.dilation}"


def gated_convolution(
    x: Float[Tensor, "B T N C"],
    filter_: TemporalConvolution | DilatedInception,
    gate: TemporalConvolution | DilatedInception,
) -> Float[Tensor, "B T2 N D"]:
    """`tanh(filter * x) · sigmoid(gate * x)`, both in one convolution."""
    (weight_1, bias_1), (weight_2, bias_2) = filter_.kernel(), gate.kernel()
    both = temporal_convolution(x, torch.cat([weight_1, weight_2]), torch.cat([bias_1, bias_2]), filter_.dilation)
    seen, opened = both.chunk(2, dim=-1)
    return seen.tanh() * opened.sigmoid()


def _draw(weight: Tensor, bias: Tensor) -> None:
    nn.init.kaiming_uniform_(weight, a=math.sqrt(5))
    bound = 1 / math.sqrt(weight.size(1) * weight.size(2))
    with torch.no_grad():
        bias.uniform_(-bound, bound)
