"""`gated_recurrence` in Triton against the reference."""

import os

import pytest
import torch
from torch import Tensor

from gnnkit.ops import gated_recurrence, use_backend
from gnnkit.ops.recurrence.autograd import gated_recurrence_op

# B, T, N, F, H: one of everything, less and more than a block of rows, of features and of columns; nothing at all.
SIZES = [
    (1, 1, 1, 1, 1),
    (3, 4, 7, 1, 3),
    (2, 3, 20, 5, 64),
    (1, 2, 5, 3, 65),
    (1, 2, 3, 2, 128),
    (2, 2, 21, 17, 20),
    (0, 2, 3, 1, 4),
    (2, 0, 3, 1, 4),
    (2, 2, 0, 1, 4),
    (2, 2, 3, 0, 4),
    (2, 2, 3, 2, 0),
]

# The interpreter multiplies bfloat16's bit patterns as if they were whole numbers, so that type is for a GPU.
HALF = [torch.float16] if os.environ.get("TRITON_INTERPRET") == "1" else [torch.float16, torch.bfloat16]


def make(size: tuple[int, ...]) -> list[Tensor]:
    batch, steps, nodes, features, hidden = size
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int, scale: float = 1.0) -> Tensor:
        return torch.randn(shape, generator=generator) * scale

    return [
        draw(batch, steps, nodes, features),
        draw(batch, nodes, hidden),
        draw(features, 3 * hidden, scale=max(features, 1) ** -0.5),
        draw(hidden, 3 * hidden, scale=max(hidden, 1) ** -0.5),
        draw(3 * hidden),
    ]


def every(*inputs: Tensor) -> Tensor:
    return gated_recurrence(*inputs)


def last(*inputs: Tensor) -> Tensor:
    return gated_recurrence(*inputs, return_sequence=False)


@pytest.mark.usefixtures("poison")
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("call", [every, last])
def test_sizes(size: tuple[int, ...], call, agrees) -> None:
    agrees(call, make(size))


@pytest.mark.usefixtures("poison")
@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("size", [(2, 3, 11, 3, 16), (1, 2, 5, 3, 65)], ids=str)
def test_half_precision(dtype: torch.dtype, size: tuple[int, ...], agrees) -> None:
    # States and gates are rounded on their way to the next step and into the backward pass.
    for call in (every, last):
        agrees(call, make(size), dtype, loose=4.0)


@pytest.mark.usefixtures("poison")
def test_samples_in_turn_give_the_same(monkeypatch: pytest.MonkeyPatch, agrees) -> None:
    monkeypatch.setattr("gnnkit.ops.recurrence.triton._SCRATCH", 1)
    agrees(every, make((3, 2, 5, 2, 6)))


def test_small_numbers_keep_their_digits(device: str) -> None:
    inputs = [tensor.to(device) * 1e-5 for tensor in make((2, 3, 5, 2, 6))]
    with use_backend("reference"):
        expected = every(*(tensor.double() for tensor in inputs))
    with use_backend("triton"):
        found = every(*inputs)
    torch.testing.assert_close(found.double(), expected, rtol=2e-6, atol=1e-12)


def test_saturated_gates_and_infinities(device: str) -> None:
    x = torch.tensor([1e3, -1e3, torch.inf, -torch.inf, 90.0, -90.0], device=device).reshape(1, 1, 6, 1)
    state, weight_state = torch.full((1, 6, 1), 0.5, device=device), torch.zeros(1, 3, device=device)
    with use_backend("triton"):
        kept = gated_recurrence(x, state, torch.tensor([[1.0, 0.0, 0.0]], device=device), weight_state)
        mixed = gated_recurrence(x, state, torch.tensor([[0.0, 0.0, 1.0]], device=device), weight_state)
    finite = [0, 1, 4, 5]
    assert kept.flatten()[finite].tolist() == pytest.approx([0.5, 0.0, 0.5, 0.0], abs=1e-12)
    assert mixed.flatten()[finite].tolist() == pytest.approx([0.75, -0.25, 0.75, -0.25], abs=1e-6)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_what_is_not_finite_stays_in_its_row(value: float, device: str) -> None:
    inputs = [tensor.to(device) for tensor in make((2, 3, 10, 2, 5))]
    with use_backend("triton"):
        clean = every(*inputs)
        inputs[0][1, 1, 7] = value
        found = every(*inputs)
    with use_backend("reference"):
        expected = every(*inputs)
    torch.testing.assert_close(found, expected, equal_nan=True, rtol=1e-5, atol=1e-6)
    found[1, 1:, 7] = clean[1, 1:, 7]
    assert torch.equal(found, clean)


def test_two_runs_are_bit_equal(results) -> None:
    one, two = (results(every, make((3, 2, 11, 3, 20))) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


def test_gradients_of_some_inputs_alone(device: str) -> None:
    inputs = [tensor.to(device) for tensor in make((2, 3, 9, 4, 5))]
    leaves = [tensor.clone().requires_grad_() for tensor in inputs]
    with use_backend("reference"):
        every(*leaves).sum().backward()
    for wanted, leaf in enumerate(leaves):
        given = [tensor.clone().requires_grad_(place == wanted) for place, tensor in enumerate(inputs)]
        with use_backend("triton"):
            every(*given).sum().backward()
        torch.testing.assert_close(given[wanted].grad, leaf.grad, rtol=1e-4, atol=1e-5)


def test_layouts_do_not_matter(agrees) -> None:
    x, state, weight_input, weight_state, bias = make((3, 2, 5, 2, 6))
    inputs = [x.permute(3, 0, 1, 2).contiguous(), state, weight_input, weight_state, bias]
    agrees(lambda x, state, *rest: every(x.permute(1, 2, 3, 0), state[:1].expand(3, 5, 6), *rest), inputs)


def test_the_operator_is_well_formed(device: str) -> None:
    inputs = [tensor.to(device).requires_grad_() for tensor in make((2, 3, 4, 2, 5))]
    with use_backend("triton"):
        for return_sequence in (True, False):
            torch.library.opcheck(gated_recurrence_op, (*inputs, return_sequence))


def test_a_wide_state_is_for_another_backend(device: str) -> None:
    inputs = [tensor.to(device) for tensor in make((1, 1, 1, 1, 129))]
    with use_backend("triton"), pytest.raises(RuntimeError, match="the state has 129 channels, more than 128"):
        every(*inputs)
