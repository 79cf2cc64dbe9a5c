"""Segment ops: values and gradients of every backend against the reference."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from gnnkit._optional import is_available
from gnnkit.ops import segment_max, segment_mean, segment_softmax, segment_sum, use_backend

needs_scatter = pytest.mark.skipif(not is_available("torch_scatter"), reason="torch-scatter is not installed")
BACKENDS = ["torch", pytest.param("scatter", marks=needs_scatter)]
OPS = [segment_sum, segment_mean, segment_max, segment_softmax]
INDEX = torch.tensor([3, 0, 3, 1, 0, 3])
VALUES = torch.tensor([1.0, 2.0, 3.0, -4.0, 5.0, 3.0])


@pytest.fixture(autouse=True)
def _skip_where_there_is_no_such_backend(request: pytest.FixtureRequest) -> None:
    arguments = request.node.callspec.params if hasattr(request.node, "callspec") else {}
    if arguments.get("op") is segment_max and arguments.get("backend") == "scatter":
        pytest.skip("torch-scatter takes a segment of -inf for an empty one: segment_max does not use it")


def gradients(op, backend: str, values: Tensor, index: Tensor, num_segments: int) -> list[Tensor]:
    leaf = values.detach().clone().requires_grad_()
    with use_backend(backend):
        out = op(leaf, index, num_segments=num_segments)
        if out.requires_grad:  # the reference of no rows depends on nothing
            out.backward(torch.linspace(-1, 2, out.numel(), dtype=out.dtype).view(out.shape))
    return [out.detach(), torch.zeros_like(leaf) if leaf.grad is None else leaf.grad]


@pytest.mark.parametrize("backend", ["reference", *BACKENDS])
def test_by_hand(backend: str) -> None:
    with use_backend(backend):
        assert segment_sum(VALUES, INDEX).tolist() == [7.0, -4.0, 0.0, 7.0]
        torch.testing.assert_close(segment_mean(VALUES, INDEX), torch.tensor([3.5, -4.0, 0.0, 7 / 3]))
        if backend != "scatter":
            assert segment_max(VALUES, INDEX, num_segments=5).tolist() == [5.0, -4.0, 0.0, 3.0, 0.0]
        expected = torch.stack([torch.softmax(VALUES[s == INDEX], 0).sum() for s in (0, 1, 3)])
        found = segment_softmax(VALUES, INDEX)
        torch.testing.assert_close(segment_sum(found, INDEX)[[0, 1, 3]], expected)
        torch.testing.assert_close(found[INDEX == 3], torch.softmax(VALUES[INDEX == 3], 0))


@pytest.mark.usefixtures("poison")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("op", OPS)
@pytest.mark.parametrize("shape", [(6,), (6, 3), (6, 2, 2), (6, 0), (0, 2)])
def test_values_and_gradients(op, backend: str, dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    values = torch.randint(-2, 3, shape).double()  # with ties
    index = INDEX[: shape[0]].int()
    truth = gradients(op, "reference", values, index, 5)
    for mine, expected in zip(gradients(op, backend, values.to(dtype), index, 5), truth, strict=True):
        tolerance = 1e-5 if dtype == torch.float32 else 1e-12
        torch.testing.assert_close(mine.double(), expected, atol=tolerance, rtol=tolerance)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.floats(-50, 50, width=32)), max_size=40))
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("op", OPS)
def test_random_segments(op, backend: str, rows: list[tuple[int, float]]) -> None:
    index = torch.tensor([s for s, _ in rows], dtype=torch.int64)
    values = torch.tensor([v for _, v in rows], dtype=torch.float64)
    truth = gradients(op, "reference", values, index, 7)
    for mine, expected in zip(gradients(op, backend, values, index, 7), truth, strict=True):
        torch.testing.assert_close(mine, expected, atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("op", OPS)
def test_pointers_say_the_same_as_indices(op) -> None:
    ptr = torch.tensor([0, 2, 2, 5, 6])
    index = torch.tensor([0, 0, 2, 2, 2, 3])
    torch.testing.assert_close(op(VALUES, ptr=ptr), op(VALUES, index, num_segments=4))


@pytest.mark.parametrize("op", OPS)
def test_derivatives_and_transforms(op) -> None:
    values = torch.randn(6, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda v: op(v, INDEX), (values,))
    with use_backend("torch"):
        assert torch.autograd.gradgradcheck(lambda v: op(v, INDEX), (values,))
    batch = torch.randn(3, 6, 2, dtype=torch.float64)
    one_by_one = torch.stack([op(v, INDEX) for v in batch])
    torch.testing.assert_close(torch.func.vmap(lambda v: op(v, INDEX, num_segments=4))(batch), one_by_one)
    torch._dynamo.reset()
    compiled = torch.compile(lambda v: op(v, INDEX, num_segments=4), fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(values), op(values, INDEX))


def test_infinite_maxima_and_half_precision() -> None:
    values = torch.tensor([-torch.inf, torch.inf, 1.0])
    assert segment_max(values, torch.tensor([0, 1, 1])).tolist() == [-torch.inf, torch.inf]
    assert segment_sum(VALUES.bfloat16(), INDEX).tolist() == [7.0, -4.0, 0.0, 7.0]


@pytest.mark.parametrize(
    ("arguments", "options", "text"),
    [
        ((VALUES,), {}, "segment_sum: pass either index or ptr, one of them"),
        ((VALUES, INDEX), {"ptr": INDEX}, "not both"),
        ((VALUES.long(), INDEX), {}, "it is floating point"),
        ((VALUES, INDEX[:3]), {}, r"index has shape \[3\].*each of the 6 rows"),
        ((VALUES, INDEX), {"num_segments": 3}, "index holds 3, but num_segments=3"),
        ((VALUES, INDEX - 1), {}, "index holds -1"),
        ((VALUES,), {"ptr": torch.tensor([0, 7])}, "ptr goes from 0 to 7"),
        ((VALUES,), {"ptr": torch.tensor([0, 6]), "num_segments": 2}, "num_segments=2, but ptr has 1 segments"),
        ((VALUES,), {"ptr": torch.zeros(0, dtype=torch.int64)}, r"ptr has shape \[0\]"),
    ],
)
def test_what_is_wrong_is_said(arguments: tuple, options: dict, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        segment_sum(*arguments, **options)
