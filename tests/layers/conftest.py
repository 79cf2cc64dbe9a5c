"""Odd graphs and the comparison with PyG that all layers share."""

import pytest
import torch
from torch import Tensor

GRAPHS = {
    "undirected": ([[0, 1, 1, 2, 2, 3, 0, 3], [1, 0, 2, 1, 3, 2, 3, 0]], 4),
    "directed": ([[0, 1, 2, 3, 0], [1, 2, 3, 0, 2]], 4),
    "duplicate edges": ([[0, 0, 0, 2, 1, 1], [1, 1, 2, 1, 0, 0]], 3),
    "self-loops": ([[0, 0, 1, 2, 2, 3], [0, 1, 1, 3, 2, 0]], 4),
    "two loops on one node": ([[0, 0, 0, 1, 2], [0, 0, 1, 2, 1]], 3),
    "isolated nodes": ([[1, 3], [3, 1]], 6),
    "edgeless": ([[], []], 3),
    "one node": ([[], []], 1),
    "no nodes": ([[], []], 0),
}


@pytest.fixture(params=list(GRAPHS), ids=lambda name: name.replace(" ", "-"))
def graph(request) -> tuple[Tensor, int]:
    edges, num_nodes = GRAPHS[request.param]
    return torch.tensor(edges, dtype=torch.long).view(2, -1), num_nodes


@pytest.fixture(params=[torch.float32, torch.float64], ids=["float32", "float64"])
def dtype(request) -> torch.dtype:
    return request.param


def _assert_near(got: Tensor, expected: Tensor, what: str, scale: float = 1e-30) -> None:
    if got.layout != torch.strided:
        got, expected = got.to_dense(), expected.to_dense()
    assert got.shape == expected.shape, what
    assert got.dtype == expected.dtype, what
    if expected.numel() == 0:
        return
    tolerance = 1e-12 if expected.dtype == torch.float64 else 1e-5
    bound = tolerance * max(float(expected.detach().abs().max()), scale)
    assert float((got - expected).detach().abs().max()) <= bound, what


def _assert_same(layer, conv, *inputs, **kwargs) -> None:
    """Same output, and same gradient for every parameter and every floating-point input, from two twin layers."""
    results = []
    for module in (layer, conv):
        leaves, arguments = [], []

        def leaf(value, leaves=leaves):
            if isinstance(value, tuple):
                return tuple(leaf(part, leaves) for part in value)
            if not isinstance(value, Tensor) or not value.is_floating_point():
                return value
            leaves.append(value.detach().clone().requires_grad_())
            return leaves[-1]

        arguments = [leaf(value) for value in inputs]
        out = module(*arguments, **kwargs)
        parts = [out] if isinstance(out, Tensor) else [out[0], out[1][-1]]
        torch.manual_seed(1)
        loss = sum((part * torch.randn_like(part)).sum() for part in parts)
        tensors = leaves + [p for _, p in sorted(module.named_parameters())]
        gradients = (
            torch.autograd.grad(loss, tensors, allow_unused=True) if loss.requires_grad else [None] * len(tensors)
        )
        results.append((parts, gradients))
    (outs, grads), (expected_outs, expected_grads) = results
    for i, (got, expected) in enumerate(zip(outs, expected_outs, strict=True)):
        _assert_near(got, expected, f"output {i}")
    # Terms cancel in some gradients (softmax does not see a shift): what is left of those is rounding error.
    scale = max([float(g.abs().max()) for g in expected_grads if g is not None and g.numel()], default=1e-30)
    for i, (got, expected) in enumerate(zip(grads, expected_grads, strict=True)):
        assert (got is None) == (expected is None), f"gradient {i}"
        if got is not None and expected is not None:
            _assert_near(got, expected, f"gradient {i}", scale)


@pytest.fixture
def assert_near():
    return _assert_near


@pytest.fixture
def assert_same():
    return _assert_same
