import pytest
import torch

from gnnkit.temporal.temporal_convolution import DilatedInception, TemporalConvolution, gated_convolution, pad_history


def by_hand(x, weight, bias, dilation):
    """A tap at a time."""
    taps = weight.size(2)
    steps = x.size(1) - (taps - 1) * dilation
    y = torch.zeros(x.size(0), steps, x.size(2), weight.size(0), dtype=x.dtype)
    for t in range(steps):
        for j in range(taps):
            y[:, t] += x[:, t + j * dilation] @ weight[:, :, j].t()
    return y + bias


@pytest.mark.parametrize(("taps", "dilation"), [(1, 1), (2, 1), (3, 2), (5, 1)])
def test_the_kernel_slides_along_time(taps, dilation):
    torch.manual_seed(0)
    layer, x = TemporalConvolution(2, 3, taps, dilation=dilation).double(), torch.randn(2, 5, 4, 2).double()
    found = layer(x)
    torch.testing.assert_close(found, by_hand(x, layer.weight, layer.bias, dilation), rtol=0, atol=1e-12)
    assert found.is_contiguous()  # nothing was turned round


@pytest.mark.parametrize("dilation", [1, 2])
def test_inception_is_its_kernels_side_by_side_all_ending_on_the_latest_step(dilation):
    torch.manual_seed(0)
    layer, x = DilatedInception(2, 6, dilation=dilation).double(), torch.randn(2, 14, 3, 2).double()
    steps = 14 - 6 * dilation
    assert [list(weight.shape) for weight in layer.weights] == [[2, 2, 2], [2, 2, 3], [1, 2, 6], [1, 2, 7]]
    bias = layer.bias.split([2, 2, 1, 1])
    parts = [by_hand(x, w, b, dilation)[:, -steps:] for w, b in zip(layer.weights, bias, strict=True)]
    torch.testing.assert_close(layer(x), torch.cat(parts, dim=-1), rtol=0, atol=1e-12)
    with pytest.raises(ValueError, match="hidden_channels must be at least 4, one for each kernel, got 3"):
        DilatedInception(2, 3)


def test_the_gate_opens_what_the_filter_sees():
    torch.manual_seed(0)
    one, two = TemporalConvolution(2, 3, 2).double(), TemporalConvolution(2, 3, 2).double()
    x = torch.randn(2, 5, 4, 2).double()
    torch.testing.assert_close(gated_convolution(x, one, two), one(x).tanh() * two(x).sigmoid(), rtol=0, atol=1e-12)


def test_a_history_is_cut_or_filled_up_in_front():
    x = torch.arange(3.0).view(1, 3, 1, 1)
    assert pad_history(x, 5).flatten().tolist() == [0, 0, 0, 1, 2]
    assert pad_history(x, 2).flatten().tolist() == [1, 2]
    assert pad_history(x, 3).flatten().tolist() == [0, 1, 2]
