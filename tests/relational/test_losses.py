"""Losses by hand, and the dense one against its sum."""

import math

import pytest
import torch
import torch.nn.functional as F

from gnnkit.relational import LOSSES, all_pairs_cross_entropy, cross_entropy, hinge, self_adversarial


def test_by_hand():
    positive, negative = torch.tensor([1.0, 3.0]), torch.tensor([[0.5, 2.0], [0.0, 1.0]])
    assert hinge(positive, negative).item() == pytest.approx((0.5 + 2.0 + 0 + 0) / 4)
    assert hinge(positive, negative, margin=3).item() == pytest.approx((2.5 + 4.0 + 0 + 1) / 4)
    flat = [math.log1p(math.exp(s)) for s in (0.5, 2.0, 0.0, 1.0)]
    own = (math.log1p(math.exp(-1)) + math.log1p(math.exp(-3))) / 2
    assert cross_entropy(positive, negative).item() == pytest.approx(own + sum(flat) / 4, rel=1e-6)
    first = 1 / (1 + math.exp(1.5))  # softmax of (0.5, 2.0) at 0.5
    second = 1 / (1 + math.exp(1.0))
    weighted = (first * flat[0] + (1 - first) * flat[1] + second * flat[2] + (1 - second) * flat[3]) / 2
    assert self_adversarial(positive, negative).item() == pytest.approx(own + weighted, rel=1e-6)
    assert self_adversarial(positive, negative, temperature=0).item() == pytest.approx(own + sum(flat) / 4, rel=1e-6)
    assert set(LOSSES) == {"hinge", "cross-entropy", "self-adversarial"}


@pytest.mark.parametrize("ignore_diagonal", [False, True])
def test_all_pairs_is_the_weighted_sum_with_its_gradient(ignore_diagonal):
    torch.manual_seed(0)
    scores = torch.randn(3, 5, 5, dtype=torch.float64)
    link = torch.tensor([1, 7, 9, 25 + 3, 50 + 2, 50 + 14])
    labels = torch.zeros(75, dtype=torch.float64)
    labels[link] = 1
    labels = labels.view(3, 5, 5)
    counted = torch.ones(3, 5, 5, dtype=torch.float64)
    if ignore_diagonal:
        counted -= torch.eye(5, dtype=torch.float64)
    links = labels.sum((1, 2))
    weight = links / (counted.sum((1, 2)) - links)
    reference = scores.clone().requires_grad_()
    terms = labels * F.softplus(-reference) + (counted - labels) * weight.view(3, 1, 1) * F.softplus(reference)
    expected = terms.sum() / links.sum()
    (expected_gradient,) = torch.autograd.grad(expected, reference)
    leaf = scores.clone().requires_grad_()
    loss = all_pairs_cross_entropy(leaf * 1.0, link, ignore_diagonal=ignore_diagonal)
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(torch.autograd.grad(2 * loss, leaf)[0], 2 * expected_gradient)


def test_extreme_scores_stay_finite():
    leaf = torch.full((1, 2, 2), 500.0, requires_grad=True)
    loss = all_pairs_cross_entropy(leaf * 1.0, torch.tensor([1]))
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(leaf.grad).all()
