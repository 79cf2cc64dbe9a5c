import pytest
import torch

from gnnkit.temporal import STGCN
from tests.temporal.four_nodes import EDGES, WEIGHT, C, F, N, P, hear, history, linear, ready, taps


def scaled_laplacian():
    """`2 L / λ_max − I` with `L = I − D^-1/2 A D^-1/2`, the bound λ_max = 2, and A of the graph made undirected."""
    a = torch.zeros(N, N, dtype=torch.float64)
    for (source, target), weight in zip(EDGES.t().tolist(), WEIGHT, strict=True):
        a[target, source] += weight / 2
        a[source, target] += weight / 2
    degree = a.sum(1)
    scale = torch.where(degree > 0, degree.clamp(min=1e-9) ** -0.5, 0.0)
    return 2 * (torch.eye(N) - scale[:, None] * a * scale) / 2 - torch.eye(N)


def aligned(layer, x):
    if layer.linear is not None:
        return linear(layer.linear, x)
    return torch.cat([x, torch.zeros(*x.shape[:-1], layer.missing, dtype=x.dtype)], dim=-1)


def gated(layer, x):
    seen = taps(layer.convolution, x)
    half = seen.size(-1) // 2
    return (seen[..., :half] + aligned(layer.align, x)[-len(seen) :]) * torch.sigmoid(seen[..., half:])


def normed(norm, x):
    return torch.stack(
        [(step - step.mean()) / (step.var(unbiased=False) + 1e-5).sqrt() * norm.weight + norm.bias for step in x]
    )


def by_hand(model, x):
    laplacian, outputs = scaled_laplacian(), []
    for sample in x:
        h = torch.cat([torch.zeros(max(0, model.steps - len(sample)), N, F, dtype=x.dtype), sample])
        for block in (model.block_1, model.block_2):
            h = gated(block.first, h)
            once = hear(laplacian, h)
            terms = [h, once, 2 * hear(laplacian, once) - h]
            h = torch.relu(linear(block.spatial.linear, torch.cat(terms, dim=-1)) + aligned(block.align, h))
            h = normed(block.norm, gated(block.second, h))
        (h,) = normed(model.norm, gated(model.last, h))
        outputs.append(linear(model.head_2, torch.sigmoid(linear(model.head_1, h))).t())
    return torch.stack(outputs)


@pytest.mark.parametrize("steps", [5, 9, 12])
def test_it_is_the_papers_equations(steps):
    torch.manual_seed(0)
    model, x = ready(STGCN(F, C, P, history=steps, num_nodes=N)), history(steps=steps)
    assert model.steps == max(9, steps)
    torch.testing.assert_close(model(x, EDGES, WEIGHT), by_hand(model, x), rtol=0, atol=1e-11)


def test_widths_are_the_papers():
    model = STGCN(1, 64, 12, history=12, num_nodes=N)
    assert [list(block.spatial.linear.weight.shape) for block in (model.block_1, model.block_2)] == [[16, 192]] * 2
    assert list(model.last.convolution.weight.shape) == [128, 64, 4]
    with pytest.raises(ValueError, match="kernel_size must be a whole number of at least 1, got 0"):
        STGCN(1, 64, 12, history=12, num_nodes=N, kernel_size=0)
