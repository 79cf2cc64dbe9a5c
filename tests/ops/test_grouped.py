"""grouped_matmul against one product a row."""

import pytest
import torch

from gnnkit.ops import grouped_matmul


def reference(x, group, weight):
    """A product a row; blocks are laid on the diagonal first."""
    if weight.dim() == 4:
        weight = torch.stack([torch.block_diag(*blocks) for blocks in weight])
    return torch.stack([row @ weight[g] for row, g in zip(x, group.tolist(), strict=True)])


SIZES = {"one row": [1], "uneven": [3, 0, 700, 1, 17], "many small": [2] * 90, "all in one": [0, 300, 0]}


@pytest.mark.parametrize("blocks", [0, 1, 3])
@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
def test_output_and_gradients_equal_the_reference(sizes, blocks):
    generator = torch.Generator().manual_seed(0)
    group = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    group = group[torch.randperm(len(group), generator=generator)]
    shape = (len(sizes), blocks, 6 // blocks, 9 // blocks) if blocks else (len(sizes), 6, 9)
    x = torch.randn(len(group), 6, dtype=torch.float64, generator=generator, requires_grad=True)
    weight = torch.randn(shape, dtype=torch.float64, generator=generator, requires_grad=True)
    out, expected = grouped_matmul(x, group, weight), reference(x, group, weight)
    torch.testing.assert_close(out, expected)
    upstream = torch.randn(out.shape, dtype=torch.float64, generator=generator)
    got = torch.autograd.grad(out, (x, weight), upstream)
    torch.testing.assert_close(got, torch.autograd.grad(expected, (x, weight), upstream))


def test_int32_groups_and_no_rows():
    weight = torch.randn(3, 2, 4, requires_grad=True)
    x = torch.randn(5, 2)
    group = torch.tensor([2, 0, 0, 1, 2])
    torch.testing.assert_close(grouped_matmul(x, group.int(), weight), grouped_matmul(x, group, weight))
    out = grouped_matmul(x[:0], group[:0], weight)
    assert out.shape == (0, 4)
    out.sum().backward()
    assert torch.equal(weight.grad, torch.zeros_like(weight))


@pytest.mark.parametrize(
    ("x", "group", "weight", "message"),
    [
        (torch.zeros(2, 3), torch.zeros(2).long(), torch.zeros(1, 4, 5), r"takes \[E, 4\]"),
        (torch.zeros(2, 4), torch.zeros(3).long(), torch.zeros(1, 4, 5), "one for each of the 2 rows"),
        (torch.zeros(2, 4), torch.zeros(2), torch.zeros(1, 4, 5), "int32 or int64"),
        (
            torch.zeros(2, 4),
            torch.tensor([0, 1]),
            torch.zeros(1, 4, 5),
            "group holds 1, but weight has the groups 0 to 0",
        ),
        (torch.zeros(2, 4), torch.tensor([0, -1]), torch.zeros(1, 4, 5), "group holds -1"),
        (torch.zeros(2, 4), torch.zeros(2).long(), torch.zeros(4, 5), "matrices are"),
    ],
)
def test_bad_input(x, group, weight, message):
    with pytest.raises(ValueError, match=message):
        grouped_matmul(x, group, weight)
