"""A directed, weighted graph of four nodes and the pieces of the models' equations, a node and an entry at a time."""

import torch

EDGES = torch.tensor([[0, 0, 1, 2, 3, 3], [1, 2, 2, 1, 3, 2]])
WEIGHT = torch.tensor([1.0, 2.0, 0.5, 3.0, 4.0, 1.5], dtype=torch.float64)
B, T, N, F, C, P = 2, 5, 4, 2, 4, 3


def history(steps=T, features=F):
    return torch.randn(B, steps, N, features, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def ready(model):
    """In float64, evaluated, with no bias that is zero and no scale that is one."""
    torch.manual_seed(2)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 1 or (parameter == 0).all() or (parameter == 1).all():
                parameter.normal_(0.5, 0.5)
    return model.double().eval()


def linear(layer, x):
    return x @ layer.weight.t() + (0 if layer.bias is None else layer.bias)


def walk(h, reverse=False):
    """One step of all walkers, an edge at a time: j sends the share w_ji / out_j of what it has to i."""
    out = torch.zeros_like(h)
    pairs = [(t, s) if reverse else (s, t) for s, t in EDGES.t().tolist()]
    for (source, target), weight in zip(pairs, WEIGHT, strict=True):
        leaving = sum(w for (s, _), w in zip(pairs, WEIGHT, strict=True) if s == source)
        out[..., target, :] += weight / leaving * h[..., source, :]
    return out


def hear(matrix, h):
    """`out_i = Σ_j A_ij h_j`."""
    out = torch.zeros_like(h)
    for i in range(N):
        for j in range(N):
            out[..., i, :] += matrix[i, j] * h[..., j, :]
    return out


def taps(layer, x):
    """A convolution along time, a tap at a time; x `[T, N, C]`."""
    (weight, bias), dilation = layer.kernel(), layer.dilation
    size = weight.size(2)
    steps = x.size(0) - (size - 1) * dilation
    return torch.stack(
        [sum(x[t + j * dilation] @ weight[:, :, j].t() for j in range(size)) + bias for t in range(steps)]
    )
